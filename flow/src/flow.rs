//! One observed flow.

use std::net::IpAddr;
use std::sync::Arc;

use crate::{
    AuthType, DebugCapturePoint, DropReason, Endpoint, FlowDetails, FlowType, IpVersion, L4, L7, Service,
    SocketTranslationPoint, Timestamp, TraceObservationPoint, TraceReason, TrafficDirection, TunnelProtocol, Verdict,
};

/// One packet, request or socket event, with everything the observing node knew about it when it happened.
///
/// Fields that Hubble defines have Hubble's meaning; [`Flow::details`] holds what it has no field for. Endpoints and
/// policies are shared (`Arc`), because many flows have the same ones.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flow {
    /// When it happened, by the clock of the observing node.
    pub time: Timestamp,
    /// Identifies this flow among all flows.
    pub id: FlowId,
    /// Program that produced the flow; `None` where the peer is too old to say.
    pub emitter: Option<Arc<Emitter>>,
    /// What became of it.
    pub verdict: Verdict,
    /// Why it was dropped; meaningful with [`Verdict::DROPPED`] only.
    pub drop_reason: DropReason,
    /// Mutual authentication of the connection.
    pub auth_type: AuthType,
    /// Link header, where there was one.
    pub ethernet: Option<Ethernet>,
    /// Network header; `None` for what is not IP.
    pub ip: Option<Ip>,
    /// Transport header; `None` for what has none, later fragments included.
    pub l4: Option<L4>,
    /// Outer headers of an encapsulated packet.
    pub tunnel: Option<Box<Tunnel>>,
    /// Sender as the node knew it.
    pub source: Option<Arc<Endpoint>>,
    /// Receiver as the node knew it.
    pub destination: Option<Arc<Endpoint>>,
    /// Layer the flow was seen at.
    pub kind: FlowType,
    /// Observing node, `cluster/node` outside the default cluster.
    pub node_name: Arc<str>,
    /// Labels of the observing node.
    pub node_labels: Arc<[String]>,
    /// DNS names the source address was resolved from.
    pub source_names: Vec<String>,
    /// DNS names the destination address was resolved from.
    pub destination_names: Vec<String>,
    /// Application record.
    pub l7: Option<Box<L7>>,
    /// Monitor event the flow was decoded from.
    pub event_type: Option<EventType>,
    /// Service of the source address.
    pub source_service: Option<Arc<Service>>,
    /// Service of the destination address.
    pub destination_service: Option<Arc<Service>>,
    /// Direction of the connection as seen from the observing endpoint.
    pub traffic_direction: TrafficDirection,
    /// How a policy matched: 0 none, 1 L3 only, 2 L3 and L4, 3 L4 only, 4 all, 5 L3 and protocol, 6 protocol only.
    pub policy_match_type: u32,
    /// Where in the datapath it was seen.
    pub trace_point: TraceObservationPoint,
    /// Connection tracking state.
    pub trace_reason: TraceReason,
    /// Place in the datapath source that dropped it.
    pub file: Option<Arc<FileInfo>>,
    /// Trace id carried in an IP option.
    pub ip_trace_id: Option<IpTraceId>,
    /// Whether it travels from server to client; `None` where that is not known.
    pub is_reply: Option<bool>,
    /// Where a debug capture was taken.
    pub debug_capture_point: DebugCapturePoint,
    /// Network device it was seen on.
    pub interface: Option<Interface>,
    /// Port of the proxy it was sent to, 0 for none.
    pub proxy_port: u32,
    /// Distributed tracing id of the request, empty for none.
    pub trace_id: String,
    /// Stage of socket load balancing.
    pub sock_xlate_point: SocketTranslationPoint,
    /// Kernel cookie of the local socket, 0 for none.
    pub socket_cookie: u64,
    /// Kernel id of the local socket's cgroup, 0 for none.
    pub cgroup_id: u64,
    /// Policies that let it leave the source.
    pub egress_allowed_by: Vec<Arc<Policy>>,
    /// Policies that let it reach the destination.
    pub ingress_allowed_by: Vec<Arc<Policy>>,
    /// Policies that kept it from leaving the source.
    pub egress_denied_by: Vec<Arc<Policy>>,
    /// Policies that kept it from reaching the destination.
    pub ingress_denied_by: Vec<Arc<Policy>>,
    /// Free text that policies asked to be logged.
    pub policy_log: Vec<String>,
    /// Flows this one stands for: (ingress, egress, unknown direction).
    pub aggregate: Option<[u32; 3]>,
    /// Text that clients print verbatim.
    pub summary: String,
    /// What Hubble has no field for.
    pub details: Option<Box<FlowDetails>>,
    /// An extension of another program, passed through untouched.
    pub extension: Option<Box<ForeignExtension>>,
}

