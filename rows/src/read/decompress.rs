//! Undoes gzip, zlib and zstd, also one in the other, recognized by their first bytes, not by the file's name.

use std::io::{self, BufRead, Cursor, Read};

use flate2::bufread::{GzDecoder, ZlibDecoder};

/// How a file is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Compression {
    /// Not at all.
    None,
    /// gzip, one or several members.
    Gzip,
    /// Zstandard, one or several frames.
    Zstd,
    /// zlib.
    Zlib,
}

impl Compression {
    /// The compression's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Zlib => "zlib",
        }
    }
}

impl Compression {
    /// How a file is compressed that begins with `start`.
    fn of(start: &[u8]) -> Self {
        match *start {
            // https://www.rfc-editor.org/rfc/rfc1952#section-2.3.1
            [0x1f, 0x8b, ..] => Self::Gzip,
            // https://www.rfc-editor.org/rfc/rfc8878#section-3.1; a skippable frame may come first.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Self::Zstd,
            // https://www.rfc-editor.org/rfc/rfc1950#section-2.2; a file of text may begin with "x^".
            [0x78, 0x01 | 0x9c | 0xda, ..] => Self::Zlib,
            [0x78, 0x5e, next, ..] if !(b'\t'..0x80).contains(&next) => Self::Zlib,
            _ => Self::None,
        }
    }
}

/// Bytes by which a compression is recognized.
const MAGIC_BYTES: usize = 4;

/// Most compressions one in the other.
const LAYERS_MAX: usize = 3;

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

/// Opens `reader` as what its first bytes say it is. Gives the outermost compression.
///
/// A damaged or cut-off file shows as an [`io::Error`] of the returned reader; data after the last gzip member is one, unless it is
/// zeros, with which tapes and disks are padded.
///
/// # Errors
///
/// Those of `reader`, and zstd's if it cannot be set up.
pub fn decompress<'r, R: Read + 'r>(reader: R) -> io::Result<(Compression, Box<dyn Read + 'r>)> {
    let (mut magic, mut reader) = peek(reader, MAGIC_BYTES)?;
    let outermost = Compression::of(&magic);
    for _ in 0..LAYERS_MAX {
        let compression = Compression::of(&magic);
        if compression == Compression::None {
            break;
        }
        let buffered = FullReader::new(reader);
        let inner: Box<dyn Read + 'r> = match compression {
            Compression::None => Box::new(buffered),
            Compression::Gzip => Box::new(Members::<_, GzDecoder<_>>::new(buffered)),
            Compression::Zlib => Box::new(Members::<_, ZlibDecoder<_>>::new(buffered)),
            Compression::Zstd => zstd_reader(buffered)?,
        };
        (magic, reader) = match peek(inner, MAGIC_BYTES) {
            Ok(peeked) => peeked,
            // It is damaged at its very beginning, which is found out by reading it.
            Err(error) => return Ok((outermost, Box::new(Failing(Some(error))))),
        };
    }
    Ok((outermost, reader))
}

/// Reads ahead as much as there is room for. So what a decompressor gives before it finds damage does not depend on the pieces in
/// which its input comes.
struct FullReader<R> {
    inner: R,
    buffer: Vec<u8>,
    at: usize,
    failure: Option<io::Error>,
}

impl<R: Read> FullReader<R> {
    fn new(inner: R) -> Self {
        Self {
            inner,
            buffer: Vec::new(),
            at: 0,
            failure: None,
        }
    }
}

impl<R: Read> BufRead for FullReader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.at == self.buffer.len() {
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            self.at = 0;
            self.buffer.clear();
            let mut input = self.inner.by_ref().take(INPUT_BUFFER_BYTES as u64);
            match input.read_to_end(&mut self.buffer) {
                Err(failure) if self.buffer.is_empty() => return Err(failure),
                // What came before counts.
                read => self.failure = read.err(),
            }
        }
        Ok(&self.buffer[self.at..])
    }

    fn consume(&mut self, bytes: usize) {
        self.at += bytes;
    }
}

impl<R: Read> Read for FullReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let read = self.fill_buf()?.read(out)?;
        self.consume(read);
        Ok(read)
    }
}

