//! Keeps the bytes of the current row while a parser reads past them.
//!
//! Parsers read ahead into buffers of their own. To report a rejected row as the file has it, and to refuse one row
//! for bytes that are not UTF-8 instead of the whole file, the reader in front of the parser remembers what it handed
//! out since the row began, and replaces invalid bytes by `?`, noting where they were.

use std::cell::{Ref, RefCell};
use std::collections::VecDeque;
use std::error::Error;
use std::io::{self, Read};
use std::ops::Range;
use std::rc::Rc;

use crate::item::REJECT_TEXT_BYTES_MAX;

/// Most bytes of text read for one row. An item of 400 KB fits even if every character is escaped and indented.
pub(crate) const ROW_TEXT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most bytes of text passed of a row that is refused and skipped. What is longer is no row but a file of another kind, or
/// made to keep an import busy: an invocation could end before the row does.
pub(crate) const ROW_SKIPPED_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes read at a time.
const BUFFER_BYTES: usize = 32 * 1024;
/// Bytes kept behind the read position when a row outgrows the window: more than this buffer and a parser's own.
const LOOKAHEAD_BYTES: usize = 4 * BUFFER_BYTES;
/// Most offsets of invalid bytes that are noted: the current row's first, and all that may be ahead of it.
const INVALID_MAX: usize = LOOKAHEAD_BYTES + 1;
/// Bytes kept of the beginning of such a row: what a report shows, and line breaks before it.
const HEAD_BYTES: u64 = 2 * REJECT_TEXT_BYTES_MAX as u64;
/// Most bytes the window holds.
const WINDOW_BYTES_MAX: usize = 1024 * 1024;
/// Most bytes a UTF-8 character has.
const CHARACTER_BYTES_MAX: usize = 4;

#[derive(Debug, thiserror::Error)]
#[error("a row is longer than {limit_bytes} bytes")]
struct RowTooLong {
    limit_bytes: usize,
}

/// The limit, if reading failed because a row passed one.
pub(crate) fn limit_passed(error: &io::Error) -> Option<usize> {
    let error: &(dyn Error + Send + Sync) = error.get_ref()?;
    Some(error.downcast_ref::<RowTooLong>()?.limit_bytes)
}

/// Counts lines up to some byte. A line ends with a line feed, a carriage return, or both.
#[derive(Debug, Clone, Copy, Default)]
struct Lines {
    breaks: u64,
    /// Whether the last byte was a carriage return: a line feed after it is no second line break.
    after_return: bool,
}

impl Lines {
    fn count(&mut self, bytes: &[u8]) {
        for at in memchr::memchr2_iter(b'\r', b'\n', bytes) {
            let after_return = match at.checked_sub(1) {
                Some(before) => bytes[before] == b'\r',
                None => self.after_return,
            };
            self.breaks += u64::from(bytes[at] == b'\r' || !after_return);
        }
        if let Some(&last) = bytes.last() {
            self.after_return = last == b'\r';
        }
    }
}

#[derive(Debug)]
struct Shared {
    /// Raw bytes from offset `start` up to what was read.
    kept: Vec<u8>,
    start: u64,
    row_start: u64,
    /// The current row's first bytes, once `kept` had to let go of them.
    head: Option<Vec<u8>>,
    /// What `lines` was at `row_start`.
    row_lines: Lines,
    lines: Lines,
    /// Up to where `lines` are counted.
    counted_to: u64,
    /// Offsets of bytes that are not UTF-8, ascending, from `row_start` on.
    invalid: VecDeque<u64>,
    /// Most bytes the current row may have, if it is one.
    row_bytes_max: Option<usize>,
    /// Why the reader could not go on.
    failure: Option<io::Error>,
    /// Bytes of a character that the last read cut off, which come after `kept`.
    cut_off: Vec<u8>,
    /// Whether the reader behind has ended.
    exhausted: bool,
    /// Whether the parser has been error so.
    ended: bool,
}

impl Shared {
    fn end(&self) -> u64 {
        self.start + self.kept.len() as u64
    }

    /// What is kept of the bytes from `from` to `to`.
    fn slice(&self, from: u64, to: u64) -> &[u8] {
        let index =
            |offset: u64| offset.clamp(self.start, self.end()).abs_diff(self.start) as usize;
        &self.kept[index(from)..index(to).max(index(from))]
    }

