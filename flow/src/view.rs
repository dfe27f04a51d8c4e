//! What the relay's HTTP API answers: the JSON shapes shared by the relay, the web UI and `flowctl`.
//!
//! Times are RFC 3339 in UTC, durations and sizes carry their unit in the name, absent values are `null` or left out.

use serde::{Deserialize, Serialize};

/// One flow as a table shows it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FlowRow {
    /// Id of the flow.
    pub id: String,
    /// When it happened, RFC 3339.
    pub time: String,
    /// Observing node.
    pub node: String,
    /// Verdict by its Hubble name, such as `FORWARDED` or `DROPPED`.
    pub verdict: String,
    /// Type as Hubble's compact output names it, such as `to-endpoint` or `http-request`.
    pub kind: String,
    /// `ingress`, `egress` or empty.
    pub direction: String,
    /// Whether it travels from server to client.
    pub is_reply: Option<bool>,
    /// Sender.
    pub source: Party,
    /// Receiver.
    pub destination: Party,
    /// `TCP`, `UDP`, `ICMPv4`, ...; empty for what is not IP.
    pub protocol: String,
    /// The text clients print.
    pub summary: String,
    /// Why it was dropped: the kernel's reason where known, else Hubble's; empty for what was not dropped.
    pub drop_reason: String,
    /// Kernel function that dropped it; empty where not known.
    pub drop_function: String,
    /// Device it was seen on.
    pub interface: String,
    /// Bytes this flow stands for.
    pub bytes: u64,
    /// Packets this flow stands for.
    pub packets: u64,
    /// Time from request to response in microseconds.
    pub latency_us: Option<f64>,
}

/// One side of a flow.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Party {
    /// Best name: pod, service, DNS name or address.
    pub name: String,
    /// Namespace, empty for none.
    pub namespace: String,
    /// Nearest workload, empty for none.
    pub workload: String,
    /// Address.
    pub ip: String,
    /// Port, 0 for none.
    pub port: u16,
    /// Identity: a reserved name or a number.
    pub identity: String,
    /// Labels.
    pub labels: Vec<String>,
    /// Process as `comm (pid)`, empty where not known.
    pub process: String,
    /// Cgroup path of the process, empty where not known.
    pub cgroup: String,
}

/// Answer of `GET /api/v1/flows`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct FlowsAnswer {
    /// Matching flows, the oldest first.
    pub flows: Vec<FlowRow>,
    /// How complete the answer is.
    pub completeness: Completeness,
}

/// How complete an answer is: what the stages saw and lost in the range asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Completeness {
    /// Start of the oldest flow still held, RFC 3339; empty where none is held.
    pub oldest: String,
    /// Flows the stages lost in the range.
    pub lost: u64,
    /// Losses by stage and cause.
    pub losses: Vec<Loss>,
    /// Nodes that did not answer or report lately.
    pub missing_nodes: Vec<String>,
    /// Files of the store whose flows are missing, each with what is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
}

/// Losses of one stage of one node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Loss {
    /// Node.
    pub node: String,
    /// Stage, such as `kernel` or `ship`.
    pub stage: String,
    /// Cause, such as `ring_full`.
    pub cause: String,
    /// Events that entered the stage.
    pub seen: u64,
    /// Events lost.
    pub lost: u64,
}

/// Answer of `GET /api/v1/map`: who talks to whom.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct ServiceMap {
    /// Services.
    pub nodes: Vec<MapNode>,
    /// Conversations between services, client to server.
    pub edges: Vec<MapEdge>,
    /// Start of the range, RFC 3339.
    pub since: String,
    /// End of the range, RFC 3339.
    pub until: String,
    /// What it was counted from: `flows`, or rollups such as `edges_1h (2), edges_1m (34), flows` with how many of each.
    #[serde(default)]
    pub source: String,
    /// Edges that are not here because they are too many: those without drops and errors that have the fewest flows.
    #[serde(default)]
    pub left_out: u64,
    /// How complete the answer is.
    pub completeness: Completeness,
}

/// One service on the map.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MapNode {
    /// Stable id: `namespace/workload`, a DNS name, or `reserved:world`; where a map shows several clusters it begins with
    /// that of the node, unless it is the default one.
    pub id: String,
    /// Name to show.
    pub name: String,
    /// Namespace, empty for none.
    pub namespace: String,
    /// Cluster, where the id begins with it; else empty.
    #[serde(default)]
    pub cluster: String,
    /// `workload`, `service`, `namespace`, `pod`, `host`, `world`, `dns` or `address`.
    pub kind: String,
}

