//! The text observers write into a flow for clients to print.

use crate::{Dns, Flow, FlowType, Http, Kafka, L4, L7, L7FlowType, L7Record, TcpFlags};

/// Text that observers write into [`Flow::summary`]: `TCP Flags: SYN, ACK`, `DNS Query example.org. A`,
/// `HTTP/1.1 200 3ms (GET /)`, ... For a packet the kernel dropped, the kernel's reason stands at the end.
#[must_use]
pub fn summary(flow: &Flow) -> String {
    let text = match &flow.l7 {
        Some(l7) => l7_summary(l7),
        None => packet_summary(flow),
    };
    match flow.details.as_ref().and_then(|d| d.kernel_drop.as_ref()) {
        Some(drop) if !drop.reason.is_empty() => format!("{text}; {}", drop.reason),
        _ => text,
    }
}

fn packet_summary(flow: &Flow) -> String {
    let named = |family: &str, kind: u8, code: u8, names: IcmpNames| format!("{family} {}", icmp(kind, code, names));
    match &flow.l4 {
        Some(L4::Tcp { flags: None, .. }) if flow.kind == FlowType::SOCK => "TCP".to_owned(),
        Some(L4::Tcp { flags, .. }) => tcp_summary(flags.unwrap_or_default()),
        Some(l4 @ (L4::Udp { .. } | L4::Sctp { .. })) => l4.protocol().to_owned(),
        Some(L4::Icmpv4 { kind, code }) => named("ICMPv4", *kind, *code, icmpv4_names),
        Some(L4::Icmpv6 { kind, code }) => named("ICMPv6", *kind, *code, icmpv6_names),
        Some(L4::Vrrp { kind: 1, .. }) => "VRRP VRRPv2 Advertisement".to_owned(),
        Some(L4::Vrrp { .. }) => "VRRP ".to_owned(),
        Some(L4::Igmp { kind, .. }) => format!("IGMP {}", igmp(*kind)),
        None if flow.kind == FlowType::SOCK => "Unknown".to_owned(),
        // The innermost layer that could be read.
        None => match (&flow.ip, flow.ethernet) {
            (Some(ip), _) => ip.version().to_string(),
            (None, Some(_)) => "Ethernet".to_owned(),
            (None, None) => String::new(),
        },
    }
}

/// Written for every packet that makes a flow, so without the machinery of formats.
fn tcp_summary(flags: TcpFlags) -> String {
    const INTRODUCTION: &str = "TCP Flags: ";
    let length = flags.names().map(|name| name.len() + ", ".len()).sum::<usize>();
    let mut text = String::with_capacity(INTRODUCTION.len() + length);
    text.push_str(INTRODUCTION);
    for (i, name) in flags.names().enumerate() {
        text.push_str(if i == 0 { "" } else { ", " });
        text.push_str(name);
    }
    text
}

fn l7_summary(l7: &L7) -> String {
    match &l7.record {
        L7Record::None => String::new(),
        L7Record::Dns(dns) => dns_summary(l7.kind, dns),
        L7Record::Http(http) => http_summary(l7, http),
        L7Record::Kafka(kafka) => kafka_summary(l7.kind, kafka),
    }
}

fn http_summary(l7: &L7, http: &Http) -> String {
    let request = format!("{} {}", http.method, http.url);
    match l7.kind {
        L7FlowType::REQUEST => format!("{} {request}", http.protocol),
        L7FlowType::RESPONSE => {
            format!("{} {} {}ms ({request})", http.protocol, http.code, l7.latency_ns / 1_000_000)
        }
        _ => String::new(),
    }
}

fn dns_summary(kind: L7FlowType, dns: &Dns) -> String {
    let types = dns.qtypes.join(",");
    match kind {
        L7FlowType::REQUEST => format!("DNS Query {} {types}", dns.query),
        L7FlowType::RESPONSE => {
            let asked_through = if dns.observation_source == "proxy" { "Proxy" } else { "Query" };
            format!("DNS Answer {} TTL: {} ({asked_through} {} {types})", answer(dns), dns.ttl_seconds, dns.query)
        }
        _ => String::new(),
    }
}

fn answer(dns: &Dns) -> String {
    if dns.rcode != 0 {
        return format!("RCode: {}", dns_rcode_text(dns.rcode));
    }
    let mut parts = Vec::with_capacity(2);
    if !dns.ips.is_empty() {
        parts.push(format!("{:?}", dns.ips.join(",")));
    }
    if !dns.cnames.is_empty() {
        parts.push(format!("CNAMEs: {:?}", dns.cnames.join(",")));
    }
    parts.join(" ")
}

fn kafka_summary(kind: L7FlowType, kafka: &Kafka) -> String {
    let Kafka { error_code, api_key, correlation_id, topic, .. } = kafka;
    match kind {
        L7FlowType::REQUEST => format!("Kafka request {api_key} correlation id {correlation_id} topic '{topic}'"),
        _ => {
            format!("Kafka response {api_key} correlation id {correlation_id} topic '{topic}' return code {error_code}")
        }
    }
}

