//! A topic, a bucket and a table that fail on command, and Lambda's side of a stream.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use notifier::Error;
use notifier::budget::Store;
use notifier::function::{Event, Notifier};
use notifier::message::Message;
use notifier::publish::{Publish, UndeliveredStore};
use notifier::settings::Settings;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

pub(crate) const ARN: &str = "arn:aws:sns:eu-central-1:123456789012:inventory-alerts";
pub(crate) const STREAM: &str = "arn:aws:dynamodb:eu-central-1:123456789012:table/InventoryTable/stream/2026-11-23T08:58:02.345";
/// What an invocation of 30 s has.
pub(crate) const TIME_LEFT: Duration = Duration::from_secs(29);
/// Unix time in milliseconds at the start of every test: 2026-11-23T09:00:00Z.
pub(crate) const EPOCH_MS: u64 = 1_795_424_400_000;

/// What the topic does with a message.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reply {
    Accept,
    /// Takes the message, but its answer gets lost.
    Lose,
    Unavailable,
    Refuse,
    /// Answers only after this long.
    Slow(Duration),
}

/// A message that the topic took.
#[derive(Clone, Debug)]
pub(crate) struct Accepted {
    pub(crate) at: Instant,
    pub(crate) message: Message,
}

impl Accepted {
    /// What subscribers of this protocol read.
    pub(crate) fn variant(&self, protocol: &str) -> String {
        let body: Value = serde_json::from_str(self.message.body()).unwrap();
        body[protocol].as_str().unwrap().to_owned()
    }

    pub(crate) fn machine(&self) -> Value {
        serde_json::from_str(&self.variant("sqs")).unwrap()
    }
}

/// Plays `script` message by message, then `rest` for ever; keeps what it took.
pub(crate) struct Scripted {
    script: Mutex<VecDeque<Reply>>,
    rest: Mutex<Reply>,
    outage: Mutex<Option<(Instant, Instant)>>,
    /// When it was called, and with how many messages.
    pub(crate) calls: Mutex<Vec<(Instant, usize)>>,
    pub(crate) accepted: Mutex<Vec<Accepted>>,
}

impl Scripted {
    pub(crate) fn new(script: &[Reply], rest: Reply) -> Self {
        Self {
            script: Mutex::new(script.iter().copied().collect()),
            rest: Mutex::new(rest),
            outage: Mutex::default(),
            calls: Mutex::default(),
            accepted: Mutex::default(),
        }
    }

    /// Fails whatever it is asked in this time.
    pub(crate) fn fail_between(&self, from: Instant, to: Instant) {
        *self.outage.lock().unwrap() = Some((from, to));
    }

    pub(crate) fn accepted(&self) -> Vec<Accepted> {
        self.accepted.lock().unwrap().clone()
    }

    /// The messages it took, but each that came more than once only once.
    pub(crate) fn distinct(&self) -> Vec<Accepted> {
        let accepted = self.accepted();
        let by_id: BTreeMap<String, Accepted> = accepted
            .into_iter()
            .map(|accepted| (accepted.message.id().to_owned(), accepted))
            .collect();
        by_id.into_values().collect()
    }

    async fn reply(&self, message: &Message) -> Result<String, Error> {
        let down = self
            .outage
            .lock()
            .unwrap()
            .is_some_and(|(from, to)| (from..to).contains(&Instant::now()));
        let scripted = self.script.lock().unwrap().pop_front();
        let reply = if down {
            Reply::Unavailable
        } else {
            scripted.unwrap_or(*self.rest.lock().unwrap())
        };
        let accept = || {
            let at = Instant::now();
            self.accepted.lock().unwrap().push(Accepted {
                at,
                message: message.clone(),
            });
        };
        let action = "publishing to arn:t".to_owned();
        match reply {
            Reply::Accept => {}
            Reply::Slow(delay) => sleep(delay).await,
            Reply::Lose => {
                accept();
                return Err(Error::Unavailable {
                    action,
                    source: "timeout".into(),
                });
            }
            Reply::Unavailable => {
                return Err(Error::Unavailable {
                    action,
                    source: "Throttled".into(),
                });
            }
            Reply::Refuse => {
                return Err(Error::AccessDenied {
                    action,
                    grant: "sns:Publish",
                    source: "AuthorizationError".into(),
                });
            }
        }
        accept();
        Ok("message-id".into())
    }
}

impl Publish for &Scripted {
    async fn publish(&self, messages: &[&Message]) -> Vec<Result<String, Error>> {
        assert!((1..=10).contains(&messages.len()));
        assert!(
            messages
                .iter()
                .map(|message| message.size_bytes())
                .sum::<usize>()
                <= 262_144
        );
        self.calls
            .lock()
            .unwrap()
            .push((Instant::now(), messages.len()));
        let mut replies = Vec::new();
        for message in messages {
            replies.push(self.reply(message).await);
        }
        replies
    }
}

