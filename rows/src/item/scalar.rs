//! Values that are not maps or lists.

/// A value without children.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Scalar<'a> {
    /// Text.
    S(&'a str),
    /// A number, digit for digit.
    N(&'a str),
    /// Base64 text.
    B(&'a str),
    /// A boolean.
    Bool(bool),
    /// NULL.
    Null,
}

impl Scalar<'_> {
    /// The value's type, as DynamoDB names it.
    pub(crate) fn type_name(self) -> &'static str {
        match self {
            Self::S(_) => "S",
            Self::N(_) => "N",
            Self::B(_) => "B",
            Self::Bool(_) => "BOOL",
            Self::Null => "NULL",
        }
    }
}

/// The three kinds of set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SetKind {
    S,
    N,
    B,
}

impl SetKind {
    /// What a set begins with on the wire.
    pub(crate) fn opening(self) -> &'static [u8] {
        match self {
            Self::S => b"{\"SS\":[",
            Self::N => b"{\"NS\":[",
            Self::B => b"{\"BS\":[",
        }
    }
}
