//! The tree is the architecture: which crates and folders there are, and what each may depend on, is what the tables of
//! `docs/ARCHITECTURE.md` say.

// `allow-unwrap-in-tests` covers test functions, not what they call.
#![allow(clippy::unwrap_used)]

mod graph;
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use graph::Graph;
use source::Crate;

/// The crates whose folders the tables list.
const CRATES: [&str; 7] = [
    "rows",
    "generator",
    "cloud",
    "importer",
    "notifier",
    "local",
    "cli",
];
/// Most files at the top of a `src`, beside its folders.
const TOP_FILES_MAX: usize = 10;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The rows of the tables that begin with `heading`: a name, and the names that it may depend on.
fn table(heading: &str) -> BTreeMap<String, BTreeSet<String>> {
    let text = std::fs::read_to_string(root().join("docs/ARCHITECTURE.md")).unwrap();
    let names = |cell: &str| -> BTreeSet<String> {
        let names = cell.split('`').skip(1).step_by(2);
        names
            .map(|name| name.trim_end_matches('/').to_owned())
            .collect()
    };
    let mut rows = BTreeMap::new();
    let mut inside = false;
    for line in text.lines() {
        let Some(cells) = line.strip_prefix("| ").or_else(|| line.strip_prefix('|')) else {
            inside = false;
            continue;
        };
        let cells: Vec<&str> = cells.split('|').map(str::trim).collect();
        if cells[0] == heading {
            inside = true;
        } else if inside && !cells[0].starts_with("---") {
            let name = names(cells[0]).pop_first().expect("a name in backticks");
            rows.insert(name, names(cells[2]));
        }
    }
    assert!(!rows.is_empty(), "there is no table {heading}");
    rows
}

#[test]
fn every_folder_is_in_its_table_and_uses_only_what_it_may() {
    for name in CRATES {
        let krate = Crate::read(&root().join(name).join("src"));
        let (places, documented) = (krate.places(), table(&format!("`{name}/src`")));
        for (place, depends) in &places {
            let Some(may) = documented.get(place) else {
                panic!("docs/ARCHITECTURE.md has no line for {name}/src/{place}");
            };
            assert_eq!(
                depends,
                may,
                "what {name}/src/{place} uses is not what docs/ARCHITECTURE.md says: {:#?}",
                krate.arrows(place)
            );
        }
        for place in documented.keys() {
            assert!(places.contains_key(place), "{name}/src/{place} is gone");
        }
    }
}

#[test]
fn no_circle_between_folders_and_only_pairs_inside() {
    for name in CRATES {
        let krate = Crate::read(&root().join(name).join("src"));
        for (folder, graph) in krate.graphs() {
            let most = if folder.is_empty() { 1 } else { 2 };
            for circle in graph.circles() {
                assert!(
                    circle.len() <= most,
                    "a circle in {name}/src/{folder}: {circle:?}\n{graph}"
                );
            }
        }
    }
}

#[test]
fn the_top_of_each_crate_is_short_and_each_room_says_what_it_is_for() {
    for name in CRATES {
        let src = root().join(name).join("src");
        let krate = Crate::read(&src);
        let files = krate.top_files();
        assert!(files.len() <= TOP_FILES_MAX, "{name}/src: {files:?}");
        for room in krate.rooms() {
            let text = std::fs::read_to_string(&room).unwrap();
            assert!(
                text.starts_with("//! "),
                "{} has no purpose",
                room.display()
            );
        }
    }
}

/// What each crate of the workspace depends on among them, tests apart, by `cargo metadata`.
fn crates() -> Graph {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let name = |package: &serde_json::Value| package["name"].as_str().unwrap().to_owned();
    let members: BTreeSet<String> = packages.iter().map(name).collect();
    let mut graph = Graph::default();
    for package in packages {
        graph.node(&name(package));
        for dependency in package["dependencies"].as_array().unwrap() {
            if dependency["kind"].is_null() && members.contains(&name(dependency)) {
                graph.arrow(&name(package), &name(dependency));
            }
        }
    }
    graph
}

#[test]
fn crates_depend_only_on_what_they_may() {
    let (real, documented) = (crates(), table("Crate"));
    for (name, depends) in &real.arrows {
        let may = documented.get(name);
        let may =
            may.unwrap_or_else(|| panic!("docs/ARCHITECTURE.md has no line for crate {name}"));
        assert_eq!(depends, may, "{name}");
    }
    assert_eq!(real.arrows.len(), documented.len(), "a crate is gone");
}
