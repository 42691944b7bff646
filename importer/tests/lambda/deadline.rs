//! An invocation ends before Lambda ends it, and says how far it came.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use importer::Importer;
use importer::function::Config;
use importer::jobs::Status;
use importer::write::WriterKind;
use local::{BUCKET, Fault, FaultPlan, JOBS_TABLE, Operation};
use serde_json::Value;
use tokio::time::Instant;

use crate::fixture::{Fixture, TIMEOUT, config, handed_back, invocation, notification, queued};
use crate::support::clients::Services;
use crate::support::scripted::{Bucket, Reply};
use crate::support::with_each_writer;

const KEY: &str = "uploads/large.jsonl";

fn rows(count: usize) -> String {
    (0..count)
        .map(|n| format!("{{\"productId\":\"P{n}\"}}\n"))
        .collect()
}

fn slow(writer: WriterKind, max_wcu: u32, lanes: usize) -> Config {
    Config {
        writer,
        max_wcu: NonZeroU32::new(max_wcu),
        lanes: NonZeroUsize::new(lanes),
        ..config()
    }
}

#[tokio::test]
async fn a_deadline_that_has_passed_hands_everything_back() {
    let bench = Fixture::start().await;
    bench.put(KEY, rows(1)).await;
    let (event, ids) = queued(&[notification(&[KEY]), notification(&[KEY])]);
    let importer = bench.importer(config());
    let answer = importer
        .handle(event, invocation(Duration::ZERO))
        .await
        .unwrap();
    assert_eq!(answer, handed_back(&[&ids[0], &ids[1]]));
    let bare = importer
        .handle(notification(&[KEY]), invocation(Duration::ZERO))
        .await;
    let error = bare.unwrap_err().to_string();
    assert_eq!(
        error,
        format!("s3://{BUCKET}/{KEY}: no time was left to begin")
    );
    assert!(bench.items().await.is_empty() && bench.reports().await.is_empty());
}

/// Takes the one message out of the queue, as an event.
async fn next_event(bench: &Fixture) -> Option<Value> {
    let sqs = aws_sdk_sqs::Client::new(&bench.services.sdk_config());
    let received = sqs
        .receive_message()
        .queue_url(&bench.stack.endpoints().queue_url)
        .max_number_of_messages(10)
        .send()
        .await
        .unwrap();
    let messages = received.messages();
    assert!(messages.len() <= 1, "{messages:?}");
    let message = messages.first()?;
    let body = serde_json::from_str(message.body().unwrap()).unwrap();
    sqs.delete_message()
        .queue_url(&bench.stack.endpoints().queue_url)
        .receipt_handle(message.receipt_handle().unwrap())
        .send()
        .await
        .unwrap();
    Some(queued(&[body]).0)
}

/// Hands an event to the function until it does not come again, and says how often it did.
async fn handle_until_done(importer: &Importer, event: &Value, limit: Duration) -> u32 {
    let mut repeated = 0;
    loop {
        let began = Instant::now();
        let answer = importer.handle(event.clone(), invocation(limit));
        if answer.await.unwrap() == handed_back(&[]) {
            return repeated;
        }
        repeated += 1;
        assert!(repeated < 100, "it does not end");
        // A machine that is busy with other things does not get to save the job in time. The message comes again when the
        // function's time is over.
        tokio::time::sleep_until(began + limit).await;
    }
}

