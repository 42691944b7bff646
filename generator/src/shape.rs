//! The two kinds of rows: the lab's four fields, and a product as catalogs really hold them.

use super::random::Random;
use super::value::{Row, Value};

/// Columns of [`small`] in a CSV file.
pub(super) const SMALL_COLUMNS: &[&str] = &["productId", "name", "quantity", "price"];

/// Columns of [`catalog`] in a CSV file: a member of a map has its dotted path as its name.
pub(super) const CATALOG_COLUMNS: &[&str] = &[
    "productId",
    "name",
    "quantity",
    "price",
    "sku",
    "gtin",
    "active",
    "subtitle",
    "description",
    "dimensions.widthMm",
    "dimensions.heightMm",
    "dimensions.massKg",
    "supplier.id",
    "supplier.country",
    "supplier.leadDays",
    "supplier.contact.email",
    "tags",
    "ratings",
    "exactCost",
];

const QUALITIES: &[&str] = &[
    "Wireless",
    "Ergonomic",
    "Compact",
    "Premium",
    "Recycled",
    "Smart",
    "Portable",
    "Classic",
    "Vintage",
    "Ultra Slim",
    "Heavy Duty",
    "Foldable",
];
const MATERIALS: &[&str] = &[
    "Steel",
    "Cotton",
    "Oak",
    "Bamboo",
    "Ceramic",
    "Glass",
    "Leather",
    "Aluminium",
    "Wool",
    "Carbon",
];
const THINGS: &[&str] = &[
    "Laptop", "Mouse", "Keyboard", "Monitor", "Lamp", "Chair", "Desk", "Kettle", "Backpack",
    "Bottle", "Speaker", "Tripod", "Notebook", "Blanket",
];
const PHRASES: &[&str] = &[
    "made for daily use",
    "tested for ten years of service",
    "ships within two days",
    "fits every standard mount",
    "easy to clean",
    "with a spare battery",
    "for kitchen and garden",
    "designed in a small studio",
    "quiet even under load",
    "packed without plastic",
];
const TAGS: &[&str] = &[
    "office", "outdoor", "kitchen", "garden", "gaming", "travel", "kids", "eco", "sale", "new",
];
const COUNTRIES: &[&str] = &["DE", "US", "JP", "BR", "IN", "NG", "FR"];
const COLORS: &[&str] = &["black", "white", "red", "Grün", "naïve blue"];

/// Texts that are awkward to quote, to escape or to guess the type of. Each is in a fixed sixteenth of the rows, so that
/// sixteen rows are enough to meet all of them.
const AWKWARD: [&str; 16] = [
    "",
    "a \"quoted\" word and a 27\" screen",
    "C:\\temp\\new, then \\\"both\\\"",
    "first line\nsecond line",
    "tab\there, Windows line\r\nbreak",
    "control \u{1} and \u{1f} characters",
    "Café crème, Größe L, smörgåsbord",
    "北欧デザイン 😀 👩‍👩‍👧 🇳🇴",
    "commas, semicolons; pipes | and 'quotes'",
    "{\"S\":\"not a type\"}",
    "  spaces around  ",
    "=SUM(A1:A9)",
    "null",
    "true",
    "\u{feff}mark, \u{2028}separator, \u{a0}space",
    "</script><b>& \u{7f}",
];

/// A row of four fields, about 85 bytes as JSON.
pub(super) fn small(key: u64, random: &mut Random) -> Row {
    vec![
        ("productId", product_id(key)),
        ("name", name(random).into()),
        ("quantity", Value::Number(random.below(5_001).to_string())),
        ("price", price(random)),
    ]
}

/// A row of every attribute type, about 480 bytes as JSON.
pub(super) fn catalog(key: u64, row: u64, random: &mut Random) -> Row {
    let awkward = AWKWARD[(row % 16) as usize];
    let mut name = name(random);
    if random.one_in(4) {
        name.push_str(random.pick(&[" – 27\"", ", black", " Größe M", " \\ refill", " 2\u{a0}L"]));
    }
    let mut attributes = vec![
        ("productId", product_id(key)),
        ("name", name.into()),
        (
            "quantity",
            Value::Number((random.below(5_011).cast_signed() - 10).to_string()),
        ),
        ("price", price(random)),
        ("sku", format!("{:05}", random.below(100_000)).into()),
        (
            "gtin",
            (4_000_000_000_000 + random.below(999_999_999_999))
                .to_string()
                .into(),
        ),
        ("active", Value::Bool(!random.one_in(10))),
        ("subtitle", awkward.into()),
        ("description", description(awkward, random).into()),
        (
            "dimensions",
            Value::Map(vec![
                ("widthMm", measure(random)),
                ("heightMm", measure(random)),
                (
                    "massKg",
                    Value::Number(format!("{}E-3", random.below(90_000) + 1)),
                ),
            ]),
        ),
        ("supplier", supplier(random)),
        ("tags", tags(random)),
        ("ratings", ratings(random)),
        ("exactCost", exact_cost(random)),
    ];
    if row.is_multiple_of(4) {
        attributes.extend(dynamodb_only(random));
    }
    attributes
}

