//! Files as people report them, and what becomes of each: the table in `docs/FORMATS.md`.
//!
//! `INTAKE_WRITE_DOCS=1 cargo test -p rows --test field` writes it.

#![allow(clippy::unwrap_used, reason = "tests may")]

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rows::{DecodeOptions, Engine, Error, KeyAttribute, KeyType, Row, Schema, open};

const BEGIN: &str = "<!-- The table is written by the test `field` of crate rows. -->\n";

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/field/cases")
}

/// What a file becomes, for a table whose partition key is `productId`.
fn outcome(file: &[u8], engine: Engine) -> String {
    let key = KeyAttribute::partition("productId", KeyType::S);
    let schema = Arc::new(Schema::new("Products", key, None));
    let options = DecodeOptions {
        engine,
        ..DecodeOptions::default()
    };
    let (mut rows, mut rejects) = (0_u64, Vec::new());
    let failed = |error: Error| format!("FAILED: {error}. Fix: {}", error.fix().unwrap_or("none"));
    let mut row = Row::default();
    let mut opened = match open(file, &options, &schema) {
        Ok(opened) => opened,
        Err(error) => return failed(error),
    };
    let end = loop {
        match opened.decoder.next(&mut row) {
            Ok(true) => rows += 1,
            Ok(false) => break String::new(),
            Err(Error::Row(reject)) => rejects.push(reject.reason.to_string()),
            Err(error) => break format!("; then {}", failed(error)),
        }
    };
    let mut text = match rows {
        1 => "1 row".to_owned(),
        _ => format!("{rows} rows"),
    };
    let total = rejects.len();
    rejects.dedup();
    if let Some(first) = rejects.first() {
        write!(text, ", {total} rejected: {first}").unwrap();
    }
    text + &end
}

fn table() -> String {
    let mut files: Vec<_> = std::fs::read_dir(folder())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut table = String::from("\n| File | What becomes of it |\n|---|---|\n");
    for path in files {
        let file = std::fs::read(&path).unwrap();
        let found = outcome(&file, Engine::Fast);
        assert_eq!(
            found,
            outcome(&file, Engine::Reference),
            "{}",
            path.display()
        );
        let name = path.file_name().unwrap().to_string_lossy();
        let name = name.split_once('-').map_or(&*name, |(_, name)| name);
        let found = found.replace('|', "\\|");
        writeln!(table, "| `{name}` | {found} |").unwrap();
    }
    table
}

#[test]
fn what_becomes_of_files_from_the_field_is_in_the_docs() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/FORMATS.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (before, after) = text.split_once(BEGIN).unwrap();
    let table = table();
    if std::env::var_os("INTAKE_WRITE_DOCS").is_some() {
        std::fs::write(&path, format!("{before}{BEGIN}{table}")).unwrap();
        return;
    }
    assert_eq!(
        after, table,
        "write it again: see this test's documentation"
    );
}
