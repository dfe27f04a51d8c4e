//! Reading certificates and keys.

use std::path::{Path, PathBuf};

use rustls::RootCertStore;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

/// TLS cannot be set up from the files that the settings name.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file of certificates cannot be read.
    #[error("cannot read PEM certificates from {path}")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: rustls::pki_types::pem::Error,
    },
    /// A file holds no certificate.
    #[error("{path} holds no PEM certificate (-----BEGIN CERTIFICATE-----)")]
    NoCertificate {
        /// The file.
        path: PathBuf,
    },
    /// A key cannot be read.
    #[error("cannot read a PEM private key from {path}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: rustls::pki_types::pem::Error,
    },
    /// A certificate cannot be trusted as an authority.
    #[error("a certificate in {path} cannot be an authority to trust")]
    Authority {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: rustls::Error,
    },
    /// Certificate and key do not go together, or are of a kind that is not supported.
    #[error("certificate {cert} and key {key} cannot be used")]
    Identity {
        /// The certificate's file.
        cert: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// Why.
        #[source]
        cause: rustls::Error,
    },
    /// A client's certificate was given without its key, or the other way round.
    #[error("cert_file and key_file go together: set both or none")]
    HalfIdentity,
    /// The authorities for clients are of no use.
    #[error("the authorities of client_ca_files cannot be used to check clients")]
    ClientAuthorities(#[source] rustls::server::VerifierBuilderError),
    /// There are no authorities for servers.
    #[error("ca_files names no authority that servers' certificates could come from")]
    ServerAuthorities(#[source] rustls::client::VerifierBuilderError),
    /// The library refuses its own protocol versions.
    #[error("TLS cannot be set up")]
    Versions(#[source] rustls::Error),
}

/// The certificates of a file, at least one.
pub(crate) fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|cause| TlsError::Certificates { path: path.to_owned(), cause })?;
    if found.is_empty() { Err(TlsError::NoCertificate { path: path.to_owned() }) } else { Ok(found) }
}

/// The private key of a file.
pub(crate) fn key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(path).map_err(|cause| TlsError::Key { path: path.to_owned(), cause })
}

/// The authorities of files, and their certificates as they are.
pub(crate) fn authorities(paths: &[PathBuf]) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), TlsError> {
    let (mut roots, mut named) = (RootCertStore::empty(), Vec::new());
    for path in paths {
        for certificate in certificates(path)? {
            named.push(certificate.clone());
            roots.add(certificate).map_err(|cause| TlsError::Authority { path: path.clone(), cause })?;
        }
    }
    Ok((roots, named))
}
