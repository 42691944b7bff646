//! Builds one item as DynamoDB JSON wire bytes and checks every limit on the way.
//!
//! All decoders feed the same encoder, so a limit, the size and the key are computed in one place, whatever the format.
//! The first problem of a row sticks: what follows it is neither written nor checked, and [`Encoder::finish`] returns it.

use std::collections::HashSet;
use std::sync::Arc;

use crate::item::json_text::write_json_string;
use crate::item::key::{append_key, decode_base64, key_mismatch, key_value};
use crate::item::limits::{
    ATTRIBUTE_NAME_BYTES_MAX, DEPTH_MAX, ITEM_BYTES_MAX, LIST_OVERHEAD_BYTES, MEMBER_OVERHEAD_BYTES,
};
use crate::item::number::{Number, is_json_number};
use crate::item::quoted::quoted;
use crate::item::reject::Reason;
use crate::item::row::Row;
use crate::item::scalar::{Scalar, SetKind};
use crate::item::schema::{DeclaredType, Schema, Types};

#[derive(Debug)]
struct Frame {
    is_map: bool,
    members: usize,
    names: HashSet<String>,
}

/// See the [module documentation](self).
#[derive(Debug)]
pub(crate) struct Encoder {
    schema: Arc<Schema>,
    types: Arc<Types>,
    item: Vec<u8>,
    size_bytes: usize,
    /// The containers that are open; the item itself is the first.
    frames: Vec<Frame>,
    /// Name of the attribute of the item that is being written.
    attribute: String,
    /// The values of `schema.key`, in its order, in canonical form.
    key: Vec<Option<Vec<u8>>>,
    set_members: HashSet<Vec<u8>>,
    problem: Option<Reason>,
}

impl Encoder {
    pub(crate) fn new(schema: Arc<Schema>, types: Arc<Types>) -> Self {
        Self {
            key: vec![None; schema.key.len()],
            schema,
            types,
            item: Vec::new(),
            size_bytes: 0,
            frames: Vec::new(),
            attribute: String::new(),
            set_members: HashSet::new(),
            problem: None,
        }
    }

    /// Starts an item, forgetting whatever was there.
    pub(crate) fn begin_item(&mut self) {
        self.item.clear();
        self.size_bytes = 0;
        self.frames.clear();
        self.key.fill(None);
        self.problem = None;
        self.open(true, b"{");
    }

    /// Ends the item and puts it into `row`, or tells what is wrong with it. `row.position` is the caller's.
    pub(crate) fn finish(&mut self, row: &mut Row) -> Result<(), Reason> {
        if let Some(problem) = self.problem.take() {
            return Err(problem);
        }
        self.item.push(b'}');
        row.key.clear();
        for (attribute, value) in self.schema.key.iter().zip(&self.key) {
            let value = value.as_deref().ok_or_else(|| Reason::MissingKey {
                name: attribute.name.clone(),
            })?;
            append_key(&mut row.key, value);
        }
        std::mem::swap(&mut row.item, &mut self.item);
        row.size_bytes = self.size_bytes;
        Ok(())
    }

    /// Whether the item already has a problem, so that the rest of the row may be skipped.
    pub(crate) fn failed(&self) -> bool {
        self.problem.is_some()
    }

    /// Records a problem that the decoder found; the first one counts.
    pub(crate) fn fail(&mut self, reason: Reason) {
        self.problem.get_or_insert(reason);
    }

    /// Records a problem of the value being written, with the attribute it is in unless the problem names it.
    fn fail_value(&mut self, reason: Reason) {
        let names_it = matches!(
            reason,
            Reason::KeyType { .. }
                | Reason::EmptyKey { .. }
                | Reason::KeyTooLong { .. }
                | Reason::DeclaredType { .. }
        );
        self.fail(if names_it {
            reason
        } else {
            Reason::Value {
                name: quoted(&self.attribute),
                problem: Box::new(reason),
            }
        });
    }

    /// The name of the next member of the open map.
    pub(crate) fn name(&mut self, name: &str) {
        if self.failed() {
            return;
        }
        let top_level = self.frames.len() == 1;
        let Some(frame) = self.frames.last_mut() else {
            return;
        };
        if name.is_empty() {
            return self.fail(Reason::EmptyAttributeName);
        }
        if name.len() > ATTRIBUTE_NAME_BYTES_MAX {
            return self.fail(Reason::AttributeNameTooLong {
                size_bytes: name.len(),
            });
        }
        if !frame.names.insert(name.to_owned()) {
            return self.fail(Reason::DuplicateAttribute { name: quoted(name) });
        }
        if top_level {
            name.clone_into(&mut self.attribute);
        }
        self.separate();
        self.add_size(name.len() + if top_level { 0 } else { MEMBER_OVERHEAD_BYTES });
        write_json_string(&mut self.item, name);
        self.item.push(b':');
    }