/// A bucket in memory; `None` when there is none, and one that fails so many times first.
#[derive(Default)]
pub(crate) struct Shelf {
    pub(crate) failures: Mutex<u32>,
    pub(crate) denied: bool,
    pub(crate) kept: Mutex<BTreeMap<String, Message>>,
}

impl UndeliveredStore for &Shelf {
    async fn store(&self, message: &Message) -> Result<String, Error> {
        let action = "keeping".to_owned();
        if self.denied {
            return Err(Error::AccessDenied {
                action,
                grant: "s3:PutObject",
                source: "AccessDenied".into(),
            });
        }
        let fails = {
            let mut failures = self.failures.lock().unwrap();
            let fails = *failures > 0;
            *failures -= u32::from(fails);
            fails
        };
        if fails {
            return Err(Error::Unavailable {
                action,
                source: "SlowDown".into(),
            });
        }
        self.kept
            .lock()
            .unwrap()
            .insert(message.id().to_owned(), message.clone());
        Ok("kept".into())
    }
}

/// The ledger's table in memory, with the latency of a table and the paused time of a test.
pub(crate) struct Memory {
    start: Instant,
    item: Mutex<Option<(String, u64)>>,
    /// Calls still to fail: `Retry` of them, or for ever as `Refused`.
    pub(crate) trouble: Mutex<Trouble>,
    pub(crate) largest: Mutex<usize>,
    pub(crate) writes: Mutex<usize>,
}

/// What the table does instead of its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    None,
    /// Every call fails with this probability in percent, half of the writes after having been done.
    Flaky(u8),
    Denied,
    Down,
}

impl Memory {
    pub(crate) fn new() -> Self {
        Self {
            start: Instant::now(),
            item: Mutex::default(),
            trouble: Mutex::new(Trouble::None),
            largest: Mutex::default(),
            writes: Mutex::default(),
        }
    }

    pub(crate) fn put(&self, json: &str) {
        *self.item.lock().unwrap() = Some((json.to_owned(), 1));
    }

    async fn trouble(&self) -> Result<bool, Error> {
        sleep(Duration::from_millis(fastrand::u64(2..20))).await;
        let action = "using the ledger".to_owned();
        match *self.trouble.lock().unwrap() {
            Trouble::None => Ok(false),
            Trouble::Flaky(percent) => Ok(fastrand::u8(0..100) < percent),
            Trouble::Denied => Err(Error::AccessDenied {
                action,
                grant: "x",
                source: "no".into(),
            }),
            Trouble::Down => Err(Error::Unavailable {
                action,
                source: "down".into(),
            }),
        }
    }
}

fn flaky<T>() -> Result<T, Error> {
    Err(Error::Unavailable {
        action: "using the ledger".into(),
        source: "flaky".into(),
    })
}

impl Store for &Memory {
    async fn load(&self) -> Result<Option<(String, u64)>, Error> {
        if self.trouble().await? {
            return flaky();
        }
        Ok(self.item.lock().unwrap().clone())
    }

    async fn save(&self, json: String, version: Option<u64>) -> Result<bool, Error> {
        let fails = self.trouble().await?;
        if fails && fastrand::bool() {
            return flaky();
        }
        let saved = {
            let mut item = self.item.lock().unwrap();
            let current = item.as_ref().map(|(_, version)| *version) == version;
            if current {
                let mut largest = self.largest.lock().unwrap();
                *largest = json.len().max(*largest);
                *self.writes.lock().unwrap() += 1;
                *item = Some((json, version.unwrap_or(0) + 1));
            }
            current
        };
        if fails { flaky() } else { Ok(saved) }
    }

    fn now_ms(&self) -> u64 {
        EPOCH_MS + self.start.elapsed().as_millis() as u64
    }
}

/// All that a notifier talks to.
pub(crate) struct World {
    pub(crate) topic: Scripted,
    pub(crate) shelf: Shelf,
    pub(crate) table: Memory,
}

impl World {
    pub(crate) fn new(script: &[Reply], rest: Reply) -> Self {
        Self {
            topic: Scripted::new(script, rest),
            shelf: Shelf::default(),
            table: Memory::new(),
        }
    }

    /// When the test began.
    pub(crate) fn start(&self) -> Instant {
        self.table.start
    }

    pub(crate) fn notifier(&self, settings: Settings) -> Notifier<&Scripted, &Shelf, &Memory> {
        Notifier::new(settings, &self.topic, &self.shelf, &self.table)
    }
}

