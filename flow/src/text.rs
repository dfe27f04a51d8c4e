//! The text forms of a flow that people and stock clients read: those of Hubble's server and of its CLI's compact
//! output.

mod drop_reason;
mod explain;
mod label;
mod name;
mod row;
mod summary;

use std::borrow::Cow;

use crate::{AuthType, Flow, Identity, L7, L7Record, SocketTranslationPoint, TrafficDirection, Verdict, event_type};

pub use crate::Side;
pub use drop_reason::drop_reason_text;
pub use explain::explain_drop;
pub use label::{dns_rcode_label, dns_type_label, method_label};
pub use name::{Name, Names, name_of};
pub use summary::{dns_rcode_text, summary};

/// Sub types of trace events by name: the observation points.
pub const TRACE_SUB_TYPES: [(&str, i32); 14] = [
    ("to-endpoint", 0),
    ("to-proxy", 1),
    ("to-host", 2),
    ("to-stack", 3),
    ("to-overlay", 4),
    ("from-endpoint", 5),
    ("from-proxy", 6),
    ("from-host", 7),
    ("from-stack", 8),
    ("from-overlay", 9),
    ("from-network", 10),
    ("to-network", 11),
    ("from-crypto", 12),
    ("to-crypto", 13),
];

/// Type of a flow as compact output shows it: `http-request`, `to-endpoint`, `Policy denied`,
/// `policy-verdict:L3-L4 INGRESS`, ...; `UNKNOWN` where nothing tells.
///
/// A drop that Hubble has no reason for shows the kernel's reason where that is known.
#[must_use]
pub fn kind(flow: &Flow) -> Cow<'static, str> {
    if let Some(l7) = &flow.l7 {
        return Cow::Owned(l7_kind(l7));
    }
    let Some(event) = flow.event_type else { return Cow::Borrowed("UNKNOWN") };
    match event.kind {
        event_type::TRACE => trace_kind(event.sub_kind),
        event_type::DROP => match flow.details.as_ref().and_then(|d| d.kernel_drop.as_ref()) {
            Some(drop) if event.sub_kind == 0 => Cow::Owned(drop.reason.clone()),
            _ => drop_reason_text(crate::DropReason(event.sub_kind)),
        },
        event_type::POLICY_VERDICT => {
            Cow::Owned(format!("policy-verdict:{} {}", policy_match(flow.policy_match_type), flow.traffic_direction))
        }
        event_type::CAPTURE => Cow::Owned(flow.debug_capture_point.to_string()),
        event_type::TRACE_SOCK => sock_kind(flow.sock_xlate_point),
        _ => Cow::Borrowed("UNKNOWN"),
    }
}

fn l7_kind(l7: &L7) -> String {
    let kind = l7.kind.to_string().to_lowercase();
    match &l7.record {
        L7Record::None => format!("l7-{kind}"),
        L7Record::Dns(dns) => format!("dns-{kind} {}", dns.observation_source),
        L7Record::Http(_) => format!("http-{kind}"),
        L7Record::Kafka(_) => format!("kafka-{kind}"),
    }
}

fn trace_kind(point: i32) -> Cow<'static, str> {
    match TRACE_SUB_TYPES.iter().find(|(_, number)| *number == point) {
        Some((name, _)) => Cow::Borrowed(name),
        None => Cow::Owned(point.to_string()),
    }
}

/// How a policy matched, in words.
#[must_use]
pub const fn policy_match(number: u32) -> &'static str {
    match number {
        0 => "none",
        1 => "L3-Only",
        2 => "L3-L4",
        3 => "L4-Only",
        4 => "all",
        5 => "L3-Proto",
        6 => "Proto-Only",
        _ => "unknown",
    }
}

