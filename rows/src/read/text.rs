//! Turns a file's text into UTF-8: byte order marks are dropped, UTF-16 and named encodings are converted.

use std::io::{self, Read};
use std::ops::Range;

use encoding_rs::{Decoder, DecoderResult, Encoding, UTF_8, UTF_16BE, UTF_16LE};

use super::decompress::peek;
use crate::item::quoted;

const UTF_8_BOM: &[u8] = &[0xEF, 0xBB, 0xBF];
/// Bytes converted at a time.
const INPUT_BYTES: u64 = 16 * 1024;
/// Room for what they become: three bytes for one at the most.
const OUTPUT_BYTES: usize = 64 * 1024;
/// A byte that is never part of UTF-8. It stands for text that the named encoding cannot read, so that the decoder
/// refuses the row it is in.
const INVALID: u8 = 0xFF;
/// A byte that begins a character. It stands for one that the end of the file cuts off, so that the decoder sees that.
const CUT_OFF: u8 = 0xC3;

/// A file's text as UTF-8.
pub(crate) struct Text<'r> {
    /// The text, without a byte order mark. Bytes that are not UTF-8 may be left in a file that claims to be.
    pub(crate) reader: Box<dyn Read + 'r>,
    /// Bytes of the decoded file before the reader's first: the length of a UTF-8 byte order mark, or 0.
    pub(crate) skipped_bytes: u64,
    /// Whether the text is not that of the file byte by byte.
    pub(crate) converted: bool,
}

/// Opens `reader` as text: a byte order mark decides, then `encoding`, then UTF-8.
///
/// # Errors
///
/// Those of `reader`.
pub(crate) fn open<'r, R: Read + 'r>(
    reader: R,
    encoding: Option<&'static Encoding>,
) -> io::Result<Text<'r>> {
    let (start, mut reader) = peek(reader, UTF_8_BOM.len())?;
    let (marked, mark_bytes) = match Encoding::for_bom(&start) {
        Some((marked, mark_bytes)) => (Some(marked), mark_bytes),
        None => (None, 0),
    };
    io::copy(
        &mut reader.by_ref().take(mark_bytes as u64),
        &mut io::sink(),
    )?;
    let encoding = marked.or(encoding).unwrap_or(UTF_8);
    if encoding == UTF_8 {
        return Ok(Text {
            reader,
            skipped_bytes: mark_bytes as u64,
            converted: false,
        });
    }
    Ok(Text {
        reader: Box::new(Converter {
            inner: reader,
            decoder: encoding.new_decoder_without_bom_handling(),
            input: Vec::new(),
            output: vec![0; OUTPUT_BYTES],
            converted: 0..0,
            ended: false,
            finished: false,
        }),
        skipped_bytes: 0,
        converted: true,
    })
}

/// Looks up an encoding by one of its names, as `--encoding` takes it.
///
/// # Errors
///
/// A sentence that names some encodings if `name` is not one.
pub fn encoding(name: &str) -> Result<&'static Encoding, String> {
    match name.to_ascii_lowercase().as_str() {
        // The Encoding Standard's "utf-16" is little-endian only; the mark, if there is one, decides anyway.
        "utf-16be" => Ok(UTF_16BE),
        "utf-16" | "utf-16le" => Ok(UTF_16LE),
        _ => Encoding::for_label_no_replacement(name.as_bytes()).ok_or_else(|| {
            let name = quoted(name);
            format!("\"{name}\" is not an encoding; use a name such as utf-8, windows-1252, utf-16le, shift_jis, gbk")
        }),
    }
}

struct Converter<'r> {
    inner: Box<dyn Read + 'r>,
    decoder: Decoder,
    /// Bytes read but not yet converted.
    input: Vec<u8>,
    output: Vec<u8>,
    /// What of `output` has not been handed out.
    converted: Range<usize>,
    /// Whether `inner` has ended.
    ended: bool,
    /// Whether the decoder has been told so and has nothing left.
    finished: bool,
}

impl Converter<'_> {
    fn convert(&mut self) -> io::Result<()> {
        if self.input.is_empty() && !self.ended {
            let read = self
                .inner
                .by_ref()
                .take(INPUT_BYTES)
                .read_to_end(&mut self.input)?;
            self.ended = read == 0;
        }
        // One byte is left for the mark of text that cannot be read.
        let room = self.output.len() - 1;
        let (result, consumed, written) = self.decoder.decode_to_utf8_without_replacement(
            &self.input,
            &mut self.output[..room],
            self.ended,
        );
        self.input.drain(..consumed);
        self.converted = 0..written;
        match result {
            DecoderResult::InputEmpty => self.finished = self.ended,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => {
                let cut_off = self.ended && self.input.is_empty();
                self.output[written] = if cut_off { CUT_OFF } else { INVALID };
                self.converted.end += 1;
            }
        }
        Ok(())
    }
}

impl Read for Converter<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.converted.is_empty() && !self.finished {
            self.convert()?;
        }
        let length = out.len().min(self.converted.len());
        let start = self.converted.start;
        out[..length].copy_from_slice(&self.output[start..start + length]);
        self.converted.start += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8], name: Option<&str>) -> (Vec<u8>, u64) {
        let mut text = open(input, name.map(|name| encoding(name).unwrap())).unwrap();
        let mut out = Vec::new();
        text.reader.read_to_end(&mut out).unwrap();
        (out, text.skipped_bytes)
    }

    /// Bytes, an encoding, the text, and the bytes skipped before it.
    type Case<'a> = (&'a [u8], Option<&'a str>, &'a [u8], u64);

    #[test]
    fn marks_decide_and_are_dropped() {
        let utf16 = |text: &str, bytes: fn(u16) -> [u8; 2], mark: [u8; 2]| {
            let mut out = mark.to_vec();
            out.extend(text.encode_utf16().flat_map(bytes));
            out
        };
        let little = utf16("aä😀", u16::to_le_bytes, [0xFF, 0xFE]);
        let big = utf16("aä😀", u16::to_be_bytes, [0xFE, 0xFF]);
        let cases: [Case<'_>; 11] = [
            (b"abc", None, b"abc", 0),
            (b"", None, b"", 0),
            (b"\xEF\xBB\xBFabc", None, b"abc", 3),
            (b"\xEF\xBB\xBFabc", Some("windows-1252"), b"abc", 3),
            (&little, None, "aä😀".as_bytes(), 0),
            (&big, None, "aä😀".as_bytes(), 0),
            (
                b"caf\xe9 \x80",
                Some("windows-1252"),
                "café €".as_bytes(),
                0,
            ),
            (b"caf\xe9", None, b"caf\xe9", 0),
            (b"a\0\x00\xd8b\0", Some("utf-16le"), b"a\xffb", 0),
            (b"a\0b", Some("utf-16le"), b"a\xc3", 0),
            (b"a\0\x00\xd8", Some("utf-16le"), b"a\xc3", 0),
        ];
        for (input, name, output, skipped_bytes) in cases {
            assert_eq!(
                read(input, name),
                (output.to_vec(), skipped_bytes),
                "{input:?} as {name:?}"
            );
        }
    }

    #[test]
    fn long_text_is_converted_whole() {
        let text = "Größe 12 € ".repeat(50_000);
        let bytes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        assert_eq!(read(&bytes, Some("utf-16le")).0, text.as_bytes());
    }

    #[test]
    fn unknown_encodings_are_named() {
        assert!(encoding("klingon").unwrap_err().contains("klingon"));
    }
}
