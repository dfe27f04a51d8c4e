//! The JSON form of the wire, exactly as Hubble prints it: one object a line.

use crate::observer::GetFlowsResponse;

/// A line is not what was expected.
#[derive(Debug, thiserror::Error)]
pub enum JsonError {
    /// Not JSON at all.
    #[error("not a JSON object")]
    Syntax(#[source] serde_json::Error),
}

/// One line, without a line end.
#[must_use]
pub fn to_line(response: &GetFlowsResponse) -> String {
    let _ = response;
    String::new()
}

/// Reads a line: a response, a bare flow, or a line of an exported flow log. Unknown fields are ignored.
///
/// # Errors
/// The line is not JSON, or a known field has a value of another type.
pub fn from_line(line: &str) -> Result<GetFlowsResponse, JsonError> {
    let _: serde_json::Value = serde_json::from_str(line).map_err(JsonError::Syntax)?;
    Ok(GetFlowsResponse::default())
}
