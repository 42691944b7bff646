//! One row of JSON, read by struson and handed to the encoder value by value.

use std::cell::Cell;
use std::io::Read;

use struson::reader::{
    JsonReader, JsonStreamReader, JsonSyntaxError, ReaderError, ReaderSettings, ValueType,
};

use crate::item::{Encoder, ITEM_BYTES_MAX, NESTING_MAX, Reason, Scalar, SetKind};

/// Whether values are plain JSON or DynamoDB JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Typing {
    /// `{"name":"Laptop"}`
    Plain,
    /// `{"name":{"S":"Laptop"}}`
    DynamoDb,
    /// `{"Item":{"name":{"S":"Laptop"}}}`
    DynamoDbItem,
    /// `{"PutRequest":{"Item":{"name":{"S":"Laptop"}}}}`
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
    PutRequest,
}

impl Typing {
    /// The members around an item, outermost first.
    pub(crate) fn around(self) -> &'static [&'static str] {
        match self {
            Self::Plain | Self::DynamoDb => &[],
            Self::DynamoDbItem => &["Item"],
            Self::PutRequest => &["PutRequest", "Item"],
        }
    }
}

/// Why a row could not be read: both kinds come from one call of the parser.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The text is not JSON.
    Syntax {
        line: u64,
        column: u64,
        byte: u64,
        problem: String,
    },
    /// The reader behind the parser failed.
    Io(std::io::Error),
}

/// Text that notes when a parser wants more than there is: whatever it then misses, the text is cut off.
pub(super) struct SliceReader<'a> {
    pub(super) rest: &'a [u8],
    pub(super) ended: &'a Cell<bool>,
}

impl Read for SliceReader<'_> {
    fn read(&mut self, out: &mut [u8]) -> std::io::Result<usize> {
        self.ended.set(self.rest.is_empty());
        self.rest.read(out)
    }
}

/// A parser over `reader`, for any number of values.
pub(crate) fn parser<R: Read>(reader: R) -> JsonStreamReader<R> {
    JsonStreamReader::new_custom(
        reader,
        ReaderSettings {
            allow_multiple_top_level: true,
            // Numbers are checked by DynamoDB's own rules.
            restrict_number_values: false,
            max_nesting_depth: Some(NESTING_MAX),
            track_path: false,
            ..ReaderSettings::default()
        },
    )
}

/// Offset of the parser's next byte.
pub(crate) fn offset<R: Read>(parser: &JsonStreamReader<R>) -> u64 {
    // Cannot be absent: `JsonStreamReader` always knows it.
    parser.current_position(false).data_pos.unwrap_or_default()
}

/// Line of the parser's next byte, from 1.
pub(crate) fn line<R: Read>(parser: &JsonStreamReader<R>) -> u64 {
    parser
        .current_position(false)
        .line_pos
        .map_or(0, |p| p.line)
        + 1
}

/// Column of the parser's next byte, in characters from 1.
pub(crate) fn column<R: Read>(parser: &JsonStreamReader<R>) -> u64 {
    parser
        .current_position(false)
        .line_pos
        .map_or(0, |p| p.column)
        + 1
}

impl From<JsonSyntaxError> for Broken {
    fn from(error: JsonSyntaxError) -> Self {
        let line_pos = error.location.line_pos;
        Self::Syntax {
            line: line_pos.map_or(0, |p| p.line) + 1,
            column: line_pos.map_or(0, |p| p.column) + 1,
            byte: error.location.data_pos.unwrap_or_default(),
            problem: describe(error.kind).to_owned(),
        }
    }
}

impl From<ReaderError> for Broken {
    fn from(error: ReaderError) -> Self {
        match error {
            ReaderError::SyntaxError(error) => error.into(),
            ReaderError::IoError { error, .. } => Self::Io(error),
            ReaderError::MaxNestingDepthExceeded { location, .. }
            | ReaderError::UnexpectedValueType { location, .. }
            | ReaderError::UnexpectedStructure { location, .. }
            | ReaderError::UnsupportedNumberValue { location, .. } => Self::Syntax {
                line: location.line_pos.map_or(0, |p| p.line) + 1,
                column: location.line_pos.map_or(0, |p| p.column) + 1,
                byte: location.data_pos.unwrap_or_default(),
                problem: format!("values are nested deeper than {NESTING_MAX} levels"),
            },
            other => Self::Io(std::io::Error::other(other.to_string())),
        }
    }
}

