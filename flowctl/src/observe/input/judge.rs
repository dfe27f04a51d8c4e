//! Whether a line is a flow, whether it is asked for, and how it reads: what each thread can say of a line by itself.

use prost_types::Timestamp;
use proto::filter::WireFilterSet;
use proto::json::{FlowFields, JsonError, bare_flow_from_bytes, line_from_bytes, line_with_fields};
use proto::observer::GetFlowsResponse;
use proto::observer::get_flows_response::ResponseTypes;

use crate::moments::order;
use crate::observe::query::Selectors;
use crate::observe::rest::Rest;
use crate::print::Format;

/// Decides about lines, and writes those that are shown.
pub(super) struct Judge {
    /// Whether a flow without its envelope is a flow.
    bare_flows: bool,
    filters: WireFilterSet,
    /// What the filters cannot say.
    rest: Option<Rest>,
    pub(super) selectors: Selectors,
    format: Format,
    /// What the filters and the layout look at; the rest of a line is checked and left out.
    fields: FlowFields,
}

/// What a line is.
pub(super) enum Judged {
    /// A flow that is asked for, whose text was appended.
    Written,
    /// A message that is asked for and that the printer has to see.
    Passed(Box<GetFlowsResponse>),
    /// A message that is not asked for, or nothing at all.
    Blocked,
    /// It cannot be read, and why.
    Damaged(String),
}

/// What a line is, and what people may have to be told of it.
pub(super) struct Verdict {
    pub(super) judged: Judged,
    /// A field or a name that the API does not have.
    pub(super) unknown: Option<String>,
    /// Whether it is a flow without its envelope that was not read as one.
    pub(super) is_bare: bool,
}

impl Verdict {
    /// Whether nobody has to look at it any more.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self.judged, Judged::Written | Judged::Blocked) && self.unknown.is_none() && !self.is_bare
    }
}

impl Judge {
    /// Prepares for many lines.
    pub(super) fn new(
        bare_flows: bool,
        filters: WireFilterSet,
        rest: Option<Rest>,
        selectors: Selectors,
        format: Format,
    ) -> Self {
        let shown = if format.keeps_lines() { Some(&[][..]) } else { format.fields() };
        // An expression may ask for anything.
        let judged = if rest.is_none() { filters.fields() } else { None };
        let fields = match (judged, shown) {
            (Some(judged), Some(shown)) => FlowFields::of(judged.into_iter().chain(shown.iter().copied())),
            _ => FlowFields::ALL,
        };
        Self { bare_flows, filters, rest, selectors, format, fields }
    }

    /// Reads a line, decides, and appends the text of a flow that is shown.
    pub(super) fn judge(&self, line: &[u8], out: &mut Vec<u8>) -> Verdict {
        let damaged =
            |error: JsonError| Verdict { judged: Judged::Damaged(error.to_string()), unknown: None, is_bare: false };
        let read = match line_with_fields(line, &self.fields) {
            Ok(read) => read,
            Err(error) => return damaged(error),
        };
        let opens_bare = read.holds_bare_flow && self.bare_flows;
        let response = match opens_bare {
            false => read.response,
            true => match bare_flow_from_bytes(line) {
                Ok(response) => response,
                Err(error) => return damaged(error),
            },
        };
        let judged = if !self.passes(&response) {
            Judged::Blocked
        } else if !matches!(response.response_types, Some(ResponseTypes::Flow(_))) {
            Judged::Passed(Box::new(response))
        } else if self.format.keeps_lines() && read.is_as_written && !opens_bare {
            out.extend_from_slice(line);
            out.push(b'\n');
            Judged::Written
        } else if self.format.keeps_lines() && !opens_bare {
            // Not all of it was kept, in the hope that it would not be needed.
            match line_from_bytes(line) {
                Ok(read) => self.write(read.response, out),
                Err(error) => return damaged(error),
            }
        } else {
            self.write(response, out)
        };
        Verdict {
            judged,
            unknown: read.unknown.filter(|_| !read.holds_bare_flow),
            is_bare: read.holds_bare_flow && !self.bare_flows,
        }
    }

    /// Decides about a message, and appends the text of a flow that is shown.
    pub(super) fn judge_response(&self, response: GetFlowsResponse, out: &mut Vec<u8>) -> Judged {
        if self.passes(&response) { self.write(response, out) } else { Judged::Blocked }
    }

    fn write(&self, response: GetFlowsResponse, out: &mut Vec<u8>) -> Judged {
        match &response.response_types {
            Some(ResponseTypes::Flow(flow)) if self.format.write_flow(out, &response, flow) => Judged::Written,
            _ => Judged::Passed(Box::new(response)),
        }
    }

    /// Whether a message is asked for. One without a time counts as one of 1970, as in Hubble.
    fn passes(&self, response: &GetFlowsResponse) -> bool {
        let (since, until) = (self.selectors.since, self.selectors.until);
        let time: Timestamp = response.time.unwrap_or_default();
        since.is_none_or(|since| order(since, time).is_le())
            && until.is_none_or(|until| order(time, until).is_le())
            && self.filters.matches(response)
            && self.rest.as_ref().is_none_or(|rest| rest.passes_as_flow(response))
    }
}
