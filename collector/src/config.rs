//! Settings of the collector, each with its unit and the reason for its default.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use crate::api::PeerEntry;
use crate::capture::CaptureConfig;
pub use crate::export::ExportConfig;
use crate::l7::L7Config;
pub use crate::pace::{Pace, Timing};
pub use crate::redact::RedactConfig;

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
    /// Capture from the kernel.
    pub capture: CaptureConfig,
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
    /// What is taken out of flows before anybody sees them.
    pub redact: RedactConfig,
    /// Flow logs: files of what is observed.
    pub export: ExportConfig,
    /// Sending of flows to a relay.
    pub relay: RelayConfig,
    /// Milliseconds that stopping may take before what is left is given up and counted. Default 10,000: Kubernetes
    /// kills after 30 seconds. The relay has seven tenths of it to acknowledge what it was sent.
    pub shutdown_deadline_ms: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            node_name: String::new(),
            cluster_name: "default".to_owned(),
            node_labels: Vec::new(),
            source: SourceConfig::default(),
            capture: CaptureConfig::default(),
            observer: ObserverConfig::default(),
            metrics: MetricsConfig::default(),
            ring: RingConfig::default(),
            decode: DecodeConfig::default(),
            l7: L7Config::default(),
            enrich: EnrichConfig::default(),
            redact: RedactConfig::default(),
            export: ExportConfig::default(),
            relay: RelayConfig::default(),
            shutdown_deadline_ms: 10_000,
        }
    }
}

/// Where flows come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SourceConfig {
    /// Kind of source. Default `kernel`.
    pub kind: SourceKind,
    /// File to read with `replay` and `pcap`; `-` is standard input. Default none.
    pub file: Option<PathBuf>,
    /// How fast a file is read, and with which times.
    pub timing: Timing,
    /// Milliseconds between two reports of a flow that goes on without news, by the kernel. Default 5,000, as Hubble's
    /// monitor aggregation has it: a shorter time shows bytes sooner and costs a flow for each live connection each time.
    pub update_interval_ms: u64,
}

impl Default for SourceConfig {
    fn default() -> Self {
        Self { kind: SourceKind::Kernel, file: None, timing: Timing::default(), update_interval_ms: 5_000 }
    }
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
    /// Streams served at once: so many of flows and events, and so many of changes of peers. Default 1,024; each holds
    /// at most 128 answers. More are refused with `RESOURCE_EXHAUSTED`.
    pub streams_max: usize,
    /// Connections open at once on the TCP port, and so many on the Unix socket. Default 512: a relay and a client have one
    /// each, and 1,024 files is what many systems let a program open. Further clients wait. One that says nothing within
    /// ten seconds of connecting is cut off.
    pub connections_max: usize,
    /// TLS on the TCP port: `cert_file`, `key_file`, and `client_ca_files` for mutual TLS. `null` (the default) serves
    /// without. The Unix socket never has it.
    pub tls: Option<tls::ServerTls>,
    /// Other observers that relays are told of by `peer.Peer`, beside this one: `name`, `address`, `tls_server_name`.
    /// Default none.
    pub peers: Vec<PeerEntry>,
    /// YAML file with a list of such observers, read again every five seconds. Default none.
    pub peers_file: Option<PathBuf>,
}

impl Default for ObserverConfig {
    fn default() -> Self {
        Self {
            listen: Some(any_address(4244)),
            socket: Some(PathBuf::from("/var/run/weir/observer.sock")),
            advertise: String::new(),
            streams_max: 1024,
            connections_max: 512,
            tls: None,
            peers: Vec::new(),
            peers_file: None,
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
    /// Which of Hubble's two sets of HTTP metrics. Default `v1`.
    pub http: HttpMetrics,
    /// What counts as a flow to the world.
    pub flows_to_world: FlowsToWorld,
}

/// Hubble's two sets of HTTP metrics, which share names and so exclude each other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HttpMetrics {
    /// Hubble's `http`: requests and responses each have a counter.
    #[default]
    V1,
    /// Hubble's `httpV2`: requests are counted at their response, with its status.
    V2,
}

/// Hubble's options of `flows-to-world`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct FlowsToWorld {
    /// Whether all drops count, not only those of policies. Default false, as in Hubble.
    pub any_drop: bool,
    /// Whether the destination port becomes a label. Default false, as in Hubble.
    pub port: bool,
    /// Whether of TCP only connection attempts count. Default false, as in Hubble.
    pub syn_only: bool,
}

