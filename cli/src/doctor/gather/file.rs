use std::fs::File;
use std::io::{self, BufReader};
use std::path::Path;
use std::sync::Arc;

use rows::{DecodeOptions, Error, Reason, Row, Schema, open};

use crate::doctor::facts::{self, FileProblem};
use crate::terminal::causes;

/// Rows that are looked at: a wrong key is wrong in the first ones. `intake validate` looks at all.
const ROWS: usize = 1_000;

/// Looks whether the first rows of a file fit a table.
pub(super) fn check(path: &Path, schema: &Schema) -> facts::File {
    let problem = match File::open(path) {
        Ok(file) => problem(file, schema),
        Err(error) => Some(unreadable(&error)),
    };
    facts::File { problem }
}

fn problem(file: File, schema: &Schema) -> Option<FileProblem> {
    let options = DecodeOptions::default();
    let mut opened = match open(BufReader::new(file), &options, &Arc::new(schema.clone())) {
        Ok(opened) => opened,
        Err(error) => return Some(broken(&error)),
    };
    let mut row = Row::default();
    let mut other = None;
    for _ in 0..ROWS {
        match opened.decoder.next(&mut row) {
            Ok(true) => {}
            Ok(false) => break,
            Err(Error::Row(reject)) => {
                let problem = format!("{}, {}", reject.position, reject.reason);
                if is_about_key(&reject.reason) {
                    return Some(FileProblem::Key(problem));
                }
                other.get_or_insert(FileProblem::Row(problem));
            }
            Err(error) => return Some(broken(&error)),
        }
    }
    other
}

fn is_about_key(reason: &Reason) -> bool {
    matches!(reason, Reason::MissingKey { .. } | Reason::KeyType { .. })
}

fn broken(error: &Error) -> FileProblem {
    FileProblem::Broken(causes(error), error.fix().unwrap_or_default().to_owned())
}

fn unreadable(error: &io::Error) -> FileProblem {
    FileProblem::Broken(
        format!("it cannot be opened: {error}"),
        "check the path and its permissions".to_owned(),
    )
}
