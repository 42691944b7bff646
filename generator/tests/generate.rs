//! The generator keeps its promises: the same bytes for ever, and items that agree with what it writes.

#![allow(clippy::unwrap_used, reason = "a panic is how a test reports")]

use std::collections::BTreeMap;

use generator::{Format, Generator, Shape};
use serde_json::Value;

const FORMATS: [Format; 4] = [Format::Json, Format::Jsonl, Format::Csv, Format::DdbJson];

fn text(generator: &Generator) -> String {
    let mut bytes = Vec::new();
    generator.write_to(&mut bytes).unwrap();
    String::from_utf8(bytes).unwrap()
}

#[test]
fn the_first_rows_never_change() {
    let cases = [
        (Shape::Small, Format::Json, SMALL_JSON),
        (Shape::Small, Format::Csv, SMALL_CSV),
        (Shape::Catalog, Format::Jsonl, CATALOG_JSONL),
        (Shape::Catalog, Format::Csv, CATALOG_CSV),
        (Shape::Catalog, Format::DdbJson, CATALOG_DDB_JSON),
    ];
    for (shape, format, expected) in cases {
        assert_eq!(
            text(&Generator::new(2, shape, format)),
            expected,
            "{shape:?} {format:?}"
        );
    }
}

/// CRC-32 of 2,000 rows with seed 7 and 10% duplicates.
#[test]
fn the_bytes_of_a_file_never_change() {
    let cases = [
        (Shape::Small, Format::Json, 3_385_707_395),
        (Shape::Small, Format::Jsonl, 3_236_669_549),
        (Shape::Small, Format::Csv, 4_122_803_946),
        (Shape::Small, Format::DdbJson, 425_825_520),
        (Shape::Catalog, Format::Json, 440_911_176),
        (Shape::Catalog, Format::Jsonl, 3_308_135_435),
        (Shape::Catalog, Format::Csv, 1_165_394_178),
        (Shape::Catalog, Format::DdbJson, 2_269_363_910),
    ];
    let actual = cases.map(|(shape, format, _)| {
        let generator = Generator::new(2_000, shape, format)
            .seed(7)
            .duplicates_percent(10);
        let mut crc = flate2::Crc::new();
        crc.update(text(&generator).as_bytes());
        (shape, format, crc.sum())
    });
    assert_eq!(actual, cases);
}

#[test]
fn no_rows_are_still_a_file() {
    let cases = [
        (Format::Json, "[\n]\n"),
        (Format::Jsonl, ""),
        (Format::Csv, "productId,name,quantity,price\n"),
        (Format::DdbJson, ""),
    ];
    for (format, expected) in cases {
        assert_eq!(text(&Generator::new(0, Shape::Small, format)), expected);
    }
}

#[test]
fn another_seed_gives_other_rows() {
    for format in FORMATS {
        let generator = Generator::new(10, Shape::Catalog, format);
        assert_ne!(
            text(&generator),
            text(&generator.clone().seed(1)),
            "{format:?}"
        );
    }
}

#[test]
fn dynamodb_json_holds_the_expected_items() {
    let generator = Generator::new(200, Shape::Catalog, Format::DdbJson);
    for (index, line) in text(&generator).lines().enumerate() {
        let line: Value = serde_json::from_str(line).unwrap();
        assert_eq!(
            line["Item"],
            generator.expected_item(index as u64),
            "row {index}"
        );
    }
}

#[test]
fn json_and_json_lines_hold_the_expected_items() {
    for format in [Format::Json, Format::Jsonl] {
        let generator = Generator::new(200, Shape::Catalog, format);
        let text = text(&generator);
        let rows: Vec<Value> = match format {
            Format::Json => serde_json::from_str(&text).unwrap(),
            _ => text
                .lines()
                .map(|line| serde_json::from_str(line).unwrap())
                .collect(),
        };
        assert_eq!(rows.len(), 200);
        for (index, row) in rows.iter().enumerate() {
            let expected = serde_json::json!({"M": generator.expected_item(index as u64)});
            assert!(
                is_same(row, &expected),
                "row {index}: {row} is not {expected}"
            );
        }
    }
}

