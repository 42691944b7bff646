//! Connections that hang, end or talk nonsense.

use std::net::Ipv4Addr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use importer::write::WireWriter;
use importer::write::wire::WireLane;
use importer::write::{BatchWrite as _, LaneWrite as _, WriterKind};
use importer::{Class, Error};
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::answers::{good, schema};
use crate::fixture::{file, import, options};
use crate::support::clients::Services;
use crate::support::raw;
use crate::support::scripted::{Reply, Server};

async fn lane(url: &str) -> WireLane {
    let sdk = Services::dynamodb(url).sdk_config();
    WireWriter::new(&sdk, schema()).await.unwrap().lane(0)
}

fn body() -> Bytes {
    Bytes::from("{}")
}

#[track_caller]
fn assert_no_answer(error: &Error, class: Class, why: &str) {
    assert_eq!(error.class(), class, "{}", error.chain());
    let chain = error.chain();
    assert!(
        chain.starts_with("BatchWriteItem failed: no answer: "),
        "{chain}"
    );
    assert!(chain.contains(why), "{chain}");
    assert!(error.fix().unwrap().contains("AWS_ENDPOINT_URL"));
}

/// Keeps paused time from going on by itself until this is dropped: it does when nothing happens for a moment, which on a
/// busy machine is also so while bytes are on their way through the kernel.
fn stopped_time() -> std::sync::mpsc::Sender<()> {
    let (sender, receiver) = std::sync::mpsc::channel();
    tokio::task::spawn_blocking(move || receiver.recv());
    sender
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_never_comes_is_given_up_after_20_s() {
    let requests = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&requests);
    let asked = Arc::new(Notify::new());
    let arrived = Arc::clone(&asked);
    let server = Server::start(move |_| {
        arrived.notify_one();
        match seen.fetch_add(1, Ordering::SeqCst) {
            0 => Reply::Hang,
            _ => good(),
        }
    })
    .await;
    let mut lane = lane(&server.url).await;
    let began = Instant::now();
    let time = stopped_time();
    let error = {
        let mut write = pin!(lane.write(body()));
        tokio::select! {
            answer = &mut write => panic!("{answer:?}"),
            () = asked.notified() => {}
        }
        drop(time);
        write.await.unwrap_err()
    };
    assert_no_answer(&error, Class::Unanswered, "none within 20s");
    assert_eq!(began.elapsed().as_secs(), 20);
    // The connection on which the answer may still come is not used again.
    let _time = stopped_time();
    lane.write(body()).await.unwrap();
    assert_eq!(requests.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_configured_timeout_counts() {
    let server = Server::start(|_| Reply::Hang).await;
    let timeouts = aws_config::timeout::TimeoutConfig::builder()
        .read_timeout(Duration::from_millis(20))
        .build();
    let sdk = Services::dynamodb(&server.url).sdk_config();
    let sdk = sdk.into_builder().timeout_config(timeouts).build();
    let mut lane = WireWriter::new(&sdk, schema()).await.unwrap().lane(0);
    let error = lane.write(body()).await.unwrap_err();
    assert_no_answer(&error, Class::Unanswered, "none within 20ms");
}

#[tokio::test]
async fn a_connection_that_was_closed_while_idle_is_replaced_without_a_failure() {
    let answers = |count| vec![raw::good(""); count];
    let (url, mut closed) = raw::serve(vec![answers(2), answers(1), answers(1)]);
    let mut lane = lane(&url).await;
    lane.write(body()).await.unwrap();
    lane.write(body()).await.unwrap();
    closed.recv().await.unwrap();
    lane.write(body()).await.unwrap();
    closed.recv().await.unwrap();
    lane.write(body()).await.unwrap();
}

#[tokio::test]
async fn a_connection_that_is_warm_is_used() {
    let (url, mut closed) = raw::serve(vec![vec![raw::good(""); 2]]);
    let mut lane = lane(&url).await;
    lane.warm_up().await;
    lane.write(body()).await.unwrap();
    lane.write(body()).await.unwrap();
    closed.recv().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_the_service_closes_after_its_answer_is_not_used_again() {
    let last = || vec![raw::good("connection: close\r\n")];
    // Nothing waits for the close here: the header alone must do.
    let (url, _closed) = raw::serve(vec![last(), last(), last()]);
    let mut lane = lane(&url).await;
    for _ in 0..3 {
        lane.write(body()).await.unwrap();
    }
}

#[tokio::test]
async fn nonsense_is_no_answer() {
    let short = "HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{";
    for (nonsense, class, why) in [
        (
            "SSH-2.0-OpenSSH_9.6\r\n",
            Class::Unanswered,
            "invalid HTTP version",
        ),
        (
            "HTTP/1.1 200 OK\r\nno header\r\n\r\n",
            Class::Unanswered,
            "invalid HTTP header",
        ),
        (
            "HTTP/1.1 200 OK\r\ncontent-le",
            Class::Unanswered,
            "connection closed before message completed",
        ),
        // What has begun to answer is done with the request.
        (
            short,
            Class::Retry,
            "end of file before message length reached",
        ),
        (
            "",
            Class::Unanswered,
            "connection closed before message completed",
        ),
    ] {
        let (url, _closed) = raw::serve(vec![vec![nonsense.to_owned()], vec![raw::good("")]]);
        let mut lane = lane(&url).await;
        let error = lane.write(body()).await.unwrap_err();
        assert_no_answer(&error, class, why);
        lane.write(body()).await.unwrap();
    }
}

#[tokio::test]
async fn an_answer_in_chunks_is_an_answer() {
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
        6\r\n{\"Cons\r\n36\r\numedCapacity\":[{\"TableName\":\"T\",\"CapacityUnits\":2.5}]}\r\n0\r\n\r\n";
    let (url, _closed) = raw::serve(vec![vec![chunked.to_owned(), raw::good("")]]);
    let mut lane = lane(&url).await;
    let written = lane.write(body()).await.unwrap();
    assert_eq!(written.consumed_wcu, Some(2.5));
    lane.write(body()).await.unwrap();
}

#[tokio::test]
async fn an_answer_without_end_is_cut_off() {
    let large = Bytes::from(vec![b' '; 17 * 1024 * 1024 + 1]);
    let server = Server::start(move |_| Reply::Answer(Response::new(large.clone()))).await;
    let error = lane(&server.url).await.write(body()).await.unwrap_err();
    assert_no_answer(
        &error,
        Class::Retry,
        "the answer has more than 17825792 bytes",
    );
}

#[tokio::test]
async fn nobody_there_is_no_answer() {
    // Bound, but nobody listens: no other test can be given the port.
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
    let url = format!("http://{}", socket.local_addr().unwrap());
    let error = lane(&url).await.write(body()).await.unwrap_err();
    assert_no_answer(&error, Class::Retry, "refused");
    let mut unknown = lane("http://no-such-host.invalid:1").await;
    unknown.warm_up().await;
    let error = unknown.write(body()).await.unwrap_err();
    assert_no_answer(&error, Class::Retry, "");
}

#[tokio::test]
async fn only_what_may_still_be_carried_out_counts_as_unanswered() {
    let failed = |code: &str| Reply::json(500, &serde_json::json!({ "__type": code }));
    for (reply, class) in [
        (Reply::Reset, Class::Unanswered),
        // A gateway, which does not know what DynamoDB did.
        (Reply::status(502), Class::Unanswered),
        (Reply::status(504), Class::Unanswered),
        (failed("InternalServerError"), Class::Retry),
        (failed("ThrottlingException"), Class::Retry),
    ] {
        let name = format!("{reply:?}");
        let server = Server::start(move |_| reply.clone()).await;
        let error = lane(&server.url).await.write(body()).await.unwrap_err();
        assert_eq!(error.class(), class, "{name}: {}", error.chain());
    }
}

/// More lanes than rows: those without a batch wait for nobody.
#[tokio::test]
async fn lanes_without_work_do_not_wait_for_connections() {
    let server = Server::start(|_| good()).await;
    let sdk = Services::dynamodb(&server.url).sdk_config();
    let rows = file("{\"id\":\"a\"}");
    let ended = import(WriterKind::Wire, &sdk, &schema(), rows, options(64)).await;
    assert_eq!(ended.whole().counts.rows_written, 1);
}
