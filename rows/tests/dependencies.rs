//! What the crate is built of: no AWS, no async, no clock, and no C code but the Zstandard library, which is a feature.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::process::Command;

/// The names of all crates that `rows` is built of with `features`.
fn tree(features: &[&str]) -> Vec<String> {
    let output = Command::new(env!("CARGO"))
        .args([
            "tree",
            "-p",
            "rows",
            "-e",
            "normal,build",
            "--prefix",
            "none",
        ])
        .args(["--format", "{lib}", "--offline"])
        .args(features)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let names = String::from_utf8(output.stdout).unwrap();
    names.lines().map(str::to_owned).collect()
}

#[test]
fn the_crate_knows_no_aws_no_async_and_no_clock() {
    let crates = tree(&[]);
    assert!(crates.iter().any(|name| name == "csv_core"), "{crates:?}");
    for name in &crates {
        let forbidden = [
            "aws",
            "tokio",
            "futures",
            "hyper",
            "async",
            "time",
            "chrono",
            "getrandom",
        ];
        assert!(
            !forbidden.iter().any(|word| name.starts_with(word)),
            "{name}"
        );
    }
}

#[test]
fn without_features_nothing_is_compiled_by_a_c_compiler() {
    for features in [
        &["--no-default-features"][..],
        &["--no-default-features", "--features", "ruzstd"],
    ] {
        let crates = tree(features);
        assert!(
            !crates
                .iter()
                .any(|name| name == "cc" || name.ends_with("_sys")),
            "{crates:?}"
        );
    }
    assert!(tree(&[]).iter().any(|name| name == "cc"));
}
