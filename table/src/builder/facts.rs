//! The group of enumerations and small numbers.

use flow::{Flow, FlowPhase, L4, L7, L7Record};

use super::output::{GroupKeys, Output};
use crate::schema::Col;

/// What [`crate::schema::FACTS`] holds of one flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Facts {
    verdict: flow::Verdict,
    drop_reason: flow::DropReason,
    auth_type: flow::AuthType,
    kind: flow::FlowType,
    direction: flow::TrafficDirection,
    trace_point: flow::TraceObservationPoint,
    trace_reason: flow::TraceReason,
    debug_capture_point: flow::DebugCapturePoint,
    sock_xlate_point: flow::SocketTranslationPoint,
    event: Option<flow::EventType>,
    policy_match_type: u32,
    proxy_port: u32,
    l4: &'static str,
    tcp_flags: Option<flow::TcpFlags>,
    icmp: (u8, u8),
    l7: &'static str,
    l7_type: Option<flow::L7FlowType>,
    phase: Option<FlowPhase>,
    vlan: u16,
}

impl Facts {
    /// What a flow says beside its transport header, application record and details.
    pub(crate) const fn common(flow: &Flow) -> Self {
        Self {
            verdict: flow.verdict,
            drop_reason: flow.drop_reason,
            auth_type: flow.auth_type,
            kind: flow.kind,
            direction: flow.traffic_direction,
            trace_point: flow.trace_point,
            trace_reason: flow.trace_reason,
            debug_capture_point: flow.debug_capture_point,
            sock_xlate_point: flow.sock_xlate_point,
            event: flow.event_type,
            policy_match_type: flow.policy_match_type,
            proxy_port: flow.proxy_port,
            l4: "",
            tcp_flags: None,
            icmp: (0, 0),
            l7: "",
            l7_type: None,
            phase: None,
            vlan: 0,
        }
    }

    /// Adds what a transport header says.
    pub(crate) fn with_l4(self, l4: Option<&L4>) -> Self {
        Self {
            l4: l4.map_or("", L4::protocol),
            tcp_flags: l4.and_then(L4::tcp_flags),
            icmp: match l4 {
                Some(&(L4::Icmpv4 { kind, code } | L4::Icmpv6 { kind, code })) => (kind, code),
                _ => (0, 0),
            },
            ..self
        }
    }

    /// Adds what an application record says.
    pub(crate) const fn with_l7(self, l7: L7Facts) -> Self {
        Self { l7: l7.protocol, l7_type: l7.kind, ..self }
    }

    /// Adds what details say.
    pub(crate) const fn with_details(self, phase: Option<FlowPhase>, vlan: u16) -> Self {
        Self { phase, vlan, ..self }
    }
}

/// The part of an application record.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct L7Facts {
    protocol: &'static str,
    kind: Option<flow::L7FlowType>,
}

impl L7Facts {
    pub(crate) fn of(l7: Option<&L7>) -> Self {
        let protocol = match l7.map(|l7| &l7.record) {
            Some(L7Record::Dns(_)) => "DNS",
            Some(L7Record::Http(_)) => "HTTP",
            Some(L7Record::Kafka(_)) => "KAFKA",
            Some(L7Record::None) | None => "",
        };
        Self { protocol, kind: l7.map(|l7| l7.kind) }
    }
}

/// Name of a phase in the table.
pub(crate) const fn phase_name(phase: FlowPhase) -> &'static str {
    match phase {
        FlowPhase::Unknown => "UNKNOWN",
        FlowPhase::New => "NEW",
        FlowPhase::Update => "UPDATE",
        FlowPhase::Close => "CLOSE",
    }
}

pub(crate) fn write(output: &mut Output, keys: &GroupKeys, entries: &[Facts]) {
    let each = || entries.iter();
    output.text(Col::Verdict, keys, each().map(|f| f.verdict.to_string()));
    output.text(Col::DropReason, keys, each().map(|f| f.drop_reason.to_string()));
    output.text(Col::AuthType, keys, each().map(|f| f.auth_type.to_string()));
    output.text(Col::FlowType, keys, each().map(|f| f.kind.to_string()));
    output.text(Col::TrafficDirection, keys, each().map(|f| f.direction.to_string()));
    output.text(Col::TracePoint, keys, each().map(|f| f.trace_point.to_string()));
    output.text(Col::TraceReason, keys, each().map(|f| f.trace_reason.to_string()));
    output.text(Col::DebugCapturePoint, keys, each().map(|f| f.debug_capture_point.to_string()));
    output.text(Col::SockXlatePoint, keys, each().map(|f| f.sock_xlate_point.to_string()));
    output.number_or_null(Col::EventType, keys, each().map(|f| f.event.map(|e| e.kind.into())));
    output.number(Col::EventSubType, keys, each().map(|f| f.event.map_or(0, |e| e.sub_kind.into())));
    output.number(Col::PolicyMatchType, keys, each().map(|f| f.policy_match_type.into()));
    output.number(Col::ProxyPort, keys, each().map(|f| f.proxy_port.into()));
    output.text(Col::L4Protocol, keys, each().map(|f| f.l4));
    output.number_or_null(Col::TcpFlags, keys, each().map(|f| f.tcp_flags.map(|flags| flags.0.into())));
    output.number(Col::IcmpType, keys, each().map(|f| f.icmp.0.into()));
    output.number(Col::IcmpCode, keys, each().map(|f| f.icmp.1.into()));
    output.text(Col::L7Protocol, keys, each().map(|f| f.l7));
    output.text_or_null(Col::L7Type, keys, each().map(|f| f.l7_type.map(|kind| kind.to_string())));
    output.text_or_null(Col::Phase, keys, each().map(|f| f.phase.map(phase_name)));
    output.number(Col::Vlan, keys, each().map(|f| f.vlan.into()));
}
