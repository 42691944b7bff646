//! When two rows have the same key: exactly when DynamoDB says so.

use proptest::prelude::*;
use rows::KeyType;

use crate::support::{Setup, plain, rows, run};

/// The key bytes of rows given as JSON values of `id`, or typed ones.
fn keys(setup: &Setup, values: &[String]) -> Vec<Vec<u8>> {
    let lines: String = values
        .iter()
        .map(|value| format!("{{\"id\":{value}}}\n"))
        .collect();
    rows(setup, lines).into_iter().map(|row| row.key).collect()
}

#[track_caller]
fn groups_differ(setup: &Setup, groups: &[&[&str]]) {
    let keys: Vec<Vec<Vec<u8>>> = groups
        .iter()
        .map(|group| {
            keys(
                setup,
                &group
                    .iter()
                    .map(|&value| value.to_owned())
                    .collect::<Vec<_>>(),
            )
        })
        .collect();
    for (i, group) in keys.iter().enumerate() {
        assert!(group.iter().all(|key| *key == group[0]), "{:?}", groups[i]);
        assert!(
            keys[..i].iter().all(|other| other[0] != group[0]),
            "{:?}",
            groups[i]
        );
    }
}

#[test]
fn numbers_are_equal_by_value() {
    groups_differ(
        &plain().key("id", KeyType::N),
        &[
            &["1", "1.0", "1e0", "10e-1", "0.1E1", "1.00000"],
            &["0", "-0", "0.0", "0e10", "-0E-5"],
            &["-1", "-1.0", "-10e-1"],
            &["10", "1e1", "1E+1", "100e-1"],
            &["0.1", "1e-1", "0.10"],
            &[
                "12345678901234567890123456789012345678",
                "1.2345678901234567890123456789012345678e37",
            ],
            &["12345678901234567890123456789012345679"],
            &["1e-130", "0.1e-129", "10E-131"],
            &["9.9e125", "99e124"],
        ],
    );
    groups_differ(
        &plain().key("id", KeyType::N),
        &[
            &[
                r#"{"N":"1"}"#,
                r#"{"N":"+1"}"#,
                r#"{"N":"001.0"}"#,
                r#"{"N":"1."}"#,
                r#"{"N":"1\u0030e-1"}"#,
            ],
            &[r#"{"N":".5"}"#, r#"{"N":"0.5"}"#],
        ],
    );
}

#[test]
fn strings_are_equal_by_their_characters() {
    groups_differ(
        &plain(),
        &[
            &[r#""A""#, r#""\u0041""#],
            &[r#""a""#],
            &[r#""/""#, r#""\/""#, r#""\u002f""#, r#""\u002F""#],
            &[r#""\n""#, r#""\u000a""#],
            &[r#""ä""#, r#""\u00e4""#],
            // The same to the eye, but two characters.
            &["\"a\u{308}\"", r#""a\u0308""#],
            &[r#""😀""#, r#""\ud83d\ude00""#],
            &[r#""1""#],
            &[r#""1.0""#],
            &[r#"" 1""#],
        ],
    );
}

#[test]
fn binary_is_equal_by_its_bytes() {
    groups_differ(
        &plain().key("id", KeyType::B),
        &[
            &[r#"{"B":"AAE="}"#, r#"{"B":"\u0041AE="}"#],
            &[r#"{"B":"AAEC"}"#],
            &[r#"{"B":"AA=="}"#],
            &[r#"{"B":"AAA="}"#],
            &[r#"{"B":"\/\/8="}"#, r#"{"B":"//8="}"#],
        ],
    );
}

#[test]
fn a_key_is_the_same_in_every_format_and_wherever_it_stands() {
    let setup = plain().sort("n", KeyType::N);
    let files = [
        r#"[{"id":"ä","n":10}]"#,
        r#"[{"x":[],"n":1e1,"y":{"id":"no"},"id":"\u00e4","z":1}]"#,
        "{\"n\":10.0,\"id\":\"ä\"}\n",
        "{\"Item\":{\"id\":{\"S\":\"ä\"},\"n\":{\"N\":\"010\"}}}\n",
        "n,x,id\n1E1,y,ä\n",
        "\"id\";\"n\"\n\"ä\";\"10.00\"\n",
    ];
    for file in files {
        assert_eq!(
            rows(&setup, file)[0].key,
            rows(&setup, files[0])[0].key,
            "{file}"
        );
    }
}

/// A number written out in full, without zeros that mean nothing: the simplest form to compare by.
pub(crate) fn written_out(number: &str) -> String {
    let (negative, unsigned) = match number.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, number),
    };
    let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
    let exponent: i64 = exponent.parse().unwrap();
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits: Vec<char> = whole.chars().chain(fraction.chars()).collect();
    let places = |count: usize| i64::try_from(count).unwrap();
    let point = places(whole.len()) + exponent;
    let digit = |place: i64| {
        let digit = usize::try_from(place)
            .ok()
            .and_then(|place| digits.get(place));
        digit.copied().unwrap_or('0')
    };
    let before: String = (0.min(point)..point).map(digit).collect();
    let after: String = (point..point.max(places(digits.len())))
        .map(digit)
        .collect();
    let (before, after) = (before.trim_start_matches('0'), after.trim_end_matches('0'));
    let sign = if negative && !(before.is_empty() && after.is_empty()) {
        "-"
    } else {
        ""
    };
    format!("{sign}{before}.{after}")
}

#[test]
fn the_model_writes_numbers_out() {
    for (number, written) in [
        ("1", "1."),
        ("1.50", "1.5"),
        ("-0.0", "."),
        ("12e2", "1200."),
        ("12e-3", ".012"),
        ("0.5E+1", "5."),
        ("00.10e-1", ".01"),
        ("-120.0340", "-120.034"),
    ] {
        assert_eq!(written_out(number), written, "{number}");
    }
}

/// JSON numbers within DynamoDB's range, of few digits so that equal ones come up.
pub(crate) fn number() -> impl Strategy<Value = String> {
    let few = (
        "-?",
        "(0|[1-9][0-9]{0,3}|[1-9]0{1,4})",
        r"(\.0{0,3}[0-9]{1,3})?",
        "([eE][+-]?[0-9]{1,2})?",
    )
        .prop_map(|(sign, whole, fraction, exponent)| format!("{sign}{whole}{fraction}{exponent}"));
    let many = r"-?[1-9][0-9]{0,18}(\.[0-9]{1,19})?";
    prop_oneof![3 => few, 1 => many]
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        rng_seed: proptest::test_runner::RngSeed::Fixed(2),
        ..ProptestConfig::default()
    }
}

#[test]
fn one_text_split_in_two_is_another_key_at_every_split() {
    let setup = plain().sort("s", KeyType::S);
    for text in [
        "aaaaaa",
        "a\u{0}\u{0}\u{0}\u{1}b",
        "\u{0}\u{0}\u{0}\u{1}\u{0}\u{0}\u{0}\u{1}",
        "äää",
    ] {
        let splits = text.char_indices().skip(1).map(|(at, _)| {
            let quote = |part: &str| serde_json::to_string(part).unwrap();
            format!(
                "{{\"id\":{},\"s\":{}}}\n",
                quote(&text[..at]),
                quote(&text[at..])
            )
        });
        let mut keys: Vec<_> = rows(&setup, splits.collect::<String>())
            .into_iter()
            .map(|row| row.key)
            .collect();
        let count = keys.len();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), count, "{text:?}");
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn number_keys_are_equal_exactly_when_the_values_are(numbers in prop::collection::vec(number(), 2..8)) {
        let setup = plain().key("id", KeyType::N);
        let lines: String = numbers.iter().map(|number| format!("{{\"id\":{number}}}\n")).collect();
        let keys: Vec<_> = run(&setup, lines.as_bytes()).rows.into_iter().map(|row| row.key).collect();
        prop_assert_eq!(keys.len(), numbers.len());
        for (a, key_a) in numbers.iter().zip(&keys) {
            for (b, key_b) in numbers.iter().zip(&keys) {
                prop_assert_eq!(written_out(a) == written_out(b), key_a == key_b, "{} {}", a, b);
            }
        }
    }

    #[test]
    fn composite_keys_never_collide(
        pairs in prop::collection::vec(("[ab]{1,2}", "[ab]{1,2}", number()), 2..8),
        with_number in any::<bool>(),
    ) {
        let setup = plain().sort("s", if with_number { KeyType::N } else { KeyType::S });
        let second = |s: &str, n: &str| if with_number { n.to_owned() } else { serde_json::to_string(s).unwrap() };
        let lines: String = pairs
            .iter()
            .map(|(id, s, n)| format!("{{\"s\":{},\"id\":{}}}\n", second(s, n), serde_json::to_string(id).unwrap()))
            .collect();
        let keys: Vec<_> = run(&setup, lines.as_bytes()).rows.into_iter().map(|row| row.key).collect();
        prop_assert_eq!(keys.len(), pairs.len());
        let model: Vec<_> = pairs.iter().map(|(id, s, n)| (id, if with_number { written_out(n) } else { s.clone() })).collect();
        for (a, key_a) in model.iter().zip(&keys) {
            for (b, key_b) in model.iter().zip(&keys) {
                prop_assert_eq!(a == b, key_a == key_b, "{:?} {:?}", a, b);
            }
        }
    }
}
