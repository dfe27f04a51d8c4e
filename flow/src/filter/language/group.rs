//! Keys of the language as values of a flow: what flows can be grouped by.

use std::borrow::Cow;

use super::{Measure, key};
use crate::filter::path_of_url;
use crate::text::{Names, TRACE_SUB_TYPES, name_of};
use crate::{DropReason, Endpoint, Flow, IpVersion, L7Record, Side, TrafficDirection, Verdict, event_type};

/// A key whose value flows are grouped by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupKey {
    name: String,
    fact: Fact,
}

/// A name that flows cannot be grouped by.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum GroupKeyError {
    /// No key has this name.
    #[error("no key is called {key:?}, did you mean {near}?")]
    Unknown {
        /// As given.
        key: String,
        /// Keys that look like it.
        near: String,
    },
    /// The key speaks of either side, so that a flow has two values of it.
    #[error("{key} is of either side: say src.{key} or dst.{key}")]
    EitherSide {
        /// As given.
        key: String,
    },
    /// The key is a number, or a condition, and has no values to tell groups apart by.
    #[error("{key} selects flows, it does not name them: group by a name such as src.ns, verdict or http.status")]
    NoName {
        /// As given.
        key: String,
    },
}

/// What of a flow a key names.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Fact {
    /// The best name of a side: pod, service, DNS name or address.
    Name(Side),
    Namespace(Side),
    Pod(Side),
    Workload(Side),
    Service(Side),
    Labels(Side),
    Label(Side, String),
    Identity(Side),
    Ip(Side),
    Fqdn(Side),
    Port(Side),
    Cluster(Side),
    Verdict,
    DropReason,
    Protocol,
    Type,
    Direction,
    Reply,
    HttpStatus,
    HttpMethod,
    HttpPath,
    HttpUrl,
    HttpHeader,
    DnsQuery,
    TcpFlags,
    Node,
    NodeLabels,
    Interface,
    IpVersion,
    SnatIp,
    TraceId,
    Uuid,
}

impl GroupKey {
    /// Finds the key with this name. `src` and `dst` alone are the best name of that side.
    ///
    /// # Errors
    /// There is none, or its values do not tell flows apart.
    pub fn parse(name: &str) -> Result<Self, GroupKeyError> {
        let key = || name.to_owned();
        let side = match name.to_ascii_lowercase().as_str() {
            "src" | "source" | "from" => Some(Side::Source),
            "dst" | "dest" | "destination" | "to" => Some(Side::Destination),
            _ => None,
        };
        if let Some(side) = side {
            return Ok(Self { name: key(), fact: Fact::Name(side) });
        }
        let Some(found) = key::find(name) else {
            return Err(match Measure::find(name) {
                Some(_) => GroupKeyError::NoName { key: key() },
                None => GroupKeyError::Unknown { key: key(), near: key::near(name) },
            });
        };
        let (side, condition) = match (found.condition.strip_prefix("from-"), found.condition.strip_prefix("to-")) {
            (Some(condition), _) => (Some(Side::Source), condition),
            (_, Some(condition)) => (Some(Side::Destination), condition),
            _ => (None, found.condition.as_str()),
        };
        let fact = match side {
            Some(side) => Fact::of_side(side, condition, found.label),
            None => Fact::of_flow(condition),
        };
        match fact {
            Some(fact) => Ok(Self { name: key(), fact }),
            // The conditions of a side, said of neither.
            None if Fact::of_side(Side::Source, condition, None).is_some() => {
                Err(GroupKeyError::EitherSide { key: key() })
            }
            None => Err(GroupKeyError::NoName { key: key() }),
        }
    }