async fn a_file_takes_as_many_invocations_as_it_needs(writer: WriterKind) {
    const ROWS: usize = 1000;
    // A batch is settled when all of it is written, of which the lanes write a bit in turns: few of them come on in each
    // invocation.
    const LANES: u32 = 2;
    // Every fourth row is of a key that comes again at once, every tenth has none.
    let line = |n: usize| match n % 20 {
        7 | 17 => format!("{{\"name\":\"{n}\"}}\n"),
        _ => format!("{{\"productId\":\"P{}\",\"row\":{n}}}\n", n - n % 4 / 3),
    };
    let file: String = (0..ROWS).map(line).collect();
    let undisturbed = Fixture::start().await;
    undisturbed.put(KEY, file.clone()).await;
    let (event, _) = queued(&[notification(&[KEY])]);
    let importer = undisturbed.importer(Config {
        writer,
        lanes: NonZeroUsize::new(LANES as usize),
        ..config()
    });
    let began = Instant::now();
    importer.handle(event, invocation(TIMEOUT)).await.unwrap();
    // Time for a part of the file, on a busy machine, too. Each waits for a second until what the one before has paid for last
    // is certainly written.
    let limit = began.elapsed().max(Duration::from_secs(5));
    let max_wcu = u32::try_from(225_000 / limit.as_millis()).unwrap().max(1);

    let bench = Fixture::start().await;
    bench.put(KEY, file).await;
    let importer = bench.importer(Config {
        writer,
        max_wcu: NonZeroU32::new(max_wcu),
        lanes: NonZeroUsize::new(LANES as usize),
        // Nothing arrives late in the stack.
        request_lasts: Duration::from_millis(100),
        ..bench.deployed()
    });
    let (mut invocations, mut repeated) = (0, 0);
    while let Some(event) = next_event(&bench).await {
        let again = handle_until_done(&importer, &event, limit).await;
        invocations += 1 + again;
        repeated += again;
        assert!(invocations < 100, "it does not end");
    }
    let job = bench.job().await;
    assert_eq!(job.status, Status::CompletedWithRejects, "{job:#?}");
    assert!(invocations >= 5, "{invocations} invocations");
    // One that came again while the claim of the one before held did not count.
    assert!(
        (invocations - repeated..=invocations).contains(&job.attempt),
        "{} attempts in {invocations} invocations, {repeated} of them handed back",
        job.attempt
    );
    assert!(job.attempt >= 5, "{} attempts", job.attempt);
    let expected = undisturbed.job().await.counts;
    let counts = job.counts;
    assert_eq!(
        (
            counts.rows_read,
            counts.rows_written,
            counts.rows_superseded,
            counts.rows_rejected
        ),
        (
            expected.rows_read,
            expected.rows_written,
            expected.rows_superseded,
            expected.rows_rejected
        )
    );
    assert_eq!(counts.bytes_read, expected.bytes_read);
    // What a request under way at a deadline wrote is written again: one request a lane at most.
    let again = counts.consumed_wcu - expected.consumed_wcu;
    let most = f64::from((invocations - 1) * LANES * 25);
    assert!((0.0..=most).contains(&again), "{again} WCU more");
    assert_eq!(bench.items().await, undisturbed.items().await);
    assert_eq!(
        bench.report("/rejects.jsonl").await,
        undisturbed.report("/rejects.jsonl").await
    );
    let messages = bench.stack.inbox();
    assert_eq!(messages.len(), 1, "{messages:?}");
}

async fn an_attempt_without_progress_is_followed_by_two_more(writer: WriterKind) {
    let bench = Fixture::start().await;
    bench.put(KEY, rows(1)).await;
    let hangs = Bucket::new(rows(1)).serve(|_, _| Reply::Hang).await;
    let services = Services {
        s3: hangs.url.clone(),
        ..bench.services.clone()
    };
    let importer = Importer::new(
        Config {
            writer,
            ..bench.deployed()
        },
        services.sdk_config(),
    );
    let mut repeated = 0;
    for attempt in 1..=3 {
        let mut event = next_event(&bench).await.unwrap();
        if attempt == 1 {
            // The object is another server's.
            event = queued(&[notification(&[KEY])]).0;
        }
        repeated += handle_until_done(&importer, &event, Duration::from_secs(1)).await;
        let job = bench.job().await;
        // One that did not get to save the job counts as well.
        assert!((attempt..=attempt + repeated).contains(&job.stalled_attempts));
        if job.status == Status::Failed {
            assert!(job.stalled_attempts >= 3, "{job:?}");
            break;
        }
        assert_eq!(job.status, Status::Queued);
        assert!(attempt < 3, "{job:?}");
    }
    assert!(next_event(&bench).await.is_none());
}

