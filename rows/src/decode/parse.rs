//! JSON on the hot path: one pass over the text of a row, straight into wire bytes.
//!
//! It accepts or refuses. Why a row is wrong, and whether only its end has not come yet, is for others to say.

use super::value::{TypeName, Typing};
use crate::item::json_text::{self, Escaped};
use crate::item::number::scan_json_number;
use crate::item::{ItemWriter, Raw, Refused, SetKind};

/// Goes through text that is UTF-8.
pub(super) struct Parser<'t> {
    text: &'t [u8],
    /// Bytes passed.
    pub(super) at: usize,
    /// Line breaks passed: line feed, carriage return, or both.
    pub(super) line_breaks: u64,
    /// Whether the byte before the text is a carriage return.
    after_return: bool,
    /// Whether a line feed ends the row, so that it is no white space.
    by_lines: bool,
}

impl<'t> Parser<'t> {
    /// Goes through `text` from `at` on. `after_return` says that the byte before `text` is a carriage return.
    pub(super) fn new(text: &'t [u8], at: usize, after_return: bool) -> Self {
        Self {
            text,
            at,
            line_breaks: 0,
            after_return,
            by_lines: false,
        }
    }

    /// Goes through the line that begins at `at`.
    pub(super) fn line(text: &'t [u8], at: usize) -> Self {
        Self {
            by_lines: true,
            ..Self::new(text, at, false)
        }
    }

    /// Passes white space and gives the byte after it, which is not passed.
    #[inline]
    pub(super) fn space(&mut self) -> Result<u8, Refused> {
        match self.text.get(self.at) {
            Some(&byte) if byte > b' ' => Ok(byte),
            _ => self.some_space(),
        }
    }

    fn some_space(&mut self) -> Result<u8, Refused> {
        loop {
            match self.text.get(self.at) {
                None => return Err(Refused),
                Some(b' ' | b'\t') => {}
                Some(b'\n') if self.by_lines => return Ok(b'\n'),
                Some(b'\n') => {
                    let after_return = match self.at.checked_sub(1) {
                        Some(before) => self.text[before] == b'\r',
                        None => self.after_return,
                    };
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
    pub(super) fn expect(&mut self, byte: u8) -> Result<(), Refused> {
        if self.space()? != byte {
            return Err(Refused);
        }
        self.at += 1;
        Ok(())
    }

    /// Passes the row that begins here.
    pub(super) fn row(&mut self, item: &mut ItemWriter, typing: Typing) -> Result<(), Refused> {
        item.begin();
        self.expect(b'{')?;
        for name in typing.around() {
            self.space()?;
            if self.plain_string()?.bytes() != name.as_bytes() {
                return Err(Refused);
            }
            self.expect(b':')?;
            self.expect(b'{')?;
        }
        self.members(item, typing != Typing::Plain)?;
        for _ in typing.around() {
            self.expect(b'}')?;
        }
        Ok(())
    }

    /// Passes the members of an object whose brace is passed, and its closing brace.
    fn members(&mut self, item: &mut ItemWriter, typed: bool) -> Result<(), Refused> {
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
    fn name(&mut self, item: &mut ItemWriter) -> Result<(), Refused> {
        if let Some(length) = item.expected_name(&self.text[self.at..])? {
            self.at += length;
            return Ok(());
        }
        item.name(self.string()?)?;
        self.expect(b':')
    }

    /// Passes the values of an array whose bracket is passed, and its closing bracket.
    fn values(&mut self, item: &mut ItemWriter, typed: bool) -> Result<(), Refused> {
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
    fn another(&mut self, closing: u8) -> Result<bool, Refused> {
        let byte = self.space()?;
        self.at += 1;
        match byte {
            b',' => Ok(true),
            _ if byte == closing => Ok(false),
            _ => Err(Refused),
        }
    }

    fn value(&mut self, item: &mut ItemWriter, typed: bool) -> Result<(), Refused> {
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

    fn container(
        &mut self,
        opening: u8,
        item: &mut ItemWriter,
        typed: bool,
    ) -> Result<(), Refused> {
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
    fn typed(&mut self, item: &mut ItemWriter) -> Result<(), Refused> {
        self.expect(b'{')?;
        self.space()?;
        let name = TypeName::parse(self.string()?.bytes());
        self.expect(b':')?;
        self.space()?;
        match name.ok_or(Refused)? {
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

    fn set(&mut self, item: &mut ItemWriter, kind: SetKind) -> Result<(), Refused> {
        self.expect(b'[')?;
        item.begin_set(kind)?;
        loop {
            self.space()?;
            item.set_member(kind, self.string()?)?;
            if !self.another(b']')? {
                return item.end_set();
            }
        }
    }

    /// Passes the string that begins here and gives what is between its quotes.
    #[inline]
    fn string(&mut self) -> Result<Raw<'t>, Refused> {
        match self.text.get(self.at) {
            Some(b'"') => {}
            Some(_) | None => return Err(Refused),
        }
        let begin = self.at + 1;
        let mut at = begin;
        let mut escaped = Escaped::No;
        loop {
            at += json_text::special(&self.text[at..]).ok_or(Refused)?;
            match self.text[at] {
                b'"' => break,
                b'\\' => {
                    escaped = Escaped::Perhaps;
                    at += 2;
                    if at > self.text.len() {
                        return Err(Refused);
                    }
                }
                _ => return Err(Refused),
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
    fn plain_string(&mut self) -> Result<Raw<'t>, Refused> {
        let raw = self.string()?;
        match raw.escaped {
            Escaped::No => Ok(raw),
            Escaped::Perhaps => Err(Refused),
        }
    }

    /// Passes the number that begins here: its digits and its size.
    #[inline]
    fn number(&mut self) -> Result<(Raw<'t>, usize), Refused> {
        let rest = &self.text[self.at..];
        let (length, size_bytes) = scan_json_number(rest).ok_or(Refused)?;
        self.at += length;
        let raw = Raw {
            from: rest,
            length,
            escaped: Escaped::No,
        };
        Ok((raw, size_bytes))
    }

    fn boolean(&mut self) -> Result<bool, Refused> {
        let value = self.text.get(self.at) == Some(&b't');
        self.literal(if value { b"true" } else { b"false" })?;
        Ok(value)
    }

    fn literal(&mut self, literal: &[u8]) -> Result<(), Refused> {
        if !self.text[self.at..].starts_with(literal) {
            return Err(Refused);
        }
        self.at += literal.len();
        Ok(())
    }
}
