//! JSON on the hot path: one pass over the text of a row, straight into wire bytes.
//!
//! It accepts or stops; why a row is wrong is for the reference ([`super::value`]) to say.

use super::value::{TypeName, Typing};
use crate::item::json_text::{self, Escaped};
use crate::item::number::scan_json_number;
use crate::item::{ItemWriter, Raw, Refused, SetKind};

/// Why the parser stopped before the end of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Halt {
    /// The text ends: try again with more.
    More,
    /// The row is not for the hot path.
    Refused,
}

impl From<Refused> for Halt {
    fn from(_: Refused) -> Self {
        Self::Refused
    }
}

/// Goes through text that is UTF-8.
pub(super) struct Parser<'t> {
    text: &'t [u8],
    /// Bytes passed.
    pub(super) at: usize,
    /// Line breaks passed: line feed, carriage return, or both.
    pub(super) line_breaks: u64,
    /// Whether a line feed ends the row, so that it is no white space.
    by_lines: bool,
}

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t [u8], by_lines: bool) -> Self {
        Self {
            text,
            at: 0,
            line_breaks: 0,
            by_lines,
        }
    }

    /// Passes white space and gives the byte after it, which is not passed.
    #[inline]
    pub(super) fn space(&mut self) -> Result<u8, Halt> {
        match self.text.get(self.at) {
            Some(&byte) if byte > b' ' => Ok(byte),
            _ => self.some_space(),
        }
    }

    fn some_space(&mut self) -> Result<u8, Halt> {
        loop {
            match self.text.get(self.at) {
                None => return Err(Halt::More),
                Some(b' ' | b'\t') => {}
                Some(b'\n') if self.by_lines => return Ok(b'\n'),
                Some(b'\n') => {
                    let after_return = self.at > 0 && self.text[self.at - 1] == b'\r';
                    self.line_breaks += u64::from(!after_return);
                }
                Some(b'\r') => self.line_breaks += 1,
                Some(&other) => return Ok(other),
            }
            self.at += 1;
        }
    }

    /// Passes `byte`, and white space before it.
    #[inline]
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Halt> {
        if self.space()? != byte {
            return Err(Halt::Refused);
        }
        self.at += 1;
        Ok(())
    }

    /// Passes the row that begins here.
    pub(super) fn row(&mut self, item: &mut ItemWriter, typing: Typing) -> Result<(), Halt> {
        item.begin();
        self.expect(b'{')?;
        match typing {
            Typing::Plain => self.members(item, false),
            Typing::DynamoDb => self.members(item, true),
            Typing::DynamoDbItem => {
                self.space()?;
                if self.plain_string()?.bytes() != b"Item" {
                    return Err(Halt::Refused);
                }
                self.expect(b':')?;
                self.expect(b'{')?;
                self.members(item, true)?;
                self.expect(b'}')
            }
        }
    }

    /// Passes the members of an object whose brace is passed, and its closing brace.
    fn members(&mut self, item: &mut ItemWriter, typed: bool) -> Result<(), Halt> {
        if self.space()? == b'}' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.space()?;
            self.name(item)?;
            self.value(item, typed)?;
            if self.another(b'}')? {
                continue;
            }
            return Ok(());
        }
    }

    /// Passes a name and its colon.
    #[inline]
    fn name(&mut self, item: &mut ItemWriter) -> Result<(), Halt> {
        if let Some(length) = item.expected_name(&self.text[self.at..])? {
            self.at += length;
            return Ok(());
        }
        item.name(self.string()?)?;
        self.expect(b':')
    }

    /// Passes the values of an array whose bracket is passed, and its closing bracket.
    fn values(&mut self, item: &mut ItemWriter, typed: bool) -> Result<(), Halt> {
        if self.space()? == b']' {
            self.at += 1;
            return Ok(());
        }
        loop {
            self.value(item, typed)?;
            if !self.another(b']')? {
                return Ok(());
            }
        }
    }

    /// Passes a comma, or `closing`: whether another member follows.
    #[inline]
    fn another(&mut self, closing: u8) -> Result<bool, Halt> {
        let byte = self.space()?;
        self.at += 1;
        match byte {
            b',' => Ok(true),
            _ if byte == closing => Ok(false),
            _ => Err(Halt::Refused),
        }
    }

    fn value(&mut self, item: &mut ItemWriter, typed: bool) -> Result<(), Halt> {
        if typed {
            return self.typed(item);
        }
        match self.space()? {
            b'"' => item.string(self.string()?)?,
            b'{' => self.container(b'{', item, false)?,
            b'[' => self.container(b'[', item, false)?,
            b't' | b'f' => {
                let value = self.boolean()?;
                item.boolean(value)?;
            }
            b'n' => {
                self.literal(b"null")?;
                item.null()?;
            }
            _ => {
                let (raw, size_bytes) = self.number()?;
                item.number(raw, size_bytes)?;
            }
        }
        Ok(())
    }

    fn container(&mut self, opening: u8, item: &mut ItemWriter, typed: bool) -> Result<(), Halt> {
        self.expect(opening)?;
        if opening == b'{' {
            item.begin_map()?;
            self.members(item, typed)?;
        } else {
            item.begin_list()?;
            self.values(item, typed)?;
        }
        item.end_container();
        Ok(())
    }

    /// A value of DynamoDB JSON.
    fn typed(&mut self, item: &mut ItemWriter) -> Result<(), Halt> {
        self.expect(b'{')?;
        self.space()?;
        let name = TypeName::parse(self.string()?.bytes());
        self.expect(b':')?;
        self.space()?;
        match name.ok_or(Halt::Refused)? {
            TypeName::S => item.string(self.string()?)?,
            TypeName::N => item.number_text(self.plain_string()?)?,
            TypeName::B => item.binary(self.plain_string()?.bytes())?,
            TypeName::Bool => {
                let value = self.boolean()?;
                item.boolean(value)?;
            }
            TypeName::Null => {
                self.literal(b"true")?;
                item.null()?;
            }
            TypeName::M => self.container(b'{', item, true)?,
            TypeName::L => self.container(b'[', item, true)?,
            TypeName::Set(kind) => self.set(item, kind)?,
        }
        self.expect(b'}')
    }

    fn set(&mut self, item: &mut ItemWriter, kind: SetKind) -> Result<(), Halt> {
        self.expect(b'[')?;
        item.begin_set(kind)?;
        loop {
            self.space()?;
            item.set_member(kind, self.string()?)?;
            if !self.another(b']')? {
                return Ok(item.end_set()?);
            }
        }
    }

    /// Passes the string that begins here and gives what is between its quotes.
    #[inline]
    fn string(&mut self) -> Result<Raw<'t>, Halt> {
        match self.text.get(self.at) {
            Some(b'"') => {}
            Some(_) => return Err(Halt::Refused),
            None => return Err(Halt::More),
        }
        let begin = self.at + 1;
        let mut at = begin;
        let mut escaped = Escaped::No;
        loop {
            at += json_text::special(&self.text[at..]).ok_or(Halt::More)?;
            match self.text[at] {
                b'"' => break,
                b'\\' => {
                    escaped = Escaped::Perhaps;
                    at += 2;
                    if at > self.text.len() {
                        return Err(Halt::More);
                    }
                }
                _ => return Err(Halt::Refused),
            }
        }
        self.at = at + 1;
        Ok(Raw {
            from: &self.text[begin..],
            length: at - begin,
            escaped,
        })
    }

    /// A string without escapes.
    fn plain_string(&mut self) -> Result<Raw<'t>, Halt> {
        let raw = self.string()?;
        match raw.escaped {
            Escaped::No => Ok(raw),
            Escaped::Perhaps => Err(Halt::Refused),
        }
    }

    /// Passes the number that begins here: its digits and its size.
    #[inline]
    fn number(&mut self) -> Result<(Raw<'t>, usize), Halt> {
        let rest = &self.text[self.at..];
        let found = scan_json_number(rest);
        // The last number of the text may go on.
        let Some((length, size_bytes)) = found.filter(|(length, _)| *length < rest.len()) else {
            let is_part = |b: &u8| matches!(b, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E');
            return Err(if rest.iter().all(is_part) {
                Halt::More
            } else {
                Halt::Refused
            });
        };
        self.at += length;
        let raw = Raw {
            from: rest,
            length,
            escaped: Escaped::No,
        };
        Ok((raw, size_bytes))
    }

    fn boolean(&mut self) -> Result<bool, Halt> {
        let value = self.text.get(self.at) == Some(&b't');
        self.literal(if value { b"true" } else { b"false" })?;
        Ok(value)
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), Halt> {
        let rest = &self.text[self.at..];
        if rest.starts_with(literal) {
            self.at += literal.len();
            return Ok(());
        }
        Err(if literal.starts_with(rest) {
            Halt::More
        } else {
            Halt::Refused
        })
    }
}
