//! One checked and prepared field of a filter.

use std::borrow::Cow;

use super::address::Addresses;
use super::expression::Expressions;
use super::url::path_of_url;
use super::{LabelSelectors, NamePatterns, NamePrefixes, NodePatterns, Protocols, Regexes, StatusCodes};
use crate::{
    DropReason, Endpoint, Flow, FlowId, Http, Identity, Interface, IpVersion, L7Record, Service, Side, TcpFlags,
    TrafficDirection, Verdict, Workload,
};

/// A field of a filter: its values are alternatives.
#[derive(Clone, Debug)]
pub enum Rule {
    /// Flow ids.
    Uuid(Vec<FlowId>),
    /// Monitor event types: (type, sub type where it matters); type 0 matches any.
    EventType(Vec<(i32, Option<i32>)>),
    /// Verdicts.
    Verdict(Vec<Verdict>),
    /// Drop reasons, of dropped flows only.
    DropReason(Vec<DropReason>),
    /// Values of `is_reply`.
    Reply(Vec<bool>),
    /// Values of the encryption mark.
    Encrypted(Vec<bool>),
    /// Identities.
    Identity(Side, Vec<Identity>),
    /// Protocols.
    Protocol(Protocols),
    /// Addresses.
    Ip(Side, Addresses),
    /// Source addresses after translation.
    SourceIpXlated(Addresses),
    /// Pods.
    Pod(Side, NamePrefixes),
    /// Workloads; an empty name or kind matches any.
    Workload(Side, Vec<Workload>),
    /// Services.
    Service(Side, NamePrefixes),
    /// DNS names the address was resolved from.
    Fqdn(Side, NamePatterns),
    /// DNS names asked for.
    DnsQuery(Regexes),
    /// Labels.
    Label(Side, LabelSelectors),
    /// Labels of the node.
    NodeLabel(LabelSelectors),
    /// Ports of TCP, UDP and SCTP.
    Port(Side, Vec<u16>),
    /// HTTP status codes.
    HttpStatus(StatusCodes),
    /// HTTP methods, in any case.
    HttpMethod(Vec<String>),
    /// Paths of HTTP requests.
    HttpPath(Regexes),
    /// URLs of HTTP requests.
    HttpUrl(Regexes),
    /// HTTP header lines.
    HttpHeader(Vec<(String, String)>),
    /// Sets of TCP flags; all flags of one set must be set.
    TcpFlags(Vec<TcpFlags>),
    /// Nodes.
    NodeName(NodePatterns),
    /// Clusters.
    Cluster(Side, Vec<String>),
    /// IP versions.
    IpVersion(Vec<IpVersion>),
    /// Distributed tracing ids.
    TraceId(Vec<String>),
    /// Directions.
    TrafficDirection(Vec<TrafficDirection>),
    /// Devices by index (0 for any), name (empty for any) or both.
    Interface(Vec<Interface>),
    /// Trace ids carried in an IP option; 0 matches flows without one.
    IpTraceId(Vec<u64>),
    /// Expressions of a language of their own, such as CEL.
    Expressions(Expressions),
}

impl Rule {
    /// Whether one of the values matches the flow.
    #[must_use]
    pub fn matches(&self, flow: &Flow) -> bool {
        match self {
            Self::Uuid(ids) => ids.contains(&flow.id),
            Self::EventType(types) => flow.event_type.is_some_and(|e| event_type(types, e.kind, e.sub_kind)),
            Self::Verdict(verdicts) => verdicts.contains(&flow.verdict),
            Self::DropReason(reasons) => flow.verdict == Verdict::DROPPED && reasons.contains(&flow.drop_reason),
            Self::Reply(values) => reply(values, flow.is_reply, flow.verdict),
            Self::Encrypted(values) => values.contains(&flow.ip.as_ref().is_some_and(|ip| ip.encrypted)),
            Self::Protocol(protocols) => protocols.matches(flow),
            Self::SourceIpXlated(addresses) => {
                flow.ip.as_ref().and_then(|ip| ip.source_xlated).is_some_and(|a| addresses.matches(a))
            }
            Self::NodeLabel(selectors) => selectors.matches(&flow.node_labels),
            Self::TcpFlags(sets) => {
                flow.l4.as_ref().and_then(crate::L4::tcp_flags).is_some_and(|f| sets.iter().any(|s| f.contains(*s)))
            }
            Self::NodeName(patterns) => patterns.matches(&flow.node_name),
            Self::IpVersion(versions) => {
                versions.contains(&flow.ip.as_ref().map_or(IpVersion::IP_NOT_USED, crate::Ip::version))
            }
            Self::TraceId(ids) => ids.contains(&flow.trace_id),
            Self::TrafficDirection(directions) => directions.contains(&flow.traffic_direction),
            Self::Interface(wanted) => flow.interface.as_ref().is_some_and(|i| interface(wanted, i)),
            Self::IpTraceId(ids) => ids.contains(&flow.ip_trace_id.map_or(0, |t| t.trace_id)),
            Self::Expressions(expressions) => expressions.matches(flow),
            Self::DnsQuery(_)
            | Self::HttpStatus(_)
            | Self::HttpMethod(_)
            | Self::HttpPath(_)
            | Self::HttpUrl(_)
            | Self::HttpHeader(_) => flow.l7.as_ref().is_some_and(|l7| self.matches_record(&l7.record)),
            Self::Identity(side, _)
            | Self::Ip(side, _)
            | Self::Pod(side, _)
            | Self::Workload(side, _)
            | Self::Service(side, _)
            | Self::Fqdn(side, _)
            | Self::Label(side, _)
            | Self::Port(side, _)
            | Self::Cluster(side, _) => self.matches_side(flow, *side),
        }
    }

