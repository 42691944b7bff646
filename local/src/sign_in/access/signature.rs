//! [Signature Version 4](https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html),
//! checked. S3 has its own in `s3s`.

use http::HeaderMap;
use http::request::Parts;
use ring::{digest, hmac};

use crate::server::header;

/// Whether the request was signed with `secret_access_key`.
pub(super) fn is_valid(head: &Parts, body: &[u8], secret_access_key: &str) -> bool {
    check(head, body, secret_access_key).is_some()
}

fn check(head: &Parts, body: &[u8], secret_access_key: &str) -> Option<()> {
    let authorization = header(&head.headers, "authorization")?;
    let parts = authorization.strip_prefix("AWS4-HMAC-SHA256")?;
    let part = |name: &str| {
        let found = parts
            .split(',')
            .find_map(|part| part.trim().strip_prefix(name));
        found.and_then(|value| value.strip_prefix('='))
    };
    let (_, scope) = part("Credential")?.split_once('/')?;
    let signed_headers = part("SignedHeaders")?;
    let signature = hex::decode(part("Signature")?).ok()?;
    let [date, region, service, "aws4_request"] = scope.split('/').collect::<Vec<_>>()[..] else {
        return None;
    };
    let time = header(&head.headers, "x-amz-date")?;
    if !time.starts_with(date) {
        return None;
    }

    let canonical = format!(
        "{}\n{}\n{}\n{}\n{signed_headers}\n{}",
        head.method,
        head.uri.path(),
        canonical_query(head.uri.query().unwrap_or_default()),
        canonical_headers(&head.headers, signed_headers)?,
        sha256(body)
    );
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{time}\n{scope}\n{}",
        sha256(canonical.as_bytes())
    );
    let mut key = hmac::Key::new(
        hmac::HMAC_SHA256,
        format!("AWS4{secret_access_key}").as_bytes(),
    );
    for step in [date, region, service, "aws4_request"] {
        let tag = hmac::sign(&key, step.as_bytes());
        key = hmac::Key::new(hmac::HMAC_SHA256, tag.as_ref());
    }
    hmac::verify(&key, to_sign.as_bytes(), &signature).ok()
}

fn canonical_query(query: &str) -> String {
    let mut parameters: Vec<&str> = query.split('&').filter(|part| !part.is_empty()).collect();
    parameters.sort_unstable();
    parameters.join("&")
}

/// Lines of the signed headers; `None` if one is missing.
fn canonical_headers(headers: &HeaderMap, names: &str) -> Option<String> {
    let line = |name: &str| {
        let value = header(headers, name)?;
        let value: Vec<&str> = value.split_whitespace().collect();
        Some(format!("{name}:{}\n", value.join(" ")))
    };
    names.split(';').map(line).collect()
}

fn sha256(data: &[u8]) -> String {
    hex::encode(digest::digest(&digest::SHA256, data))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether AWS's example of a signed request is still valid after a change.
    fn check(change: impl FnOnce(&mut Parts, &mut Vec<u8>)) -> bool {
        // `get-vanilla-query-order-key-case` of AWS's test suite for Signature Version 4, whose body is empty.
        let request = http::Request::get("/?Param2=value2&Param1=value1")
            .header("host", "example.amazonaws.com")
            .header("x-amz-date", "20150830T123600Z")
            .header(
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, \
                 SignedHeaders=host;x-amz-date, \
                 Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
            );
        let (mut head, ()) = request.body(()).unwrap().into_parts();
        let mut body = Vec::new();
        change(&mut head, &mut body);
        is_valid(&head, &body, "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY")
    }

    #[test]
    fn the_example_of_aws_is_valid_and_every_change_of_it_is_not() {
        assert!(check(|_, _| ()));
        assert!(!check(|_, body| body.push(b' ')));
        assert!(!check(|head, _| head.method = http::Method::POST));
        assert!(!check(
            |head, _| head.uri = http::Uri::from_static("/?Param1=value1")
        ));
        for (name, value) in [
            ("host", "example.com"),
            ("x-amz-date", "20150830T123601Z"),
            ("x-amz-date", "20150831T123600Z"),
            ("authorization", "Basic eA=="),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=a/b, SignedHeaders=host, Signature=00",
            ),
        ] {
            let value = http::HeaderValue::from_static(value);
            assert!(
                !check(|head, _| drop(head.headers.insert(name, value.clone()))),
                "{value:?}"
            );
        }
        assert!(!check(|head, _| drop(head.headers.remove("host"))));
    }
}
