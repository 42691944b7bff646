use std::fmt;
use std::ops::{RangeFrom, RangeInclusive};
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;

use super::fault::Fault;

/// Calls of one operation, or of any; perhaps only those on some object, table, queue or topic.
///
/// A string is the operation of that name, whatever it is on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Operation {
    name: Option<String>,
    resource: String,
}

impl Operation {
    /// The operation with this name in the service's API, such as `GetObject` or `BatchWriteItem`.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: Some(name.into()),
            resource: String::new(),
        }
    }

    /// Every operation of every service.
    pub fn any() -> Self {
        Self::default()
    }

    /// Only calls on what begins with `prefix`: an object's key, the name of a table, a queue or a topic.
    #[must_use]
    pub fn on(mut self, prefix: impl Into<String>) -> Self {
        self.resource = prefix.into();
        self
    }

    pub(super) fn matches(&self, name: &str, resource: &str) -> bool {
        self.name.as_deref().is_none_or(|own| own == name) && resource.starts_with(&self.resource)
    }
}

impl From<&str> for Operation {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

impl From<&String> for Operation {
    fn from(name: &String) -> Self {
        Self::new(name)
    }
}

/// Which of the calls, counted from 1 since the plan was set.
///
/// Made from a number (`3`), numbers (`[1, 5]`, a `Vec`) or a range (`2..=4`, `2..`).
#[derive(Debug, Clone, PartialEq)]
pub struct When(Calls);

#[derive(Debug, Clone, PartialEq)]
enum Calls {
    Numbers(Vec<u64>),
    Range(u64, u64),
    Every(u64),
    Probability(f64),
}

impl When {
    /// Every `n`-th call; 0 never.
    pub fn every(n: u64) -> Self {
        Self(Calls::Every(n))
    }

    /// Each call with this probability, 0 to 1, drawn from the plan's seed.
    pub fn probability(probability: f64) -> Self {
        Self(Calls::Probability(probability))
    }

    pub(super) fn hits(&self, number: u64, rng: &mut fastrand::Rng) -> bool {
        match &self.0 {
            Calls::Numbers(numbers) => numbers.contains(&number),
            Calls::Range(first, last) => (*first..=*last).contains(&number),
            Calls::Every(n) => *n > 0 && number.is_multiple_of(*n),
            Calls::Probability(probability) => rng.f64() < *probability,
        }
    }
}

impl From<u64> for When {
    fn from(number: u64) -> Self {
        Self(Calls::Numbers(vec![number]))
    }
}

impl<const N: usize> From<[u64; N]> for When {
    fn from(numbers: [u64; N]) -> Self {
        Self(Calls::Numbers(numbers.into()))
    }
}

impl From<Vec<u64>> for When {
    fn from(numbers: Vec<u64>) -> Self {
        Self(Calls::Numbers(numbers))
    }
}

impl From<RangeInclusive<u64>> for When {
    fn from(numbers: RangeInclusive<u64>) -> Self {
        Self(Calls::Range(*numbers.start(), *numbers.end()))
    }
}

impl From<RangeFrom<u64>> for When {
    fn from(numbers: RangeFrom<u64>) -> Self {
        Self(Calls::Range(numbers.start, u64::MAX))
    }
}

/// What happens to which calls; nothing by default.
///
/// Of several faults for one call the first that was added happens; things done beside it all do.
#[derive(Debug, Clone, Default)]
pub struct FaultPlan {
    pub(super) seed: u64,
    pub(super) rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
pub(super) struct Rule {
    pub(super) operation: Operation,
    pub(super) when: When,
    pub(super) effect: Effect,
}

#[derive(Clone)]
pub(super) enum Effect {
    Fault(Fault),
    Before(Hook),
    After(Hook),
    Replace { key: String, content: Bytes },
}

/// What a test wants done beside a call.
pub(super) type Hook = Arc<dyn Fn() -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync>;

impl fmt::Debug for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => write!(f, "{fault:?}"),
            Self::Before(_) => f.write_str("Before(…)"),
            Self::After(_) => f.write_str("After(…)"),
            Self::Replace { key, content } => write!(f, "Replace({key}, {} bytes)", content.len()),
        }
    }
}

impl FaultPlan {
    /// Seed of the random draws.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// These calls of the operation get the fault.
    #[must_use]
    pub fn fail(
        self,
        operation: impl Into<Operation>,
        when: impl Into<When>,
        fault: Fault,
    ) -> Self {
        self.rule(operation, when, Effect::Fault(fault))
    }

    /// Before these calls are done, `hook` is run to its end.
    #[must_use]
    pub fn before<F>(
        self,
        operation: impl Into<Operation>,
        when: impl Into<When>,
        hook: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.rule(
            operation,
            when,
            Effect::Before(Arc::new(move || Box::pin(hook()))),
        )
    }

    /// After these calls were done and before they are answered, `hook` is run to its end.
    #[must_use]
    pub fn after<F>(
        self,
        operation: impl Into<Operation>,
        when: impl Into<When>,
        hook: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.rule(
            operation,
            when,
            Effect::After(Arc::new(move || Box::pin(hook()))),
        )
    }

    /// Before these `GetObject`s of the object `key` in [`BUCKET`](crate::BUCKET) are done, it gets another content,
    /// as if somebody uploaded it in that moment.
    #[must_use]
    pub fn replace_object(
        self,
        key: impl Into<String>,
        when: impl Into<When>,
        content: impl Into<Bytes>,
    ) -> Self {
        let (key, content) = (key.into(), content.into());
        let reads = Operation::new("GetObject").on(&key);
        self.rule(reads, when, Effect::Replace { key, content })
    }

    fn rule(
        mut self,
        operation: impl Into<Operation>,
        when: impl Into<When>,
        effect: Effect,
    ) -> Self {
        self.rules.push(Rule {
            operation: operation.into(),
            when: when.into(),
            effect,
        });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_chosen_by_number() {
        for (when, expected) in [
            (When::from(3), vec![3]),
            (When::from([1, 5]), vec![1, 5]),
            (When::from(vec![2, 2]), vec![2]),
            (When::from(2..=4), vec![2, 3, 4]),
            (When::from(5..), vec![5, 6]),
            (When::every(3), vec![3, 6]),
            (When::every(0), vec![]),
            (When::probability(0.0), vec![]),
            (When::probability(1.0), vec![1, 2, 3, 4, 5, 6]),
        ] {
            let mut rng = fastrand::Rng::with_seed(1);
            let hit: Vec<u64> = (1..=6)
                .filter(|number| when.hits(*number, &mut rng))
                .collect();
            assert_eq!(hit, expected, "{when:?}");
        }
    }

    #[test]
    fn operations_are_matched_by_name_and_by_what_they_are_on() {
        let of = |name: &str, on: &str| Operation::new(name).on(on);
        for (operation, matches) in [
            (Operation::any(), true),
            ("GetObject".into(), true),
            ("Get".into(), false),
            (of("GetObject", "uploads/"), true),
            (of("GetObject", "uploads/a"), true),
            (of("GetObject", "reports/"), false),
            (Operation::any().on("reports/"), false),
        ] {
            assert_eq!(
                operation.matches("GetObject", "uploads/a"),
                matches,
                "{operation:?}"
            );
        }
    }
}
