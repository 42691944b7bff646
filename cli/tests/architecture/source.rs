//! Which module of a crate names which other one, read from the text of its files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::graph::Graph;

/// A crate's modules, each with the modules that it names.
pub(crate) struct Crate {
    src: PathBuf,
    /// By path, such as `["decode", "json"]`; the crate's root is empty.
    modules: BTreeMap<Vec<String>, BTreeSet<Vec<String>>>,
}

impl Crate {
    pub(crate) fn read(src: &Path) -> Self {
        let mut files = Vec::new();
        collect(src, &mut files);
        let module_of = |file: &Path| {
            let path = file.strip_prefix(src).unwrap().with_extension("");
            let mut path: Vec<String> = path
                .iter()
                .map(|part| part.to_str().unwrap().to_owned())
                .collect();
            path.pop_if(|last| last == "mod" || path_is_root(last));
            path
        };
        let files: BTreeMap<Vec<String>, PathBuf> = files
            .into_iter()
            .map(|file| (module_of(&file), file))
            .collect();
        let modules = files.iter().map(|(module, file)| {
            let text = fs::read_to_string(file).unwrap();
            let is_child = |name: &str| {
                let child = [module.as_slice(), &[name.to_owned()]].concat();
                files.contains_key(&child)
            };
            let named = paths(&code(&text), module, is_child);
            let known = named.into_iter().map(|path| module_in(&files, path));
            (
                module.clone(),
                known.filter(|other| other != module).collect(),
            )
        });
        Self {
            src: src.to_owned(),
            modules: modules.collect(),
        }
    }

    /// What each file and folder at the top, and each folder below, depends on among its neighbors.
    pub(crate) fn places(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut places = BTreeMap::new();
        let graphs = self.graphs();
        let is_folder = |name: &String| graphs.iter().any(|(folder, _)| folder == name);
        for (folder, graph) in &graphs {
            for (name, depends) in &graph.arrows {
                let place = match folder.as_str() {
                    "" => name.clone(),
                    folder => format!("{folder}/{name}"),
                };
                let is_listed = folder.is_empty() && !matches!(name.as_str(), "lib" | "main");
                if is_listed || is_folder(&place) {
                    places.insert(place, depends.clone());
                }
            }
        }
        places
    }

    /// The files at the top.
    pub(crate) fn top_files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.src)
            .unwrap()
            .map(|entry| entry.unwrap().path());
        let files = entries.filter(|path| path.is_file());
        files
            .map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
            .collect()
    }

    /// The `mod.rs` of every folder.
    pub(crate) fn rooms(&self) -> Vec<PathBuf> {
        let mut files = Vec::new();
        collect(&self.src, &mut files);
        files.retain(|file| file.ends_with("mod.rs"));
        files
    }

    /// Which modules below `entry` name which modules outside of it.
    pub(crate) fn arrows(&self, entry: &str) -> BTreeSet<String> {
        let inside = self
            .modules
            .iter()
            .filter(|(path, _)| path.first().is_some_and(|f| f == entry));
        inside
            .flat_map(|(path, others)| others.iter().map(move |other| (path, other)))
            .filter(|(_, other)| other.first().is_none_or(|first| first != entry))
            .map(|(path, other)| format!("{} -> {}", path.join("::"), other.join("::")))
            .collect()
    }

    /// The arrows inside of each folder, the crate's first: between what is in it, all that is below counted for it.
    pub(crate) fn graphs(&self) -> Vec<(String, Graph)> {
        let folders = self.modules.keys().filter(|folder| {
            folder.is_empty()
                || self
                    .modules
                    .keys()
                    .any(|m| m.len() > folder.len() && m.starts_with(folder))
        });
        let graph = |folder: &Vec<String>| {
            let mut graph = Graph::default();
            for (path, others) in &self.modules {
                let Some(from) = member(folder, path) else {
                    continue;
                };
                // The crate's root names the rest, and what it hands on is for others.
                if folder.is_empty() && from == "mod" {
                    continue;
                }
                graph.node(from);
                for to in others.iter().filter_map(|other| member(folder, other)) {
                    graph.arrow(
                        from,
                        if folder.is_empty() && to == "mod" {
                            "lib"
                        } else {
                            to
                        },
                    );
                }
            }
            graph.node(if folder.is_empty() { "lib" } else { "mod" });
            (folder.join("/"), graph)
        };
        folders.map(graph).collect()
    }
}