impl Default for MetricsConfig {
    fn default() -> Self {
        Self {
            listen: Some(any_address(9965)),
            series_max: 2_000,
            http: HttpMetrics::default(),
            flows_to_world: FlowsToWorld::default(),
        }
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
    /// kernel's flow map, so that a total is never forgotten before the kernel forgets it. Where the kernel's maps are
    /// larger, this is too.
    pub observations_max: usize,
    /// Sockets remembered with their owner. Default 131,072.
    pub sockets_max: usize,
    /// Processes remembered. Default 16,384.
    pub processes_max: usize,
    /// Seconds of silence after which a connection or observation is forgotten. Default 120: the kernel reports a live
    /// one every few seconds. What the kernel may still tell of, as `capture` and `source.update_interval_ms` say, is
    /// remembered for longer.
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
    /// Address of the relay's gRPC port, such as `http://relay:4245`; `null` (the default) sends nothing. With
    /// `https://` the connection is made as `tls` says.
    pub address: Option<String>,
    /// TLS towards the relay: `ca_files`, and `cert_file` with `key_file` where it asks for a certificate. Default none.
    pub tls: Option<tls::ClientTls>,
    /// Rows at which a batch is sent. Default 4,096: a batch has a hundred dictionaries, which a relay reads faster the
    /// fewer there are. One of more than 2 MiB, or half of `spool_bytes_max`, goes in parts.
    pub batch_rows_max: usize,
    /// Milliseconds after which a smaller batch is sent. Default 50, so that a flow is on the screen within 300.
    pub batch_age_ms_max: u64,
    /// Batches sent ahead of their acknowledgment. Default 16, enough for 100,000 flows a second over 100 ms.
    pub window_batches: usize,
    /// Bytes of batches held in memory while the relay is slow or away. Default 64 MiB, about a million flows. When
    /// full, batches go to `spool_dir`; without one the oldest that was not sent yet is lost, counted, and told to the
    /// relay.
    pub spool_bytes_max: usize,
    /// Folder for batches that find no room in memory, or that were not acknowledged when the collector ended; they are
    /// sent after its next start. `null` (the default) for none. One collector uses it at a time.
    pub spool_dir: Option<PathBuf>,
    /// Bytes of batches in that folder. Default 1 GiB, some fifteen million flows. When full, the oldest batch is lost,
    /// counted, and told to the relay.
    pub spool_disk_bytes_max: u64,
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
            tls: None,
            batch_rows_max: 4_096,
            batch_age_ms_max: 50,
            window_batches: 16,
            spool_bytes_max: 64 << 20,
            spool_dir: None,
            spool_disk_bytes_max: 1 << 30,
            retry_ms_min: 200,
            retry_ms_max: 10_000,
            ack_timeout_ms: 15_000,
        }
    }
}

/// A setting has a value that cannot work.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{key} is {value}, but must be {wanted}")]
pub struct ConfigError {
    /// The setting, such as `ring.flows_max`.
    pub key: &'static str,
    /// Its value.
    pub value: String,
    /// What would work.
    pub wanted: &'static str,
}

impl Config {
    /// Settings of the tables, which hold the totals of whatever is in the kernel's maps: an entry that is told of again
    /// after its totals were forgotten would count once more from 0.
    pub(crate) fn tables(&self) -> DecodeConfig {
        let CaptureConfig { flow_idle_ms, flow_closed_ms, drop_idle_ms, flows_max, drops_max, .. } = self.capture;
        let mut tables = self.decode.clone();
        if self.source.kind == SourceKind::Kernel {
            // Silent for so long, an entry leaves with the next sweep, which may be late by another.
            let silence_ms = flow_idle_ms.max(flow_closed_ms).max(drop_idle_ms);
            let told_ms = silence_ms.saturating_add(self.source.update_interval_ms.saturating_mul(2));
            // Half of the time is what a table promises.
            tables.idle_seconds = tables.idle_seconds.max(told_ms.div_ceil(1_000).saturating_mul(2));
            // As is half of the room, of which drops have an eighth.
            let entries = (flows_max as usize).max((drops_max as usize).saturating_mul(8));
            tables.observations_max = tables.observations_max.max(entries.saturating_mul(2));
        }
        tables
    }