/// DNS response code in words, as texts have it: `Non-Existent Domain`; `Unknown` for numbers without a name.
#[must_use]
pub const fn dns_rcode_text(number: u32) -> &'static str {
    match number {
        0 => "No Error",
        1 => "Format Error",
        2 => "Server Failure",
        3 => "Non-Existent Domain",
        4 => "Not Implemented",
        5 => "Query Refused",
        6 => "Name Exists when it should not",
        7 => "RR Set Exists when it should not",
        8 => "RR Set that should exist does not",
        9 => "Server Not Authoritative for zone",
        10 => "Name not contained in zone",
        16 => "Bad OPT Version",
        17 => "Key not recognized",
        18 => "Signature out of time window",
        19 => "Bad TKEY Mode",
        20 => "Duplicate key name",
        21 => "Algorithm not supported",
        22 => "Bad Truncation",
        23 => "Bad Cookie",
        _ => "Unknown",
    }
}

/// Name of a message type, and of its codes in order where it has any.
type IcmpNames = fn(u8) -> Option<(&'static str, &'static [&'static str])>;

fn icmp(kind: u8, code: u8, names: IcmpNames) -> String {
    match names(kind) {
        None => format!("{kind}({code})"),
        Some((name, [])) if code == 0 => name.to_owned(),
        Some((name, codes)) => match codes.get(usize::from(code)) {
            Some(code) => format!("{name}({code})"),
            None => format!("{name}(Code: {code})"),
        },
    }
}

/// RFC 792, RFC 950, RFC 1256.
fn icmpv4_names(kind: u8) -> Option<(&'static str, &'static [&'static str])> {
    Some(match kind {
        0 => ("EchoReply", &[]),
        3 => ("DestinationUnreachable", &UNREACHABLE_V4),
        4 => ("SourceQuench", &[]),
        5 => ("Redirect", &["Net", "Host", "TOS+Net", "TOS+Host"]),
        8 => ("EchoRequest", &[]),
        9 => ("RouterAdvertisement", &[]),
        10 => ("RouterSolicitation", &[]),
        11 => ("TimeExceeded", &["TTLExceeded", "FragmentReassemblyTimeExceeded"]),
        12 => ("ParameterProblem", &["PointerIndicatesError", "MissingOption", "BadLength"]),
        13 => ("TimestampRequest", &[]),
        14 => ("TimestampReply", &[]),
        15 => ("InfoRequest", &[]),
        16 => ("InfoReply", &[]),
        17 => ("AddressMaskRequest", &[]),
        18 => ("AddressMaskReply", &[]),
        _ => return None,
    })
}

const UNREACHABLE_V4: [&str; 16] = [
    "Net",
    "Host",
    "Protocol",
    "Port",
    "FragmentationNeeded",
    "SourceRoutingFailed",
    "NetUnknown",
    "HostUnknown",
    "SourceIsolated",
    "NetAdminProhibited",
    "HostAdminProhibited",
    "NetTOS",
    "HostTOS",
    "CommAdminProhibited",
    "HostPrecedence",
    "PrecedenceCutoff",
];

/// RFC 4443, RFC 4861.
fn icmpv6_names(kind: u8) -> Option<(&'static str, &'static [&'static str])> {
    Some(match kind {
        1 => ("DestinationUnreachable", &UNREACHABLE_V6),
        2 => ("PacketTooBig", &[]),
        3 => ("TimeExceeded", &["HopLimitExceeded", "FragmentReassemblyTimeExceeded"]),
        4 => ("ParameterProblem", &["ErroneousHeaderField", "UnrecognizedNextHeader", "UnrecognizedIPv6Option"]),
        128 => ("EchoRequest", &[]),
        129 => ("EchoReply", &[]),
        133 => ("RouterSolicitation", &[]),
        134 => ("RouterAdvertisement", &[]),
        135 => ("NeighborSolicitation", &[]),
        136 => ("NeighborAdvertisement", &[]),
        137 => ("Redirect", &[]),
        _ => return None,
    })
}

const UNREACHABLE_V6: [&str; 7] = [
    "NoRouteToDst",
    "AdminProhibited",
    "BeyondScopeOfSrc",
    "AddressUnreachable",
    "PortUnreachable",
    "SrcAddressFailedPolicy",
    "RejectRouteToDst",
];

/// RFC 1112, RFC 2236, RFC 3376.
const fn igmp(kind: u32) -> &'static str {
    match kind {
        0x11 => "IGMP Membership Query",
        0x12 => "IGMPv1 Membership Report",
        0x16 => "IGMPv2 Membership Report",
        0x17 => "Leave Group",
        0x22 => "IGMPv3 Membership Report",
        _ => "",
    }
}
