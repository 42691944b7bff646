//! Finds a file's format from its first bytes.

use std::cell::Cell;
use std::io::Read;

use struson::reader::{JsonReader, JsonStreamReader, ReaderError, ValueType};

use super::format::{Format, Layout};
use super::frame::is_json_blank;
use super::options::DecodeOptions;
use super::value::{SliceReader, TypeName, Typing, line, offset, parser};
use super::wrapper::{Wrapped, array_index};
use crate::error::Error;
use crate::item::{Schema, quoted};

/// First bytes of files that people upload by mistake, and what to do instead.
const FOREIGN: &[(&[u8], &str, &str)] = &[
    (
        b"PK\x03\x04",
        "a zip archive or an Excel workbook",
        "unpack it, or save the sheet as CSV UTF-8",
    ),
    (b"PAR1", "Parquet", "convert it to JSON Lines or CSV"),
    (b"Obj\x01", "Avro", "convert it to JSON Lines"),
    (b"ORC", "ORC", "convert it to JSON Lines or CSV"),
    (b"BZh", "bzip2", "compress it with gzip or zstd instead"),
    (
        b"\xFD7zXZ\x00",
        "xz",
        "compress it with gzip or zstd instead",
    ),
    (
        b"\xD0\xCF\x11\xE0",
        "an old Excel workbook",
        "save the sheet as CSV UTF-8",
    ),
    (
        b"\xE0\x01\x00\xEA",
        "binary Ion",
        "export the table as DynamoDB JSON",
    ),
    (b"%PDF-", "a PDF", "export the data as CSV or JSON"),
    (
        b"\x1f\x8b",
        "gzip in gzip in gzip in gzip",
        "decompress it until a catalog comes out",
    ),
];

/// What a file is that begins with `start`, if it is text or a container that is no catalog, and what to do instead.
fn foreign_text(start: &[u8]) -> Option<(&'static str, &'static str)> {
    const TAR_MAGIC: std::ops::Range<usize> = 257..262;
    if start.get(TAR_MAGIC) == Some(b"ustar") {
        return Some((
            "a tar archive",
            "unpack it and upload the files that are in it",
        ));
    }
    if let Some(fix) = wide_text(start) {
        return Some(("UTF-16 without a byte order mark", fix));
    }
    let text = start.trim_ascii_start();
    let first = &text[..text.len().min(512)].to_ascii_lowercase();
    let has = |needle: &[u8]| first.windows(needle.len()).any(|window| window == needle);
    if first.starts_with(b"<?xml") || first.starts_with(b"<error>") {
        return Some(if has(b"<error>") && has(b"<code>") {
            (
                "an error of S3 in XML",
                "whatever downloaded it was refused; its <Code> says why. Download the file again",
            )
        } else {
            ("XML", "export the data as CSV or JSON")
        });
    }
    if first.starts_with(b"<!doctype html") || first.starts_with(b"<html") {
        return Some((
            "a page of HTML",
            "it may be a page to sign in, in place of the file: download the file again, or export the data as CSV or JSON",
        ));
    }
    if first.starts_with(b"--") && has(b"content-disposition:") {
        return Some((
            "the body of a multipart form",
            "upload the file itself, without the form around it",
        ));
    }
    if first.starts_with(b"//") || first.starts_with(b"/*") {
        return Some(("JSON with comments", "remove the comments: JSON has none"));
    }
    let name = first
        .iter()
        .take_while(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'.'));
    let call = &first[name.count()..];
    let is_call = call.len() < first.len() && call.first() == Some(&b'(');
    let argument = call.get(1..).unwrap_or_default().trim_ascii_start();
    if is_call && matches!(argument.first(), Some(b'{' | b'[')) {
        return Some((
            "JSONP",
            "remove the name and the parentheses around the JSON",
        ));
    }
    None
}

