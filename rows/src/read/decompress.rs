//! Undoes gzip and zstd, recognised by their first bytes, not by the file's name.

use std::io::{self, BufRead, BufReader, Cursor, Read};

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, one or several members.
    Gzip,
    /// Zstandard, one or several frames.
    Zstd,
}

impl Compression {
    /// The compression's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
        }
    }
}

/// <https://www.rfc-editor.org/rfc/rfc1952#section-2.3.1>
const GZIP_MAGIC: &[u8] = &[0x1f, 0x8b];
/// <https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1>
const ZSTD_MAGIC: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// Largest zstd window that is accepted, as a power of two: 32 MiB. All levels up to `--ultra -20` stay within it; larger
/// ones would break the promise that an import needs at most 128 MiB.
///
/// <https://www.rfc-editor.org/rfc/rfc8878#section-3.1.1.1.2>
#[cfg_attr(not(any(feature = "ruzstd", feature = "zstd")), allow(dead_code))]
const ZSTD_WINDOW_LOG_MAX: u32 = 25;

/// Bytes read ahead of the decompressor.
const INPUT_BUFFER_BYTES: usize = 64 * 1024;

/// Reads as many of the first `count` bytes of `reader` as there are, and a reader that begins with them again.
///
/// # Errors
///
/// Those of `reader`, if it gives no byte at all; else they come after the bytes, so that no row is lost to them.
pub(crate) fn peek<'r, R: Read + 'r>(
    mut reader: R,
    count: usize,
) -> io::Result<(Vec<u8>, Box<dyn Read + 'r>)> {
    let mut prefix = Vec::with_capacity(count.min(64 * 1024));
    let read = reader.by_ref().take(count as u64).read_to_end(&mut prefix);
    let again = Cursor::new(prefix.clone());
    match read {
        Ok(_) => Ok((prefix, Box::new(again.chain(reader)))),
        Err(e) if prefix.is_empty() => Err(e),
        Err(e) => Ok((prefix, Box::new(again.chain(Failing(Some(e)))))),
    }
}

/// A reader that failed.
pub(crate) struct Failing(pub(crate) Option<io::Error>);

impl Read for Failing {
    fn read(&mut self, _out: &mut [u8]) -> io::Result<usize> {
        // Nobody reads on after an error; were it done, it must not look like the end.
        let again = || io::Error::other("reading failed before");
        Err(self.0.take().unwrap_or_else(again))
    }
}

/// Opens `reader` as what its first bytes say it is.
///
/// A damaged or cut-off file shows as an [`io::Error`] of the returned reader; data after the last gzip member is one.
///
/// # Errors
///
/// Those of `reader`, and zstd's if it cannot be set up.
pub fn decompress<'r, R: Read + 'r>(reader: R) -> io::Result<(Compression, Box<dyn Read + 'r>)> {
    let (magic, reader) = peek(reader, ZSTD_MAGIC.len())?;
    if magic.starts_with(GZIP_MAGIC) {
        let buffered = BufReader::with_capacity(INPUT_BUFFER_BYTES, reader);
        Ok((
            Compression::Gzip,
            Box::new(flate2::bufread::MultiGzDecoder::new(buffered)),
        ))
    } else if magic == ZSTD_MAGIC {
        let buffered = BufReader::with_capacity(INPUT_BUFFER_BYTES, reader);
        Ok((Compression::Zstd, zstd_reader(buffered)?))
    } else {
        Ok((Compression::None, reader))
    }
}

#[cfg(feature = "zstd")]
fn zstd_reader<'r>(buffered: impl BufRead + 'r) -> io::Result<Box<dyn Read + 'r>> {
    let mut decoder = zstd::Decoder::with_buffer(buffered)?;
    decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
    Ok(Box::new(decoder))
}

#[cfg(all(feature = "ruzstd", not(feature = "zstd")))]
#[allow(clippy::unnecessary_wraps, reason = "the C library can fail")]
fn zstd_reader<'r>(buffered: impl BufRead + 'r) -> io::Result<Box<dyn Read + 'r>> {
    let frames = super::frames::Frames::new(buffered, 1 << ZSTD_WINDOW_LOG_MAX);
    Ok(Box::new(frames))
}

#[cfg(not(any(feature = "ruzstd", feature = "zstd")))]
fn zstd_reader<'r>(_: impl BufRead + 'r) -> io::Result<Box<dyn Read + 'r>> {
    Err(io::Error::new(
        io::ErrorKind::Unsupported,
        "this program was built without Zstandard",
    ))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(data: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(data).unwrap();
        encoder.finish().unwrap()
    }

    fn read(input: &[u8]) -> io::Result<(Compression, Vec<u8>)> {
        let (compression, mut reader) = decompress(input)?;
        let mut out = Vec::new();
        reader.read_to_end(&mut out)?;
        Ok((compression, out))
    }

    #[test]
    fn knows_each_format_by_its_first_bytes() {
        let zstd = zstd::encode_all(&b"rows"[..], 3).unwrap();
        let two_members = [gzip(b"ro"), gzip(b"ws")].concat();
        let two_frames = [
            zstd::encode_all(&b"ro"[..], 3).unwrap(),
            zstd::encode_all(&b"ws"[..], 3).unwrap(),
        ]
        .concat();
        // A skippable frame of two bytes before the others.
        let skippable = [&[0x50, 0x2A, 0x4D, 0x18, 2, 0, 0, 0, 1, 2], &zstd[..]].concat();
        let after_frame = [&zstd[..], &skippable[..]].concat();
        let cases: [(&[u8], Compression, &[u8]); 8] = [
            (b"rows", Compression::None, b"rows"),
            (b"", Compression::None, b""),
            (b"\x1f", Compression::None, b"\x1f"),
            (&gzip(b"rows"), Compression::Gzip, b"rows"),
            (&two_members, Compression::Gzip, b"rows"),
            (&zstd, Compression::Zstd, b"rows"),
            (&two_frames, Compression::Zstd, b"rows"),
            (&after_frame, Compression::Zstd, b"rowsrows"),
        ];
        for (input, compression, output) in cases {
            assert_eq!(
                read(input).unwrap(),
                (compression, output.to_vec()),
                "{input:?}"
            );
        }
    }

    #[test]
    fn a_cut_off_file_is_an_error() {
        let data: Vec<u8> = (0..100_000_u32).flat_map(u32::to_le_bytes).collect();
        for whole in [gzip(&data), zstd::encode_all(&data[..], 3).unwrap()] {
            for cut in [whole.len() / 2, whole.len() - 1] {
                assert!(
                    read(&whole[..cut]).is_err(),
                    "cut at {cut} of {}",
                    whole.len()
                );
            }
        }
    }

    #[test]
    fn a_window_past_the_memory_promise_is_refused() {
        let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(ZSTD_WINDOW_LOG_MAX + 1).unwrap();
        encoder.write_all(&vec![b'x'; 1 << 20]).unwrap();
        let error = read(&encoder.finish().unwrap()).unwrap_err();
        let error = error.to_string().to_lowercase();
        assert!(
            error.contains("memory") || error.contains("window"),
            "{error}"
        );
    }
}
