//! The function's share of the write cap.

use std::num::NonZeroU32;
use std::time::{Duration, SystemTime};

use aws_sdk_dynamodb::types::AttributeValue;
use importer::function::Config;
use importer::jobs::{STALLED_ATTEMPTS_MAX, Status};
use importer::write::share::page::{Change, Swap, Value, Worker};
use importer::write::share::{Pages, TablePages};
use local::{JOBS_TABLE, TABLE};

use crate::fixture::{Fixture, LAPTOP, TIMEOUT, config, invocation, notification, sample};

const KEY: &str = "uploads/laptop.json";
const LAPTOP_FILE: &str =
    r#"[{"productId": "P1001", "name": "Laptop", "quantity": 20, "price": 1200}]"#;

fn capped(max_wcu: u32) -> Config {
    Config {
        max_wcu: NonZeroU32::new(max_wcu),
        ..config()
    }
}

fn pages(bench: &Fixture) -> TablePages {
    TablePages::new(&bench.services.sdk_config(), JOBS_TABLE, TABLE)
}

/// What the registers say that say anything.
async fn values(bench: &Fixture) -> Vec<Value> {
    let pages = pages(bench).look().await.unwrap();
    pages.into_values().flatten().flatten().collect()
}

#[tokio::test]
async fn an_import_gives_its_share_back() {
    let bench = Fixture::start().await;
    bench.put(KEY, sample("inventory.json")).await;
    let importer = bench.importer(capped(50));
    let handled = importer.handle(notification(&[KEY]), invocation(TIMEOUT));
    handled.await.unwrap();
    assert_eq!(bench.job().await.status, Status::Completed);
    let values = values(&bench).await;
    assert_eq!(values.len(), 50);
    let is_free = |value: &Value| matches!(value, Value::Returned { .. });
    assert!(values.iter().all(is_free), "{values:?}");
}

#[tokio::test]
async fn an_import_without_a_cap_shares_nothing() {
    let bench = Fixture::start().await;
    bench.put(KEY, LAPTOP_FILE).await;
    bench.handle(notification(&[KEY])).await.unwrap();
    assert!(values(&bench).await.is_empty());
}

/// Somebody has the one slot that there is.
async fn occupy(bench: &Fixture, from: Option<Value>, to: Option<Value>) {
    let swaps = vec![Swap {
        register: 0,
        from,
        to,
    }];
    let change = Change { page: 0, swaps };
    assert_eq!(pages(bench).change(&change).await.unwrap(), None);
}

#[tokio::test]
async fn waiting_for_a_share_is_no_failure() {
    let bench = Fixture::start().await;
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let by_another = Some(Value::Held {
        by: Worker::new(7),
        until_ms: since.unwrap().as_millis() as u64 + 30_000,
    });
    occupy(&bench, None, by_another).await;
    bench.put(KEY, LAPTOP_FILE).await;
    let event = notification(&[KEY]);
    let importer = bench.importer(capped(1));
    let begin = importer.handle(event.clone(), invocation(Duration::from_secs(4)));
    assert!(begin.await.is_err());
    // It has failed without progress as often as a job may.
    let job = bench.job().await;
    let dynamodb = aws_sdk_dynamodb::Client::new(&bench.services.sdk_config());
    dynamodb
        .update_item()
        .table_name(JOBS_TABLE)
        .key("owner", AttributeValue::S(job.owner.clone()))
        .key("job", AttributeValue::S(job.job.clone()))
        .update_expression("SET stalled_attempts = :n")
        .expression_attribute_values(
            ":n",
            AttributeValue::N((STALLED_ATTEMPTS_MAX - 1).to_string()),
        )
        .send()
        .await
        .unwrap();
    let wait = importer.handle(event.clone(), invocation(Duration::from_secs(6)));
    let error = wait.await.unwrap_err().to_string();
    let job = bench.job().await;
    assert_eq!(
        (job.status, job.stalled_attempts),
        (Status::Queued, 0),
        "{error}"
    );
    assert!(bench.items().await.is_empty());

    let at_ms = 1;
    occupy(&bench, by_another, Some(Value::Returned { at_ms })).await;
    let go_on = importer.handle(event, invocation(TIMEOUT));
    go_on.await.unwrap();
    assert_eq!(bench.job().await.status, Status::Completed);
    assert_eq!(bench.items().await, [LAPTOP]);
}
