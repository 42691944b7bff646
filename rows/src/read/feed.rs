//! The text of a file in one buffer, from the row that is being read on.
//!
//! A decoder looks at [`Feed::text`], takes whole rows off its beginning, and asks for more when the last one is not
//! whole. Nothing is copied but the beginning of that row.

use std::cell::RefCell;
use std::io::{self, Cursor, ErrorKind, Read};
use std::rc::Rc;

/// Bytes of the buffer, unless a row is longer.
const BUFFER_BYTES: usize = 128 * 1024;
/// Longest row that is read here, about: longer ones are left to a reader that need not hold all of them.
const ROW_BYTES_MAX: usize = 1024 * 1024;
/// A row longer than this is looked at again only when a good part more of it has come, or a long row that comes in small
/// pieces would be looked at as often as there are pieces.
const LONG_ROW_BYTES: usize = 64 * 1024;
/// Most bytes a UTF-8 character has.
const CHARACTER_BYTES_MAX: usize = 4;

/// See the [module documentation](self).
pub(crate) struct Feed<'r> {
    reader: Rc<RefCell<Box<dyn Read + 'r>>>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Up to here the buffer holds whole characters of UTF-8.
    text_end: usize,
    ended: bool,
    failure: Option<io::Error>,
    lent: Rc<RefCell<Ahead>>,
}

/// The bytes behind the text that was taken, to be read by somebody else.
pub(crate) struct Lent<'r> {
    ahead: Rc<RefCell<Ahead>>,
    reader: Option<Rc<RefCell<Box<dyn Read + 'r>>>>,
}

/// What was read before it was lent.
#[derive(Default)]
struct Ahead {
    bytes: Cursor<Vec<u8>>,
    /// What came after the bytes.
    failure: Option<io::Error>,
}

impl<'r> Feed<'r> {
    pub(crate) fn new(reader: Box<dyn Read + 'r>) -> Self {
        Self {
            reader: Rc::new(RefCell::new(reader)),
            buffer: vec![0; BUFFER_BYTES],
            start: 0,
            end: 0,
            text_end: 0,
            ended: false,
            failure: None,
            lent: Rc::default(),
        }
    }

    /// What is there of the text.
    pub(crate) fn text(&self) -> &[u8] {
        &self.buffer[self.start..self.text_end]
    }

    /// Takes `count` bytes off the beginning of what is there.
    pub(crate) fn consume(&mut self, count: usize) {
        self.start += count;
        self.text_end = self.text_end.max(self.start);
    }

    /// Reads more text. Gives `false` if there is none: the file ends, reading fails, what comes is not UTF-8, or the row
    /// is too long to wait for its end.
    pub(crate) fn more(&mut self) -> bool {
        let before = self.text_end - self.start;
        let wanted = match before {
            0..LONG_ROW_BYTES => 1,
            LONG_ROW_BYTES..ROW_BYTES_MAX => before / 4,
            _ => return false,
        };
        while self.text_end - self.start < before + wanted {
            // Bytes behind the text are a part of a character, or no text at all.
            let is_text = self.end - self.text_end < CHARACTER_BYTES_MAX;
            if !is_text || !self.read() {
                break;
            }
        }
        self.text_end - self.start > before
    }

    /// The bytes that are there, whatever they are; none at the end of the file.
    ///
    /// # Errors
    ///
    /// Those of the reader.
    pub(crate) fn bytes(&mut self) -> io::Result<&[u8]> {
        while self.start == self.end && self.read() {}
        match self.failure.take() {
            Some(failure) if self.start == self.end => Err(failure),
            failure => {
                self.failure = failure;
                Ok(&self.buffer[self.start..self.end])
            }
        }
    }

    /// Reads once. Gives `false` at the end and after a failure.
    fn read(&mut self) -> bool {
        if self.ended || self.failure.is_some() {
            return false;
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            self.end -= self.start;
            self.text_end -= self.start;
            self.start = 0;
        }
        if self.end == self.buffer.len() {
            self.buffer.resize(2 * self.buffer.len(), 0);
        }
        match self.reader.borrow_mut().read(&mut self.buffer[self.end..]) {
            Ok(0) => self.ended = true,
            Ok(read) => self.end += read,
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            Err(e) => self.failure = Some(e),
        }
        let unchecked = &self.buffer[self.text_end..self.end];
        self.text_end += match std::str::from_utf8(unchecked) {
            Ok(text) => text.len(),
            Err(e) => e.valid_up_to(),
        };
        !self.ended && self.failure.is_none()
    }

    /// Gives everything from the beginning of the text on to somebody else, until [`Feed::give_back`].
    pub(crate) fn lend(&mut self) -> Lent<'r> {
        self.lent = Rc::new(RefCell::new(Ahead {
            bytes: Cursor::new(self.buffer[self.start..self.end].to_vec()),
            failure: self.failure.take(),
        }));
        self.start = self.end;
        Lent {
            ahead: Rc::clone(&self.lent),
            reader: (!self.ended).then(|| Rc::clone(&self.reader)),
        }
    }

    /// Takes back what was lent: `rest` was read but not used, and then the file went on or `ended`.
    pub(crate) fn give_back(&mut self, rest: &[u8], ended: bool) {
        let mut ahead = self.lent.take();
        let unread = ahead.bytes.position() as usize;
        let unread = &ahead.bytes.get_ref()[unread..];
        let end = rest.len() + unread.len();
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        self.buffer[..rest.len()].copy_from_slice(rest);
        self.buffer[rest.len()..end].copy_from_slice(unread);
        self.start = 0;
        self.end = end;
        self.text_end = match std::str::from_utf8(&self.buffer[..end]) {
            Ok(text) => text.len(),
            Err(e) => e.valid_up_to(),
        };
        self.failure = ahead.failure.take();
        self.ended |= ended;
    }
}

impl Read for Lent<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let mut ahead = self.ahead.borrow_mut();
        let read = ahead.bytes.read(out)?;
        if read > 0 || out.is_empty() {
            return Ok(read);
        }
        if let Some(failure) = ahead.failure.take() {
            return Err(failure);
        }
        match &self.reader {
            Some(reader) => reader.borrow_mut().read(out),
            None => Ok(0),
        }
    }
}
