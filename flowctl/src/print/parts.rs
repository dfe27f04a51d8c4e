//! The parts that lines, blocks and tables are made of.
//!
//! Flows are printed as they came over the wire or out of a file: an address that is none, a port above 65535 or a number
//! of a newer enumeration is shown as it is.

use std::borrow::Cow;
use std::io::Write as _;

use flow::text::{self, Side};
use flow::{
    AuthType, DebugCapturePoint, DropReason, Identity, L7FlowType, LostEventSource, SocketTranslationPoint,
    TrafficDirection, Verdict, event_type,
};
use prost_types::Timestamp;
use proto::flow as wire;
use proto::flow::layer4::Protocol;
use proto::flow::layer7::Record;

use super::paint::Color;
use super::{Escape, Paint, Style, clean_path};

/// A flow and how to show it.
pub(super) struct Shown<'a> {
    pub(super) flow: &'a wire::Flow,
    pub(super) style: &'a Style,
    pub(super) paint: Paint,
    pub(super) escape: Escape,
}

/// A loss and how to show it.
pub(super) struct ShownLoss<'a> {
    pub(super) lost: &'a wire::LostEvent,
    pub(super) node: &'a str,
    pub(super) time: Option<Timestamp>,
    pub(super) style: &'a Style,
}

const MEMORY: &str = "writing to memory cannot fail";

