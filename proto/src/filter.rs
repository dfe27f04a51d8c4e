//! Filters run on flows as they came over the wire or out of a file, before anything of them is interpreted.
//!
//! A flow of the vocabulary ([`flow::Flow`]) holds addresses and ports that could be understood; one from a file may hold
//! any text. Whether such a flow matches is decided here, as the stock client decides it.

use ::flow::filter::{FilterError, FilterSet, Rule};
use ::flow::{DropReason, FlowId, Identity, IpVersion, TrafficDirection, Verdict, event_type};

use crate::cel::{self, Expression};
use crate::convert::filter_from_wire;
use crate::flow as wire;
use crate::flow::layer4::Protocol;
use crate::flow::layer7::Record;
use crate::observer::GetFlowsResponse;
use crate::observer::get_flows_response::ResponseTypes;

/// A whitelist and a blacklist for flows on the wire, checked and prepared.
#[derive(Clone, Debug, Default)]
pub struct WireFilterSet {
    whitelist: Vec<WireFilter>,
    blacklist: Vec<WireFilter>,
}

/// Prepares a whitelist and a blacklist from the wire for flows of the vocabulary.
///
/// # Errors
/// A value or an expression of any filter cannot be understood; nothing is ignored.
pub fn compile_for_flows(
    whitelist: Vec<wire::FlowFilter>,
    blacklist: Vec<wire::FlowFilter>,
) -> Result<FilterSet, FilterError> {
    let [whitelist, blacklist] =
        [whitelist, blacklist].map(|filters| filters.into_iter().map(filter_from_wire).collect::<Vec<_>>());
    FilterSet::compile_with(&whitelist, &blacklist, cel::compile_for_filter)
}

#[derive(Clone, Debug)]
struct WireFilter {
    rules: Vec<Rule>,
    /// Expressions of which one must be true; empty where the filter has none.
    expressions: Vec<Expression>,
}

impl WireFilterSet {
    /// Checks and prepares the filters.
    ///
    /// # Errors
    /// A value of any filter cannot be understood; nothing is ignored.
    pub fn compile(whitelist: &[wire::FlowFilter], blacklist: &[wire::FlowFilter]) -> Result<Self, FilterError> {
        Ok(Self { whitelist: compile_all(whitelist)?, blacklist: compile_all(blacklist)? })
    }

    /// Whether the message is asked for: its flow matches one filter of the whitelist (or that is empty) and none of the
    /// blacklist. A message without a flow is like a flow without any fields, save that no verdict, id or version of it
    /// matches.
    #[must_use]
    pub fn matches(&self, response: &GetFlowsResponse) -> bool {
        let flow = match &response.response_types {
            Some(ResponseTypes::Flow(flow)) => Some(flow),
            _ => None,
        };
        (self.whitelist.is_empty() || self.whitelist.iter().any(|filter| filter.matches(flow)))
            && !self.blacklist.iter().any(|filter| filter.matches(flow))
    }

    /// Whether an agent event is asked for. Rules on event types know its type; for all others it is no flow.
    #[must_use]
    pub fn matches_agent_event(&self, event: &wire::AgentEvent) -> bool {
        let matches = |filter: &WireFilter| {
            let meets = |rule: &Rule| match rule {
                Rule::EventType(wanted) => wanted.iter().any(|&(kind, sub)| {
                    (kind == 0 || kind == event_type::AGENT) && sub.is_none_or(|sub| sub == event.r#type)
                }),
                // Hubble asks this of flows alone; a loss in a file is one without fields to it, an event is none.
                Rule::Encrypted(_) => false,
                rule => matches_nothing(rule),
            };
            filter.rules.iter().all(meets)
                && (filter.expressions.is_empty() || cel::any_is_true(&filter.expressions, None))
        };
        (self.whitelist.is_empty() || self.whitelist.iter().any(matches)) && !self.blacklist.iter().any(matches)
    }

    /// Fields of a flow that decide, for [`crate::json::FlowFields::of`]; `None` where any of them may.
    #[must_use]
    pub fn fields(&self) -> Option<Vec<&'static str>> {
        let mut fields = Vec::new();
        for filter in self.whitelist.iter().chain(&self.blacklist) {
            if !filter.expressions.is_empty() {
                return None;
            }
            for rule in &filter.rules {
                fields.extend_from_slice(fields_of(rule)?);
            }
        }
        Some(fields)
    }

