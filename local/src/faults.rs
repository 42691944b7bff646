//! A proxy in front of DynamoDB that makes it fail in the ways the real one does.
//!
//! Only requests that write are hit, so that reading a table back needs no retries; `UnprocessedItems` are
//! for `BatchWriteItem` alone. What was injected is counted, so that a test can see that it did happen.

mod proxy;

use std::sync::{Arc, Mutex};

use serde_json::{Map, Value};

pub(crate) use self::proxy::{error_response, json_response, start};
use crate::{lock::lock, server::Server};

/// How often a fault happens.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub enum Rate {
    /// Not at all.
    #[default]
    Never,
    /// With this probability, 0 to 1, drawn from the plan's seed.
    Probability(f64),
    /// On every k-th request that could have it; 0 never.
    Every(u64),
}

/// Which faults to inject into write requests, and how often.
///
/// A request has at most one of them, drawn in the order of the fields.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FaultPlan {
    /// Seed of the random draws.
    pub seed: u64,
    /// Close the connection without doing the request.
    pub drop_request: Rate,
    /// Do the request, then close the connection instead of answering.
    pub drop_response: Rate,
    /// Answer `InternalServerError` with HTTP 500, without doing the request.
    pub server_error: Rate,
    /// Answer `ProvisionedThroughputExceededException` and `ThrottlingException` by turns, with HTTP 400,
    /// without doing the request.
    pub throttle: Rate,
    /// Return some items of a batch, one or more at random, as `UnprocessedItems`.
    pub unprocessed: Rate,
}

/// How many faults were injected.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FaultCounts {
    /// Write requests seen.
    pub requests: u64,
    /// Connections closed before the request was done.
    pub dropped_requests: u64,
    /// Connections closed after it was done.
    pub dropped_responses: u64,
    /// HTTP 500s.
    pub server_errors: u64,
    /// Throttling errors.
    pub throttles: u64,
    /// Batches that came back with `UnprocessedItems`.
    pub unprocessed_batches: u64,
    /// Items in them that were not written.
    pub unprocessed_items: u64,
}

/// The faulty proxy at work.
#[derive(Debug)]
pub struct Faults {
    upstream: String,
    injector: Arc<Mutex<Injector>>,
    server: Server,
}

impl Faults {
    /// What was injected so far.
    pub fn counts(&self) -> FaultCounts {
        lock(&self.injector).counts
    }

    /// URL of the DynamoDB behind the proxy, which does not fail.
    pub fn upstream(&self) -> &str {
        &self.upstream
    }

    pub(crate) async fn stop(self) {
        self.server.stop().await;
    }
}

/// What happens to one request.
#[derive(Debug, PartialEq)]
enum Fault {
    DropRequest,
    DropResponse,
    ServerError,
    /// With this exception.
    Throttle(&'static str),
    /// The items that are not written.
    Unprocessed(Map<String, Value>),
}

/// Draws the faults of a plan.
#[derive(Debug)]
struct Injector {
    plan: FaultPlan,
    rng: fastrand::Rng,
    counts: FaultCounts,
    /// Batches that could have had unprocessed items.
    batches: u64,
}

impl Injector {
    fn new(plan: FaultPlan) -> Self {
        let rng = fastrand::Rng::with_seed(plan.seed);
        Self {
            plan,
            rng,
            counts: FaultCounts::default(),
            batches: 0,
        }
    }

