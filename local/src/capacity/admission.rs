use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use tokio::time::Instant;

use super::plan::{CapacityPlan, Latency};
use super::table::{ItemCost, TableCapacity};
use super::write_log::WriteLog;
use crate::lock::lock;
use crate::services::dynamodb::take_items;

/// Item bytes that one WCU pays for.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html#write-operation-consumption>
const WCU_BYTES: usize = 1024;

/// A table's capacity in time. Its time begins with the first request.
#[derive(Debug, Clone)]
pub struct Capacity {
    latency: Latency,
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    table: TableCapacity,
    began: Option<Instant>,
    rng: fastrand::Rng,
}

/// What becomes of a batch.
#[derive(Debug)]
pub(super) struct Admission {
    /// The items that are not written.
    pub(super) unprocessed: Map<String, Value>,
    /// The exception if that is all of them.
    pub(super) exception: Option<&'static str>,
    /// What the others cost.
    pub(super) consumed_wcu: u32,
}

impl Capacity {
    /// The capacity that `plan` describes.
    pub fn new(plan: &CapacityPlan) -> Self {
        Self {
            latency: plan.latency,
            state: Arc::new(Mutex::new(State {
                table: TableCapacity::new(plan),
                began: None,
                rng: fastrand::Rng::with_seed(plan.seed.wrapping_add(1)),
            })),
        }
    }

    /// What was written and throttled so far; times are since the first request.
    pub fn write_log(&self) -> WriteLog {
        lock(&self.state).table.write_log().clone()
    }

    /// Takes as long as a request does one way.
    pub(super) async fn delay_one_way(&self) {
        let delay = {
            let mut state = lock(&self.state);
            let random = state.rng.f64();
            self.latency.one_way(random)
        };
        if delay > Duration::ZERO {
            tokio::time::sleep(delay).await;
        }
    }

    /// Takes what is throttled out of a batch's `RequestItems`.
    pub(super) fn admit(&self, items: &mut Map<String, Value>, partition_key: &str) -> Admission {
        let costs: Vec<ItemCost> = items
            .values()
            .filter_map(Value::as_array)
            .flatten()
            .map(|request| cost(request, partition_key))
            .collect();
        let verdict = {
            let mut state = lock(&self.state);
            let now = state.began.get_or_insert_with(Instant::now).elapsed();
            state.table.write(now, &costs)
        };
        let mut unprocessed = Map::new();
        if verdict.accepted.contains(&false) {
            let mut accepted = verdict.accepted.into_iter();
            unprocessed = take_items(items, || accepted.next() == Some(false));
        }
        Admission {
            unprocessed,
            exception: verdict.exception,
            consumed_wcu: verdict.consumed_wcu,
        }
    }
}

/// What a put or a delete of a batch costs.
fn cost(request: &Value, partition_key: &str) -> ItemCost {
    let item = &request["PutRequest"]["Item"];
    let key = if item.is_object() {
        &item[partition_key]
    } else {
        &request["DeleteRequest"]["Key"][partition_key]
    };
    let mut hasher = DefaultHasher::new();
    key.hash(&mut hasher);
    let bytes: usize = item.as_object().map_or(0, |item| {
        item.iter()
            .map(|(name, value)| name.len() + value_bytes(value))
            .sum()
    });
    ItemCost {
        wcu: bytes.div_ceil(WCU_BYTES).max(1) as u32,
        partition_hash: hasher.finish(),
    }
}

/// The size of an attribute value.
///
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
fn value_bytes(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|value| value.iter().next()) else {
        return 0;
    };
    let scalar = |kind: &str, value: &Value| match (kind, value.as_str()) {
        ("N", Some(number)) => {
            number
                .bytes()
                .filter(u8::is_ascii_digit)
                .count()
                .div_ceil(2)
                + 1
        }
        ("B", Some(base64)) => STANDARD.decode(base64).map_or(0, |bytes| bytes.len()),
        (_, Some(text)) => text.len(),
        // BOOL and NULL.
        (_, None) => 1,
    };
    match (kind.as_str(), value) {
        ("L", Value::Array(list)) => 3 + list.iter().map(|v| 1 + value_bytes(v)).sum::<usize>(),
        ("M", Value::Object(map)) => {
            let members = map.iter().map(|(name, v)| 1 + name.len() + value_bytes(v));
            3 + members.sum::<usize>()
        }
        (set, Value::Array(list)) => list.iter().map(|v| scalar(&set[..1], v)).sum(),
        (kind, value) => scalar(kind, value),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::capacity::Attempts;

    #[test]
    fn an_item_costs_its_size() {
        for (wcu, item) in [
            (1, json!({ "k": { "S": "a" } })),
            (1, json!({ "k": { "S": "x".repeat(1023) } })),
            (2, json!({ "k": { "S": "x".repeat(1024) } })),
            (
                2,
                json!({ "k": { "N": "1" }, "b": { "B": STANDARD.encode([0; 1024]) } }),
            ),
            (
                3,
                json!({ "k": { "SS": ["x".repeat(1024), "y".repeat(1024)] } }),
            ),
            (2, json!({ "k": { "L": [{ "S": "x".repeat(1020) }] } })),
            (
                2,
                json!({ "k": { "M": { "n": { "S": "x".repeat(1020) } } } }),
            ),
        ] {
            let request = json!({ "PutRequest": { "Item": item } });
            assert_eq!(cost(&request, "k").wcu, wcu, "{request}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_does_not_fit_is_unprocessed() {
        let capacity = Capacity::new(&CapacityPlan {
            burst_filled: 1.0,
            ..CapacityPlan::provisioned(10)
        });
        let puts = |n: usize| -> Map<String, Value> {
            let list: Vec<Value> = (0..n)
                .map(|i| json!({ "PutRequest": { "Item": { "k": { "S": i.to_string() } } } }))
                .collect();
            Map::from_iter([("T".to_owned(), list.into())])
        };
        let mut items = puts(25);
        let admission = capacity.admit(&mut items, "k");
        assert_eq!(items["T"].as_array().map(Vec::len), Some(10));
        assert_eq!(
            admission.unprocessed["T"].as_array().map(Vec::len),
            Some(15)
        );
        assert_eq!((admission.exception, admission.consumed_wcu), (None, 10));

        let mut items = puts(2);
        let admission = capacity.admit(&mut items, "k");
        assert_eq!(
            admission.exception,
            Some("ProvisionedThroughputExceededException")
        );
        assert!(items.is_empty());

        tokio::time::advance(Duration::from_millis(200)).await;
        assert_eq!(capacity.admit(&mut puts(2), "k").consumed_wcu, 2);
        let log = capacity.write_log();
        let always = (Duration::ZERO, Duration::MAX);
        assert_eq!(log.accepted_wcu(always.0, always.1), 12);
        assert_eq!(
            log.requests(always.0, always.1),
            Attempts {
                all: 3,
                throttled: 2
            }
        );
        assert_eq!(
            log.rows(always.0, always.1),
            Attempts {
                all: 29,
                throttled: 17
            }
        );
    }
}