/// Identity of a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum FlowId {
    /// The observer gave none.
    #[default]
    None,
    /// A UUID in canonical text form on the wire.
    Uuid([u8; 16]),
    /// Any other text.
    Text(Box<str>),
}

impl FlowId {
    /// Reads the text form; never fails, because other observers may use any text.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        if text.is_empty() {
            return Self::None;
        }
        match parse_canonical_uuid(text.as_bytes()) {
            Some(bytes) => Self::Uuid(bytes),
            None => Self::Text(text.into()),
        }
    }
}

impl std::fmt::Display for FlowId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::None => Ok(()),
            Self::Text(text) => f.write_str(text),
            Self::Uuid(bytes) => {
                for (i, byte) in bytes.iter().enumerate() {
                    if matches!(i, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }
    }
}

/// Only the lower-case form with hyphens, so that the text comes back byte for byte.
fn parse_canonical_uuid(text: &[u8]) -> Option<[u8; 16]> {
    /// Places of the digits' pairs.
    const PAIRS: [usize; 16] = [0, 2, 4, 6, 9, 11, 14, 16, 19, 21, 24, 26, 28, 30, 32, 34];
    let text: &[u8; 36] = text.try_into().ok()?;
    let mut bytes = [0; 16];
    let mut all = 0;
    for (byte, at) in bytes.iter_mut().zip(PAIRS) {
        let (high, low) = (DIGITS[usize::from(text[at])], DIGITS[usize::from(text[at + 1])]);
        all |= high | low;
        *byte = high << 4 | low;
    }
    let dashes = [8, 13, 18, 23].iter().all(|at| text[*at] == b'-');
    (all < 16 && dashes).then_some(bytes)
}

/// Values of the hexadecimal digits in lower case, and what is larger than any for all else.
const DIGITS: [u8; 256] = {
    let mut values = [0xff; 256];
    let mut value = 0;
    while value < 16 {
        values[b"0123456789abcdef"[value as usize] as usize] = value;
        value += 1;
    }
    values
};

/// Program that produced a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Emitter {
    /// `Hubble`, `Weir`.
    pub name: String,
    /// Version of the program.
    pub version: String,
}

/// MAC address.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct MacAddr(pub [u8; 6]);

impl std::fmt::Display for MacAddr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl std::str::FromStr for MacAddr {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut bytes = [0u8; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            let part = parts.next().filter(|p| p.len() == 2).ok_or(())?;
            *byte = u8::from_str_radix(part, 16).map_err(|_| ())?;
        }
        if parts.next().is_some() { Err(()) } else { Ok(Self(bytes)) }
    }
}

/// Link header.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Ethernet {
    /// Sender's MAC address.
    pub source: MacAddr,
    /// Receiver's MAC address.
    pub destination: MacAddr,
}

/// Network header.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Ip {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Source address after translation.
    pub source_xlated: Option<IpAddr>,
    /// Whether the packet was encrypted in transit.
    pub encrypted: bool,
}

impl Ip {
    /// Header of a packet between these addresses, not translated and not encrypted.
    #[must_use]
    pub const fn new(source: IpAddr, destination: IpAddr) -> Self {
        Self { source, destination, source_xlated: None, encrypted: false }
    }

    /// Protocol version of the source address.
    #[must_use]
    pub const fn version(&self) -> IpVersion {
        match self.source {
            IpAddr::V4(_) => IpVersion::IPv4,
            IpAddr::V6(_) => IpVersion::IPv6,
        }
    }
}