    fn count_lines_to(&mut self, offset: u64) {
        if offset > self.counted_to {
            let mut lines = self.lines;
            lines.count(self.slice(self.counted_to, offset));
            self.lines = lines;
            self.counted_to = offset;
        }
    }

    /// Moves the row's beginning past the line breaks it stands before, of which there may be any number.
    fn skip_line_breaks(&mut self) {
        let text = match &self.head {
            Some(head) => head,
            None => self.slice(self.row_start, self.end()),
        };
        let is_break = |b: &&u8| matches!(b, b'\r' | b'\n');
        let skipped = text.iter().take_while(is_break).count();
        let mut lines = self.row_lines;
        lines.count(&text[..skipped]);
        self.row_lines = lines;
        self.row_start += skipped as u64;
        if let Some(head) = &mut self.head {
            head.drain(..skipped);
        }
    }

    /// Whether the row, which goes on to `end` at least, is not too long.
    fn check_row(&self, end: u64) -> io::Result<()> {
        let row_bytes = end.saturating_sub(self.row_start);
        match self.row_bytes_max {
            Some(limit_bytes) if row_bytes > limit_bytes as u64 => {
                Err(io::Error::other(RowTooLong { limit_bytes }))
            }
            _ => Ok(()),
        }
    }

    fn forget_before(&mut self, offset: u64) {
        self.count_lines_to(offset);
        let gone = self.slice(self.start, offset).len();
        self.kept.drain(..gone);
        self.start += gone as u64;
    }
}

/// The reader's side; see the [module documentation](self).
pub(crate) struct WindowReader<R> {
    inner: R,
    shared: Rc<RefCell<Shared>>,
    buffer: Vec<u8>,
    /// How much of `buffer` holds bytes read.
    filled: usize,
    /// What of those is checked and not handed out; behind it is at most a character that is not whole yet.
    ready: Range<usize>,
    ended: bool,
}

/// The decoder's side; see the [module documentation](self).
#[derive(Clone)]
pub(crate) struct Window(Rc<RefCell<Shared>>);

/// A window over `inner`.
pub(crate) fn open<R: Read>(inner: R) -> (WindowReader<R>, Window) {
    let shared = Rc::new(RefCell::new(Shared {
        kept: Vec::new(),
        start: 0,
        row_start: 0,
        head: None,
        row_lines: Lines::default(),
        lines: Lines::default(),
        counted_to: 0,
        invalid: VecDeque::new(),
        row_bytes_max: Some(ROW_TEXT_BYTES_MAX),
        failure: None,
        cut_off: Vec::new(),
        exhausted: false,
        ended: false,
    }));
    let reader = WindowReader {
        inner,
        shared: Rc::clone(&shared),
        buffer: vec![0; BUFFER_BYTES],
        filled: 0,
        ready: 0..0,
        ended: false,
    };
    (reader, Window(shared))
}

impl Window {
    /// Says that a row begins at `offset`; what came before may be forgotten.
    pub(crate) fn begin_row(&self, offset: u64) {
        let mut shared = self.0.borrow_mut();
        shared.count_lines_to(offset);
        shared.row_lines = shared.lines;
        shared.row_start = offset;
        shared.head = None;
        shared.row_bytes_max = Some(ROW_TEXT_BYTES_MAX);
        while shared.invalid.front().is_some_and(|&byte| byte < offset) {
            shared.invalid.pop_front();
        }
    }

    /// Moves the row's beginning past the line breaks it stands before. Gives its offset and its line, from 1.
    pub(crate) fn skip_line_breaks(&self) -> (u64, u64) {
        let mut shared = self.0.borrow_mut();
        shared.skip_line_breaks();
        (shared.row_start, shared.row_lines.breaks + 1)
    }

    /// Lets the current row be longer: it is only being skipped.
    pub(crate) fn skip_row(&self) {
        self.0.borrow_mut().row_bytes_max = Some(ROW_SKIPPED_BYTES_MAX);
    }

    /// Lets what comes be as long as it is: it is no row.
    pub(crate) fn leave_rows(&self) {
        self.0.borrow_mut().row_bytes_max = None;
    }

    /// Whether the current row, which ends at `end`, is not too long: it may have been read before that was known. The
    /// error is one that [`limit_passed`] knows.
    pub(crate) fn check_row(&self, end: u64) -> io::Result<()> {
        self.0.borrow().check_row(end)
    }

