//! The dashboard's files, as the content network serves them: with the headers of `DashboardHeaders` in `sam/template.yaml`, its
//! `config.json`, and `index.html` for every path that is no file.

use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use axum::body::Body;
use http::{HeaderName, HeaderValue, Method, Request, Response, StatusCode, header};
use percent_encoding::percent_decode_str;

use crate::server::{Handler, response};

/// Headers that do not depend on the addresses. Without `Strict-Transport-Security`: browsers ignore it over HTTP.
const HEADERS: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    (
        "permissions-policy",
        "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
    ),
    ("cross-origin-opener-policy", "same-origin"),
];

/// The directives of the template's policy, in their order, before and after `connect-src`. Without
/// `upgrade-insecure-requests`: there is no HTTPS here.
const POLICY: [&[&str]; 2] = [
    &[
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self'",
        "font-src 'self'",
        "manifest-src 'self'",
        "worker-src 'self'",
    ],
    &[
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    ],
];

const NOT_BUILT: &str = "The dashboard is not built. In the folder dashboard run: npm ci && npm run build\n\
    and give another folder than dashboard/dist to: intake local --dashboard DIR\n";

/// The dashboard at one address.
#[derive(Debug)]
pub(crate) struct Dashboard {
    /// Read at every request, so that a new build shows at once.
    folder: Option<PathBuf>,
    config: String,
    policy: HeaderValue,
}

impl Handler for Dashboard {
    async fn handle(self: Arc<Self>, request: Request<Body>) -> Response<Body> {
        let path = percent_decode_str(request.uri().path()).decode_utf8_lossy();
        let path = path.trim_start_matches('/').to_owned();
        let dashboard = Arc::clone(&self);
        let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
        // Files are read by blocking; the error is that it panicked.
        let found = tokio::task::spawn_blocking(move || dashboard.find(&path)).await;
        let (status, content_type, content) = match found {
            _ if !is_read => (StatusCode::METHOD_NOT_ALLOWED, "text/plain", Vec::new()),
            Ok(Ok((content_type, content))) => (StatusCode::OK, content_type, content),
            Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {
                let not_built = NOT_BUILT.as_bytes().to_vec();
                (StatusCode::NOT_FOUND, "text/plain", not_built)
            }
            error => {
                tracing::warn!(?error, "cannot read a file of the dashboard");
                (StatusCode::INTERNAL_SERVER_ERROR, "text/plain", Vec::new())
            }
        };
        // The server leaves the body out if only the head is asked for.
        let mut response = response(status, content_type, content);
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.insert(header::CONTENT_SECURITY_POLICY, self.policy.clone());
        for (name, value) in HEADERS {
            let name = HeaderName::from_static(name);
            headers.insert(name, HeaderValue::from_static(value));
        }
        response
    }
}

impl Dashboard {
    /// Serves the files of `folder`, for a page that calls `services`.
    pub(crate) fn new(folder: Option<PathBuf>, config: String, services: [&str; 3]) -> Self {
        let [before, after] = POLICY.map(|directives| directives.join("; "));
        let policy = format!(
            "{before}; connect-src 'self' {}; {after}",
            services.join(" ")
        );
        Self {
            folder,
            config,
            // Addresses of loopback are ASCII.
            policy: HeaderValue::try_from(policy)
                .unwrap_or_else(|_| HeaderValue::from_static("default-src 'none'")),
        }
    }

    /// The content at a path below the page's address, and its type.
    fn find(&self, path: &str) -> io::Result<(&'static str, Vec<u8>)> {
        if path == "config.json" {
            return Ok((content_type("json"), self.config.clone().into_bytes()));
        }
        let folder = self.folder.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let path = Path::new(path);
        let is_inside = path
            .components()
            .all(|component| matches!(component, Component::Normal(_)));
        let mut file = folder.join(path);
        if !is_inside || !file.is_file() {
            file = folder.join("index.html");
        }
        let extension = file.extension().and_then(|extension| extension.to_str());
        Ok((
            content_type(extension.unwrap_or_default()),
            std::fs::read(&file)?,
        ))
    }
}

fn content_type(extension: &str) -> &'static str {
    match extension {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "json" | "map" => "application/json",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "wasm" => "application/wasm",
        "webmanifest" => "application/manifest+json",
        "txt" => "text/plain; charset=utf-8",
        _ => "application/octet-stream",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEMPLATE: &str = include_str!("../../../sam/template.yaml");

    fn after(mark: &str) -> impl Iterator<Item = &'static str> {
        TEMPLATE.split_once(mark).unwrap().1.lines().map(str::trim)
    }

    #[test]
    fn the_policy_is_that_of_the_template_but_for_addresses_and_https() {
        let template: Vec<&str> = after("ContentSecurityPolicy: !Join\n")
            .skip(1)
            .map_while(|line| {
                let line = line.strip_prefix("- - ").or(line.strip_prefix("- "))?;
                Some(line.trim_matches('"'))
            })
            // Items of the list within, which says what the page may connect to.
            .filter(|line| !line.starts_with("!Sub") && !line.starts_with("connect-src"))
            .filter(|line| !matches!(*line, "!Join" | "' '" | "upgrade-insecure-requests"))
            .collect();
        assert_eq!(POLICY.concat(), template);
    }

    #[test]
    fn the_other_headers_are_those_of_the_template_but_for_https() {
        let custom: Vec<(String, &str)> = {
            let lines: Vec<&str> = after("CustomHeadersConfig:\n").take(7).collect();
            let value = |line: &'static str, name: &str| line.split_once(name).map(|found| found.1);
            lines
                .windows(2)
                .filter_map(|pair| {
                    let name = value(pair[0], "Header: ")?;
                    Some((name.to_lowercase(), value(pair[1], "Value: ")?))
                })
                .collect()
        };
        let expected = [HEADERS[3], HEADERS[4]].map(|(name, value)| (name.to_owned(), value));
        assert_eq!(custom, expected);
        for line in [
            "FrameOption: DENY",
            "ReferrerPolicy: no-referrer",
            "ContentTypeOptions:",
        ] {
            assert!(TEMPLATE.contains(line), "{line}");
        }
    }

    #[test]
    fn no_path_leads_out_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let dist = folder.path().join("dist");
        std::fs::create_dir_all(dist.join("assets")).unwrap();
        std::fs::write(folder.path().join("secret.txt"), "secret").unwrap();
        std::fs::write(dist.join("index.html"), "index").unwrap();
        std::fs::write(dist.join("assets/a.js"), "script").unwrap();
        std::fs::write(dist.join("config.json"), "of another stack").unwrap();
        let dashboard = Dashboard::new(Some(dist), "{}".to_owned(), [""; 3]);
        for (path, expected) in [
            ("", "index"),
            ("imports/x", "index"),
            ("assets", "index"),
            ("assets/a.js", "script"),
            ("config.json", "{}"),
            ("../secret.txt", "index"),
            ("assets/../../secret.txt", "index"),
            ("/etc/passwd", "index"),
        ] {
            let (_, content) = dashboard.find(path).unwrap();
            assert_eq!(String::from_utf8(content).unwrap(), expected, "{path}");
        }
    }
}
