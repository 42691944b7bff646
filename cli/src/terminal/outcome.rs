//! How a command ends: its exit code, and what it says if it fails.

use std::error::Error;
use std::fmt;
use std::io::{self, Write};
use std::process::ExitCode;

use importer::jobs::Status;

/// The end of a command that did what it was asked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Everything was written: exit code 0.
    Complete,
    /// Finished, but some rows were rejected: exit code 3.
    Rejects,
    /// Nothing wrong was found, but not everything could be checked: exit code 3.
    Unchecked,
    /// The failure has been told already: exit code 1.
    Failed,
}

impl Outcome {
    /// The end of a command that saw a job end so, which it has told.
    pub fn of(status: Status) -> Self {
        match status {
            Status::Completed => Self::Complete,
            Status::CompletedWithRejects => Self::Rejects,
            Status::Failed
            | Status::Superseded
            | Status::Cancelled
            | Status::Queued
            | Status::Running => Self::Failed,
        }
    }
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        ExitCode::from(match outcome {
            Outcome::Complete => 0,
            Outcome::Failed => 1,
            Outcome::Rejects | Outcome::Unchecked => 3,
        })
    }
}

/// Why a command could not do what it was asked to, in words for the person who typed it.
///
/// # Examples
///
/// ```
/// use intake::terminal::Failure;
///
/// let failure = Failure::new("table Prices does not exist").fix("create it, or name another with --table");
/// assert_eq!(
///     failure.to_string(),
///     "error: table Prices does not exist\nfix: create it, or name another with --table"
/// );
/// ```
#[derive(Debug)]
pub struct Failure {
    message: String,
    fix: Option<String>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Exit code 1.
    Failed,
    /// Exit code 2, as for arguments that do not parse.
    Usage,
    /// The reader of standard output has gone: exit code 1, unless to print is all that the command does.
    ReaderGone,
}

impl Failure {
    /// A failure without a known fix.
    pub fn new(message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            fix: None,
            kind: Kind::Failed,
        }
    }

    /// Arguments that contradict each other.
    pub fn usage(message: impl Into<String>) -> Self {
        Self {
            kind: Kind::Usage,
            ..Self::new(message)
        }
    }

    /// A failure at `place`, told with every cause of `error`.
    pub fn caused(place: impl fmt::Display, error: &dyn Error) -> Self {
        Self::new(format!("{place}: {}", causes(error)))
    }

    /// The same, with what to do about it.
    #[must_use]
    pub fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// What failed, without its fix.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether all that failed is that the reader of standard output has gone.
    pub(super) fn is_reader_gone(&self) -> bool {
        self.kind == Kind::ReaderGone
    }

    /// Tells standard error.
    pub fn report(&self) -> ExitCode {
        tell(self);
        ExitCode::from(match self.kind {
            Kind::Failed | Kind::ReaderGone => 1,
            Kind::Usage => 2,
        })
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments and names of objects are in both, and may hold anything.
        write!(f, "error: {}", rows::prose(&self.message))?;
        if let Some(fix) = &self.fix {
            write!(f, "\nfix: {}", rows::prose(fix))?;
        }
        Ok(())
    }
}

/// A failure to write what was asked for.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        let kind = match error.kind() {
            io::ErrorKind::BrokenPipe => Kind::ReaderGone,
            _ => Kind::Failed,
        };
        Self {
            kind,
            ..Self::caused("cannot write to standard output", &error)
        }
    }
}

impl From<cloud::Unsupported> for Failure {
    fn from(error: cloud::Unsupported) -> Self {
        Self::usage(rows::prose(&error.to_string())).fix(error.fix())
    }
}

impl From<importer::Error> for Failure {
    fn from(error: importer::Error) -> Self {
        let failure = Self::new(rows::prose(&causes(&error)));
        match error.fix() {
            Some(fix) => failure.fix(rows::prose(fix)),
            None => failure,
        }
    }
}

/// Writes a line to standard error. If that is closed, nothing is left to tell it to.
pub fn tell(text: impl fmt::Display) {
    writeln!(io::stderr(), "{text}").ok();
}

/// `error` and its causes, outermost first, without those that only repeat the one before.
pub fn causes(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.ends_with(&message) {
            text.push_str(": ");
            text.push_str(&message);
        }
        cause = error.source();
    }
    text
}

/// Several lines of text without what would do something to a terminal.
pub fn harmless(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

fn escaped(line: &str) -> String {
    let mut text = String::with_capacity(line.len());
    for character in line.chars() {
        if rows::is_unsafe(character) {
            text.extend(character.escape_default());
        } else {
            text.push(character);
        }
    }
    text
}

/// One line of JSON, of which a terminal shows every character: the others are escaped in the way of JSON.
pub fn harmless_json(json: &str) -> String {
    let mut line = String::with_capacity(json.len());
    for character in json.chars() {
        if rows::is_unsafe(character) {
            // Outside of strings there are none.
            let units = character.encode_utf16(&mut [0; 2]).to_vec();
            line.extend(units.iter().map(|unit| format!("\\u{unit:04x}")));
        } else {
            line.push(character);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_is_printed_does_something_to_a_terminal() {
        let name = "a\u{202e}\u{7f}\u{1b}\nb";
        let failure = Failure::new(format!("no job {name}")).fix(format!("not {name}"));
        let said = r"a\u{202e}\u{7f}\u{1b}\nb";
        assert_eq!(
            failure.to_string(),
            format!("error: no job {said}\nfix: not {said}")
        );
        let value = serde_json::json!({ "key": name });
        let line = harmless_json(&value.to_string());
        assert_eq!(line, r#"{"key":"a\u202e\u007f\u001b\nb"}"#);
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&line).unwrap(),
            value
        );
        assert_eq!(harmless("a\u{1b}[31m\nb"), "a\\u{1b}[31m\nb");
    }

    #[derive(Debug)]
    struct Chain(&'static str, Option<Box<Chain>>);

    impl fmt::Display for Chain {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(self.0)
        }
    }

    impl Error for Chain {
        fn source(&self) -> Option<&(dyn Error + 'static)> {
            self.1.as_ref().map(|cause| &**cause as _)
        }
    }

    #[test]
    fn causes_are_told_once_each() {
        let chain = Chain(
            "cannot read",
            Some(Box::new(Chain(
                "refused",
                Some(Box::new(Chain("refused", None))),
            ))),
        );
        assert_eq!(causes(&chain), "cannot read: refused");
    }

    #[test]
    fn a_closed_pipe_is_forgiven_only_where_that_is_asked_for() {
        use super::super::forgive_reader;
        let failures = [
            (
                Failure::from(io::Error::from(io::ErrorKind::BrokenPipe)),
                1,
                true,
            ),
            (
                Failure::from(io::Error::from(io::ErrorKind::StorageFull)),
                1,
                false,
            ),
            (Failure::new("no"), 1, false),
            (Failure::usage("no"), 2, false),
        ];
        for (failure, code, is_forgiven) in failures {
            assert_eq!(failure.report(), ExitCode::from(code));
            assert_eq!(forgive_reader(Err(failure)).is_ok(), is_forgiven);
        }
    }
}
