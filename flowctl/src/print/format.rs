//! Flows one by one, for layouts in which none depends on another, so that several threads can write them.

use proto::flow::Flow;
use proto::observer::GetFlowsResponse;

use super::{Escape, Output, Paint, Style, compact, dict, parts};

/// A layout and how values are shown in it.
#[derive(Clone, Debug)]
pub(crate) struct Format {
    pub(super) output: Output,
    pub(super) style: Style,
    pub(super) paint: Paint,
    pub(super) escape: Escape,
}

/// Fields that compact, dict and table show, those of [`MASKED_FIELDS`] first.
const SHOWN_FIELDS: &[&str] = &[
    "time",
    "verdict",
    "ethernet",
    "IP",
    "l4",
    "source.identity",
    "source.namespace",
    "source.pod_name",
    "destination.identity",
    "destination.namespace",
    "destination.pod_name",
    "Type",
    "node_name",
    "l7",
    "event_type",
    "source_service",
    "destination_service",
    "is_reply",
    "Summary",
    "ip_trace_id",
    "traffic_direction",
    "policy_match_type",
    "source_names",
    "destination_names",
    "sock_xlate_point",
    "debug_capture_point",
    "auth_type",
    "egress_allowed_by",
    "ingress_allowed_by",
    "egress_denied_by",
    "ingress_denied_by",
];

/// Fields that Hubble's client asks a server for where a layout shows no others. Its list leaves out those from
/// `traffic_direction` on, so that policy verdicts come without direction, match and names of policies, and names from
/// DNS not at all; `--use-default-field-masks=false` brings them.
pub(crate) const MASKED_FIELDS: &[&str] = SHOWN_FIELDS.first_chunk::<20>().expect("there are more fields");

impl Format {
    /// Fields of a flow that it shows; `None` for all.
    pub(crate) fn fields(&self) -> Option<&'static [&'static str]> {
        match self.output {
            Output::Compact | Output::Dict | Output::Table => Some(SHOWN_FIELDS),
            Output::Json | Output::LegacyJson | Output::Wide | Output::Counts | Output::Rows(_) => None,
        }
    }

    /// Whether a line that is as [`proto::json::to_line`] writes it is shown as it is.
    pub(crate) fn keeps_lines(&self) -> bool {
        self.output == Output::Json
    }

    /// Appends a flow, with the separator that stands between it and one before; false, and nothing appended, in a layout
    /// that needs to know of other flows.
    pub(crate) fn write_flow(&self, out: &mut Vec<u8>, response: &GetFlowsResponse, flow: &Flow) -> bool {
        let shown = parts::Shown { flow, style: &self.style, paint: self.paint, escape: self.escape };
        match self.output {
            Output::Compact => compact::write_flow(out, &shown),
            Output::Dict => dict::write_flow(out, &shown, false),
            Output::Json => put_json(out, &proto::json::to_line(response)),
            Output::LegacyJson => put_json(out, &proto::json::to_json(flow)),
            Output::Table | Output::Wide | Output::Counts | Output::Rows(_) => return false,
        }
        true
    }

    /// What stands in front of each flow and is not wanted in front of the first one.
    pub(super) const fn separator(&self) -> &'static [u8] {
        match self.output {
            Output::Dict => dict::SEPARATOR_LINE,
            _ => b"",
        }
    }
}

/// Appends a JSON text as a line.
pub(super) fn put_json(line: &mut Vec<u8>, json: &str) {
    line.extend_from_slice(json.as_bytes());
    line.push(b'\n');
}
