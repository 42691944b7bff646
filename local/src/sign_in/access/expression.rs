//! What an expression of DynamoDB is about: the attributes that it names, and the partition keys that it demands.

use serde_json::Value;

/// Words of the [expressions' grammar](https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Expressions.OperatorsAndFunctions.html)
/// that are no names. All are reserved, so that no attribute is written like them.
const KEYWORDS: [&str; 9] = [
    "SET", "REMOVE", "ADD", "DELETE", "AND", "OR", "NOT", "BETWEEN", "IN",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    /// A name, a placeholder (`#n`, `:v`) or a keyword.
    Word(&'a str),
    Symbol(char),
}

fn tokens(expression: &str) -> Vec<Token<'_>> {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '#' | ':');
    let mut tokens = Vec::new();
    let mut rest = expression;
    while let Some(first) = rest.chars().next() {
        let length = if is_word(first) {
            rest.find(|c| !is_word(c)).unwrap_or(rest.len())
        } else {
            first.len_utf8()
        };
        let (token, behind) = rest.split_at(length);
        rest = behind;
        if is_word(first) {
            tokens.push(Token::Word(token));
        } else if !first.is_whitespace() {
            tokens.push(Token::Symbol(first));
        }
    }
    tokens
}

/// The attribute's name that a word stands for: itself, or what the placeholder is for.
fn name<'a>(word: &'a str, names: &'a Value) -> &'a str {
    if word.starts_with('#') {
        // DynamoDB refuses a placeholder that stands for nothing; nobody may use an attribute of that name.
        names[word].as_str().unwrap_or(word)
    } else {
        word
    }
}

/// The attributes at the top of an item that an expression names; more rather than less if it is none that DynamoDB takes.
pub(super) fn attributes<'a>(expression: &'a str, names: &'a Value) -> Vec<&'a str> {
    let tokens = tokens(expression);
    let mut found = Vec::new();
    for (at, token) in tokens.iter().enumerate() {
        let Token::Word(word) = *token else { continue };
        let nested = at > 0 && tokens[at - 1] == Token::Symbol('.');
        let called = tokens.get(at + 1) == Some(&Token::Symbol('('))
            && word.starts_with(|c: char| c.is_ascii_lowercase());
        let index = word.bytes().all(|byte| byte.is_ascii_digit());
        let keyword = KEYWORDS.iter().any(|own| own.eq_ignore_ascii_case(word));
        if !(nested || called || index || keyword || word.starts_with(':')) {
            found.push(name(word, names));
        }
    }
    found
}

/// The values that an expression demands of the attribute `key`, by `key = :value`.
pub(super) fn equal_to<'a>(
    expression: &'a str,
    key: &str,
    names: &'a Value,
    values: &'a Value,
) -> Vec<&'a Value> {
    let tokens = tokens(expression);
    let demanded = tokens.windows(3).filter_map(|window| match *window {
        [Token::Word(word), Token::Symbol('='), Token::Word(value)] if name(word, names) == key => {
            Some(&values[value])
        }
        _ => None,
    });
    demanded.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attributes_are_found_behind_placeholders_and_in_paths() {
        let names = json!({ "#c": "cancel_requested", "#s": "status" });
        for (expression, expected) in [
            ("SET #c = :true", vec!["cancel_requested"]),
            (
                "set cancel_requested=:true,#s=:x",
                vec!["cancel_requested", "status"],
            ),
            ("attribute_exists(job)", vec!["job"]),
            (
                "attribute_exists ( #s ) AND NOT contains(reason, :r)",
                vec!["status", "reason"],
            ),
            (
                "REMOVE checkpoint.lanes[0].#s, rejects",
                vec!["checkpoint", "rejects"],
            ),
            ("ADD attempt :one DELETE tags :t", vec!["attempt", "tags"]),
            (
                "SET a = if_not_exists(b, :z) + list_append(c, :y)",
                vec!["a", "b", "c"],
            ),
            (
                "#s IN (:a, :b) OR #s BETWEEN :a AND :b",
                vec!["status", "status"],
            ),
            ("#s <> #unknown", vec!["status", "#unknown"]),
            ("", vec![]),
        ] {
            assert_eq!(attributes(expression, &names), expected, "{expression}");
        }
    }

    #[test]
    fn partition_keys_are_found_in_key_conditions() {
        let names = json!({ "#o": "owner", "#j": "job" });
        let values = json!({ ":o": { "S": "me" }, ":p": { "S": "you" } });
        for (expression, expected) in [
            ("#o = :o", vec!["me"]),
            ("owner=:o AND begins_with(#j, :p)", vec!["me"]),
            ("(#j > :p) AND (#o = :o)", vec!["me"]),
            ("#o = :o AND #o = :p", vec!["me", "you"]),
            ("#j = :o", vec![]),
            ("#o > :o", vec![]),
            ("#o >= :o", vec![]),
        ] {
            let found = equal_to(expression, "owner", &names, &values);
            let found: Vec<&str> = found
                .iter()
                .map(|value| value["S"].as_str().unwrap())
                .collect();
            assert_eq!(found, expected, "{expression}");
        }
    }
}
