//! The parts of a running collector: made, joined, watched, and stopped in order.

mod part;

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use connections::{Connection, Connections};
use flow::Clock;
use futures::TryStreamExt as _;
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

use self::part::Part;
use crate::config::{Config, PeerEntry, SourceKind};
use crate::decode::{Decoder, NodeFacts};
use crate::enrich::{Discovery, Enricher, Names, Places, Watch};
use crate::export::{self, Export};
use crate::history;
use crate::l7::Engine;
use crate::live::Live;
use crate::metrics::{FlowMetrics, Metrics, OwnMetrics};
use crate::pcap::Pcap;
use crate::pipeline::{self, Scratch, Stages};
use crate::policy::PolicyWatch;
use crate::replay::Replay;
use crate::ring::{AgentEvent, Event, Ring, Writer, ring};
use crate::running::{Listeners, RunError, SourceOpenError, StartError, deadline, remove_socket};
use crate::ship::{self, Sender, ShipStats};
use crate::source::{Source, SourceError};
use crate::status::Status;
use crate::{api, metrics};

/// Share of the time for stopping in which the relay may acknowledge; the rest is for writing the spool to the disk.
const DRAIN_SHARE: f64 = 0.7;

/// What a collector is made of.
pub(crate) struct Parts {
    pub(crate) config: Config,
    pub(crate) node: NodeFacts,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) listeners: Listeners,
    /// Address the Observer API is bound to.
    pub(crate) observer: Option<SocketAddr>,
}

/// Histories and what is told about them.
struct Histories {
    flows: Ring<Event>,
    agent_events: Ring<AgentEvent>,
    writers: (Writer<Event>, Writer<AgentEvent>),
    status: Arc<Status>,
    ship: Arc<ShipStats>,
    metrics: Metrics,
    flow_metrics: FlowMetrics,
}

/// Everything that runs.
struct Supervisor {
    pipeline: JoinHandle<Result<(), RunError>>,
    /// Makes rows of older flows.
    history: Part,
    ship: Part,
    export: Part,
    servers: JoinSet<Result<(), RunError>>,
    /// Tells the shipper to wait for the relay no longer.
    leave_spool: CancellationToken,
    stop_servers: CancellationToken,
    shutdown: CancellationToken,
    socket: Option<PathBuf>,
    deadline: Duration,
    /// Ends its thread when dropped.
    _discovery: Option<Discovery>,
}

/// Makes and starts all parts; the task that is returned ends when they have.
///
/// # Errors
/// A part could not be made.
pub(crate) async fn start(
    parts: Parts,
    shutdown: CancellationToken,
) -> Result<JoinHandle<Result<(), RunError>>, StartError> {
    let (discovery, names) = discover(&parts)?;
    let histories = Histories::new(&parts.config);
    let (reader, archivist) = (histories.flows.reader_at_tip(), histories.flows.archivist());
    let status = histories.status.clone();
    let stop_servers = CancellationToken::new();
    let (api_node, metrics_page) = (api_node(&parts, &histories, &stop_servers)?, histories.metrics.clone());
    let export = open_export(&parts, &histories)?;
    let (shipped, watch) = (histories.ship.clone(), discovery.as_ref().map(Discovery::watch));
    let pipeline = start_pipeline(&parts, histories, (names, watch), shutdown.clone()).await?;
    let sender = Sender {
        node: parts.node.name.to_string(),
        boot_id: parts.node.run,
        tallies: status.tallies.clone(),
        clock: parts.clock.clone(),
    };
    let (deadline, leave_spool) = (deadline(&parts.config), CancellationToken::new());
    let ship = ship::ship(parts.config.relay.clone(), sender, reader, shipped, leave_spool.clone());
    let supervisor = Supervisor {
        pipeline,
        history: Part::new("history", tokio::spawn(history::keep(archivist))),
        ship: Part::new("shipper", tokio::spawn(ship)),
        export: Part::new("exporter", start_export(export)),
        servers: serve(parts.listeners, api_node, metrics_page, &stop_servers),
        leave_spool,
        stop_servers,
        shutdown,
        socket: parts.config.observer.socket.clone(),
        deadline,
        _discovery: discovery,
    };
    Ok(tokio::spawn(supervisor.run()))
}

impl Histories {
    fn new(config: &Config) -> Self {
        let (flow_writer, flows) = ring(config.ring.flows_max);
        let (agent_writer, agent_events) = ring(config.ring.agent_events_max);
        let status = Arc::new(Status::default());
        let ship = Arc::new(ShipStats::default());
        let own = OwnMetrics { status: status.clone(), ring: flows.clone(), ship: ship.clone() };
        let (metrics, flow_metrics) = Metrics::new(own, &config.metrics);
        Self { flows, agent_events, writers: (flow_writer, agent_writer), status, ship, metrics, flow_metrics }
    }
}

/// The flow logs, where there are any; they begin with what is observed from now on.
fn open_export(parts: &Parts, histories: &Histories) -> Result<Option<Export>, StartError> {
    let sources = export::Sources {
        flows: histories.flows.reader_at_tip(),
        agent_events: histories.agent_events.reader_at_tip(),
        node: parts.node.name.rsplit('/').next().unwrap_or_default().into(),
        clock: parts.clock.clone(),
        status: histories.status.clone(),
    };
    Ok(Export::open(&parts.config.export, sources)?)
}

