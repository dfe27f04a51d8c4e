//! Starting the collector and waiting for it to end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flow::{Clock, Emitter, SystemClock};
use tokio::net::{TcpListener, UnixListener};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::field::display;

use crate::capture::CaptureError;
use crate::config::{Config, ConfigError};
use crate::decode::NodeFacts;
use crate::enrich::{DiscoveryError, NamesError};
use crate::feed::OpenError;
use crate::supervise::{self, Parts};
use crate::{listen, source};

/// The collector could not start. The text names the cause and the remedy.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot work.
    #[error("the configuration of the collector cannot work")]
    Config(#[from] ConfigError),
    /// A TCP address could not be listened on.
    #[error("cannot listen on {address} for the {purpose}: {remedy}")]
    Listen {
        /// What it is for, such as `observer API`.
        purpose: &'static str,
        /// The address.
        address: SocketAddr,
        /// What to do about it.
        remedy: String,
        /// The system's reason.
        #[source]
        cause: std::io::Error,
    },
    /// The Unix socket could not be made.
    #[error("cannot make the unix socket {path}: {remedy}")]
    Socket {
        /// Where it should be.
        path: PathBuf,
        /// What to do about it.
        remedy: String,
        /// The system's reason.
        #[source]
        cause: std::io::Error,
    },
    /// The names file, or the network namespaces of this machine, cannot be read.
    #[error("cannot learn who is behind the addresses of this machine")]
    Names(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The source could not be opened.
    #[error("the source of flows could not be opened")]
    Source(#[from] SourceOpenError),
    /// The certificates of the Observer API cannot be used.
    #[error("collector.observer.tls cannot be used")]
    Tls(#[from] tls::TlsError),
    /// The file of peers cannot be used.
    #[error("collector.observer.peers_file cannot be used")]
    Peers(#[from] crate::api::PeersError),
    /// A flow log cannot be written as its settings say.
    #[error("collector.export cannot be used")]
    Export(#[from] crate::export::ExportError),
    /// No thread could be started.
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// The source could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SourceOpenError {
    /// Capture from the kernel cannot start.
    #[error(transparent)]
    Kernel(#[from] CaptureError),
    /// The file cannot be opened.
    #[error(transparent)]
    File(#[from] OpenError),
}

/// A part of the collector failed while it ran.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The source failed for good.
    #[error("the source of flows failed")]
    Source(#[from] source::SourceError),
    /// A listener failed for good.
    #[error("the {0} could not go on")]
    Server(&'static str, #[source] Box<dyn std::error::Error + Send + Sync>),
    /// A task ended by a panic.
    #[error("the {0} ended by a panic, which is a bug")]
    Panicked(&'static str),
    /// Stopping took longer than allowed.
    #[error("stopping took longer than {deadline_ms} ms; still pending: {pending}")]
    Deadline {
        /// The deadline.
        deadline_ms: u64,
        /// What had not ended.
        pending: &'static str,
    },
}

/// A collector at work. It goes on when this is dropped, until its shutdown token is cancelled.
#[derive(Debug)]
pub struct Running {
    /// Address of the Observer API, `None` where it does not listen on TCP.
    pub observer: Option<SocketAddr>,
    /// Unix socket of the Observer API.
    pub socket: Option<PathBuf>,
    /// Address of the Prometheus endpoint.
    pub metrics: Option<SocketAddr>,
    supervisor: JoinHandle<Result<(), RunError>>,
}

impl Running {
    /// Waits until the collector has ended: by its shutdown token, or because a part of it failed.
    ///
    /// # Errors
    /// A part failed, or stopping took longer than the deadline.
    ///
    /// # Cancel safety
    /// When the future is dropped the collector goes on.
    pub async fn wait(self) -> Result<(), RunError> {
        self.supervisor.await.unwrap_or(Err(RunError::Panicked("supervisor")))
    }
}

/// What the collector listens on.
pub(crate) struct Listeners {
    pub(crate) observer: Option<TcpListener>,
    pub(crate) socket: Option<UnixListener>,
    pub(crate) metrics: Option<TcpListener>,
    /// TLS of the observer's TCP port.
    pub(crate) acceptor: Option<Arc<tls::Acceptor>>,
    /// Connections that the observer's TCP port and its socket each may have open.
    pub(crate) connections_max: usize,
}

/// Starts the collector: listeners first, then the source, so that a port in use is told before a program is loaded.
/// Cancelling `shutdown` stops it in order: source, history, readers, listeners.
///
/// # Errors
/// A setting, a listener or the source is not as it must be; nothing is left running then.
pub async fn start(config: Config, shutdown: CancellationToken) -> Result<Running, StartError> {
    config.check()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let listeners = open_listeners(&config).await?;
    let bound = |listener: &Option<TcpListener>| listener.as_ref().and_then(|listener| listener.local_addr().ok());
    let (observer, metrics) = (bound(&listeners.observer), bound(&listeners.metrics));
    let socket = listeners.socket.is_some().then(|| config.observer.socket.clone()).flatten();
    let node = node_facts(&config, &*clock);
    let parts = Parts { config, node, clock, listeners, observer };
    let started = supervise::start(parts, shutdown).await;
    if started.is_err() {
        remove_socket(socket.as_deref());
    }
    let supervisor = started?;
    let path = socket.as_deref().map(Path::display).map(display);
    tracing::info!(
        observer = observer.map(display),
        socket = path,
        metrics = metrics.map(display),
        "collector is open"
    );
    Ok(Running { observer, socket, metrics, supervisor })
}

/// Removes the socket's file, so that nobody takes it for a collector.
pub(crate) fn remove_socket(path: Option<&Path>) {
    if let Some(path) = path
        && let Err(error) = std::fs::remove_file(path)
    {
        tracing::debug!(path = %path.display(), %error, "unix socket not removed");
    }
}

async fn open_listeners(config: &Config) -> Result<Listeners, StartError> {
    let acceptor = config.observer.tls.clone().map(tls::Acceptor::load).transpose()?.map(Arc::new);
    let observer = match config.observer.listen {
        Some(address) => Some(listen::tcp(address, "observer API", "collector.observer.listen").await?),
        None => None,
    };
    let metrics = match config.metrics.listen {
        Some(address) => Some(listen::tcp(address, "metrics", "collector.metrics.listen").await?),
        None => None,
    };
    // Last, because it leaves a file behind.
    let socket = match &config.observer.socket {
        Some(path) => Some(listen::unix(path).await?),
        None => None,
    };
    Ok(Listeners { observer, socket, metrics, acceptor, connections_max: config.observer.connections_max })
}

/// What every flow of this node carries.
pub(crate) fn node_facts(config: &Config, clock: &dyn Clock) -> NodeFacts {
    let own = if config.node_name.is_empty() { host_name() } else { config.node_name.clone() };
    let name = match config.cluster_name.as_str() {
        "" | "default" => own,
        cluster => format!("{cluster}/{own}"),
    };
    // Two collectors would have to start on nodes of one name in the same nanosecond to share this number.
    let run = name
        .bytes()
        .fold(clock.now().0.cast_unsigned(), |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let emitter = Emitter { name: "Weir".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() };
    NodeFacts { name: name.into(), labels: config.node_labels.as_slice().into(), emitter: Arc::new(emitter), run }
}

fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty()).unwrap_or_else(|| "localhost".to_owned())
}

/// Time that stopping may take.
pub(crate) const fn deadline(config: &Config) -> Duration {
    Duration::from_millis(config.shutdown_deadline_ms)
}

impl From<DiscoveryError> for StartError {
    fn from(error: DiscoveryError) -> Self {
        match error {
            DiscoveryError::Thread(cause) => Self::Thread(cause),
            other => Self::Names(Box::new(other)),
        }
    }
}

impl From<NamesError> for StartError {
    fn from(error: NamesError) -> Self {
        Self::Names(Box::new(error))
    }
}
