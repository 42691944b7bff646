//! Builds one item as DynamoDB JSON wire bytes on the hot path.
//!
//! It takes what is right and refuses what is not, without a word: the decoder then gives the row to the reference
//! ([`crate::item::reference`]), which knows the reasons. Strings are copied as the file has them, names are recognised instead
//! of looked up, and nothing is allocated for a row that looks like the ones before it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

use base64::{Engine, engine::general_purpose::STANDARD};

use crate::item::json_text::{self, Escaped, write_json_string};
use crate::item::key::{append_key, write_key_value};
use crate::item::limits::{
    ATTRIBUTE_NAME_BYTES_MAX, DEPTH_MAX, ITEM_BYTES_MAX, LIST_OVERHEAD_BYTES, MEMBER_OVERHEAD_BYTES,
};
use crate::item::number::{Number, scan_json_number};
use crate::item::row::Row;
use crate::item::scalar::{Scalar, SetKind};
use crate::item::schema::{DeclaredType, Schema, Types};

/// The row is not for the hot path: it may be wrong, or only unusual.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refused;

/// Names remembered beyond which they are forgotten: the rows do not look alike. An item that has as many more goes
/// through the reference.
const NAMES_MAX: usize = 8192;
/// The same for their bytes: a name may have 64 KiB.
const NAMES_BYTES_MAX: usize = 1024 * 1024;
/// Names after the expected one that are tried before looking up: optional attributes are left out.
const NAMES_AHEAD: usize = 4;
/// Bytes that are copied at once where fewer are wanted.
const CHUNK_BYTES: usize = 32;
/// Members of a set beyond which it is left to the reference.
const SET_MEMBERS_MAX: usize = 64;

/// See the [module documentation](self).
#[derive(Debug)]
pub(crate) struct ItemWriter {
    schema: Arc<Schema>,
    types: Arc<Types>,
    item: Vec<u8>,
    size_bytes: usize,
    /// The containers that are open; the item itself is the first.
    frames: Vec<Frame>,
    frames_begun: u64,
    /// The names seen so far, by the number of maps and lists around them.
    levels: Vec<Level>,
    /// How many names the levels have, and their bytes.
    names: usize,
    names_bytes: usize,
    columns: Level,
    /// The role of the attribute of the item that is being written.
    role: Role,
    /// The values of `schema.key`, in its order, in canonical form; empty while there is none.
    key: Vec<Vec<u8>>,
    /// The canonical form of a value that is not kept.
    scratch: Vec<u8>,
    /// The canonical forms of the open set's members, each with where it ends.
    members: Vec<u8>,
    member_ends: Vec<usize>,
}

#[derive(Debug)]
struct Frame {
    is_map: bool,
    is_empty: bool,
    /// No other frame has it.
    number: u64,
    /// The name that comes next if this map is like the one before it.
    expected: usize,
}

/// Names in the order in which they were first seen, so that the next one is mostly the one after the last.
#[derive(Debug, Default)]
struct Level {
    names: Vec<Name>,
    by_text: HashMap<Box<[u8]>, usize>,
}

#[derive(Debug)]
struct Name {
    text: Box<[u8]>,
    /// A comma, the name as a JSON string, and a colon; then zeros, so that [`push_start`] need not look where it ends.
    wire: Box<[u8]>,
    wire_bytes: usize,
    /// The last frame that had it: the same one must not have it twice.
    frame: u64,
    role: Role,
}

/// What the table and the user demand of an attribute.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Role {
    /// Index into `schema.key`.
    key: Option<usize>,
    /// Index into `schema.index_keys` of the first that is of this name.
    index_key: Option<usize>,
    declared: Option<DeclaredType>,
}

impl Role {
    const NONE: Self = Self {
        key: None,
        index_key: None,
        declared: None,
    };

    fn of(name: &[u8], schema: &Schema, types: &Types) -> Self {
        let is_name = |other: &str| other.as_bytes() == name;
        Self {
            key: schema.key.iter().position(|key| is_name(&key.name)),
            index_key: schema.index_keys.iter().position(|key| is_name(&key.name)),
            declared: std::str::from_utf8(name)
                .ok()
                .and_then(|name| types.get(name)),
        }
    }
}

