//! The side that is called.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use futures::{Stream, StreamExt as _};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::server::WebPkiClientVerifier;
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;
use tonic::transport::server::Connected;
use tracing::{debug, info, warn};

use crate::files::{TlsError, authorities, certificates, key};
use crate::stream::Secured;

/// Time a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Handshakes under way at once; more connections wait in the kernel's queue.
const HANDSHAKES_MAX: usize = 128;
/// How often the files are looked at for a change, at most.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// TLS of a gRPC door.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// File with the certificate of this server and those between it and the authority, PEM.
    pub cert_file: PathBuf,
    /// File with the private key of the certificate, PEM.
    pub key_file: PathBuf,
    /// Files with the authorities that clients' certificates must come from, PEM. Empty (the default) lets in clients
    /// without a certificate.
    #[serde(default)]
    pub client_ca_files: Vec<PathBuf>,
}

/// Speaks TLS with those who connect; follows changes of its files.
#[derive(Debug)]
pub struct Acceptor {
    files: ServerTls,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    config: Arc<ServerConfig>,
    /// Times of the files' last changes when they were read.
    stamps: Vec<Option<SystemTime>>,
    looked: Instant,
}

impl Acceptor {
    /// Reads the files.
    ///
    /// # Errors
    /// A file cannot be read, or its content cannot be used.
    pub fn load(files: ServerTls) -> Result<Self, TlsError> {
        let state = State { stamps: stamps(&files), config: config(&files)?, looked: Instant::now() };
        Ok(Self { files, state: Mutex::new(state) })
    }

    /// The configuration of the files as they are now; where they cannot be used, as they were.
    fn config(&self) -> Arc<ServerConfig> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if state.looked.elapsed() >= LOOK_EVERY {
            state.looked = Instant::now();
            self.follow(&mut state);
        }
        state.config.clone()
    }

    fn follow(&self, state: &mut State) {
        let stamps = stamps(&self.files);
        if stamps == state.stamps {
            return;
        }
        match config(&self.files) {
            Ok(config) => {
                info!(cert = %self.files.cert_file.display(), "took up a new certificate");
                (state.config, state.stamps) = (config, stamps);
            }
            // Half-written files are normal; the next look finds them whole.
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                warn!(error, "the new certificate cannot be used; going on with the old one");
            }
        }
    }

    /// Does the handshake of one connection.
    ///
    /// # Errors
    /// The client speaks no TLS, is not trusted, or takes too long.
    pub async fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> io::Result<Secured<S>> {
        let handshake = TlsAcceptor::from(self.config()).accept(stream);
        match tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await {
            Ok(stream) => Ok(Secured::Tls(Box::new(stream?))),
            Err(_) => Err(io::Error::from(io::ErrorKind::TimedOut)),
        }
    }
}

/// Connections after their handshakes, or as they come without TLS. A handshake that fails ends its connection and no
/// other.
pub fn secured<S, I>(incoming: I, acceptor: Option<Arc<Acceptor>>) -> impl Stream<Item = io::Result<Secured<S>>> + Send
where
    S: AsyncRead + AsyncWrite + Connected + Unpin + Send + 'static,
    I: Stream<Item = io::Result<S>> + Send + 'static,
{
    let opening = incoming.map(move |stream| {
        let acceptor = acceptor.clone();
        async move {
            match (stream, acceptor) {
                (Ok(stream), Some(acceptor)) => match acceptor.accept(stream).await {
                    Ok(stream) => Some(Ok(stream)),
                    Err(error) => {
                        debug!(%error, "a TLS handshake failed");
                        None
                    }
                },
                (Ok(stream), None) => Some(Ok(Secured::Plain(stream))),
                (Err(error), _) => Some(Err(error)),
            }
        }
    });
    opening.buffer_unordered(HANDSHAKES_MAX).filter_map(std::future::ready)
}

fn config(files: &ServerTls) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .map_err(TlsError::Versions)?;
    let builder = if files.client_ca_files.is_empty() {
        builder.with_no_client_auth()
    } else {
        let roots = Arc::new(authorities(&files.client_ca_files)?.0);
        let verifier = WebPkiClientVerifier::builder_with_provider(roots, provider).build();
        builder.with_client_cert_verifier(verifier.map_err(TlsError::ClientAuthorities)?)
    };
    let (cert, key_file) = (&files.cert_file, &files.key_file);
    let mut config = builder
        .with_single_cert(certificates(cert)?, key(key_file)?)
        .map_err(|cause| TlsError::Identity { cert: cert.clone(), key: key_file.clone(), cause })?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(Arc::new(config))
}

fn stamps(files: &ServerTls) -> Vec<Option<SystemTime>> {
    let all = [&files.cert_file, &files.key_file].into_iter().chain(&files.client_ca_files);
    all.map(|path| std::fs::metadata(path).and_then(|facts| facts.modified()).ok()).collect()
}