fn product_id(key: u64) -> Value {
    format!("P{key:08}").into()
}

fn name(random: &mut Random) -> String {
    format!(
        "{} {} {}",
        random.pick(QUALITIES),
        random.pick(MATERIALS),
        random.pick(THINGS)
    )
}

/// Always two decimals: `1.50` must not become `1.5` on its way.
fn price(random: &mut Random) -> Value {
    let cents = random.below(200_000);
    Value::Number(format!("{}.{:02}", cents / 100, cents % 100))
}

fn description(awkward: &str, random: &mut Random) -> String {
    let first = random.pick(PHRASES);
    let second = random.pick(PHRASES);
    if awkward.is_empty() {
        format!("{first}, {second}")
    } else {
        format!("{first} — {awkward}")
    }
}

/// The same length in one of the spellings that JSON allows.
fn measure(random: &mut Random) -> Value {
    let tenths = random.below(30_000);
    let (whole, part) = (tenths / 10, tenths % 10);
    Value::Number(match random.below(6) {
        0 => format!("{whole}.{part}"),
        1 => format!("{tenths}e-1"),
        2 => format!("{whole}.{part}E0"),
        3 => format!("{whole}.{part}00e+1"),
        _ => whole.to_string(),
    })
}

fn supplier(random: &mut Random) -> Value {
    if random.one_in(11) {
        return Value::Null;
    }
    let id = format!("S{:03}", random.below(1_000));
    let mut members = vec![
        ("id", id.clone().into()),
        ("country", random.pick(COUNTRIES).into()),
        ("leadDays", Value::Number(random.below(41).to_string())),
    ];
    if random.one_in(3) {
        members.push((
            "contact",
            Value::Map(vec![("email", format!("{id}@example.com").into())]),
        ));
    }
    Value::Map(members)
}

fn tags(random: &mut Random) -> Value {
    Value::List(
        (0..random.below(4))
            .map(|_| random.pick(TAGS).into())
            .collect(),
    )
}

/// Stars given by reviewers: numbers, and what reviewers leave out or say instead, in one list.
fn ratings(random: &mut Random) -> Value {
    Value::List(
        (0..random.below(4))
            .map(|_| match random.below(6) {
                0 => Value::Null,
                1 => Value::Bool(true),
                2 => Value::List(vec![Value::Number("4.50".to_owned()), "by mail".into()]),
                _ => Value::Number((random.below(5) + 1).to_string()),
            })
            .collect(),
    )
}

/// 38 significant digits, as many as DynamoDB keeps.
fn exact_cost(random: &mut Random) -> Value {
    let first = random.below(9) + 1;
    let [a, b, c] = std::array::from_fn(|_| random.below(1_000_000_000_000));
    Value::Number(format!("0.{first}{a:012}{b:012}{c:012}7"))
}

fn dynamodb_only(random: &mut Random) -> Row {
    let first = random.below(COLORS.len() as u64) as usize;
    let second = (first + 1) % COLORS.len();
    let shelf = random.below(100);
    let image = random.next().to_be_bytes();
    vec![
        (
            "colors",
            Value::TextSet(vec![COLORS[first], COLORS[second]]),
        ),
        (
            "shelves",
            Value::NumberSet(vec![shelf.to_string(), format!("{}.5", shelf + 1)]),
        ),
        ("thumbnail", Value::Binary(image.to_vec())),
        (
            "fingerprints",
            Value::BinarySet(vec![image[..3].to_vec(), image[..4].to_vec()]),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::value::lookup;

    #[test]
    fn exact_cost_has_38_significant_digits() {
        let Value::Number(digits) = exact_cost(&mut Random::for_row(0, 0)) else {
            panic!("a number");
        };
        assert_eq!(digits.trim_start_matches("0.").len(), 38);
    }

    /// Every leaf of every row must have a column, or a CSV file would silently lose attributes.
    #[test]
    fn the_columns_cover_every_attribute() {
        fn leaves(prefix: &str, row: &Row, found: &mut Vec<String>) {
            for (name, value) in row {
                let path = format!("{prefix}{name}");
                match value {
                    Value::Map(members) => leaves(&format!("{path}."), members, found),
                    Value::Null => {}
                    other if other.needs_dynamodb_json() => {}
                    _ => found.push(path),
                }
            }
        }
        for row in 0..200 {
            let mut random = Random::for_row(3, row);
            let catalog = catalog(row, row, &mut random);
            let mut found = Vec::new();
            leaves("", &catalog, &mut found);
            for path in found {
                assert!(CATALOG_COLUMNS.contains(&path.as_str()), "{path}");
            }
            for path in SMALL_COLUMNS {
                assert!(lookup(&small(row, &mut random), path).is_some(), "{path}");
            }
        }
    }
}
