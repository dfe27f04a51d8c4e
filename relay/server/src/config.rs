//! Settings of the relay, each with its unit and the reason for its default.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

mod check;
mod place;
mod pods;
mod store;

pub use check::ConfigError;
pub(crate) use place::Place;
pub use pods::PeerPods;
pub use store::{FsyncMode, StoreConfig};

/// Settings of the relay. An unknown key is an error; a missing one has its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The gRPC port: collectors push to it, Hubble clients ask it.
    pub grpc: GrpcConfig,
    /// The HTTP port: web UI and JSON API.
    pub http: HttpConfig,
    /// The Flight SQL port.
    pub flight_sql: FlightSqlConfig,
    /// Live streams of the web UI.
    pub live: LiveConfig,
    /// The Prometheus endpoint.
    pub metrics: MetricsConfig,
    /// What is taken in.
    pub ingest: IngestConfig,
    /// Hubble observers to pull flows from: Cilium agents, other relays, collectors that do not push. Default none.
    pub peers: Vec<PeerConfig>,
    /// Services that tell of such observers by `peer.Peer`, as agents and `hubble-peer` do. Default none.
    pub peer_services: Vec<PeerConfig>,
    /// Names of which every address is such an observer, as those of a headless service, looked up every 30 seconds.
    /// Default none.
    pub peer_names: Vec<PeerConfig>,
    /// Pods of Kubernetes clusters that are such observers. Default none.
    pub peer_pods: Vec<PeerPods>,
    /// TLS towards observers and peer services that have it: `ca_files`, and `cert_file` with `key_file` where they ask
    /// for a certificate. Default none.
    pub peer_tls: Option<tls::ClientTls>,
    /// The index of flows in memory.
    pub index: IndexConfig,
    /// Where flows are kept so that they survive. A single text is the place.
    #[serde(deserialize_with = "store::place_or_settings")]
    pub store: StoreConfig,
    /// SQL.
    pub sql: SqlConfig,
    /// Bytes of memory the process may occupy, everything counted, at least 128 MiB. Default `null`: 2 GiB, or four
    /// fifths of what its control group or the machine has where that is less, or more where parts of it are set and
    /// need more. Near it flows that are in files leave the memory, then intake waits.
    pub memory_bytes_max: Option<usize>,
    /// Milliseconds that stopping may take before what is left is cut off. Default 10,000: Kubernetes kills after 30
    /// seconds.
    pub shutdown_deadline_ms: u64,
}

/// The gRPC port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct GrpcConfig {
    /// Address to listen on. Default `127.0.0.1:4245`, the port of `hubble-relay`, for this machine only: nobody is asked
    /// who they are unless `tls.client_ca_files` is set. Collectors on other machines need `0.0.0.0:4245` or `[::]:4245`.
    pub listen: SocketAddr,
    /// Open connections; more wait in the kernel's queue. Default 4,096.
    pub connections_max: usize,
    /// `GetFlows` answers that may be streaming at the same time; more are refused with `RESOURCE_EXHAUSTED`. Default
    /// 1,024.
    pub streams_max: usize,
    /// Flows that wait for one client that reads slowly; when they are full its stream stands still. Default 1,024, some
    /// 500 KiB: half of them are read and encoded at a time, and with 256 the turns of the threads cost as much again.
    pub stream_buffer_flows: usize,
    /// Flows a following client may lag behind the newest; beyond that it jumps ahead and is told what it lost.
    /// Default 100,000.
    pub lag_flows_max: u64,
    /// Milliseconds a stream may stand still before what it holds of the index is let go: an answer about the past ends
    /// with an error, a following client is told what it lost. Default 30,000: flows that have left the index stay in
    /// memory for as long as somebody reads them.
    pub stall_ms: u64,
    /// TLS: `cert_file`, `key_file`, and `client_ca_files` for mutual TLS. `null` (the default) serves without.
    pub tls: Option<tls::ServerTls>,
}

/// The HTTP port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct HttpConfig {
    /// Address to listen on. Default `127.0.0.1:12000`, for this machine only: there is no authentication yet.
    pub listen: SocketAddr,
    /// Names by which browsers may reach the port besides addresses and `localhost`. Default none. Others are refused
    /// while the port is on a loopback address, so that a web page which points its own name at this machine cannot
    /// read the flows.
    pub hosts: Vec<String>,
    /// Folder to serve the web UI from instead of the built-in one, for work on the UI. Default none.
    pub ui_dir: Option<PathBuf>,
    /// Open connections; more wait in the kernel's queue. Default 4,096.
    pub connections_max: usize,
    /// Bytes of one request body; larger ones are refused with 413. Default 1 MiB, room for a long SQL statement.
    pub request_bytes_max: usize,
    /// Flows of one answer. Default 10,000: some 10 MiB of JSON, more than a person reads.
    pub answer_flows_max: usize,
}

