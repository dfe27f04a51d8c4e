//! Which servers are trusted.

use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{VerifierBuilderError, WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, RootCertStore, SignatureScheme};

/// Judges a server's certificate. Whomever it trusts, the handshake's signature is checked.
#[derive(Debug)]
pub struct Judge {
    provider: Arc<CryptoProvider>,
    trust: Trust,
}

#[derive(Debug)]
enum Trust {
    Everybody,
    Named { chains: Arc<WebPkiServerVerifier>, named: Vec<CertificateDer<'static>> },
}

impl Judge {
    /// Trusts any certificate.
    #[must_use]
    pub const fn lenient(provider: Arc<CryptoProvider>) -> Self {
        Self { provider, trust: Trust::Everybody }
    }

    /// Trusts chains to an authority and, as Go's TLS does, a server that shows the very certificate that was named: many
    /// sign their server's certificate by itself.
    ///
    /// # Errors
    /// There is no authority.
    pub fn strict(
        provider: Arc<CryptoProvider>,
        authorities: RootCertStore,
        named: Vec<CertificateDer<'static>>,
    ) -> Result<Self, VerifierBuilderError> {
        let chains =
            WebPkiServerVerifier::builder_with_provider(Arc::new(authorities), Arc::clone(&provider)).build()?;
        Ok(Self { provider, trust: Trust::Named { chains, named } })
    }
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Trust::Named { chains, named } = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        let judged = chains.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match &judged {
            Err(error) if named.contains(end_entity) && is_of_chain(error) => {
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            _ => judged,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Whether only the chain is what is wrong: nobody known signed it, or an authority shows its own certificate. What is
/// wrong with the certificate's time is told before.
fn is_of_chain(error: &rustls::Error) -> bool {
    match error {
        rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer) => true,
        // Of a type that is not ours to name.
        rustls::Error::InvalidCertificate(CertificateError::Other(other)) => {
            format!("{:?}", other.0).contains("CaUsedAsEndEntity")
        }
        _ => false,
    }
}

/// The name that a certificate must be valid for; `None` where it is no name of a server. `*.example.com` is none, but
/// people give it where the certificate has it, and Go's TLS takes it; a certificate that has it is valid for every name
/// below, so one of these is asked for.
#[must_use]
pub fn server_name(name: &str) -> Option<ServerName<'static>> {
    let below = name.strip_prefix("*.").map(|parent| format!("any.{parent}"));
    ServerName::try_from(below.unwrap_or_else(|| name.to_owned())).ok()
}