    /// Checks what the types do not.
    ///
    /// # Errors
    /// The first setting found that cannot work.
    pub fn check(&self) -> Result<(), ConfigError> {
        let between = |key, value: usize, low, high, wanted| match (low..=high).contains(&value) {
            true => Ok(()),
            false => Err(ConfigError { key, value: value.to_string(), wanted }),
        };
        between("ring.flows_max", self.ring.flows_max, 1, 1 << 26, "1 to 67,108,864")?;
        between("ring.agent_events_max", self.ring.agent_events_max, 1, 1 << 20, "1 to 1,048,576")?;
        between("observer.streams_max", self.observer.streams_max, 1, 1 << 20, "1 to 1,048,576")?;
        between("observer.connections_max", self.observer.connections_max, 1, 1 << 20, "1 to 1,048,576")?;
        between("metrics.series_max", self.metrics.series_max, 1, 1 << 20, "1 to 1,048,576")?;
        let rows = self.relay.batch_rows_max;
        between("relay.batch_rows_max", rows, 1, table::MAX_BATCH_ROWS, "1 to the rows of a record batch, 32,768")?;
        between("relay.window_batches", self.relay.window_batches, 1, 4_096, "1 to 4,096")?;
        between("relay.spool_bytes_max", self.relay.spool_bytes_max, 1 << 20, usize::MAX, "at least 1 MiB")?;
        let secured = self.relay.address.as_ref().is_some_and(|address| address.starts_with("https://"));
        if secured && self.relay.tls.is_none() {
            let wanted = "set with an https:// address: ca_files, and cert_file with key_file for mutual TLS";
            return Err(ConfigError { key: "relay.tls", value: "null".to_owned(), wanted });
        }
        if !self.redact.http_headers_allow.is_empty() && !self.redact.http_headers_deny.is_empty() {
            let value = self.redact.http_headers_deny.join(",");
            let wanted = "empty where redact.http_headers_allow has names: the two exclude each other";
            return Err(ConfigError { key: "redact.http_headers_deny", value, wanted });
        }
        let needs_file = self.source.kind != SourceKind::Kernel;
        if needs_file && self.source.file.is_none() {
            let wanted = "a path, or - for standard input, with this kind of source";
            return Err(ConfigError { key: "source.file", value: "null".to_owned(), wanted });
        }
        let interval = self.source.update_interval_ms;
        if !(10..=600_000).contains(&interval) {
            let wanted = "10 to 600,000 milliseconds";
            return Err(ConfigError { key: "source.update_interval_ms", value: interval.to_string(), wanted });
        }
        Ok(())
    }
}

const fn any_address(port: u16) -> SocketAddr {
    SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_good_and_come_back_from_text() {
        let config = Config::default();
        assert_eq!(config.check(), Ok(()));
        let text = serde_norway::to_string(&config).unwrap();
        assert_eq!(serde_norway::from_str::<Config>(&text).unwrap(), config);
        assert_eq!(serde_norway::from_str::<Config>("{}").unwrap(), config);
    }

    #[test]
    fn tables_remember_what_the_kernel_may_still_tell_of() {
        let tables = |text: &str| serde_norway::from_str::<Config>(text).unwrap().tables();
        let room = |text| (tables(text).idle_seconds, tables(text).observations_max);
        assert_eq!(room("{}"), (140, 262_144), "a drop is told of for a minute and one more sweep");
        assert_eq!(room("source: {update_interval_ms: 180000}").0, 840);
        assert_eq!(room("capture: {flow_idle_ms: 600000}").0, 1_220);
        assert_eq!(room("decode: {idle_seconds: 9000}").0, 9_000);
        assert_eq!(room("capture: {flows_max: 1000000}").1, 2_000_000);
        assert_eq!(room("capture: {drops_max: 100000}").1, 1_600_000);
        assert_eq!(tables("capture: {flow_idle_ms: 18446744073709551615}").idle_seconds, u64::MAX / 1_000 * 2 + 2);
        assert_eq!(tables("{source: {kind: replay}, decode: {idle_seconds: 5}}").idle_seconds, 5);
    }

    #[test]
    fn unknown_keys_and_impossible_values_are_errors() {
        let error = serde_norway::from_str::<Config>("ring: {flows_mx: 5}").unwrap_err().to_string();
        assert!(error.contains("unknown field `flows_mx`"), "{error}");
        let check = |text: &str| serde_norway::from_str::<Config>(text).unwrap().check().unwrap_err().to_string();
        assert_eq!(check("ring: {flows_max: 0}"), "ring.flows_max is 0, but must be 1 to 67,108,864");
        let error = check("source: {kind: replay}");
        assert_eq!(error, "source.file is null, but must be a path, or - for standard input, with this kind of source");
    }
}
