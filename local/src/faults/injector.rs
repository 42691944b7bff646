use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use bytes::Bytes;
use tokio::sync::watch;

use super::call::Call;
use super::fault::Fault;
use super::plan::{Effect, FaultPlan, Hook, Operation};
use crate::lock::lock;
use crate::services::lambda::runtime::Function;
use crate::services::s3::Objects;

/// How many calls there were, and how many of them had a fault.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Calls that arrived; a client's own retries are calls, too.
    pub calls: u64,
    /// Those that got a fault.
    pub injected: u64,
}

/// The plan of faults at work, to be changed at any time, and what came of it.
///
/// Clones are the same.
#[derive(Debug, Clone)]
pub struct Faults(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    state: Mutex<State>,
    /// Of calls since the start, also those forgotten by [`Faults::set`].
    arrived: watch::Sender<u64>,
    targets: OnceLock<Targets>,
}

/// What faults act on. Weak, because the stack is what ends them.
#[derive(Debug)]
struct Targets {
    importer: Weak<Function>,
    objects: Objects,
}

#[derive(Debug)]
struct State {
    plan: FaultPlan,
    rng: fastrand::Rng,
    /// How many calls each rule of the plan was asked about.
    seen: Vec<u64>,
    /// By operation and by what it was on.
    counts: BTreeMap<String, BTreeMap<String, FaultCounts>>,
    injected: BTreeMap<Fault, u64>,
    unprocessed_items: u64,
}

/// What is to happen to one call.
#[derive(Default)]
pub(super) struct Injection {
    pub(super) fault: Option<Fault>,
    /// How many of this fault there were before it.
    pub(super) earlier: u64,
    /// For what is random about the fault.
    pub(super) seed: u64,
    pub(super) before: Vec<Hook>,
    pub(super) after: Vec<Hook>,
    pub(super) replacements: Vec<(String, Bytes)>,
}

impl Injection {
    pub(super) fn is_empty(&self) -> bool {
        self.fault.is_none()
            && self.before.is_empty()
            && self.after.is_empty()
            && self.replacements.is_empty()
    }
}

impl State {
    fn new(plan: FaultPlan) -> Self {
        Self {
            rng: fastrand::Rng::with_seed(plan.seed),
            seen: vec![0; plan.rules.len()],
            plan,
            counts: BTreeMap::new(),
            injected: BTreeMap::new(),
            unprocessed_items: 0,
        }
    }

    fn draw(&mut self, call: &Call) -> Injection {
        let mut injection = Injection::default();
        for (rule, seen) in self.plan.rules.iter().zip(&mut self.seen) {
            if !rule.operation.matches(&call.operation, &call.resource) {
                continue;
            }
            *seen += 1;
            // Drawn for every rule, so that a fault of one does not change the luck of the others.
            if !rule.when.hits(*seen, &mut self.rng) {
                continue;
            }
            match &rule.effect {
                Effect::Fault(fault) => {
                    if injection.fault.is_none() && fault.applies_to(&call.operation) {
                        injection.fault = Some(*fault);
                    }
                }
                Effect::Before(hook) => injection.before.push(Arc::clone(hook)),
                Effect::After(hook) => injection.after.push(Arc::clone(hook)),
                Effect::Replace { key, content } => {
                    injection.replacements.push((key.clone(), content.clone()));
                }
            }
        }
        let by_resource = self.counts.entry(call.operation.clone()).or_default();
        let counts = by_resource.entry(call.resource.clone()).or_default();
        counts.calls += 1;
        if let Some(fault) = injection.fault {
            counts.injected += 1;
            let injected = self.injected.entry(fault).or_default();
            injection.earlier = *injected;
            *injected += 1;
            injection.seed = self.rng.u64(..);
        }
        injection
    }

    fn counts(&self, operation: &Operation) -> FaultCounts {
        let mut sum = FaultCounts::default();
        for (name, by_resource) in &self.counts {
            for (resource, counts) in by_resource {
                if operation.matches(name, resource) {
                    sum.calls += counts.calls;
                    sum.injected += counts.injected;
                }
            }
        }
        sum
    }
}

impl Faults {
    pub(crate) fn new(plan: FaultPlan) -> Self {
        Self(Arc::new(Inner {
            state: Mutex::new(State::new(plan)),
            arrived: watch::Sender::new(0),
            targets: OnceLock::new(),
        }))
    }

    /// Says what to kill and where objects are. The first call counts.
    pub(crate) fn set_targets(&self, importer: Weak<Function>, objects: Objects) {
        let targets = || Targets { importer, objects };
        self.0.targets.get_or_init(targets);
    }

    /// Takes up another plan and forgets all counts: calls are the first again.
    ///
    /// Calls that are under way end as the earlier plan has it.
    pub fn set(&self, plan: FaultPlan) {
        *lock(&self.0.state) = State::new(plan);
    }

    /// Ends all faults and forgets all counts.
    pub fn clear(&self) {
        self.set(FaultPlan::default());
    }