impl ItemWriter {
    pub(crate) fn new(schema: Arc<Schema>, types: Arc<Types>) -> Self {
        Self {
            key: vec![Vec::new(); schema.key.len()],
            schema,
            types,
            item: Vec::new(),
            size_bytes: 0,
            frames: Vec::new(),
            frames_begun: 0,
            levels: Vec::new(),
            names: 0,
            names_bytes: 0,
            columns: Level::default(),
            role: Role::NONE,
            scratch: Vec::new(),
            members: Vec::new(),
            member_ends: Vec::new(),
        }
    }

    /// Starts an item, forgetting whatever was there.
    pub(crate) fn begin(&mut self) {
        self.item.clear();
        self.size_bytes = 0;
        self.frames.clear();
        self.key.iter_mut().for_each(Vec::clear);
        // Between items nobody depends on a name, so that is when there may be too many.
        if self.names > NAMES_MAX || self.names_bytes > NAMES_BYTES_MAX {
            self.levels.clear();
            (self.names, self.names_bytes) = (0, 0);
        }
        self.open(true, b"{");
    }

    /// Ends the item and puts it into `row`. `row.position` is the caller's.
    pub(crate) fn finish(&mut self, row: &mut Row) -> Result<(), Refused> {
        if self.size_bytes > ITEM_BYTES_MAX {
            return Err(Refused);
        }
        self.item.push(b'}');
        row.key.clear();
        for value in &self.key {
            if value.is_empty() {
                return Err(Refused);
            }
            append_key(&mut row.key, value);
        }
        std::mem::swap(&mut row.item, &mut self.item);
        row.size_bytes = self.size_bytes;
        Ok(())
    }

    /// The name of the next member of the open map.
    pub(crate) fn name(&mut self, raw: Raw<'_>) -> Result<(), Refused> {
        match raw.escaped {
            Escaped::No => self.member(raw.bytes()),
            Escaped::Perhaps => self.member(raw.text()?.as_bytes()),
        }
    }

    /// If `text` begins with the name, its quotes and its colon that come next if this map is like the one before it,
    /// takes that for the next member's name, and gives its length.
    #[inline]
    pub(crate) fn expected_name(&mut self, text: &[u8]) -> Result<Option<usize>, Refused> {
        let depth = self.frames.len() - 1;
        let expected = self.frames[depth].expected;
        let level = self.levels.get(depth);
        let Some(name) = level.and_then(|level| level.names.get(expected)) else {
            return Ok(None);
        };
        // Without the comma.
        let length = name.wire_bytes - 1;
        if !begins_alike(text, &name.wire[1..], length) {
            return Ok(None);
        }
        self.known_member(depth, expected)?;
        Ok(Some(length))
    }

    /// The name of the next member of the open map.
    pub(crate) fn member(&mut self, name: &[u8]) -> Result<(), Refused> {
        let depth = self.frames.len() - 1;
        if self.levels.len() <= depth {
            self.levels.resize_with(depth + 1, Level::default);
        }
        let frame = &self.frames[depth];
        let level = &mut self.levels[depth];
        let ahead = level.names.iter().skip(frame.expected).take(NAMES_AHEAD);
        let found = ahead.zip(frame.expected..).find(|(n, _)| *n.text == *name);
        if let Some((_, index)) = found {
            return self.known_member(depth, index);
        }
        let known = level.names.len();
        let index = level.index_of(name, || match depth {
            0 => Role::of(name, &self.schema, &self.types),
            _ => Role::NONE,
        })?;
        if index == known {
            self.names += 1;
            self.names_bytes += name.len();
        }
        if self.names > 2 * NAMES_MAX {
            return Err(Refused);
        }
        self.known_member(depth, index)
    }

