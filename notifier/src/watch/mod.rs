//! Watch rules: which changes are worth an alert.
//!
//! ```
//! use notifier::watch::Watch;
//!
//! let watch = Watch::parse("quantity < 10; price changed by > 20%").unwrap();
//! assert_eq!(watch.rules().len(), 2);
//! assert_eq!(watch.attributes(), ["quantity", "price"]);
//! ```
//!
//! docs/NOTIFICATIONS.md has the grammar for people. Pure: a rule sees two images of an item and nothing else.

mod parse;

use std::cmp::Ordering;

use bigdecimal::BigDecimal;

pub use self::parse::ParseError;
use crate::change::image::{Image, Value};
use crate::change::number::{self, Number};

/// Rules that may be configured. Their alerts have to fit a state, a ledger and a message.
pub const RULES_MAX: usize = 20;

/// Conditions of one rule.
pub const CONDITIONS_MAX: usize = 8;

/// Characters of a rule.
pub const RULE_CHARS_MAX: usize = 200;

/// The rules in force.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Watch {
    rules: Vec<Rule>,
    attributes: Vec<String>,
    /// Of each attribute, whether a rule expects a number there.
    numeric: Vec<bool>,
}

impl Watch {
    /// Reads rules separated by `;` or line breaks.
    ///
    /// # Errors
    ///
    /// Where the first mistake stands and what was expected there.
    pub fn parse(text: &str) -> Result<Self, ParseError> {
        parse::parse(text)
    }

    /// The rules, in the order they were written.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The attributes that the rules look at, each once.
    pub fn attributes(&self) -> &[String] {
        &self.attributes
    }

    /// Whether a rule expects attribute number `index` to be a number.
    pub fn is_numeric(&self, index: usize) -> bool {
        self.numeric[index]
    }

    /// Whether there are no rules.
    pub fn is_empty(&self) -> bool {
        self.rules.is_empty()
    }
}

/// One rule: conditions that all have to hold.
#[derive(Clone, Debug, PartialEq)]
pub struct Rule {
    text: String,
    conditions: Vec<Condition>,
}

impl Rule {
    /// The rule as it was written, but for blanks.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Numbers of the attributes it looks at, in [`Watch::attributes`].
    pub fn attributes(&self) -> impl Iterator<Item = usize> {
        self.conditions.iter().map(|condition| condition.attribute)
    }

