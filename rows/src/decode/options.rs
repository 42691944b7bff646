//! How a file is to be read.

use std::str::FromStr;

use encoding_rs::Encoding;

use super::format::Format;
use crate::item::Types;

/// How a file is to be read. The default finds everything out from the content.
#[derive(Debug, Clone, Default)]
pub struct DecodeOptions {
    /// The format, if not to be detected.
    pub format: Option<Format>,
    /// Declared attribute types.
    pub types: Types,
    /// CSV delimiter, if not to be found from the header.
    pub delimiter: Option<u8>,
    /// Encoding, if neither UTF-8 nor told by a byte order mark.
    pub encoding: Option<&'static Encoding>,
    /// JSON pointer to the array of rows inside a JSON object, such as `/Items`.
    ///
    /// <https://www.rfc-editor.org/rfc/rfc6901>
    pub rows_at: Option<String>,
    /// How the text becomes rows. The rows are the same.
    pub engine: Engine,
}

/// The two ways to decode, which give the same rows, rejects and errors.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Engine {
    /// One pass over the text into wire bytes; what that does not take goes through the reference.
    #[default]
    Fast,
    /// Each value through a parser and an encoder that are written to be read: the reference.
    Reference,
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "fast" => Ok(Self::Fast),
            "reference" => Ok(Self::Reference),
            _ => Err(format!(
                "\"{text}\" is not a decoder; it is fast or reference"
            )),
        }
    }
}