#[tokio::test]
async fn without_a_queue_the_next_delivery_goes_on() {
    let bench = Fixture::start().await;
    bench.put(KEY, rows(1000)).await;
    let importer = bench.importer(slow(WriterKind::Wire, 100, 2));
    let event = notification(&[KEY]);
    let handled = importer.handle(event.clone(), invocation(Duration::from_secs(6)));
    let error = handled.await.unwrap_err().to_string();
    assert!(error.contains("the time given is used up"), "{error}");
    assert!(error.contains("INTAKE_QUEUE_URL"), "{error}");
    let first = bench.job().await;
    assert_eq!(first.status, Status::Queued);
    assert!(first.counts.rows_written > 0 && first.counts.rows_written < 1000);
    let importer = bench.importer(config());
    importer
        .handle(event, invocation(Duration::from_mins(1)))
        .await
        .unwrap();
    let job = bench.job().await;
    assert_eq!(job.status, Status::Completed);
    assert_eq!(
        (job.counts.rows_read, job.counts.rows_written, job.attempt),
        (1000, 1000, 2)
    );
    assert_eq!(bench.items().await.len(), 1000);
}

/// A batch of large rows takes longer than several invocations: each of them writes a part of it, and the next one goes on
/// there.
#[tokio::test]
async fn invocations_that_write_a_part_of_a_batch_each_come_to_the_end() {
    const ROWS: usize = 25;
    let text = "x".repeat(300_000);
    let file: String = (0..ROWS)
        .map(|n| format!("{{\"productId\":\"P{n}\",\"text\":\"{text}\"}}\n"))
        .collect();
    let bench = Fixture::start().await;
    bench.put(KEY, file).await;
    let importer = bench.importer(Config {
        max_wcu: NonZeroU32::new(400),
        lanes: NonZeroUsize::new(1),
        ..bench.deployed()
    });
    let mut invocations = 0;
    while let Some(event) = next_event(&bench).await {
        invocations += 1 + handle_until_done(&importer, &event, Duration::from_secs(4)).await;
        let job = bench.job().await;
        assert_ne!(job.status, Status::Failed, "{job:#?}");
        assert!(invocations < 100, "it does not end");
    }
    let job = bench.job().await;
    assert_eq!(job.status, Status::Completed, "{job:#?}");
    assert_eq!((job.counts.rows_read, job.counts.rows_written), (25, 25));
    assert!(job.attempt > 3, "{} attempts", job.attempt);
    assert_eq!(bench.items().await.len(), ROWS);
    // Nothing was written twice but what was under way at a deadline.
    let most = f64::from(u32::try_from(ROWS + invocations as usize).unwrap()) * 294.0;
    assert!(job.counts.consumed_wcu <= most, "{job:#?}");
}

#[tokio::test]
async fn a_table_of_jobs_that_is_throttled_for_seconds_does_not_end_the_attempt() {
    let bench = Fixture::start().await;
    bench.put(KEY, rows(100)).await;
    // After what is said of the object come the saves. The SDK tries each three times.
    let saves = Operation::new("UpdateItem").on(JOBS_TABLE);
    bench
        .stack
        .faults()
        .set(FaultPlan::default().fail(saves, 2..=10, Fault::Throttle));
    let (event, _) = queued(&[notification(&[KEY])]);
    let importer = bench.importer(bench.deployed());
    let answer = importer.handle(event, invocation(TIMEOUT)).await.unwrap();
    assert_eq!(answer, handed_back(&[]));
    let job = bench.job().await;
    assert_eq!((job.status, job.attempt), (Status::Completed, 1), "{job:?}");
    assert_eq!(bench.stack.faults().injected(Fault::Throttle), 9);
}

with_each_writer!(
    a_file_takes_as_many_invocations_as_it_needs,
    an_attempt_without_progress_is_followed_by_two_more,
);
