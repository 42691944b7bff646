//! The writer that signs and sends ready-made bodies itself: `BatchWriteItem` without the SDK's cost for each call.
//!
//! The SDK decides where requests go and as whom (`endpoint`, `credentials`); signing (`sign`), transport (`connection`)
//! and reading the answer (`answer`) are done here, with everything prepared that requests have in common. Each lane owns
//! its connection and drives it in its own task: there is no pool to ask and nothing to hand over.
//!
//! Proxies (`HTTPS_PROXY`) are not used, as they are not by the SDK's client of [`cloud::sdk_config`], which refuses them.
//!
//! Nothing here tries again or reads rows: one request is sent, and its answer goes to the settler.

mod address;
mod answer;
mod clock;
mod connection;
mod credentials;
mod endpoint;
mod sign;
mod tls;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_config::timeout::TimeoutConfig;
use bytes::Bytes;
use cloud::{CONNECT_TIMEOUT, READ_TIMEOUT};
use http::Response;
use http_body_util::Full;
use rows::Schema;
use tokio::time::timeout;

use self::address::Resolver;
use self::clock::Clock;
use self::connection::{Connection, Failed};
use self::credentials::{Keyring, Loaded};
use self::endpoint::Endpoint;
use self::sign::{SignError, Signed, Signer};
use crate::aws::{BoxError, CREDENTIALS_FIX, Refusal, refused};
use crate::error::{Class, Error};
use crate::write::writer::{BatchWrite, LaneWrite, Written};

const OPERATION: &str = "BatchWriteItem";

/// Codes of errors by which DynamoDB may mean that a request was signed at the wrong time. The AWS SDKs' list, as far as
/// it is DynamoDB's.
const SKEW: &[&str] = &[
    "InvalidSignatureException",
    "SignatureDoesNotMatch",
    "RequestTimeTooSkewed",
    "AccessDeniedException",
];

/// Codes of errors that newer credentials may repair.
const OUTDATED: &[&str] = &[
    "ExpiredTokenException",
    "ExpiredToken",
    "UnrecognizedClientException",
    "InvalidClientTokenId",
];

/// [`BatchWrite`] by requests of its own.
#[derive(Debug, Clone)]
pub struct WireWriter {
    shared: Arc<Shared>,
}

/// What all lanes have in common.
#[derive(Debug)]
struct Shared {
    schema: Arc<Schema>,
    endpoint: Arc<Endpoint>,
    resolver: Resolver,
    keyring: Arc<Keyring>,
    clock: Clock,
    connect_timeout: Duration,
    answer_timeout: Duration,
}

/// Does beforehand what the first connection would wait for: reads the certificates that are trusted.
pub(crate) fn warm_up() {
    // An error is the first connection's to tell.
    drop(tls::config());
}

impl WireWriter {
    /// A writer into the table of `schema`, which loads credentials but connects to nothing yet.
    ///
    /// # Errors
    ///
    /// [`Error::Service`] if there are no credentials, no Region or no endpoint, [`Error::Unusable`] for an endpoint that
    /// only the SDK can sign requests to.
    pub async fn new(config: &SdkConfig, schema: Arc<Schema>) -> Result<Self, Error> {
        let keyring = Keyring::open(config).await?;
        let credentials = keyring.current();
        let endpoint =
            Endpoint::find(config, credentials.credentials.clone(), &schema.table).await?;
        let endpoint = Arc::new(endpoint);
        let clock = Clock::new(config);
        let agrees = Signer::new(Arc::clone(&endpoint)).agrees_with_sdk(clock.now(), &credentials);
        if !agrees.map_err(unsigned)? {
            return Err(Error::Unusable {
                problem: format!("requests to {} cannot be signed", endpoint.path),
                fix: "import with --writer sdk (INTAKE_WRITER=sdk)".to_owned(),
            });
        }
        let timeouts = config.timeout_config();
        let configured = |get: fn(&_) -> Option<Duration>| timeouts.and_then(get);
        Ok(Self {
            shared: Arc::new(Shared {
                schema,
                resolver: Resolver::new(endpoint.host.clone(), endpoint.port),
                endpoint,
                keyring: Arc::new(keyring),
                clock,
                connect_timeout: configured(|t: &TimeoutConfig| t.connect_timeout())
                    .unwrap_or(CONNECT_TIMEOUT),
                answer_timeout: configured(|t: &TimeoutConfig| t.read_timeout())
                    .unwrap_or(READ_TIMEOUT),
            }),
        })
    }
}

impl BatchWrite for WireWriter {
    type Lane = WireLane;

    fn lane(&self, index: usize) -> WireLane {
        WireLane {
            signer: Signer::new(Arc::clone(&self.shared.endpoint)),
            shared: Arc::clone(&self.shared),
            connection: None,
            address: index,
        }
    }
}

