//! Hubble's metrics of flows: names, labels and rules are those of Hubble 1.19.

use flow::{
    DropReason, Flow, Http, IpVersion, L4, L7, L7FlowType, L7Record, LostEvent, TcpFlags, TrafficDirection, Verdict,
    event_type,
};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use super::series::Series;

/// Flags and pairs of flags that are counted, and what they are called.
const TCP_SIGNS: [(&str, TcpFlags, TcpFlags); 4] = [
    ("FIN", TcpFlags::FIN, TcpFlags(0)),
    ("SYN-ACK", TcpFlags(TcpFlags::SYN.0 | TcpFlags::ACK.0), TcpFlags(0)),
    ("SYN", TcpFlags::SYN, TcpFlags::ACK),
    ("RST", TcpFlags::RST, TcpFlags(0)),
];

/// Counts flows. Owned by the pipeline, so that the way to a series is a look-up in a table of its own.
#[derive(Debug)]
pub(crate) struct FlowMetrics {
    processed: Series<(Protocol, i32, i32, Verdict), Counter, 4>,
    drops: Series<(Protocol, DropReason, String), Counter, 2>,
    dns_queries: Series<DnsKey, Counter, 3>,
    dns_responses: Series<DnsKey, Counter, 3>,
    dns_response_types: Series<(String, String), Counter, 2>,
    http_requests: Series<(String, String, TrafficDirection), Counter, 3>,
    http_responses: Series<(String, String, TrafficDirection, u32), Counter, 4>,
    http_durations: Series<(String, TrafficDirection), Histogram, 2>,
    tcp_flags: Series<(&'static str, IpVersion), Counter, 2>,
    icmp: Series<(IpVersion, u8, u8), Counter, 2>,
    ports: Series<(Protocol, u16), Counter, 2>,
    lost: Series<i32, Counter, 1>,
}

/// Response code, types asked for, number of addresses.
type DnsKey = (u32, String, usize);

/// Protocol as Hubble's metrics name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Protocol(&'static str);

impl FlowMetrics {
    /// Registers all metrics; each may have `max` series.
    pub(crate) fn new(registry: &mut Registry, max: usize) -> Self {
        let dns = ["rcode", "qtypes", "ips_returned"];
        let r = registry;
        Self {
            processed: Series::counter(
                r,
                "hubble_flows_processed",
                "Flows processed",
                ["protocol", "type", "subtype", "verdict"],
                max,
            ),
            drops: Series::counter(r, "hubble_drop", "Dropped packets", ["reason", "protocol"], max),
            dns_queries: Series::counter(r, "hubble_dns_queries", "DNS queries observed", dns, max),
            dns_responses: Series::counter(r, "hubble_dns_responses", "DNS responses observed", dns, max),
            dns_response_types: Series::counter(
                r,
                "hubble_dns_response_types",
                "Records of DNS responses by type",
                ["type", "qtypes"],
                max,
            ),
            http_requests: Series::counter(
                r,
                "hubble_http_requests",
                "HTTP requests",
                ["method", "protocol", "reporter"],
                max,
            ),
            http_responses: Series::counter(
                r,
                "hubble_http_responses",
                "HTTP responses",
                ["method", "protocol", "status", "reporter"],
                max,
            ),
            http_durations: Series::durations(
                r,
                "hubble_http_request_duration_seconds",
                "Time from HTTP request to response in seconds",
                ["method", "reporter"],
                max,
            ),
            tcp_flags: Series::counter(r, "hubble_tcp_flags", "TCP flags seen", ["flag", "family"], max),
            icmp: Series::counter(r, "hubble_icmp", "ICMP messages", ["family", "type"], max),
            ports: Series::counter(
                r,
                "hubble_port_distribution",
                "Flows by destination port",
                ["protocol", "port"],
                max,
            ),
            lost: Series::counter(r, "hubble_lost_events", "Events lost before they became flows", ["source"], max),
        }
    }

    /// Counts a flow.
    pub(crate) fn count(&mut self, flow: &Flow) {
        let protocol = Protocol::of(flow);
        let event = flow.event_type.unwrap_or_default();
        self.processed
            .of((protocol, event.kind, event.sub_kind, flow.verdict), || {
                let (kind, sub_kind) = type_names(flow);
                [protocol.0.to_owned(), kind.to_owned(), sub_kind, flow.verdict.to_string()]
            })
            .inc();
        if flow.verdict == Verdict::DROPPED {
            self.count_drop(flow, protocol);
        }
        match &flow.l7 {
            Some(l7) => self.count_l7(flow, l7),
            None => self.count_l4(flow),
        }
    }

    /// Counts events that were lost before they became flows.
    pub(crate) fn count_lost(&mut self, lost: &LostEvent) {
        let name = || [lost.source.name().unwrap_or("unknown").to_lowercase()];
        self.lost.of(lost.source.0, name).inc_by(lost.count);
    }

    /// A flow of ours may stand for several dropped packets; Hubble's counter counts packets.
    fn count_drop(&mut self, flow: &Flow, protocol: Protocol) {
        let kernel = flow.details.as_ref().and_then(|d| d.kernel_drop.as_ref());
        let mapped = flow.drop_reason != DropReason::DROP_REASON_UNKNOWN;
        let own_name = kernel.filter(|_| !mapped).map_or("", |drop| drop.reason.as_str());
        self.drops
            .of((protocol, flow.drop_reason, own_name.to_owned()), || {
                let reason = if own_name.is_empty() { flow.drop_reason.to_string() } else { own_name.to_owned() };
                [reason, protocol.0.to_owned()]
            })
            .inc_by(flow.packets().max(1));
    }

