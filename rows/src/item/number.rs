//! DynamoDB's number: what it accepts, what it costs, and when two of them are one.

use crate::item::limits::{NUMBER_DIGITS_MAX, NUMBER_EXPONENT_MAX, NUMBER_EXPONENT_MIN};
use crate::item::reject::Reason;

/// A decimal number taken apart: sign, significant digits, and the exponent of the first digit.
///
/// The value is `±d.ddd… × 10^exponent`. Digits hold neither leading nor trailing zeros; zero has no digits, no sign
/// and exponent 0, so two numbers are equal exactly when their fields are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Number {
    negative: bool,
    /// ASCII digits; those past `significant` are 0 bytes.
    digits: [u8; NUMBER_DIGITS_MAX],
    significant: usize,
    exponent: i64,
}

impl Number {
    /// Parses and checks a number by DynamoDB's grammar: `sign? (digits [. digits*] | . digits) (e sign? digits)?`.
    ///
    /// # Errors
    ///
    /// [`Reason::NotANumber`] outside the grammar, [`Reason::NumberPrecision`] over 38 significant digits,
    /// [`Reason::NumberRange`] outside 1E-130…9.99E+125. Zero is range-checked as if its last digit were a 1,
    /// as DynamoDB does (`0e126` overflows).
    pub(crate) fn parse(text: &str) -> Result<Self, Reason> {
        let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
        let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
            Some((mantissa, exponent)) => (mantissa, parse_exponent(exponent)?),
            None => (unsigned, 0),
        };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let all_digits = |part: &str| part.bytes().all(|b| b.is_ascii_digit());
        let count_all = whole.len() + fraction.len();
        if count_all == 0 || !all_digits(whole) || !all_digits(fraction) {
            return Err(Reason::NotANumber);
        }

        let all = || whole.bytes().chain(fraction.bytes());
        let leading_zeros = all().take_while(|&d| d == b'0').count();
        let mut digits = [0; NUMBER_DIGITS_MAX];
        // The exponent of the first digit, were it significant; each leading zero moves it down by one.
        let first = exponent.saturating_add(count(whole.len()) - 1);
        if leading_zeros == count_all {
            let last_digit = exponent.saturating_sub(count(fraction.len()));
            check_range(last_digit)?;
            return Ok(Self {
                negative: false,
                digits,
                significant: 0,
                exponent: 0,
            });
        }
        let trailing_zeros = all().rev().take_while(|&d| d == b'0').count();
        let significant = count_all - leading_zeros - trailing_zeros;
        if significant > NUMBER_DIGITS_MAX {
            return Err(Reason::NumberPrecision {
                digits: significant,
            });
        }
        let exponent = first.saturating_sub(count(leading_zeros));
        check_range(exponent)?;
        for (slot, digit) in digits[..significant]
            .iter_mut()
            .zip(all().skip(leading_zeros))
        {
            *slot = digit;
        }
        Ok(Self {
            negative: text.starts_with('-'),
            digits,
            significant,
            exponent,
        })
    }

    /// Size in bytes by DynamoDB's rules: one byte per two digits on each side of the point, one for the exponent,
    /// one for a minus sign.
    ///
    /// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
    pub(crate) fn size_bytes(&self) -> usize {
        let digits = self.significant;
        let before_point = usize::try_from(self.exponent + 1).map_or(0, |n| n.min(digits));
        let after_point = digits - before_point;
        before_point.div_ceil(2) + after_point.div_ceil(2) + 1 + usize::from(self.negative)
    }

    /// Appends bytes that are the same for two numbers exactly when the numbers are equal.
    pub(crate) fn write_canonical(&self, out: &mut Vec<u8>) {
        out.push(if self.negative { b'-' } else { b'+' });
        out.extend_from_slice(&self.digits[..self.significant]);
        out.push(b'e');
        out.extend_from_slice(&self.exponent.to_be_bytes());
    }
}

/// A count of digits in memory, to reckon exponents with.
fn count(digits: usize) -> i64 {
    i64::try_from(digits).unwrap_or(i64::MAX)
}

fn parse_exponent(text: &str) -> Result<i64, Reason> {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    if digits.is_empty() || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Reason::NotANumber);
    }
    // An exponent past i64 is far outside the range whatever the mantissa.
    text.parse().map_err(|_| Reason::NumberRange)
}

fn check_range(exponent: i64) -> Result<(), Reason> {
    if (NUMBER_EXPONENT_MIN..=NUMBER_EXPONENT_MAX).contains(&exponent) {
        Ok(())
    } else {
        Err(Reason::NumberRange)
    }
}

