//! Calls of Lambda and IAM, signed and sent here: of these services the doctor needs four reads, and their SDKs are two
//! minutes of compiling (docs/DECISIONS.md).
//!
//! Region, credentials, endpoints and TLS are those of every other client: they come from the same [`SdkConfig`].

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::Credentials;
use aws_sdk_dynamodb::config::ProvideCredentials;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4;
use aws_smithy_http_client::{Connector, tls};
use aws_smithy_runtime_api::client::http::{HttpConnector, HttpConnectorSettings};
use aws_smithy_runtime_api::client::identity::Identity;
use aws_smithy_types::body::SdkBody;
use aws_types::service_config::ServiceConfigKey;
use http::{Method, Request};
use http_body_util::BodyExt as _;
use serde::Deserialize;

use super::facts::Refusal;

/// How often a call is made at most, as the SDKs do.
const ATTEMPTS_MAX: u32 = 3;
/// Pause before the second attempt; doubled each time.
const FIRST_PAUSE: Duration = Duration::from_millis(200);

/// A service of which there is no SDK here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    Lambda,
    Iam,
}

impl Service {
    /// As configuration files and variables name it.
    fn id(self) -> &'static str {
        match self {
            Self::Lambda => "Lambda",
            Self::Iam => "IAM",
        }
    }

    /// As signatures name it.
    fn signing_name(self) -> &'static str {
        match self {
            Self::Lambda => "lambda",
            Self::Iam => "iam",
        }
    }
}

/// A client.
#[derive(Debug)]
pub(super) struct Signed {
    lambda: Endpoint,
    iam: Endpoint,
    credentials: Credentials,
    connector: Connector,
}

/// Where a service is, and the Region that is signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Endpoint {
    url: String,
    region: String,
}

type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An answer that is no success.
struct Refused {
    status: u16,
    error: (String, String),
}

impl Signed {
    /// A client with what `config` says.
    ///
    /// # Errors
    ///
    /// There are no credentials.
    pub(super) async fn new(config: &SdkConfig) -> Result<Self, BoxError> {
        let provider = config
            .credentials_provider()
            .ok_or("no credentials are set")?;
        let credentials = provider.provide_credentials().await?;
        let settings = HttpConnectorSettings::builder()
            .connect_timeout(cloud::CONNECT_TIMEOUT)
            .read_timeout(cloud::READ_TIMEOUT)
            .build();
        let connector = Connector::builder()
            .connector_settings(settings)
            .tls_provider(tls::Provider::Rustls(
                tls::rustls_provider::CryptoMode::Ring,
            ))
            .build();
        Ok(Self {
            lambda: endpoint(config, Service::Lambda),
            iam: endpoint(config, Service::Iam),
            credentials,
            connector,
        })
    }

    /// Reads `path`, which may have a query, of Lambda.
    pub(super) async fn lambda<T: for<'de> Deserialize<'de>>(
        &self,
        action: &'static str,
        path: &str,
    ) -> Result<T, Refusal> {
        let answer = self
            .call(Service::Lambda, action, path, String::new())
            .await?;
        serde_json::from_slice(&answer).map_err(|error| unreadable(action, &error))
    }

    /// Asks IAM.
    pub(super) async fn iam<T: for<'de> Deserialize<'de>>(
        &self,
        action: &'static str,
        form: String,
    ) -> Result<T, Refusal> {
        let answer = self.call(Service::Iam, action, "/", form).await?;
        let text = String::from_utf8_lossy(&answer);
        quick_xml::de::from_str(&text).map_err(|error| unreadable(action, &error))
    }

    async fn call(
        &self,
        service: Service,
        action: &'static str,
        path: &str,
        form: String,
    ) -> Result<Vec<u8>, Refusal> {
        let mut pause = FIRST_PAUSE;
        for attempt in 1.. {
            let (passes, refusal) = match self.send(service, path, &form).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(Refused { status, error })) => {
                    let (code, message) = error;
                    let throttled = code.contains("Throttl") || code == "TooManyRequestsException";
                    let refusal = Refusal {
                        action,
                        code,
                        message,
                    };
                    (status >= 500 || throttled, refusal)
                }
                Err(error) => {
                    let refusal = Refusal {
                        action,
                        code: String::new(),
                        message: crate::terminal::causes(&*error),
                    };
                    (true, refusal)
                }
            };
            if !passes || attempt >= ATTEMPTS_MAX {
                return Err(refusal);
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
        }
        unreachable!("the last attempt returns")
    }

    async fn send(
        &self,
        service: Service,
        path: &str,
        form: &str,
    ) -> Result<Result<Vec<u8>, Refused>, BoxError> {
        let endpoint = match service {
            Service::Lambda => &self.lambda,
            Service::Iam => &self.iam,
        };
        let request = sign(
            endpoint,
            service,
            &self.credentials,
            SystemTime::now(),
            path,
            form,
        )?;
        let answer = self.connector.call(request.try_into()?).await?;
        let status = answer.status().as_u16();
        let error_type = answer.headers().get("x-amzn-errortype").map(str::to_owned);
        let body = answer.into_body().collect().await?.to_bytes();
        if (200..300).contains(&status) {
            return Ok(Ok(body.into()));
        }
        let error = match service {
            Service::Lambda => lambda_error(error_type.as_deref(), &body),
            Service::Iam => iam_error(&body),
        };
        Ok(Err(Refused { status, error }))
    }
}