/// A string's reader wraps the parser's errors in `io::Error`.
impl From<std::io::Error> for Broken {
    fn from(error: std::io::Error) -> Self {
        match error.downcast::<JsonSyntaxError>() {
            Ok(error) => error.into(),
            Err(error) => Self::Io(error),
        }
    }
}

fn describe(kind: struson::reader::SyntaxErrorKind) -> &'static str {
    use struson::reader::SyntaxErrorKind as Kind;
    match kind {
        Kind::CommentsNotEnabled => "a comment, which JSON does not have",
        Kind::IncompleteComment | Kind::BlockCommentNotClosed => "a comment that does not end",
        Kind::InvalidLiteral => "a word that is neither true, false nor null",
        Kind::TrailingDataAfterLiteral => "text directly after true, false or null",
        Kind::UnexpectedClosingBracket => "a closing bracket that nothing opened",
        Kind::UnexpectedComma => "a comma where none may stand",
        Kind::MissingComma => "a missing comma",
        Kind::TrailingCommaNotEnabled => "a comma after the last element",
        Kind::UnexpectedColon => "a colon where none may stand",
        Kind::MissingColon => "a missing colon after a name",
        Kind::MalformedNumber => "a malformed number",
        Kind::TrailingDataAfterNumber => "text directly after a number",
        Kind::ExpectingMemberNameOrObjectEnd => {
            "something else where a name in quotes or } must stand"
        }
        Kind::NotEscapedControlCharacter => {
            "a line break or control character inside a string (an unclosed quote?)"
        }
        Kind::UnknownEscapeSequence => "an unknown escape sequence",
        Kind::MalformedEscapeSequence => "a malformed escape sequence",
        Kind::UnpairedSurrogatePairEscapeSequence => {
            "half of a surrogate pair (\\uD800 to \\uDFFF)"
        }
        Kind::IncompleteDocument => "the end of the file inside a value",
        Kind::TrailingData => "text after the end of the JSON value",
        _ => "text that is not JSON",
    }
}

/// Reads rows for one file; keeps its buffers from row to row.
pub(crate) struct RowReader {
    pub(crate) encoder: Encoder,
    typing: Typing,
    text: Vec<u8>,
}

impl RowReader {
    pub(crate) fn new(encoder: Encoder, typing: Typing) -> Self {
        Self {
            encoder,
            typing,
            text: Vec::new(),
        }
    }

    /// Reads the value that comes next as a row into the encoder. Of a row that is refused, the rest is skipped.
    pub(crate) fn read<R: Read>(&mut self, parser: &mut JsonStreamReader<R>) -> Result<(), Broken> {
        self.encoder.begin_item();
        let found = parser.peek()?;
        if found != ValueType::Object {
            self.encoder.fail(Reason::NotAnObject {
                found: kind_name(found),
            });
            return Ok(parser.skip_value()?);
        }
        parser.begin_object()?;
        self.around_item(parser, self.typing.around())?;
        Ok(parser.end_object()?)
    }

    /// The members of the open object, as members of the encoder's open map.
    fn members<R: Read>(
        &mut self,
        parser: &mut JsonStreamReader<R>,
        typed: bool,
    ) -> Result<(), Broken> {
        while parser.has_next()? {
            if self.encoder.failed() {
                skip_member(parser)?;
                continue;
            }
            self.encoder.name(parser.next_name()?);
            self.value(parser, typed)?;
        }
        Ok(())
    }

    fn value<R: Read>(
        &mut self,
        parser: &mut JsonStreamReader<R>,
        typed: bool,
    ) -> Result<(), Broken> {
        if self.encoder.failed() {
            return Ok(parser.skip_value()?);
        }
        if typed {
            self.typed(parser)
        } else {
            self.plain(parser)
        }
    }

