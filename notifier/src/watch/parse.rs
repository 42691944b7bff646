//! Reading watch rules.

use bigdecimal::num_bigint::Sign;

use super::{
    Amount, CONDITIONS_MAX, Change, Comparison, Condition, Direction, Literal, Operator,
    RULE_CHARS_MAX, RULES_MAX, Rule, Test, Watch,
};
use crate::change::number::Number;

/// A rule that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: expected {expected}, found {found}")]
pub struct ParseError {
    /// 1-based line.
    pub line: usize,
    /// 1-based column, in characters.
    pub column: usize,
    /// What could have stood there.
    pub expected: String,
    /// What stands there.
    pub found: String,
}

/// A piece of the text and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Token {
    kind: Kind,
    line: usize,
    column: usize,
    /// First byte, and the one after the last.
    range: (usize, usize),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Kind {
    /// Letters, digits and whatever else is no sign.
    Word(String),
    /// The inside of quotes.
    Quoted(String),
    Operator(Operator),
    Percent,
    /// `;` or a line break.
    Separator,
    End,
    /// A quote that is never closed, or a `!` alone.
    Broken(&'static str),
}

impl Kind {
    fn is_word(&self, keyword: &str) -> bool {
        matches!(self, Self::Word(word) if word.eq_ignore_ascii_case(keyword))
    }
}

pub(super) fn parse(text: &str) -> Result<Watch, ParseError> {
    let mut parser = Parser {
        text,
        tokens: tokens(text),
        at: 0,
        watch: Watch::default(),
    };
    loop {
        match parser.peek().kind {
            Kind::End => return Ok(parser.watch),
            Kind::Separator => parser.at += 1,
            _ => {
                let rule = parser.rule()?;
                parser.watch.rules.push(rule);
            }
        }
    }
}

/// Cuts the text into tokens; the last one is [`Kind::End`].
fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let (mut line, mut column) = (1, 1);
    let mut characters = text.char_indices().peekable();
    while let Some((start, character)) = characters.next() {
        let place = (line, column);
        column += 1;
        let mut followed_by = |wanted: char| {
            let follows = characters.next_if(|(_, next)| *next == wanted).is_some();
            column += usize::from(follows);
            follows
        };
        let kind = match character {
            '\n' => {
                (line, column) = (line + 1, 1);
                Kind::Separator
            }
            ';' => Kind::Separator,
            '%' => Kind::Percent,
            '=' => {
                // `==` is what programmers write.
                followed_by('=');
                Kind::Operator(Operator::Equal)
            }
            '<' if followed_by('=') => Kind::Operator(Operator::LessOrEqual),
            '<' if followed_by('>') => Kind::Operator(Operator::NotEqual),
            '<' => Kind::Operator(Operator::Less),
            '>' if followed_by('=') => Kind::Operator(Operator::GreaterOrEqual),
            '>' => Kind::Operator(Operator::Greater),
            '!' if followed_by('=') => Kind::Operator(Operator::NotEqual),
            '!' => Kind::Broken("`!`"),
            '"' | '\'' | '`' => {
                let mut inside = String::new();
                let mut kind = Kind::Broken("a quote that is not closed");
                while let Some((_, next)) = characters.next_if(|(_, next)| *next != '\n') {
                    column += 1;
                    // A quote inside quotes is written twice.
                    if next == character
                        && characters
                            .next_if(|(_, after)| *after == character)
                            .is_none()
                    {
                        kind = Kind::Quoted(std::mem::take(&mut inside));
                        break;
                    }
                    column += usize::from(next == character);
                    inside.push(next);
                }
                kind
            }
            blank if blank.is_whitespace() => continue,
            first => {
                let mut word = String::from(first);
                while let Some((_, next)) = characters.next_if(|(_, next)| is_of_word(*next)) {
                    column += 1;
                    word.push(next);
                }
                Kind::Word(word)
            }
        };
        let end = characters.peek().map_or(text.len(), |(at, _)| *at);
        tokens.push(Token {
            kind,
            line: place.0,
            column: place.1,
            range: (start, end),
        });
    }
    tokens.push(Token {
        kind: Kind::End,
        line,
        column,
        range: (text.len(), text.len()),
    });
    tokens
}

fn is_of_word(character: char) -> bool {
    !character.is_whitespace()
        && !matches!(
            character,
            ';' | '%' | '=' | '<' | '>' | '!' | '"' | '\'' | '`'
        )
}

struct Parser<'t> {
    text: &'t str,
    tokens: Vec<Token>,
    at: usize,
    watch: Watch,
}