    #[inline]
    fn known_member(&mut self, depth: usize, index: usize) -> Result<(), Refused> {
        let frame = &mut self.frames[depth];
        let known = &mut self.levels[depth].names[index];
        if known.frame == frame.number {
            return Err(Refused);
        }
        known.frame = frame.number;
        frame.expected = index + 1;
        let comma = usize::from(frame.is_empty);
        frame.is_empty = false;
        push_start(
            &mut self.item,
            &known.wire[comma..],
            known.wire_bytes - comma,
        );
        self.size_bytes += known.text.len();
        if depth == 0 {
            self.role = known.role;
        } else {
            self.size_bytes += MEMBER_OVERHEAD_BYTES;
        }
        Ok(())
    }

    /// The attributes of items that all have the same ones, in their order.
    ///
    /// [`ItemWriter::column`] takes them by their index.
    pub(crate) fn columns<'n>(
        &mut self,
        names: impl Iterator<Item = &'n str>,
    ) -> Result<(), Refused> {
        self.columns = Level::default();
        for name in names {
            let role = || Role::of(name.as_bytes(), &self.schema, &self.types);
            self.columns.index_of(name.as_bytes(), role)?;
        }
        Ok(())
    }

    /// The attribute of the column `index` is the next member of the item.
    pub(crate) fn column(&mut self, index: usize) {
        let known = &self.columns.names[index];
        let frame = &mut self.frames[0];
        let comma = usize::from(frame.is_empty);
        frame.is_empty = false;
        push_start(
            &mut self.item,
            &known.wire[comma..],
            known.wire_bytes - comma,
        );
        self.size_bytes += known.text.len();
        self.role = known.role;
    }

    /// A string value.
    #[inline]
    pub(crate) fn string(&mut self, raw: Raw<'_>) -> Result<(), Refused> {
        let role = self.begin_value()?;
        if role != Role::NONE {
            let text = raw.text()?;
            if !matches!(role.declared, None | Some(DeclaredType::S)) {
                return self.declared_text(role, &text);
            }
            self.check_key(role, Scalar::S(&text))?;
        }
        self.item.extend_from_slice(b"{\"S\":\"");
        self.size_bytes += match raw.escaped {
            Escaped::No => {
                push_start(&mut self.item, raw.from, raw.length);
                raw.length
            }
            Escaped::Perhaps => {
                json_text::write_normal(raw.bytes(), &mut self.item).ok_or(Refused)?
            }
        };
        self.item.extend_from_slice(b"\"}");
        Ok(())
    }

    /// A number that [`scan_json_number`] found, with the size that it gave.
    #[inline]
    pub(crate) fn number(&mut self, raw: Raw<'_>, size_bytes: usize) -> Result<(), Refused> {
        let role = self.begin_value()?;
        if role != Role::NONE {
            let text = raw.text()?;
            match role.declared {
                None | Some(DeclaredType::N) => self.check_key(role, Scalar::N(&text))?,
                Some(DeclaredType::S) => {
                    self.check_key(role, Scalar::S(&text))?;
                    self.write(b"{\"S\":\"", raw.bytes(), b"\"}", raw.length);
                    return Ok(());
                }
                Some(DeclaredType::B | DeclaredType::Bool) => return Err(Refused),
            }
        }
        self.item.extend_from_slice(b"{\"N\":\"");
        push_start(&mut self.item, raw.from, raw.length);
        self.item.extend_from_slice(b"\"}");
        self.size_bytes += size_bytes;
        Ok(())
    }

    /// A number as the text of DynamoDB JSON has it.
    pub(crate) fn number_text(&mut self, raw: Raw<'_>) -> Result<(), Refused> {
        let digits = raw.bytes();
        if let Some((end, size_bytes)) = scan_json_number(digits)
            && end == digits.len()
        {
            return self.number(raw, size_bytes);
        }
        // DynamoDB takes some that JSON does not: `+1`, `.5`, `007`.
        let text = std::str::from_utf8(digits).map_err(|_| Refused)?;
        let size_bytes = Number::parse(text).map_err(|_| Refused)?.size_bytes();
        self.number(raw, size_bytes)
    }

    /// A binary value, as Base64.
    pub(crate) fn binary(&mut self, base64: &[u8]) -> Result<(), Refused> {
        let role = self.begin_value()?;
        let text = std::str::from_utf8(base64).map_err(|_| Refused)?;
        if role != Role::NONE {
            self.check_key(role, Scalar::B(text))?;
        }
        self.write_binary(text)
    }

    /// `true` or `false`.
    pub(crate) fn boolean(&mut self, value: bool) -> Result<(), Refused> {
        let role = self.begin_value()?;
        if role != Role::NONE && role.declared != Some(DeclaredType::Bool) {
            // A key is never boolean, and one that is declared text is rare enough for the reference.
            return Err(Refused);
        }
        self.check_key(role, Scalar::Bool(value))?;
        self.write_boolean(value);
        Ok(())
    }

    /// `null`.
    pub(crate) fn null(&mut self) -> Result<(), Refused> {
        let role = self.begin_value()?;
        self.check_key(role, Scalar::Null)?;
        self.write(b"{\"NULL\":true}", b"", b"", 1);
        Ok(())
    }

    /// A cell of CSV, which is not empty, in a column whose cells must be of the type `declared`. If `raw` has escapes, they
    /// are none, but it may hold what JSON does not take as it is inside a string.
    pub(crate) fn cell(
        &mut self,
        raw: Raw<'_>,
        declared: Option<DeclaredType>,
    ) -> Result<(), Refused> {
        let plain = Raw {
            escaped: Escaped::No,
            ..raw
        };
        let text = raw.bytes();
        match declared {
            Some(DeclaredType::S) => {}
            Some(DeclaredType::N) => return self.number_text(plain),
            None => {
                if let Some((end, size_bytes)) = scan_json_number(text)
                    && end == text.len()
                {
                    return self.number(plain, size_bytes);
                }
            }
            Some(DeclaredType::B) => return self.binary(text),
            Some(DeclaredType::Bool) if text.eq_ignore_ascii_case(b"true") => {
                return self.boolean(true);
            }
            Some(DeclaredType::Bool) if text.eq_ignore_ascii_case(b"false") => {
                return self.boolean(false);
            }
            Some(DeclaredType::Bool) => return Err(Refused),
        }
        if raw.escaped == Escaped::No || json_text::special(text).is_none() {
            return self.string(plain);
        }
        let role = self.begin_value()?;
        let text = plain.text()?;
        self.check_key(role, Scalar::S(&text))?;
        self.item.extend_from_slice(b"{\"S\":");
        write_json_string(&mut self.item, &text);
        self.item.push(b'}');
        self.size_bytes += text.len();
        Ok(())
    }

    /// Opens a map as the next value.
    pub(crate) fn begin_map(&mut self) -> Result<(), Refused> {
        self.begin_container(true, b"{\"M\":{")
    }

    /// Opens a list as the next value.
    pub(crate) fn begin_list(&mut self) -> Result<(), Refused> {
        self.begin_container(false, b"{\"L\":[")
    }

    /// Opens a set as the next value.
    pub(crate) fn begin_set(&mut self, kind: SetKind) -> Result<(), Refused> {
        if self.begin_value()? != Role::NONE {
            return Err(Refused);
        }
        self.members.clear();
        self.member_ends.clear();
        self.item.extend_from_slice(kind.opening());
        Ok(())
    }

    /// A member of the open set.
    pub(crate) fn set_member(&mut self, kind: SetKind, raw: Raw<'_>) -> Result<(), Refused> {
        let text = raw.text()?;
        let begin = self.members.len();
        self.size_bytes += match kind {
            SetKind::S => {
                self.members.extend_from_slice(text.as_bytes());
                text.len()
            }
            SetKind::N => {
                let number = Number::parse(&text).map_err(|_| Refused)?;
                number.write_canonical(&mut self.members);
                number.size_bytes()
            }
            SetKind::B => {
                STANDARD
                    .decode_vec(&*text, &mut self.members)
                    .map_err(|_| Refused)?;
                self.members.len() - begin
            }
        };
        let (before, new) = self.members.split_at(begin);
        let mut start = 0;
        for &end in &self.member_ends {
            if before[start..end] == *new {
                return Err(Refused);
            }
            start = end;
        }
        // Comparing each with all is for the few members that sets have.
        if self.member_ends.len() == SET_MEMBERS_MAX {
            return Err(Refused);
        }
        if !self.member_ends.is_empty() {
            self.item.push(b',');
        }
        self.member_ends.push(self.members.len());
        match raw.escaped {
            Escaped::No => self.write(b"\"", raw.bytes(), b"\"", 0),
            Escaped::Perhaps => write_json_string(&mut self.item, &text),
        }
        Ok(())
    }

    /// Closes the open set.
    pub(crate) fn end_set(&mut self) -> Result<(), Refused> {
        if self.member_ends.is_empty() {
            return Err(Refused);
        }
        self.item.extend_from_slice(b"]}");
        Ok(())
    }

    /// Closes the map or list that is open.
    pub(crate) fn end_container(&mut self) {
        if let Some(frame) = self.frames.pop() {
            let closing = if frame.is_map { b"}}" } else { b"]}" };
            self.item.extend_from_slice(closing);
        }
    }

    fn begin_container(&mut self, is_map: bool, opening: &[u8]) -> Result<(), Refused> {
        if self.begin_value()? != Role::NONE {
            return Err(Refused);
        }
        self.size_bytes += LIST_OVERHEAD_BYTES;
        self.open(is_map, opening);
        Ok(())
    }

    fn open(&mut self, is_map: bool, opening: &[u8]) {
        self.item.extend_from_slice(opening);
        self.frames_begun += 1;
        self.frames.push(Frame {
            is_map,
            is_empty: true,
            number: self.frames_begun,
            expected: 0,
        });
    }

    /// Begins a value: checks its level, writes and counts what it needs before it if it stands in a list, and gives
    /// the role of its attribute if it is an attribute's value itself.
    #[inline]
    fn begin_value(&mut self) -> Result<Role, Refused> {
        let depth = self.frames.len();
        if depth == 1 {
            return Ok(self.role);
        }
        if depth > DEPTH_MAX {
            return Err(Refused);
        }
        if let Some(frame) = self.frames.last_mut()
            && !frame.is_map
        {
            if !frame.is_empty {
                self.item.push(b',');
            }
            frame.is_empty = false;
            self.size_bytes += MEMBER_OVERHEAD_BYTES;
        }
        Ok(Role::NONE)
    }

    /// Checks an attribute against the table's and the indexes' keys and keeps the primary key's value.
    fn check_key(&mut self, role: Role, value: Scalar<'_>) -> Result<(), Refused> {
        if let Some(first) = role.index_key {
            let (first, others) = self.schema.index_keys[first..].split_at(1);
            let others = others.iter().filter(|key| key.name == first[0].name);
            for attribute in first.iter().chain(others) {
                write_key_value(attribute, value, &mut self.scratch).map_err(|_| Refused)?;
            }
        }
        if let Some(index) = role.key {
            write_key_value(&self.schema.key[index], value, &mut self.key[index])
                .map_err(|_| Refused)?;
        }
        Ok(())
    }

    /// A string of an attribute that is declared to be something else.
    fn declared_text(&mut self, role: Role, text: &str) -> Result<(), Refused> {
        match role.declared {
            Some(DeclaredType::N) => {
                let size_bytes = Number::parse(text).map_err(|_| Refused)?.size_bytes();
                self.check_key(role, Scalar::N(text))?;
                self.write(b"{\"N\":\"", text.as_bytes(), b"\"}", size_bytes);
            }
            Some(DeclaredType::B) => {
                self.check_key(role, Scalar::B(text))?;
                self.write_binary(text)?;
            }
            Some(DeclaredType::Bool) => {
                let value = if text.eq_ignore_ascii_case("true") {
                    true
                } else if text.eq_ignore_ascii_case("false") {
                    false
                } else {
                    return Err(Refused);
                };
                self.check_key(role, Scalar::Bool(value))?;
                self.write_boolean(value);
            }
            Some(DeclaredType::S) | None => return Err(Refused),
        }
        Ok(())
    }

    fn write_binary(&mut self, text: &str) -> Result<(), Refused> {
        self.scratch.clear();
        STANDARD
            .decode_vec(text, &mut self.scratch)
            .map_err(|_| Refused)?;
        self.write(b"{\"B\":\"", text.as_bytes(), b"\"}", self.scratch.len());
        Ok(())
    }

    fn write_boolean(&mut self, value: bool) {
        let wire: &[u8] = if value {
            b"{\"BOOL\":true}"
        } else {
            b"{\"BOOL\":false}"
        };
        self.write(wire, b"", b"", 1);
    }

    #[inline]
    fn write(&mut self, opening: &[u8], value: &[u8], closing: &[u8], size_bytes: usize) {
        self.item.extend_from_slice(opening);
        self.item.extend_from_slice(value);
        self.item.extend_from_slice(closing);
        self.size_bytes += size_bytes;
    }
}