/// How to read text of two bytes a character, of which every second byte is mostly zero, if `start` looks like that.
fn wide_text(start: &[u8]) -> Option<&'static str> {
    let (pairs, _) = start[..start.len().min(256)].as_chunks::<2>();
    let count = |index: usize| pairs.iter().filter(|pair| pair[index] == 0).count();
    let (high_first, low_first) = (count(0), count(1));
    let most = pairs.len() * 3 / 4;
    if pairs.len() < 4 {
        None
    } else if low_first > most && high_first == 0 {
        Some("name the encoding: --encoding utf-16le (object metadata x-amz-meta-intake-encoding)")
    } else if high_first > most && low_first == 0 {
        Some("name the encoding: --encoding utf-16be (object metadata x-amz-meta-intake-encoding)")
    } else {
        None
    }
}

/// Whether a file that begins with `start` is of the format that begins with `magic`.
fn is_foreign(start: &[u8], magic: &[u8]) -> bool {
    // A CSV header may well begin with "PAR1" or "ORC"; what the formats of these names go on with is no text.
    let is_text = |b: &u8| !b.is_ascii_control() || b.is_ascii_whitespace();
    start.starts_with(magic)
        && !(magic.iter().all(u8::is_ascii_alphanumeric) && start.iter().take(64).all(is_text))
}

/// The layout of a file that begins with `start`; `whole` says that this is all of it.
pub(crate) fn layout(
    start: &[u8],
    whole: bool,
    options: &DecodeOptions,
    schema: &Schema,
) -> Result<Layout, Error> {
    if let Some((_, what, fix)) = FOREIGN.iter().find(|(magic, ..)| is_foreign(start, magic)) {
        return unusable(
            "foreign",
            format!("the file is {what}, which Intake does not read"),
            *fix,
        );
    }
    if let Some((what, fix)) = foreign_text(start) {
        let is_encoding = fix.contains("--encoding");
        return unusable(
            if is_encoding { "encoding" } else { "foreign" },
            format!("the file is {what}, which Intake does not read"),
            fix,
        );
    }
    let Some(&first) = start.iter().find(|b| !b.is_ascii_whitespace()) else {
        return unusable(
            "empty",
            if whole {
                "the file is empty"
            } else {
                "the file begins with nothing but white space"
            }
            .to_owned(),
            "upload a file with rows; a file of no rows is [] in JSON, or a CSV header alone",
        );
    };
    let format = options.format.unwrap_or(match first {
        b'[' | b'{' => Format::Json,
        _ => Format::Csv,
    });
    if format != Format::Csv && options.delimiter.is_some() {
        return unusable(
            "delimiter",
            format!("a delimiter was given, but the file is {format}"),
            "leave --delimiter away",
        );
    }
    if format == Format::Csv {
        if options.rows_at.is_some() {
            return unusable(
                "rows-at",
                "a JSON pointer was given, but the file is CSV".to_owned(),
                "leave --rows-at away",
            );
        }
        let delimiter = options
            .delimiter
            .unwrap_or_else(|| sniff_delimiter(start, schema));
        if !delimiter.is_ascii() || matches!(delimiter, b'"' | b'\r' | b'\n') {
            return unusable(
                "delimiter",
                "the delimiter is a quote, a line break or not ASCII".to_owned(),
                "give one character, such as --delimiter ';'",
            );
        }
        return Ok(Layout::Csv { delimiter });
    }
    let found = json_layout(start, whole, first, format, options, schema)?;
    let typed = match &found {
        Layout::JsonArray { typed, .. }
        | Layout::JsonSequence { typed }
        | Layout::JsonLines { typed } => *typed,
        Layout::Csv { .. } => Typing::Plain,
    };
    if typed != Typing::Plain && !options.types.is_empty() {
        return unusable(
            "types",
            "types were declared, but DynamoDB JSON names the type of every value itself"
                .to_owned(),
            "leave --types away",
        );
    }
    Ok(found)
}

