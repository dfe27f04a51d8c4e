//! Application records.

use crate::L7FlowType;

/// Application record of a flow.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct L7 {
    /// Request, response or sample.
    pub kind: L7FlowType,
    /// Time from request to response, in nanoseconds; 0 for requests and where it is not known.
    pub latency_ns: u64,
    /// The record itself.
    pub record: L7Record,
}

/// The protocols Hubble has a record for.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum L7Record {
    /// No record.
    #[default]
    None,
    /// DNS query or answer.
    Dns(Dns),
    /// HTTP request or response.
    Http(Http),
    /// Kafka request or response.
    Kafka(Kafka),
}

/// DNS query or answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dns {
    /// Name asked for, with its trailing dot.
    pub query: String,
    /// Addresses of the answer in text form.
    pub ips: Vec<String>,
    /// Smallest time to live of the answer, in seconds.
    pub ttl_seconds: u32,
    /// Canonical names of the answer.
    pub cnames: Vec<String>,
    /// Who observed it: `proxy` for Cilium's, `wire` for ours.
    pub observation_source: String,
    /// Response code, 0 for success and for queries.
    pub rcode: u32,
    /// Record types asked for.
    pub qtypes: Vec<String>,
    /// Record types of the answer.
    pub rrtypes: Vec<String>,
}

/// HTTP request or response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http {
    /// Status code; 0 for requests.
    pub code: u32,
    /// Method of the request, on responses too.
    pub method: String,
    /// URL of the request, on responses too.
    pub url: String,
    /// Protocol version, such as `HTTP/1.1`.
    pub protocol: String,
    /// Header lines kept by the allow-list, in the order received.
    pub headers: Vec<(String, String)>,
}

/// Kafka request or response.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Kafka {
    /// Error of the response, 0 for none.
    pub error_code: i32,
    /// Version of the request.
    pub api_version: i32,
    /// Name of the request kind.
    pub api_key: String,
    /// Id that pairs request and response.
    pub correlation_id: i32,
    /// Topic.
    pub topic: String,
}
