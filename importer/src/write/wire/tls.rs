//! TLS by rustls and ring, with the roots that the SDK's client trusts.

use std::sync::{Arc, LazyLock};

use rustls::{ClientConfig, RootCertStore};
use rustls_native_certs::CertificateResult;

/// One configuration for all connections of the process, so that they resume each other's sessions.
///
/// The roots are the platform's, or those of `SSL_CERT_FILE` and `SSL_CERT_DIR`.
static CONFIG: LazyLock<Result<Arc<ClientConfig>, rustls::Error>> = LazyLock::new(|| {
    let CertificateResult { certs, errors, .. } = rustls_native_certs::load_native_certs();
    for error in errors {
        tracing::warn!(%error, "root certificates not loaded");
    }
    let mut roots = RootCertStore::empty();
    // As the SDK does: a root that rustls does not understand does not keep the others from being used.
    let (valid, _) = roots.add_parsable_certificates(certs);
    if valid == 0 {
        tracing::warn!("there are no root certificates to trust");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(Arc::new(config))
});

/// The configuration of all connections.
pub(super) fn config() -> Result<Arc<ClientConfig>, rustls::Error> {
    CONFIG.clone()
}

/// What to do about an error of a TLS connection, if it is about the server's certificate.
pub(super) fn certificate_fix(error: &std::io::Error) -> Option<&'static str> {
    let cause = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    matches!(
        cause,
        rustls::Error::InvalidCertificate(_) | rustls::Error::NoCertificatesPresented
    )
    .then_some(
        "trust the endpoint's certificate authority: name its PEM file in SSL_CERT_FILE, or check AWS_ENDPOINT_URL and \
         what stands between here and AWS",
    )
}