    /// Draws for the next request. A batch's `RequestItems` are given, and lose the items that stay unprocessed.
    fn draw(&mut self, batch: Option<&mut Map<String, Value>>) -> Option<Fault> {
        self.counts.requests += 1;
        let request = self.counts.requests;
        if hits(self.plan.drop_request, request, &mut self.rng) {
            self.counts.dropped_requests += 1;
            return Some(Fault::DropRequest);
        }
        if hits(self.plan.drop_response, request, &mut self.rng) {
            self.counts.dropped_responses += 1;
            return Some(Fault::DropResponse);
        }
        if hits(self.plan.server_error, request, &mut self.rng) {
            self.counts.server_errors += 1;
            return Some(Fault::ServerError);
        }
        if hits(self.plan.throttle, request, &mut self.rng) {
            self.counts.throttles += 1;
            let exceptions = [
                "ProvisionedThroughputExceededException",
                "ThrottlingException",
            ];
            return Some(Fault::Throttle(
                exceptions[self.counts.throttles as usize % exceptions.len()],
            ));
        }
        let items = batch?;
        self.batches += 1;
        if !hits(self.plan.unprocessed, self.batches, &mut self.rng) {
            return None;
        }
        let unprocessed = take_some(items, &mut self.rng);
        self.counts.unprocessed_batches += 1;
        self.counts.unprocessed_items += unprocessed
            .values()
            .filter_map(Value::as_array)
            .map(Vec::len)
            .sum::<usize>() as u64;
        Some(Fault::Unprocessed(unprocessed))
    }
}

fn hits(rate: Rate, number: u64, rng: &mut fastrand::Rng) -> bool {
    match rate {
        Rate::Never => false,
        Rate::Probability(probability) => rng.f64() < probability,
        Rate::Every(k) => k > 0 && number.is_multiple_of(k),
    }
}

/// Moves a random choice of the batch's items out of it: one at least, all at most.
fn take_some(items: &mut Map<String, Value>, rng: &mut fastrand::Rng) -> Map<String, Value> {
    let total: usize = items
        .values()
        .filter_map(Value::as_array)
        .map(Vec::len)
        .sum();
    let mut taken = Map::new();
    let mut left_to_take = if total > 0 { rng.usize(1..=total) } else { 0 };
    let mut left = total;
    for (table, requests) in items.iter_mut() {
        let Some(requests) = requests.as_array_mut() else {
            continue;
        };
        // Of what is left, each item is as likely as the others.
        let chosen = requests.extract_if(.., |_| {
            let take = rng.usize(0..left) < left_to_take;
            left -= 1;
            left_to_take -= usize::from(take);
            take
        });
        let chosen: Vec<Value> = chosen.collect();
        if !chosen.is_empty() {
            taken.insert(table.clone(), chosen.into());
        }
    }
    // DynamoDB refuses an empty list, and a request for no table.
    items.retain(|_, requests| {
        requests
            .as_array()
            .is_none_or(|requests| !requests.is_empty())
    });
    taken
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn batch(items: usize) -> Map<String, Value> {
        let requests: Vec<Value> = (0..items).map(|n| json!({ "PutRequest": n })).collect();
        Map::from_iter([("T".to_owned(), requests.into())])
    }

    #[test]
    fn every_kth_request_is_hit() {
        let plan = FaultPlan {
            throttle: Rate::Every(3),
            ..FaultPlan::default()
        };
        let mut injector = Injector::new(plan);
        let drawn: Vec<bool> = (0..9).map(|_| injector.draw(None).is_some()).collect();
        assert_eq!(
            drawn,
            [false, false, true, false, false, true, false, false, true]
        );
        assert_eq!(injector.counts.throttles, 3);
    }

    #[test]
    fn a_seed_repeats_its_faults() {
        let plan = FaultPlan {
            seed: 7,
            drop_response: Rate::Probability(0.3),
            ..FaultPlan::default()
        };
        let draws = || {
            let mut injector = Injector::new(plan.clone());
            (0..200)
                .map(|_| injector.draw(None).is_some())
                .collect::<Vec<_>>()
        };
        assert_eq!(draws(), draws());
        let hits = draws().into_iter().filter(|hit| *hit).count();
        assert!((40..=80).contains(&hits), "{hits} of 200");
    }

    #[test]
    fn unprocessed_items_and_the_rest_make_the_batch() {
        let mut rng = fastrand::Rng::with_seed(1);
        for size in [1, 2, 25] {
            let mut rest = batch(size);
            let taken = take_some(&mut rest, &mut rng);
            let count = |items: &Map<String, Value>| {
                items
                    .get("T")
                    .map_or(0, |list| list.as_array().unwrap().len())
            };
            assert!(count(&taken) >= 1);
            assert_eq!(count(&taken) + count(&rest), size);
            assert_eq!(
                rest.is_empty(),
                count(&rest) == 0,
                "an empty list must not be sent on"
            );
        }
    }
}
