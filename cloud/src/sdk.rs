//! The configuration of the AWS SDK.

use std::path::Path;
use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_types::service_config::ServiceConfigKey;
use hyper_util::client::proxy::matcher::Matcher;
use rustls::RootCertStore;
use rustls_native_certs::{CertificateResult, load_certs_from_paths};

/// How long to wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one attempt of a call may take until its response begins.
pub const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// A setting of the environment that other AWS tools obey and Intake does not.
///
/// <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-proxy.html>,
/// <https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html>
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unsupported {
    /// A proxy stands between here and AWS.
    #[error("{variable} sends requests to {host} through a proxy, which Intake does not use")]
    Proxy {
        /// The variable that names it.
        variable: &'static str,
        /// A host that would be reached through it.
        host: String,
    },
    /// Certificates are trusted that only this variable names.
    #[error("AWS_CA_BUNDLE names certificates to trust, and Intake does not read it")]
    CaBundle,
    /// There is nothing to trust where the variable says. The SDK's client is not made without.
    #[error("{variable} names no certificate to trust{why}")]
    Certificates {
        /// The variable.
        variable: &'static str,
        /// What went wrong, as the end of a sentence.
        why: String,
    },
}

impl Unsupported {
    /// What to do about it.
    pub fn fix(&self) -> String {
        match self {
            Self::Proxy { variable, .. } => format!(
                "if AWS can be reached without the proxy, unset {variable} for Intake (env -u {variable} ...) or add \
                 .amazonaws.com to NO_PROXY; if not, run Intake where it can, for example in the VPC"
            ),
            Self::CaBundle => {
                "name the same file in SSL_CERT_FILE: export SSL_CERT_FILE=\"$AWS_CA_BUNDLE\""
                    .to_owned()
            }
            Self::Certificates { variable, .. } => format!(
                "name a PEM file of certificates in SSL_CERT_FILE, or unset {variable} for Intake (env -u {variable} ...) to trust \
                 those of the system"
            ),
        }
    }
}

/// The configuration that the environment gives, as for every AWS tool, with TLS by rustls and ring.
///
/// <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>
///
/// # Errors
///
/// [`Unsupported`] if the environment asks for a way to AWS that Intake does not take.
pub async fn sdk_config() -> Result<SdkConfig, Unsupported> {
    let env = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    check_certificates(env)?;
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build();
    let http = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    let config = aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts)
        .http_client(http)
        .load()
        .await;
    check(env, &endpoints(&config))?;
    Ok(config)
}

/// The endpoints of S3 and DynamoDB, without which Intake does nothing.
fn endpoints(config: &SdkConfig) -> Vec<String> {
    let endpoint = |service_id: &str, host: &str| {
        let key = ServiceConfigKey::builder()
            .service_id(service_id)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok()?;
        let services = config.service_config();
        let set = services.and_then(|services| services.load_config(key));
        let set = set.or_else(|| config.endpoint_url().map(str::to_owned));
        let region = config.region();
        set.or_else(|| Some(format!("https://{host}.{}.amazonaws.com", region?)))
    };
    [("DynamoDB", "dynamodb"), ("S3", "s3")]
        .into_iter()
        .filter_map(|(service_id, host)| endpoint(service_id, host))
        .collect()
}

/// Looks whether there are certificates where the environment says, which it may with an empty value, too. The SDK's client trusts
/// no others then, and wants one.
fn check_certificates(env: impl Fn(&str) -> Option<String>) -> Result<(), Unsupported> {
    let (file, folders) = (env("SSL_CERT_FILE"), env("SSL_CERT_DIR"));
    let (variable, value) = match (&file, &folders) {
        (Some(file), _) => ("SSL_CERT_FILE", file),
        (None, Some(folders)) => ("SSL_CERT_DIR", folders),
        (None, None) => return Ok(()),
    };
    let file = file
        .as_ref()
        .map(|file| load_certs_from_paths(Some(Path::new(file)), None));
    let folders = folders.iter().flat_map(std::env::split_paths);
    let folders = folders.map(|folder| load_certs_from_paths(None, Some(&folder)));
    let mut why = if value.is_empty() {
        ": it is empty".to_owned()
    } else {
        String::new()
    };
    for CertificateResult { certs, errors, .. } in file.into_iter().chain(folders) {
        let (valid, _) = RootCertStore::empty().add_parsable_certificates(certs);
        if valid > 0 {
            return Ok(());
        }
        if let (true, Some(error)) = (why.is_empty(), errors.first()) {
            why = format!(": {error}");
        }
    }
    Err(Unsupported::Certificates { variable, why })
}

