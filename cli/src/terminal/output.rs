//! Standard output whose reader may go.

use std::io::{self, Write};

use super::outcome::{Failure, Outcome};

/// Standard output of a command that does more than print: once its reader has gone, what is written is dropped, and the
/// command goes on to its own end and exit code.
#[derive(Debug)]
pub struct Output(io::Stdout);

impl Output {
    /// Writes to the process's standard output.
    pub fn new() -> Self {
        Self(io::stdout())
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0.write(bytes) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(bytes.len()),
            written => written,
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self.0.flush() {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
            flushed => flushed,
        }
    }
}

/// The end of a command that only prints, as in `intake generate … | head`: a reader that has seen enough is no failure.
///
/// # Errors
///
/// Those of `ended`, but for that one.
pub fn forgive_reader(ended: Result<Outcome, Failure>) -> Result<Outcome, Failure> {
    match ended {
        Err(failure) if failure.is_reader_gone() => Ok(Outcome::Complete),
        ended => ended,
    }
}