    fn count_l7(&mut self, flow: &Flow, l7: &L7) {
        match &l7.record {
            L7Record::Dns(dns) => {
                let denied = flow.verdict == Verdict::DROPPED;
                let types = dns.qtypes.join(",");
                let labels = || {
                    let rcode = match l7.kind {
                        _ if denied => "Policy denied".to_owned(),
                        L7FlowType::RESPONSE => flow::text::dns_rcode_text(dns.rcode).to_owned(),
                        _ => String::new(),
                    };
                    [rcode, types.clone(), dns.ips.len().to_string()]
                };
                let key = (if denied { u32::MAX } else { dns.rcode }, types.clone(), dns.ips.len());
                if denied || l7.kind == L7FlowType::REQUEST {
                    self.dns_queries.of(key, labels).inc();
                } else if l7.kind == L7FlowType::RESPONSE {
                    self.dns_responses.of(key, labels).inc();
                    for kind in &dns.rrtypes {
                        let labels = || [kind.clone(), types.clone()];
                        self.dns_response_types.of((kind.clone(), types.clone()), labels).inc();
                    }
                }
            }
            L7Record::Http(http) => self.count_http(flow, l7, http),
            L7Record::Kafka(_) | L7Record::None => {}
        }
    }

    fn count_http(&mut self, flow: &Flow, l7: &L7, http: &Http) {
        let way = flow.traffic_direction;
        let (method, protocol) = (http.method.clone(), http.protocol.clone());
        let by = || reporter(way).to_owned();
        match l7.kind {
            L7FlowType::REQUEST => {
                let labels = || [http.method.clone(), http.protocol.clone(), by()];
                self.http_requests.of((method, protocol, way), labels).inc();
            }
            L7FlowType::RESPONSE => {
                let labels = || [http.method.clone(), http.protocol.clone(), http.code.to_string(), by()];
                self.http_responses.of((method.clone(), protocol, way, http.code), labels).inc();
                let seconds = std::time::Duration::from_nanos(l7.latency_ns).as_secs_f64();
                self.http_durations.of((method, way), || [http.method.clone(), by()]).observe(seconds);
            }
            _ => {}
        }
    }

    fn count_l4(&mut self, flow: &Flow) {
        let (Some(ip), Some(l4)) = (&flow.ip, &flow.l4) else { return };
        let version = ip.version();
        if let L4::Icmpv4 { kind, code } | L4::Icmpv6 { kind, code } = *l4 {
            // The observer's text ends with the name of the message.
            let name = || flow.summary.split(' ').nth(1).unwrap_or_default().to_owned();
            self.icmp.of((version, kind, code), || [version.to_string(), name()]).inc();
        }
        if !matches!(flow.verdict, Verdict::FORWARDED | Verdict::REDIRECTED) {
            return;
        }
        if let Some(flags) = l4.tcp_flags().filter(|flags| flags.0 != 0) {
            for (name, set, clear) in TCP_SIGNS {
                if flags.contains(set) && flags.0 & clear.0 == 0 {
                    self.tcp_flags.of((name, version), || [name.to_owned(), version.to_string()]).inc();
                }
            }
        }
        if flow.is_reply == Some(false) {
            let (_, port) = l4.ports().unwrap_or_default();
            let protocol = Protocol(l4.protocol());
            self.ports.of((protocol, port), || [protocol.0.to_owned(), port.to_string()]).inc();
        }
    }
}

impl Protocol {
    fn of(flow: &Flow) -> Self {
        Self(match flow.event_type.map(|event| event.kind) {
            Some(event_type::L7) => match flow.l7.as_ref().map(|l7| &l7.record) {
                Some(L7Record::Dns(_)) => "DNS",
                Some(L7Record::Http(_)) => "HTTP",
                Some(L7Record::Kafka(_)) => "Kafka",
                _ => "Unknown L7",
            },
            Some(event_type::DROP | event_type::TRACE | event_type::POLICY_VERDICT | event_type::CAPTURE) => {
                flow.l4.as_ref().map_or("Unknown L4", L4::protocol)
            }
            _ => "Unknown flow",
        })
    }
}

/// Type and sub type of a flow as Hubble's metrics name them.
fn type_names(flow: &Flow) -> (&'static str, String) {
    match flow.event_type.map(|event| event.kind) {
        Some(event_type::L7) => {
            let name = Protocol::of(flow).0;
            ("L7", if name == "Unknown L7" { String::new() } else { name.to_owned() })
        }
        Some(event_type::DROP) => ("Drop", String::new()),
        Some(event_type::CAPTURE) => ("Capture", String::new()),
        Some(event_type::TRACE) => ("Trace", flow::text::kind(flow).into_owned()),
        Some(event_type::POLICY_VERDICT) => ("PolicyVerdict", String::new()),
        other => ("Unknown", other.unwrap_or_default().to_string()),
    }
}

/// Side that observed an application record.
const fn reporter(direction: TrafficDirection) -> &'static str {
    match direction {
        TrafficDirection::EGRESS => "client",
        TrafficDirection::INGRESS => "server",
        _ => "unknown",
    }
}