    /// Whether every message passes, so that matching can be left out.
    #[must_use]
    pub fn passes_everything(&self) -> bool {
        let empty = |filter: &WireFilter| filter.rules.is_empty() && filter.expressions.is_empty();
        self.blacklist.is_empty() && (self.whitelist.is_empty() || self.whitelist.iter().any(empty))
    }
}

/// Fields that the rule looks at; `None` where that is not known.
fn fields_of(rule: &Rule) -> Option<&'static [&'static str]> {
    Some(match rule {
        Rule::Uuid(_) => &["uuid"],
        Rule::EventType(_) => &["event_type"],
        Rule::Verdict(_) => &["verdict"],
        Rule::DropReason(_) => &["verdict", "drop_reason_desc"],
        Rule::Reply(_) => &["verdict", "is_reply"],
        Rule::Encrypted(_) | Rule::SourceIpXlated(_) | Rule::IpVersion(_) | Rule::Ip(..) => &["IP"],
        Rule::Protocol(_) => &["l4", "l7"],
        Rule::NodeLabel(_) => &["node_labels"],
        Rule::TcpFlags(_) | Rule::Port(..) => &["l4"],
        Rule::NodeName(_) => &["node_name"],
        Rule::TraceId(_) => &["trace_context"],
        Rule::TrafficDirection(_) => &["traffic_direction"],
        Rule::Interface(_) => &["interface"],
        Rule::IpTraceId(_) => &["ip_trace_id"],
        Rule::DnsQuery(_)
        | Rule::HttpStatus(_)
        | Rule::HttpMethod(_)
        | Rule::HttpPath(_)
        | Rule::HttpUrl(_)
        | Rule::HttpHeader(_) => &["l7"],
        Rule::Service(..) => &["source_service", "destination_service"],
        Rule::Fqdn(..) => &["source_names", "destination_names"],
        Rule::Label(..) => &["source.labels", "destination.labels"],
        Rule::Identity(..) => &["source.identity", "destination.identity"],
        Rule::Pod(..) => &["source.namespace", "source.pod_name", "destination.namespace", "destination.pod_name"],
        Rule::Workload(..) => &["source.workloads", "destination.workloads"],
        Rule::Cluster(..) => &["source.cluster_name", "destination.cluster_name"],
        _ => return None,
    })
}

fn compile_all(filters: &[wire::FlowFilter]) -> Result<Vec<WireFilter>, FilterError> {
    filters.iter().map(compile).collect()
}

fn compile(filter: &wire::FlowFilter) -> Result<WireFilter, FilterError> {
    let mut filter = filter_from_wire(filter.clone());
    let texts = std::mem::take(&mut filter.cel_expression);
    let rules = FilterSet::compile(std::slice::from_ref(&filter), &[])?
        .whitelist()
        .first()
        .map_or_else(Vec::new, |filter| filter.rules().to_vec());
    let expressions = texts.iter().map(|text| cel::compile(text)).collect::<Result<_, _>>()?;
    Ok(WireFilter { rules, expressions })
}

impl WireFilter {
    fn matches(&self, flow: Option<&wire::Flow>) -> bool {
        let rules = match flow {
            Some(flow) => self.rules.iter().all(|rule| matches(rule, flow)),
            None => self.rules.iter().all(matches_nothing),
        };
        rules && (self.expressions.is_empty() || cel::any_is_true(&self.expressions, flow))
    }
}

/// Whether the rule matches what is no flow.
fn matches_nothing(rule: &Rule) -> bool {
    match rule {
        Rule::Uuid(_) | Rule::Verdict(_) | Rule::IpVersion(_) | Rule::TrafficDirection(_) => false,
        rule => matches(rule, &NO_FLOW),
    }
}

static NO_FLOW: std::sync::LazyLock<wire::Flow> = std::sync::LazyLock::new(wire::Flow::default);

