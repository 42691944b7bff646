//! The task that keeps a share, in paused time.

use std::num::NonZeroU32;
use std::time::Duration;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use importer::write::limiter::Limiter;
use importer::write::share::Share;
use importer::{Class, Error};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::memory::{Memory, Mood, Way};

const CAP: NonZeroU32 = NonZeroU32::new(1_000).unwrap();

async fn join(way: &Way) -> Share {
    Share::join(way.clone(), CAP).await.unwrap()
}

/// What all imports have paid for.
#[derive(Clone, Default)]
struct Payments(Arc<Mutex<Vec<(Instant, u32)>>>);

impl Payments {
    /// An import without end that has this share.
    async fn by(self, share: Share) {
        const WCU: u32 = 5;
        let limiter = Limiter::sharing(share.cap());
        loop {
            limiter.acquire(WCU).await;
            self.0.lock().unwrap().push((Instant::now(), WCU));
            limiter.settle(WCU, f64::from(WCU), 0);
        }
    }

    /// The most that was paid for in any second.
    fn most(&self) -> u32 {
        let (mut sum, mut most) = (0, 0);
        let mut last = VecDeque::new();
        for &(at, wcu) in self.0.lock().unwrap().iter() {
            last.push_back((at, wcu));
            sum += wcu;
            while let Some(&(first, wcu)) = last.front()
                && first + Duration::from_secs(1) <= at
            {
                sum -= wcu;
                last.pop_front();
            }
            most = most.max(sum);
        }
        most
    }
}

fn sum(shares: &[&Share]) -> u32 {
    shares.iter().map(|share| share.cap().wcu()).sum()
}

/// Lets time pass; together they never have more than the cap.
async fn pass(time: Duration, shares: &[&Share]) {
    let until = Instant::now() + time;
    while Instant::now() < until {
        sleep(Duration::from_millis(50)).await;
        assert!(sum(shares) <= CAP.get(), "{}", sum(shares));
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_is_alone_has_it_all_at_once_and_leaves_it_to_the_next() {
    let memory = Memory::new();
    let began = Instant::now();
    let first = join(&memory.way()).await;
    assert_eq!(first.cap().wcu(), CAP.get());
    // A look and four waves of changes.
    assert!(began.elapsed() < Duration::from_millis(50));
    pass(Duration::from_mins(5), &[&first]).await;
    assert_eq!(first.cap().wcu(), CAP.get());
    first.leave().await;
    assert_eq!(first.cap().wcu(), 0);
    first.leave().await;
    // At once what the first one has paid for last may be on its way.
    let second = join(&memory.way()).await;
    assert_eq!(second.cap().wcu(), 0);
    sleep(Duration::from_millis(1_200)).await;
    assert_eq!(second.cap().wcu(), CAP.get());
    second.leave().await;
    sleep(Duration::from_secs(6)).await;
    assert_eq!(join(&memory.way()).await.cap().wcu(), CAP.get());
}

#[tokio::test(start_paused = true)]
async fn those_who_come_get_their_part_and_those_who_go_leave_it() {
    let memory = Memory::new();
    let (first, second) = (join(&memory.way()).await, join(&memory.way()).await);
    assert_eq!(sum(&[&first, &second]), CAP.get());
    let (payments, mut imports) = (Payments::default(), JoinSet::new());
    let begins = |share: &Share| payments.clone().by(share.clone());
    imports.spawn(begins(&first));
    imports.spawn(begins(&second));
    pass(Duration::from_secs(15), &[&first, &second]).await;
    assert_eq!([first.cap().wcu(), second.cap().wcu()], [500, 500]);
    let third = join(&memory.way()).await;
    imports.spawn(begins(&third));
    pass(Duration::from_secs(15), &[&first, &second, &third]).await;
    for share in [&first, &second, &third] {
        assert!((333..=334).contains(&share.cap().wcu()));
    }
    first.leave().await;
    third.leave().await;
    pass(Duration::from_secs(25), &[&second]).await;
    assert_eq!(second.cap().wcu(), CAP.get());
    let most = payments.most();
    assert!((900..=1_000).contains(&most), "{most} WCU in a second");
}

#[tokio::test(start_paused = true)]
async fn a_share_that_is_dropped_is_given_back() {
    let memory = Memory::new();
    drop(join(&memory.way()).await);
    sleep(Duration::from_secs(10)).await;
    assert_eq!(join(&memory.way()).await.cap().wcu(), CAP.get());
}

#[tokio::test(start_paused = true)]
async fn who_does_not_reach_the_table_stops_before_others_go_on() {
    let memory = Memory::new();
    let (lost, way) = (memory.way(), memory.way());
    let (first, second) = (join(&lost).await, join(&way).await);
    let (payments, mut imports) = (Payments::default(), JoinSet::new());
    imports.spawn(payments.clone().by(first.clone()));
    imports.spawn(payments.clone().by(second.clone()));
    pass(Duration::from_secs(15), &[&first, &second]).await;
    lost.is(Mood::Silent);
    pass(Duration::from_secs(26), &[&first, &second]).await;
    assert_eq!([first.cap().wcu(), second.cap().wcu()], [0, 500]);
    pass(Duration::from_secs(24), &[&first, &second]).await;
    assert_eq!([first.cap().wcu(), second.cap().wcu()], [0, CAP.get()]);
    assert!(payments.most() <= CAP.get(), "{}", payments.most());
    // Giving back what nobody can be told of does not take for ever.
    assert!(
        timeout(Duration::from_secs(11), first.leave())
            .await
            .is_ok()
    );
}

#[tokio::test(start_paused = true)]
async fn a_table_that_fails_for_a_while_costs_a_while() {
    let memory = Memory::new();
    let way = memory.way();
    let share = join(&way).await;
    way.is(Mood::Failing);
    pass(Duration::from_mins(1), &[&share]).await;
    assert_eq!(share.cap().wcu(), 0);
    way.is(Mood::Well);
    pass(Duration::from_secs(8), &[&share]).await;
    assert_eq!(share.cap().wcu(), CAP.get());
}

#[tokio::test(start_paused = true)]
async fn a_table_that_cannot_be_used_is_an_error_that_says_so() {
    let reported = |error: &Error| {
        assert_eq!(error.class(), Class::Fatal);
        assert!(!error.is_final(), "it may be granted");
        assert_eq!(error.fix(), Some("tell it otherwise"));
        error.chain()
    };
    for (mood, within) in [
        (Mood::Refusing, Duration::from_secs(11)),
        (Mood::Failing, Duration::from_secs(140)),
    ] {
        // While it runs.
        let memory = Memory::new();
        let way = memory.way();
        let share = join(&way).await;
        way.is(mood);
        let error = timeout(within, share.failed()).await.unwrap();
        let text = reported(&error);
        assert!(
            text.starts_with("the write cap cannot be shared with other imports: Query failed"),
            "{text}"
        );
        assert_eq!(share.cap().wcu(), 0);
        // From the beginning on.
        let joined = timeout(within, Share::join(way.clone(), CAP))
            .await
            .unwrap();
        reported(&joined.unwrap_err());
    }
}
