//! Where requests go and what they have in common, learnt from one that the SDK makes and nobody sends.
//!
//! Whatever decides on it (`AWS_ENDPOINT_URL_DYNAMODB`, profiles, FIPS, dual-stack, endpoints of accounts) is read by the
//! SDK's own code, and so is right by construction.

use std::sync::{Arc, Mutex, PoisonError};

use aws_config::SdkConfig;
use aws_config::retry::RetryConfig;
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::IdentityCache;
use aws_sdk_dynamodb::types::ReturnConsumedCapacity;
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, HOST};
use http::uri::{PathAndQuery, Scheme};
use http::{HeaderMap, HeaderName, HeaderValue, Uri};

use crate::aws::service_error;
use crate::error::Error;

/// Headers that each request has its own value of, or that tell of the SDK's retries.
const OF_ONE_REQUEST: [&str; 6] = [
    "amz-sdk-invocation-id",
    "amz-sdk-request",
    "authorization",
    "content-length",
    "x-amz-date",
    "x-amz-security-token",
];

/// A request without body, time and signature.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    /// The host as it is looked up and as its certificate names it.
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) is_tls: bool,
    pub(super) path: PathAndQuery,
    /// The headers that all requests share, `host` among them.
    pub(super) headers: HeaderMap,
    /// Names of those of them that are signed.
    pub(super) signed: Vec<HeaderName>,
    /// The Region that is signed for.
    pub(super) region: String,
    /// The service that is signed for.
    pub(super) service: String,
}

impl Endpoint {
    /// The endpoint for requests to `table` with `credentials`, whose account may be part of it.
    pub(super) async fn find(
        config: &SdkConfig,
        credentials: Credentials,
        table: &str,
    ) -> Result<Self, Error> {
        let capture = Capture {
            request: Arc::default(),
            imitated: config.http_client().and_then(|c| c.connector_metadata()),
        };
        let config = aws_sdk_dynamodb::config::Builder::from(config)
            .retry_config(RetryConfig::disabled())
            .identity_cache(IdentityCache::no_cache())
            .credentials_provider(credentials)
            .http_client(capture.clone())
            .build();
        let sent = aws_sdk_dynamodb::Client::from_conf(config)
            .batch_write_item()
            .request_items(table, Vec::new())
            .return_consumed_capacity(ReturnConsumedCapacity::Total)
            .send()
            .await;
        let captured = capture
            .request
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        match (captured, sent) {
            (Some(request), _) => Self::of(request).ok_or_else(unusable),
            (None, Err(error)) => Err(service_error("BatchWriteItem", table, error)),
            (None, Ok(_)) => Err(unusable()),
        }
    }

    fn of(request: HttpRequest) -> Option<Self> {
        let request = request.try_into_http1x().ok()?;
        let uri: &Uri = request.uri();
        let authorization = request.headers().get(AUTHORIZATION)?.to_str().ok()?;
        let field = |name: &str| {
            let (_, rest) = authorization.split_once(name)?;
            rest.split(',').next()
        };
        // Read from its end, because an access key id may hold a slash.
        let mut scope = field("Credential=")?.rsplit('/').skip(1);
        let (service, region) = (scope.next()?.to_owned(), scope.next()?.to_owned());
        let is_signed = |name: &HeaderName| {
            field("SignedHeaders=").is_some_and(|names| names.split(';').any(|n| n == *name))
        };

        let is_tls = uri.scheme() == Some(&Scheme::HTTPS);
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let authority = match (is_tls, port) {
            (true, 443) | (false, 80) => uri.host()?,
            _ => uri.authority()?.as_str(),
        };
        let mut headers = HeaderMap::new();
        headers.insert(HOST, HeaderValue::from_str(authority).ok()?);
        for (name, value) in request.headers() {
            if name != HOST && !OF_ONE_REQUEST.contains(&name.as_str()) {
                headers.append(name, value.clone());
            }
        }
        let mut signed: Vec<HeaderName> =
            headers.keys().filter(|n| is_signed(n)).cloned().collect();
        // The SDK's transport adds the host to the request only later, and signs it anyway.
        if !signed.contains(&HOST) {
            signed.push(HOST);
        }
        debug_assert!(!signed.contains(&CONTENT_LENGTH), "it differs by request");
        let host = uri.host()?;
        Some(Self {
            // An IPv6 address stands in brackets.
            host: host
                .trim_start_matches('[')
                .trim_end_matches(']')
                .to_owned(),
            port,
            is_tls,
            path: uri.path_and_query()?.clone(),
            headers,
            signed,
            region,
            service,
        })
    }
}

fn unusable() -> Error {
    Error::Unusable {
        problem: "the SDK's request cannot be taken as a model for others".to_owned(),
        fix: "import with --writer sdk (INTAKE_WRITER=sdk), and please report this as a defect"
            .to_owned(),
    }
}

/// Keeps the request that it should send.
#[derive(Debug, Clone)]
struct Capture {
    request: Arc<Mutex<Option<HttpRequest>>>,
    /// What the user agent says of the transport.
    imitated: Option<ConnectorMetadata>,
}

impl HttpConnector for Capture {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        *self.request.lock().unwrap_or_else(PoisonError::into_inner) = Some(request);
        HttpConnectorFuture::ready(Err(ConnectorError::user("never sent".into())))
    }
}