/// The Flight SQL port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FlightSqlConfig {
    /// Address to listen on; `null` for none. Default `127.0.0.1:12001`, for this machine only: nobody is asked who they
    /// are unless `tls.client_ca_files` is set. Limits of queries are those of `relay.sql`.
    pub listen: Option<SocketAddr>,
    /// Open connections; more wait in the kernel's queue. Default 256: pools of some programs.
    pub connections_max: usize,
    /// Prepared statements kept; the one unused for longest is forgotten. Default 1,000.
    pub prepared_max: usize,
    /// TLS, as that of the gRPC port. `null` (the default) serves without.
    pub tls: Option<tls::ServerTls>,
}

/// Live streams of the web UI.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct LiveConfig {
    /// Streams at the same time; more are refused with 503. Default 256.
    pub streams_max: usize,
    /// Milliseconds between two batches. Default 100: ten repaints a second look smooth to a reader.
    pub batch_ms: u64,
    /// Flows of one batch. Default 1,000: with ten batches a second what a browser can draw.
    pub batch_flows: usize,
    /// Flows a stream may lag behind the newest; beyond that it jumps ahead and counts the rest as lost. Default
    /// 20,000: two seconds of the fullest batches.
    pub lag_flows_max: u64,
    /// Milliseconds between two heartbeats of a quiet stream. Default 10,000, below the idle time of common proxies.
    pub heartbeat_ms: u64,
}

/// The Prometheus endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricsConfig {
    /// Address of `/metrics`; `null` for none. Default `0.0.0.0:9966`, the port of `hubble-relay`: counts only, and
    /// Prometheus is rarely on the same machine.
    pub listen: Option<SocketAddr>,
}

/// What is taken in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IngestConfig {
    /// Collectors that may push at the same time; more are refused with `RESOURCE_EXHAUSTED`. Default 1,024.
    pub collectors_max: usize,
    /// Rows of one batch; larger ones are refused. Default 32,768, the most a batch of the flow table can have.
    pub batch_rows_max: usize,
    /// Encoded bytes of one message; larger ones are refused. Default 16 MiB: 32,768 flows of plain traffic take a
    /// quarter of it.
    pub message_bytes_max: usize,
    /// Batches that wait to be indexed, which take a thirty-second of `relay.memory_bytes_max` at most; when they are full
    /// the relay stops reading from collectors. Default 16.
    pub queue_batches: usize,
    /// Milliseconds without a connection after which a node is gone and not listed as unavailable any more. Default
    /// 3,600,000, an hour, as long as namespaces are listed for.
    pub node_gone_ms: u64,
    /// Milliseconds that flows pulled from a peer wait for company before they become a batch. Default 100.
    pub peer_batch_ms: u64,
    /// Rows at which flows pulled from a peer become a batch at once. Default 4,096.
    pub peer_batch_rows: usize,
    /// Flows of the past asked of a peer when it is met for the first time. Default 5,000, more than Hubble's agents
    /// hold by default.
    pub peer_history_flows: u64,
}

/// A Hubble observer to pull flows from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PeerConfig {
    /// Name shown for it. Empty (the default) takes the address.
    pub name: String,
    /// Its gRPC address: `host:port`, an IP address alone for port 4244, `unix:///path`, or a path that ends in `.sock`.
    /// No default.
    pub address: String,
    /// Whether it serves TLS. Default `false`.
    pub tls: bool,
    /// Name in its certificate. By default its host.
    pub tls_server_name: Option<String>,
}

