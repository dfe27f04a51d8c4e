//! TLS: whom to trust and who we are.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use tls::Judge;
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
    let judge = if settings.allow_insecure {
        Judge::lenient(provider)
    } else {
        let (roots, named) = roots(settings)?;
        Judge::strict(provider, roots, named).context("TLS cannot be set up")?
    };
    let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(judge));
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
