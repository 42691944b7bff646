//! Signs requests, AWS Signature Version 4, with everything prepared that they have in common.
//!
//! What does not change with the body is made once a second, and the signing key once a day, so that a request costs
//! three hashes, one of them over its body.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html>

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings};
use aws_sigv4::sign::v4;
use aws_smithy_runtime_api::client::identity::Identity;
use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_LENGTH, InvalidHeaderValue};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use sha2::{Digest as _, Sha256};
use time::OffsetDateTime;
use time::format_description::BorrowedFormatItem;
use time::macros::format_description;

use super::credentials::Loaded;
use super::endpoint::Endpoint;

const TIME: &[BorrowedFormatItem<'_>] =
    format_description!("[year][month][day]T[hour][minute][second]Z");
/// Length of the date that a formatted time begins with.
const DATE_LENGTH: usize = 8;
const X_AMZ_DATE: HeaderName = HeaderName::from_static("x-amz-date");
const X_AMZ_SECURITY_TOKEN: HeaderName = HeaderName::from_static("x-amz-security-token");

/// A request that is ready to be sent.
pub(super) type Signed = Request<Full<Bytes>>;

/// Why a request cannot be signed.
#[derive(Debug, thiserror::Error)]
pub(super) enum SignError {
    /// The clock shows a year that has not four digits.
    #[error("the time cannot be written")]
    Time(#[from] time::error::Format),
    /// The session token is none.
    #[error("the credentials do not fit into a header")]
    Credentials(#[from] InvalidHeaderValue),
    /// The SDK's signer, asked for comparison, refuses.
    #[error("the SDK cannot sign for this endpoint")]
    Reference(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// Signs one lane's requests.
#[derive(Debug)]
pub(super) struct Signer {
    endpoint: Arc<Endpoint>,
    uri: Uri,
    day: Option<Day>,
    second: Option<Second>,
    /// Memory for what is hashed.
    text: String,
}

/// What a day's requests with the same credentials share.
#[derive(Debug)]
struct Day {
    date: String,
    credentials: Arc<Loaded>,
    key: Vec<u8>,
}

/// What a second's requests with the same credentials share.
#[derive(Debug)]
struct Second {
    since_epoch: Duration,
    credentials: Arc<Loaded>,
    headers: HeaderMap,
    /// The canonical request up to the length of the body.
    canonical_start: String,
    /// The canonical request from there up to the hash of the body.
    canonical_end: String,
    /// The string to sign up to the hash of the canonical request.
    to_sign: String,
    /// The `Authorization` header up to the signature.
    authorization: String,
}

impl Signer {
    pub(super) fn new(endpoint: Arc<Endpoint>) -> Self {
        Self {
            uri: Uri::from(endpoint.path.clone()),
            endpoint,
            day: None,
            second: None,
            text: String::new(),
        }
    }

    /// A request with `body`, signed at `now`.
    pub(super) fn sign(
        &mut self,
        now: SystemTime,
        credentials: &Arc<Loaded>,
        body: Bytes,
    ) -> Result<Signed, SignError> {
        self.prepare(now, credentials)?;
        // Both were just made.
        let (Some(day), Some(second)) = (&self.day, &self.second) else {
            unreachable!("prepare makes what it does not find")
        };
        let text = &mut self.text;
        text.clear();
        text.push_str(&second.canonical_start);
        // Writing to a string does not fail.
        write!(text, "{}", body.len()).ok();
        text.push_str(&second.canonical_end);
        push_hash(text, &body);
        let canonical_hash = Sha256::digest(text.as_bytes());
        text.clear();
        text.push_str(&second.to_sign);
        push_hex(text, &canonical_hash);
        let signature = v4::calculate_signature(&day.key, text.as_bytes());

        let mut authorization = Vec::with_capacity(second.authorization.len() + signature.len());
        authorization.extend_from_slice(second.authorization.as_bytes());
        authorization.extend_from_slice(signature.as_bytes());
        let mut headers = second.headers.clone();
        headers.insert(
            AUTHORIZATION,
            HeaderValue::from_maybe_shared(Bytes::from(authorization))?,
        );
        // The transport adds the length.
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.headers_mut() = headers;
        Ok(request)
    }

    fn prepare(&mut self, now: SystemTime, credentials: &Arc<Loaded>) -> Result<(), SignError> {
        let since_epoch = now
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap_or_default();
        if let Some(second) = &self.second
            && second.since_epoch.as_secs() == since_epoch.as_secs()
            && Arc::ptr_eq(&second.credentials, credentials)
        {
            return Ok(());
        }
        let time = OffsetDateTime::from(now).format(TIME)?;
        let date = &time[..DATE_LENGTH];
        let endpoint = &*self.endpoint;
        let keys = &credentials.credentials;
        if !self
            .day
            .as_ref()
            .is_some_and(|day| day.date == date && Arc::ptr_eq(&day.credentials, credentials))
        {
            let key = v4::generate_signing_key(
                keys.secret_access_key(),
                now,
                &endpoint.region,
                &endpoint.service,
            );
            self.day = Some(Day {
                date: date.to_owned(),
                credentials: Arc::clone(credentials),
                key: key.as_ref().to_vec(),
            });
        }

        let mut headers = endpoint.headers.clone();
        let mut signed = endpoint.signed.clone();
        headers.insert(X_AMZ_DATE, HeaderValue::from_str(&time)?);
        signed.push(X_AMZ_DATE);
        if let Some(token) = keys.session_token() {
            let mut token = HeaderValue::from_str(token)?;
            token.set_sensitive(true);
            headers.insert(X_AMZ_SECURITY_TOKEN, token);
            signed.push(X_AMZ_SECURITY_TOKEN);
        }
        signed.push(CONTENT_LENGTH);
        signed.sort_by(|a, b| a.as_str().cmp(b.as_str()));

        // The body's length and the body's hash are what a request adds.
        let mut canonical_start = format!("{}\n{}\n\n", Method::POST, endpoint.path.path());
        let mut canonical_end = String::new();
        let mut part = &mut canonical_start;
        for name in &signed {
            part.push_str(name.as_str());
            part.push(':');
            if name == CONTENT_LENGTH {
                part = &mut canonical_end;
            } else {
                for (index, value) in headers.get_all(name).iter().enumerate() {
                    part.push_str(if index > 0 { "," } else { "" });
                    part.push_str(&String::from_utf8_lossy(value.as_bytes()));
                }
            }
            part.push('\n');
        }
        let names: Vec<&str> = signed.iter().map(HeaderName::as_str).collect();
        let names = names.join(";");
        write!(canonical_end, "\n{names}\n").ok();

        let scope = format!(
            "{date}/{}/{}/aws4_request",
            endpoint.region, endpoint.service
        );
        self.second = Some(Second {
            since_epoch,
            credentials: Arc::clone(credentials),
            headers,
            canonical_start,
            canonical_end,
            to_sign: format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n"),
            authorization: format!(
                "AWS4-HMAC-SHA256 Credential={}/{scope}, SignedHeaders={names}, Signature=",
                keys.access_key_id()
            ),
        });
        Ok(())
    }

    /// Whether this signer and the SDK's sign a request for the endpoint alike.
    ///
    /// They do for every endpoint known. A path that must be escaped is where they would part.
    pub(super) fn agrees_with_sdk(
        &mut self,
        now: SystemTime,
        credentials: &Arc<Loaded>,
    ) -> Result<bool, SignError> {
        let body = Bytes::from_static(b"{}");
        let expected = reference(&self.endpoint, now, credentials, &body)?;
        let signed = self.sign(now, credentials, body)?;
        Ok(signed.headers().get(AUTHORIZATION) == expected.get(AUTHORIZATION))
    }
}

fn push_hash(text: &mut String, bytes: &[u8]) {
    push_hex(text, &Sha256::digest(bytes));
}

fn push_hex(text: &mut String, hash: &[u8]) {
    let mut digits = [0; 64];
    // A SHA-256 hash is 32 bytes, and its digits are ASCII.
    hex::encode_to_slice(hash, &mut digits).ok();
    text.push_str(str::from_utf8(&digits).unwrap_or_default());
}

/// The headers that the SDK's signer adds to a request.
fn reference(
    endpoint: &Endpoint,
    now: SystemTime,
    credentials: &Arc<Loaded>,
    body: &[u8],
) -> Result<HeaderMap, SignError> {
    let failed = |error: Box<dyn std::error::Error + Send + Sync>| SignError::Reference(error);
    let identity = Identity::from(credentials.credentials.clone());
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(&endpoint.region)
        .name(&endpoint.service)
        .time(now)
        .settings(SigningSettings::default())
        .build()
        .map_err(|e| failed(e.into()))?
        .into();
    let length = body.len().to_string();
    let mut headers = vec![(CONTENT_LENGTH.as_str(), length.as_str())];
    for name in &endpoint.signed {
        for value in endpoint.headers.get_all(name) {
            headers.push((name.as_str(), value.to_str().unwrap_or_default()));
        }
    }
    let scheme = if endpoint.is_tls { "https" } else { "http" };
    let host = endpoint.headers.get(http::header::HOST);
    let host = host.and_then(|host| host.to_str().ok()).unwrap_or_default();
    let request = SignableRequest::new(
        "POST",
        format!("{scheme}://{host}{}", endpoint.path),
        headers.into_iter(),
        SignableBody::Bytes(body),
    )
    .map_err(|e| failed(e.into()))?;
    let (instructions, _) = aws_sigv4::http_request::sign(request, &params)
        .map_err(|e| failed(e.into()))?
        .into_parts();
    let mut signed = Request::new(());
    instructions.apply_to_request_http1x(&mut signed);
    Ok(std::mem::take(signed.headers_mut()))
}

#[cfg(test)]
mod tests {
    use aws_credential_types::Credentials;
    use http::header::{CONTENT_TYPE, HOST, USER_AGENT};
    use proptest::prelude::*;

    use super::*;

    fn endpoint(host: &str, path: &str, region: &str) -> Arc<Endpoint> {
        let target = HeaderName::from_static("x-amz-target");
        let agent = HeaderName::from_static("x-amz-user-agent");
        let headers = [
            (HOST, host),
            (CONTENT_TYPE, "application/x-amz-json-1.0"),
            (USER_AGENT, "aws-sdk-rust/1 os/linux"),
            (target.clone(), "DynamoDB_20120810.BatchWriteItem"),
            (agent.clone(), "aws-sdk-rust/1 api/dynamodb/1 m/E,b"),
        ];
        let headers = headers
            .into_iter()
            .map(|(name, value)| (name, value.parse().unwrap()));
        Arc::new(Endpoint {
            host: host.to_owned(),
            port: 443,
            is_tls: true,
            path: path.parse().unwrap(),
            headers: headers.collect(),
            signed: vec![target, HOST, agent, CONTENT_TYPE],
            region: region.to_owned(),
            service: "dynamodb".to_owned(),
        })
    }

    fn loaded(id: &str, secret: &str, token: Option<&str>) -> Arc<Loaded> {
        let token = token.map(str::to_owned);
        Arc::new(Loaded::first(Credentials::new(
            id, secret, token, None, "test",
        )))
    }

    /// Asserts that all headers that a signer adds are those of the SDK's.
    fn assert_like_sdk(
        signer: &mut Signer,
        now: SystemTime,
        credentials: &Arc<Loaded>,
        body: &[u8],
    ) {
        let expected = reference(&signer.endpoint, now, credentials, body).unwrap();
        let request = signer.sign(now, credentials, Bytes::copy_from_slice(body));
        let request = request.unwrap();
        for (name, value) in &expected {
            assert_eq!(request.headers().get(name), Some(value), "{name}");
        }
        let constant = signer.endpoint.headers.len();
        assert_eq!(request.headers().len(), constant + expected.len());
    }

    proptest! {
        #[test]
        fn signatures_are_the_sdks(
            requests in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..3000), 0_u64..200_000_000_000), 1..4),
            id in "[A-Z0-9]{16,20}",
            secret in "[ -~]{1,60}",
            token in prop::option::of("[!-~]{1,300}"),
            host in "[a-z0-9.-]{1,40}(:[1-9][0-9]{0,3})?",
            path in "/([a-z0-9_~.-]{1,8}/)?",
            region in "[a-z]{2}-[a-z]{4,9}-[1-9]",
        ) {
            prop_assume!(!path.contains("/./") && !path.contains("/../"));
            let mut signer = Signer::new(endpoint(&host, &path, &region));
            let credentials = loaded(&id, &secret, token.as_deref());
            for (body, milliseconds) in requests {
                let now = SystemTime::UNIX_EPOCH + Duration::from_millis(milliseconds);
                assert_like_sdk(&mut signer, now, &credentials, &body);
            }
        }
    }

    #[test]
    fn what_is_prepared_does_not_outlive_its_second_its_day_or_its_credentials() {
        let mut signer = Signer::new(endpoint(
            "dynamodb.eu-west-1.amazonaws.com",
            "/",
            "eu-west-1",
        ));
        let first = loaded("AKIDFIRST", "first", None);
        let second = loaded("ASIASECOND", "second", Some("token"));
        let midnight = SystemTime::UNIX_EPOCH + Duration::from_hours(24 * 20_000);
        for (offset_ms, credentials) in [
            (-2001, &first),
            (-2000, &first),
            (-1500, &first),
            (-1, &first),
            (0, &first),
            (1, &second),
            (2, &second),
            // A clock that was put right.
            (-2000, &second),
            (86_400_000, &second),
            (86_400_000, &first),
        ] {
            let offset = Duration::from_millis(i64::unsigned_abs(offset_ms));
            let now = if offset_ms < 0 {
                midnight - offset
            } else {
                midnight + offset
            };
            assert_like_sdk(&mut signer, now, credentials, b"body");
        }
    }

    #[test]
    fn an_endpoint_that_the_sdk_signs_otherwise_is_noticed() {
        let credentials = loaded("AKID", "secret", None);
        let now = SystemTime::UNIX_EPOCH + Duration::from_hours(500_000);
        for (path, agrees) in [
            ("/", true),
            ("/a/b", true),
            ("/a%20b", false),
            ("/a//b", false),
        ] {
            let mut signer = Signer::new(endpoint("localhost:8000", path, "eu-west-1"));
            assert_eq!(
                signer.agrees_with_sdk(now, &credentials).unwrap(),
                agrees,
                "{path}"
            );
        }
    }
}
