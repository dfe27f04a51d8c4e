//! Opening a relay's doors and closing them in order.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{JoinError, JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::field::display;
use tracing::{info, warn};

use crate::api;
use crate::config::{Config, ConfigError};
use crate::ingest::{self, Queue};
use crate::listen::{ListenError, listen};
use crate::memory;
use crate::relay::Relay;

/// Connections of scrapers; more wait in the kernel's queue.
const METRICS_CONNECTIONS_MAX: usize = 64;

/// A relay that could not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A setting cannot be.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A port could not be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The certificates of a port cannot be used.
    #[error("relay setting {key}")]
    Tls {
        /// Setting that names them.
        key: &'static str,
        /// Why.
        #[source]
        cause: Box<tls::TlsError>,
    },
    /// The index refuses its limits.
    #[error("relay setting index")]
    Index(#[from] relay_index::ConfigError),
    /// The store cannot be opened.
    #[error("relay setting store")]
    Store(#[from] relay_index::OpenError),
    /// Opening the store panicked, which is a bug.
    #[error("opening the store panicked")]
    Opening(#[source] JoinError),
    /// SQL refuses its limits.
    #[error("relay setting sql")]
    Sql(#[from] relay_query::LimitsError),
}

/// A relay that ended other than asked.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A server ended although nobody asked it to.
    #[error("the {door} server of the relay ended")]
    Door {
        /// Which one.
        door: &'static str,
        /// Why.
        #[source]
        cause: Option<Box<dyn std::error::Error + Send + Sync>>,
    },
    /// A part of the relay panicked, which is a bug.
    #[error("a part of the relay panicked")]
    Panicked(#[source] JoinError),
    /// The shutdown took longer than allowed; what was left was cut off.
    #[error("relay did not stop within {deadline:?}, cut off: {pending}")]
    Deadline {
        /// Time it had.
        deadline: Duration,
        /// What was still open.
        pending: String,
    },
}

/// A relay whose doors are open.
#[derive(Debug)]
pub struct Running {
    grpc: SocketAddr,
    http: SocketAddr,
    flight_sql: Option<SocketAddr>,
    metrics: Option<SocketAddr>,
    supervisor: JoinHandle<Result<(), RunError>>,
}

impl Running {
    /// Address of the gRPC port.
    #[must_use]
    pub const fn grpc_addr(&self) -> SocketAddr {
        self.grpc
    }

    /// Address of the HTTP port.
    #[must_use]
    pub const fn http_addr(&self) -> SocketAddr {
        self.http
    }

    /// Address of the Flight SQL port; `None` where it is switched off.
    #[must_use]
    pub const fn flight_sql_addr(&self) -> Option<SocketAddr> {
        self.flight_sql
    }

    /// Address of the metrics port; `None` where it is switched off.
    #[must_use]
    pub const fn metrics_addr(&self) -> Option<SocketAddr> {
        self.metrics
    }

    /// Waits until the relay has stopped.
    ///
    /// # Errors
    /// A part of it failed, or the shutdown missed its deadline.
    pub async fn wait(self) -> Result<(), RunError> {
        self.supervisor.await.map_err(RunError::Panicked)?
    }
}

/// Opens the relay's doors. It runs until `shutdown`, then stops in order: what takes in, what streams out, the ports.
///
/// # Errors
/// A setting cannot be, or a port cannot be opened; nothing is left running then.
pub async fn start(config: Config, shutdown: CancellationToken) -> Result<Running, StartError> {
    config.validate()?;
    let grpc_acceptor = acceptor("grpc.tls", config.grpc.tls.as_ref())?;
    let flight_sql_acceptor = acceptor("flight_sql.tls", config.flight_sql.tls.as_ref())?;
    let grpc = listen("gRPC", "relay.grpc.listen", config.grpc.listen).await?;
    let http = listen("HTTP", "relay.http.listen", config.http.listen).await?;
    let flight_sql = match config.flight_sql.listen {
        Some(address) => Some(listen("Flight SQL", "relay.flight_sql.listen", address).await?),
        None => None,
    };
    let metrics = match config.metrics.listen {
        Some(address) => Some(listen("metrics", "relay.metrics.listen", address).await?),
        None => None,
    };
    let grpc_addr = local(&grpc, config.grpc.listen);
    let http_addr = local(&http, config.http.listen);
    let flight_sql_addr = flight_sql.as_ref().zip(config.flight_sql.listen).map(|(l, wanted)| local(l, wanted));
    let metrics_addr = metrics.as_ref().zip(config.metrics.listen).map(|(l, wanted)| local(l, wanted));
    let opening = tokio::task::spawn_blocking(move || Relay::new(config, http_addr));
    let (relay, queue) = opening.await.map_err(StartError::Opening)??;
    open_sources(&relay, queue);
    let mut doors = open_doors(&relay, (grpc, grpc_acceptor), http, metrics);
    if let Some(listener) = flight_sql {
        open_flight_sql(&mut doors, &relay, (listener, flight_sql_acceptor));
    }
    let (flight_sql, metrics) = (flight_sql_addr.map(display), metrics_addr.map(display));
    info!(grpc = %grpc_addr, http = %http_addr, flight_sql, metrics, "relay is open");
    warn_of_open_ports(&relay.config, grpc_addr, http_addr, flight_sql_addr);
    let supervisor = tokio::spawn(supervise(relay, doors, shutdown));
    Ok(Running { grpc: grpc_addr, http: http_addr, flight_sql: flight_sql_addr, metrics: metrics_addr, supervisor })
}

fn acceptor(key: &'static str, settings: Option<&tls::ServerTls>) -> Result<Option<Arc<tls::Acceptor>>, StartError> {
    let loaded = settings.cloned().map(tls::Acceptor::load).transpose();
    Ok(loaded.map_err(|cause| StartError::Tls { key, cause: Box::new(cause) })?.map(Arc::new))
}

/// Says which ports give flows to everybody who reaches them from another machine.
fn warn_of_open_ports(config: &Config, grpc: SocketAddr, http: SocketAddr, flight_sql: Option<SocketAddr>) {
    let flight_sql = flight_sql.map(|address| (address, Door::FlightSql(config.flight_sql.tls.as_ref())));
    let doors = [(grpc, Door::Grpc(config.grpc.tls.as_ref())), (http, Door::Http)];
    for (address, door) in doors.into_iter().chain(flight_sql).filter(|(address, _)| !address.ip().is_loopback()) {
        if let Some(remedy) = door.remedy() {
            warn!(door = door.name(), %address, remedy, "port is open to other machines, and nobody is asked who they are");
        }
    }
}

/// A port that gives flows, with its TLS where it can have that.
enum Door<'a> {
    Grpc(Option<&'a tls::ServerTls>),
    FlightSql(Option<&'a tls::ServerTls>),
    Http,
}

impl Door<'_> {
    const fn name(&self) -> &'static str {
        match self {
            Self::Grpc(_) => "gRPC",
            Self::FlightSql(_) => "Flight SQL",
            Self::Http => "HTTP",
        }
    }

    /// What to do so that not everybody is let in; `None` where clients show certificates.
    fn remedy(&self) -> Option<&'static str> {
        match self {
            Self::Grpc(Some(tls)) | Self::FlightSql(Some(tls)) if !tls.client_ca_files.is_empty() => None,
            Self::Grpc(_) => Some("set relay.grpc.tls with client_ca_files, or listen on a loopback address"),
            Self::FlightSql(_) => {
                Some("set relay.flight_sql.tls with client_ca_files, or listen on a loopback address")
            }
            Self::Http => Some("listen on a loopback address, and put a proxy that asks for a login before it"),
        }
    }
}

fn local(listener: &TcpListener, wanted: SocketAddr) -> SocketAddr {
    listener.local_addr().unwrap_or(wanted)
}

/// Starts the writer of the index and the connections to peers; collectors come by themselves.
fn open_sources(relay: &Arc<Relay>, queue: Queue) {
    let stages = &relay.stages;
    stages.writer.tasks.spawn(ingest::write(Arc::clone(relay), queue, stages.writer.stop.clone()));
    stages.upkeep.tasks.spawn(ingest::keep_up(Arc::clone(relay), stages.upkeep.stop.clone()));
    stages.upkeep.tasks.spawn(memory::keep_within(Arc::clone(relay), stages.upkeep.stop.clone()));
    ingest::open_peers(relay);
}

/// Servers of the ports: each gives its name and how it ended.
type Doors = JoinSet<(&'static str, Result<(), DoorError>)>;
type DoorError = Box<dyn std::error::Error + Send + Sync>;

fn open_doors(
    relay: &Arc<Relay>,
    grpc: (TcpListener, Option<Arc<tls::Acceptor>>),
    http: TcpListener,
    metrics: Option<TcpListener>,
) -> Doors {
    let mut doors = JoinSet::new();
    let (server, stop) = (Arc::clone(relay), relay.stages.doors.stop.clone());
    doors.spawn(async move { ("gRPC", api::grpc::serve(server, grpc, stop).await.map_err(Into::into)) });
    let (router, stop) = (api::http::router(relay), relay.stages.doors.stop.clone());
    let connections_max = relay.config.http.connections_max;
    doors.spawn(async move {
        connections::http::serve(http, router, ("HTTP", connections_max), stop).await;
        ("HTTP", Ok(()))
    });
    if let Some(listener) = metrics {
        let (router, stop) = (api::metrics::router(relay), relay.stages.doors.stop.clone());
        doors.spawn(async move {
            connections::http::serve(listener, router, ("metrics", METRICS_CONNECTIONS_MAX), stop).await;
            ("metrics", Ok(()))
        });
    }
    doors
}

fn open_flight_sql(doors: &mut Doors, relay: &Arc<Relay>, door: (TcpListener, Option<Arc<tls::Acceptor>>)) {
    let (server, stop) = (Arc::clone(relay), relay.stages.doors.stop.clone());
    doors.spawn(async move { ("Flight SQL", api::flight_sql::serve(server, door, stop).await.map_err(Into::into)) });
}

/// Waits for `shutdown` or for a door that fails, then stops everything in order.
async fn supervise(relay: Arc<Relay>, mut doors: Doors, shutdown: CancellationToken) -> Result<(), RunError> {
    let failed = tokio::select! {
        () = shutdown.cancelled() => None,
        ended = doors.join_next() => ended.map(early_end),
    };
    let deadline = relay.config.shutdown_deadline();
    if tokio::time::timeout(deadline, stop_in_order(&relay, &mut doors)).await.is_err() {
        let (inbound, outbound) = (relay.stages.sources.tasks.len(), relay.stages.streams.tasks.len());
        let pending = format!("{inbound} inbound and {outbound} outbound streams, {} ports", doors.len());
        doors.shutdown().await;
        warn!(pending, "relay was cut off at the deadline");
        return Err(RunError::Deadline { deadline, pending });
    }
    info!("relay stopped");
    failed.map_or(Ok(()), Err)
}

async fn stop_in_order(relay: &Relay, doors: &mut Doors) {
    relay.stages.sources.end().await;
    relay.stages.writer.end().await;
    relay.stages.upkeep.end().await;
    relay.stages.streams.end().await;
    relay.stages.doors.end().await;
    while let Some(ended) = doors.join_next().await {
        match ended {
            Ok((_, Ok(()))) => {}
            Ok((door, Err(error))) => warn!(door, error, "a port of the relay did not close well"),
            Err(error) => warn!(%error, "a port of the relay did not close well"),
        }
    }
}

/// A door that ended before it was asked to.
fn early_end(ended: Result<(&'static str, Result<(), DoorError>), JoinError>) -> RunError {
    match ended {
        Ok((door, outcome)) => RunError::Door { door, cause: outcome.err() },
        Err(error) => RunError::Panicked(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_ports_that_ask_for_certificates_need_no_remedy() {
        let plain = tls::ServerTls::default();
        let mutual = tls::ServerTls { client_ca_files: vec!["ca.pem".into()], ..plain.clone() };
        for (door, key) in [
            (Door::Grpc(None), "relay.grpc.tls"),
            (Door::Grpc(Some(&plain)), "client_ca_files"),
            (Door::FlightSql(None), "relay.flight_sql.tls"),
            (Door::FlightSql(Some(&plain)), "client_ca_files"),
            (Door::Http, "loopback"),
        ] {
            assert!(door.remedy().unwrap().contains(key), "{}: {key}", door.name());
        }
        assert!(Door::Grpc(Some(&mutual)).remedy().or(Door::FlightSql(Some(&mutual)).remedy()).is_none());
    }
}
