//! DynamoDB's numbers, exactly: up to 38 digits, never through a float.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr as _;

use bigdecimal::BigDecimal;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Characters of a number's text that are looked at. DynamoDB writes at most 38 digits with an exponent, or the
/// zeros in full, of which there are at most 130:
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.NamingRulesDataTypes.html#HowItWorks.DataTypes.Number>.
pub(crate) const TEXT_BYTES_MAX: usize = 200;

/// Places before or after the point that a number may take. DynamoDB's own go from 1E-130 with 38 digits to
/// 9.99E+125; without a bound `1E999999999` would make arithmetic allocate gigabytes.
const PLACES_MAX: u64 = 200;

/// Places behind the point that a number compared as a plain integer may have.
const SMALL_PLACES: usize = 6;

/// Digits before the point of such a number.
const SMALL_DIGITS: usize = 12;

/// A number, together with the text it came as.
#[derive(Clone, Debug)]
pub struct Number {
    text: String,
    value: BigDecimal,
    /// In millionths, if it is [`small`].
    small: Option<i64>,
}

impl Number {
    /// Reads a number as DynamoDB and JSON write them. `None` when `text` is not one, or far beyond DynamoDB's range.
    ///
    /// ```
    /// use notifier::change::number::Number;
    ///
    /// let third = Number::parse("0.33333333333333333333333333333333333333").unwrap();
    /// assert!(third < Number::parse("0.33333333333333333333333333333333333334").unwrap());
    /// assert_eq!(Number::parse("1.50"), Number::parse("15E-1"));
    /// assert_eq!(Number::parse("0x1"), None);
    /// ```
    pub fn parse(text: &str) -> Option<Self> {
        Some(Self {
            text: text.to_owned(),
            value: value(text)?,
            small: small(text),
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

    /// In millionths, if that is exact and quickly had.
    pub(crate) fn small(&self) -> Option<i64> {
        self.small
    }

    /// How the number that `text` is compares with this one. `None` when it is none.
    pub(crate) fn compared(&self, text: &str) -> Option<Ordering> {
        match (small(text), self.small) {
            (Some(one), Some(other)) => Some(one.cmp(&other)),
            _ => Some(value(text)?.cmp(&self.value)),
        }
    }
}

/// A price or a quantity in millionths: the numbers that nearly all are, without an allocation. `None` for any other, and
/// for what is no number.
pub(crate) fn small(text: &str) -> Option<i64> {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, "0"));
    let plain = |part: &str, digits_max: usize| {
        (1..=digits_max).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_digit())
    };
    if !plain(whole, SMALL_DIGITS) || !plain(fraction, SMALL_PLACES) {
        return None;
    }
    let millionths = whole
        .bytes()
        .chain(fraction.bytes())
        .chain(std::iter::repeat_n(b'0', SMALL_PLACES - fraction.len()))
        .fold(0, |sum, digit| sum * 10 + i64::from(digit - b'0'));
    Some(if negative { -millionths } else { millionths })
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
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Number {
    fn cmp(&self, other: &Self) -> Ordering {
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
    use proptest::prelude::*;

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
    proptest! {
        #[test]
        fn small_numbers_compare_as_any(one in "-?[0-9]{1,13}(\\.[0-9]{1,7})?", other in "-?[0-9]{1,2}(\\.[0-9]{1,2})?") {
            for (one, other) in [(&one, &other), (&other, &one), (&one, &one), (&other, &other)] {
                let expected = value(one).unwrap().cmp(&value(other).unwrap());
                prop_assert_eq!(Number::parse(other).unwrap().compared(one), Some(expected));
            }
            prop_assert_eq!(small(&other).map(BigDecimal::from), value(&other).map(|value| value * 1_000_000));
        }

        #[test]
        fn what_is_small_is_a_number(text in "[-+0-9.eE _]{0,8}") {
            prop_assert!(small(&text).is_none() || value(&text).is_some(), "{}", text);
        }
    }
}