fn matches(rule: &Rule, flow: &wire::Flow) -> bool {
    match rule {
        Rule::Uuid(ids) => ids.contains(&FlowId::parse(&flow.uuid)),
        Rule::EventType(wanted) => flow.event_type.is_some_and(|event| {
            let meets = |&(kind, sub): &(i32, Option<i32>)| {
                (kind == 0 || kind == event.r#type) && sub.is_none_or(|sub| sub == event.sub_type)
            };
            wanted.iter().any(meets)
        }),
        Rule::Verdict(wanted) => wanted.contains(&Verdict(flow.verdict)),
        Rule::DropReason(wanted) => {
            flow.verdict == Verdict::DROPPED.0 && wanted.contains(&DropReason(flow.drop_reason_desc))
        }
        Rule::Reply(wanted) => match flow.is_reply {
            Some(value) => wanted.contains(&value),
            None => flow.verdict == Verdict::DROPPED.0 && wanted.contains(&false),
        },
        Rule::Encrypted(wanted) => wanted.contains(&flow.ip.as_ref().is_some_and(|ip| ip.encrypted)),
        Rule::Protocol(protocols) => {
            let l4 = flow.l4.as_ref().and_then(|l4| l4.protocol.as_ref()).and_then(l4_name);
            let l7 = flow.l7.as_ref().and_then(|l7| l7.record.as_ref()).map(l7_name);
            [l4, l7].into_iter().flatten().any(|name| protocols.has(name))
        }
        Rule::SourceIpXlated(addresses) => flow.ip.as_ref().is_some_and(|ip| addresses.matches_text(&ip.source_xlated)),
        Rule::NodeLabel(selectors) => selectors.matches(&flow.node_labels),
        Rule::TcpFlags(sets) => tcp_flags(flow).is_some_and(|flags| sets.iter().any(|set| flags.contains(*set))),
        Rule::NodeName(patterns) => patterns.matches(&flow.node_name),
        Rule::IpVersion(wanted) => wanted.contains(&IpVersion(flow.ip.as_ref().map_or(0, |ip| ip.ip_version))),
        Rule::TraceId(ids) => ids.iter().any(|id| *id == trace_id(flow)),
        Rule::TrafficDirection(wanted) => wanted.contains(&TrafficDirection(flow.traffic_direction)),
        Rule::Interface(wanted) => flow.interface.as_ref().is_some_and(|device| {
            wanted
                .iter()
                .any(|w| (w.index == 0 || w.index == device.index) && (w.name.is_empty() || *w.name == *device.name))
        }),
        Rule::IpTraceId(ids) => ids.contains(&flow.ip_trace_id.as_ref().map_or(0, |trace| trace.trace_id)),
        // The expressions of a filter on the wire are kept beside its rules.
        Rule::Expressions(_) => false,
        Rule::DnsQuery(_)
        | Rule::HttpStatus(_)
        | Rule::HttpMethod(_)
        | Rule::HttpPath(_)
        | Rule::HttpUrl(_)
        | Rule::HttpHeader(_) => {
            flow.l7.as_ref().and_then(|l7| l7.record.as_ref()).is_some_and(|record| matches_record(rule, record))
        }
        rule => matches_side(rule, flow),
    }
}

/// Rules on one of the sides.
fn matches_side(rule: &Rule, flow: &wire::Flow) -> bool {
    match rule {
        Rule::Ip(side, addresses) => {
            flow.ip.as_ref().is_some_and(|ip| addresses.matches_text(side.of(&ip.source, &ip.destination)))
        }
        Rule::Service(side, names) => side
            .of(&flow.source_service, &flow.destination_service)
            .as_ref()
            .is_some_and(|service| names.matches(&service.namespace, &service.name)),
        Rule::Fqdn(side, patterns) => {
            side.of(&flow.source_names, &flow.destination_names).iter().any(|name| patterns.matches(name))
        }
        Rule::Port(side, wanted) => {
            ports(flow).is_some_and(|(source, destination)| wanted.contains(side.of(&source, &destination)))
        }
        Rule::Label(side, selectors) => {
            selectors.matches(side.of(&flow.source, &flow.destination).as_ref().map_or(&[], |side| &side.labels))
        }
        Rule::Identity(side, wanted) => {
            let endpoint = side.of(&flow.source, &flow.destination).as_ref();
            endpoint.is_some_and(|endpoint| wanted.contains(&Identity(endpoint.identity)))
        }
        Rule::Pod(side, names) => {
            let endpoint = side.of(&flow.source, &flow.destination).as_ref();
            endpoint.is_some_and(|endpoint| names.matches(&endpoint.namespace, &endpoint.pod_name))
        }
        Rule::Workload(side, wanted) => {
            let meets = |wanted: &str, actual: &str| wanted.is_empty() || wanted == actual;
            side.of(&flow.source, &flow.destination).as_ref().is_some_and(|endpoint| {
                let mut workloads = endpoint.workloads.iter();
                workloads.any(|w| wanted.iter().any(|want| meets(&want.name, &w.name) && meets(&want.kind, &w.kind)))
            })
        }
        Rule::Cluster(side, wanted) => {
            let endpoint = side.of(&flow.source, &flow.destination).as_ref();
            endpoint.is_some_and(|endpoint| wanted.contains(&endpoint.cluster_name))
        }
        _ => false,
    }
}

fn matches_record(rule: &Rule, record: &Record) -> bool {
    match (rule, record) {
        (Rule::DnsQuery(queries), Record::Dns(dns)) => queries.matches(&dns.query),
        (Rule::HttpStatus(codes), Record::Http(http)) => codes.matches(http.code),
        (Rule::HttpMethod(methods), Record::Http(http)) => {
            !http.method.is_empty() && methods.iter().any(|m| ::flow::filter::equal_fold(m, &http.method))
        }
        (Rule::HttpUrl(urls), Record::Http(http)) => !http.url.is_empty() && urls.matches(&http.url),
        (Rule::HttpPath(paths), Record::Http(http)) => {
            ::flow::filter::path_of_url(&http.url).is_some_and(|path| paths.matches(&path))
        }
        (Rule::HttpHeader(wanted), Record::Http(http)) => {
            http.headers.iter().any(|h| wanted.iter().any(|(key, value)| *key == h.key && *value == h.value))
        }
        _ => false,
    }
}

const fn l4_name(protocol: &Protocol) -> Option<&'static str> {
    Some(match protocol {
        Protocol::Tcp(_) => "tcp",
        Protocol::Udp(_) => "udp",
        Protocol::Sctp(_) => "sctp",
        Protocol::IcmPv4(_) => "icmpv4",
        Protocol::IcmPv6(_) => "icmpv6",
        Protocol::Vrrp(_) => "vrrp",
        Protocol::Igmp(_) => "igmp",
    })
}

