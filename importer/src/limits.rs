//! DynamoDB's limits, each with the page that states it.
//!
//! They are checked before a row is sent, because `BatchWriteItem` refuses all 25 rows of a request for one bad one.

/// Most rows a `BatchWriteItem` request may hold.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
pub const BATCH_ROWS_MAX: usize = 25;

/// Most bytes a `BatchWriteItem` request may carry over the network.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>
pub const BATCH_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Largest item: attribute names and values together, in bytes, inclusive.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-items>
pub const ITEM_BYTES_MAX: usize = 400 * 1024;

/// Longest attribute name in bytes, inclusive: names are less than 64 KB.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-attributes>
pub const ATTRIBUTE_NAME_BYTES_MAX: usize = 64 * 1024 - 1;

/// Longest partition key value in bytes, inclusive.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-partition-sort-keys>
pub const PARTITION_KEY_BYTES_MAX: usize = 2048;

/// Longest sort key value in bytes, inclusive.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-partition-sort-keys>
pub const SORT_KEY_BYTES_MAX: usize = 1024;

/// Most significant digits of a number, leading and trailing zeros not counted.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-data-types>
pub const NUMBER_DIGITS_MAX: usize = 38;

/// Largest exponent `e` of a number written `d.ddd × 10^e`: 9.99…E+125 is the largest magnitude.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html#HowItWorks.DataTypes.Number>
pub const NUMBER_EXPONENT_MAX: i64 = 125;

/// Smallest exponent `e` of a number written `d.ddd × 10^e`: 1E-130 is the smallest magnitude.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html#HowItWorks.DataTypes.Number>
pub const NUMBER_EXPONENT_MIN: i64 = -130;

/// Deepest level a value may stand at; an attribute of the item is level 1.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html#limits-attributes>
pub const DEPTH_MAX: usize = 32;

/// Item bytes that one write capacity unit (WCU) pays for.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html#write-operation-consumption>
pub const WCU_BYTES: usize = 1024;

/// The WCU that writing an item of `size_bytes` costs a table without indexes.
///
/// Every item of a batch is rounded up on its own.
///
/// ```
/// assert_eq!(importer::limits::wcu(1), 1);
/// assert_eq!(importer::limits::wcu(1024), 1);
/// assert_eq!(importer::limits::wcu(1025), 2);
/// ```
pub fn wcu(size_bytes: usize) -> u32 {
    size_bytes.div_ceil(WCU_BYTES).max(1) as u32
}