/// A request for `path`: a GET, or a POST of `form` if that is not empty.
fn sign(
    endpoint: &Endpoint,
    service: Service,
    credentials: &Credentials,
    now: SystemTime,
    path: &str,
    form: &str,
) -> Result<Request<SdkBody>, BoxError> {
    let url = format!("{}{path}", endpoint.url.trim_end_matches('/'));
    let method = if form.is_empty() {
        Method::GET
    } else {
        Method::POST
    };
    let content_type = (!form.is_empty()).then_some((
        "content-type",
        "application/x-www-form-urlencoded; charset=utf-8",
    ));
    let identity = Identity::from(credentials.clone());
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&endpoint.region)
        .name(service.signing_name())
        .time(now)
        .settings(SigningSettings::default())
        .build()?
        .into();
    let signable = SignableRequest::new(
        method.as_str(),
        &url,
        content_type.into_iter(),
        SignableBody::Bytes(form.as_bytes()),
    )?;
    let (instructions, _signature) = aws_sigv4::http_request::sign(signable, &params)?.into_parts();
    let mut request = Request::builder().method(method).uri(&url);
    if let Some((name, value)) = content_type {
        request = request.header(name, value);
    }
    let mut request = request.body(SdkBody::from(form))?;
    instructions.apply_to_request_http1x(&mut request);
    Ok(request)
}

/// Where a service is: what is configured for it, or for all, or else AWS' own address.
///
/// <https://docs.aws.amazon.com/sdkref/latest/guide/feature-ss-endpoints.html>
fn endpoint(config: &SdkConfig, service: Service) -> Endpoint {
    let own = config.region().map_or("us-east-1", AsRef::as_ref);
    // IAM is one for all of a partition's Regions, and in one of them.
    // https://docs.aws.amazon.com/general/latest/gr/iam-service.html
    let (suffix, global, iam) = if own.starts_with("cn-") {
        ("amazonaws.com.cn", "cn-north-1", "iam.cn-north-1")
    } else if own.starts_with("us-gov-") {
        ("amazonaws.com", "us-gov-west-1", "iam.us-gov")
    } else {
        ("amazonaws.com", "us-east-1", "iam")
    };
    let is_fips = config.use_fips().unwrap_or_default();
    let (region, default) = match service {
        Service::Lambda if is_fips => (own, format!("https://lambda-fips.{own}.{suffix}")),
        Service::Lambda => (own, format!("https://lambda.{own}.{suffix}")),
        Service::Iam => (global, format!("https://{iam}.{suffix}")),
    };
    let key = ServiceConfigKey::builder()
        .service_id(service.id())
        .env("AWS_ENDPOINT_URL")
        .profile("endpoint_url")
        .build();
    let configured = key
        .ok()
        .and_then(|key| config.service_config()?.load_config(key));
    let configured = configured.or_else(|| config.endpoint_url().map(str::to_owned));
    Endpoint {
        url: configured.unwrap_or(default),
        region: region.to_owned(),
    }
}

/// Code and message of an error of Lambda.
fn lambda_error(error_type: Option<&str>, body: &[u8]) -> (String, String) {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Body {
        #[serde(alias = "Message")]
        message: String,
        #[serde(rename = "__type")]
        kind: String,
    }
    let Body { message, kind } = serde_json::from_slice(body).unwrap_or_default();
    // `namespace#Name`, or `Name:https://…`.
    let code = error_type.unwrap_or(&kind);
    let code = code.rsplit('#').next().unwrap_or(code);
    let code = code.split(':').next().unwrap_or(code);
    (code.to_owned(), message)
}

/// Code and message of an error of IAM.
fn iam_error(body: &[u8]) -> (String, String) {
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Body {
        error: Error,
    }
    #[derive(Default, Deserialize)]
    #[serde(rename_all = "PascalCase", default)]
    struct Error {
        code: String,
        message: String,
    }
    let body: Body = quick_xml::de::from_str(&String::from_utf8_lossy(body)).unwrap_or_default();
    (body.error.code, body.error.message)
}