/// Writes the flow logs on a thread of its own, which waits for the disk. It ends with the history.
fn start_export(export: Option<Export>) -> JoinHandle<()> {
    let runtime = tokio::runtime::Handle::current();
    tokio::task::spawn_blocking(move || {
        if let Some(export) = export {
            runtime.block_on(export.run());
        }
    })
}

/// Starts to watch the machine, if the flows are this machine's; else only reads the names file.
fn discover(parts: &Parts) -> Result<(Option<Discovery>, Arc<Names>), StartError> {
    let config = &parts.config.enrich;
    if parts.config.source.kind != SourceKind::Kernel {
        let names = config.names_file.as_deref().map(Names::read).transpose()?;
        return Ok((None, Arc::new(names.unwrap_or_default())));
    }
    let own_name = parts.node.name.rsplit('/').next().unwrap_or_default().to_owned();
    let discovery = Discovery::start(Places {
        node_name: own_name,
        netns_dirs: config.netns_dirs.clone(),
        names_file: config.names_file.clone(),
        interval: Duration::from_millis(config.refresh_interval_ms.max(100)),
    })?;
    Ok((Some(discovery), Arc::default()))
}

/// Starts the pipeline's thread. The source is opened there, because the kernel's must be read by the thread that opened
/// it.
async fn start_pipeline(
    parts: &Parts,
    histories: Histories,
    (names, watch): (Arc<Names>, Option<Watch>),
    shutdown: CancellationToken,
) -> Result<JoinHandle<Result<(), RunError>>, StartError> {
    let (opened, is_open) = oneshot::channel();
    let (ended, has_ended) = oneshot::channel();
    let (config, clock, node) = (parts.config.clone(), parts.clock.clone(), parts.node.clone());
    let run = move || {
        let source = match open_source(&config, clock.clone()) {
            Ok(source) => source,
            Err(error) => {
                // Nobody waits any more if the caller has gone.
                let _caller_gone = opened.send(Err(error));
                return;
            }
        };
        let stages = Stages {
            decoder: Decoder::new(&config.tables(), node, source.kernel_names()),
            engine: Engine::new(config.l7.clone()).with_passwords(!config.redact.hides_passwords()),
            enricher: Enricher::new(&config.enrich, config.decode.processes_max, names, watch),
            redact: config.redact.clone(),
            policy: if config.source.kind == SourceKind::Kernel { watch_policy() } else { None },
            metrics: histories.flow_metrics,
            flows: histories.writers.0,
            agent_events: histories.writers.1,
            status: histories.status,
            clock,
            scratch: Scratch::default(),
        };
        if opened.send(Ok(())).is_ok() {
            let result = pipeline::run(source, stages, &shutdown);
            let _supervisor_gone = ended.send(result);
        }
    };
    std::thread::Builder::new().name("weir-pipeline".to_owned()).spawn(run).map_err(StartError::Thread)?;
    match is_open.await {
        Ok(Ok(())) => Ok(tokio::spawn(pipeline_end(has_ended))),
        Ok(Err(error)) => Err(error.into()),
        Err(_) => Err(StartError::Thread(std::io::Error::other("the thread of the pipeline panicked, which is a bug"))),
    }
}

/// Listens for changes of the packet policy; without it all else works.
fn watch_policy() -> Option<PolicyWatch> {
    PolicyWatch::listen()
        .inspect_err(|error| tracing::warn!(%error, "changes of the packet policy will not be told"))
        .ok()
}

async fn pipeline_end(has_ended: oneshot::Receiver<Result<(), SourceError>>) -> Result<(), RunError> {
    match has_ended.await {
        Ok(result) => result.map_err(RunError::Source),
        Err(_) => Err(RunError::Panicked("pipeline")),
    }
}

fn open_source(config: &Config, clock: Arc<dyn Clock>) -> Result<Box<dyn Source>, SourceOpenError> {
    let file = config.source.file.clone().unwrap_or_default();
    Ok(match config.source.kind {
        SourceKind::Kernel => {
            let interval = Duration::from_millis(config.source.update_interval_ms);
            Box::new(Live::load(&config.capture, interval)?)
        }
        SourceKind::Replay => Box::new(Replay::open(&file, config.source.timing, clock)?),
        SourceKind::Pcap => Box::new(Pcap::open(&file, config.source.timing, clock)?),
    })
}

fn api_node(parts: &Parts, histories: &Histories, stop: &CancellationToken) -> Result<Arc<api::Node>, StartError> {
    let observer = &parts.config.observer;
    let own = PeerEntry { name: parts.node.name.to_string(), address: advertised(parts), tls_server_name: None };
    let peers = api::PeerSource {
        fixed: observer.peers.iter().cloned().chain([own]).collect(),
        file: observer.peers_file.clone(),
        tls: observer.tls.is_some(),
    };
    Ok(Arc::new(api::Node {
        name: parts.node.name.to_string(),
        cluster: parts.config.cluster_name.clone(),
        peers: peers.watch(stop.clone())?,
        flows: histories.flows.clone(),
        agent_events: histories.agent_events.clone(),
        started: parts.clock.now(),
        clock: parts.clock.clone(),
        streams_max: parts.config.observer.streams_max,
        status: histories.status.clone(),
        stop: stop.clone(),
    }))
}

