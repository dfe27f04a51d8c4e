//! Settings of the collector, each with its unit and the reason for its default.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::l7::L7Config;
pub use crate::pace::{Pace, Timing};

/// Settings of the collector. An unknown key is an error; a missing one has its default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Name of this node in flows. Empty (the default) takes the host name.
    pub node_name: String,
    /// Cluster of this node. Default `default`, which clients leave out of names as Hubble does.
    pub cluster_name: String,
    /// Labels of this node in flows, as `key=value`. Default none.
    pub node_labels: Vec<String>,
    /// Where flows come from.
    pub source: SourceConfig,
    /// The Observer API.
    pub observer: ObserverConfig,
    /// The Prometheus endpoint.
    pub metrics: MetricsConfig,
    /// The history of flows held in memory.
    pub ring: RingConfig,
    /// Tables of connections and sockets.
    pub decode: DecodeConfig,
    /// Reading of DNS and HTTP out of payload.
    pub l7: L7Config,
    /// Who is behind an address.
    pub enrich: EnrichConfig,
    /// Sending of flows to a relay.
    pub relay: RelayConfig,
    /// Milliseconds that stopping may take before what is left is given up and counted. Default 10,000: Kubernetes
    /// kills after 30 seconds.
    pub shutdown_deadline_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node_name: String::new(),
            cluster_name: "default".to_owned(),
            node_labels: Vec::new(),
            source: SourceConfig::default(),
            observer: ObserverConfig::default(),
            metrics: MetricsConfig::default(),
            ring: RingConfig::default(),
            decode: DecodeConfig::default(),
            l7: L7Config::default(),
            enrich: EnrichConfig::default(),
            relay: RelayConfig::default(),
            shutdown_deadline_ms: 10_000,
        }
    }
}

/// Where flows come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceConfig {
    /// Kind of source. Default `kernel`.
    pub kind: SourceKind,
    /// File to read with `replay` and `pcap`; `-` is standard input. Default none.
    pub file: Option<PathBuf>,
    /// How fast a file is read, and with which times.
    pub timing: Timing,
}

/// Kinds of sources.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceKind {
    /// The running kernel through eBPF; needs root or `CAP_BPF`, `CAP_PERFMON` and `CAP_NET_ADMIN`.
    #[default]
    Kernel,
    /// A file of Hubble JSON lines.
    Replay,
    /// A packet capture file.
    Pcap,
}

/// The Observer API of this node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ObserverConfig {
    /// TCP address to listen on; `null` for none. Default `0.0.0.0:4244`, Hubble's port of an agent, so that a stock
    /// relay and CLI find it. There is no authentication: bind to loopback where others reach the port.
    pub listen: Option<SocketAddr>,
    /// Unix socket to listen on; `null` for none. Default `/var/run/weir/observer.sock`. A stale file of an earlier run
    /// is removed.
    pub socket: Option<PathBuf>,
    /// Address other nodes reach this observer at, told to relays that ask for peers. Empty (the default) takes the
    /// TCP address, with the node's own address where it listens on all.
    pub advertise: String,
    /// Streams served at once. Default 1,024; each holds at most 128 answers. More are refused with
    /// `RESOURCE_EXHAUSTED`.
    pub streams_max: usize,
}

impl Default for ObserverConfig {
    fn default() -> Self {
        Self {
            listen: Some(any_address(4244)),
            socket: Some(PathBuf::from("/var/run/weir/observer.sock")),
            advertise: String::new(),
            streams_max: 1024,
        }
    }
}

/// The Prometheus endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MetricsConfig {
    /// Address of `/metrics`; `null` for none. Default `0.0.0.0:9965`, the port of Hubble's metrics.
    pub listen: Option<SocketAddr>,
    /// Series one metric may have. Default 2,000, which a small Prometheus takes without a thought. What is beyond is
    /// counted in one series whose labels say `overflow`.
    pub series_max: usize,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self { listen: Some(any_address(9965)), series_max: 2_000 }
    }
}

/// The history of flows held in memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RingConfig {
    /// Flows held; the oldest make room. Default 65,535, the most that Hubble's own setting takes, about 50 MiB.
    pub flows_max: usize,
    /// Agent events held. Default 1,023.
    pub agent_events_max: usize,
}

impl Default for RingConfig {
    fn default() -> Self {
        Self { flows_max: 65_535, agent_events_max: 1_023 }
    }
}