/// Whether `text` is a number as JSON writes it: `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`.
///
/// CSV cells become numbers by this rule, so that `00123`, `+5` and `1.` stay the text they are.
///
/// <https://www.rfc-editor.org/rfc/rfc8259#section-6>
pub(crate) fn is_json_number(text: &str) -> bool {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let (whole, fraction) = match mantissa.split_once('.') {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (mantissa, None),
    };
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
    digits(whole)
        && (whole.len() == 1 || !whole.starts_with('0'))
        && fraction.is_none_or(digits)
        && exponent.is_none_or(|e| digits(e.strip_prefix(['-', '+']).unwrap_or(e)))
}

/// How many digits `text` begins with.
#[inline]
fn leading_digits(text: &[u8]) -> usize {
    const ONES: u64 = u64::MAX / 255;
    let mut count = 0;
    while let Some(&word) = text[count..].first_chunk::<8>() {
        // A digit is 0 to 9 now; adding 0x76 to anything larger sets its high bit.
        let word = u64::from_le_bytes(word) ^ (ONES * u64::from(b'0'));
        let others = (((word & (ONES * 0x7f)) + ONES * 0x76) | word) & (ONES * 0x80);
        if others != 0 {
            return count + others.trailing_zeros() as usize / 8;
        }
        count += 8;
    }
    count
        + text[count..]
            .iter()
            .take_while(|b| b.is_ascii_digit())
            .count()
}

/// The JSON number that `text` begins with, by [`is_json_number`]'s grammar: its length in bytes, and its size by
/// [`Number::size_bytes`]. `None` if there is none, or none that DynamoDB can hold.
pub(crate) fn scan_json_number(text: &[u8]) -> Option<(usize, usize)> {
    let digits_from = |from: usize| from + leading_digits(&text[from..]);
    let negative = usize::from(text.first() == Some(&b'-'));
    let whole_end = digits_from(negative);
    let whole = &text[negative..whole_end];
    if whole.is_empty() || (whole[0] == b'0' && whole.len() > 1) {
        return None;
    }
    let mut end = whole_end;
    let mut fraction: &[u8] = &[];
    if text.get(end) == Some(&b'.') {
        end = digits_from(whole_end + 1);
        fraction = &text[whole_end + 1..end];
        if fraction.is_empty() {
            return None;
        }
    }
    let mut exponent: &[u8] = &[];
    if let Some(b'e' | b'E') = text.get(end) {
        let signed = usize::from(matches!(text.get(end + 1), Some(b'+' | b'-')));
        let digits = end + 1 + signed;
        exponent = &text[end + 1..digits_from(digits)];
        end = digits_from(digits);
        if end == digits {
            return None;
        }
    }
    if let Some(size_bytes) = plain_size_bytes(negative, whole, fraction, exponent) {
        return Some((end, size_bytes));
    }
    let text = std::str::from_utf8(&text[..end]).ok()?;
    Some((end, Number::parse(text).ok()?.size_bytes()))
}

