//! What follows `intake import` about several workers.

use std::num::{NonZeroU64, NonZeroUsize};

use clap::Args;

/// More processes than this help no machine that one would start them on.
const WORKERS_MAX: usize = 256;

/// How an object is imported by several processes.
#[derive(Debug, Args)]
#[command(next_help_heading = "Several workers")]
pub struct WorkersArgs {
    /// Import an object by N processes at once, each of them a range of its bytes
    ///
    /// The object is cut at the ends of rows, also within JSON arrays and between quoted line breaks, and has a job as an
    /// uploaded file has: a worker that is killed is replaced, and the same command goes on with what is left after Ctrl-C or a crash.
    /// An object is imported once: to import it again, upload it again, or add --again. Compressed files cannot be cut; one worker imports them.
    /// Needs an object in S3 and the table of jobs, and writes its reports beside the object, under reports/.
    /// How the rows are read is told by the object's metadata (x-amz-meta-intake-format, -types, -delimiter, -encoding, -rows-at).
    #[arg(
        long,
        value_name = "N",
        value_parser = up_to::<WORKERS_MAX>,
        conflicts_with_all = ["dry_run", "rejects", "format", "types", "delimiter", "encoding", "rows_at", "decoder"]
    )]
    pub workers: Option<NonZeroUsize>,

    /// Cut the file although rows may share a key: the last row of a key in the file does not always win then
    ///
    /// Rows with the same key in different ranges have no order. Without this, a file is cut only if its upload declared that
    /// each row has a key of its own, with the metadata x-amz-meta-intake-unique-keys: true; all others are imported from
    /// beginning to end by one worker.
    #[arg(long, requires = "workers")]
    pub parallel: bool,

    /// Bytes of a range, such as 64MiB: the smaller, the less is done again after a crash [default: 256MiB]
    #[arg(long, value_name = "BYTES", requires = "workers", value_parser = bytes)]
    pub range_size: Option<NonZeroU64>,

    /// Imports a version of an object that was imported before once more
    #[arg(long, requires = "workers")]
    pub again: bool,
}

pub(super) fn up_to<const MAX: usize>(text: &str) -> Result<NonZeroUsize, String> {
    text.parse()
        .ok()
        .filter(|number: &NonZeroUsize| number.get() <= MAX)
        .ok_or_else(|| format!("it must be a number from 1 to {MAX}"))
}

/// A number of bytes, with a unit or not.
fn bytes(text: &str) -> Result<NonZeroU64, String> {
    let (digits, unit) = text.split_at(
        text.find(|c: char| !c.is_ascii_digit())
            .unwrap_or(text.len()),
    );
    let unit: Option<u64> = match unit.trim() {
        "" | "B" => Some(1),
        "KiB" => Some(1 << 10),
        "MiB" => Some(1 << 20),
        "GiB" => Some(1 << 30),
        _ => None,
    };
    let bytes = digits
        .parse::<u64>()
        .ok()
        .zip(unit)
        .and_then(|(number, unit)| number.checked_mul(unit));
    bytes
        .and_then(NonZeroU64::new)
        .ok_or_else(|| format!("\"{text}\" is no size; write 67108864, 65536KiB, 64MiB or 1GiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_may_have_units() {
        for (text, expected) in [
            ("1", Some(1)),
            ("2B", Some(2)),
            ("3KiB", Some(3 << 10)),
            ("64 MiB", Some(64 << 20)),
            ("1GiB", Some(1 << 30)),
            ("0", None),
            ("0MiB", None),
            ("", None),
            ("MiB", None),
            ("1MB", None),
            ("-1", None),
            ("99999999999999999999", None),
            ("18446744073709551615GiB", None),
        ] {
            assert_eq!(bytes(text).ok().map(NonZeroU64::get), expected, "{text}");
        }
    }
}
