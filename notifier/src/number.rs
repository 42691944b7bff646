//! DynamoDB's numbers, exactly: up to 38 digits, never through a float.

use std::{fmt, str::FromStr as _};

use bigdecimal::BigDecimal;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// Characters of a number's text that are looked at. DynamoDB writes at most 38 digits with an exponent, or the
/// zeros in full, of which there are at most 130:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html#HowItWorks.DataTypes.Number>.
pub(crate) const TEXT_BYTES_MAX: usize = 200;

/// Places before or after the point that a number may take. DynamoDB's own go from 1E-130 with 38 digits to
/// 9.99E+125; without a bound `1E999999999` would make arithmetic allocate gigabytes.
const PLACES_MAX: u64 = 200;

/// A number, together with the text it came as.
#[derive(Clone, Debug)]
pub struct Number {
    text: String,
    value: BigDecimal,
}

impl Number {
    /// Reads a number as DynamoDB and JSON write them. `None` when `text` is not one, or far beyond DynamoDB's range.
    ///
    /// ```
    /// use notifier::number::Number;
    ///
    /// let third = Number::parse("0.33333333333333333333333333333333333333").unwrap();
    /// assert!(third < Number::parse("0.33333333333333333333333333333333333334").unwrap());
    /// assert_eq!(Number::parse("1.50"), Number::parse("15E-1"));
    /// assert_eq!(Number::parse("0x1"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        let value = value(text)?;
        Some(Self {
            text: text.to_owned(),
            value,
        })
    }

    /// The text it came as.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What it is worth.
    pub(crate) fn value(&self) -> &BigDecimal {
        &self.value
    }

    /// A number that was read already.
    pub(crate) fn new(text: &str, value: BigDecimal) -> Self {
        Self {
            text: text.to_owned(),
            value,
        }
    }
}

/// The value of a number's text, as for [`Number::parse`].
pub(crate) fn value(text: &str) -> Option<BigDecimal> {
    // `BigDecimal` also takes underscores.
    let known =
        |byte: u8| byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.' | b'e' | b'E');
    if text.len() > TEXT_BYTES_MAX || !text.bytes().all(known) {
        return None;
    }
    let value = BigDecimal::from_str(text).ok()?;
    (value.fractional_digit_count().unsigned_abs() <= PLACES_MAX).then_some(value)
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Equal when they are worth the same, whatever their spelling.
impl PartialEq for Number {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl Eq for Number {}

impl PartialOrd for Number {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.value.cmp(&other.value)
    }
}

impl Serialize for Number {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de> Deserialize<'de> for Number {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).ok_or_else(|| D::Error::custom("not a number"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_compared_digit_for_digit() {
        for (less, greater) in [
            ("-1", "0"),
            ("9", "10"),
            ("0.1", "0.10000000000000000000000000000000000001"),
            (
                "12345678901234567890123456789012345677",
                "12345678901234567890123456789012345678",
            ),
            ("1E-130", "9.9999999999999999999999999999999999999E+125"),
            ("-9.9999999999999999999999999999999999999E+125", "1E-130"),
        ] {
            let (less, greater) = (
                Number::parse(less).unwrap(),
                Number::parse(greater).unwrap(),
            );
            assert!(less < greater, "{less} {greater}");
        }
        for (one, other) in [("1", "1.0"), ("1e3", "1000"), ("0", "-0"), ("0E+5", "0")] {
            assert_eq!(Number::parse(one), Number::parse(other), "{one} {other}");
        }
    }

    #[test]
    fn what_is_no_number_is_none() {
        let long = "1".repeat(TEXT_BYTES_MAX + 1);
        for text in [
            "",
            " ",
            "x",
            "1x",
            "1_000",
            "NaN",
            "inf",
            "1,5",
            "1E999",
            "1E-999",
            "1E99999999999999999999",
            ".",
            "e1",
            &long,
        ] {
            assert_eq!(Number::parse(text), None, "{text}");
        }
    }
}