pub(crate) type TestNotifier<'w> = Notifier<&'w Scripted, &'w Shelf, &'w Memory>;

/// A stream record as Lambda gives it.
pub(crate) fn record(event_name: &str, sequence_number: u64, images: &Value) -> Value {
    let mut dynamodb = json!({
        "ApproximateCreationDateTime": 1_795_424_400.0,
        "Keys": { "productId": { "S": format!("P{sequence_number}") } },
        "SequenceNumber": format!("4421584500000000{sequence_number:012}"),
        "SizeBytes": 112,
        "StreamViewType": "NEW_AND_OLD_IMAGES",
    });
    for (image, value) in images.as_object().unwrap() {
        dynamodb[image] = value.clone();
    }
    json!({
        "eventID": format!("{sequence_number:032x}"),
        "eventName": event_name,
        "eventVersion": "1.1",
        "eventSource": "aws:dynamodb",
        "awsRegion": "eu-central-1",
        "dynamodb": dynamodb,
        "eventSourceARN": STREAM,
    })
}

/// An INSERT of a product that is called as its number.
pub(crate) fn insert(sequence_number: u64) -> Value {
    let name = format!("N{sequence_number}");
    record(
        "INSERT",
        sequence_number,
        &json!({ "NewImage": { "name": { "S": name } } }),
    )
}

/// A window's place in time: number `n` of the minutes since 09:00.
pub(crate) fn window(number: u64) -> Value {
    let moment = |number: u64| format!("2026-11-23T{:02}:{:02}:00Z", 9 + number / 60, number % 60);
    json!({ "start": moment(number), "end": moment(number + 1) })
}

/// One call of a window's state.
#[derive(Clone, Debug)]
pub(crate) struct Call {
    pub(crate) shard: Arc<str>,
    pub(crate) window: u64,
    pub(crate) records: Vec<Value>,
    pub(crate) state: Value,
    pub(crate) last: bool,
    pub(crate) early: bool,
}

impl Call {
    pub(crate) fn new(window: u64, records: Vec<Value>) -> Self {
        Self {
            shard: "shardId-1".into(),
            window,
            records,
            state: json!({}),
            last: false,
            early: false,
        }
    }

    pub(crate) fn event(&self) -> Event {
        let event = json!({
            "Records": self.records,
            "window": window(self.window),
            "state": self.state,
            "shardId": &*self.shard,
            "eventSourceARN": STREAM,
            "isFinalInvokeForWindow": self.last,
            "isWindowTerminatedEarly": self.early,
        });
        serde_json::from_str(&event.to_string()).unwrap()
    }

    /// Calls the function once, as Lambda does, and returns the new state or the error.
    pub(crate) async fn once(
        &self,
        notifier: &TestNotifier<'_>,
        time_left: Duration,
    ) -> Result<Value, Error> {
        let response = notifier
            .handle(&self.event(), Instant::now() + time_left)
            .await?;
        let response = serde_json::to_value(&response).unwrap();
        // With a state that has counted the records, a failure of one of them would have it counted twice.
        assert_eq!(response["batchItemFailures"], json!([]));
        assert!(
            response["state"].is_object(),
            "Lambda takes an answer without a state for a failure: {response}"
        );
        assert!(response["state"].to_string().len() < 1_000_000);
        Ok(response["state"].clone())
    }

    /// Calls the function until it succeeds, as Lambda does: with the same records and state.
    pub(crate) async fn until(&self, notifier: &TestNotifier<'_>, time_left: Duration) -> Value {
        loop {
            if let Ok(state) = self.once(notifier, time_left).await {
                return state;
            }
            sleep(Duration::from_secs(1)).await;
        }
    }
}

/// Lets so many shards do `work` at the same time.
pub(crate) async fn shards<F: Future<Output = ()>>(count: u64, work: impl Fn(u64) -> F) {
    futures::future::join_all((0..count).map(work)).await;
}

/// How many products all messages together have reported, each message counted once, and the names, of which none may
/// come twice.
pub(crate) fn reported(world: &World) -> (u64, BTreeSet<String>) {
    let mut count = 0;
    let mut names = BTreeSet::new();
    for accepted in world.topic.distinct() {
        let machine = accepted.machine();
        if machine["kind"] == json!(["watch"]) {
            continue;
        }
        count += machine["inserted"]["count"].as_u64().unwrap();
        for item in machine["inserted"]["items"].as_array().unwrap() {
            let name = item["name"].as_str().unwrap().to_owned();
            assert!(names.insert(name.clone()), "{name} is named twice");
        }
    }
    (count, names)
}