/// Looks for settings that matter on the way to `endpoints`. The machine itself is reached without proxy and TLS.
fn check(env: impl Fn(&str) -> Option<String>, endpoints: &[String]) -> Result<(), Unsupported> {
    let first = |names: [&'static str; 2]| {
        let mut set = names
            .into_iter()
            .filter_map(|name| Some((name, env(name).filter(|value| !value.is_empty())?)));
        set.next()
    };
    // The variable is refused whatever it holds: what names no proxy that can be used is ignored by the matcher, and obeyed in
    // another way by other tools.
    let value = |found: &Option<(&str, String)>| match found {
        Some(_) => "http://proxy.invalid",
        None => "",
    };
    let all = first(["ALL_PROXY", "all_proxy"]);
    let http = first(["HTTP_PROXY", "http_proxy"]);
    let https = first(["HTTPS_PROXY", "https_proxy"]);
    let no_proxy = first(["NO_PROXY", "no_proxy"]).map_or_else(String::new, |(_, hosts)| hosts);
    // As other tools, which take both for all hosts below. The matcher has no pattern but `*`.
    let no_proxy = no_proxy.replace("*.", ".");
    let matcher = Matcher::builder()
        .all(value(&all))
        .http(value(&http))
        .https(value(&https))
        .no(no_proxy)
        .build();
    let has_bundle =
        first(["AWS_CA_BUNDLE"; 2]).is_some() && first(["SSL_CERT_FILE", "SSL_CERT_DIR"]).is_none();
    for endpoint in endpoints {
        // What is no address fails with the first request.
        let Ok(uri) = endpoint.parse() else { continue };
        let through = matcher.intercept(&uri);
        let host = uri.host().unwrap_or_default();
        if is_here(host) {
            continue;
        }
        let is_tls = uri.scheme_str() == Some("https");
        let proxy = if is_tls { &https } else { &http };
        if let (Some(_), Some((variable, _))) = (through, proxy.as_ref().or(all.as_ref())) {
            return Err(Unsupported::Proxy {
                variable,
                host: host.to_owned(),
            });
        }
        if is_tls && has_bundle {
            return Err(Unsupported::CaBundle);
        }
    }
    Ok(())
}

