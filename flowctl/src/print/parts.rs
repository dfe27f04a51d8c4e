//! The parts that lines, blocks and tables are made of.

use std::io::Write as _;

use flow::text::{self, Side};
use flow::{AuthType, Flow, Identity, LostEvent, Policy, Timestamp, TrafficDirection, Verdict, event_type};
use std::sync::Arc;

use super::paint::Color;
use super::{Paint, Style, put};

/// A flow and how to show it.
pub(super) struct Shown<'a> {
    pub(super) flow: &'a Flow,
    pub(super) time: Option<Timestamp>,
    pub(super) style: &'a Style,
}

/// A loss and how to show it.
pub(super) struct ShownLoss<'a> {
    pub(super) lost: &'a LostEvent,
    pub(super) node: &'a str,
    pub(super) time: Option<Timestamp>,
    pub(super) style: &'a Style,
}

impl Shown<'_> {
    /// Name and port of one side.
    pub(super) fn host(&self, out: &mut Vec<u8>, side: Side, paint: Paint) {
        let name = text::name_of(self.flow, side, self.style.names);
        if name.host.is_empty() && name.port == 0 {
            return;
        }
        paint.start(out, Color::Cyan);
        let brackets = name.port != 0 && name.host.contains(':');
        if brackets {
            out.push(b'[');
        }
        put(out, &name.host);
        if brackets {
            out.push(b']');
        }
        if name.port != 0 {
            out.push(b':');
            paint.start(out, Color::Yellow);
            write!(out, "{}", name.port).expect("writing to memory cannot fail");
            paint.end(out);
        }
        paint.end(out);
    }

    /// Identity of one side in brackets.
    pub(super) fn identity(&self, out: &mut Vec<u8>, side: Side, paint: Paint) {
        let endpoint = match side {
            Side::Source => &self.flow.source,
            Side::Destination => &self.flow.destination,
        };
        let identity = endpoint.as_ref().map_or(Identity::UNKNOWN, |e| e.identity);
        paint.start(out, Color::Magenta);
        out.push(b'(');
        out.extend_from_slice(text::identity(identity).as_bytes());
        out.push(b')');
        paint.end(out);
    }

    /// Type of the flow.
    pub(super) fn kind(&self, out: &mut Vec<u8>) {
        put(out, &text::kind(self.flow));
    }

    /// Verdict, with the names of policies where they are wanted.
    pub(super) fn verdict(&self, out: &mut Vec<u8>, paint: Paint) {
        let color = match self.flow.verdict {
            Verdict::FORWARDED | Verdict::REDIRECTED => Some(Color::Green),
            Verdict::DROPPED | Verdict::ERROR => Some(Color::Red),
            Verdict::AUDIT | Verdict::TRACED | Verdict::TRANSLATED => Some(Color::Yellow),
            _ => None,
        };
        if let Some(color) = color {
            paint.start(out, color);
        }
        out.extend_from_slice(text::verdict(self.flow).as_bytes());
        if self.style.policy_names {
            policy_names(out, self.policies());
        }
        if color.is_some() {
            paint.end(out);
        }
    }

    /// Policies behind a policy verdict.
    fn policies(&self) -> &[Arc<Policy>] {
        let flow = self.flow;
        if flow.event_type.is_none_or(|e| e.kind != event_type::POLICY_VERDICT) {
            return &[];
        }
        match (flow.verdict, flow.traffic_direction) {
            (Verdict::FORWARDED | Verdict::REDIRECTED, TrafficDirection::EGRESS) => &flow.egress_allowed_by,
            (Verdict::FORWARDED | Verdict::REDIRECTED, TrafficDirection::INGRESS) => &flow.ingress_allowed_by,
            (Verdict::DROPPED | Verdict::ERROR, TrafficDirection::EGRESS) => &flow.egress_denied_by,
            (Verdict::DROPPED | Verdict::ERROR, TrafficDirection::INGRESS) => &flow.ingress_denied_by,
            _ => &[],
        }
    }

    /// Summary, with the trace id before and the authentication after it.
    pub(super) fn summary(&self, out: &mut Vec<u8>, paint: Paint) {
        let flow = self.flow;
        if let Some(trace) = flow.ip_trace_id.filter(|t| t.trace_id > 0) {
            write!(out, "IP Trace ID: {}; ", trace.trace_id).expect("writing to memory cannot fail");
        }
        put(out, &flow.summary);
        if flow.auth_type != AuthType::DISABLED {
            let color = if flow.auth_type == AuthType::TEST_ALWAYS_FAIL { Color::Red } else { Color::Green };
            out.extend_from_slice(b"; Auth: ");
            paint.start(out, color);
            write!(out, "{}", flow.auth_type).expect("writing to memory cannot fail");
            paint.end(out);
        }
    }
}

fn policy_names(out: &mut Vec<u8>, policies: &[Arc<Policy>]) {
    let named = policies.iter().filter(|p| !p.kind.is_empty() && !p.name.is_empty());
    for (i, policy) in named.enumerate() {
        out.extend_from_slice(if i == 0 { b" BY " } else { b", " });
        put(out, &policy.name);
        out.extend_from_slice(b" (");
        put(out, &policy.kind);
        out.push(b')');
    }
}

impl ShownLoss<'_> {
    /// How many were lost on which processor, and when; `dash` stands between the two in columns and blocks.
    pub(super) fn summary(&self, dash: &str) -> String {
        let LostEvent { count, cpu, first, last, .. } = self.lost;
        let layout = self.style.time;
        let mut text = format!("CPU({}) {dash}{count}", cpu.unwrap_or(0));
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
