//! Credentials that expire, are replaced or are refused, and clocks that are wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::future::ProvideCredentials as Future;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_smithy_types::DateTime;
use aws_smithy_types::date_time::Format;
use bytes::Bytes;
use http::Request;
use importer::Class;
use importer::import::Status;
use importer::write::WireWriter;
use importer::write::{BatchWrite as _, LaneWrite as _, WriterKind};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::answers::{good, schema};
use crate::fixture::{file, import, options, write};
use crate::support::clients::Services;
use crate::support::scripted::{Reply, Server};
use crate::support::{WRITERS, with_each_writer};

/// Gives credentials numbered from 1 in the order in which they are asked for, and then goes on with the last.
#[derive(Debug)]
struct Numbered {
    expiries: Vec<Option<SystemTime>>,
    loads: AtomicUsize,
    /// One permit is taken for each load.
    gate: Semaphore,
}

impl Numbered {
    fn new(expiries: &[Option<SystemTime>]) -> Arc<Self> {
        Arc::new(Self {
            expiries: expiries.to_vec(),
            loads: AtomicUsize::new(0),
            gate: Semaphore::new(1000),
        })
    }

    fn loads(&self) -> usize {
        self.loads.load(Ordering::SeqCst)
    }
}

/// A provider has to own itself.
#[derive(Debug)]
struct Provider(Arc<Numbered>);

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> Future<'a>
    where
        Self: 'a,
    {
        Future::new(async {
            let gate = self.0.gate.acquire().await;
            gate.map_err(CredentialsError::unhandled)?.forget();
            let number = self.0.loads.fetch_add(1, Ordering::SeqCst) + 1;
            let number = number.min(self.0.expiries.len());
            let expiry = self.0.expiries[number - 1];
            Ok(Credentials::new(
                format!("AKID{number}"),
                "secret",
                None,
                expiry,
                "test",
            ))
        })
    }
}

fn sdk(server: &Server, provider: &Arc<Numbered>) -> aws_config::SdkConfig {
    let provider = SharedCredentialsProvider::new(Provider(Arc::clone(provider)));
    Services::dynamodb(&server.url).sdk_config_with(provider)
}

fn in_seconds(seconds: u64) -> SystemTime {
    SystemTime::now() + Duration::from_secs(seconds)
}

fn signer(request: &Request<Bytes>) -> String {
    let authorization = request.headers()["authorization"].to_str().unwrap();
    let (_, id) = authorization.split_once("Credential=").unwrap();
    id.split('/').next().unwrap().to_owned()
}

fn refusal(code: &str) -> Reply {
    let body =
        json!({ "__type": format!("com.amazon.coral.service#{code}"), "message": "as scripted" });
    Reply::json(400, &body)
}

/// A server that knows only the credentials with this number.
async fn knows(number: usize, code: &'static str) -> Server {
    let id = format!("AKID{number}");
    Server::start(move |request| {
        if signer(request) == id {
            good()
        } else {
            refusal(code)
        }
    })
    .await
}

fn rows(count: usize) -> String {
    (0..count)
        .map(|n| format!("{{\"id\":\"{n}\"}}\n"))
        .collect()
}

#[tokio::test]
async fn credentials_that_expire_during_an_import_are_replaced_once_for_all_lanes() {
    for code in ["ExpiredTokenException", "UnrecognizedClientException"] {
        let server = knows(2, code).await;
        let provider = Numbered::new(&[None, None]);
        let sdk = sdk(&server, &provider);
        let rows = file(rows(1000));
        let ended = import(WriterKind::Wire, &sdk, &schema(), rows, options(8)).await;
        let counts = ended.whole().counts;
        assert_eq!(counts.rows_written, 1000);
        assert!((1..=8).contains(&counts.retries), "{counts:?}");
        assert_eq!(provider.loads(), 2, "{code}");
    }
}

async fn credentials_that_stay_refused_end_the_import_with_their_fix(writer: WriterKind) {
    for (code, fix) in [
        ("ExpiredTokenException", "sign in again"),
        ("UnrecognizedClientException", "AWS_PROFILE"),
    ] {
        let server = knows(99, code).await;
        let provider = Numbered::new(&[None]);
        let sdk = sdk(&server, &provider);
        let ended = import(writer, &sdk, &schema(), file(rows(1)), options(1)).await;
        assert_eq!(ended.summary.status, Status::Failed);
        let failure = ended.summary.failure.unwrap();
        assert!(failure.message.contains(code), "{failure}");
        assert!(failure.fix.unwrap().contains(fix));
        // Once to begin with, once to replace them, and once to see that there are no others.
        assert!(provider.loads() <= 3, "{}", provider.loads());
    }
}

with_each_writer!(credentials_that_stay_refused_end_the_import_with_their_fix);