/// A JSON string without its quotes, or a number, at the beginning of `from`: what follows it lets short ones be copied in
/// one go.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Raw<'t> {
    pub(crate) from: &'t [u8],
    pub(crate) length: usize,
    pub(crate) escaped: Escaped,
}

impl<'t> Raw<'t> {
    #[inline]
    pub(crate) fn bytes(self) -> &'t [u8] {
        &self.from[..self.length]
    }

    /// The text that it stands for.
    fn text(self) -> Result<Cow<'t, str>, Refused> {
        match self.escaped {
            Escaped::No => Ok(Cow::Borrowed(
                std::str::from_utf8(self.bytes()).map_err(|_| Refused)?,
            )),
            Escaped::Perhaps => {
                let text = json_text::unescape(self.bytes());
                Ok(Cow::Owned(text.ok_or(Refused)?))
            }
        }
    }
}

/// Appends the first `length` bytes of `text`.
#[inline]
fn push_start(out: &mut Vec<u8>, text: &[u8], length: usize) {
    match text.first_chunk::<CHUNK_BYTES>() {
        // Copying a few bytes too many costs less than calling a function that copies as many as it is told.
        Some(chunk) if length <= CHUNK_BYTES => {
            let end = out.len() + length;
            out.extend_from_slice(chunk);
            out.truncate(end);
        }
        _ => out.extend_from_slice(&text[..length]),
    }
}