/// All traffic from one service to another on one server port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct MapEdge {
    /// Id of the client's node.
    pub source: String,
    /// Id of the server's node.
    pub destination: String,
    /// `TCP`, `UDP`, ...
    pub protocol: String,
    /// Server port, 0 for none.
    pub port: u16,
    /// Flow reports.
    pub flows: u64,
    /// Bytes from client to server.
    pub bytes_sent: u64,
    /// Bytes from server to client.
    pub bytes_received: u64,
    /// Packets both ways.
    pub packets: u64,
    /// Packets dropped.
    pub dropped: u64,
    /// Commonest drop reason, empty for none.
    pub drop_reason: String,
    /// Requests of application protocols.
    pub requests: u64,
    /// Responses that say the server failed (HTTP 5xx, DNS other than success).
    pub errors: u64,
    /// Median latency in microseconds.
    pub latency_p50_us: Option<f64>,
    /// 99th percentile of the latency in microseconds.
    pub latency_p99_us: Option<f64>,
    /// Application protocol, such as `HTTP` or `DNS`; empty for none.
    pub l7: String,
}

/// Answer of `GET /api/v1/drops`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DropSummary {
    /// Packets dropped in the range.
    pub total: u64,
    /// Groups of like drops, the largest first.
    pub groups: Vec<DropGroup>,
    /// Packets of `total` that are in none of these groups, because they would be too many.
    #[serde(default)]
    pub left_out: u64,
    /// Drops over time, by reason.
    pub timeline: Vec<DropBucket>,
    /// How complete the answer is.
    pub completeness: Completeness,
}

/// Drops with the same reason, parties, direction and port.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DropGroup {
    /// Why: the kernel's reason where known, else Hubble's.
    pub reason: String,
    /// Plain words on what the reason means and what to check; empty where there are none.
    pub explanation: String,
    /// Kernel function that dropped; empty where not known.
    pub function: String,
    /// Sender.
    pub source: Party,
    /// Receiver.
    pub destination: Party,
    /// Protocol.
    pub protocol: String,
    /// Port of the server's side, 0 for none, and for many where there are too many groups.
    pub port: u16,
    /// Whether they went from server to client, by their ports where the flows do not tell; then `port` is the sender's.
    #[serde(default)]
    pub is_reply: bool,
    /// Packets dropped.
    pub packets: u64,
    /// First drop in the range, RFC 3339.
    pub first: String,
    /// Last drop in the range, RFC 3339.
    pub last: String,
}

/// Drops of one reason in one slice of time.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct DropBucket {
    /// Start of the slice, RFC 3339.
    pub time: String,
    /// Reason.
    pub reason: String,
    /// Packets dropped.
    pub packets: u64,
}

/// Answer of `GET /api/v1/status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Status {
    /// Version of the relay.
    pub version: String,
    /// Seconds since the relay started.
    pub uptime_seconds: u64,
    /// Flows held.
    pub flows: u64,
    /// Flows that fit.
    pub flows_max: u64,
    /// Flows taken in since the start.
    pub flows_seen: u64,
    /// Flows a second over the last minute.
    pub flows_per_second: f64,
    /// Bytes the index occupies in memory.
    pub index_bytes: u64,
    /// Bytes of memory the process occupies; `null` where its system does not tell.
    #[serde(default)]
    pub memory_bytes: Option<u64>,
    /// Bytes of memory the process may occupy; 0 where not known.
    #[serde(default)]
    pub memory_bytes_max: u64,
    /// Nodes and their state.
    pub nodes: Vec<NodeRow>,
    /// Losses since the start.
    pub losses: Vec<Loss>,
}

/// One node.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct NodeRow {
    /// Name.
    pub name: String,
    /// `connected`, `unavailable`, `gone` or `error`.
    pub state: String,
    /// Version of the collector.
    pub version: String,
    /// Address the collector pushes from or is pulled at.
    pub address: String,
    /// Flows taken in from it.
    pub flows_seen: u64,
    /// Flows it reported as lost.
    pub lost: u64,
    /// Seconds since its last batch; `null` where there was none.
    pub idle_seconds: Option<f64>,
}

/// Answer of `POST /api/v1/sql` in JSON.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SqlAnswer {
    /// Columns in order.
    pub columns: Vec<SqlColumn>,
    /// Rows in order; each has one value per column.
    #[cfg_attr(feature = "openapi", schema(value_type = Vec<Vec<Object>>))]
    pub rows: Vec<Vec<serde_json::Value>>,
    /// Milliseconds the query took.
    pub elapsed_ms: f64,
    /// Whether rows were cut off at the limit.
    pub truncated: bool,
    /// Files of the store whose flows are missing, of whatever time, each with what is wrong.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub damaged: Vec<String>,
}

/// One column of a SQL answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SqlColumn {
    /// Name.
    pub name: String,
    /// Arrow type.
    #[serde(rename = "type")]
    pub kind: String,
}

/// A refusal: what was wrong with the request and what to do about it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Problem {
    /// What was wrong.
    pub error: String,
    /// What to do about it; empty where there is nothing to say.
    pub remedy: String,
}