/// One lane's connection and what it signs with.
#[derive(Debug)]
pub struct WireLane {
    shared: Arc<Shared>,
    signer: Signer,
    connection: Option<Connection>,
    /// Which of the endpoint's addresses to connect to, counted round. Lanes begin at different ones.
    address: usize,
}

impl WireLane {
    /// Signs a request with `body`, as [`LaneWrite::write`] does before it sends it.
    ///
    /// # Errors
    ///
    /// If the credentials have expired and there are no new ones.
    pub async fn sign(&mut self, body: Bytes) -> Result<http::Request<Full<Bytes>>, Error> {
        let now = self.shared.clock.now();
        let credentials = self.shared.keyring.at(now).await?;
        self.signer.sign(now, &credentials, body).map_err(unsigned)
    }

    /// Sends a request and receives its answer, over the connection that there is or else a new one.
    async fn send(&mut self, mut request: Signed) -> Result<Response<Bytes>, Error> {
        // An exchange that fails or is given up half way takes its connection along.
        if let Some(mut connection) = self.connection.take() {
            match self.answered(connection.exchange(request)).await? {
                Ok(response) => {
                    self.connection = Some(connection);
                    return Ok(response);
                }
                // The service closed it while it was idle, as it may. That is no failed attempt.
                Err(unsent) => request = *unsent,
            }
        }
        let mut connection = self.connect().await?;
        match self.answered(connection.exchange(request)).await? {
            Ok(response) => {
                self.connection = Some(connection);
                Ok(response)
            }
            Err(_) => Err(self.no_answer("the connection was closed at once".into())),
        }
    }

    /// Waits for an exchange as long as is due. What could not be sent is given back.
    async fn answered(
        &self,
        exchange: impl Future<Output = Result<Response<Bytes>, Failed>>,
    ) -> Result<Result<Response<Bytes>, Box<Signed>>, Error> {
        let limit = self.shared.answer_timeout;
        match timeout(limit, exchange).await {
            Ok(Ok(response)) => Ok(Ok(response)),
            Ok(Err(Failed::Unsent(request))) => Ok(Err(request)),
            Ok(Err(Failed::Cut(error))) => Err(self.no_answer(error)),
            Ok(Err(Failed::Broken(error))) => Err(unanswered(self.no_answer(error))),
            Err(_) => Err(unanswered(
                self.no_answer(format!("none within {limit:?}").into()),
            )),
        }
    }

    /// Connects to the first of the endpoint's addresses that lets itself be connected to, beginning at this lane's.
    async fn connect(&mut self) -> Result<Connection, Error> {
        let shared = Arc::clone(&self.shared);
        let addresses = shared.resolver.addresses().await;
        let addresses = addresses.map_err(|error| self.no_answer(error.into()))?;
        let mut failure = None;
        for _ in 0..addresses.len() {
            let address = addresses[self.address % addresses.len()];
            match self.connect_to(address).await {
                Ok(connection) => return Ok(connection),
                Err(error) => {
                    tracing::debug!(%address, %error, "cannot connect");
                    failure = Some(error);
                    self.address += 1;
                }
            }
        }
        shared.resolver.forget(&addresses).await;
        // There is at least one address.
        let failure = failure.unwrap_or_else(|| io::Error::other("no address"));
        Err(match tls::certificate_fix(&failure) {
            Some(fix) => Error::Service {
                operation: OPERATION,
                problem: format!("{} is not trusted", self.shared.endpoint.host),
                // It will not get a better certificate within the retry budget.
                class: Class::Fatal,
                fix: fix.to_owned(),
                source: Some(failure.into()),
            },
            None => self.no_answer(failure.into()),
        })
    }

    async fn connect_to(&self, address: SocketAddr) -> io::Result<Connection> {
        let limit = self.shared.connect_timeout;
        timeout(limit, Connection::open(&self.shared.endpoint, address))
            .await
            .map_err(|_| {
                let problem = format!("no connection to {address} within {limit:?}");
                io::Error::new(io::ErrorKind::TimedOut, problem)
            })?
    }

    /// What an answer means. `signed_at` and `credentials` are those of the request.
    async fn read(
        &self,
        response: Response<Bytes>,
        signed_at: SystemTime,
        credentials: &Arc<Loaded>,
    ) -> Result<Written, Error> {
        let (head, body) = response.into_parts();
        let status = head.status;
        if !answer::is_intact(&head.headers, &body) {
            return Err(self.refused(Refusal {
                status: Some(status.as_u16()),
                source: Some("the answer does not have the checksum that it was sent with".into()),
                ..no_refusal()
            }));
        }
        if status.is_success() {
            return answer::written(&self.shared.schema, &body).map_err(|error| {
                self.refused(Refusal {
                    status: Some(status.as_u16()),
                    source: Some(Box::new(NotAnAnswer(error))),
                    ..no_refusal()
                })
            });
        }
        let (code, message) = answer::error(&head.headers, &body);
        let is_skewed =
            SKEW.contains(&&*code) && self.shared.clock.correct(signed_at, &head.headers);
        let is_outdated = OUTDATED.contains(&&*code);
        // Something on the way to DynamoDB speaks, which does not know what became of the request.
        let is_gateways = code.is_empty() && status.is_server_error();
        let mut error = self.refused(Refusal {
            code,
            message,
            status: Some(status.as_u16()),
            ..no_refusal()
        });
        let again = is_skewed || is_outdated && self.shared.keyring.replace(credentials).await?;
        if let Error::Service { class, .. } = &mut error
            && again
        {
            *class = Class::Retry;
        }
        Err(if is_gateways {
            unanswered(error)
        } else {
            error
        })
    }