fn json_layout(
    start: &[u8],
    whole: bool,
    first: u8,
    format: Format,
    options: &DecodeOptions,
    schema: &Schema,
) -> Result<Layout, Error> {
    if let Some(pointer) = &options.rows_at {
        let pointer = parse_pointer(pointer)?;
        let typed = typing(start, &pointer, schema).unwrap_or(Typing::Plain);
        return Ok(Layout::JsonArray { typed, pointer });
    }
    if first == b'[' && format == Format::Json {
        let typed = typing(start, &[], schema).unwrap_or(Typing::Plain);
        return Ok(Layout::JsonArray {
            typed,
            pointer: Vec::new(),
        });
    }
    match format {
        Format::JsonLines => {
            return Ok(Layout::JsonLines {
                typed: Typing::Plain,
            });
        }
        Format::DynamoDbJson if first == b'[' => {
            let typed = typing(start, &[], schema).unwrap_or(Typing::DynamoDb);
            return Ok(Layout::JsonArray {
                typed,
                pointer: Vec::new(),
            });
        }
        Format::DynamoDbJson => {
            let typed = typing(start, &[], schema).filter(|t| *t != Typing::Plain);
            return Ok(Layout::JsonLines {
                typed: typed.unwrap_or(Typing::DynamoDbItem),
            });
        }
        Format::Json | Format::Csv => {}
    }
    if first != b'{' {
        return unusable(
            "format",
            "the file is not a JSON array of objects".to_owned(),
            "begin the file with [ or {, or give its --format",
        );
    }
    let outline = Outline::of(start, schema);
    // One object that has no key but an array of objects is a wrapper, as `aws dynamodb scan` prints.
    let is_one = outline.end.is_none() || (whole && !outline.followed);
    if !outline.has_key
        && is_one
        && let Some(wrapped) = Wrapped::find(start, schema)
    {
        if wrapped.is_put_request {
            return Ok(Layout::JsonArray {
                typed: Typing::PutRequest,
                pointer: wrapped.pointer,
            });
        }
        return Err(wrapped.error());
    }
    if !outline.has_key
        && outline.next_object.is_some()
        && let Some(wrapped) = Wrapped::find(start, schema).filter(|wrapped| wrapped.has_key)
    {
        return Err(wrapped.pages_error());
    }
    if !outline.has_key && is_one && outline.objects > 1 && outline.objects == outline.members {
        return unusable(
            "format",
            "the file is one JSON object of objects, and its rows have no key of their own"
                .to_owned(),
            "make it an array of objects, each with its name as an attribute, for example: jq '[to_entries[] | {id: .key} + .value]'",
        );
    }
    let typed = typing(start, &[], schema).unwrap_or(Typing::Plain);
    if outline.lines > 1 || outline.next_object == Some(true) {
        Ok(Layout::JsonSequence { typed })
    } else {
        Ok(Layout::JsonLines { typed })
    }
}

fn unusable<T>(code: &'static str, problem: String, fix: impl Into<String>) -> Result<T, Error> {
    Err(Error::Unusable {
        code,
        problem,
        fix: fix.into(),
    })
}

/// The reference tokens of a JSON pointer.
fn parse_pointer(pointer: &str) -> Result<Vec<String>, Error> {
    if pointer.is_empty() {
        return Ok(Vec::new());
    }
    let Some(tokens) = pointer.strip_prefix('/') else {
        return unusable(
            "rows-at",
            format!("\"{}\" is not a JSON pointer", quoted(pointer)),
            "begin it with a slash, for example --rows-at /Items",
        );
    };
    Ok(tokens
        .split('/')
        .map(|token| token.replace("~1", "/").replace("~0", "~"))
        .collect())
}

/// What can be seen of the first object of a file.
#[derive(Debug, Default)]
struct Outline {
    has_key: bool,
    /// Members, and how many of them are objects.
    members: usize,
    objects: usize,
    /// Where the object ends, if that is within the bytes that were looked at.
    end: Option<u64>,
    /// Lines it stands on, as far as they were looked at; 0 if it is broken.
    lines: u64,
    /// Whether another value follows.
    followed: bool,
    /// Whether the object that follows, if that is one, is on the same line.
    next_object: Option<bool>,
}

impl Outline {
    fn of(start: &[u8], schema: &Schema) -> Self {
        let mut outline = Self::default();
        let ended = Cell::new(false);
        let text = start.trim_ascii_start();
        let mut parser = parser(SliceReader {
            rest: text,
            ended: &ended,
        });
        // An error is the end of the bytes, or broken JSON that the decoder will tell of: what was seen until then counts.
        if outline.read(&mut parser, schema).is_err() && outline.end.is_none() && ended.get() {
            outline.lines = line(&parser);
        }
        if let Some(end) = outline.end {
            let behind = &text[end as usize..];
            let next = behind.iter().position(|&byte| !is_json_blank(byte));
            let next = next.filter(|&next| behind[next] == b'{');
            outline.next_object = next.map(|next| !behind[..next].contains(&b'\n'));
        }
        outline
    }