fn unreadable(action: &'static str, error: &dyn std::error::Error) -> Refusal {
    Refusal {
        action,
        code: String::new(),
        message: format!("the answer is not understood: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use aws_config::{BehaviorVersion, Region};

    use super::*;

    #[test]
    fn services_are_where_the_region_and_the_settings_say() {
        let at = |region: &'static str, url: Option<&str>, fips: bool| {
            let mut config = SdkConfig::builder()
                .behavior_version(BehaviorVersion::latest())
                .region(Region::new(region))
                .use_fips(fips);
            if let Some(url) = url {
                config = config.endpoint_url(url);
            }
            let config = config.build();
            [Service::Lambda, Service::Iam].map(|service| {
                let Endpoint { url, region } = endpoint(&config, service);
                format!("{url} {region}")
            })
        };
        let cases = [
            (
                at("eu-west-1", None, false),
                [
                    "https://lambda.eu-west-1.amazonaws.com eu-west-1",
                    "https://iam.amazonaws.com us-east-1",
                ],
            ),
            (
                at("us-east-2", None, true),
                [
                    "https://lambda-fips.us-east-2.amazonaws.com us-east-2",
                    "https://iam.amazonaws.com us-east-1",
                ],
            ),
            (
                at("cn-northwest-1", None, false),
                [
                    "https://lambda.cn-northwest-1.amazonaws.com.cn cn-northwest-1",
                    "https://iam.cn-north-1.amazonaws.com.cn cn-north-1",
                ],
            ),
            (
                at("us-gov-east-1", None, false),
                [
                    "https://lambda.us-gov-east-1.amazonaws.com us-gov-east-1",
                    "https://iam.us-gov.amazonaws.com us-gov-west-1",
                ],
            ),
            (
                at("eu-west-1", Some("http://localhost:1"), false),
                [
                    "http://localhost:1 eu-west-1",
                    "http://localhost:1 us-east-1",
                ],
            ),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }

    /// By <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv.html>: what is signed is what is sent.
    #[test]
    fn requests_are_signed() {
        let endpoint = Endpoint {
            url: "https://lambda.eu-west-1.amazonaws.com/".to_owned(),
            region: "eu-west-1".to_owned(),
        };
        let token = Some("token".to_owned());
        let credentials = Credentials::new("AKID", "secret", token, None, "test");
        let path = "/2015-03-31/functions/F/configuration?Qualifier=live";
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
        let request = sign(&endpoint, Service::Lambda, &credentials, now, path, "").unwrap();
        assert_eq!(request.method(), Method::GET);
        assert_eq!(
            request.uri().to_string(),
            format!("https://lambda.eu-west-1.amazonaws.com{path}")
        );
        assert_eq!(request.headers()["x-amz-security-token"], "token");
        let authorization = request.headers()["authorization"].to_str().unwrap();
        assert!(
            authorization.starts_with(
                "AWS4-HMAC-SHA256 Credential=AKID/20231114/eu-west-1/lambda/aws4_request, \
                 SignedHeaders=host;x-amz-date;x-amz-security-token, Signature="
            ),
            "{authorization}"
        );
        let form = sign(&endpoint, Service::Iam, &credentials, now, "/", "Action=A").unwrap();
        assert_eq!(form.method(), Method::POST);
        assert_eq!(form.body().bytes(), Some(&b"Action=A"[..]));
        let authorization = form.headers()["authorization"].to_str().unwrap();
        assert!(
            authorization.contains("SignedHeaders=content-type;host;"),
            "{authorization}"
        );
    }

    #[test]
    fn errors_have_their_code_and_message() {
        let body = br#"{"Type":"User","Message":"Function not found: arn"}"#;
        let url = Some("ResourceNotFoundException:http://internal.amazon.com/coral/");
        for (found, code) in [
            (lambda_error(Some("ResourceNotFoundException"), body), "ResourceNotFoundException"),
            (lambda_error(url, body), "ResourceNotFoundException"),
            (lambda_error(None, br#"{"__type":"a.b#Denied","message":"Function not found: arn"}"#), "Denied"),
            (
                iam_error(
                    b"<ErrorResponse xmlns=\"x\"><Error><Type>Sender</Type><Code>NoSuchEntity</Code>\
                      <Message>Function not found: arn</Message></Error><RequestId>1</RequestId></ErrorResponse>",
                ),
                "NoSuchEntity",
            ),
        ] {
            assert_eq!(found, (code.to_owned(), "Function not found: arn".to_owned()));
        }
        assert_eq!(
            lambda_error(None, b"<html>"),
            (String::new(), String::new())
        );
    }
}