/// Tables of connections and sockets. When one is full, what was used least lately makes room and is counted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DecodeConfig {
    /// Connections remembered. Default 131,072, as many as the kernel's flow map holds.
    pub conversations_max: usize,
    /// Observations (connection, device, direction) whose running totals are remembered. Default 262,144: twice the
    /// kernel's flow map, so that a total is never forgotten before the kernel forgets it.
    pub observations_max: usize,
    /// Sockets remembered with their owner. Default 131,072.
    pub sockets_max: usize,
    /// Processes remembered. Default 16,384.
    pub processes_max: usize,
    /// Seconds of silence after which a connection or observation is forgotten. Default 120: the kernel reports a live
    /// one every few seconds.
    pub idle_seconds: u64,
    /// Seconds a socket may be silent before it is forgotten. Default 3,600: an idle connection still has its owner.
    pub socket_idle_seconds: u64,
}

impl Default for DecodeConfig {
    fn default() -> Self {
        Self {
            conversations_max: 131_072,
            observations_max: 262_144,
            sockets_max: 131_072,
            processes_max: 16_384,
            idle_seconds: 120,
            socket_idle_seconds: 3_600,
        }
    }
}

/// Who is behind an address.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EnrichConfig {
    /// File that names addresses, prefixes, network namespaces and units; see `docs/names.md`. Default none.
    pub names_file: Option<PathBuf>,
    /// Namespace of local endpoints that `names.yaml` gives none. Default `default`, so that `--pod web` of a stock
    /// client, which means `default/web`, finds the network namespace or container called `web`.
    pub default_namespace: String,
    /// Directories whose files are named network namespaces. Default `/run/netns`, that of iproute2. Namespaces without
    /// a name are found by their processes.
    pub netns_dirs: Vec<PathBuf>,
    /// Milliseconds between two looks at devices, namespaces and cgroups when nothing told of a change. Default 5,000.
    pub refresh_interval_ms: u64,
    /// Addresses remembered with their endpoint. Default 65,536.
    pub endpoints_max: usize,
    /// Names from DNS answers remembered. Default 16,384.
    pub dns_names_max: usize,
    /// Least seconds a name from a DNS answer is remembered, however short its time to live. Default 60: connections
    /// outlive the answer they were made from.
    pub dns_ttl_min_seconds: u64,
    /// Processes looked up under `/proc` a second at most; beyond that only what the kernel told is known. Default
    /// 2,000, about a tenth of one core.
    pub process_lookups_per_second: u32,
}

impl Default for EnrichConfig {
    fn default() -> Self {
        Self {
            names_file: None,
            default_namespace: "default".to_owned(),
            netns_dirs: vec![PathBuf::from("/run/netns")],
            refresh_interval_ms: 5_000,
            endpoints_max: 65_536,
            dns_names_max: 16_384,
            dns_ttl_min_seconds: 60,
            process_lookups_per_second: 2_000,
        }
    }
}

/// Sending of flows to a relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RelayConfig {
    /// Address of the relay's gRPC port, such as `http://relay:4245`; `null` (the default) sends nothing.
    pub address: Option<String>,
    /// Rows at which a batch is sent. Default 1,000, where the cost of a batch no longer matters.
    pub batch_rows_max: usize,
    /// Milliseconds after which a smaller batch is sent. Default 50, so that a flow is on the screen within 300.
    pub batch_age_ms_max: u64,
    /// Batches sent ahead of their acknowledgment. Default 16, enough for 100,000 flows a second over 100 ms.
    pub window_batches: usize,
    /// Bytes of batches held in memory while the relay is slow or away. Default 64 MiB, about a million flows. When
    /// full, the oldest batch that was not sent yet is lost, counted, and told to the relay.
    pub spool_bytes_max: usize,
    /// Milliseconds before the first attempt to connect again; doubles up to `retry_ms_max`. Default 200.
    pub retry_ms_min: u64,
    /// Most milliseconds between two attempts to connect. Default 10,000.
    pub retry_ms_max: u64,
    /// Milliseconds to wait for an acknowledgment before the connection counts as dead. Default 15,000.
    pub ack_timeout_ms: u64,
}

impl Default for RelayConfig {
    fn default() -> Self {
        Self {
            address: None,
            batch_rows_max: 1_000,
            batch_age_ms_max: 50,
            window_batches: 16,
            spool_bytes_max: 64 << 20,
            retry_ms_min: 200,
            retry_ms_max: 10_000,
            ack_timeout_ms: 15_000,
        }
    }
}

const fn any_address(port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))
}