/// Outer headers of an encapsulated packet.
#[derive(Clone, Debug, PartialEq)]
pub struct Tunnel {
    /// Encapsulation.
    pub protocol: TunnelProtocol,
    /// Outer network header.
    pub ip: Option<Ip>,
    /// Outer transport header.
    pub l4: Option<L4>,
    /// Virtual network id.
    pub vni: u32,
}

/// Monitor event a flow was decoded from; the numbers are in [`event_type`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct EventType {
    /// Message type.
    pub kind: i32,
    /// Sub type: the observation point of a trace, the reason of a drop.
    pub sub_kind: i32,
}

/// Message types of [`EventType::kind`], as Cilium's monitor numbers them.
pub mod event_type {
    /// A dropped packet.
    pub const DROP: i32 = 1;
    /// A datapath debug message.
    pub const DEBUG: i32 = 2;
    /// A captured packet.
    pub const CAPTURE: i32 = 3;
    /// A packet that passed an observation point.
    pub const TRACE: i32 = 4;
    /// A policy decision.
    pub const POLICY_VERDICT: i32 = 5;
    /// A socket that was translated.
    pub const TRACE_SOCK: i32 = 7;
    /// An application record.
    pub const L7: i32 = 129;
    /// An event of the agent itself.
    pub const AGENT: i32 = 130;
}

/// Place in the datapath source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct FileInfo {
    /// File name.
    pub name: String,
    /// Line number.
    pub line: u32,
}

/// Trace id carried in an IP option.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IpTraceId {
    /// The id.
    pub trace_id: u64,
    /// Type of the IP option that carried it.
    pub option_type: u32,
}

/// Network device on the node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Interface {
    /// Index of the device in its network namespace.
    pub index: u32,
    /// Name of the device; empty where it is not known.
    pub name: Arc<str>,
}

/// Policy that allowed or denied a flow.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Name of the policy.
    pub name: String,
    /// Namespace of the policy, empty for one of the whole cluster.
    pub namespace: String,
    /// Labels of the policy.
    pub labels: Vec<String>,
    /// Revision of the policy set.
    pub revision: u64,
    /// Kind of the policy, such as `CiliumNetworkPolicy`.
    pub kind: String,
}

/// An extension of another program.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ForeignExtension {
    /// Type URL as received.
    pub type_url: String,
    /// Encoded message as received.
    pub value: Vec<u8>,
}

impl Flow {
    /// Whether the flow carries an application record.
    #[must_use]
    pub const fn is_l7(&self) -> bool {
        self.l7.is_some()
    }

    /// Bytes this flow stands for; 0 where the observer did not count.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.details.as_ref().map_or(0, |d| d.bytes)
    }

    /// Packets this flow stands for; 0 where the observer did not count.
    #[must_use]
    pub fn packets(&self) -> u64 {
        self.details.as_ref().map_or(0, |d| d.packets)
    }

    /// Namespaces of both sides, the source first; empty text where a side has none.
    #[must_use]
    pub fn namespaces(&self) -> [&str; 2] {
        [&self.source, &self.destination].map(|side| side.as_ref().map_or("", |e| e.namespace.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flow_id_text_comes_back_byte_for_byte() {
        for text in ["", "uuid-5", "60e8fedd-6d98-49d8-b7f6-cb84455757ab", "60E8FEDD-6D98-49D8-B7F6-CB84455757AB"] {
            assert_eq!(FlowId::parse(text).to_string(), text);
        }
        assert!(matches!(FlowId::parse("60e8fedd-6d98-49d8-b7f6-cb84455757ab"), FlowId::Uuid(_)));
    }

    #[test]
    fn mac_text_comes_back() {
        let mac: MacAddr = "ce:38:1f:4b:21:dd".parse().unwrap();
        assert_eq!(mac.to_string(), "ce:38:1f:4b:21:dd");
        assert!("ce:38:1f:4b:21".parse::<MacAddr>().is_err());
    }
}
