//! Enumerations and small numbers, read once per distinct combination.

use flow::{EventType, FlowPhase, TcpFlags};

use super::RowReader;
use crate::builder::phase_name;
use crate::schema::{Col, FACTS};

/// What [`crate::schema::FACTS`] holds of one row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Facts {
    pub(crate) verdict: flow::Verdict,
    pub(crate) drop_reason: flow::DropReason,
    pub(crate) auth_type: flow::AuthType,
    pub(crate) kind: flow::FlowType,
    pub(crate) direction: flow::TrafficDirection,
    pub(crate) trace_point: flow::TraceObservationPoint,
    pub(crate) trace_reason: flow::TraceReason,
    pub(crate) debug_capture_point: flow::DebugCapturePoint,
    pub(crate) sock_xlate_point: flow::SocketTranslationPoint,
    pub(crate) event: Option<EventType>,
    pub(crate) policy_match_type: u32,
    pub(crate) proxy_port: u32,
    pub(crate) l4: Protocol,
    pub(crate) tcp_flags: Option<TcpFlags>,
    pub(crate) icmp: (u8, u8),
    pub(crate) l7: Record,
    pub(crate) l7_type: Option<flow::L7FlowType>,
    pub(crate) phase: Option<FlowPhase>,
    pub(crate) vlan: u16,
}

/// Transport protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Protocol {
    None,
    Tcp,
    Udp,
    Sctp,
    Icmpv4,
    Icmpv6,
    /// One whose header is in `l4_extra`.
    Other,
}

/// Application protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record {
    None,
    Http,
    Dns,
    Kafka,
}

/// Reads an enumeration from its name, or from its number where the writer did not know a name.
macro_rules! value {
    ($kind:ident, $text:expr) => {{
        let text = $text;
        flow::$kind::from_name(text).unwrap_or_else(|| flow::$kind(text.parse().unwrap_or_default()))
    }};
}

impl RowReader {
    /// The facts of a row. NULL is looked up per row, because a batch that is not ours may have the same key with NULL
    /// in one row and with a value in another.
    pub(super) fn facts(&self, row: usize) -> Facts {
        let mut facts = self.cached(&self.facts, FACTS, row, |row| Facts::read(self, row));
        facts.event = facts.event.filter(|_| !self.is_null(Col::EventType, row));
        facts.tcp_flags = facts.tcp_flags.filter(|_| !self.is_null(Col::TcpFlags, row));
        facts.l7_type = facts.l7_type.filter(|_| !self.is_null(Col::L7Type, row));
        facts.phase = facts.phase.filter(|_| !self.is_null(Col::Phase, row));
        facts
    }
}

impl Facts {
    /// Reads the entry of a row as if nothing in it were NULL.
    fn read(reader: &RowReader, row: usize) -> Self {
        let text = |col| reader.entry_text(col, row);
        let event = EventType {
            kind: reader.entry_number(Col::EventType, row),
            sub_kind: reader.entry_number(Col::EventSubType, row),
        };
        Self {
            verdict: value!(Verdict, text(Col::Verdict)),
            drop_reason: value!(DropReason, text(Col::DropReason)),
            auth_type: value!(AuthType, text(Col::AuthType)),
            kind: value!(FlowType, text(Col::FlowType)),
            direction: value!(TrafficDirection, text(Col::TrafficDirection)),
            trace_point: value!(TraceObservationPoint, text(Col::TracePoint)),
            trace_reason: value!(TraceReason, text(Col::TraceReason)),
            debug_capture_point: value!(DebugCapturePoint, text(Col::DebugCapturePoint)),
            sock_xlate_point: value!(SocketTranslationPoint, text(Col::SockXlatePoint)),
            event: Some(event),
            policy_match_type: reader.entry_number(Col::PolicyMatchType, row),
            proxy_port: reader.entry_number(Col::ProxyPort, row),
            l4: protocol(text(Col::L4Protocol)),
            tcp_flags: Some(TcpFlags(reader.entry_number(Col::TcpFlags, row))),
            icmp: (reader.entry_number(Col::IcmpType, row), reader.entry_number(Col::IcmpCode, row)),
            l7: record(text(Col::L7Protocol)),
            l7_type: Some(value!(L7FlowType, text(Col::L7Type))),
            phase: Some(phase(text(Col::Phase))),
            vlan: reader.entry_number(Col::Vlan, row),
        }
    }
}

fn protocol(text: &str) -> Protocol {
    match text {
        "" => Protocol::None,
        "TCP" => Protocol::Tcp,
        "UDP" => Protocol::Udp,
        "SCTP" => Protocol::Sctp,
        "ICMPv4" => Protocol::Icmpv4,
        "ICMPv6" => Protocol::Icmpv6,
        _ => Protocol::Other,
    }
}

fn record(text: &str) -> Record {
    match text {
        "HTTP" => Record::Http,
        "DNS" => Record::Dns,
        "KAFKA" => Record::Kafka,
        _ => Record::None,
    }
}

fn phase(text: &str) -> FlowPhase {
    let phases = [FlowPhase::New, FlowPhase::Update, FlowPhase::Close];
    phases.into_iter().find(|phase| phase_name(*phase) == text).unwrap_or_default()
}
