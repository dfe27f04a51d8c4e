//! Fields of flows that this build does not know: kept as they came, and sent on.
//!
//! They are the top-level fields of `flow.Flow` only. What a newer API adds inside of a known message (an endpoint, a
//! transport header) is lost, because the vocabulary takes those apart.

use std::collections::HashSet;
use std::sync::LazyLock;

use flow::ForeignExtension;
use prost::encoding::{DecodeContext, WireType, decode_key, decode_varint, skip_field};
use prost::{Message as _, Name as _};
use prost_types::Any;

use crate::flow::Flow;
use crate::json::numbers_of;
use crate::observer::GetFlowsResponse;
use crate::weir::Residue;

/// Bytes of unknown fields that are kept of one flow; of more, none are.
const RESIDUE_BYTES_MAX: usize = 4096;
/// Numbers of the fields that a flow has; looking them up by the name of their message costs more than decoding them.
static KNOWN: LazyLock<HashSet<u32>> = LazyLock::new(numbers_of::<Flow>);
/// Number of the flow in a response.
const FLOW_FIELD: u32 = 1;

/// A decoded response, and the fields of its flow that this build does not know; those are empty nearly always.
///
/// # Errors
/// The bytes are no such response.
pub fn decode_response(bytes: &[u8]) -> Result<(GetFlowsResponse, Vec<u8>), prost::DecodeError> {
    let response = GetFlowsResponse::decode(bytes)?;
    // Decoded once already, so walking it cannot fail.
    Ok((response, unknown_in_response(bytes).unwrap_or_default()))
}

/// Adds unknown fields to what an extension holds already.
#[must_use]
pub fn with_unknown_fields(
    extension: Option<Box<ForeignExtension>>,
    unknown: Vec<u8>,
) -> Option<Box<ForeignExtension>> {
    if unknown.is_empty() || unknown.len() > RESIDUE_BYTES_MAX {
        return extension;
    }
    let extension = extension.map(|e| Any { type_url: e.type_url, value: e.value });
    let value = Residue { extension, unknown_fields: unknown }.encode_to_vec();
    Some(Box::new(ForeignExtension { type_url: Residue::type_url(), value }))
}

/// The unknown fields among what an extension holds.
pub(crate) fn unknown_fields_of(extension: &ForeignExtension) -> Option<Vec<u8>> {
    residue(extension).map(|residue| residue.unknown_fields)
}

/// The extension as the sender had it.
pub(crate) fn extension_of(extension: &ForeignExtension) -> Option<Any> {
    match residue(extension) {
        Some(residue) => residue.extension,
        None => Some(Any { type_url: extension.type_url.clone(), value: extension.value.clone() }),
    }
}

fn residue(extension: &ForeignExtension) -> Option<Residue> {
    if extension.type_url == Residue::type_url() { Residue::decode(extension.value.as_slice()).ok() } else { None }
}

fn unknown_in_response(mut bytes: &[u8]) -> Result<Vec<u8>, prost::DecodeError> {
    let mut unknown = Vec::new();
    while !bytes.is_empty() {
        let (number, kind) = decode_key(&mut bytes)?;
        if number == FLOW_FIELD && kind == WireType::LengthDelimited {
            let length = usize::try_from(decode_varint(&mut bytes)?).unwrap_or(usize::MAX).min(bytes.len());
            let (flow, rest) = bytes.split_at(length);
            unknown_in_flow(flow, &mut unknown)?;
            bytes = rest;
        } else {
            skip_field(kind, number, &mut bytes, DecodeContext::default())?;
        }
    }
    Ok(unknown)
}

fn unknown_in_flow(mut flow: &[u8], unknown: &mut Vec<u8>) -> Result<(), prost::DecodeError> {
    while !flow.is_empty() {
        let field = flow;
        let (number, kind) = decode_key(&mut flow)?;
        skip_field(kind, number, &mut flow, DecodeContext::default())?;
        if !KNOWN.contains(&number) {
            unknown.extend_from_slice(&field[..field.len() - flow.len()]);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::convert::Details;
    use crate::encode::FlowEncoder;

    /// A response with two fields more than this build knows, one below 100 and one above.
    fn newer() -> Vec<u8> {
        let mut flow = Flow { node_name: "n".to_owned(), ..Flow::default() }.encode_to_vec();
        // Field 99, varint 7; field 30000, text "new".
        flow.extend([0x98, 0x06, 0x07, 0x82, 0xd3, 0x0e, 0x03, b'n', b'e', b'w']);
        let mut response = vec![0x0a, u8::try_from(flow.len()).unwrap()];
        response.extend(&flow);
        response.extend(GetFlowsResponse { node_name: "n".to_owned(), ..Default::default() }.encode_to_vec());
        response
    }

    #[test]
    fn unknown_fields_come_back() {
        let (response, unknown) = decode_response(&newer()).unwrap();
        assert_eq!(unknown, [0x98, 0x06, 0x07, 0x82, 0xd3, 0x0e, 0x03, b'n', b'e', b'w']);
        let Some(crate::observer::get_flows_response::ResponseTypes::Flow(wire)) = response.response_types else {
            panic!()
        };
        let mut flow = crate::convert::flow_from_wire(wire);
        let any = ForeignExtension { type_url: "t/x".to_owned(), value: vec![1, 2] };
        for extension in [None, Some(Box::new(any))] {
            flow.extension = with_unknown_fields(extension.clone(), unknown.clone());
            let mut out = Vec::new();
            FlowEncoder::default().response(&flow, Details::Omit, &mut out);
            let (back, again) = decode_response(&out).unwrap();
            assert_eq!(again, unknown);
            let Some(crate::observer::get_flows_response::ResponseTypes::Flow(wire)) = back.response_types else {
                panic!()
            };
            let expected = extension.map(|e| Any { type_url: e.type_url, value: e.value });
            assert_eq!(wire.extensions, expected, "the extension beside them is not touched");
        }
    }

    #[test]
    fn what_is_known_leaves_nothing_and_too_much_is_left_out() {
        let known = Flow { uuid: "u".to_owned(), policy_log: vec!["x".to_owned()], ..Flow::default() };
        let known = crate::convert::flow_response(known).encode_to_vec();
        assert_eq!(decode_response(&known).unwrap().1, Vec::<u8>::new());
        assert!(with_unknown_fields(None, Vec::new()).is_none());
        assert!(with_unknown_fields(None, vec![0; RESIDUE_BYTES_MAX + 1]).is_none());
    }
}
