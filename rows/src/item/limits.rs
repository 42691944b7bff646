//! DynamoDB's limits, each with the page that states it.
//!
//! They are checked before a row is sent, because `BatchWriteItem` refuses all 25 rows of a request for one bad one.

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

/// Size of a map or list beside its members.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
pub const LIST_OVERHEAD_BYTES: usize = 3;

/// Size of each member of a map or list beside its name and value.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
pub const MEMBER_OVERHEAD_BYTES: usize = 1;

/// Deepest nesting that is read at all, even to be skipped: it bounds the parser's memory.
pub(crate) const NESTING_MAX: u32 = 100_000;