impl Parser<'_> {
    fn peek(&self) -> &Token {
        &self.tokens[self.at]
    }

    fn take_word(&mut self, keyword: &str) -> bool {
        let taken = self.peek().kind.is_word(keyword);
        self.at += usize::from(taken);
        taken
    }

    fn error<T>(&self, expected: impl Into<String>) -> Result<T, ParseError> {
        let token = self.peek();
        let found = match &token.kind {
            Kind::End => "the end".to_owned(),
            Kind::Separator => "the end of the rule".to_owned(),
            Kind::Broken(what) => (*what).to_owned(),
            _ => format!("`{}`", &self.text[token.range.0..token.range.1]),
        };
        Err(ParseError {
            line: token.line,
            column: token.column,
            expected: expected.into(),
            found,
        })
    }

    fn rule(&mut self) -> Result<Rule, ParseError> {
        let first = self.at;
        if self.watch.rules.len() == RULES_MAX {
            return self.error(format!("at most {RULES_MAX} rules"));
        }
        let mut conditions = vec![self.condition()?];
        while self.take_word("and") {
            if conditions.len() == CONDITIONS_MAX {
                return self.error(format!("at most {CONDITIONS_MAX} conditions in a rule"));
            }
            conditions.push(self.condition()?);
        }
        if !matches!(self.peek().kind, Kind::Separator | Kind::End) {
            return self.error("AND, or the end of the rule (`;` or a line break)");
        }
        let (start, end) = (self.tokens[first].range.0, self.tokens[self.at - 1].range.1);
        let text = self.text[start..end]
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        if text.chars().count() > RULE_CHARS_MAX {
            self.at = first;
            return self.error(format!("a rule of at most {RULE_CHARS_MAX} characters"));
        }
        Ok(Rule { text, conditions })
    }

    fn condition(&mut self) -> Result<Condition, ParseError> {
        let attribute = match &self.peek().kind {
            Kind::Word(name) | Kind::Quoted(name) if !name.is_empty() => name.clone(),
            _ => return self.error("an attribute's name"),
        };
        self.at += 1;
        let test = match self.peek().kind {
            Kind::Operator(operator) => {
                self.at += 1;
                Test::Compare(self.comparison(operator)?)
            }
            _ => Test::Change(self.change()?),
        };
        let known = self
            .watch
            .attributes
            .iter()
            .position(|known| *known == attribute);
        let attribute = known.unwrap_or_else(|| {
            self.watch.attributes.push(attribute);
            self.watch.numeric.push(false);
            self.watch.attributes.len() - 1
        });
        let condition = Condition { attribute, test };
        self.watch.numeric[attribute] |= condition.is_numeric();
        Ok(condition)
    }

    /// What stands right of an operator.
    fn comparison(&mut self, operator: Operator) -> Result<Comparison, ParseError> {
        let literal = match &self.peek().kind {
            Kind::Quoted(text) => Literal::Text(text.clone()),
            Kind::Word(word) if word.eq_ignore_ascii_case("true") => Literal::Bool(true),
            Kind::Word(word) if word.eq_ignore_ascii_case("false") => Literal::Bool(false),
            Kind::Word(word) => match Number::parse(word) {
                Some(number) => Literal::Number(number),
                None => return self.error("a number, a text in quotes, true or false"),
            },
            _ => return self.error("a number, a text in quotes, true or false"),
        };
        let ordered = !matches!(operator, Operator::Equal | Operator::NotEqual);
        if ordered && !matches!(literal, Literal::Number(_)) {
            return self.error("a number, because texts and Booleans are only = or !=");
        }
        self.at += 1;
        Ok(Comparison { operator, literal })
    }

    /// `changed`, `rose` or `fell`, and by how much.
    fn change(&mut self) -> Result<Change, ParseError> {
        let direction = if self.take_word("changed") {
            Direction::Either
        } else if self.take_word("rose") {
            Direction::Up
        } else if self.take_word("fell") {
            Direction::Down
        } else {
            return self.error("<, <=, >, >=, =, !=, changed, rose or fell");
        };
        let by = if self.take_word("by") {
            Some(self.amount()?)
        } else {
            None
        };
        Ok(Change { direction, by })
    }

    fn amount(&mut self) -> Result<Amount, ParseError> {
        let exceeded = match self.peek().kind {
            Kind::Operator(operator @ (Operator::Greater | Operator::GreaterOrEqual)) => {
                self.at += 1;
                operator == Operator::Greater
            }
            Kind::Operator(_) => return self.error("> or >= or an amount"),
            _ => false,
        };
        let value = match &self.peek().kind {
            Kind::Word(word) => {
                Number::parse(word).filter(|number| number.value().sign() != Sign::Minus)
            }
            _ => None,
        };
        let Some(value) = value else {
            return self.error("an amount such as 20% or 5");
        };
        self.at += 1;
        let percent = self.peek().kind == Kind::Percent;
        self.at += usize::from(percent);
        Ok(Amount {
            exceeded,
            value,
            percent,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn texts(watch: &Watch) -> Vec<&str> {
        watch.rules().iter().map(Rule::text).collect()
    }

    #[test]
    fn rules_are_separated_by_semicolons_and_line_breaks() {
        for (text, expected) in [
            ("", &[][..]),
            (" ;\n; ", &[]),
            ("quantity < 10", &["quantity < 10"]),
            (
                "quantity<10;price changed",
                &["quantity<10", "price changed"],
            ),
            (
                " quantity  <\t10 \r\n price CHANGED By>20 % ;",
                &["quantity < 10", "price CHANGED By>20 %"],
            ),
            ("'a;\"b' = 'c;d'", &["'a;\"b' = 'c;d'"]),
        ] {
            assert_eq!(texts(&Watch::parse(text).unwrap()), expected, "{text:?}");
        }
    }

    #[test]
    fn spellings_of_the_same_rule_are_the_same() {
        let conditions = |text: &str| Watch::parse(text).unwrap().rules.remove(0).conditions;
        for (one, other) in [
            ("a = 1", "`a` == 1.0"),
            ("a != 1", "a <> 1"),
            ("a = 'it''s'", "a = \"it's\""),
            ("a changed by 5%", "a changed by >= 5 %"),
        ] {
            assert_eq!(conditions(one), conditions(other), "{one} | {other}");
        }
        let quoted = Watch::parse("'stock level' < 3 AND and = 1").unwrap();
        assert_eq!(quoted.attributes(), ["stock level", "and"]);
    }

    #[test]
    fn an_error_says_where_and_what_was_expected() {
        for (text, expected) in [
            (
                "quantity",
                "line 1, column 9: expected <, <=, >, >=, =, !=, changed, rose or fell, found the end",
            ),
            (
                "quantity 10",
                "line 1, column 10: expected <, <=, >, >=, =, !=, changed, rose or fell, found `10`",
            ),
            (
                "< 10",
                "line 1, column 1: expected an attribute's name, found `<`",
            ),
            (
                "größe < ",
                "line 1, column 9: expected a number, a text in quotes, true or false, found the end",
            ),
            (
                "größe < klein",
                "line 1, column 9: expected a number, a text in quotes, true or false, found `klein`",
            ),
            (
                "a < 'x'",
                "line 1, column 5: expected a number, because texts and Booleans are only = or !=, found `'x'`",
            ),
            (
                "a < true",
                "line 1, column 5: expected a number, because texts and Booleans are only = or !=, found `true`",
            ),
            (
                "a < 1;\n  b ! 2",
                "line 2, column 5: expected <, <=, >, >=, =, !=, changed, rose or fell, found `!`",
            ),
            (
                "a = 'x\nb < 1",
                "line 1, column 5: expected a number, a text in quotes, true or false, found a quote that is not closed",
            ),
            (
                "a changed by < 5",
                "line 1, column 14: expected > or >= or an amount, found `<`",
            ),
            (
                "a changed by x",
                "line 1, column 14: expected an amount such as 20% or 5, found `x`",
            ),
            (
                "a changed by -5",
                "line 1, column 14: expected an amount such as 20% or 5, found `-5`",
            ),
            (
                "a changed by; b = 1",
                "line 1, column 13: expected an amount such as 20% or 5, found the end of the rule",
            ),
            (
                "a < 1 or b < 1",
                "line 1, column 7: expected AND, or the end of the rule (`;` or a line break), found `or`",
            ),
            (
                "a < 1 AND",
                "line 1, column 10: expected an attribute's name, found the end",
            ),
            (
                "a < 5%",
                "line 1, column 6: expected AND, or the end of the rule (`;` or a line break), found `%`",
            ),
            (
                "a < 1E999",
                "line 1, column 5: expected a number, a text in quotes, true or false, found `1E999`",
            ),
        ] {
            assert_eq!(
                Watch::parse(text).unwrap_err().to_string(),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn limits_are_exact() {
        let rules = |count: usize| vec!["a < 1"; count].join(";");
        let conditions = |count: usize| vec!["a < 1"; count].join(" AND ");
        let long = |chars: usize| format!("{} = 1", "ä".repeat(chars - 4));
        assert_eq!(
            Watch::parse(&rules(RULES_MAX)).unwrap().rules().len(),
            RULES_MAX
        );
        assert!(
            Watch::parse(&rules(RULES_MAX + 1))
                .unwrap_err()
                .expected
                .contains("20 rules")
        );
        assert!(Watch::parse(&conditions(CONDITIONS_MAX)).is_ok());
        assert!(
            Watch::parse(&conditions(CONDITIONS_MAX + 1))
                .unwrap_err()
                .expected
                .contains("8 conditions")
        );
        assert!(Watch::parse(&long(RULE_CHARS_MAX)).is_ok());
        assert!(
            Watch::parse(&long(RULE_CHARS_MAX + 1))
                .unwrap_err()
                .expected
                .contains("200 characters")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(text in "[a-c<>=!%;\"'` \\n0-9.ä]{0,40}") {
            if let Err(error) = Watch::parse(&text) {
                prop_assert!(error.line >= 1 && error.column >= 1);
            }
        }
    }
}
