//! The sink as its clients see it: what it counts, how it answers, what it serves.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, pem::PemObject};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

/// A sink that ends with its test.
struct Sink {
    process: Child,
    says: BufReader<ChildStdout>,
    address: String,
}

impl Sink {
    fn start(options: &[&str]) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_sink"))
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let says = BufReader::new(process.stdout.take().unwrap());
        let mut sink = Self {
            process,
            says,
            address: String::new(),
        };
        sink.address = sink.line().replace("http://", "");
        sink
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.says.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Status line and headers in lower case, and the body, of the answer to one request.
    fn ask(&self, head: &str, body: &str) -> (String, String) {
        exchange(TcpStream::connect(&self.address).unwrap(), head, body)
    }

    fn write(&self, operation: &str, body: &str) -> (String, String) {
        let head = format!("POST / HTTP/1.1\r\nx-amz-target: DynamoDB_20120810.{operation}\r\n");
        self.ask(&head, body)
    }

    /// Ends the sink's input and gives what it says last.
    fn end(mut self) -> String {
        drop(self.process.stdin.take());
        let mut last = String::new();
        self.says.read_to_string(&mut last).unwrap();
        assert!(self.process.wait().unwrap().success());
        last
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        // It may have ended, which is as well.
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

fn exchange(mut connection: impl Read + Write, head: &str, body: &str) -> (String, String) {
    let length = body.len();
    write!(
        connection,
        "{head}host: sink\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = Vec::new();
    connection.read_to_end(&mut answer).unwrap();
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (format!("{}\r\n", head.to_lowercase()), body.to_owned())
}

fn batch(rows: usize) -> String {
    let rows = vec![r#"{"PutRequest": {"Item": {"productId": {"S": "P1"}}}}"#; rows].join(", ");
    format!(r#"{{"RequestItems": {{"InventoryTable": [{rows}]}}}}"#)
}

#[test]
fn rows_of_every_operation_are_counted() {
    let sink = Sink::start(&[]);
    let (head, body) = sink.write("BatchWriteItem", &batch(25));
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body, r#"{"UnprocessedItems":{}}"#);
    sink.write("BatchWriteItem", &batch(2));
    let (head, body) = sink.write(
        "PutItem",
        r#"{"TableName": "InventoryTable", "Item": {"a": {"S": ""}}}"#,
    );
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert_eq!(body, "{}");
    let (_, body) = sink.write("DescribeTable", r#"{"TableName":"InventoryTable"}"#);
    assert!(body.contains(r#""AttributeName":"productId""#), "{body}");

    let taken = "BatchWriteItem 27 rows 2 requests\nPutItem 1 rows 1 requests\n";
    assert_eq!(sink.ask("GET /-/taken HTTP/1.1\r\n", "").1, taken);
    assert_eq!(sink.end(), taken);
}

#[test]
fn different_keys_are_counted() {
    let sink = Sink::start(&["--distinct", "100"]);
    let row = |key: &str| format!(r#"{{"PutRequest":{{"Item":{{"productId":{{"S":"{key}"}}}}}}}}"#);
    for keys in [["a", "b"], ["b", "c"]] {
        let rows = keys.map(row).join(",");
        sink.write(
            "BatchWriteItem",
            &format!(r#"{{"RequestItems":{{"InventoryTable":[{rows}]}}}}"#),
        );
    }
    let taken = "BatchWriteItem 4 rows 2 requests\nPutItem 0 rows 0 requests\nKeys 3 different\n";
    assert_eq!(sink.end(), taken);
}

#[test]
fn what_is_to_be_kept_goes_to_services_behind() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("bucket")).unwrap();
    std::fs::write(folder.path().join("bucket/report"), "kept").unwrap();
    let behind = Sink::start(&["--objects", folder.path().to_str().unwrap()]);
    let url = format!("http://{}", behind.address);
    let sink = Sink::start(&["--behind", &url, &url]);
    sink.write("BatchWriteItem", &batch(1));
    // Another table's, of which only the one behind knows whether it is there.
    let (head, _) = sink.write("DescribeTable", r#"{"TableName":"ImportJobs"}"#);
    assert!(head.starts_with("http/1.1 200"), "{head}");
    let (head, body) = sink.ask("GET /bucket/report HTTP/1.1\r\n", "");
    assert!(head.contains("etag"), "{head}");
    assert_eq!(body, "kept");
    assert!(behind.end().contains("GetObject 4 bytes 1 requests"));
    assert!(sink.end().starts_with("BatchWriteItem 1 rows"));
}

#[test]
fn what_dynamodb_would_refuse_is_refused_and_not_counted() {
    let sink = Sink::start(&[]);
    for (operation, body) in [
        ("BatchWriteItem", batch(26)),
        ("BatchWriteItem", batch(0)),
        ("PutItem", "{}".to_owned()),
        ("Scan", "{}".to_owned()),
    ] {
        let (head, answer) = sink.write(operation, &body);
        assert!(head.starts_with("http/1.1 400"), "{operation}: {head}");
        assert!(answer.contains("__type"), "{operation}: {answer}");
    }
    assert_eq!(
        sink.end(),
        "BatchWriteItem 0 rows 0 requests\nPutItem 0 rows 0 requests\n"
    );
}

#[test]
fn answers_have_the_headers_that_clients_check() {
    let sink = Sink::start(&[]);
    let asking = format!(r#"{{"ReturnConsumedCapacity": "TOTAL", {}"#, &batch(3)[1..]);
    let mut ids = Vec::new();
    for body in [asking, batch(3)] {
        let wants_capacity = body.contains("TOTAL");
        let (head, answer) = sink.write("BatchWriteItem", &body);
        let sum = crc32fast::hash(answer.as_bytes());
        assert!(
            head.contains(&format!("\r\nx-amz-crc32: {sum}\r\n")),
            "{head}"
        );
        assert!(
            head.contains("\r\ncontent-type: application/x-amz-json-1.0\r\n"),
            "{head}"
        );
        assert_eq!(
            answer.contains(r#""CapacityUnits":3"#),
            wants_capacity,
            "{answer}"
        );
        let (_, id) = head.split_once("x-amzn-requestid: ").unwrap();
        ids.push(id.split_once("\r\n").unwrap().0.to_owned());
    }
    assert_eq!(ids[0].len(), 52);
    assert_ne!(ids[0], ids[1]);
}

#[test]
fn bodies_are_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("bodies");
    let sink = Sink::start(&["--record", record.to_str().unwrap()]);
    sink.write("BatchWriteItem", &batch(1));
    sink.write("BatchWriteItem", &batch(2));
    sink.end();
    let recorded = std::fs::read_to_string(record).unwrap();
    assert_eq!(recorded, format!("{}\n{}\n", batch(1), batch(2)));
}

#[test]
fn objects_are_served_as_s3_serves_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("bucket")).unwrap();
    // More than the sink reads at a time.
    let text: String = (0..100_000).map(|n| format!("{n:05}\n")).collect();
    std::fs::write(folder.path().join("bucket/a key"), &text).unwrap();
    let sink = Sink::start(&["--objects", folder.path().to_str().unwrap()]);
    let get = |headers: &str| sink.ask(&format!("GET /bucket/a%20key HTTP/1.1\r\n{headers}"), "");

    let (head, body) = get("");
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(body == text);
    let (_, etag) = head.split_once("etag: ").unwrap();
    let etag = etag.split_once("\r\n").unwrap().0;

    let (head, body) = sink.ask("HEAD /bucket/a%20key HTTP/1.1\r\n", "");
    assert!(head.contains("\r\ncontent-length: 600000\r\n"), "{head}");
    assert!(head.contains(&format!("\r\netag: {etag}\r\n")), "{head}");
    assert_eq!(body, "");

    let (head, body) = get(&format!("range: bytes=6-17\r\nif-match: {etag}\r\n"));
    assert!(head.starts_with("http/1.1 206"), "{head}");
    assert!(
        head.contains("\r\ncontent-range: bytes 6-17/600000\r\n"),
        "{head}"
    );
    assert_eq!(body, "00001\n00002\n");
    let (head, body) = get("range: bytes=300000-\r\n");
    assert!(head.contains("\r\ncontent-length: 300000\r\n"), "{head}");
    assert!(body == text[300_000..]);

    for (headers, status, code) in [
        ("if-match: \"another\"\r\n", "412", "PreconditionFailed"),
        (
            "if-match: \"another\"\r\nrange: bytes=0-1\r\n",
            "412",
            "PreconditionFailed",
        ),
        ("range: bytes=600000-\r\n", "416", "InvalidRange"),
    ] {
        let (head, body) = get(headers);
        assert!(
            head.starts_with(&format!("http/1.1 {status}")),
            "{headers}: {head}"
        );
        assert!(body.contains(code), "{headers}: {body}");
    }
    for (request, status) in [
        ("GET /bucket/none", "404"),
        ("GET /bucket", "404"),
        ("HEAD /bucket/none", "404"),
        ("GET /bucket/../../etc/passwd", "400"),
        ("PUT /bucket/a%20key", "405"),
    ] {
        let (head, body) = sink.ask(&format!("{request} HTTP/1.1\r\n"), "");
        assert!(
            head.starts_with(&format!("http/1.1 {status}")),
            "{request}: {head}"
        );
        assert_eq!(body.is_empty(), request.starts_with("HEAD"), "{request}");
    }

    // A file that was replaced has another ETag.
    std::fs::write(folder.path().join("bucket/new"), &text).unwrap();
    std::fs::rename(
        folder.path().join("bucket/new"),
        folder.path().join("bucket/a key"),
    )
    .unwrap();
    let (head, _) = get(&format!("if-match: {etag}\r\n"));
    assert!(head.starts_with("http/1.1 412"), "{head}");
}

#[test]
fn tls_sessions_are_resumed() {
    let mut sink = Sink::start(&["--tls"]);
    let address = sink.line().strip_prefix("https://").unwrap().to_owned();
    let authority = sink.line();
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(&authority).unwrap())
        .unwrap();
    let mut config =
        ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let config = Arc::new(config);
    for _ in 0..2 {
        let name = address.split_once(':').unwrap().0.to_owned();
        let session = ClientConnection::new(Arc::clone(&config), name.try_into().unwrap()).unwrap();
        let mut stream = StreamOwned::new(session, TcpStream::connect(&address).unwrap());
        let head = "POST / HTTP/1.1\r\nx-amz-target: DynamoDB_20120810.BatchWriteItem\r\n";
        let (head, _) = exchange(&mut stream, head, &batch(5));
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert_eq!(stream.conn.alpn_protocol(), Some(&b"http/1.1"[..]));
    }
    let last = sink.end();
    assert!(
        last.contains("BatchWriteItem 10 rows 2 requests\n"),
        "{last}"
    );
    assert!(last.ends_with("TLS 1 full 1 resumed\n"), "{last}");
    assert!(!Path::new(&authority).exists());
}
