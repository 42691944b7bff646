//! TLS with certificates of an authority that only `SSL_CERT_FILE` tells of.
//!
//! Roots are read once in a process, and from its environment: so each test is a child process, this program again.

use std::io::Write as _;
use std::net::Ipv4Addr;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use http_body_util::BodyExt as _;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use importer::write::WireWriter;
use importer::write::{BatchWrite as _, LaneWrite as _};
use importer::{Class, Error};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::HandshakeKind;
use rustls::ServerConfig;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::answers::schema;
use crate::support::clients::Services;

/// Where the child finds the server.
const URL: &str = "TEST_TLS_URL";
/// What the child is to find.
const EXPECTED: &str = "TEST_TLS_EXPECTED";

fn authority(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params
        .distinguished_name
        .push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A server with a certificate for localhost, and how many of its handshakes resumed a session.
async fn serve(authority: &CertifiedIssuer<'static, KeyPair>) -> (String, Arc<AtomicUsize>) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.serialize_der()));
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let url = format!(
        "https://localhost:{}",
        listener.local_addr().unwrap().port()
    );
    let resumed = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&resumed);
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            // A client that does not trust the server ends the handshake.
            let Ok(stream) = acceptor.accept(stream).await else {
                continue;
            };
            let (_, session) = stream.get_ref();
            assert_eq!(session.alpn_protocol(), Some(&b"http/1.1"[..]));
            if session.handshake_kind() == Some(HandshakeKind::Resumed) {
                counter.fetch_add(1, Ordering::SeqCst);
            }
            let answer = service_fn(async |request: hyper::Request<hyper::body::Incoming>| {
                request.into_body().collect().await?;
                let body = String::from("{\"UnprocessedItems\":{}}");
                Ok::<_, hyper::Error>(hyper::Response::new(body))
            });
            tokio::spawn(
                hyper::server::conn::http1::Builder::new()
                    .serve_connection(TokioIo::new(stream), answer),
            );
        }
    });
    (url, resumed)
}

/// Runs [`child`] in a process that trusts `trusted` alone.
async fn run_child(url: String, trusted: &CertifiedIssuer<'static, KeyPair>, expected: &str) {
    let mut roots = tempfile::NamedTempFile::new().unwrap();
    roots.write_all(trusted.pem().as_bytes()).unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "tls::child", "--ignored", "--nocapture"])
        .env("SSL_CERT_FILE", roots.path())
        .env_remove("SSL_CERT_DIR")
        .env(URL, url)
        .env(EXPECTED, expected);
    let output = tokio::task::spawn_blocking(move || child.output()).await;
    let output = output.unwrap().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && text.contains("1 passed"),
        "{text}"
    );
}

#[tokio::test]
#[ignore = "run by the other tests, with an environment of its own"]
async fn child() {
    let sdk = Services::dynamodb(&std::env::var(URL).unwrap()).sdk_config();
    let writer = WireWriter::new(&sdk, schema()).await.unwrap();
    let written = async |index| -> Result<(), Error> {
        let mut lane = writer.lane(index);
        lane.write("{}".into()).await?;
        lane.write("{}".into()).await.map(drop)
    };
    if std::env::var(EXPECTED).unwrap() == "trusted" {
        written(0).await.unwrap();
        written(1).await.unwrap();
        return;
    }
    let error = written(0).await.unwrap_err();
    assert_eq!(error.class(), Class::Fatal);
    let chain = error.chain();
    assert!(chain.contains("localhost is not trusted"), "{chain}");
    assert!(chain.contains("invalid peer certificate"), "{chain}");
    assert!(error.fix().unwrap().contains("SSL_CERT_FILE"));
}

#[tokio::test]
async fn an_authority_named_in_ssl_cert_file_is_trusted_and_sessions_are_resumed() {
    let authority = authority("Test");
    let (url, resumed) = serve(&authority).await;
    run_child(url, &authority, "trusted").await;
    assert_eq!(resumed.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn an_unknown_authority_is_an_error_that_says_how_to_trust_it() {
    let (url, resumed) = serve(&authority("Somebody")).await;
    run_child(url, &authority("Somebody else"), "untrusted").await;
    assert_eq!(resumed.load(Ordering::SeqCst), 0);
}
