//! Items as an aligned text table.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;

/// An item as the SDK returns it.
pub type Item = HashMap<String, AttributeValue>;

/// One line for the header and one for each item, columns padded with spaces, sorted by the first column.
pub fn render(columns: &[&str], items: &[Item]) -> String {
    let mut rows: Vec<Vec<String>> = items
        .iter()
        .map(|item| columns.iter().map(|column| cell(item, column)).collect())
        .collect();
    rows.sort();
    align(columns, rows)
}

/// One line for the header and one for each row, which has as many cells; columns padded with spaces.
pub fn align(columns: &[&str], mut rows: Vec<Vec<String>>) -> String {
    rows.insert(
        0,
        columns.iter().map(|column| (*column).to_owned()).collect(),
    );
    let widths: Vec<usize> = (0..columns.len())
        .map(|column| {
            rows.iter()
                .map(|row| row[column].chars().count())
                .max()
                .unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let line: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        text.push_str(line.join("  ").trim_end());
        text.push('\n');
    }
    text
}

/// Text and digits as they are, other types by name, nothing where the item lacks the attribute.
fn cell(item: &Item, attribute: &str) -> String {
    match item.get(attribute) {
        None => String::new(),
        Some(AttributeValue::S(text) | AttributeValue::N(text)) => text.clone(),
        Some(AttributeValue::Bool(value)) => value.to_string(),
        Some(AttributeValue::Null(_)) => "null".to_owned(),
        Some(AttributeValue::L(_)) => "(list)".to_owned(),
        Some(AttributeValue::M(_)) => "(map)".to_owned(),
        Some(AttributeValue::B(_)) => "(binary)".to_owned(),
        Some(_) => "(set)".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_aligned_and_rows_sorted() {
        let item = |id: &str, name: &str| {
            Item::from([
                ("id".to_owned(), AttributeValue::S(id.to_owned())),
                ("name".to_owned(), AttributeValue::S(name.to_owned())),
                ("price".to_owned(), AttributeValue::N("1.5".to_owned())),
            ])
        };
        let mut unpriced = item("P2", "Müsli");
        unpriced.remove("price");
        assert_eq!(
            render(&["id", "name", "price"], &[unpriced, item("P1", "Laptop")]),
            "id  name    price\nP1  Laptop  1.5\nP2  Müsli\n"
        );
    }
}