/// Whether plain JSON says the same as DynamoDB JSON. Digits are compared in the end-to-end tests, because
/// `serde_json` does not keep them.
fn is_same(plain: &Value, typed: &Value) -> bool {
    let (kind, typed) = typed.as_object().unwrap().iter().next().unwrap();
    match (plain, kind.as_str()) {
        (Value::Null, "NULL") => true,
        (Value::Bool(_), "BOOL") | (Value::String(_), "S") => plain == typed,
        (Value::Number(number), "N") => {
            let expected: f64 = typed.as_str().unwrap().parse().unwrap();
            (number.as_f64().unwrap() - expected).abs() <= expected.abs() * 1e-12
        }
        (Value::Array(elements), "L") => {
            let typed = typed.as_array().unwrap();
            elements.len() == typed.len() && elements.iter().zip(typed).all(|(a, b)| is_same(a, b))
        }
        (Value::Object(members), "M") => {
            let typed = typed.as_object().unwrap();
            members.len() == typed.len()
                && members.iter().all(|(name, member)| {
                    typed.get(name).is_some_and(|typed| is_same(member, typed))
                })
        }
        _ => false,
    }
}

#[test]
fn csv_holds_the_expected_items() {
    let generator = Generator::new(200, Shape::Catalog, Format::Csv);
    let text = text(&generator);
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let header = reader.headers().unwrap().clone();
    let mut rows = 0;
    for (index, record) in reader.records().enumerate() {
        let cells: BTreeMap<String, String> = header
            .iter()
            .zip(record.unwrap().iter())
            .filter(|(_, cell)| !cell.is_empty())
            .map(|(column, cell)| (column.to_owned(), cell.to_owned()))
            .collect();
        let expected: BTreeMap<String, String> = generator
            .expected_item(index as u64)
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| {
                let content = value.get("N").or(value.get("S")).unwrap();
                (name.clone(), content.as_str().unwrap().to_owned())
            })
            .collect();
        assert_eq!(cells, expected, "row {index}");
        rows += 1;
    }
    assert_eq!(rows, 200);
}

/// What the issue asks a catalog to hold must really be in every few rows of it.
#[test]
fn a_catalog_holds_every_kind_of_difficulty() {
    let json = text(&Generator::new(100, Shape::Catalog, Format::Jsonl));
    for needle in [
        "\\\"quoted\\\"",
        "C:\\\\temp",
        "\\n",
        "\\r\\n",
        "\\t",
        "\\u0001",
        "é",
        "\\u00e9",
        "😀",
        "\\ud83d\\ude00",
        "null",
        "true",
        "false",
        "[]",
        "e-1",
        "E-3",
        "e+1",
        "\"supplier\":null",
        "\"contact\":{\"email\"",
        "0.",
    ] {
        assert!(json.contains(needle), "{needle}");
    }
    let csv = text(&Generator::new(100, Shape::Catalog, Format::Csv));
    for needle in [
        ",\"[\"\"",
        "first line\nsecond line",
        "\r\nbreak",
        ",,",
        ",0",
        "\u{1}",
        "commas, semicolons; pipes |",
    ] {
        assert!(csv.contains(needle), "{needle:?}");
    }
    let size_bytes = text(&Generator::new(1_000, Shape::Catalog, Format::Jsonl)).len() / 1_000;
    assert!((400..=500).contains(&size_bytes), "{size_bytes}");
}

#[test]
fn duplicates_are_about_as_many_as_asked_for_and_repeat_earlier_keys() {
    for (percent, expected) in [(0, 0..=0), (10, 900..=1_100), (100, 9_999..=9_999)] {
        let generator =
            Generator::new(10_000, Shape::Small, Format::Csv).duplicates_percent(percent);
        let mut repeated = 0;
        let mut near = 0;
        for index in 0..10_000 {
            let key = generator.key_number(index);
            assert!(key <= index);
            repeated += u64::from(key < index);
            near += u64::from(key < index && index - key <= 25);
            assert_eq!(
                generator.expected_item(index)["productId"]["S"],
                format!("P{key:08}"),
                "row {index}"
            );
        }
        assert!(expected.contains(&repeated), "{percent}%: {repeated}");
        assert!(
            near * 3 >= repeated,
            "{percent}%: {near} near ones of {repeated}"
        );
    }
}

const SMALL_JSON: &str = r#"[
{"productId":"P00000000","name":"Classic Aluminium Keyboard","quantity":3894,"price":530.23},
{"productId":"P00000001","name":"Smart Aluminium Chair","quantity":2788,"price":1351.36}
]
"#;

