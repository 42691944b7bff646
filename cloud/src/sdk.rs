//! The configuration of the AWS SDK.

use std::time::Duration;

use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::Provider;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;

/// How long to wait for a connection.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// How long one attempt of a call may take until its response begins.
pub const READ_TIMEOUT: Duration = Duration::from_secs(20);

/// The configuration that the environment gives, as for every AWS tool, with TLS by rustls and ring.
///
/// <https://docs.aws.amazon.com/sdkref/latest/guide/standardized-credentials.html>
pub async fn sdk_config() -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .build();
    let http = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https();
    aws_config::defaults(BehaviorVersion::latest())
        .timeout_config(timeouts)
        .http_client(http)
        .load()
        .await
}