/// A member of a file that is several compressed streams one after the other.
trait Member<R>: Read + Sized {
    fn begin(source: R) -> io::Result<Self>;
    /// What is behind it, once it is read to its end.
    fn end(self) -> R;
}

impl<R: BufRead> Member<R> for GzDecoder<R> {
    fn begin(source: R) -> io::Result<Self> {
        Ok(Self::new(source))
    }

    fn end(self) -> R {
        self.into_inner()
    }
}

impl<R: BufRead> Member<R> for ZlibDecoder<R> {
    fn begin(source: R) -> io::Result<Self> {
        Ok(Self::new(source))
    }

    fn end(self) -> R {
        self.into_inner()
    }
}

#[cfg(feature = "zstd")]
impl<R: BufRead> Member<R> for zstd::Decoder<'static, R> {
    fn begin(source: R) -> io::Result<Self> {
        let mut decoder = Self::with_buffer(source)?;
        decoder.window_log_max(ZSTD_WINDOW_LOG_MAX)?;
        Ok(decoder.single_frame())
    }

    fn end(self) -> R {
        self.finish()
    }
}

/// Reads members one after the other, and zeros behind them.
struct Members<R, M> {
    source: Option<R>,
    member: Option<M>,
}

impl<R: BufRead, M: Member<R>> Members<R, M> {
    fn new(source: R) -> Self {
        Self {
            source: Some(source),
            member: None,
        }
    }
}

impl<R: BufRead, M: Member<R>> Read for Members<R, M> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if out.is_empty() {
            return Ok(0);
        }
        loop {
            if let Some(member) = &mut self.member {
                let read = member.read(out)?;
                if read > 0 {
                    return Ok(read);
                }
            }
            if let Some(member) = self.member.take() {
                self.source = Some(member.end());
            }
            let Some(source) = &mut self.source else {
                return Ok(0);
            };
            if !pass_zeros(source)? {
                return Ok(0);
            }
            if let Some(source) = self.source.take() {
                self.member = Some(M::begin(source)?);
            }
        }
    }
}

/// Passes zeros; `false` if there is nothing else.
pub(super) fn pass_zeros(source: &mut impl BufRead) -> io::Result<bool> {
    loop {
        let buffer = source.fill_buf()?;
        let zeros = buffer.iter().take_while(|&&byte| byte == 0).count();
        if buffer.is_empty() || zeros < buffer.len() {
            let is_end = buffer.is_empty();
            source.consume(zeros);
            return Ok(!is_end);
        }
        source.consume(zeros);
    }
}

#[cfg(feature = "zstd")]
#[allow(clippy::unnecessary_wraps, reason = "others can fail")]
fn zstd_reader<'r>(buffered: impl BufRead + 'r) -> io::Result<Box<dyn Read + 'r>> {
    Ok(Box::new(Members::<_, zstd::Decoder<'static, _>>::new(
        buffered,
    )))
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
        let padded = [&two_members[..], &vec![0; 100_000]].concat();
        let padded_frames = [&zstd[..], &[0; 9]].concat();
        let twice = gzip(&gzip(b"rows"));
        let zstd_in_gzip = gzip(&zstd);
        let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        zlib.write_all(b"rows").unwrap();
        let zlib = zlib.finish().unwrap();
        let first_skippable = skippable.clone();
        let cases: [(&[u8], Compression, &[u8]); 15] = [
            (b"rows", Compression::None, b"rows"),
            (b"", Compression::None, b""),
            (b"\x1f", Compression::None, b"\x1f"),
            (&gzip(b"rows"), Compression::Gzip, b"rows"),
            (&two_members, Compression::Gzip, b"rows"),
            (&zstd, Compression::Zstd, b"rows"),
            (&two_frames, Compression::Zstd, b"rows"),
            (&after_frame, Compression::Zstd, b"rowsrows"),
            (&first_skippable, Compression::Zstd, b"rows"),
            (&padded, Compression::Gzip, b"rows"),
            (&padded_frames, Compression::Zstd, b"rows"),
            (&twice, Compression::Gzip, b"rows"),
            (&zstd_in_gzip, Compression::Gzip, b"rows"),
            (&zlib, Compression::Zlib, b"rows"),
            (b"x^2,y\n", Compression::None, b"x^2,y\n"),
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
