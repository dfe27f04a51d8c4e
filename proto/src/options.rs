//! What a client asks for beyond Hubble's API.

use prost::{Message, Name};

use crate::observer::GetFlowsRequest;
use crate::weir::GetFlowsOptions;

/// Whether the client wants [`flow::FlowDetails`] in the `extensions` of flows: it says so in the request's own
/// extensions, or its field mask names `extensions`.
#[must_use]
pub fn wants_details(request: &GetFlowsRequest) -> bool {
    let by_mask = request.field_mask.as_ref().is_some_and(|mask| mask.paths.iter().any(|p| p == "extensions"));
    by_mask || request.extensions.as_ref().is_some_and(asks_for_details)
}

fn asks_for_details(any: &prost_types::Any) -> bool {
    any.type_url.rsplit('/').next() == Some(GetFlowsOptions::full_name().as_str())
        && GetFlowsOptions::decode(any.value.as_slice()).is_ok_and(|options| options.details)
}
