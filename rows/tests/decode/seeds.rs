//! The seeds of the fuzz targets, and some thousand changed ones, through the same checks: seconds of what `make fuzz`
//! does for minutes.

use std::path::Path;

use fastrand::Rng;

use crate::property;

/// Changed inputs a target.
const CHANGED: usize = 2000;
/// Bytes that mean something.
const BYTES: &[u8] = b"[]{}:,;|\"\\\n\r \t0e-.u\xef\xff";

/// The inputs in the folder of `target`, in the order of their names.
fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/seeds");
    let files = std::fs::read_dir(folder.join(target)).unwrap();
    let mut paths: Vec<_> = files.map(|file| file.unwrap().path()).collect();
    paths.sort();
    paths
        .iter()
        .map(|path| std::fs::read(path).unwrap())
        .collect()
}

/// As a fuzzer does without looking: bytes replaced, inserted, removed, doubled, or taken from another seed.
fn change(input: &mut Vec<u8>, other: &[u8], rng: &mut Rng) {
    for _ in 0..rng.usize(1..6) {
        let at = rng.usize(0..=input.len());
        let end = (at + rng.usize(0..24)).min(input.len());
        let byte = if rng.bool() {
            BYTES[rng.usize(0..BYTES.len())]
        } else {
            rng.u8(..)
        };
        match rng.u8(0..6) {
            0 | 1 if at < input.len() => input[at] = byte,
            2 => drop(input.drain(at..end)),
            3 => drop(input.splice(at..at, input[at..end].to_vec())),
            4 if !other.is_empty() => {
                let from = rng.usize(0..other.len());
                let to = (from + rng.usize(0..64)).min(other.len());
                input.splice(at..end, other[from..to].iter().copied());
            }
            _ => input.insert(at, byte),
        }
    }
}

/// An input that is printed if it fails.
struct Shown<'a>(&'a [u8]);

impl Drop for Shown<'_> {
    #[allow(clippy::print_stdout, reason = "the test's output")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("the input was b\"{}\"", self.0.escape_ascii());
        }
    }
}

fn replay(target: &str, check: fn(&[u8])) {
    let seeds = seeds(target);
    assert!(!seeds.is_empty());
    for seed in &seeds {
        check(Shown(seed).0);
    }
    let mut rng = Rng::with_seed(17);
    for number in 0..CHANGED {
        let mut input = seeds[number % seeds.len()].clone();
        change(&mut input, &seeds[rng.usize(0..seeds.len())], &mut rng);
        let shown = Shown(&input);
        check(shown.0);
    }
}

#[test]
fn json() {
    replay("json", property::json);
}

#[test]
fn jsonl() {
    replay("jsonl", property::jsonl);
}

#[test]
fn ddb_json() {
    replay("ddb_json", property::ddb_json);
}

#[test]
fn csv() {
    replay("csv", property::csv);
}

#[test]
fn decompress() {
    replay("decompress", property::decompress_any);
}