    fn plain<R: Read>(&mut self, parser: &mut JsonStreamReader<R>) -> Result<(), Broken> {
        match parser.peek()? {
            ValueType::String => {
                if let Some(text) = self.string(parser)? {
                    self.encoder.scalar(Scalar::S(&text));
                    self.text = text.into_bytes();
                }
            }
            ValueType::Number => self.encoder.scalar(Scalar::N(parser.next_number_as_str()?)),
            ValueType::Boolean => self.encoder.scalar(Scalar::Bool(parser.next_bool()?)),
            ValueType::Null => {
                parser.next_null()?;
                self.encoder.scalar(Scalar::Null);
            }
            ValueType::Object => self.map(parser, false)?,
            ValueType::Array => self.list(parser, false)?,
        }
        Ok(())
    }

    fn map<R: Read>(
        &mut self,
        parser: &mut JsonStreamReader<R>,
        typed: bool,
    ) -> Result<(), Broken> {
        self.encoder.begin_map();
        if self.encoder.failed() {
            return Ok(parser.skip_value()?);
        }
        parser.begin_object()?;
        self.members(parser, typed)?;
        parser.end_object()?;
        self.encoder.end_container();
        Ok(())
    }

    fn list<R: Read>(
        &mut self,
        parser: &mut JsonStreamReader<R>,
        typed: bool,
    ) -> Result<(), Broken> {
        self.encoder.begin_list();
        if self.encoder.failed() {
            return Ok(parser.skip_value()?);
        }
        parser.begin_array()?;
        while parser.has_next()? {
            self.value(parser, typed)?;
        }
        parser.end_array()?;
        self.encoder.end_container();
        Ok(())
    }

    /// The members of the open object: those of the item, or the one around it and nothing else.
    fn around_item<R: Read>(
        &mut self,
        parser: &mut JsonStreamReader<R>,
        around: &[&str],
    ) -> Result<(), Broken> {
        let Some((&wanted, inner)) = around.split_first() else {
            return self.members(parser, self.typing != Typing::Plain);
        };
        let mut seen = false;
        while parser.has_next()? {
            // Names are not read any more: of a row that is being skipped they may be of any length.
            if self.encoder.failed() {
                skip_member(parser)?;
                continue;
            }
            let is_wanted = parser.next_name()? == wanted;
            if !is_wanted || seen || parser.peek()? != ValueType::Object {
                let form = match self.typing {
                    Typing::PutRequest => "{\"PutRequest\": {\"Item\": {…}}}",
                    _ => "{\"Item\": {…}}",
                };
                self.untyped(&format!("a row must be {form} and nothing else"));
                parser.skip_value()?;
                continue;
            }
            seen = true;
            parser.begin_object()?;
            self.around_item(parser, inner)?;
            parser.end_object()?;
        }
        if !seen {
            self.untyped(&format!("the row has no \"{wanted}\""));
        }
        Ok(())
    }

    /// A value of DynamoDB JSON: an object whose one member is named for the type.
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_AttributeValue.html>
    fn typed<R: Read>(&mut self, parser: &mut JsonStreamReader<R>) -> Result<(), Broken> {
        let found = parser.peek()?;
        if found != ValueType::Object {
            self.untyped(&format!(
                "a {} where {{\"S\": …}} or another type must stand",
                kind_name(found)
            ));
            return Ok(parser.skip_value()?);
        }
        parser.begin_object()?;
        if !parser.has_next()? {
            self.untyped("an empty object where {\"S\": …} or another type must stand");
            return Ok(parser.end_object()?);
        }
        let name: Option<TypeName> = TypeName::parse(parser.next_name()?.as_bytes());
        let expected = name.map(TypeName::json_type);
        if expected.is_none() || expected != Some(parser.peek()?) {
            self.untyped("a type that DynamoDB does not have, or a value that does not fit it");
            parser.skip_value()?;
        } else if let Some(name) = name {
            self.typed_value(parser, name)?;
        }
        while parser.has_next()? {
            self.untyped("a value with more than one type");
            skip_member(parser)?;
        }
        Ok(parser.end_object()?)
    }