    /// A value without children.
    pub(crate) fn scalar(&mut self, value: Scalar<'_>) {
        if self.failed() {
            return;
        }
        if let Err(reason) = self.try_scalar(value) {
            self.fail_value(reason);
        }
    }

    fn try_scalar(&mut self, value: Scalar<'_>) -> Result<(), Reason> {
        self.begin_value();
        let value = if self.frames.len() == 1 {
            let value = self.declared(value)?;
            self.check_key(value)?;
            value
        } else {
            value
        };
        match value {
            Scalar::S(text) => {
                self.add_size(text.len());
                self.item.extend_from_slice(b"{\"S\":");
                write_json_string(&mut self.item, text);
            }
            Scalar::N(text) => {
                self.add_size(Number::parse(text)?.size_bytes());
                self.item.extend_from_slice(b"{\"N\":\"");
                self.item.extend_from_slice(text.as_bytes());
                self.item.push(b'"');
            }
            Scalar::B(text) => {
                self.add_size(decode_base64(text)?.len());
                self.item.extend_from_slice(b"{\"B\":\"");
                self.item.extend_from_slice(text.as_bytes());
                self.item.push(b'"');
            }
            Scalar::Bool(value) => {
                self.add_size(1);
                self.item.extend_from_slice(if value {
                    b"{\"BOOL\":true"
                } else {
                    b"{\"BOOL\":false"
                });
            }
            Scalar::Null => {
                self.add_size(1);
                self.item.extend_from_slice(b"{\"NULL\":true");
            }
        }
        self.item.push(b'}');
        Ok(())
    }

