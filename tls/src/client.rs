//! The side that calls.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use rustls::crypto::ring;
use serde::{Deserialize, Serialize};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::codegen::http::Uri;
use tonic::transport::{Channel, Endpoint};

use crate::files::{TlsError, authorities, certificates, key};
use crate::server::{Acceptor, ServerTls};
use crate::trust::{Judge, server_name};

/// Bytes on their way in a handshake within this process; more wait.
const HANDSHAKE_BYTES: usize = 16 * 1024;

/// TLS towards servers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientTls {
    /// Files with the authorities that servers' certificates must come from, PEM; or with such a certificate itself.
    pub ca_files: Vec<PathBuf>,
    /// File with the certificate to show, PEM; none by default.
    #[serde(default)]
    pub cert_file: Option<PathBuf>,
    /// File with the private key of that certificate, PEM; none by default.
    #[serde(default)]
    pub key_file: Option<PathBuf>,
    /// Name that the servers' certificates must have. By default the one that the server was told of with, else its
    /// host.
    #[serde(default)]
    pub server_name: Option<String>,
}

/// A server to connect to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dial {
    /// Host: a name or an address without brackets.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Name its certificate must have; `None` for the host.
    pub server_name: Option<String>,
}

/// No connection could be made.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// TLS cannot be set up.
    #[error("TLS cannot be set up")]
    Tls(#[from] TlsError),
    /// The name to check is none.
    #[error("{0:?} is no name that a certificate can have")]
    Name(String),
    /// Nobody answers, or the handshake failed.
    #[error("no TLS connection")]
    Transport(#[source] tonic::transport::Error),
    /// One side refused the other.
    #[error("the TLS handshake failed")]
    Handshake(#[source] io::Error),
}

/// Connects over TLS. The files are read each time, so a connection that is made anew takes renewed certificates.
///
/// `endpoint` gives timeouts and windows; its address should be `http://host:port`, for the TLS is not tonic's.
///
/// # Errors
/// A file cannot be used, nobody answers, or the server is not trusted.
pub async fn connect(endpoint: Endpoint, dial: Dial, settings: &ClientTls) -> Result<Channel, ConnectError> {
    let tls = TlsConnector::from(config(settings)?);
    let name = settings.server_name.clone().or(dial.server_name).unwrap_or_else(|| dial.host.clone());
    let name = server_name(&name).ok_or(ConnectError::Name(name))?;
    let address = Arc::new((dial.host, dial.port));
    let connector = tower::service_fn(move |_: Uri| {
        let (tls, name, address) = (tls.clone(), name.clone(), address.clone());
        async move {
            let stream = TcpStream::connect((address.0.as_str(), address.1)).await?;
            stream.set_nodelay(true)?;
            Ok::<_, io::Error>(TokioIo::new(tls.connect(name, stream).await?))
        }
    });
    endpoint.connect_with_connector(connector).await.map_err(ConnectError::Transport)
}

/// Does the handshake that a client with these settings would have with a server at `host`, within this process.
///
/// # Errors
/// A file cannot be used, the client does not trust the server, or the server not the client.
pub async fn rehearse(server: &ServerTls, client: &ClientTls, host: &str) -> Result<(), ConnectError> {
    let acceptor = Acceptor::load(server.clone())?;
    let connector = TlsConnector::from(config(client)?);
    let name = client.server_name.clone().unwrap_or_else(|| host.to_owned());
    let name = server_name(&name).ok_or(ConnectError::Name(name))?;
    let (near, far) = tokio::io::duplex(HANDSHAKE_BYTES);
    let (connected, accepted) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
    // A client that refuses says why; the server then sees no more than a connection that ended.
    connected.map_err(ConnectError::Handshake)?;
    accepted.map(|_| ()).map_err(ConnectError::Handshake)
}

fn config(settings: &ClientTls) -> Result<Arc<ClientConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let (authorities, named) = authorities(&settings.ca_files)?;
    let judge = Judge::strict(Arc::clone(&provider), authorities, named).map_err(TlsError::ServerAuthorities)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(judge));
    let mut config = match (&settings.cert_file, &settings.key_file) {
        (None, None) => builder.with_no_client_auth(),
        (Some(cert), Some(key_file)) => builder
            .with_client_auth_cert(certificates(cert)?, key(key_file)?)
            .map_err(|cause| TlsError::Identity { cert: cert.clone(), key: key_file.clone(), cause })?,
        _ => return Err(TlsError::HalfIdentity),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}