/// Stage of socket load balancing as compact output shows it: `pre-xlate-fwd`, ...
#[must_use]
pub fn sock_kind(point: SocketTranslationPoint) -> Cow<'static, str> {
    Cow::Borrowed(match point {
        SocketTranslationPoint::SOCK_XLATE_POINT_PRE_DIRECTION_FWD => "pre-xlate-fwd",
        SocketTranslationPoint::SOCK_XLATE_POINT_POST_DIRECTION_FWD => "post-xlate-fwd",
        SocketTranslationPoint::SOCK_XLATE_POINT_PRE_DIRECTION_REV => "pre-xlate-rev",
        SocketTranslationPoint::SOCK_XLATE_POINT_POST_DIRECTION_REV => "post-xlate-rev",
        other => return Cow::Owned(other.to_string()),
    })
}

/// Verdict as compact output shows it: the enum's name, or for policy verdicts `ALLOWED`, `DENIED`, `AUDITED`.
#[must_use]
pub fn verdict(flow: &Flow) -> Cow<'static, str> {
    if flow.event_type.is_some_and(|e| e.kind == event_type::POLICY_VERDICT) {
        match flow.verdict {
            Verdict::FORWARDED | Verdict::REDIRECTED => return Cow::Borrowed("ALLOWED"),
            Verdict::DROPPED | Verdict::ERROR => return Cow::Borrowed("DENIED"),
            Verdict::AUDIT => return Cow::Borrowed("AUDITED"),
            _ => {}
        }
    }
    flow.verdict.name().map_or_else(|| Cow::Owned(flow.verdict.0.to_string()), Cow::Borrowed)
}

/// Names of the policies behind a policy verdict, ready to follow [`verdict`]: ` BY a (Kind), b (Kind)`; empty where
/// there are none.
#[must_use]
pub fn policy_names(flow: &Flow) -> String {
    let allowed = matches!(flow.verdict, Verdict::FORWARDED | Verdict::REDIRECTED);
    let denied = matches!(flow.verdict, Verdict::DROPPED | Verdict::ERROR);
    let policies = match flow.traffic_direction {
        _ if flow.event_type.is_none_or(|e| e.kind != event_type::POLICY_VERDICT) => return String::new(),
        TrafficDirection::EGRESS if allowed => &flow.egress_allowed_by,
        TrafficDirection::EGRESS if denied => &flow.egress_denied_by,
        TrafficDirection::INGRESS if allowed => &flow.ingress_allowed_by,
        TrafficDirection::INGRESS if denied => &flow.ingress_denied_by,
        _ => return String::new(),
    };
    let named = policies.iter().filter(|p| !p.name.is_empty() && !p.kind.is_empty());
    let names: Vec<String> = named.map(|p| format!("{} ({})", p.name, p.kind)).collect();
    if names.is_empty() { String::new() } else { format!(" BY {}", names.join(", ")) }
}

/// What compact output shows in brackets: the summary, with the IP trace id before and the authentication after it.
#[must_use]
pub fn remarks(flow: &Flow) -> String {
    let mut text = match flow.ip_trace_id {
        Some(trace) if trace.trace_id > 0 => format!("IP Trace ID: {}; ", trace.trace_id),
        _ => String::new(),
    };
    text.push_str(&flow.summary);
    if flow.auth_type != AuthType::DISABLED {
        text.push_str("; Auth: ");
        text.push_str(&flow.auth_type.to_string());
    }
    text
}

/// Identity as compact output shows it in brackets: `world`, or `ID:12345`.
#[must_use]
pub fn identity(identity: Identity) -> Cow<'static, str> {
    match identity.reserved_name() {
        Some(name) => Cow::Borrowed(name),
        None => Cow::Owned(format!("ID:{}", identity.0)),
    }
}

/// Identity of one side; where nothing is known of the side, that of the unknown.
#[must_use]
pub fn identity_of(flow: &Flow, side: Side) -> Cow<'static, str> {
    identity(flow.endpoint(side).map_or(Identity::UNKNOWN, |endpoint| endpoint.identity))
}
