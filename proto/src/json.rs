//! The JSON form of the wire, exactly as Hubble prints it.
//!
//! Field names are those of the .proto files, 64-bit integers are strings, enumerations names, times RFC 3339 with 0, 3,
//! 6 or 9 digits, and scalars that have their default are left out; `<`, `>` and `&` are escaped, as Go's encoder does.
//! Nothing of this is generated: messages are turned by their descriptors, so every message of the API has the form.

mod base64;
mod read;
mod schema;
mod stream;
mod time;
mod unknown;
mod write;

use prost::{Message, Name};
use serde_json::{Map, Value};

use crate::flow::{Flow, FlowFilter};
use crate::observer::GetFlowsResponse;

pub use read::JsonError;

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
    let (mut is_export, mut is_flow) = (false, false);
    let response = read_line::<GetFlowsResponse>(line, &mut |unknown| {
        is_export |= EXPORT_ONLY.contains(&unknown);
        is_flow |= schema::is_field::<Flow>(unknown);
    })?;
    // A response says what it holds; a bare flow has none of these fields, but others than the two they share.
    if response.response_types.is_none() && is_flow && !is_export {
        return read_line(line, &mut |_| {}).map(crate::convert::flow_response);
    }
    Ok(response)
}

/// Fields of which a line of a flow log has one where it holds no flow.
const EXPORT_ONLY: [&str; 4] = ["agent_event", "agentEvent", "debug_event", "debugEvent"];

fn read_line<M: Message + Name + Default>(line: &str, unknown: &mut dyn FnMut(&str)) -> Result<M, JsonError> {
    let message = M::full_name();
    let shape = schema::message(&message).expect("every generated message has a descriptor");
    let encoded = stream::encode(shape, line, unknown)?;
    M::decode(encoded.as_slice()).map_err(|source| JsonError::Message { message, source })
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
    let object: Map<String, Value> = serde_json::from_str(text).map_err(JsonError::Syntax)?;
    read::from_object(&object)
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
    let shape = schema::message(&FlowFilter::full_name()).expect("every generated message has a descriptor");
    serde_json::Deserializer::from_str(text)
        .into_iter::<Map<String, Value>>()
        .map(|object| {
            let object = object.map_err(JsonError::Syntax)?;
            unknown::refuse(shape, &object, "")?;
            read::from_object(&object)
        })
        .collect()
}