    /// Whether a rule on one side matches that side.
    fn matches_side(&self, flow: &Flow, side: Side) -> bool {
        match self {
            Self::Ip(_, addresses) => {
                flow.ip.as_ref().is_some_and(|ip| addresses.matches(*side.of(&ip.source, &ip.destination)))
            }
            Self::Service(_, names) => {
                service(names, side.of(&flow.source_service, &flow.destination_service).as_deref())
            }
            Self::Fqdn(_, patterns) => {
                side.of(&flow.source_names, &flow.destination_names).iter().any(|name| patterns.matches(name))
            }
            Self::Port(_, wanted) => flow
                .l4
                .as_ref()
                .and_then(crate::L4::ports)
                .is_some_and(|(source, destination)| wanted.contains(side.of(&source, &destination))),
            _ => self.matches_endpoint(flow.endpoint(side)),
        }
    }

    /// Whether a rule on endpoints (identity, pod, workload, label, cluster) matches this endpoint; any other rule does
    /// not. Where there is no endpoint there are no labels either, and `!app` matches.
    #[must_use]
    pub fn matches_endpoint(&self, endpoint: Option<&Endpoint>) -> bool {
        if let Self::Label(_, selectors) = self {
            return selectors.matches(endpoint.map_or(&[], |e| &e.labels));
        }
        let Some(endpoint) = endpoint else { return false };
        match self {
            Self::Identity(_, identities) => identities.contains(&endpoint.identity),
            Self::Pod(_, names) => names.matches(&endpoint.namespace, &endpoint.pod_name),
            Self::Workload(_, wanted) => endpoint.workloads.iter().any(|w| workload(wanted, w)),
            Self::Cluster(_, names) => names.contains(&endpoint.cluster_name),
            _ => false,
        }
    }

    /// Whether a rule on application records (DNS, HTTP) matches this record; any other rule does not.
    #[must_use]
    pub fn matches_record(&self, record: &L7Record) -> bool {
        match (self, record) {
            (Self::DnsQuery(queries), L7Record::Dns(dns)) => queries.matches(&dns.query),
            (_, L7Record::Http(http)) => self.matches_http(http),
            _ => false,
        }
    }

    fn matches_http(&self, http: &Http) -> bool {
        match self {
            Self::HttpStatus(codes) => codes.matches(http.code),
            Self::HttpMethod(methods) => {
                !http.method.is_empty() && methods.iter().any(|m| super::equal_fold(m, &http.method))
            }
            Self::HttpUrl(urls) => !http.url.is_empty() && urls.matches(&http.url),
            Self::HttpPath(paths) => path_of_url(&http.url).is_some_and(|path: Cow<'_, str>| paths.matches(&path)),
            Self::HttpHeader(wanted) => http.headers.iter().any(|h| wanted.contains(h)),
            _ => false,
        }
    }
}

fn event_type(wanted: &[(i32, Option<i32>)], kind: i32, sub_kind: i32) -> bool {
    wanted.iter().any(|&(k, sub)| (k == 0 || k == kind) && sub.is_none_or(|s| s == sub_kind))
}

/// A dropped flow of unknown direction counts as a request: old clients expect it.
fn reply(wanted: &[bool], is_reply: Option<bool>, verdict: Verdict) -> bool {
    match is_reply {
        Some(value) => wanted.contains(&value),
        None => verdict == Verdict::DROPPED && wanted.contains(&false),
    }
}

fn workload(wanted: &[Workload], workload: &Workload) -> bool {
    let meets = |wanted: &str, actual: &str| wanted.is_empty() || wanted == actual;
    wanted.iter().any(|w| meets(&w.name, &workload.name) && meets(&w.kind, &workload.kind))
}

fn interface(wanted: &[Interface], interface: &Interface) -> bool {
    wanted
        .iter()
        .any(|w| (w.index == 0 || w.index == interface.index) && (w.name.is_empty() || w.name == interface.name))
}

fn service(names: &NamePrefixes, service: Option<&Service>) -> bool {
    service.is_some_and(|s| names.matches(&s.namespace, &s.name))
}
