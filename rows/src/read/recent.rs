//! A reader that remembers what it gave last, because parsers read ahead.

use std::cell::{Cell, RefCell};
use std::io::{self, Cursor, Read};
use std::rc::Rc;

/// Bytes that are remembered at least: more than a parser reads ahead.
const REMEMBERED_BYTES: usize = 64 * 1024;
/// Most bytes that are read from where there is a limit.
pub(crate) const LIMIT_BYTES: usize = 8 * 1024 * 1024;

/// What a [`RecentReader`] knows; for those who hold its parser.
#[derive(Clone, Default)]
pub(crate) struct Recent(Rc<State>);

#[derive(Default)]
struct State {
    limited_from: Cell<Option<u64>>,
    is_too_long: Cell<bool>,
    has_ended: Cell<bool>,
    failure: RefCell<Option<io::Error>>,
}

impl Recent {
    /// Limits what is read from an offset on, or lifts the limit.
    pub(crate) fn limit_from(&self, offset: Option<u64>) {
        self.0.limited_from.set(offset);
    }

    /// Whether reading ended because of the limit.
    pub(crate) fn is_too_long(&self) -> bool {
        self.0.is_too_long.get()
    }

    /// Whether the parser was given the end of the file.
    pub(crate) fn has_ended(&self) -> bool {
        self.0.has_ended.get()
    }

    /// Why the reader failed. Parsers wrap that into errors of their own, so it is kept here.
    pub(crate) fn take_failure(&self) -> Option<io::Error> {
        self.0.failure.take()
    }
}

/// See the [module documentation](self).
pub(crate) struct RecentReader<R> {
    inner: R,
    recent: Recent,
    /// The bytes given last, up to offset `end`.
    given: Vec<u8>,
    end: u64,
}

impl<R: Read> RecentReader<R> {
    pub(crate) fn new(inner: R, recent: &Recent) -> Self {
        Self {
            inner,
            recent: recent.clone(),
            given: Vec::new(),
            end: 0,
        }
    }

    /// A reader that goes on at `offset`, which was given lately.
    pub(crate) fn again_from(self, offset: u64) -> impl Read {
        let again = (self.end - offset) as usize;
        let given = self.given[self.given.len() - again..].to_vec();
        Cursor::new(given).chain(self.inner)
    }
}

impl<R: Read> Read for RecentReader<R> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let state = &*self.recent.0;
        if let Some(from) = state.limited_from.get()
            && self.end.saturating_sub(from) > LIMIT_BYTES as u64
        {
            state.is_too_long.set(true);
            return Err(io::Error::other("too long"));
        }
        let read = match self.inner.read(out) {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => return Err(e),
            Err(e) => {
                let again = io::Error::new(e.kind(), e.to_string());
                state.failure.replace(Some(e));
                return Err(again);
            }
            Ok(read) => read,
        };
        state.has_ended.set(read == 0 && !out.is_empty());
        if self.given.len() > 2 * REMEMBERED_BYTES {
            self.given.drain(..self.given.len() - REMEMBERED_BYTES);
        }
        self.given.extend_from_slice(&out[..read]);
        self.end += read as u64;
        Ok(read)
    }
}