/// [`Number::size_bytes`] of `whole.fraction × 10^exponent`, where `whole` has no leading zeros but may be `0`. `None` for
/// what is rare or out of range.
fn plain_size_bytes(
    negative: usize,
    whole: &[u8],
    fraction: &[u8],
    exponent: &[u8],
) -> Option<usize> {
    const EXPONENT_DIGITS_MAX: usize = 3;
    let count_all = whole.len() + fraction.len();
    let last = fraction.last().or(whole.last());
    if exponent.is_empty()
        && count_all <= NUMBER_DIGITS_MAX
        && whole[0] != b'0'
        && last != Some(&b'0')
    {
        // Most numbers: every digit is significant, and where it stands is plain.
        return Some(whole.len().div_ceil(2) + fraction.len().div_ceil(2) + 1 + negative);
    }
    // Without an exponent, zero is out of range with more digits than any number needs.
    if count_all > 2 * NUMBER_DIGITS_MAX || exponent.len() > EXPONENT_DIGITS_MAX {
        return None;
    }
    let zeros_at_end = |digits: &[u8]| digits.iter().rev().take_while(|&&d| d == b'0').count();
    let mut trailing = zeros_at_end(fraction);
    if trailing == fraction.len() {
        trailing += zeros_at_end(whole);
    }
    if trailing == count_all {
        return exponent.is_empty().then_some(1);
    }
    let leading = match whole {
        b"0" => 1 + fraction.iter().take_while(|&&d| d == b'0').count(),
        _ => 0,
    };
    let shift = exponent.iter().filter(|d| d.is_ascii_digit());
    let shift = shift.fold(0, |shift, digit| shift * 10 + i64::from(digit - b'0'));
    let shift = if exponent.first() == Some(&b'-') {
        -shift
    } else {
        shift
    };
    let first = count(whole.len()) - 1 - count(leading) + shift;
    check_range(first).ok()?;
    let digits = count_all - leading - trailing;
    if digits > NUMBER_DIGITS_MAX {
        return None;
    }
    let before = usize::try_from(first + 1).map_or(0, |n| n.min(digits));
    Some(before.div_ceil(2) + (digits - before).div_ceil(2) + 1 + negative)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn canonical(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        Number::parse(text).unwrap().write_canonical(&mut out);
        out
    }

    #[test]
    fn accepts_what_dynamodb_accepts() {
        let digits_38 = "9".repeat(38);
        let zeros = format!("1{}", "0".repeat(60));
        for text in [
            "0", "-0", "5.", ".5", "+1.5", "00042", "1e+2", "1.5E+3", "1E-130", "9.99E125",
            "-1E-130", "0e125", &digits_38, &zeros,
        ] {
            assert!(Number::parse(text).is_ok(), "{text}");
        }
    }

    #[test]
    fn rejects_what_dynamodb_rejects() {
        let digits_39 = "9".repeat(39);
        let fraction_39 = format!("0.{}1", "1".repeat(38));
        for (text, reason) in [
            ("", Reason::NotANumber),
            (".", Reason::NotANumber),
            ("-", Reason::NotANumber),
            ("1e", Reason::NotANumber),
            ("+e2", Reason::NotANumber),
            ("1.2.3", Reason::NotANumber),
            (" 5", Reason::NotANumber),
            ("NaN", Reason::NotANumber),
            ("1_000", Reason::NotANumber),
            ("٣", Reason::NotANumber),
            ("1e126", Reason::NumberRange),
            ("10e125", Reason::NumberRange),
            ("1e-131", Reason::NumberRange),
            ("0.1e-130", Reason::NumberRange),
            ("0e126", Reason::NumberRange),
            ("1e99999999999999999999", Reason::NumberRange),
            (&digits_39, Reason::NumberPrecision { digits: 39 }),
            (&fraction_39, Reason::NumberPrecision { digits: 39 }),
        ] {
            assert_eq!(Number::parse(text), Err(reason), "{text}");
        }
    }

    #[test]
    fn equal_values_have_equal_canonical_bytes() {
        for group in [
            &["1", "1.0", "1e0", "10e-1", "0.1E1", "+1", "001"][..],
            &["0", "-0", "0.000", "0e10"],
            &["-1200", "-1.2e3", "-12E+2"],
        ] {
            for text in group {
                assert_eq!(canonical(text), canonical(group[0]), "{text}");
            }
        }
        assert_ne!(canonical("1"), canonical("-1"));
        assert_ne!(canonical("1"), canonical("10"));
        assert_ne!(canonical("12"), canonical("1.2"));
    }

    #[test]
    fn sizes_follow_the_documented_rule() {
        for (text, size_bytes) in [
            ("0", 1),
            ("1", 2),
            ("42", 2),
            ("-42", 3),
            ("123", 3),
            ("1.5", 3),
            ("1e100", 2),
        ] {
            assert_eq!(
                Number::parse(text).unwrap().size_bytes(),
                size_bytes,
                "{text}"
            );
        }
    }

    #[test]
    fn json_numbers_only() {
        for (text, is_number) in [
            ("0", true),
            ("-1", true),
            ("1.50", true),
            ("1e5", true),
            ("1E-5", true),
            ("12", true),
            ("", false),
            ("-", false),
            ("00123", false),
            ("+5", false),
            ("1.", false),
            (".5", false),
            ("1e", false),
            (" 1", false),
            ("1,5", false),
            ("0x10", false),
            ("Infinity", false),
        ] {
            assert_eq!(is_json_number(text), is_number, "{text}");
        }
    }

    proptest! {
        #[test]
        fn scanning_agrees_with_parsing(text in "-?[0-9]{0,42}(\\.[0-9]{0,42})?([eE][+-]?[0-9]{0,3})?[,} x.]?") {
            // The longest beginning that is a number, as the parser sees it.
            let longest = (1..=text.len()).rev().map(|end| &text[..end]).find(|t| is_json_number(t));
            let expected = longest.and_then(|t| Some((t.len(), Number::parse(t).ok()?.size_bytes())));
            let scanned = scan_json_number(text.as_bytes());
            // `1.` and `1e` begin with a number, but nothing that follows a number in JSON begins so.
            let rest = longest.map_or("", |t| &text[t.len()..]);
            if rest.starts_with(['.', 'e', 'E']) || rest.starts_with(|c: char| c.is_ascii_digit()) {
                prop_assert!(scanned.is_none() || scanned == expected, "{} {:?}", text, scanned);
            } else {
                prop_assert_eq!(scanned, expected, "{}", text);
            }
        }
    }
}