impl HttpClient for Capture {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.imitated.clone()
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, ConfigLoader, Region};
    use aws_credential_types::provider::SharedCredentialsProvider;
    use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};

    use super::*;

    /// The endpoint with these lines in the profile, and nothing of the environment that the test runs in.
    async fn endpoint(
        profile: &str,
        account: Option<&str>,
        set: impl FnOnce(ConfigLoader) -> ConfigLoader,
    ) -> Endpoint {
        let files = EnvConfigFiles::builder()
            .with_contents(EnvConfigFileKind::Config, format!("[default]\n{profile}"))
            .build();
        let mut credentials = Credentials::builder()
            .access_key_id("AKID")
            .secret_access_key("secret")
            .session_token("token")
            .provider_name("test");
        if let Some(account) = account {
            credentials = credentials.account_id(account);
        }
        let credentials = credentials.build();
        let loader = aws_config::defaults(BehaviorVersion::latest())
            .empty_test_environment()
            .profile_files(files)
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(credentials.clone()));
        let config = set(loader).load().await;
        Endpoint::find(&config, credentials, "T").await.unwrap()
    }

    fn url(endpoint: &Endpoint) -> String {
        let scheme = if endpoint.is_tls { "https" } else { "http" };
        let Endpoint {
            host, port, path, ..
        } = endpoint;
        format!("{scheme}://{host}:{port}{path}")
    }

    #[tokio::test]
    async fn every_setting_of_the_sdk_counts() {
        type Set = fn(ConfigLoader) -> ConfigLoader;
        let nothing: Set = |loader| loader;
        let services = "endpoint_url = http://general:1\nservices = s\n[services s]\n\
            dynamodb =\n  endpoint_url = https://special/\n";
        let cases: [(&str, Option<&str>, Set, &str); 11] = [
            (
                "",
                None,
                nothing,
                "https://dynamodb.eu-central-1.amazonaws.com:443/",
            ),
            (
                "",
                Some("123456789012"),
                nothing,
                "https://123456789012.ddb.eu-central-1.amazonaws.com:443/",
            ),
            (
                "",
                None,
                |l| l.use_fips(true),
                "https://dynamodb-fips.eu-central-1.amazonaws.com:443/",
            ),
            (
                "",
                None,
                |l| l.use_dual_stack(true),
                "https://dynamodb.eu-central-1.api.aws:443/",
            ),
            (
                "use_dualstack_endpoint = true",
                None,
                nothing,
                "https://dynamodb.eu-central-1.api.aws:443/",
            ),
            (
                "",
                None,
                |l| l.region(Region::new("cn-north-1")),
                "https://dynamodb.cn-north-1.amazonaws.com.cn:443/",
            ),
            (
                "endpoint_url = http://localhost:8000",
                None,
                nothing,
                "http://localhost:8000/",
            ),
            (
                "endpoint_url = http://[::1]:8000",
                None,
                nothing,
                "http://::1:8000/",
            ),
            (services, None, nothing, "https://special:443/"),
            (
                "",
                None,
                |l| l.endpoint_url("https://10.0.0.1:8443/dynamodb"),
                "https://10.0.0.1:8443/dynamodb/",
            ),
            (
                "",
                None,
                |l| l.endpoint_url("http://proxy"),
                "http://proxy:80/",
            ),
        ];
        for (profile, account, set, expected) in cases {
            let endpoint = endpoint(profile, account, set).await;
            assert_eq!(url(&endpoint), expected, "{profile}");
            assert_eq!(endpoint.service, "dynamodb");
        }
    }

    #[tokio::test]
    async fn requests_share_what_the_sdk_sends_but_what_is_one_requests_own() {
        let own = |name: &&HeaderName| OF_ONE_REQUEST.contains(&name.as_str());
        let found = endpoint("", None, |l| {
            l.app_name(aws_config::AppName::new("shop").unwrap())
        })
        .await;
        assert_eq!(found.region, "eu-central-1");
        let text = |name: &str| found.headers[name].to_str().unwrap();
        assert_eq!(text("host"), "dynamodb.eu-central-1.amazonaws.com");
        assert_eq!(text("x-amz-target"), "DynamoDB_20120810.BatchWriteItem");
        assert_eq!(text("content-type"), "application/x-amz-json-1.0");
        assert!(text("user-agent").starts_with("aws-sdk-rust/"));
        assert!(
            text("x-amz-user-agent").contains("app/shop"),
            "{}",
            text("x-amz-user-agent")
        );
        assert_eq!(found.headers.keys().find(own), None);
        let mut names: Vec<_> = found.signed.iter().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(
            names,
            ["content-type", "host", "x-amz-target", "x-amz-user-agent"]
        );
        let elsewhere = endpoint("", None, |l| l.endpoint_url("http://localhost:8000")).await;
        assert_eq!(elsewhere.headers["host"], "localhost:8000");
    }

    #[tokio::test]
    async fn no_region_is_an_error_that_says_so() {
        let config = SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .build();
        let credentials = Credentials::new("AKID", "secret", None, None, "test");
        let error = Endpoint::find(&config, credentials, "T").await.unwrap_err();
        assert!(
            error.chain().contains("Missing Region"),
            "{}",
            error.chain()
        );
    }
}
