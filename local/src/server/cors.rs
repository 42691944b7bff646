//! Which pages may call the services from a browser.

use std::time::Duration;

use http::{HeaderName, HeaderValue, Method, Uri};
use tower_http::cors::{AllowHeaders, AllowOrigin, CorsLayer};

/// How long a browser may remember an answer, as in the template's `CorsConfiguration`.
const MAX_AGE: Duration = Duration::from_hours(1);

/// Lets pages of this machine call, whatever their port: the dashboard, and one that is being developed. A page of the
/// internet that is open in the same browser may not.
pub(crate) fn cors<const N: usize>(exposed: [&'static str; N]) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(|origin, _| is_loopback(origin)))
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::PUT,
            Method::POST,
            Method::DELETE,
        ])
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(exposed.map(HeaderName::from_static))
        .max_age(MAX_AGE)
}

fn is_loopback(origin: &HeaderValue) -> bool {
    let uri = origin
        .to_str()
        .ok()
        .and_then(|text| text.parse::<Uri>().ok());
    let host = uri.as_ref().and_then(Uri::host);
    host.is_some_and(|host| matches!(host, "localhost" | "127.0.0.1" | "[::1]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_pages_of_this_machine_may_call() {
        for (origin, may) in [
            ("http://127.0.0.1:4515", true),
            ("http://localhost:5173", true),
            ("http://[::1]:1", true),
            ("https://localhost", true),
            ("http://localhost.example.com", false),
            ("http://127.0.0.1.example.com:80", false),
            ("http://example.com", false),
            ("http://user@example.com", false),
            ("null", false),
        ] {
            assert_eq!(
                is_loopback(&HeaderValue::from_static(origin)),
                may,
                "{origin}"
            );
        }
    }
}