/// The index of flows in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct IndexConfig {
    /// Flows held; the oldest leave first. Default 5,000,000: 8 minutes of 10,000 flows a second.
    pub flows_max: usize,
    /// Bytes held; the oldest flows leave first. Default `null`, half of `relay.memory_bytes_max`: five million flows fit in
    /// the usual 1 GiB.
    pub memory_bytes_max: Option<usize>,
    /// Lines of the loss ledger (node, ten seconds, stage, cause); the oldest are folded together. Default 100,000.
    pub losses_max: usize,
    /// Nodes remembered, connected or not; the one silent for longest is forgotten. Default 10,000.
    pub nodes_max: usize,
    /// Bytes of the counts by the minute (`edges_1m`, `drops_1m`, `dns_1m`); the oldest minutes leave first. The counts
    /// by the hour may take as many, and with a store as many again those of files that were asked for lately. Default
    /// `null`, a sixteenth of `relay.memory_bytes_max`: the usual 128 MiB are some hours of minutes and weeks of hours.
    pub rollup_bytes_max: Option<usize>,
}

/// SQL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SqlConfig {
    /// Bytes that all running queries may occupy together; one that needs more fails. Default `null`, an eighth of
    /// `relay.memory_bytes_max`, usually 256 MiB.
    pub memory_bytes_max: Option<usize>,
    /// Queries that may run at the same time; more are refused with 503. Default 4, and never more than one for each 128
    /// MiB of `relay.memory_bytes_max`.
    pub queries_max: usize,
    /// Milliseconds a query may run. Default 30,000.
    pub deadline_ms: u64,
    /// Rows of one answer. An answer in CSV or Arrow that has more breaks off with an error. Default 1,000,000.
    pub rows_max: usize,
    /// Rows of one answer in JSON, which is held in memory; the rest is cut off and the answer says so. Default 10,000.
    pub json_rows_max: usize,
}

const MIB: usize = 1024 * 1024;

impl Default for Config {
    fn default() -> Self {
        Self {
            grpc: GrpcConfig::default(),
            http: HttpConfig::default(),
            flight_sql: FlightSqlConfig::default(),
            live: LiveConfig::default(),
            metrics: MetricsConfig::default(),
            ingest: IngestConfig::default(),
            peers: Vec::new(),
            peer_services: Vec::new(),
            peer_names: Vec::new(),
            peer_pods: Vec::new(),
            peer_tls: None,
            index: IndexConfig::default(),
            store: StoreConfig::default(),
            sql: SqlConfig::default(),
            memory_bytes_max: None,
            shutdown_deadline_ms: 10_000,
        }
    }
}

impl Default for GrpcConfig {
    fn default() -> Self {
        Self {
            listen: loopback(4245),
            connections_max: 4096,
            streams_max: 1024,
            stream_buffer_flows: 1024,
            lag_flows_max: 100_000,
            stall_ms: 30_000,
            tls: None,
        }
    }
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            listen: loopback(12000),
            hosts: Vec::new(),
            ui_dir: None,
            connections_max: 4096,
            request_bytes_max: MIB,
            answer_flows_max: 10_000,
        }
    }
}

impl Default for FlightSqlConfig {
    fn default() -> Self {
        Self { listen: Some(loopback(12001)), connections_max: 256, prepared_max: 1_000, tls: None }
    }
}

impl Default for LiveConfig {
    fn default() -> Self {
        Self { streams_max: 256, batch_ms: 100, batch_flows: 1000, lag_flows_max: 20_000, heartbeat_ms: 10_000 }
    }
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { listen: Some(SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, 9966))) }
    }
}

impl Default for IngestConfig {
    fn default() -> Self {
        Self {
            collectors_max: 1024,
            batch_rows_max: table::MAX_BATCH_ROWS,
            message_bytes_max: 16 * MIB,
            queue_batches: 16,
            node_gone_ms: 3_600_000,
            peer_batch_ms: 100,
            peer_batch_rows: 4096,
            peer_history_flows: 5_000,
        }
    }
}

impl Default for IndexConfig {
    fn default() -> Self {
        Self {
            flows_max: 5_000_000,
            memory_bytes_max: None,
            losses_max: 100_000,
            nodes_max: 10_000,
            rollup_bytes_max: None,
        }
    }
}

impl Default for SqlConfig {
    fn default() -> Self {
        Self { memory_bytes_max: None, queries_max: 4, deadline_ms: 30_000, rows_max: 1_000_000, json_rows_max: 10_000 }
    }
}

impl Config {
    /// Time that stopping may take.
    #[must_use]
    pub const fn shutdown_deadline(&self) -> Duration {
        Duration::from_millis(self.shutdown_deadline_ms)
    }
}

impl PeerConfig {
    /// Name shown for the peer.
    #[must_use]
    pub fn display_name(&self) -> &str {
        if self.name.is_empty() { &self.address } else { &self.name }
    }
}

const fn loopback(port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, port))
}
