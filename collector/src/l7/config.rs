//! Limits and choices of the application parsers.

use serde::{Deserialize, Serialize};

/// Limits and choices of the application parsers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct L7Config {
    /// Connections followed at once. Default 65,536: twice what a busy node has open, some 200 bytes each when idle.
    /// When full, the connection silent for longest is forgotten.
    pub connections_max: usize,
    /// Bytes of unfinished messages and unanswered requests held by all connections together. Default 32 MiB, half of
    /// the collector's memory. When full, the connections that hold the most are given up.
    pub memory_bytes_max: usize,
    /// Bytes of one HTTP head. Default 16,384, as most servers allow 8,192. A longer head is read as far as it goes and
    /// the stream is taken up again at the next message.
    pub head_bytes_max: usize,
    /// Bytes of a URL that are kept. Default 2,048.
    pub url_bytes_max: usize,
    /// Requests of one connection that are remembered until their response. Default 128; browsers and proxies pipeline
    /// less. When full, the newest is forgotten: its response tells neither method nor URL.
    pub pipeline_max: usize,
    /// Seconds of silence after which a connection is forgotten. Default 600, longer than the keep-alive of servers.
    pub idle_seconds: u64,
    /// Ports on which DNS over TCP is expected. Default 53.
    pub dns_ports: Vec<u16>,
    /// DNS queries that wait for their answer. Default 16,384. When full, the oldest is counted as unanswered.
    pub dns_pending_max: usize,
    /// Seconds after which a DNS query counts as unanswered. Default 10: resolvers ask again after 5.
    pub dns_timeout_seconds: u64,
    /// Names of the HTTP headers that are kept, in any case. Credentials (`Authorization`, `Cookie`, `Set-Cookie`,
    /// `Proxy-Authorization` and the like) are redacted even when named here.
    pub http_headers: Vec<String>,
    /// Whether the query part of URLs is cut off. Default false, as in Hubble. For passwords there is
    /// `redact.http_user_info`.
    pub redact_url_query: bool,
}

impl Default for L7Config {
    fn default() -> Self {
        Self {
            connections_max: 65_536,
            memory_bytes_max: 32 << 20,
            head_bytes_max: 16_384,
            url_bytes_max: 2_048,
            pipeline_max: 128,
            idle_seconds: 600,
            dns_ports: vec![53],
            dns_pending_max: 16_384,
            dns_timeout_seconds: 10,
            http_headers: [
                "host",
                "user-agent",
                "content-type",
                "content-length",
                "x-request-id",
                "traceparent",
                "server",
                "retry-after",
            ]
            .map(str::to_owned)
            .to_vec(),
            redact_url_query: false,
        }
    }
}
