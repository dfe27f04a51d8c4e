//! Selecting flows: Hubble's `FlowFilter`, compiled once and run on each flow.

mod address;
mod compile;
mod error;
mod expression;
mod http;
mod label;
mod language;
mod name;
mod pattern;
mod protocol;
mod regexes;
mod rule;
mod selection;
mod set;
mod url;

pub use address::Addresses;
pub use error::{FilterError, LabelError, PatternProblem};
pub use expression::{CompileExpression, Expression, Expressions};
pub use http::{StatusCodes, equal_fold};
pub use label::LabelSelectors;
pub use language::{
    Comparison, Completion, GroupKey, GroupKeyError, LanguageError, Measure, Problem, Pushed, Query, Wanted,
};
pub use name::NamePrefixes;
pub use pattern::{NamePatterns, NodePatterns};
pub use protocol::Protocols;
pub use regexes::Regexes;
pub use rule::Rule;
pub use selection::{Selection, SelectionError, parse_prefixed};
pub use set::{Filter, FilterSet};
pub use url::path_of_url;

use crate::{DropReason, Identity, Interface, IpVersion, TcpFlags, TrafficDirection, Verdict, Workload};

/// One filter: values of a field are alternatives, all fields that are set must match. An empty filter matches all.
///
/// The values are kept as received; [`FilterSet::compile`] checks and prepares them.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowFilter {
    /// Flow ids, compared as text.
    pub uuid: Vec<String>,
    /// Source addresses (equal as text) or prefixes (`10.0.0.0/8`).
    pub source_ip: Vec<String>,
    /// Source addresses after translation, or prefixes.
    pub source_ip_xlated: Vec<String>,
    /// Source pods as `[namespace/]prefix`.
    pub source_pod: Vec<String>,
    /// Source DNS names with `*` as wildcard.
    pub source_fqdn: Vec<String>,
    /// Source label selectors in Kubernetes' language.
    pub source_label: Vec<String>,
    /// Source services as `[namespace/]prefix`.
    pub source_service: Vec<String>,
    /// Source workloads; an empty name or kind matches any.
    pub source_workload: Vec<Workload>,
    /// Source clusters, exact.
    pub source_cluster_name: Vec<String>,
    /// Destination addresses (equal as text) or prefixes.
    pub destination_ip: Vec<String>,
    /// Destination pods as `[namespace/]prefix`.
    pub destination_pod: Vec<String>,
    /// Destination DNS names with `*` as wildcard.
    pub destination_fqdn: Vec<String>,
    /// Destination label selectors.
    pub destination_label: Vec<String>,
    /// Destination services as `[namespace/]prefix`.
    pub destination_service: Vec<String>,
    /// Destination workloads.
    pub destination_workload: Vec<Workload>,
    /// Destination clusters, exact.
    pub destination_cluster_name: Vec<String>,
    /// Directions.
    pub traffic_direction: Vec<TrafficDirection>,
    /// Verdicts.
    pub verdict: Vec<Verdict>,
    /// Drop reasons; match dropped flows only.
    pub drop_reason: Vec<DropReason>,
    /// Devices by index, name or both.
    pub interface: Vec<Interface>,
    /// Monitor event types: (type, sub type where it matters); type 0 matches any.
    pub event_type: Vec<(i32, Option<i32>)>,
    /// HTTP status codes: `404`, or a prefix such as `5+` or `40+`.
    pub http_status_code: Vec<String>,
    /// Protocols by name, in any case.
    pub protocol: Vec<String>,
    /// Source ports in decimal.
    pub source_port: Vec<String>,
    /// Destination ports in decimal.
    pub destination_port: Vec<String>,
    /// Values of `is_reply`; a dropped flow of unknown direction counts as `false`.
    pub reply: Vec<bool>,
    /// Regular expressions on the DNS name asked for.
    pub dns_query: Vec<String>,
    /// Source identities.
    pub source_identity: Vec<Identity>,
    /// Destination identities.
    pub destination_identity: Vec<Identity>,
    /// HTTP methods, in any case.
    pub http_method: Vec<String>,
    /// Regular expressions on the path of the URL.
    pub http_path: Vec<String>,
    /// Regular expressions on the whole URL.
    pub http_url: Vec<String>,
    /// HTTP header lines, exact.
    pub http_header: Vec<(String, String)>,
    /// Sets of TCP flags; all flags of one set must be set.
    pub tcp_flags: Vec<TcpFlags>,
    /// Nodes as `[cluster/]node` with `*` as wildcard.
    pub node_name: Vec<String>,
    /// Label selectors on the node.
    pub node_labels: Vec<String>,
    /// IP versions.
    pub ip_version: Vec<IpVersion>,
    /// Distributed tracing ids, exact.
    pub trace_id: Vec<String>,
    /// Trace ids carried in an IP option.
    pub ip_trace_id: Vec<u64>,
    /// Values of the encryption mark.
    pub encrypted: Vec<bool>,
    /// CEL expressions over the flow.
    pub cel_expression: Vec<String>,
}