    /// Applies the type that the user declared for the attribute being written.
    fn declared<'v>(&self, value: Scalar<'v>) -> Result<Scalar<'v>, Reason> {
        let Some(declared) = self.types.get(&self.attribute) else {
            return Ok(value);
        };
        let mismatch = |problem: String| Reason::DeclaredType {
            name: quoted(&self.attribute),
            declared: declared.name(),
            problem,
        };
        match (declared, value) {
            (_, Scalar::Null)
            | (DeclaredType::S, Scalar::S(_))
            | (DeclaredType::Bool, Scalar::Bool(_)) => Ok(value),
            (DeclaredType::S, Scalar::N(text)) => Ok(Scalar::S(text)),
            (DeclaredType::S, Scalar::Bool(value)) => {
                Ok(Scalar::S(if value { "true" } else { "false" }))
            }
            (DeclaredType::N, Scalar::N(text) | Scalar::S(text)) => match Number::parse(text) {
                Ok(_) => Ok(Scalar::N(text)),
                Err(reason) => Err(mismatch(reason.to_string())),
            },
            (DeclaredType::B, Scalar::B(text) | Scalar::S(text)) => match decode_base64(text) {
                Ok(_) => Ok(Scalar::B(text)),
                Err(reason) => Err(mismatch(reason.to_string())),
            },
            (DeclaredType::Bool, Scalar::S(text)) if text.eq_ignore_ascii_case("true") => {
                Ok(Scalar::Bool(true))
            }
            (DeclaredType::Bool, Scalar::S(text)) if text.eq_ignore_ascii_case("false") => {
                Ok(Scalar::Bool(false))
            }
            (_, value) => Err(mismatch(format!("the value is a {}", value.type_name()))),
        }
    }

    /// Checks the attribute being written against the table's and the indexes' keys and keeps the primary key's value.
    fn check_key(&mut self, value: Scalar<'_>) -> Result<(), Reason> {
        for attribute in &self.schema.index_keys {
            if attribute.name == self.attribute {
                key_value(attribute, value)?;
            }
        }
        for (attribute, slot) in self.schema.key.iter().zip(&mut self.key) {
            if attribute.name == self.attribute {
                *slot = Some(key_value(attribute, value)?);
            }
        }
        Ok(())
    }

    /// Opens a map as the next value. Nothing is opened if that is too deep: check [`Encoder::failed`].
    pub(crate) fn begin_map(&mut self) {
        self.begin_container("M", true, b"{\"M\":{");
    }

    /// Opens a list as the next value. Nothing is opened if that is too deep: check [`Encoder::failed`].
    pub(crate) fn begin_list(&mut self) {
        self.begin_container("L", false, b"{\"L\":[");
    }

    /// Closes the map or list that is open.
    pub(crate) fn end_container(&mut self) {
        if self.failed() {
            return;
        }
        if let Some(frame) = self.frames.pop() {
            self.item
                .extend_from_slice(if frame.is_map { b"}}" } else { b"]}" });
        }
    }

    fn begin_container(&mut self, found: &'static str, is_map: bool, opening: &[u8]) {
        if self.failed() {
            return;
        }
        self.begin_value();
        if self.failed() {
            return;
        }
        if self.frames.len() == 1
            && let Err(reason) = self.check_not_scalar(found)
        {
            return self.fail(reason);
        }
        self.add_size(LIST_OVERHEAD_BYTES);
        self.open(is_map, opening);
    }

    /// Opens a set as the next value.
    pub(crate) fn begin_set(&mut self, kind: SetKind) {
        if self.failed() {
            return;
        }
        let found = match kind {
            SetKind::S => "SS",
            SetKind::N => "NS",
            SetKind::B => "BS",
        };
        self.begin_value();
        if self.frames.len() == 1
            && let Err(reason) = self.check_not_scalar(found)
        {
            return self.fail(reason);
        }
        self.item.extend_from_slice(kind.opening());
        self.set_members.clear();
    }

    /// A member of the open set: text, a number, or Base64 text.
    pub(crate) fn set_member(&mut self, kind: SetKind, text: &str) {
        if self.failed() {
            return;
        }
        if let Err(reason) = self.try_set_member(kind, text) {
            self.fail_value(reason);
        }
    }

    fn try_set_member(&mut self, kind: SetKind, text: &str) -> Result<(), Reason> {
        let (canonical, size_bytes) = match kind {
            SetKind::S => (text.as_bytes().to_vec(), text.len()),
            SetKind::N => {
                let number = Number::parse(text)?;
                let mut canonical = Vec::new();
                number.write_canonical(&mut canonical);
                (canonical, number.size_bytes())
            }
            SetKind::B => {
                let bytes = decode_base64(text)?;
                let size_bytes = bytes.len();
                (bytes, size_bytes)
            }
        };
        if !self.set_members.is_empty() {
            self.item.push(b',');
        }
        if !self.set_members.insert(canonical) {
            return Err(Reason::DuplicateInSet);
        }
        self.add_size(size_bytes);
        write_json_string(&mut self.item, text);
        Ok(())
    }

    /// Closes the open set.
    pub(crate) fn end_set(&mut self) {
        if self.failed() {
            return;
        }
        if self.set_members.is_empty() {
            return self.fail_value(Reason::EmptySet);
        }
        self.item.extend_from_slice(b"]}");
    }

    /// Whether the attribute being written may be anything but a scalar.
    fn check_not_scalar(&self, found: &'static str) -> Result<(), Reason> {
        let mut keys = self.schema.key.iter().chain(&self.schema.index_keys);
        if let Some(attribute) = keys.find(|attribute| attribute.name == self.attribute) {
            return Err(key_mismatch(attribute, found));
        }
        match self.types.get(&self.attribute) {
            Some(declared) => Err(Reason::DeclaredType {
                name: quoted(&self.attribute),
                declared: declared.name(),
                problem: format!("the value is a {found}"),
            }),
            None => Ok(()),
        }
    }

    fn open(&mut self, is_map: bool, opening: &[u8]) {
        self.item.extend_from_slice(opening);
        self.frames.push(Frame {
            is_map,
            members: 0,
            names: HashSet::new(),
        });
    }

    /// Begins a value: checks its level, and writes and counts what it needs before it if it stands in a list.
    fn begin_value(&mut self) {
        if self.frames.len() > DEPTH_MAX {
            return self.fail_value(Reason::TooDeep);
        }
        if self.frames.last().is_some_and(|frame| !frame.is_map) {
            self.separate();
            self.add_size(MEMBER_OVERHEAD_BYTES);
        }
    }

    fn separate(&mut self) {
        if let Some(frame) = self.frames.last_mut() {
            if frame.members > 0 {
                self.item.push(b',');
            }
            frame.members += 1;
        }
    }

    fn add_size(&mut self, bytes: usize) {
        self.size_bytes += bytes;
        if self.size_bytes > ITEM_BYTES_MAX {
            self.fail(Reason::ItemTooLarge);
        }
    }
}

/// The type and value that a CSV cell has when nothing is declared for its column: a number if JSON and DynamoDB take
/// it for one, else text. A number that DynamoDB cannot hold is text, so that no digit is lost.
pub(crate) fn infer_cell(text: &str) -> Scalar<'_> {
    if is_json_number(text) && Number::parse(text).is_ok() {
        Scalar::N(text)
    } else {
        Scalar::S(text)
    }
}
