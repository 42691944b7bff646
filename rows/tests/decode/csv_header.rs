//! What makes a CSV header usable.

use rows::KeyType;

use crate::support::{check, plain};

#[test]
fn every_column_has_a_name_of_its_own() {
    let unnamed = |n: u32| {
        format!(
            "unusable: column {n} of the header has no name | name every column in the first line; a delimiter at its end makes a column, too"
        )
    };
    check(&plain(), "id,,v\na,b,c\n", &[&unnamed(2)]);
    check(&plain(), ",id\nb,a\n", &[&unnamed(1)]);
    check(&plain(), "id,\"\",v\na,b,c\n", &[&unnamed(2)]);
    let twice = |first: u32, second: u32| {
        format!(
            "unusable: columns {first} and {second} of the header have the same name | rename or remove one of the two: an \
             item has each attribute once; if the first line is a row, put one with the columns' names before it"
        )
    };
    check(&plain(), "id,v,id\na,b,c\n", &[&twice(1, 3)]);
    check(&plain(), "id,v w,\"v w\"\na,b,c\n", &[&twice(2, 3)]);
    check(
        &plain(),
        "id,v,V\na,b,c\n",
        &[
            r#"1@2:7 {"id":{"S":"a"},"v":{"S":"b"},"V":{"S":"c"}}"#,
            "end",
        ],
    );
}

#[test]
fn the_key_must_be_a_column_and_a_near_match_is_suggested() {
    let product = || plain().key("productId", KeyType::S);
    for similar in [
        "product_id",
        "Product ID",
        "PRODUCTID",
        "product-id",
        "productid",
    ] {
        let expected = format!(
            "unusable: the header has no column \"productId\" | rename column \"{similar}\" to \"productId\": names match exactly"
        );
        check(&product(), format!("{similar},v\na,b\n"), &[&expected]);
    }
    check(
        &product(),
        "sku,v\na,b\n",
        &[
            "unusable: the header has no column \"productId\" | name a column \"productId\" in the first line, which must be the header, or give the right --delimiter; the first line has 2 columns",
        ],
    );
    check(
        &plain().sort("no", KeyType::N),
        "id,v\na,b\n",
        &[
            "unusable: the header has no column \"no\" | name a column \"no\" in the first line, which must be the header, or give the right --delimiter; the first line has 2 columns",
        ],
    );
    check(
        &plain().types("Price:N"),
        "id,price\na,1\n",
        &[
            "unusable: the header has no column \"Price\" | rename column \"price\" to \"Price\": names match exactly",
        ],
    );
}

#[test]
fn names_are_taken_as_they_are() {
    check(
        &plain(),
        "id,\"a,b\",\"c\"\"d\",\"e\nf\",ü g\na,1,2,3,4\n",
        &[
            r#"1@3:27 {"id":{"S":"a"},"a,b":{"N":"1"},"c\"d":{"N":"2"},"e\nf":{"N":"3"},"ü g":{"N":"4"}}"#,
            "end",
        ],
    );
}

/// What stands in the first line of a file without a header is a row.
#[test]
fn nothing_of_a_first_line_is_quoted_but_a_name_like_the_one_that_is_wanted() {
    let key = || plain().key("productId", KeyType::S);
    let long = "Jane Doe\u{202e}".repeat(50_000);
    for (file, count) in [
        ("P1,Jane Doe,jane@example.com\n".to_owned(), "3 columns"),
        (format!("{long}\nx\n"), "1 column"),
    ] {
        let expected = format!(
            "unusable: the header has no column \"productId\" | name a column \"productId\" in the first line, which must be \
             the header, or give the right --delimiter; the first line has {count}"
        );
        check(&key(), file, &[&expected]);
    }
    let padded = format!("product{}Id", "_".repeat(500));
    let expected = format!(
        "unusable: the header has no column \"productId\" | rename column \"product{}…\" to \"productId\": names match \
         exactly",
        "_".repeat(190)
    );
    check(&key(), format!("{padded},v\na,b\n"), &[&expected]);
}