    fn typed_value<R: Read>(
        &mut self,
        parser: &mut JsonStreamReader<R>,
        name: TypeName,
    ) -> Result<(), Broken> {
        match name {
            TypeName::S | TypeName::N | TypeName::B => {
                if let Some(text) = self.string(parser)? {
                    self.encoder.scalar(match name {
                        TypeName::N => Scalar::N(&text),
                        TypeName::B => Scalar::B(&text),
                        _ => Scalar::S(&text),
                    });
                    self.text = text.into_bytes();
                }
            }
            TypeName::Bool => self.encoder.scalar(Scalar::Bool(parser.next_bool()?)),
            TypeName::Null => {
                if parser.next_bool()? {
                    self.encoder.scalar(Scalar::Null);
                } else {
                    self.untyped("{\"NULL\": false}; a null is {\"NULL\": true}");
                }
            }
            TypeName::M => self.map(parser, true)?,
            TypeName::L => self.list(parser, true)?,
            TypeName::Set(kind) => self.set(parser, kind)?,
        }
        Ok(())
    }

    fn set<R: Read>(
        &mut self,
        parser: &mut JsonStreamReader<R>,
        kind: SetKind,
    ) -> Result<(), Broken> {
        self.encoder.begin_set(kind);
        parser.begin_array()?;
        while parser.has_next()? {
            if self.encoder.failed() || parser.peek()? != ValueType::String {
                self.untyped("a set whose members are not all strings");
                parser.skip_value()?;
            } else if let Some(text) = self.string(parser)? {
                self.encoder.set_member(kind, &text);
                self.text = text.into_bytes();
            }
        }
        parser.end_array()?;
        self.encoder.end_set();
        Ok(())
    }

    /// Reads a string, or skips it and refuses the row if it alone is larger than an item may be.
    fn string<R: Read>(
        &mut self,
        parser: &mut JsonStreamReader<R>,
    ) -> Result<Option<String>, Broken> {
        let mut text = std::mem::take(&mut self.text);
        text.clear();
        let mut reader = parser.next_string_reader()?;
        // Base64 is a third longer than the bytes that count.
        let limit_bytes = ITEM_BYTES_MAX / 3 * 4 + 4;
        reader
            .by_ref()
            .take(limit_bytes as u64 + 1)
            .read_to_end(&mut text)?;
        if text.len() > limit_bytes {
            self.encoder.fail(Reason::ItemTooLarge);
            std::io::copy(&mut reader, &mut std::io::sink())?;
            text.clear();
            self.text = text;
            return Ok(None);
        }
        // Cannot fail: the parser decodes strings into UTF-8. Were it to, the row would not be written.
        String::from_utf8(text)
            .map(Some)
            .map_err(|e| Broken::Io(std::io::Error::new(std::io::ErrorKind::InvalidData, e)))
    }

    fn untyped(&mut self, problem: &str) {
        self.encoder.fail(Reason::NotDynamoDbJson {
            problem: problem.to_owned(),
        });
    }
}

fn skip_member<R: Read>(parser: &mut JsonStreamReader<R>) -> Result<(), Broken> {
    parser.skip_name()?;
    Ok(parser.skip_value()?)
}

/// A type of DynamoDB JSON, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TypeName {
    S,
    N,
    B,
    Bool,
    Null,
    M,
    L,
    Set(SetKind),
}

impl TypeName {
    pub(crate) fn parse(name: &[u8]) -> Option<Self> {
        Some(match name {
            b"S" => Self::S,
            b"N" => Self::N,
            b"B" => Self::B,
            b"BOOL" => Self::Bool,
            b"NULL" => Self::Null,
            b"M" => Self::M,
            b"L" => Self::L,
            b"SS" => Self::Set(SetKind::S),
            b"NS" => Self::Set(SetKind::N),
            b"BS" => Self::Set(SetKind::B),
            _ => return None,
        })
    }

    /// The JSON type that the value has.
    pub(crate) fn json_type(self) -> ValueType {
        match self {
            Self::S | Self::N | Self::B => ValueType::String,
            Self::Bool | Self::Null => ValueType::Boolean,
            Self::M => ValueType::Object,
            Self::L | Self::Set(_) => ValueType::Array,
        }
    }
}

/// A JSON type's name.
pub(crate) fn kind_name(kind: ValueType) -> &'static str {
    match kind {
        ValueType::Array => "array",
        ValueType::Object => "object",
        ValueType::String => "string",
        ValueType::Number => "number",
        ValueType::Boolean => "boolean",
        ValueType::Null => "null",
    }
}
