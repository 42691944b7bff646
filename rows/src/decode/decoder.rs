//! What every decoder does.

use crate::error::Error;
use crate::item::Row;

/// Turns a file's text into rows, one a call.
pub trait Decoder {
    /// Reads the next row into `row`, whose buffers are reused. `false` is the end of the file.
    ///
    /// # Errors
    ///
    /// [`Error::Row`] for a row that cannot be written: call again for the next one. After any other error decoding is
    /// over and the method must not be called again.
    fn next(&mut self, row: &mut Row) -> Result<bool, Error>;
}
