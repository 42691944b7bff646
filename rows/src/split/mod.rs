//! Cuts a file into parts at the ends of rows without reading it from its beginning.
//!
//! Whether a comma or a line break ends a row depends on all the bytes before it: it may stand in a string, inside of quotes or
//! within a row. So a range of a file is scanned for every [state](Syntax) it might begin in. What comes of that, a [`Scan`],
//! is small, whatever the range's size: for each of these states the state at the end, how the depth changes, and the first
//! end of a row and how many there are. Ranges are scanned in any order and anywhere; [`cut`] goes through the scans in the
//! order of the file and knows the one true state at each of them.
//!
//! # The algebra
//!
//! Scans of one syntax are a monoid. [`Scan::then`] is its operation and the scan of no bytes its identity, and [`Scan::of`]
//! is a homomorphism from text: `Scan::of(s, ab) == Scan::of(s, a).then(&Scan::of(s, b))` for every way of cutting `ab`,
//! within a character, an escape, a quote that is doubled or a line break. It follows that `then` is associative, so that
//! scans can be put together in pieces, by many workers, and in any grouping. (Levels that are deeper than a decoder reads are
//! not kept, so of text that is nested deeper, which is broken for every decoder, the two sides may differ.)
//!
//! # What is scanned
//!
//! | Syntax | A row ends at | Depends on |
//! |---|---|---|
//! | JSON array | a comma in the array of rows | being in a string, after a backslash; depth |
//! | JSON Lines | the line break of a line that is not blank; with several objects on a line the file is not cut | whether the line is blank so far |
//! | CSV | a line break outside of quotes, after a record that is more than delimiters | quotes, the beginning of a cell or record |
//!
//! For JSON neither the depth nor the place of the rows' array in it is known to a range. But it is known how far the depth falls
//! below where the range began, and a comma is in a container that was open there only if the depth has never been lower than
//! at the comma. So these commas are kept apart by how far the depth has fallen, as far down as a decoder reads.
//!
//! A file that is broken has no true state behind the place where it is broken; up to there all is as in one that is not.
//! Parts that begin before that place are those of the unbroken file, and decoding the last of them finds the same place. Parts
//! behind it may begin anywhere: they hold rows that a reader from the beginning would never have come to.
//!
//! Nothing here decodes a row or says what is wrong with one.

mod blocks;
mod csv;
mod cut;
mod json;
mod lines;
mod scan;

pub use cut::{Part, cut};
pub use scan::{Scan, Syntax};

impl Scan {
    /// Scans `text`, which may begin and end anywhere.
    pub fn of(syntax: Syntax, text: &[u8]) -> Self {
        match syntax {
            Syntax::JsonArray => json::scan(text),
            Syntax::JsonLines => lines::scan(text),
            Syntax::Csv { delimiter } => csv::scan(text, delimiter),
        }
    }
}