    /// How many calls of the operation there were since the plan was set.
    pub fn counts(&self, operation: impl Into<Operation>) -> FaultCounts {
        lock(&self.0.state).counts(&operation.into())
    }

    /// How often this fault was injected since the plan was set, whatever the operation.
    pub fn injected(&self, fault: Fault) -> u64 {
        let state = lock(&self.0.state);
        state.injected.get(&fault).copied().unwrap_or_default()
    }

    /// [`Self::injected`] by the names of the faults, of those that were.
    pub(super) fn all_injected(&self) -> BTreeMap<String, u64> {
        let mut by_name = BTreeMap::new();
        for (fault, count) in &lock(&self.0.state).injected {
            // Delays of any length are one fault by name.
            *by_name.entry(fault.to_string()).or_default() += count;
        }
        by_name
    }

    /// How many items [`Fault::Unprocessed`] kept from being written since the plan was set.
    pub fn unprocessed_items(&self) -> u64 {
        lock(&self.0.state).unprocessed_items
    }

    /// The names of all operations that were called since the plan was set, in alphabetical order.
    pub fn operations(&self) -> Vec<String> {
        lock(&self.0.state).counts.keys().cloned().collect()
    }

    /// Waits until this many calls of the operation have arrived since the plan was set.
    pub async fn reached(&self, operation: impl Into<Operation>, calls: u64) {
        let operation = operation.into();
        let mut arrived = self.0.arrived.subscribe();
        let enough = |_: &u64| lock(&self.0.state).counts(&operation).calls >= calls;
        // The sender lives in `self`, so this ends with success only.
        drop(arrived.wait_for(enough).await);
    }

    pub(super) fn draw(&self, call: &Call) -> Injection {
        if call.operation.is_empty() {
            return Injection::default();
        }
        let injection = lock(&self.0.state).draw(call);
        self.0.arrived.send_modify(|arrived| *arrived += 1);
        injection
    }

    pub(super) fn add_unprocessed(&self, items: u64) {
        lock(&self.0.state).unprocessed_items += items;
    }

    /// Kills what the importer has at work.
    pub(super) async fn kill(&self) {
        let targets = self.0.targets.get();
        let importer = targets.and_then(|targets| targets.importer.upgrade());
        if let Some(importer) = importer {
            importer.kill().await;
        }
    }

    pub(super) async fn replace(&self, key: &str, content: Bytes) {
        let Some(targets) = self.0.targets.get() else {
            return;
        };
        if let Err(error) = targets.objects.put(key, content).await {
            tracing::error!(%error, key, "cannot replace an object");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::plan::When;
    use super::*;

    fn call(operation: &str, resource: &str) -> Call {
        Call {
            operation: operation.to_owned(),
            resource: resource.to_owned(),
        }
    }

    #[test]
    fn each_rule_counts_the_calls_that_it_is_about() {
        let faults = Faults::new(
            FaultPlan::default()
                .fail(Operation::new("GetObject").on("b"), 2, Fault::Throttle)
                .fail("GetObject", 4, Fault::InternalError)
                .fail("GetObject", 4, Fault::ResetAfter),
        );
        let drawn: Vec<Option<Fault>> = ["a", "b", "a", "b", "b"]
            .map(|key| faults.draw(&call("GetObject", key)).fault)
            .into();
        // The fourth of all is the second of "b", and the first rule wins.
        assert_eq!(drawn, [None, None, None, Some(Fault::Throttle), None]);
        let counts = |calls, injected| FaultCounts { calls, injected };
        assert_eq!(faults.counts("GetObject"), counts(5, 1));
        assert_eq!(faults.counts(Operation::any().on("b")), counts(3, 1));
        assert_eq!(faults.counts("PutObject"), counts(0, 0));
        assert_eq!(faults.operations(), ["GetObject"]);
        assert_eq!(faults.injected(Fault::Throttle), 1);
        faults.clear();
        assert_eq!(faults.counts("GetObject"), counts(0, 0));
    }

    #[test]
    fn what_does_not_apply_is_not_counted_as_injected() {
        let faults =
            Faults::new(FaultPlan::default().fail("HeadObject", 1.., Fault::TruncatedBody));
        assert_eq!(faults.draw(&call("HeadObject", "a")).fault, None);
        assert_eq!(faults.counts("HeadObject").injected, 0);
    }

    #[test]
    fn a_seed_repeats_its_faults() {
        let draws = || {
            let plan = FaultPlan::default().seed(7);
            let faults = Faults::new(plan.fail("Scan", When::probability(0.3), Fault::ResetAfter));
            let draw = |_| faults.draw(&call("Scan", "T")).fault.is_some();
            (0..200).map(draw).collect::<Vec<_>>()
        };
        assert_eq!(draws(), draws());
        let hits = draws().into_iter().filter(|hit| *hit).count();
        assert!((40..=80).contains(&hits), "{hits} of 200");
    }
}