/// Address told to relays: as configured, else the bound one, with an address of this machine in the place of "all".
fn advertised(parts: &Parts) -> String {
    let configured = &parts.config.observer.advertise;
    if !configured.is_empty() {
        return configured.clone();
    }
    let Some(mut address) = parts.observer else { return String::new() };
    if address.ip().is_unspecified()
        && let Some(own) = own_address()
    {
        address.set_ip(own);
    }
    address.to_string()
}

/// The address this machine sends from, found without sending anything: connecting a datagram socket only chooses one.
fn own_address() -> Option<IpAddr> {
    // TEST-NET-1 of RFC 5737 is nobody's, so it is routed as all that is far away.
    let socket = std::net::UdpSocket::bind((std::net::Ipv4Addr::UNSPECIFIED, 0)).ok()?;
    socket.connect((std::net::Ipv4Addr::new(192, 0, 2, 1), 9)).ok()?;
    socket.local_addr().ok().map(|address| address.ip()).filter(|ip| !ip.is_unspecified())
}

fn serve(
    listeners: Listeners,
    node: Arc<api::Node>,
    page: Metrics,
    stop: &CancellationToken,
) -> JoinSet<Result<(), RunError>> {
    let mut servers = JoinSet::new();
    if let Some(listener) = listeners.observer {
        let connections = Connections::new(listener, listeners.connections_max, "observer API").into_stream();
        let connections = tls::secured(connections, listeners.acceptor).map_ok(Connection::prompt);
        let served = api::serve(node.clone(), connections);
        servers.spawn(async { served.await.map_err(|cause| RunError::Server("observer API", cause.into())) });
    }
    if let Some(listener) = listeners.socket {
        let connections = Connections::new(listener, listeners.connections_max, "observer API's unix socket");
        let served = api::serve(node, connections.into_stream().map_ok(Connection::prompt));
        servers.spawn(async {
            served.await.map_err(|cause| RunError::Server("observer API's unix socket", cause.into()))
        });
    }
    if let Some(listener) = listeners.metrics {
        let served = metrics::serve(listener, page, stop.clone());
        servers.spawn(async {
            served.await;
            Ok(())
        });
    }
    servers
}

impl Supervisor {
    /// Waits for the end, or for a part that fails, which ends all others too.
    async fn run(mut self) -> Result<(), RunError> {
        let mut result = tokio::select! {
            ended = &mut self.pipeline => flatten(ended, "pipeline"),
            ended = early_end(&mut self.servers, [&mut self.history, &mut self.ship, &mut self.export]) => {
                self.shutdown.cancel();
                ended.and(flatten((&mut self.pipeline).await, "pipeline"))
            }
        };
        self.shutdown.cancel();
        // Nobody asks for older flows any more.
        self.history.abort();
        let ended_at = Instant::now();
        let until = ended_at + self.deadline;
        let late = |pending| RunError::Deadline {
            deadline_ms: u64::try_from(self.deadline.as_millis()).unwrap_or(u64::MAX),
            pending,
        };
        // The pipeline has ended the history, so its readers come to their end by themselves. What the relay does not
        // acknowledge has to be on the disk by the deadline.
        if timeout_at(ended_at + self.deadline.mul_f64(DRAIN_SHARE), self.ship.end()).await.is_err() {
            self.leave_spool.cancel();
        }
        for (part, pending) in [(&mut self.ship, "the shipper"), (&mut self.export, "the flow logs")] {
            let ended = timeout_at(until, part.end()).await;
            // The thread of the flow logs cannot be stopped: one that waits for a disk ends with the process.
            part.abort();
            result = result.and(ended.unwrap_or_else(|_| Err(late(pending))));
        }
        self.stop_servers.cancel();
        while let Ok(Some(ended)) = timeout_at(until, self.servers.join_next()).await {
            result = result.and(flatten(ended, "server"));
        }
        if !self.servers.is_empty() {
            self.servers.abort_all();
            result = result.and(Err(late("open connections")));
        }
        remove_socket(self.socket.as_deref());
        tracing::info!("the collector has ended");
        result
    }
}

/// Waits for a server that ends, or another part that panics, while all should run.
async fn early_end(
    servers: &mut JoinSet<Result<(), RunError>>,
    [history, ship, export]: [&mut Part; 3],
) -> Result<(), RunError> {
    tokio::select! {
        Some(ended) = servers.join_next() => flatten(ended, "server"),
        error = history.failure() => Err(error),
        error = ship.failure() => Err(error),
        error = export.failure() => Err(error),
    }
}

fn flatten<E>(ended: Result<Result<(), RunError>, E>, what: &'static str) -> Result<(), RunError> {
    ended.unwrap_or(Err(RunError::Panicked(what)))
}