    fn read(
        &mut self,
        parser: &mut JsonStreamReader<SliceReader<'_>>,
        schema: &Schema,
    ) -> Result<(), ReaderError> {
        parser.begin_object()?;
        while parser.has_next()? {
            let name = parser.next_name()?;
            self.has_key |= schema.key.iter().any(|key| key.name == name) || name == "Item";
            self.members += 1;
            self.objects += usize::from(parser.peek()? == ValueType::Object);
            parser.skip_value()?;
        }
        self.lines = line(parser);
        parser.end_object()?;
        self.end = Some(offset(parser));
        self.followed = parser.has_next().unwrap_or(true);
        Ok(())
    }
}

/// Whether the rows under `pointer` are plain or DynamoDB JSON; `None` if nothing among the bytes tells.
fn typing(start: &[u8], pointer: &[String], schema: &Schema) -> Option<Typing> {
    let mut signs = Signs::default();
    // An error is the end of the bytes, or broken JSON that the decoder will tell of: what was seen until then counts.
    signs.read(&mut parser(start), pointer, schema).ok();
    signs.certain.or(signs.likely)
}

/// What tells plain from DynamoDB JSON.
#[derive(Debug, Default)]
struct Signs {
    /// By a key attribute: were it plain JSON, an object that names a key type would be a map, which no key can be. Or
    /// by the `Item` around a row.
    certain: Option<Typing>,
    /// By the attributes of rows without a key, if all of them agree.
    likely: Option<Typing>,
}

impl Signs {
    fn read(
        &mut self,
        parser: &mut JsonStreamReader<&[u8]>,
        pointer: &[String],
        schema: &Schema,
    ) -> Result<(), ReaderError> {
        for token in pointer {
            if !find(parser, token)? {
                return Ok(());
            }
        }
        let mut more = pointer.is_empty();
        if parser.peek()? == ValueType::Array {
            parser.begin_array()?;
            more = parser.has_next()?;
        }
        // One bad row, the first one included, must not decide for all: the first with a key does.
        while more && self.certain.is_none() {
            if parser.peek()? == ValueType::Object {
                self.read_row(parser, schema)?;
            } else {
                parser.skip_value()?;
            }
            more = parser.has_next()?;
        }
        Ok(())
    }

    fn read_row(
        &mut self,
        parser: &mut JsonStreamReader<&[u8]>,
        schema: &Schema,
    ) -> Result<(), ReaderError> {
        parser.begin_object()?;
        while parser.has_next()? {
            let name = parser.next_name_owned()?;
            let is_key = schema.key.iter().any(|key| key.name == name);
            let mut typed = None;
            let is_object = !is_key && parser.peek()? == ValueType::Object;
            let read = if name == "Item" && is_object {
                let read = read_item(parser, &mut typed);
                if typed == Some(true) {
                    self.certain.get_or_insert(Typing::DynamoDbItem);
                }
                read
            } else if name == "PutRequest" && is_object {
                let read = read_put_request(parser, &mut typed);
                if typed == Some(true) {
                    self.certain.get_or_insert(Typing::PutRequest);
                }
                read
            } else {
                read_typed(parser, &mut typed)
            };
            let typing = match typed {
                Some(true) => Typing::DynamoDb,
                Some(false) => Typing::Plain,
                // Nothing tells, be it whole or cut off.
                None => {
                    read?;
                    continue;
                }
            };
            if is_key {
                self.certain.get_or_insert(typing);
            }
            if self.likely != Some(Typing::Plain) {
                self.likely = Some(typing);
            }
            read?;
        }
        parser.end_object()
    }
}