#[tokio::test]
async fn no_request_waits_for_new_credentials_while_the_old_ones_are_good() {
    let server = Server::start(|_| good()).await;
    let provider = Numbered::new(&[Some(in_seconds(60)), Some(in_seconds(3600))]);
    let writer = WireWriter::new(&sdk(&server, &provider), schema()).await;
    let writer = writer.unwrap();
    // From now on, loading takes until the test allows it.
    provider.gate.forget_permits(1000);
    let (mut lane, mut other) = (writer.lane(0), writer.lane(1));
    for _ in 0..3 {
        lane.write("{}".into()).await.unwrap();
        other.write("{}".into()).await.unwrap();
    }
    assert_eq!(provider.loads(), 1);
    provider.gate.add_permits(1000);
    let mut signed = String::new();
    while !signed.contains("AKID2") {
        tokio::task::yield_now().await;
        let request = lane.sign("{}".into()).await.unwrap();
        request.headers()["authorization"]
            .to_str()
            .unwrap()
            .clone_into(&mut signed);
    }
    other.write("{}".into()).await.unwrap();
    assert_eq!(provider.loads(), 2);
}

#[tokio::test]
async fn credentials_at_their_end_are_replaced_before_the_request() {
    let server = knows(2, "ExpiredTokenException").await;
    let provider = Numbered::new(&[Some(in_seconds(5)), Some(in_seconds(3600))]);
    let written = write(WriterKind::Wire, &sdk(&server, &provider), &schema(), "{}").await;
    written.unwrap();
    assert_eq!(provider.loads(), 2);
}

#[tokio::test]
async fn no_credentials_is_an_error_that_says_so() {
    #[derive(Debug)]
    struct Nobody;
    impl ProvideCredentials for Nobody {
        fn provide_credentials<'a>(&'a self) -> Future<'a>
        where
            Self: 'a,
        {
            Future::ready(Err(CredentialsError::not_loaded("nobody is signed in")))
        }
    }
    for writer in WRITERS {
        let nobody = SharedCredentialsProvider::new(Nobody);
        let sdk = Services::dynamodb("http://localhost:1").sdk_config_with(nobody);
        let error = write(writer, &sdk, &schema(), "{}").await.unwrap_err();
        assert!(
            error.chain().contains("nobody is signed in"),
            "{}",
            error.chain()
        );
        assert!(error.fix().unwrap().contains("AWS_PROFILE"), "{writer}");
    }
}

/// When a request says that it was signed.
fn signed_at(request: &Request<Bytes>) -> SystemTime {
    let text = request.headers()["x-amz-date"].to_str().unwrap();
    let (date, time) = text.split_once('T').unwrap();
    let text = format!(
        "{}-{}-{}T{}:{}:{}Z",
        &date[..4],
        &date[4..6],
        &date[6..],
        &time[..2],
        &time[2..4],
        &time[4..6]
    );
    let time = DateTime::from_str(&text, Format::DateTime).unwrap();
    time.try_into().unwrap()
}

#[tokio::test]
async fn a_wrong_clock_is_put_right_by_the_services() {
    for (ahead, code) in [
        (true, "InvalidSignatureException"),
        (false, "InvalidSignatureException"),
        (true, "RequestTimeTooSkewed"),
    ] {
        let offset = Duration::from_hours(25);
        let server = Server::start(move |request| {
            let now = SystemTime::now();
            let now = if ahead { now + offset } else { now - offset };
            let signed_at = signed_at(request);
            let off = now
                .duration_since(signed_at)
                .unwrap_or_else(|e| e.duration());
            let reply = if off < Duration::from_mins(5) {
                good()
            } else {
                refusal(code)
            };
            let Reply::Answer(mut response) = reply else {
                unreachable!("both answer")
            };
            let date = DateTime::from(now).fmt(Format::HttpDate).unwrap();
            response.headers_mut().insert("date", date.parse().unwrap());
            Reply::Answer(response)
        })
        .await;
        let sdk = sdk(&server, &Numbered::new(&[None]));
        let ended = import(
            WriterKind::Wire,
            &sdk,
            &schema(),
            file(rows(500)),
            options(4),
        )
        .await;
        let counts = ended.whole().counts;
        assert_eq!(counts.rows_written, 500);
        assert!(
            (1..=4).contains(&counts.retries),
            "{ahead} {code}: {counts:?}"
        );
    }
}

#[tokio::test]
async fn a_wrong_signature_at_the_right_time_is_the_credentials_fault() {
    let server = Server::start(|_| refusal("InvalidSignatureException")).await;
    let provider = Numbered::new(&[None]);
    for writer in WRITERS {
        let error = write(writer, &sdk(&server, &provider), &schema(), "{}").await;
        let error = error.unwrap_err();
        assert_eq!(error.class(), Class::Fatal, "{writer}");
        assert!(
            error.fix().unwrap().contains("AWS_SECRET_ACCESS_KEY"),
            "{writer}"
        );
    }
}

#[tokio::test]
async fn a_session_token_is_sent_and_signed() {
    let has_token = Arc::new(AtomicBool::new(false));
    let found = Arc::clone(&has_token);
    let server = Server::start(move |request| {
        let names = request.headers()["authorization"].to_str().unwrap();
        let is_signed = names.contains(";x-amz-security-token;");
        found.store(
            is_signed && request.headers()["x-amz-security-token"] == "the token",
            Ordering::SeqCst,
        );
        good()
    })
    .await;
    let token = Some("the token".to_owned());
    let credentials = Credentials::new("AKID", "secret", token, None, "test");
    let credentials = SharedCredentialsProvider::new(credentials);
    let sdk = Services::dynamodb(&server.url).sdk_config_with(credentials);
    write(WriterKind::Wire, &sdk, &schema(), "{}")
        .await
        .unwrap();
    assert!(has_token.load(Ordering::SeqCst));
}