const SMALL_CSV: &str = "productId,name,quantity,price
P00000000,Classic Aluminium Keyboard,3894,530.23
P00000001,Smart Aluminium Chair,2788,1351.36
";

const CATALOG_JSONL: &str = r#"{"productId":"P00000000","name":"Classic Aluminium Keyboard","quantity":1318,"price":750.47,"sku":"56867","gtin":"4401504469535","active":true,"subtitle":"","description":"made for daily use, with a spare battery","dimensions":{"widthMm":1693.0E0,"heightMm":2090,"massKg":75493E-3},"supplier":null,"tags":["travel","kids","eco"],"ratings":[1,[4.50,"by mail"]],"exactCost":0.52637692492894231036400982639727539647}
{"productId":"P00000001","name":"Smart Aluminium Chair","quantity":3375,"price":1944.47,"sku":"23830","gtin":"4615418678536","active":true,"subtitle":"a \"quoted\" word and a 27\" screen","description":"made for daily use — a \"quoted\" word and a 27\" screen","dimensions":{"widthMm":1298,"heightMm":932.8E0,"massKg":21469E-3},"supplier":{"id":"S159","country":"FR","leadDays":23,"contact":{"email":"S159@example.com"}},"tags":[],"ratings":[null],"exactCost":0.19509719509847166600112672116639340327}
"#;

const CATALOG_CSV: &str = r#"productId,name,quantity,price,sku,gtin,active,subtitle,description,dimensions.widthMm,dimensions.heightMm,dimensions.massKg,supplier.id,supplier.country,supplier.leadDays,supplier.contact.email,tags,ratings,exactCost
P00000000,Classic Aluminium Keyboard,1318,750.47,56867,4401504469535,true,,"made for daily use, with a spare battery",1693.0E0,2090,75493E-3,,,,,"[""travel"",""kids"",""eco""]","[1,[4.50,""by mail""]]",0.52637692492894231036400982639727539647
P00000001,Smart Aluminium Chair,3375,1944.47,23830,4615418678536,true,"a ""quoted"" word and a 27"" screen","made for daily use — a ""quoted"" word and a 27"" screen",1298,932.8E0,21469E-3,S159,FR,23,S159@example.com,[],[null],0.19509719509847166600112672116639340327
"#;

const CATALOG_DDB_JSON: &str = r#"{"Item":{"productId":{"S":"P00000000"},"name":{"S":"Classic Aluminium Keyboard"},"quantity":{"N":"1318"},"price":{"N":"750.47"},"sku":{"S":"56867"},"gtin":{"S":"4401504469535"},"active":{"BOOL":true},"subtitle":{"S":""},"description":{"S":"made for daily use, with a spare battery"},"dimensions":{"M":{"widthMm":{"N":"1693.0E0"},"heightMm":{"N":"2090"},"massKg":{"N":"75493E-3"}}},"supplier":{"NULL":true},"tags":{"L":[{"S":"travel"},{"S":"kids"},{"S":"eco"}]},"ratings":{"L":[{"N":"1"},{"L":[{"N":"4.50"},{"S":"by mail"}]}]},"exactCost":{"N":"0.52637692492894231036400982639727539647"},"colors":{"SS":["white","red"]},"shelves":{"NS":["38","39.5"]},"thumbnail":{"B":"2a+yawtmWng="},"fingerprints":{"BS":["2a+y","2a+yaw=="]}}}
{"Item":{"productId":{"S":"P00000001"},"name":{"S":"Smart Aluminium Chair"},"quantity":{"N":"3375"},"price":{"N":"1944.47"},"sku":{"S":"23830"},"gtin":{"S":"4615418678536"},"active":{"BOOL":true},"subtitle":{"S":"a \"quoted\" word and a 27\" screen"},"description":{"S":"made for daily use — a \"quoted\" word and a 27\" screen"},"dimensions":{"M":{"widthMm":{"N":"1298"},"heightMm":{"N":"932.8E0"},"massKg":{"N":"21469E-3"}}},"supplier":{"M":{"id":{"S":"S159"},"country":{"S":"FR"},"leadDays":{"N":"23"},"contact":{"M":{"email":{"S":"S159@example.com"}}}}},"tags":{"L":[]},"ratings":{"L":[{"NULL":true}]},"exactCost":{"N":"0.19509719509847166600112672116639340327"}}}
"#;