    fn no_answer(&self, source: BoxError) -> Error {
        self.refused(Refusal {
            source: Some(source),
            ..no_refusal()
        })
    }

    fn refused(&self, refusal: Refusal) -> Error {
        refused(OPERATION, &self.shared.schema.table, refusal)
    }
}

impl LaneWrite for WireLane {
    async fn warm_up(&mut self) {
        // A failure comes again with the first request, and is told then.
        self.connection = self.connect().await.ok();
    }

    async fn write(&mut self, body: Bytes) -> Result<Written, Error> {
        let now = self.shared.clock.now();
        let credentials = self.shared.keyring.at(now).await?;
        let request = self
            .signer
            .sign(now, &credentials, body)
            .map_err(unsigned)?;
        let response = self.send(request).await?;
        self.read(response, now, &credentials).await
    }
}

/// The same for a request that may still be carried out.
fn unanswered(mut error: Error) -> Error {
    if let Error::Service { class, .. } = &mut error {
        *class = Class::Unanswered;
    }
    error
}

fn no_refusal() -> Refusal {
    Refusal {
        code: String::new(),
        message: String::new(),
        status: None,
        sent: true,
        bucket_region: None,
        source: None,
    }
}

fn unsigned(error: SignError) -> Error {
    Error::Service {
        operation: OPERATION,
        problem: "the request cannot be signed".to_owned(),
        class: Class::Fatal,
        fix: CREDENTIALS_FIX.to_owned(),
        source: Some(error.into()),
    }
}

/// What came with a status of success is no answer of DynamoDB's.
#[derive(Debug)]
struct NotAnAnswer(serde_json::Error);

impl fmt::Display for NotAnAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Its own words would quote the answer, which may hold rows.
        let (line, column) = (self.0.line(), self.0.column());
        write!(
            f,
            "the answer is not DynamoDB's: it breaks off or is none at line {line} column {column}"
        )
    }
}

impl std::error::Error for NotAnAnswer {}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, TcpListener};

    use aws_config::{BehaviorVersion, Region};
    use aws_credential_types::Credentials;
    use aws_credential_types::provider::SharedCredentialsProvider;

    use super::*;
    use rows::{KeyAttribute, KeyType};

    /// A writer whose endpoint has these addresses.
    async fn writer(addresses: &[SocketAddr]) -> WireWriter {
        let credentials = Credentials::new("AKID", "secret", None, None, "test");
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-west-1"))
            .endpoint_url("http://localhost")
            .credentials_provider(SharedCredentialsProvider::new(credentials))
            .build();
        let schema = Schema::new("T", KeyAttribute::partition("id", KeyType::S), None);
        let mut writer = WireWriter::new(&config, Arc::new(schema)).await.unwrap();
        // There are no lanes yet that share it.
        Arc::get_mut(&mut writer.shared).unwrap().resolver = Resolver::known(addresses);
        writer
    }

    /// Connections wait in the listener's queue; nobody needs to accept them.
    fn listen() -> (TcpListener, SocketAddr) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        (listener, address)
    }

    #[tokio::test]
    async fn lanes_spread_over_addresses_and_leave_those_that_refuse() {
        let (gone, deaf) = listen();
        drop(gone);
        let ((_first, one), (_second, two)) = (listen(), listen());
        let writer = writer(&[one, deaf, two]).await;
        for (index, settled) in [(0, 0), (1, 2), (2, 2), (3, 3), (4, 5)] {
            let mut lane = writer.lane(index);
            lane.connect().await.unwrap();
            assert_eq!(lane.address, settled, "lane {index}");
            lane.connect().await.unwrap();
            assert_eq!(lane.address, settled, "lane {index}, again");
        }
    }

    #[tokio::test]
    async fn addresses_of_which_none_is_reached_are_looked_up_again() {
        let (gone, deaf) = listen();
        drop(gone);
        let writer = writer(&[deaf]).await;
        let error = writer.lane(0).connect().await.unwrap_err();
        assert!(error.chain().contains("refused"), "{}", error.chain());
        // The name, which the first attempt did without, is looked up now, and does not exist.
        let error = writer.lane(0).connect().await.unwrap_err();
        assert!(!error.chain().contains("refused"), "{}", error.chain());
    }
}
