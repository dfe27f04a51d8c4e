//! TLS: whom to trust and who we are.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_name};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio_rustls::TlsConnector;

use crate::settings::TlsSettings;

/// Prepares TLS for one application protocol.
///
/// # Errors
/// A certificate or key file cannot be read or holds none.
pub(super) fn connector(settings: &TlsSettings, protocol: &[u8]) -> Result<TlsConnector> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .context("TLS cannot be set up")?;
    let trust = if settings.allow_insecure {
        Trust::Everybody
    } else {
        let (roots, named) = roots(settings)?;
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
            .build()
            .context("TLS cannot be set up")?;
        Trust::Named { chains, named }
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(Judge { provider, trust }));
    let mut config = match &settings.client {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => {
            let chain = certificates(cert)?;
            let key = PrivateKeyDer::from_pem_file(key)
                .map_err(|e| anyhow!("cannot read a PEM private key from {}: {e}", key.display()))?;
            builder.with_client_auth_cert(chain, key).context("the client certificate cannot be used")?
        }
    };
    config.alpn_protocols = vec![protocol.to_vec()];
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Refuses certificates and keys that cannot be read.
///
/// # Errors
/// A file is missing or holds none.
pub(super) fn check(settings: &TlsSettings) -> Result<()> {
    settings.ca_files.iter().try_for_each(|path| certificates(path).map(drop))?;
    // The system's roots take long to read, and cannot be wrong.
    if settings.client.is_some() {
        connector(&TlsSettings { allow_insecure: true, ..settings.clone() }, b"h2")?;
    }
    Ok(())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let place = || format!("cannot load cert '{}'", path.display());
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|e| anyhow!("{e}"))
        .with_context(place)?;
    if found.is_empty() {
        return Err(anyhow!("must be a PEM encoded certificate")).with_context(place);
    }
    Ok(found)
}

/// Whom to trust, and the certificates in files that were named.
fn roots(settings: &TlsSettings) -> Result<(RootCertStore, Vec<CertificateDer<'static>>)> {
    let mut roots = RootCertStore::empty();
    if settings.ca_files.is_empty() {
        let system = rustls_native_certs::load_native_certs();
        let (added, _) = roots.add_parsable_certificates(system.certs);
        if added == 0 {
            return Err(anyhow!("this system has no root certificates: install them, or see --tls-ca-cert-files"));
        }
    }
    let mut named = Vec::new();
    for path in &settings.ca_files {
        for certificate in certificates(path)? {
            named.push(certificate.clone());
            roots.add(certificate).with_context(|| format!("cannot trust the certificate in {}", path.display()))?;
        }
    }
    Ok((roots, named))
}

/// The name that a certificate must be valid for. `*.example.com` is no name, but people give it where the certificate
/// has it, and Go's TLS takes it; a certificate that has it is valid for every name below, so one of these is asked for.
///
/// # Errors
/// It is no name of a server.
pub(super) fn server_name(name: &str) -> Result<ServerName<'static>> {
    let below = name.strip_prefix("*.").map(|parent| format!("any.{parent}"));
    ServerName::try_from(below.unwrap_or_else(|| name.to_owned()))
        .map_err(|_| anyhow!("{name:?} is not a name that a certificate can have: see --tls-server-name"))
}

/// Judges a server's certificate. Whomever it trusts, the handshake's signature is checked.
#[derive(Debug)]
struct Judge {
    provider: Arc<CryptoProvider>,
    trust: Trust,
}

/// Whom to trust.
#[derive(Debug)]
enum Trust {
    /// What `--tls-allow-insecure` asks for: any certificate will do.
    Everybody,
    /// Chains to an authority and, as Go's TLS does, a server that shows the very certificate that was named: many sign
    /// their server's certificate by itself.
    Named { chains: Arc<WebPkiServerVerifier>, named: Vec<CertificateDer<'static>> },
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