    /// All names that [`GroupKey::parse`] takes, with one line of help each.
    #[must_use]
    pub fn names() -> Vec<(String, &'static str)> {
        let sides =
            ["src", "dst"].map(|side| (side.to_owned(), "best name of that side: pod, service, DNS name or address"));
        let keys = key::all().into_iter().filter(|(name, _)| Self::parse(name).is_ok());
        let mut names: Vec<(String, &'static str)> = sides.into_iter().chain(keys).collect();
        // `http.status` is a measure and a condition.
        names.dedup_by(|a, b| a.0 == b.0);
        names
    }

    /// Keys whose values a condition of a selection takes, such as `to-pod`: those of both sides where it speaks of
    /// either, none where its values are not those of flows.
    #[must_use]
    pub fn of_condition(name: &str, label: Option<&str>) -> Vec<Self> {
        let (sides, condition) = match (name.strip_prefix("from-"), name.strip_prefix("to-")) {
            (Some(condition), _) => (&Side::BOTH[..1], condition),
            (_, Some(condition)) => (&Side::BOTH[1..], condition),
            _ => (&Side::BOTH[..], name),
        };
        let of_sides = sides.iter().filter_map(|side| Fact::of_side(*side, condition, label.map(str::to_owned)));
        let facts: Vec<Fact> = of_sides.chain(Fact::of_flow(name)).collect();
        facts.into_iter().map(|fact| Self { name: name.to_owned(), fact }).collect()
    }

    /// The name as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The value of the key in this flow, in the words that the language takes for it; empty where the flow has none.
    #[must_use]
    pub fn value<'a>(&self, flow: &'a Flow) -> Cow<'a, str> {
        match &self.fact {
            Fact::Name(side) => name_of(flow, *side, Names::Resolved).host,
            Fact::Ip(side) => owned(flow.ip.as_ref().map(|ip| *side.of(&ip.source, &ip.destination))),
            Fact::Port(side) => owned(flow.l4.and_then(|l4| l4.ports()).map(|(source, to)| *side.of(&source, &to))),
            Fact::Fqdn(side) => joined(side.of(&flow.source_names, &flow.destination_names)),
            Fact::Service(side) => match side.of(&flow.source_service, &flow.destination_service).as_deref() {
                Some(service) => qualified(&service.namespace, &service.name),
                None => Cow::Borrowed(""),
            },
            Fact::Namespace(side)
            | Fact::Pod(side)
            | Fact::Workload(side)
            | Fact::Labels(side)
            | Fact::Label(side, _)
            | Fact::Identity(side)
            | Fact::Cluster(side) => {
                flow.endpoint(*side).map_or(Cow::Borrowed(""), |endpoint| self.value_of_endpoint(endpoint))
            }
            Fact::HttpStatus
            | Fact::HttpMethod
            | Fact::HttpPath
            | Fact::HttpUrl
            | Fact::HttpHeader
            | Fact::DnsQuery => flow.l7.as_ref().map_or(Cow::Borrowed(""), |l7| self.value_of_record(&l7.record)),
            _ => self.value_of_flow(flow),
        }
    }

    fn value_of_endpoint<'a>(&self, endpoint: &'a Endpoint) -> Cow<'a, str> {
        match &self.fact {
            Fact::Namespace(_) => Cow::Borrowed(&endpoint.namespace),
            Fact::Pod(_) => qualified(&endpoint.namespace, &endpoint.pod_name),
            Fact::Workload(_) => Cow::Borrowed(endpoint.workloads.first().map_or("", |w| w.name.as_str())),
            Fact::Labels(_) => joined(&endpoint.labels),
            Fact::Label(_, name) => Cow::Borrowed(label(&endpoint.labels, name)),
            Fact::Cluster(_) => Cow::Borrowed(&endpoint.cluster_name),
            Fact::Identity(_) => match endpoint.identity.reserved_name() {
                // What is not known has no name in the language either.
                _ if endpoint.identity.0 == 0 => Cow::Borrowed(""),
                Some(name) => Cow::Borrowed(name),
                None => owned(Some(endpoint.identity.0)),
            },
            _ => Cow::Borrowed(""),
        }
    }

    fn value_of_record<'a>(&self, record: &'a L7Record) -> Cow<'a, str> {
        match (&self.fact, record) {
            (Fact::DnsQuery, L7Record::Dns(dns)) => Cow::Borrowed(&dns.query),
            (Fact::HttpStatus, L7Record::Http(http)) => owned((http.code > 0).then_some(http.code)),
            (Fact::HttpMethod, L7Record::Http(http)) => Cow::Borrowed(&http.method),
            (Fact::HttpPath, L7Record::Http(http)) => path_of_url(&http.url).unwrap_or_default(),
            (Fact::HttpUrl, L7Record::Http(http)) => Cow::Borrowed(&http.url),
            (Fact::HttpHeader, L7Record::Http(http)) => {
                let lines: Vec<String> = http.headers.iter().map(|(name, value)| format!("{name}:{value}")).collect();
                Cow::Owned(lines.join(","))
            }
            _ => Cow::Borrowed(""),
        }
    }

    fn value_of_flow<'a>(&self, flow: &'a Flow) -> Cow<'a, str> {
        match &self.fact {
            Fact::Verdict => owned(Some(flow.verdict)),
            Fact::DropReason if flow.verdict == Verdict::DROPPED => drop_reason(flow),
            Fact::Protocol => Cow::Borrowed(protocol(flow)),
            Fact::Type => event_type_name(flow),
            Fact::Direction => Cow::Borrowed(match flow.traffic_direction {
                TrafficDirection::INGRESS => "ingress",
                TrafficDirection::EGRESS => "egress",
                _ => "",
            }),
            Fact::Reply => owned(flow.is_reply),
            Fact::TcpFlags => {
                let flags = flow.l4.and_then(|l4| l4.tcp_flags()).map(|flags| flags.to_string());
                Cow::Owned(flags.unwrap_or_default().to_lowercase().replace(' ', ""))
            }
            Fact::Node => Cow::Borrowed(&flow.node_name),
            Fact::NodeLabels => joined(&flow.node_labels),
            Fact::Interface => Cow::Borrowed(flow.interface.as_ref().map_or("", |device| &device.name)),
            Fact::IpVersion => Cow::Borrowed(match flow.ip.as_ref().map(crate::Ip::version) {
                Some(IpVersion::IPv4) => "v4",
                Some(IpVersion::IPv6) => "v6",
                _ => "none",
            }),
            Fact::SnatIp => owned(flow.ip.as_ref().and_then(|ip| ip.source_xlated)),
            Fact::TraceId => Cow::Borrowed(&flow.trace_id),
            Fact::Uuid => owned(Some(&flow.id)),
            _ => Cow::Borrowed(""),
        }
    }
}

