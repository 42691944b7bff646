//! One row, ready to be sent.

use crate::item::position::Position;

/// A row of the file as DynamoDB will get it.
///
/// Decoders overwrite the same `Row` again and again, so that its buffers are allocated once.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Row {
    /// The item as DynamoDB JSON wire bytes: `{"productId":{"S":"P1001"},…}`.
    pub item: Vec<u8>,
    /// The primary key in a form that is the same for two rows exactly when DynamoDB takes their keys for one:
    /// numbers by value, strings by their unescaped UTF-8, binary by decoded bytes.
    pub key: Vec<u8>,
    /// The item's size by DynamoDB's rules, which decides its price and its limit.
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
    pub size_bytes: usize,
    /// Where the row begins.
    pub position: Position,
}