/// Whether the first `length` bytes of both are the same.
#[inline]
fn begins_alike(text: &[u8], other: &[u8], length: usize) -> bool {
    const BYTES: usize = size_of::<u128>();
    match (text.first_chunk::<BYTES>(), other.first_chunk::<BYTES>()) {
        (Some(a), Some(b)) if length <= BYTES => {
            let different = u128::from_le_bytes(*a) ^ u128::from_le_bytes(*b);
            different.trailing_zeros() as usize / 8 >= length
        }
        _ => text.starts_with(&other[..length]),
    }
}

impl Level {
    /// Index of `name`, which is remembered if it is new.
    fn index_of(&mut self, name: &[u8], role: impl FnOnce() -> Role) -> Result<usize, Refused> {
        if let Some(&index) = self.by_text.get(name) {
            return Ok(index);
        }
        if name.is_empty() || name.len() > ATTRIBUTE_NAME_BYTES_MAX {
            return Err(Refused);
        }
        let mut wire = vec![b','];
        write_json_string(&mut wire, std::str::from_utf8(name).map_err(|_| Refused)?);
        wire.push(b':');
        let wire_bytes = wire.len();
        wire.resize(wire_bytes + CHUNK_BYTES, 0);
        let index = self.names.len();
        self.names.push(Name {
            text: name.into(),
            wire: wire.into(),
            wire_bytes,
            frame: 0,
            role: role(),
        });
        self.by_text.insert(name.into(), index);
        Ok(index)
    }
}