fn is_here(host: &str) -> bool {
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address: Option<std::net::IpAddr> = address.parse().ok();
    host == "localhost" || address.is_some_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_asks_for_in_vain_is_refused_by_name() {
        const AWS: &str = "https://dynamodb.eu-west-1.amazonaws.com";
        const PROXY: &str = "http://proxy.example:3128";
        let proxy = |variable| Err(Some(variable));
        let bundle = Err(None);
        for (env, endpoint, expected) in [
            (&[][..], AWS, Ok(())),
            (&[("HTTPS_PROXY", PROXY)], AWS, proxy("HTTPS_PROXY")),
            (&[("https_proxy", PROXY)], AWS, proxy("https_proxy")),
            (&[("ALL_PROXY", PROXY)], AWS, proxy("ALL_PROXY")),
            (
                &[("all_proxy", "socks5h://proxy.example:1")],
                AWS,
                proxy("all_proxy"),
            ),
            (&[("HTTPS_PROXY", "")], AWS, Ok(())),
            // It is for another scheme.
            (&[("HTTP_PROXY", PROXY)], AWS, Ok(())),
            (
                &[("HTTP_PROXY", PROXY)],
                "http://minio.example:9000",
                proxy("HTTP_PROXY"),
            ),
            (
                &[("HTTPS_PROXY", PROXY)],
                "http://minio.example:9000",
                Ok(()),
            ),
            // NO_PROXY covers it, or something else.
            (
                &[
                    ("HTTPS_PROXY", PROXY),
                    ("NO_PROXY", "localhost, .amazonaws.com"),
                ],
                AWS,
                Ok(()),
            ),
            (&[("HTTPS_PROXY", PROXY), ("no_proxy", "*")], AWS, Ok(())),
            (
                &[("HTTPS_PROXY", PROXY), ("NO_PROXY", "x, *.amazonaws.com")],
                AWS,
                Ok(()),
            ),
            (
                &[("HTTPS_PROXY", PROXY), ("NO_PROXY", "*.example.com")],
                AWS,
                proxy("HTTPS_PROXY"),
            ),
            // What is no proxy is not obeyed in silence.
            (
                &[("HTTPS_PROXY", "http://user:pa ss@h:1")],
                AWS,
                proxy("HTTPS_PROXY"),
            ),
            (&[("https_proxy", "http://")], AWS, proxy("https_proxy")),
            (&[("ALL_PROXY", "h\u{1b}\n:1")], AWS, proxy("ALL_PROXY")),
            (
                &[("HTTPS_PROXY", PROXY), ("NO_PROXY", "example.com")],
                AWS,
                proxy("HTTPS_PROXY"),
            ),
            (
                &[("HTTP_PROXY", PROXY), ("NO_PROXY", "10.0.0.0/8")],
                "http://10.1.2.3:8000",
                Ok(()),
            ),
            // This machine.
            (&[("HTTP_PROXY", PROXY)], "http://127.0.0.1:8000", Ok(())),
            (&[("ALL_PROXY", PROXY)], "http://[::1]:8000", Ok(())),
            (
                &[("ALL_PROXY", PROXY), ("AWS_CA_BUNDLE", "/x.pem")],
                "https://localhost:8000",
                Ok(()),
            ),
            (&[("AWS_CA_BUNDLE", "/x.pem")], AWS, bundle),
            (&[("AWS_CA_BUNDLE", "")], AWS, Ok(())),
            (
                &[("AWS_CA_BUNDLE", "/x.pem")],
                "http://minio.example:9000",
                Ok(()),
            ),
            (
                &[("AWS_CA_BUNDLE", "/x.pem"), ("SSL_CERT_FILE", "/x.pem")],
                AWS,
                Ok(()),
            ),
            (
                &[("AWS_CA_BUNDLE", "/x.pem"), ("SSL_CERT_DIR", "/certs")],
                AWS,
                Ok(()),
            ),
        ] {
            let get = |name: &str| {
                let mut set = env.iter().filter(|(set, _)| *set == name);
                set.next().map(|(_, value)| (*value).to_owned())
            };
            let found = check(get, &[endpoint.to_owned()]).map_err(|error| match error {
                Unsupported::Proxy { variable, .. } => {
                    assert!(error.fix().contains(variable) && error.to_string().contains(variable));
                    Some(variable)
                }
                Unsupported::CaBundle | Unsupported::Certificates { .. } => None,
            });
            assert_eq!(found, expected, "{env:?} {endpoint}");
        }
    }

    #[test]
    fn certificates_that_are_not_there_are_refused_by_the_name_of_their_variable() {
        let folder =
            std::env::temp_dir().join(format!("intake-certificates-{}", std::process::id()));
        let empty = folder.join("empty");
        std::fs::create_dir_all(&empty).unwrap();
        let text = folder.join("text.pem");
        let garbage = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
        std::fs::write(&text, garbage).unwrap();
        let [empty, text] = [&empty, &text].map(|path| path.to_str().unwrap());
        for (env, refused) in [
            (&[][..], None),
            (&[("SSL_CERT_FILE", "/nonexistent")], Some("SSL_CERT_FILE")),
            (&[("SSL_CERT_FILE", "")], Some("SSL_CERT_FILE")),
            (&[("SSL_CERT_FILE", "/dev/null")], Some("SSL_CERT_FILE")),
            (&[("SSL_CERT_FILE", text)], Some("SSL_CERT_FILE")),
            (&[("SSL_CERT_DIR", empty)], Some("SSL_CERT_DIR")),
            (
                &[("SSL_CERT_DIR", empty), ("SSL_CERT_FILE", "/nonexistent")],
                Some("SSL_CERT_FILE"),
            ),
        ] {
            let get = |name: &str| {
                let mut set = env.iter().filter(|(set, _)| *set == name);
                set.next().map(|(_, value)| (*value).to_owned())
            };
            let found = check_certificates(get).err();
            let named = found.as_ref().map(|error| match error {
                Unsupported::Certificates { variable, .. } => *variable,
                other => panic!("{other}"),
            });
            assert_eq!(named, refused, "{env:?}: {found:?}");
        }
        std::fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn endpoints_are_those_of_the_configuration() {
        let nothing = || SdkConfig::builder().behavior_version(BehaviorVersion::latest());
        let config = || nothing().region(aws_config::Region::new("eu-west-1"));
        assert_eq!(
            endpoints(&config().build()),
            [
                "https://dynamodb.eu-west-1.amazonaws.com",
                "https://s3.eu-west-1.amazonaws.com"
            ]
        );
        assert_eq!(
            endpoints(&config().endpoint_url("http://localhost:1").build()),
            ["http://localhost:1"; 2]
        );
        assert_eq!(endpoints(&nothing().build()), [""; 0]);
    }
}
