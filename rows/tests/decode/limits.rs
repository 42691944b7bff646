//! DynamoDB's limits at their exact edges, with good rows around that are delivered.

use rows::limits::{
    ATTRIBUTE_NAME_BYTES_MAX, DEPTH_MAX, ITEM_BYTES_MAX, PARTITION_KEY_BYTES_MAX,
    SORT_KEY_BYTES_MAX,
};
use rows::{KeyAttribute, KeyType};

use crate::support::{Setup, every_way, plain};

/// A row as plain JSON attributes, put between two good ones in each format that can hold it.
///
/// Asserts that every format takes it, with `Ok` and its size, or refuses it for that reason, and takes its neighbours.
#[track_caller]
fn edge(
    setup: &Setup,
    attributes: &[(&str, String)],
    good: &[(&str, String)],
    expected: Result<usize, &str>,
) {
    let json = |row: &[(&str, String)]| {
        let members = row
            .iter()
            .map(|(name, value)| format!("{}:{value}", quote(name)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    };
    let typed = |row: &[(&str, String)]| {
        let members = row
            .iter()
            .map(|(name, value)| format!("{}:{}", quote(name), wire(value)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    };
    let (g, row) = (json(good), json(attributes));
    let (typed_g, typed_row) = (typed(good), typed(attributes));
    let mut files = vec![
        format!("[{g},{row},{g}]"),
        format!("{g}\n{row}\n{g}\n"),
        format!("{typed_g}\n{typed_row}\n{typed_g}\n"),
        format!("{{\"Item\":{typed_g}}}\n{{\"Item\":{typed_row}}}\n{{\"Item\":{typed_g}}}\n"),
    ];
    // CSV has no nesting, and one set of columns for all rows.
    let names = |row: &[(&str, String)]| {
        row.iter()
            .map(|(name, _)| quote(name))
            .collect::<Vec<_>>()
            .join(",")
    };
    let flat = attributes
        .iter()
        .all(|(_, value)| !value.starts_with(['[', '{']));
    if flat && names(attributes) == names(good) {
        let cells = |row: &[(&str, String)]| {
            row.iter()
                .map(|(_, value)| value.clone())
                .collect::<Vec<_>>()
                .join(",")
        };
        files.push(format!(
            "{}\n{}\n{}\n{}\n",
            names(good),
            cells(good),
            cells(attributes),
            cells(good)
        ));
    }
    for file in files {
        let run = every_way(setup, file.as_bytes());
        let start: String = file.chars().take(100).collect();
        assert!(run.ended(), "{start}: {:?}", run.error);
        match expected {
            Ok(size_bytes) => {
                assert_eq!(run.rows.len(), 3, "{start}: {:?}", run.rejects);
                assert_eq!(run.rows[1].size_bytes, size_bytes, "{start}");
            }
            Err(reason) => {
                let reasons: Vec<_> = run
                    .rejects
                    .iter()
                    .map(|reject| reject.reason.code())
                    .collect();
                assert_eq!(reasons, [reason], "{start}");
                assert_eq!(
                    run.rows
                        .iter()
                        .map(|row| row.position.record)
                        .collect::<Vec<_>>(),
                    [1, 3],
                    "{start}"
                );
            }
        }
    }
}

fn quote(text: &str) -> String {
    serde_json::to_string(text).unwrap()
}

/// A plain JSON value as DynamoDB JSON: only what these tests need.
fn wire(json: &str) -> String {
    match json.as_bytes()[0] {
        b'"' => format!("{{\"S\":{json}}}"),
        // Nested lists around one number, or nothing.
        b'[' => match &json[1..json.len() - 1] {
            "" => "{\"L\":[]}".to_owned(),
            inner => format!("{{\"L\":[{}]}}", wire(inner)),
        },
        b'{' => match json[1..json.len() - 1].split_once(':') {
            None => "{\"M\":{}}".to_owned(),
            Some((name, inner)) => format!("{{\"M\":{{{name}:{}}}}}", wire(inner)),
        },
        b't' | b'f' => format!("{{\"BOOL\":{json}}}"),
        _ => format!("{{\"N\":\"{json}\"}}"),
    }
}

/// Rows of a string key `id` and one attribute `v`.
#[track_caller]
fn attribute(value: String, expected: Result<usize, &str>) {
    let row = |value: String| [("id", quote("a")), ("v", value)];
    edge(&plain(), &row(value), &row("1".to_owned()), expected);
}

#[test]
fn an_item_has_400_kib_names_included() {
    // `id`, `a` and `v` are 4 bytes.
    let room = ITEM_BYTES_MAX - 4;
    assert_eq!(ITEM_BYTES_MAX, 409_600);
    attribute(quote(&"x".repeat(room)), Ok(409_600));
    attribute(quote(&"x".repeat(room + 1)), Err("item-too-large"));
    // Bytes, not characters; 409,596 is even and a multiple of 4.
    attribute(quote(&"ä".repeat(room / 2)), Ok(409_600));
    attribute(
        quote(&("ä".repeat(room / 2 - 1) + "€")),
        Err("item-too-large"),
    );
    attribute(quote(&"😀".repeat(room / 4)), Ok(409_600));
    attribute(quote(&("😀".repeat(room / 4) + "x")), Err("item-too-large"));
    // What the file spends on escapes does not count.
    let newlines = quote(&"\n".repeat(room));
    assert!(newlines.len() > 800_000);
    let row = |value: &str| [("id", quote("a")), ("v", value.to_owned())];
    let escaped = plain().types("v:S");
    let file = format!("[{{\"id\":\"a\",\"v\":{newlines}}}]");
    assert_eq!(
        every_way(&escaped, file.as_bytes()).rows[0].size_bytes,
        409_600
    );
    edge(&plain(), &row("[1]"), &row("1"), Ok(4 + 3 + 1 + 2));
}

#[test]
fn many_attributes_are_as_large_as_one() {
    // Two bytes of name and one of value each; the last name takes the rest.
    let names: Vec<String> = (0..20_000).map(|i| format!("n{i:08}")).collect();
    let size_bytes = |last: usize| 3 + names.len() * 9 + (names.len() - 1) * 9 + last;
    let last = ITEM_BYTES_MAX - size_bytes(0);
    for (last, expected) in [
        (last, Ok(ITEM_BYTES_MAX)),
        (last + 1, Err("item-too-large")),
    ] {
        let mut attributes = vec![("id", quote("a"))];
        attributes.extend(names.iter().map(|name| (name.as_str(), quote("xxxxxxxxx"))));
        attributes.last_mut().unwrap().1 = quote(&"x".repeat(last));
        edge(&plain(), &attributes, &[("id", quote("a"))], expected);
    }
}

#[test]
fn lists_and_maps_cost_three_bytes_and_one_for_each_member() {
    for (value, size_bytes) in [
        ("[]", 3),
        ("{}", 3),
        ("[[]]", 3 + 1 + 3),
        ("[true]", 3 + 1 + 1),
        ("{\"k\":true}", 3 + 1 + 1 + 1),
        ("{\"kä\":[false]}", 3 + 1 + 3 + 3 + 1 + 1),
        ("[123.45]", 3 + 1 + 4),
    ] {
        attribute(value.to_owned(), Ok(4 + size_bytes));
    }
}

#[test]
fn a_value_may_stand_at_level_32_and_nothing_below() {
    let lists =
        |levels: usize, inner: &str| format!("{}{inner}{}", "[".repeat(levels), "]".repeat(levels));
    let maps = |levels: usize, inner: &str| {
        format!("{}{inner}{}", "{\"k\":".repeat(levels), "}".repeat(levels))
    };
    let around = DEPTH_MAX - 1;
    assert_eq!(around, 31);
    attribute(lists(around, "1"), Ok(4 + around * 4 + 2));
    attribute(lists(around, ""), Ok(4 + around * 4 - 1));
    attribute(lists(around + 1, "1"), Err("too-deep"));
    attribute(lists(around + 1, ""), Ok(4 + (around + 1) * 4 - 1));
    attribute(lists(around + 2, ""), Err("too-deep"));
    attribute(lists(1000, "1"), Err("too-deep"));
    attribute(maps(around, "1"), Ok(4 + around * 5 + 2));
    attribute(maps(around + 1, "1"), Err("too-deep"));
    attribute(maps(around, "{}"), Ok(4 + around * 5 + 3));
    attribute(maps(around, "[]"), Ok(4 + around * 5 + 3));
    attribute(maps(around + 1, "{}"), Err("too-deep"));
}

#[test]
fn numbers_have_38_digits_and_a_range() {
    let digits = |n: usize| "9".repeat(n);
    for (number, expected) in [
        (digits(38), Ok(4 + 20)),
        (format!("-{}", digits(38)), Ok(4 + 21)),
        (format!("0.{}", digits(38)), Ok(4 + 20)),
        (
            format!("{}.{}", digits(19), digits(19)),
            Ok(4 + 10 + 10 + 1),
        ),
        (format!("{}000", digits(38)), Ok(4 + 20)),
        (format!("0.000{}", digits(38)), Ok(4 + 20)),
        ("9.99E125".to_owned(), Ok(4 + 3)),
        (
            "9.9999999999999999999999999999999999999E125".to_owned(),
            Ok(4 + 20),
        ),
        ("-9.99E+125".to_owned(), Ok(4 + 4)),
        ("1E-130".to_owned(), Ok(4 + 2)),
        ("-1E-130".to_owned(), Ok(4 + 3)),
        ("10E-131".to_owned(), Ok(4 + 2)),
        ("0.1E126".to_owned(), Ok(4 + 2)),
    ] {
        attribute(number, expected);
    }
    // In CSV such a cell is text, so that nothing is lost: JSON alone here.
    for (number, reason) in [
        (digits(39), "number-precision"),
        (format!("-0.{}", digits(39)), "number-precision"),
        (format!("1{}1", "0".repeat(37)), "number-precision"),
        ("1E126".to_owned(), "number-range"),
        ("-1E126".to_owned(), "number-range"),
        ("10E125".to_owned(), "number-range"),
        ("1E-131".to_owned(), "number-range"),
        ("0.1E-130".to_owned(), "number-range"),
    ] {
        let row = |value: &str| [("id", quote("a")), ("v", value.to_owned())];
        edge(
            &plain(),
            &row(&format!("[{number}]")),
            &row("1"),
            Err(reason),
        );
        let declared = every_way(
            &plain().types("v:N"),
            format!("[{{\"id\":\"a\",\"v\":{number}}}]").as_bytes(),
        );
        assert_eq!(declared.rejects[0].reason.code(), "declared-type");
    }
}

#[test]
fn a_partition_key_has_2048_bytes_and_a_sort_key_1024() {
    assert_eq!((PARTITION_KEY_BYTES_MAX, SORT_KEY_BYTES_MAX), (2048, 1024));
    let key = |id: &str| [("id", quote(id))];
    for (id, expected) in [
        ("x".repeat(2048), Ok(2050)),
        ("x".repeat(2049), Err("key-too-long")),
        ("ä".repeat(1024), Ok(2050)),
        ("ä".repeat(1024) + "x", Err("key-too-long")),
        ("x".repeat(500_000), Err("key-too-long")),
    ] {
        edge(&plain(), &key(&id), &key("a"), expected);
    }
    let pair = |sort: &str| [("id", quote("a")), ("s", quote(sort))];
    for (sort, expected) in [
        ("x".repeat(1024), Ok(1028)),
        ("x".repeat(1025), Err("key-too-long")),
        ("€".repeat(341) + "x", Ok(1028)),
        ("€".repeat(341) + "ä", Err("key-too-long")),
    ] {
        edge(
            &plain().sort("s", KeyType::S),
            &pair(&sort),
            &pair("a"),
            expected,
        );
        edge(
            &plain().index(KeyAttribute::sort("s", KeyType::S)),
            &pair(&sort),
            &pair("a"),
            expected,
        );
    }
}

#[test]
fn binary_keys_are_measured_decoded() {
    // 2,048 bytes of zeros are 682 groups of four characters and one of "AAA=".
    let key = |bytes: usize| {
        use base64::{Engine, engine::general_purpose::STANDARD};
        STANDARD.encode(vec![0; bytes])
    };
    let setup = plain().key("id", KeyType::B);
    for (bytes, expected) in [
        (1, None),
        (2048, None),
        (2049, Some("key-too-long")),
        (0, Some("empty-key")),
    ] {
        for file in [
            format!(
                "{{\"id\":{{\"B\":\"AAA=\"}}}}\n{{\"id\":{{\"B\":\"{}\"}}}}\n",
                key(bytes)
            ),
            format!(
                "{{\"Item\":{{\"id\":{{\"B\":\"AAA=\"}}}}}}\n{{\"Item\":{{\"id\":{{\"B\":\"{}\"}}}}}}\n",
                key(bytes)
            ),
        ] {
            let run = every_way(&setup, file.as_bytes());
            assert_eq!(
                run.rejects.first().map(|reject| reject.reason.code()),
                expected,
                "{bytes}"
            );
            assert_eq!(run.rows.len() + run.rejects.len(), 2, "{bytes}");
        }
    }
}

#[test]
fn keys_are_there_and_of_their_type() {
    let both = || plain().sort("n", KeyType::N);
    let good = [("id", quote("a")), ("n", "1".to_owned())];
    for (row, reason) in [
        (vec![("id", quote("a"))], "missing-key"),
        (vec![("n", "1".to_owned())], "missing-key"),
        (vec![("x", "1".to_owned())], "missing-key"),
        (vec![("id", quote("")), ("n", "1".to_owned())], "empty-key"),
        (
            vec![("id", "1".to_owned()), ("n", "1".to_owned())],
            "key-type",
        ),
        (vec![("id", quote("a")), ("n", quote("1"))], "key-type"),
        (
            vec![("id", quote("a")), ("n", "true".to_owned())],
            "key-type",
        ),
        (
            vec![("id", quote("a")), ("n", "[1]".to_owned())],
            "key-type",
        ),
        (
            vec![("id", "{\"k\":1}".to_owned()), ("n", "1".to_owned())],
            "key-type",
        ),
    ] {
        // A CSV cell takes the key's type, and an empty one is no cell: other reasons, tested with CSV.
        let row: Vec<_> = row.into_iter().chain([("only", "[]".to_owned())]).collect();
        edge(&both(), &row, &good, Err(reason));
    }
}

#[test]
fn index_keys_may_be_absent_but_not_of_another_type_or_empty() {
    let setup = || {
        plain()
            .index(KeyAttribute::partition("brand", KeyType::S))
            .index(KeyAttribute::sort("rank", KeyType::N))
    };
    let good = [("id", quote("a"))];
    let row = |name: &'static str, value: &str| [("id", quote("a")), (name, value.to_owned())];
    edge(&setup(), &row("brand", "\"x\""), &good, Ok(9));
    edge(&setup(), &row("rank", "-1.5"), &good, Ok(3 + 4 + 4));
    for (name, value, reason) in [
        ("brand", "1", "key-type"),
        ("brand", "true", "key-type"),
        ("brand", "[\"x\"]", "key-type"),
        ("brand", "{}", "key-type"),
        ("brand", "\"\"", "empty-key"),
        ("rank", "\"1\"", "key-type"),
    ] {
        edge(&setup(), &row(name, value), &good, Err(reason));
    }
    let long = [("id", quote("a")), ("brand", quote(&"x".repeat(2049)))];
    edge(&setup(), &long, &good, Err("key-too-long"));
    let run = every_way(&setup(), b"{\"id\":\"a\",\"brand\":null}\n");
    assert_eq!(
        run.rejects[0].reason.to_string(),
        "key attribute \"brand\" is of type NULL, the table needs S"
    );
}

#[test]
fn an_attribute_name_is_less_than_64_kib() {
    let name = "n".repeat(ATTRIBUTE_NAME_BYTES_MAX + 1);
    let good = [("id", quote("a"))];
    let row = |name: &str| [("id", quote("a")), ("m", format!("{{{}:1}}", quote(name)))];
    edge(
        &plain(),
        &[("id", quote("a")), (&name[1..], "1".to_owned())],
        &good,
        Ok(3 + 65_535 + 2),
    );
    edge(
        &plain(),
        &[("id", quote("a")), (&name, "1".to_owned())],
        &good,
        Err("attribute-name-too-long"),
    );
    edge(&plain(), &row(&name), &good, Err("attribute-name-too-long"));
}
