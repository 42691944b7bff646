//! The pages in a table, and imports that share a cap through them, against the local stack.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use importer::import::{Discard, Import, ImportOptions, Source, Status, Stop, Summary};
use importer::progress::Progress;
use importer::write::WireWriter;
use importer::write::share::page::{SLOT_PAGES, Value};
use importer::write::share::timing::Timing;
use importer::write::share::{Pages, Share, TablePages};
use importer::{Error, table};
use local::capacity::CapacityPlan;
use local::faults::{Fault, FaultPlan};
use local::{JOBS_TABLE, Stack, StackOptions, TABLE};
use rows::{DecodeOptions, Format};
use tokio::time::Instant;

use crate::support::clients::Services;

/// Short times, so that the test is short. However slow the machine is, they only make it longer.
const TIMING: Timing = Timing {
    lease: Duration::from_secs(6),
    guard: Duration::from_secs(1),
    round: Duration::from_secs(1),
    poll: Duration::from_millis(250),
    quiet: Duration::from_millis(1_100),
    skew: Duration::from_mins(15),
};

fn cap(wcu: u32) -> NonZeroU32 {
    NonZeroU32::new(wcu).unwrap()
}

fn pages(stack: &Stack) -> TablePages {
    TablePages::new(&Services::of(stack).sdk_config(), JOBS_TABLE, TABLE)
}

/// How many slots somebody holds.
async fn held(stack: &Stack) -> usize {
    let pages = pages(stack).look().await.unwrap();
    let slots = pages.range(..SLOT_PAGES).flat_map(|(_, page)| page);
    slots
        .filter(|value| matches!(value, Some(Value::Held { .. })))
        .count()
}

/// Waits until a share is as large as it can be.
async fn whole(share: &Share, wcu: u32) {
    while share.cap().wcu() < wcu {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(share.cap().wcu(), wcu);
}

#[tokio::test]
async fn a_cap_is_taken_and_given_back_in_the_table() {
    let stack = Stack::start(StackOptions::default()).await.unwrap();
    assert!(pages(&stack).look().await.unwrap().is_empty());
    for (wcu, slots) in [(3, 3), (1_000, 1_000), (5_000, 1_024)] {
        let share = Share::join(pages(&stack), cap(wcu)).await.unwrap();
        whole(&share, wcu).await;
        assert_eq!(held(&stack).await, slots);
        share.leave().await;
        assert_eq!(held(&stack).await, 0);
    }
}

#[tokio::test]
async fn no_single_failure_loses_a_slot_or_gives_it_twice() {
    for fault in [
        Fault::Throttle,
        Fault::InternalError,
        Fault::ResetBefore,
        Fault::ResetAfter,
    ] {
        for (operation, call) in [
            ("Query", 1),
            ("UpdateItem", 1),
            ("UpdateItem", 3),
            ("UpdateItem", 5),
        ] {
            let faults = FaultPlan::default().fail(operation, [call], fault);
            let stack = Stack::start(StackOptions {
                faults,
                ..StackOptions::default()
            });
            let stack = stack.await.unwrap();
            let share = Share::join_with(pages(&stack), cap(100), TIMING)
                .await
                .unwrap();
            whole(&share, 100).await;
            share.leave().await;
            assert_eq!(held(&stack).await, 0, "{fault:?} of {operation} {call}");
        }
    }
}

#[tokio::test]
async fn a_role_that_may_not_read_the_table_is_told_what_it_lacks() {
    for (operation, permission) in [
        ("Query", "dynamodb:Query"),
        ("UpdateItem", "dynamodb:UpdateItem"),
    ] {
        let faults = FaultPlan::default().fail(operation, 1.., Fault::AccessDenied);
        let stack = Stack::start(StackOptions {
            faults,
            ..StackOptions::default()
        });
        let stack = stack.await.unwrap();
        let error = Share::join(pages(&stack), cap(100)).await.unwrap_err();
        assert!(matches!(error, Error::Share { .. }), "{error:?}");
        assert!(
            error.fix().unwrap().contains(permission),
            "{:?}",
            error.fix()
        );
        assert!(error.chain().contains(operation), "{}", error.chain());
    }
}

/// Imports rows of 1 WCU each.
async fn import(
    stack: &Stack,
    share: Option<Share>,
    wcu: u32,
    first: usize,
    rows: usize,
) -> Summary {
    let sdk = Services::of(stack).sdk_config();
    let schema = Arc::new(
        table::describe(&aws_sdk_dynamodb::Client::new(&sdk), TABLE)
            .await
            .unwrap(),
    );
    let file: String = (first..first + rows)
        .map(|n| format!("{{\"productId\":\"P{n}\"}}\n"))
        .collect();
    let import = Import {
        name: "test".to_owned(),
        source: Source::reader(std::io::Cursor::new(file), None),
        resume: None,
        schema: Arc::clone(&schema),
        options: ImportOptions {
            decode: DecodeOptions {
                format: Some(Format::JsonLines),
                ..DecodeOptions::default()
            },
            max_wcu: NonZeroU32::new(wcu),
            share,
            ..ImportOptions::default()
        },
        progress: Arc::new(Progress::default()),
        stop: Stop::default(),
    };
    let writer = WireWriter::new(&sdk, schema).await.unwrap();
    import.run(writer, Discard).await.summary
}

#[tokio::test]
async fn two_imports_at_once_stay_below_one_cap() {
    const WCU: u32 = 400;
    const ROWS: usize = 1_200;
    let stack = Stack::start(StackOptions {
        capacity: Some(CapacityPlan::provisioned(40_000)),
        ..StackOptions::default()
    });
    let stack = stack.await.unwrap();
    let began = Instant::now();
    let one = async |first: usize| {
        let share = Share::join_with(pages(&stack), cap(WCU), TIMING)
            .await
            .unwrap();
        let summary = import(&stack, Some(share.clone()), WCU, first, ROWS).await;
        share.leave().await;
        summary
    };
    for summary in <[Summary; 2]>::from(tokio::join!(one(0), one(ROWS))) {
        assert_eq!(summary.status, Status::Completed, "{summary:?}");
        assert_eq!(summary.counts.rows_written, ROWS as u64);
    }
    let took = began.elapsed();
    let write_log = stack.capacity().unwrap().write_log();
    let wcu = write_log.accepted_wcu(Duration::ZERO, Duration::from_hours(1));
    assert_eq!(wcu, 2 * ROWS as u64);
    println!(
        "{wcu} WCU in {took:?}, at most {} in a second",
        write_log.most_accepted_wcu(Duration::from_secs(1))
    );
    // Each for itself they would be done in half of that. A slow machine takes longer.
    let least = Duration::from_secs_f64((2 * ROWS) as f64 / f64::from(WCU) - 1.1);
    assert!(took >= least, "{wcu} WCU in {took:?}");
    assert_eq!(held(&stack).await, 0);
}

#[tokio::test]
async fn an_import_ends_with_the_reason_when_its_share_is_lost_for_good() {
    let stack = Stack::start(StackOptions::default()).await.unwrap();
    let share = Share::join_with(pages(&stack), cap(20), TIMING)
        .await
        .unwrap();
    let refuse = FaultPlan::default().fail("Query", 1.., Fault::AccessDenied);
    stack.faults().set(refuse);
    let summary = import(&stack, Some(share.clone()), 20, 0, 100_000).await;
    assert_eq!(summary.status, Status::Failed);
    let failure = summary.failure.unwrap();
    assert!(
        failure.message.contains("the write cap cannot be shared"),
        "{}",
        failure.message
    );
    assert!(failure.fix.unwrap().contains("dynamodb:Query"));
    share.leave().await;
}
