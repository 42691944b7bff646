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
    check(&plain(), "id,v,\na,b,\n", &[&unnamed(3)]);
    check(&plain(), "id,\"\"\na,b\n", &[&unnamed(2)]);
    let twice = |name: &str| {
        format!(
            "unusable: the header names column \"{name}\" twice | rename or remove one of the two: an item has each attribute once"
        )
    };
    check(&plain(), "id,v,id\na,b,c\n", &[&twice("id")]);
    check(&plain(), "id,v w,\"v w\"\na,b,c\n", &[&twice("v w")]);
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
        " productId",
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
            "unusable: the header has no column \"productId\" | name a column \"productId\" in the first line, or give the right --delimiter; the header has: sku, v",
        ],
    );
    check(
        &plain().sort("no", KeyType::N),
        "id,v\na,b\n",
        &[
            "unusable: the header has no column \"no\" | name a column \"no\" in the first line, or give the right --delimiter; the header has: id, v",
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