#[expect(deprecated, reason = "Kafka records are deprecated, but agents still send them")]
const fn l7_name(record: &Record) -> &'static str {
    match record {
        Record::Dns(_) => "dns",
        Record::Http(_) => "http",
        Record::Kafka(_) => "kafka",
    }
}

fn tcp_flags(flow: &wire::Flow) -> Option<::flow::TcpFlags> {
    match flow.l4.as_ref()?.protocol.as_ref()? {
        Protocol::Tcp(tcp) => tcp.flags.map(crate::convert::tcp_flags),
        _ => None,
    }
}

/// Ports as the stock client compares them: the lower 16 bits of what was sent.
#[expect(clippy::cast_possible_truncation, reason = "as the stock client does")]
fn ports(flow: &wire::Flow) -> Option<(u16, u16)> {
    let (source, destination) = match flow.l4.as_ref()?.protocol.as_ref()? {
        Protocol::Tcp(tcp) => (tcp.source_port, tcp.destination_port),
        Protocol::Udp(udp) => (udp.source_port, udp.destination_port),
        Protocol::Sctp(sctp) => (sctp.source_port, sctp.destination_port),
        _ => return None,
    };
    Some((source as u16, destination as u16))
}

fn trace_id(flow: &wire::Flow) -> &str {
    flow.trace_context.as_ref().and_then(|context| context.parent.as_ref()).map_or("", |parent| &parent.trace_id)
}