impl Shown<'_> {
    /// Time of the flow.
    pub(super) fn time(&self, out: &mut Vec<u8>) {
        self.style.time.write(out, self.flow.time);
    }

    /// The observing node.
    pub(super) fn node(&self, out: &mut Vec<u8>) {
        self.escape.put(out, &self.flow.node_name);
    }

    /// Name and port of one side; what is not IP has MAC addresses for names.
    pub(super) fn host(&self, out: &mut Vec<u8>, side: Side) {
        let Some(ip) = &self.flow.ip else {
            if let Some(ethernet) = &self.flow.ethernet {
                self.paint.start(out, Color::Cyan);
                self.escape.put(out, side.of(&ethernet.source, &ethernet.destination));
                self.paint.end(out);
            }
            return;
        };
        let name = if self.style.resolve_names { self.name(side) } else { None };
        let name = name.unwrap_or(Cow::Borrowed(side.of(&ip.source, &ip.destination)));
        let port = self.port(side);
        self.paint.start(out, Color::Cyan);
        let brackets = port != 0 && name.contains(':');
        if brackets {
            out.push(b'[');
        }
        self.escape.put(out, &name);
        if brackets {
            out.push(b']');
        }
        if port != 0 {
            out.push(b':');
            self.paint.start(out, Color::Yellow);
            write!(out, "{port}").expect(MEMORY);
            self.paint.end(out);
        }
        self.paint.end(out);
    }

    /// Pod before service before DNS names. The namespace is that of the service where there is one, as in Hubble.
    fn name(&self, side: Side) -> Option<Cow<'_, str>> {
        let flow = self.flow;
        let endpoint = side.of(&flow.source, &flow.destination).as_ref();
        let service = side.of(&flow.source_service, &flow.destination_service).as_ref();
        let namespace = service.map(|s| &s.namespace).or(endpoint.map(|e| &e.namespace)).map_or("", String::as_str);
        let pod = endpoint.map_or("", |e| e.pod_name.as_str());
        let name = if pod.is_empty() { service.map_or("", |s| s.name.as_str()) } else { pod };
        if !name.is_empty() {
            return Some(joined(namespace, name));
        }
        match side.of(&flow.source_names, &flow.destination_names).as_slice() {
            [] => None,
            [one] => Some(Cow::Borrowed(one)),
            many => Some(Cow::Owned(many.join(","))),
        }
    }

    fn port(&self, side: Side) -> u32 {
        let protocol = self.flow.l4.as_ref().and_then(|l4| l4.protocol.as_ref());
        match protocol {
            Some(Protocol::Tcp(tcp)) => *side.of(&tcp.source_port, &tcp.destination_port),
            Some(Protocol::Udp(udp)) => *side.of(&udp.source_port, &udp.destination_port),
            Some(Protocol::Sctp(sctp)) => *side.of(&sctp.source_port, &sctp.destination_port),
            _ => 0,
        }
    }

    /// Identity of one side in brackets.
    pub(super) fn identity(&self, out: &mut Vec<u8>, side: Side) {
        let endpoint = side.of(&self.flow.source, &self.flow.destination).as_ref();
        let identity = Identity(endpoint.map_or(0, |e| e.identity));
        self.paint.start(out, Color::Magenta);
        match identity.reserved_name() {
            Some(name) => write!(out, "({name})"),
            None => write!(out, "(ID:{})", identity.0),
        }
        .expect(MEMORY);
        self.paint.end(out);
    }

    /// Type of the flow.
    pub(super) fn kind(&self, out: &mut Vec<u8>) {
        let flow = self.flow;
        if let Some(l7) = &flow.l7 {
            self.l7_kind(out, l7);
            return;
        }
        let event = flow.event_type.unwrap_or_default();
        // The stock client looks at the lowest byte of a sub type.
        let sub_kind = i32::from(event.sub_type.to_le_bytes()[0]);
        match event.r#type {
            event_type::TRACE => match text::TRACE_SUB_TYPES.iter().find(|(_, number)| *number == sub_kind) {
                Some((name, _)) => out.extend_from_slice(name.as_bytes()),
                None => write!(out, "{sub_kind}").expect(MEMORY),
            },
            event_type::DROP => match self.style.details.then(|| kernel_reason(flow)).flatten() {
                Some(reason) if event.sub_type == 0 => self.escape.put(out, &reason),
                _ => out.extend_from_slice(text::drop_reason_text(DropReason(sub_kind)).as_bytes()),
            },
            event_type::POLICY_VERDICT => write!(
                out,
                "policy-verdict:{} {}",
                text::policy_match(flow.policy_match_type),
                TrafficDirection(flow.traffic_direction)
            )
            .expect(MEMORY),
            event_type::CAPTURE => write!(out, "{}", DebugCapturePoint(flow.debug_capture_point)).expect(MEMORY),
            event_type::TRACE_SOCK => {
                out.extend_from_slice(text::sock_kind(SocketTranslationPoint(flow.sock_xlate_point)).as_bytes());
            }
            _ => out.extend_from_slice(b"UNKNOWN"),
        }
    }

    #[expect(deprecated, reason = "Kafka records are deprecated, but agents still send them")]
    fn l7_kind(&self, out: &mut Vec<u8>, l7: &wire::Layer7) {
        let kind = L7FlowType(l7.r#type).to_string().to_lowercase();
        let protocol = match &l7.record {
            None => "l7",
            Some(Record::Http(_)) => "http",
            Some(Record::Dns(_)) => "dns",
            Some(Record::Kafka(_)) => "kafka",
        };
        write!(out, "{protocol}-{kind}").expect(MEMORY);
        if let Some(Record::Dns(dns)) = &l7.record {
            out.push(b' ');
            self.escape.put(out, &dns.observation_source);
        }
    }

    /// Verdict, with the names of policies where they are wanted.
    pub(super) fn verdict(&self, out: &mut Vec<u8>) {
        let flow = self.flow;
        let verdict = Verdict(flow.verdict);
        let by_policy = flow.event_type.is_some_and(|event| event.r#type == event_type::POLICY_VERDICT);
        let (color, word) = match verdict {
            Verdict::FORWARDED | Verdict::REDIRECTED => (Some(Color::Green), "ALLOWED"),
            Verdict::DROPPED | Verdict::ERROR => (Some(Color::Red), "DENIED"),
            Verdict::AUDIT => (Some(Color::Yellow), "AUDITED"),
            Verdict::TRACED | Verdict::TRANSLATED => (Some(Color::Yellow), ""),
            _ => (None, ""),
        };
        if let Some(color) = color {
            self.paint.start(out, color);
        }
        if by_policy && !word.is_empty() {
            out.extend_from_slice(word.as_bytes());
            if self.style.policy_names {
                self.policy_names(out, verdict);
            }
        } else {
            write!(out, "{verdict}").expect(MEMORY);
        }
        if color.is_some() {
            self.paint.end(out);
        }
    }

    fn policy_names(&self, out: &mut Vec<u8>, verdict: Verdict) {
        let flow = self.flow;
        let allowed = matches!(verdict, Verdict::FORWARDED | Verdict::REDIRECTED);
        let policies = match TrafficDirection(flow.traffic_direction) {
            _ if verdict == Verdict::AUDIT => return,
            TrafficDirection::EGRESS if allowed => &flow.egress_allowed_by,
            TrafficDirection::EGRESS => &flow.egress_denied_by,
            TrafficDirection::INGRESS if allowed => &flow.ingress_allowed_by,
            TrafficDirection::INGRESS => &flow.ingress_denied_by,
            _ => return,
        };
        let named = policies.iter().filter(|p| !p.kind.is_empty() && !p.name.is_empty());
        for (i, policy) in named.enumerate() {
            out.extend_from_slice(if i == 0 { b" BY " } else { b", " });
            self.escape.put(out, &policy.name);
            out.extend_from_slice(b" (");
            self.escape.put(out, &policy.kind);
            out.push(b')');
        }
    }

    /// Summary, with the trace id before and the authentication after it.
    pub(super) fn summary(&self, out: &mut Vec<u8>) {
        let flow = self.flow;
        if let Some(trace) = flow.ip_trace_id.as_ref().filter(|t| t.trace_id > 0) {
            write!(out, "IP Trace ID: {}; ", trace.trace_id).expect(MEMORY);
        }
        #[expect(deprecated, reason = "clients print it all the same")]
        self.escape.put(out, &flow.summary);
        let auth = AuthType(flow.auth_type);
        if auth != AuthType::DISABLED {
            let color = if auth == AuthType::TEST_ALWAYS_FAIL { Color::Red } else { Color::Green };
            out.extend_from_slice(b"; Auth: ");
            self.paint.start(out, color);
            write!(out, "{auth}").expect(MEMORY);
            self.paint.end(out);
        }
    }
}

/// The kernel's reason for a drop, where the flow carries it.
fn kernel_reason(flow: &wire::Flow) -> Option<String> {
    let details = proto::convert::flow_from_wire(flow.clone()).details?;
    details.kernel_drop.map(|drop| drop.reason.clone()).filter(|reason| !reason.is_empty())
}

/// Namespace and name with a slash in between, without what a path would do without.
fn joined<'a>(namespace: &str, name: &'a str) -> Cow<'a, str> {
    let plain = |text: &str| !text.is_empty() && !text.contains(['/', '.']);
    if namespace.is_empty() && plain(name) {
        return Cow::Borrowed(name);
    }
    let path = if namespace.is_empty() { name.to_owned() } else { format!("{namespace}/{name}") };
    // Dots alone between slashes are what a path does without; most names have none of those.
    if path.split('/').any(|part| part.is_empty() || part == "." || part == "..") {
        return Cow::Owned(clean_path(&path));
    }
    Cow::Owned(path)
}

impl ShownLoss<'_> {
    /// Queue that overflowed.
    pub(super) fn source(&self) -> LostEventSource {
        LostEventSource(self.lost.source)
    }

    /// How many were lost on which processor, and when; `dash` stands between the two in columns and blocks.
    pub(super) fn summary(&self, dash: &str) -> String {
        let wire::LostEvent { num_events_lost, cpu, first, last, .. } = self.lost;
        let layout = self.style.time;
        let mut text = format!("CPU({}) {dash}{num_events_lost}", cpu.unwrap_or(0));
        if first.is_some() && last.is_some() {
            text += &format!(" (first: {}, last: {})", layout.text(*first), layout.text(*last));
        }
        text
    }

    /// The observing node, or a dash.
    pub(super) fn node(&self) -> &str {
        if self.node.is_empty() { "-" } else { self.node }
    }
}
