//! Finds the rows in a file that is one JSON object around them.

use struson::reader::{JsonReader, JsonStreamReader, ReaderError, ValueType};

use super::value::parser;
use crate::error::Error;
use crate::item::{Schema, quoted};

/// Elements of an array of objects that are gone into: in one of them the rows may be.
const ELEMENTS_MAX: u64 = 4;
/// Levels that are looked at.
const DEPTH_MAX: usize = 32;

/// An array of objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wrapped {
    /// The tokens of its JSON pointer.
    pub(super) pointer: Vec<String>,
    /// Whether its elements have the table's key, or are DynamoDB JSON.
    pub(super) has_key: bool,
    /// Whether they are requests to put an item, as `aws dynamodb batch-write-item` takes them.
    pub(super) is_put_request: bool,
    elements: u64,
}

impl Wrapped {
    /// The rows in the JSON value that `text` begins with: the largest array of objects that have the key, else the largest array of
    /// objects.
    pub(super) fn find(text: &[u8], schema: &Schema) -> Option<Self> {
        let mut search = Search {
            schema,
            path: Vec::new(),
            found: Vec::new(),
        };
        // An error is the end of the text, or broken JSON: what was seen until then counts.
        search.value(&mut parser(text)).ok();
        let largest = |a: &Self| (a.has_key, a.elements);
        // Of equals the first.
        search.found.into_iter().rev().max_by_key(largest)
    }

    /// The error for several such values one after the other, as a program writes that follows pages.
    pub(super) fn pages_error(&self) -> Error {
        let name = quoted(self.pointer.last().map_or("", String::as_str));
        Error::Unusable {
            code: "wrapped",
            problem: format!(
                "the file is several JSON objects, each with rows in an array under \"{name}\""
            ),
            fix: format!(
                "make the rows a file of their own, for example: jq -c '.{}[]'",
                self.pointer.join(".")
            ),
        }
    }

    /// The error that names them.
    pub(super) fn error(&self) -> Error {
        let name = self.pointer.last().map_or("", String::as_str);
        let shown = quoted(name);
        let is_plain = |token: &String| quoted(token) == *token;
        // A name that is cut or escaped is none to type.
        let pointer = if self.pointer.iter().all(is_plain) {
            let escape = |token: &String| token.replace('~', "~0").replace('/', "~1");
            let tokens: Vec<String> = self.pointer.iter().map(escape).collect();
            format!("/{}", tokens.join("/"))
        } else {
            "with its JSON pointer".to_owned()
        };
        Error::Unusable {
            code: "wrapped",
            problem: format!(
                "the file is one JSON object whose rows are in an array under \"{shown}\""
            ),
            fix: format!(
                "name that array: --rows-at {pointer} (object metadata x-amz-meta-intake-rows-at)"
            ),
        }
    }
}

/// The index into an array that a token of a JSON pointer is.
///
/// <https://www.rfc-editor.org/rfc/rfc6901#section-4>
pub(super) fn array_index(token: &str) -> Option<u64> {
    let is_index = token == "0" || !token.starts_with(['0', '+']);
    token.parse().ok().filter(|_| is_index)
}

struct Search<'s> {
    schema: &'s Schema,
    path: Vec<String>,
    found: Vec<Wrapped>,
}

impl Search<'_> {
    fn value(&mut self, parser: &mut JsonStreamReader<&[u8]>) -> Result<(), ReaderError> {
        match parser.peek()? {
            _ if self.path.len() == DEPTH_MAX => parser.skip_value(),
            ValueType::Object => self.object(parser, None),
            ValueType::Array => self.array(parser),
            _ => parser.skip_value(),
        }
    }

    /// Goes through an object, which is an element of the array `found`, if it is one.
    fn object(
        &mut self,
        parser: &mut JsonStreamReader<&[u8]>,
        found: Option<usize>,
    ) -> Result<(), ReaderError> {
        parser.begin_object()?;
        while parser.has_next()? {
            let name = parser.next_name_owned()?;
            if let Some(index) = found {
                let found = &mut self.found[index];
                found.is_put_request |= name == "PutRequest";
                let is_key = self.schema.key.iter().any(|key| key.name == name);
                found.has_key |= is_key || name == "PutRequest" || name == "Item";
            }
            self.path.push(name);
            self.value(parser)?;
            self.path.pop();
        }
        parser.end_object()
    }

    fn array(&mut self, parser: &mut JsonStreamReader<&[u8]>) -> Result<(), ReaderError> {
        let mut found = None;
        let mut next = 0_u64;
        parser.begin_array()?;
        while parser.has_next()? {
            let index = next;
            next += 1;
            if parser.peek()? != ValueType::Object {
                parser.skip_value()?;
                continue;
            }
            let found = *found.get_or_insert_with(|| {
                self.found.push(Wrapped {
                    pointer: self.path.clone(),
                    has_key: false,
                    is_put_request: false,
                    elements: 0,
                });
                self.found.len() - 1
            });
            self.found[found].elements += 1;
            if self.found[found].elements <= ELEMENTS_MAX {
                self.path.push(index.to_string());
                self.object(parser, Some(found))?;
                self.path.pop();
            } else {
                parser.skip_value()?;
            }
        }
        parser.end_array()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::item::{KeyAttribute, KeyType};

    #[test]
    fn the_rows_are_found_at_any_depth() {
        let schema = Schema::new("T", KeyAttribute::partition("id", KeyType::S), None);
        for (text, pointer) in [
            (r#"{"Items":[{"id":"a"}]}"#, Some("/Items")),
            (r#"{"a":{"b":{"c":[{"x":1}]}}}"#, Some("/a/b/c")),
            (
                r#"{"tags":[{"k":1},{"k":2}],"rows":[{"id":"a"}]}"#,
                Some("/rows"),
            ),
            (
                r#"{"few":[{"k":1}],"many":[{"k":1},{"k":2}]}"#,
                Some("/many"),
            ),
            (
                r#"{"DataModel":[{"TableName":"T","TableData":[{"id":{"S":"a"}}]}]}"#,
                Some("/DataModel/0/TableData"),
            ),
            (
                r#"{"T":[{"PutRequest":{"Item":{"id":{"S":"a"}}}}]}"#,
                Some("/T"),
            ),
            (r#"{"meta":{"n":1},"rows":[{"id":"a"},{"id""#, Some("/rows")),
            (r#"{"x":[7,{"T":[{"id":"a"}]}]}"#, Some("/x/1/T")),
            (r#"{"a":[1,2],"b":[]}"#, None),
            (r#"{"a":{"x":1},"b":{"x":2}}"#, None),
        ] {
            let found = Wrapped::find(text.as_bytes(), &schema);
            let found = found.map(|found| format!("/{}", found.pointer.join("/")));
            assert_eq!(found.as_deref(), pointer, "{text}");
        }
    }
}