    /// The current row's text up to `end`, cut a little past what a report keeps.
    pub(crate) fn row_text(&self, end: u64) -> Vec<u8> {
        let shared = self.0.borrow();
        let text = match &shared.head {
            Some(head) => head,
            None => shared.slice(shared.row_start, end),
        };
        text[..text.len().min(REJECT_TEXT_BYTES_MAX + 1)].to_vec()
    }

    /// Offset of the first byte of the current row, before `end`, that is not UTF-8.
    pub(crate) fn invalid_byte(&self, end: u64) -> Option<u64> {
        self.0
            .borrow()
            .invalid
            .front()
            .copied()
            .filter(|&byte| byte < end)
    }

    /// The current row's bytes up to `end`, if it was not too long to be kept.
    pub(crate) fn row_bytes(&self, end: u64) -> Option<Ref<'_, [u8]>> {
        let shared = self.0.borrow();
        shared
            .head
            .is_none()
            .then(|| Ref::map(shared, |shared| shared.slice(shared.row_start, end)))
    }

    /// Line breaks before `offset`, and whether the byte before it is a carriage return.
    pub(crate) fn line_breaks_to(&self, offset: u64) -> (u64, bool) {
        let mut shared = self.0.borrow_mut();
        shared.count_lines_to(offset);
        (shared.lines.breaks, shared.lines.after_return)
    }

    /// What was read from `offset` on, as it came, and whether that is all there is.
    pub(crate) fn rest(&self, offset: u64) -> (Vec<u8>, bool) {
        let shared = self.0.borrow();
        let kept = shared.slice(offset, shared.end());
        ([kept, &shared.cut_off].concat(), shared.exhausted)
    }

    /// Why the reader failed. Parsers wrap that into errors of their own, so it is kept here.
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        self.0.borrow_mut().failure.take()
    }

    /// Whether the parser has been error that the file ends.
    pub(crate) fn ended(&self) -> bool {
        self.0.borrow().ended
    }
}

impl<R: Read> Read for WindowReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        if self.ready.is_empty() && !self.ended {
            self.fill().map_err(|e| {
                let error = io::Error::new(e.kind(), e.to_string());
                self.shared.borrow_mut().failure = Some(e);
                error
            })?;
        }
        if self.ready.is_empty() {
            self.shared.borrow_mut().ended = true;
        }
        let length = out.len().min(self.ready.len());
        out[..length].copy_from_slice(&self.buffer[self.ready.start..self.ready.start + length]);
        self.ready.start += length;
        Ok(length)
    }
}

impl<R: Read> WindowReader<R> {
    /// Reads until at least one whole character is ready, or the end.
    fn fill(&mut self) -> io::Result<()> {
        let mut shared = self.shared.borrow_mut();
        shared.skip_line_breaks();
        shared.check_row(shared.end())?;
        drop(shared);
        // Bytes of a character that the last read cut off come first.
        self.buffer.copy_within(self.ready.end..self.filled, 0);
        self.filled -= self.ready.end;
        self.ready = 0..0;
        while self.ready.is_empty() && !self.ended {
            let read = match self.inner.read(&mut self.buffer[self.filled..]) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                read => read?,
            };
            self.ended = read == 0;
            self.filled += read;
            let whole = if self.ended {
                self.filled
            } else {
                whole_characters(&self.buffer[..self.filled])
            };
            self.ready = 0..whole;
        }
        self.remember();
        Ok(())
    }

    /// Keeps the bytes that are ready as they are, then replaces those that are not UTF-8.
    fn remember(&mut self) {
        let mut shared = self.shared.borrow_mut();
        shared.exhausted = self.ended;
        shared.cut_off.clear();
        shared
            .cut_off
            .extend_from_slice(&self.buffer[self.ready.end..self.filled]);
        let bytes = &mut self.buffer[self.ready.clone()];
        let offset = shared.end();
        let row_start = shared.row_start;
        shared.forget_before(row_start);
        shared.kept.extend_from_slice(bytes);
        if shared.kept.len() > WINDOW_BYTES_MAX {
            if shared.head.is_none() {
                let head = shared.slice(row_start, row_start + HEAD_BYTES);
                shared.head = Some(head.to_vec());
            }
            let keep_from = shared.end() - LOOKAHEAD_BYTES as u64;
            shared.forget_before(keep_from);
        }
        let mut checked = 0;
        while let Err(e) = std::str::from_utf8(&bytes[checked..]) {
            let at = checked + e.valid_up_to();
            let length = e.error_len().unwrap_or(bytes.len() - at);
            bytes[at..at + length].fill(b'?');
            // A binary file must not fill memory with offsets. The first is the current row's and stays; the last ones
            // may be those of rows that are not begun.
            if shared.invalid.len() == INVALID_MAX {
                shared.invalid.remove(1);
            }
            shared.invalid.push_back(offset + at as u64);
            checked = at + length;
        }
    }
}