impl Fact {
    fn of_side(side: Side, condition: &str, label: Option<String>) -> Option<Self> {
        Some(match (condition, label) {
            ("namespace", _) => Self::Namespace(side),
            ("pod", _) => Self::Pod(side),
            ("workload", _) => Self::Workload(side),
            ("service", _) => Self::Service(side),
            ("label", Some(name)) => Self::Label(side, name),
            ("label", None) => Self::Labels(side),
            ("identity", _) => Self::Identity(side),
            ("ip", _) => Self::Ip(side),
            ("fqdn", _) => Self::Fqdn(side),
            ("port", _) => Self::Port(side),
            ("cluster", _) => Self::Cluster(side),
            _ => return None,
        })
    }

    fn of_flow(condition: &str) -> Option<Self> {
        Some(match condition {
            "verdict" => Self::Verdict,
            "drop-reason-desc" => Self::DropReason,
            "protocol" => Self::Protocol,
            "type" => Self::Type,
            "traffic-direction" => Self::Direction,
            "reply" => Self::Reply,
            "http-status" => Self::HttpStatus,
            "http-method" => Self::HttpMethod,
            "http-path" => Self::HttpPath,
            "http-url" => Self::HttpUrl,
            "http-header" => Self::HttpHeader,
            "dns-query" => Self::DnsQuery,
            "tcp-flags" => Self::TcpFlags,
            "node-name" => Self::Node,
            "node-label" => Self::NodeLabels,
            "interface" => Self::Interface,
            "ip-version" => Self::IpVersion,
            "snat-ip" => Self::SnatIp,
            "trace-id" => Self::TraceId,
            "uuid" => Self::Uuid,
            _ => return None,
        })
    }
}

fn owned<'a>(value: Option<impl ToString>) -> Cow<'a, str> {
    Cow::Owned(value.map(|value| value.to_string()).unwrap_or_default())
}

fn joined(values: &[String]) -> Cow<'_, str> {
    match values {
        [one] => Cow::Borrowed(one),
        many => Cow::Owned(many.join(",")),
    }
}

/// `namespace/name`, as the language takes the names of pods and services.
fn qualified<'a>(namespace: &str, name: &'a str) -> Cow<'a, str> {
    if namespace.is_empty() || name.is_empty() {
        Cow::Borrowed(name)
    } else {
        Cow::Owned(format!("{namespace}/{name}"))
    }
}

/// Value of the label with this name, with or without its source: `app` finds `k8s:app=web`.
fn label<'a>(labels: &'a [String], name: &str) -> &'a str {
    let value = |text: &'a String| {
        let (key, value) = text.split_once('=').unwrap_or((text, ""));
        let plain = key.split_once(':').map_or(key, |(_, plain)| plain);
        (key == name || plain == name).then_some(value)
    };
    labels.iter().find_map(value).unwrap_or("")
}

/// Reason of a drop; the kernel's own where Hubble has none for it.
fn drop_reason(flow: &Flow) -> Cow<'_, str> {
    match flow.details.as_ref().and_then(|details| details.kernel_drop.as_ref()) {
        Some(drop) if flow.drop_reason == DropReason::DROP_REASON_UNKNOWN => Cow::Borrowed(&drop.reason),
        _ => owned(Some(flow.drop_reason)),
    }
}

/// The innermost protocol that is known, in the lower case of people.
fn protocol(flow: &Flow) -> &'static str {
    match flow.l7.as_ref().map(|l7| &l7.record) {
        Some(L7Record::Dns(_)) => "dns",
        Some(L7Record::Http(_)) => "http",
        Some(L7Record::Kafka(_)) => "kafka",
        Some(L7Record::None) | None => match flow.l4.map_or("", |l4| l4.protocol()) {
            "TCP" => "tcp",
            "UDP" => "udp",
            "SCTP" => "sctp",
            "ICMPv4" => "icmpv4",
            "ICMPv6" => "icmpv6",
            "VRRP" => "vrrp",
            "IGMP" => "igmp",
            _ => "",
        },
    }
}

fn event_type_name(flow: &Flow) -> Cow<'_, str> {
    let Some(event) = flow.event_type else { return Cow::Borrowed("") };
    Cow::Borrowed(match event.kind {
        event_type::DROP => "drop",
        event_type::DEBUG => "debug",
        event_type::CAPTURE => "capture",
        event_type::POLICY_VERDICT => "policy-verdict",
        event_type::TRACE_SOCK => "trace-sock",
        event_type::L7 => "l7",
        event_type::AGENT => "agent",
        event_type::TRACE => {
            return match TRACE_SUB_TYPES.iter().find(|(_, number)| *number == event.sub_kind) {
                Some((point, _)) => Cow::Owned(format!("trace:{point}")),
                None => Cow::Owned(format!("trace:{}", event.sub_kind)),
            };
        }
        kind => return owned(Some(kind)),
    })
}
