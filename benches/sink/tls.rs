//! TLS as AWS endpoints offer it: HTTP/1.1, sessions resumed by tickets.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair, KeyUsagePurpose};
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::{HandshakeKind, ServerConfig, crypto::ring};
use tempfile::NamedTempFile;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};

/// A certificate of this process, and the handshakes made with it.
pub(crate) struct Tls {
    acceptor: TlsAcceptor,
    /// Removed when the program ends.
    authority: NamedTempFile,
    full: AtomicU64,
    resumed: AtomicU64,
}

impl Tls {
    /// Makes a certificate for the loopback address, and the file with the certificate authority that signed it.
    ///
    /// # Errors
    ///
    /// The file cannot be written.
    pub(crate) fn new() -> io::Result<Self> {
        let mut ours = CertificateParams::default();
        // Clients refuse an authority's own certificate for a server.
        ours.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        ours.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let certificate = ours.self_signed(&key).map_err(io::Error::other)?;
        let mut authority = tempfile::Builder::new()
            .prefix("sink-authority-")
            .suffix(".pem")
            .tempfile()?;
        io::Write::write_all(&mut authority, certificate.pem().as_bytes())?;

        let issuer = Issuer::new(ours, key);
        let key = KeyPair::generate().map_err(io::Error::other)?;
        let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
        let certificate = CertificateParams::new(names)
            .and_then(|params| params.signed_by(&key, &issuer))
            .map_err(io::Error::other)?;

        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(io::Error::other)?
            .with_no_client_auth()
            .with_single_cert(
                vec![certificate.der().clone()],
                PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
            )
            .map_err(io::Error::other)?;
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.ticketer = ring::Ticketer::new().map_err(io::Error::other)?;
        Ok(Self {
            acceptor: TlsAcceptor::from(Arc::new(config)),
            authority,
            full: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
        })
    }

    /// The file to trust, in PEM.
    pub(crate) fn authority(&self) -> &Path {
        self.authority.path()
    }

    /// The handshakes so far, as a line.
    pub(crate) fn taken(&self) -> String {
        let (full, resumed) = (self.full.load(Relaxed), self.resumed.load(Relaxed));
        format!("TLS {full} full {resumed} resumed\n")
    }
}

/// Agrees with a client on keys; nothing if it goes away or there is no certificate.
pub(crate) async fn handshake(
    tls: Option<&Tls>,
    stream: TcpStream,
) -> Option<TlsStream<TcpStream>> {
    let tls = tls?;
    let stream = tls.acceptor.accept(stream).await.ok()?;
    match stream.get_ref().1.handshake_kind() {
        Some(HandshakeKind::Resumed) => tls.resumed.fetch_add(1, Relaxed),
        _ => tls.full.fetch_add(1, Relaxed),
    };
    Some(stream)
}