/// How many leading bytes of `bytes` hold only whole (or broken) characters.
fn whole_characters(bytes: &[u8]) -> usize {
    let tail = bytes.len().saturating_sub(CHARACTER_BYTES_MAX - 1);
    for start in (tail..bytes.len()).rev() {
        let first = bytes[start];
        let length = match first {
            0x80..=0xBF => continue,
            0xC2..=0xDF => 2,
            0xE0..=0xEF => 3,
            0xF0..=0xF4 => 4,
            // A character of its own, or what begins none.
            _ => return bytes.len(),
        };
        return if start + length > bytes.len() {
            start
        } else {
            bytes.len()
        };
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Hands out at most `chunk` bytes a read.
    struct Chunked<'a>(&'a [u8], usize);

    impl Read for Chunked<'_> {
        fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
            let n = self.1.min(out.len()).min(self.0.len());
            out[..n].copy_from_slice(&self.0[..n]);
            self.0 = &self.0[n..];
            Ok(n)
        }
    }

    #[test]
    fn invalid_bytes_are_replaced_and_noted() {
        let cases: [(&[u8], &str, Option<u64>); 7] = [
            (b"abc", "abc", None),
            ("aä€😀".as_bytes(), "aä€😀", None),
            (b"a\xffb", "a?b", Some(1)),
            (b"ab\xc3", "ab?", Some(2)),
            (b"\xe2\x82x", "??x", Some(0)),
            (b"a\xc3(b", "a?(b", Some(1)),
            (b"\xf0\x9f\x98", "???", Some(0)),
        ];
        for (input, text, invalid) in cases {
            for chunk in [1, 3, 100] {
                let (mut reader, window) = open(Chunked(input, chunk));
                let mut read = Vec::new();
                let mut buffer = [0; 8];
                loop {
                    let n = reader.read(&mut buffer).unwrap();
                    if n == 0 {
                        break;
                    }
                    read.extend_from_slice(&buffer[..n]);
                }
                assert_eq!(
                    String::from_utf8(read).unwrap(),
                    text,
                    "{input:?} by {chunk}"
                );
                assert_eq!(
                    window.invalid_byte(u64::MAX),
                    invalid,
                    "{input:?} by {chunk}"
                );
                assert_eq!(
                    window.row_text(input.len() as u64),
                    input,
                    "{input:?} by {chunk}"
                );
            }
        }
    }

    #[test]
    fn a_row_is_kept_from_its_beginning() {
        let (mut reader, window) = open(&b"first,second\r\nthird"[..]);
        let mut buffer = [0; 64];
        reader.read_exact(&mut buffer[..18]).unwrap();
        window.begin_row(6);
        assert_eq!(window.row_text(12), b"second");
        window.begin_row(12);
        assert_eq!(window.skip_line_breaks(), (14, 2));
        assert_eq!(window.row_text(18), b"thir");
    }

    #[test]
    fn lines_end_with_line_feed_or_return_or_both() {
        for (text, breaks) in [
            ("a", 0),
            ("a\nb\n", 2),
            ("a\r\nb\r\n", 2),
            ("a\rb\r", 2),
            ("\n\r\n\r", 3),
        ] {
            for cut in 0..text.len() {
                let mut lines = Lines::default();
                lines.count(&text.as_bytes()[..cut]);
                lines.count(&text.as_bytes()[cut..]);
                assert_eq!(lines.breaks, breaks, "{text:?} cut at {cut}");
            }
        }
    }

    #[test]
    fn a_long_row_is_refused_unless_skipped_and_memory_stays_bounded() {
        let (mut reader, window) = open(io::repeat(b'x'));
        let mut buffer = vec![0; 8192];
        while reader.read(&mut buffer).is_ok() {}
        let error = window.take_failure().unwrap();
        assert_eq!(limit_passed(&error), Some(ROW_TEXT_BYTES_MAX));
        assert!(window.0.borrow().kept.len() <= WINDOW_BYTES_MAX);
        assert_eq!(window.row_text(u64::MAX).len(), REJECT_TEXT_BYTES_MAX + 1);
        window.skip_row();
        assert!(reader.read(&mut buffer).is_ok());
    }
}