/// What the module `path` counts for in `folder`: its own file is `mod`, and what is outside of it does not count.
fn member<'p>(folder: &[String], path: &'p [String]) -> Option<&'p str> {
    let is_inside = path.starts_with(folder);
    is_inside.then(|| path.get(folder.len()).map_or("mod", String::as_str))
}

fn path_is_root(name: &str) -> bool {
    matches!(name, "lib")
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("tests.rs")
        {
            files.push(path);
        }
    }
}

/// The module that the item at `path` is in: the longest beginning of the path that is one.
fn module_in(files: &BTreeMap<Vec<String>, PathBuf>, mut path: Vec<String>) -> Vec<String> {
    while !files.contains_key(&path) {
        path.pop();
    }
    path
}

/// A file's text without comments, tests, and what it only hands on or declares.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod ").next().unwrap();
    let lines = text
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let text: String = lines.map(|line| format!("{line}\n")).collect();
    let statements = text.split_inclusive(';').filter(|statement| {
        let statement = statement.trim_start();
        !(statement.starts_with("pub use ") || statement.starts_with("pub(crate) use "))
    });
    statements.collect()
}

/// The absolute paths that `code` of the module `here` names by `crate::`, `super::`, `self::` or a child's name.
fn paths(code: &str, here: &[String], is_child: impl Fn(&str) -> bool) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    for (at, _) in code.char_indices() {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let rest = &code[at..];
        let Some((first, _)) = rest.split_once("::") else {
            break;
        };
        if matches!(first, "crate" | "super" | "self") || is_child(first) {
            tree(rest, &mut Vec::new(), here, &mut found);
        }
    }
    found
}

/// Reads a path or a tree of paths (`a::{b, c::d}`) that `text` begins with, below `prefix`, and gives what follows.
fn tree<'t>(
    mut text: &'t str,
    prefix: &mut Vec<String>,
    here: &[String],
    found: &mut Vec<Vec<String>>,
) -> &'t str {
    let begun = prefix.len();
    loop {
        text = text.trim_start();
        if let Some(mut members) = text.strip_prefix('{') {
            while !members.is_empty() {
                members = tree(members, prefix, here, found).trim_start();
                match members.strip_prefix(',') {
                    Some(next) => members = next,
                    None => break,
                }
            }
            text = members.trim_start().strip_prefix('}').unwrap_or(members);
            break;
        }
        let end = text
            .find(|c: char| !(c.is_alphanumeric() || c == '_' || c == '*'))
            .unwrap_or(text.len());
        if end == 0 {
            break;
        }
        prefix.push(text[..end].to_owned());
        text = &text[end..];
        if let Some(rest) = text.strip_prefix("::") {
            text = rest;
            continue;
        }
        found.push(absolute(prefix, here));
        if let Some(rest) = text.trim_start().strip_prefix("as ") {
            let end = rest.find([',', '}', ';']).unwrap_or(rest.len());
            text = &rest[end..];
        }
        break;
    }
    prefix.truncate(begun);
    text
}

fn absolute(path: &[String], here: &[String]) -> Vec<String> {
    let mut absolute = here.to_vec();
    for part in path {
        match part.as_str() {
            "crate" => absolute.clear(),
            "self" => {}
            "super" => {
                absolute.pop();
            }
            part => absolute.push(part.to_owned()),
        }
    }
    absolute
}

#[test]
fn paths_are_read_from_code() {
    let here = ["a".to_owned(), "b".to_owned()];
    let text = "
        use crate::c::{D, e::{self, F as G}};
        use super::h::I;
        pub use crate::z::Z;
        // crate::y::Y
        fn f(_: self::j::K) -> super::super::l::M<std::self_test> { xcrate::n(m::O) }
        #[cfg(test)]\nmod tests { use crate::x::X; }"
        .replace("        ", "");
    let found: Vec<String> = paths(&code(&text), &here, |name| name == "m")
        .iter()
        .map(|path| path.join("::"))
        .collect();
    assert_eq!(
        found,
        [
            "c::D",
            "c::e",
            "c::e::F",
            "a::h::I",
            "a::b::j::K",
            "l::M",
            "a::b::m::O"
        ]
    );
}
