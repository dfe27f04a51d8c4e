//! The JSON form of the wire, exactly as Hubble prints it.
//!
//! Field names are those of the .proto files, 64-bit integers are strings, enumerations names, times RFC 3339 with 0, 3,
//! 6 or 9 digits, and scalars that have their default are left out; `<`, `>` and `&` are escaped, as Go's encoder does.
//! Nothing of this is generated: messages are turned by their descriptors, so every message of the API has the form.

mod base64;
mod decode;
mod kept;
mod known;
mod lexer;
mod number;
pub(crate) mod schema;
mod time;
pub(crate) mod wire;
mod write;

use prost::{Message, Name};

use self::decode::Unknown;
use crate::flow::{Flow, FlowFilter};
use crate::observer::GetFlowsResponse;

pub use decode::JsonError;
pub use kept::FlowFields;

/// One line, without a line end.
#[must_use]
pub fn to_line(response: &GetFlowsResponse) -> String {
    to_json(response)
}

/// Reads a line of `hubble observe -o json`, of an exported flow log, or a bare flow. Unknown fields and enumeration
/// names are left out; a line that holds an agent or debug event gives a response without content.
///
/// # Errors
/// The line is not a JSON object, or a known field has a value of another type.
pub fn from_line(line: &str) -> Result<GetFlowsResponse, JsonError> {
    let Line { response, holds_bare_flow, .. } = read_line(line.as_bytes(), Unknown::Keep, &FlowFields::ALL)?;
    if holds_bare_flow { bare_flow(line.as_bytes(), Unknown::Keep) } else { Ok(response) }
}

/// A line as the stock client reads it.
#[derive(Clone, Debug)]
pub struct Line {
    /// What it holds.
    pub response: GetFlowsResponse,
    /// The first field or name that the API does not have and that was left out.
    pub unknown: Option<String>,
    /// Whether it holds a flow without its envelope, as clients before 0.10 wrote them; then nothing of it is read but
    /// what an envelope has too.
    pub holds_bare_flow: bool,
    /// Whether the line is the one that [`to_line`] makes of all that it holds, so that it can be printed as it is.
    pub is_as_written: bool,
}

/// Reads a line as the stock client does: unknown fields and names are left out and told of, and a bare flow is no flow.
///
/// # Errors
/// The line is not a JSON object, or a known field has a value of another type.
pub fn line_from_bytes(line: &[u8]) -> Result<Line, JsonError> {
    read_line(line, Unknown::LeaveOut, &FlowFields::ALL)
}

/// Reads a line as [`line_from_bytes`] does, with the same errors, and keeps no other fields of a flow than these.
///
/// # Errors
/// The line is not a JSON object, or a known field has a value of another type.
pub fn line_with_fields(line: &[u8], fields: &FlowFields) -> Result<Line, JsonError> {
    read_line(line, Unknown::LeaveOut, fields)
}

/// Reads a line that [`Line::holds_bare_flow`].
///
/// # Errors
/// The line is not a JSON object, or a known field has a value of another type.
pub fn bare_flow_from_bytes(line: &[u8]) -> Result<GetFlowsResponse, JsonError> {
    bare_flow(line, Unknown::LeaveOut)
}

/// Fields of which a line of a flow log has one where it holds no flow.
const EXPORT_ONLY: [&str; 4] = ["agent_event", "agentEvent", "debug_event", "debugEvent"];

fn read_line(line: &[u8], policy: Unknown, fields: &FlowFields) -> Result<Line, JsonError> {
    let (mut is_export, mut is_flow) = (false, false);
    let mut first_unknown = None;
    let read = decode::message_of::<GetFlowsResponse>(line, policy, &fields.0, &mut |depth, unknown| {
        if depth == 1 {
            is_export |= EXPORT_ONLY.contains(&unknown);
            is_flow |= schema::is_field::<Flow>(unknown);
        }
        first_unknown.get_or_insert_with(|| unknown.to_owned());
    })?;
    let decode::Read { message: response, is_as_written } = read;
    // A response says what it holds; a bare flow has none of these fields, but others than the two they share.
    let holds_bare_flow = response.response_types.is_none() && is_flow && !is_export;
    Ok(Line { response, unknown: first_unknown, holds_bare_flow, is_as_written })
}

fn bare_flow(line: &[u8], policy: Unknown) -> Result<GetFlowsResponse, JsonError> {
    decode::message(line, policy, &mut |_, _| {}).map(crate::convert::flow_response)
}

/// Any message of the API as JSON.
#[must_use]
pub fn to_json<M: Message + Name>(message: &M) -> String {
    write::to_json(&M::full_name(), &message.encode_to_vec())
}

/// Reads any message of the API. Unknown fields and enumeration names are left out.
///
/// # Errors
/// The text is not a JSON object, or a known field has a value of another type.
pub fn from_json<M: Message + Name + Default>(text: &str) -> Result<M, JsonError> {
    decode::message(text.as_bytes(), Unknown::Keep, &mut |_, _| {})
}

/// A filter on one line, without a line end.
#[must_use]
pub fn filter_to_line(filter: &FlowFilter) -> String {
    to_json(filter)
}

/// Reads filters, as many as the text holds one after the other. A field or a name that a filter does not have is an
/// error, for what it was meant to leave out would be shown.
///
/// # Errors
/// The text is not JSON, a field or a name is unknown, or a value is of another type.
pub fn filters_from_text(text: &str) -> Result<Vec<FlowFilter>, JsonError> {
    decode::messages(text.as_bytes(), Unknown::Refuse)
}

/// Seconds and nanoseconds of a time in its text form.
pub(crate) fn read_time(text: &str) -> Option<(i64, i32)> {
    time::read(text)
}

/// The text form of a time.
pub(crate) fn time_text(seconds: i64, nanos: i32) -> String {
    let mut text = String::new();
    time::write(seconds, nanos, &mut text);
    text
}

/// Whether a time is of the years that protobuf has.
pub(crate) fn is_time(seconds: i64) -> bool {
    time::RANGE.contains(&seconds)
}

/// Year, month, day and day of the year (from 0) of a day since 1970-01-01.
pub(crate) fn date_of(days: i64) -> [i64; 4] {
    let (year, month, day) = time::date(days);
    [year, month, day, days - time::days(year, 1, 1)]
}
