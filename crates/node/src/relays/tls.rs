//! TLS towards relays.

use std::io;
use std::sync::Arc;

use tokio::sync::OnceCell;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{CryptoProvider, ring, verify_tls13_signature};
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::version::TLS13;
use tokio_rustls::rustls::{
    ClientConfig, DigitallySignedStruct, Error as TlsError, RootCertStore, SignatureScheme,
};

use super::dial::Stream;

/// The one protocol that is spoken inside, as TLS names it.
const HTTP2: &[u8] = b"h2";

/// Makes TLS of streams.
pub(crate) struct Tls {
    /// What stands for certificates; read when it is first needed.
    roots: OnceCell<Arc<RootCertStore>>,
}

impl Tls {
    /// With the authorities that this machine trusts.
    pub(crate) const fn of_this_machine() -> Self {
        Self { roots: OnceCell::const_new() }
    }

    /// With these authorities only.
    #[cfg(test)]
    pub(crate) fn trusting(roots: RootCertStore) -> Self {
        Self { roots: OnceCell::new_with(Some(Arc::new(roots))) }
    }

    /// The handshake, with a certificate for `host` that is good.
    ///
    /// # Errors
    /// `InvalidData` when there is no TLS or no good certificate; else of the stream.
    pub(super) async fn verified(&self, host: &str, stream: Stream) -> io::Result<Stream> {
        let roots = Arc::clone(self.roots.get_or_try_init(load_roots).await?);
        // req: RLY-68
        let config = builder()?.with_root_certificates(roots).with_no_client_auth();
        handshake(config, host, stream).await
    }

    /// The handshake, with any certificate.
    ///
    /// # Errors
    /// As [`Tls::verified`].
    pub(super) async fn unverified(&self, host: &str, stream: Stream) -> io::Result<Stream> {
        let verifier = Arc::new(AnyCertificate(Arc::new(ring::default_provider())));
        let config =
            builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        handshake(config, host, stream).await
    }
}

type Builder =
    tokio_rustls::rustls::ConfigBuilder<ClientConfig, tokio_rustls::rustls::WantsVerifier>;

fn builder() -> io::Result<Builder> {
    ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&[&TLS13])
        .map_err(io::Error::other)
}

async fn handshake(mut config: ClientConfig, host: &str, stream: Stream) -> io::Result<Stream> {
    config.alpn_protocols = vec![HTTP2.to_vec()];
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    Ok(Box::new(stream))
}

async fn load_roots() -> io::Result<Arc<RootCertStore>> {
    let loading = tokio::task::spawn_blocking(|| {
        let loaded = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        // Some machines have some that are not well-formed; the others serve.
        let (taken, _odd) = roots.add_parsable_certificates(loaded.certs);
        if taken == 0 {
            tracing::warn!(
                "this machine trusts no certificate authority, so no relay is reached over TLS: \
                 install its certificates (often the package ca-certificates)"
            );
            return Err(io::Error::from(io::ErrorKind::NotFound));
        }
        Ok(Arc::new(roots))
    });
    loading.await.map_err(io::Error::other)?
}

/// Takes any certificate; the other side still has to have its key.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(TlsError::General("only TLS 1.3 is offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