    /// Whether the change from `old` to `new` is worth an alert.
    ///
    /// A rule that compares alerts when it *becomes* true: an item that stays low does not alert with each change of
    /// something else. A rule that speaks of a change alerts with each such change while its comparisons hold. An item
    /// that is new has become everything it is, and has not changed.
    pub fn triggers(&self, old: Option<&Image<'_>>, new: &Image<'_>) -> bool {
        let compares = |image: &Image<'_>| {
            self.conditions
                .iter()
                .all(|condition| match &condition.test {
                    Test::Compare(comparison) => comparison.holds(image.get(condition.attribute)),
                    Test::Change(_) => true,
                })
        };
        let mut changes = self
            .conditions
            .iter()
            .filter_map(|condition| match &condition.test {
                Test::Compare(_) => None,
                Test::Change(change) => Some((condition.attribute, change)),
            })
            .peekable();
        if !compares(new) {
            return false;
        }
        if changes.peek().is_none() {
            return !old.is_some_and(compares);
        }
        old.is_some_and(|old| {
            changes
                .all(|(attribute, change)| change.happened(old.get(attribute), new.get(attribute)))
        })
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Condition {
    /// In [`Watch::attributes`].
    attribute: usize,
    test: Test,
}

impl Condition {
    /// Whether only a number can meet it.
    fn is_numeric(&self) -> bool {
        match &self.test {
            Test::Compare(comparison) => matches!(comparison.literal, Literal::Number(_)),
            Test::Change(change) => change.by.is_some() || change.direction != Direction::Either,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
enum Test {
    /// `quantity < 10`
    Compare(Comparison),
    /// `price changed`
    Change(Change),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

impl Operator {
    fn accepts(self, ordering: Ordering) -> bool {
        match self {
            Self::Less => ordering.is_lt(),
            Self::LessOrEqual => ordering.is_le(),
            Self::Greater => ordering.is_gt(),
            Self::GreaterOrEqual => ordering.is_ge(),
            Self::Equal => ordering.is_eq(),
            Self::NotEqual => ordering.is_ne(),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
struct Comparison {
    operator: Operator,
    literal: Literal,
}

#[derive(Clone, Debug, PartialEq)]
enum Literal {
    Number(Number),
    Text(String),
    Bool(bool),
}

impl Comparison {
    /// Whether `value` compares so. A value that is absent, or of another type, does not compare at all.
    fn holds(&self, value: Option<&Value<'_>>) -> bool {
        let ordering = match (value, &self.literal) {
            (Some(Value::N(text)), Literal::Number(literal)) => literal.compared(text),
            (Some(Value::S(text)), Literal::Text(literal)) => Some((**text).cmp(literal.as_str())),
            (Some(Value::Bool(value)), Literal::Bool(literal)) => Some(value.cmp(literal)),
            _ => None,
        };
        ordering.is_some_and(|ordering| self.operator.accepts(ordering))
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Either,
    Up,
    Down,
}

#[derive(Clone, Debug, PartialEq)]
struct Change {
    direction: Direction,
    by: Option<Amount>,
}

/// How much a number has to change.
#[derive(Clone, Debug, PartialEq)]
struct Amount {
    /// Whether exactly this much is too little.
    exceeded: bool,
    value: Number,
    /// Of the old value, instead of absolutely.
    percent: bool,
}

impl Change {
    fn happened(&self, old: Option<&Value<'_>>, new: Option<&Value<'_>>) -> bool {
        let (Some(Value::N(before)), Some(Value::N(after))) = (old, new) else {
            return self.happened_to_text(old, new);
        };
        // In millionths, 128 bits hold the products.
        let small = |text: &str| number::small(text).map(i128::from);
        if let (Some(before), Some(after)) = (small(before), small(after)) {
            let Some(amount) = &self.by else {
                return self.moved(&before, &after);
            };
            if let Some(value) = amount.value.small().map(i128::from) {
                let difference = (after - before).abs();
                return self.moved(&before, &after)
                    && if amount.percent {
                        amount.is_met(&(difference * 100 * 1_000_000), &(value * before.abs()))
                    } else {
                        amount.is_met(&difference, &value)
                    };
            }
        }
        let (Some(before), Some(after)) = (number::value(before), number::value(after)) else {
            return self.happened_to_text(old, new);
        };
        self.moved(&before, &after)
            && self.by.as_ref().is_none_or(|amount| {
                let difference = (after - &before).abs();
                // Multiplied instead of divided: exact, and a change from 0 is more than any percentage.
                if amount.percent {
                    amount.is_met(
                        &(difference * BigDecimal::from(100)),
                        &(amount.value.value() * before.abs()),
                    )
                } else {
                    amount.is_met(&difference, amount.value.value())
                }
            })
    }

    /// Texts, and attributes that come and go, change, but by no amount and in no direction.
    fn happened_to_text(&self, old: Option<&Value<'_>>, new: Option<&Value<'_>>) -> bool {
        self.by.is_none() && self.direction == Direction::Either && old != new
    }

    /// Whether a number moved, and where it should.
    fn moved<N: Ord>(&self, before: &N, after: &N) -> bool {
        match after.cmp(before) {
            Ordering::Equal => false,
            Ordering::Greater => self.direction != Direction::Down,
            Ordering::Less => self.direction != Direction::Up,
        }
    }
}

impl Amount {
    fn is_met<N: Ord>(&self, moved: &N, needed: &N) -> bool {
        moved > needed || !self.exceeded && moved == needed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<Value<'_>> {
        match text {
            "" => None,
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "[]" => Some(Value::Other("(list)")),
            _ if number::value(text).is_some() => Some(Value::N(text.into())),
            _ => Some(Value::S(text.into())),
        }
    }

    /// An image whose watched attributes have these values, separated by commas.
    fn image(values: &str) -> Image<'_> {
        Image {
            name: None,
            watched: values.split(',').map(value).collect(),
        }
    }

    fn modified(rule: &str, old: &str, new: &str) -> bool {
        let watch = Watch::parse(rule).unwrap();
        watch.rules()[0].triggers(Some(&image(old)), &image(new))
    }

    fn inserted(rule: &str, new: &str) -> bool {
        let watch = Watch::parse(rule).unwrap();
        watch.rules()[0].triggers(None, &image(new))
    }

    #[test]
    fn comparisons_trigger_when_they_become_true() {
        for (rule, old, new, expected) in [
            ("quantity < 10", "12", "9", true),
            ("quantity < 10", "10", "9", true),
            ("quantity < 10", "12", "10", false),
            // It stays low: whoever was told need not be told again.
            ("quantity < 10", "9", "8", false),
            ("quantity < 10", "9", "12", false),
            // It was not there, or not a number.
            ("quantity < 10", "", "9", true),
            ("quantity < 10", "few", "9", true),
            ("quantity < 10", "12", "", false),
            ("quantity < 10", "12", "few", false),
            ("quantity <= 10", "12", "1E1", true),
            (
                "quantity > 10",
                "10",
                "10.000000000000000000000000000000000001",
                true,
            ),
            ("quantity >= 10", "9", "10.0", true),
            ("quantity = 0", "1", "0E+3", true),
            ("quantity != 0", "0", "1", true),
            ("quantity != 0", "", "0", false),
            // Not comparable is neither equal nor different.
            ("quantity != 0", "0", "sold out", false),
            ("status = \"sold out\"", "in stock", "sold out", true),
            ("status = 'sold out'", "sold out", "sold out", false),
            ("status != 'sold out'", "sold out", "in stock", true),
            ("status != 'sold out'", "sold out", "", false),
            ("active = false", "true", "false", true),
            ("active != true", "true", "[]", false),
        ] {
            assert_eq!(
                modified(rule, old, new),
                expected,
                "{rule}: {old:?} to {new:?}"
            );
        }
        assert!(inserted("quantity < 10", "9"));
        assert!(!inserted("quantity < 10", "10"));
    }

    #[test]
    fn changes_trigger_each_time() {
        for (rule, old, new, expected) in [
            ("price changed", "1200", "999", true),
            ("price changed", "1200", "1.2E3", false),
            ("price changed", "", "999", true),
            ("price changed", "999", "", true),
            ("price changed", "a", "b", true),
            ("price changed", "a", "a", false),
            ("price rose", "1", "2", true),
            ("price rose", "2", "1", false),
            ("price rose", "", "1", false),
            ("price fell", "2", "1", true),
            ("price fell", "b", "a", false),
            ("price changed by > 20%", "100", "120", false),
            (
                "price changed by > 20%",
                "100",
                "120.00000000000000000000000000000001",
                true,
            ),
            ("price changed by >= 20%", "100", "80", true),
            ("price changed by 20%", "100", "80", true),
            ("price changed by 20%", "-100", "-80", true),
            ("price changed by 20%", "100", "80.01", false),
            ("price fell by > 5", "20", "14.9", true),
            ("price fell by > 5", "20", "30", false),
            ("price changed by > 1000%", "0", "0.01", true),
            ("price changed by 0", "5", "5", false),
            ("price changed by > 1", "", "9", false),
            ("price changed by > 1", "few", "9", false),
        ] {
            assert_eq!(
                modified(rule, old, new),
                expected,
                "{rule}: {old:?} to {new:?}"
            );
        }
        assert!(
            !inserted("price changed", "9"),
            "a new item has not changed"
        );
    }

    #[test]
    fn all_conditions_have_to_hold() {
        for (rule, old, new, expected) in [
            // Attributes in the order they are mentioned.
            ("quantity < 10 AND active = true", "12,true", "9,true", true),
            ("quantity < 10 AND active = true", "9,false", "9,true", true),
            ("quantity < 10 and active = true", "9,true", "8,true", false),
            (
                "quantity < 10 AND active = true",
                "12,true",
                "9,false",
                false,
            ),
            // With a change in it, each change counts.
            ("quantity < 10 AND price fell", "9,20", "9,19", true),
            ("quantity < 10 AND price fell", "9,19", "9,18", true),
            ("quantity < 10 AND price fell", "9,19", "9,19", false),
            ("price >= 10 AND price <= 20", "21", "20", true),
            ("price >= 10 AND price <= 20", "15", "20", false),
        ] {
            assert_eq!(
                modified(rule, old, new),
                expected,
                "{rule}: {old:?} to {new:?}"
            );
        }
    }
}