/// Goes to what `token` of a JSON pointer names in the value that comes next; `false` if there is nothing.
fn find<R: Read>(parser: &mut JsonStreamReader<R>, token: &str) -> Result<bool, ReaderError> {
    match parser.peek()? {
        ValueType::Object => {
            parser.begin_object()?;
            while parser.has_next()? {
                if parser.next_name()? == token {
                    return Ok(true);
                }
                parser.skip_value()?;
            }
        }
        ValueType::Array => {
            let Some(index) = array_index(token) else {
                return Ok(false);
            };
            parser.begin_array()?;
            for _ in 0..index {
                if !parser.has_next()? {
                    return Ok(false);
                }
                parser.skip_value()?;
            }
            return parser.has_next();
        }
        _ => {}
    }
    Ok(false)
}

/// Consumes the value of a `PutRequest`, with an `Item` in it; `typed` as for [`read_item`].
fn read_put_request<R: Read>(
    parser: &mut JsonStreamReader<R>,
    typed: &mut Option<bool>,
) -> Result<(), ReaderError> {
    parser.begin_object()?;
    while parser.has_next()? {
        let is_item = parser.next_name()? == "Item";
        if is_item && parser.peek()? == ValueType::Object {
            read_item(parser, typed)?;
        } else {
            parser.skip_value()?;
        }
    }
    parser.end_object()
}

/// Consumes the value of an `Item`; `typed` is whether any of its attributes, or an empty one, is DynamoDB JSON.
fn read_item<R: Read>(
    parser: &mut JsonStreamReader<R>,
    typed: &mut Option<bool>,
) -> Result<(), ReaderError> {
    parser.begin_object()?;
    if !parser.has_next()? {
        *typed = Some(true);
    }
    while parser.has_next()? {
        parser.skip_name()?;
        let mut attribute = None;
        let read = read_typed(parser, &mut attribute);
        if *typed != Some(true) {
            *typed = attribute.or(*typed);
        }
        read?;
    }
    parser.end_object()
}

/// Consumes a value; `typed` is whether it is an object of one member that is named for a type of DynamoDB's, as far as
/// the bytes go.
fn read_typed<R: Read>(
    parser: &mut JsonStreamReader<R>,
    typed: &mut Option<bool>,
) -> Result<(), ReaderError> {
    if parser.peek()? != ValueType::Object {
        *typed = Some(false);
        return parser.skip_value();
    }
    parser.begin_object()?;
    if !parser.has_next()? {
        *typed = Some(false);
    }
    while parser.has_next()? {
        let name = TypeName::parse(parser.next_name()?.as_bytes());
        let fits = name.map(TypeName::json_type) == Some(parser.peek()?);
        // A second member is one too many.
        *typed = Some(fits && typed.is_none());
        parser.skip_value()?;
    }
    parser.end_object()
}

/// The delimiter by which the header line has the table's key; else the one that it has most of outside quotes, or a comma.
fn sniff_delimiter(start: &[u8], schema: &Schema) -> u8 {
    const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
    let is_break = |byte: &u8| matches!(byte, b'\n' | b'\r');
    let text = start.trim_ascii_start();
    let mut quoted = false;
    let mut counts = [0_usize; DELIMITERS.len()];
    let mut end = text.len();
    for (at, &byte) in text.iter().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            _ if quoted => {}
            _ if is_break(&byte) => {
                end = at;
                break;
            }
            _ => {
                if let Some(index) = DELIMITERS.iter().position(|&d| d == byte) {
                    counts[index] += 1;
                }
            }
        }
    }
    let header = &text[..end];
    let has_key = |delimiter: u8| {
        let mut names = header.split(|&byte| byte == delimiter);
        names.any(|name| {
            let name = name.trim_ascii();
            let name = name.strip_prefix(b"\"").unwrap_or(name);
            let name = name.strip_suffix(b"\"").unwrap_or(name);
            schema.key.iter().any(|key| key.name.as_bytes() == name)
        })
    };
    // On a tie the earlier one: the comma before the rest.
    let best = (0..DELIMITERS.len()).rev().max_by_key(|&index| {
        (
            counts[index] > 0 && has_key(DELIMITERS[index]),
            counts[index],
        )
    });
    DELIMITERS[best.unwrap_or(0)]
}
