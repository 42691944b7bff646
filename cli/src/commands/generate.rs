//! `intake generate`.

use std::io::{self, BufWriter};

use crate::args::GenerateArgs;
use crate::terminal::{Failure, Outcome, forgive_reader};
use generator::Generator;

/// Bytes collected before they are written to standard output.
const OUTPUT_BUFFER_BYTES: usize = 64 * 1024;

/// Writes test data to standard output.
pub(super) fn run(args: &GenerateArgs) -> Result<Outcome, Failure> {
    let written = Generator::new(args.rows, args.shape, args.format)
        .seed(args.seed)
        .duplicates_percent(args.duplicates)
        .write_to(&mut BufWriter::with_capacity(
            OUTPUT_BUFFER_BYTES,
            io::stdout().lock(),
        ));
    forgive_reader(written.map(|()| Outcome::Complete).map_err(Failure::from))
}
