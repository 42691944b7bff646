//! DynamoDB's expressions, as far as the table of jobs uses them.

use std::collections::BTreeMap;

use serde_json::{Value, json};

pub(super) type Item = BTreeMap<String, Value>;

/// The expressions of one request.
pub(super) struct Expressions<'a> {
    names: &'a Value,
    values: &'a Value,
}

impl<'a> Expressions<'a> {
    pub(super) fn of(request: &'a Value) -> Self {
        Self {
            names: &request["ExpressionAttributeNames"],
            values: &request["ExpressionAttributeValues"],
        }
    }

    fn name(&self, placeholder: &str) -> String {
        self.names[placeholder]
            .as_str()
            .unwrap_or_else(|| panic!("{placeholder}"))
            .to_owned()
    }

    /// Whether a condition holds for an item, which may not exist.
    pub(super) fn holds(&self, condition: Option<&str>, item: Option<&Item>) -> bool {
        let Some(condition) = condition else {
            return true;
        };
        let tokens = tokens(condition);
        let mut parser = Parser {
            tokens: &tokens,
            at: 0,
            of: self,
            item,
        };
        let holds = parser.or();
        assert_eq!(parser.at, tokens.len(), "{condition}");
        holds
    }

    /// Changes an item.
    pub(super) fn update(&self, expression: &str, item: &mut Item) {
        let before = item.clone();
        let (set, remove) = match expression.split_once("REMOVE ") {
            Some((set, remove)) => (set, remove),
            None => (expression, ""),
        };
        let set = set.trim().strip_prefix("SET ").unwrap_or_default();
        for assignment in split(set) {
            let (name, value) = assignment.split_once(" = ").unwrap();
            item.insert(self.name(name), self.value(value, &before));
        }
        for name in split(remove) {
            item.remove(&self.name(name));
        }
    }

    fn value(&self, text: &str, item: &Item) -> Value {
        if let Some((left, right)) = text.split_once(" + ") {
            let number = |value: Value| value["N"].as_str().unwrap().parse::<f64>().unwrap();
            let sum = number(self.value(left, item)) + number(self.value(right, item));
            return json!({ "N": sum.to_string() });
        }
        if let Some(arguments) = text.strip_prefix("if_not_exists(") {
            let (name, default) = arguments.trim_end_matches(')').split_once(", ").unwrap();
            let stored = item.get(&self.name(name)).cloned();
            return stored.unwrap_or_else(|| self.value(default, item));
        }
        self.values[text].clone()
    }
}

/// Splits at commas that are in no parentheses.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut begin) = (Vec::new(), 0, 0);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth -= 1,
            b',' if depth == 0 => {
                parts.push(text[begin..at].trim());
                begin = at + 1;
            }
            _ => {}
        }
    }
    let last = text[begin..].trim();
    parts.extend((!last.is_empty()).then_some(last));
    parts
}

fn tokens(text: &str) -> Vec<String> {
    let spaced = ["(", ")", ",", "=", ">"]
        .into_iter()
        .fold(text.to_owned(), |text, sign| {
            text.replace(sign, &format!(" {sign} "))
        });
    spaced.split_whitespace().map(str::to_owned).collect()
}

struct Parser<'a> {
    tokens: &'a [String],
    at: usize,
    of: &'a Expressions<'a>,
    item: Option<&'a Item>,
}

impl Parser<'_> {
    fn next(&mut self) -> &str {
        self.at += 1;
        &self.tokens[self.at - 1]
    }

    fn takes(&mut self, token: &str) -> bool {
        let is = self.tokens.get(self.at).is_some_and(|next| next == token);
        self.at += usize::from(is);
        is
    }

    fn or(&mut self) -> bool {
        let mut holds = self.and();
        while self.takes("OR") {
            holds |= self.and();
        }
        holds
    }

    fn and(&mut self) -> bool {
        let mut holds = self.one();
        while self.takes("AND") {
            holds &= self.one();
        }
        holds
    }

    fn one(&mut self) -> bool {
        if self.takes("(") {
            let holds = self.or();
            assert!(self.takes(")"));
            return holds;
        }
        for (function, wanted) in [("attribute_exists", true), ("attribute_not_exists", false)] {
            if self.takes(function) {
                assert!(self.takes("("));
                let name = self.next().to_owned();
                assert!(self.takes(")"));
                return self.stored(&name).is_some() == wanted;
            }
        }
        let name = self.next().to_owned();
        let stored = self.stored(&name);
        match self.next() {
            "=" => {
                let value = self.next().to_owned();
                stored.as_ref() == Some(&self.of.values[&value])
            }
            ">" => {
                let value = self.next().to_owned();
                let number = |value: &Value| value["N"].as_str().unwrap().parse::<f64>().unwrap();
                stored.is_some_and(|stored| number(&stored) > number(&self.of.values[&value]))
            }
            "IN" => {
                assert!(self.takes("("));
                let mut is_in = false;
                loop {
                    let value = self.next().to_owned();
                    is_in |= stored.as_ref() == Some(&self.of.values[&value]);
                    if self.takes(")") {
                        return is_in;
                    }
                    assert!(self.takes(","));
                }
            }
            other => panic!("{other}"),
        }
    }

    fn stored(&self, name: &str) -> Option<Value> {
        self.item?.get(&self.of.name(name)).cloned()
    }
}
