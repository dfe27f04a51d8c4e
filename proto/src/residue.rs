//! Fields of flows that this build does not know: kept where they came, and sent on (docs/adr/0010).
//!
//! They may be fields of the flow or of any message in it (an endpoint, a transport header, an element of a list).

use flow::ForeignExtension;
use prost::{Message as _, Name as _};
use prost_types::Any;

use crate::flow::Flow;
use crate::json::schema::{MessageShape, message};
use crate::observer::GetFlowsResponse;
use crate::observer::get_flows_response::ResponseTypes;
use crate::weir::Residue;

mod fields;

/// Bytes of unknown fields that are kept of one flow; of more, none are.
const RESIDUE_BYTES_MAX: usize = 4096;

/// A decoded response, and what its flow has that this build does not know: the encoded flow without all known values.
/// It is empty nearly always, and only where it is not is the response looked at twice.
///
/// # Errors
/// The bytes are no such response.
pub fn decode_response(bytes: &[u8]) -> Result<(GetFlowsResponse, Vec<u8>), prost::DecodeError> {
    let response = GetFlowsResponse::decode(bytes)?;
    // What is decoded takes as many bytes as what came, unless something was left out or written at more length than
    // need be. No message of a flow has lists of numbers, which could be written shorter.
    if response.encoded_len() == bytes.len() || !matches!(response.response_types, Some(ResponseTypes::Flow(_))) {
        return Ok((response, Vec::new()));
    }
    let mut unknown = Vec::new();
    fields::messages(bytes, 1).for_each(|flow| fields::unknown(shape(), flow, &mut unknown));
    Ok((response, unknown))
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

/// Puts unknown fields of a flow where they belong in its encoded form, which is the end of `out` from `start` on.
pub(crate) fn graft(unknown: &[u8], start: usize, out: &mut Vec<u8>) {
    let encoded = out.split_off(start);
    fields::graft(shape(), &encoded, unknown, out);
}

fn shape() -> &'static MessageShape {
    message(&Flow::full_name()).expect("the descriptors have every message of the API")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

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

    /// A flow that has a message in nearly every place.
    fn rich() -> flow::Flow {
        let workloads = ["a", "b", "c"].map(|name| flow::Workload { name: name.to_owned(), kind: "Pod".to_owned() });
        let endpoint =
            flow::Endpoint { pod_name: "web-1".to_owned(), workloads: workloads.into(), ..Default::default() };
        let policy = |name: &str| Arc::new(flow::Policy { name: name.to_owned(), ..Default::default() });
        let headers = vec![("host".to_owned(), "shop".to_owned()), ("accept".to_owned(), "*".to_owned())];
        let http = flow::Http { method: "GET".to_owned(), headers, ..Default::default() };
        let addresses = [10, 11].map(|last| std::net::IpAddr::from([10, 0, 0, last]));
        flow::Flow {
            time: flow::Timestamp::from_parts(1_768_471_872, 5),
            node_name: "n".into(),
            ip: Some(flow::Ip {
                source: addresses[0],
                destination: addresses[1],
                encrypted: true,
                source_xlated: None,
            }),
            l4: Some(flow::L4::Tcp { source_port: 1, destination_port: 80, flags: Some(flow::TcpFlags::SYN) }),
            source: Some(Arc::new(endpoint.clone())),
            destination: Some(Arc::new(endpoint)),
            l7: Some(Box::new(flow::L7 { record: flow::L7Record::Http(http), ..Default::default() })),
            egress_allowed_by: ["one", "two", "three"].map(policy).into(),
            event_type: Some(flow::EventType { kind: 1, sub_kind: 2 }),
            ..Default::default()
        }
    }

    /// An encoded message with unknown fields at the ends of some of the messages in it, as `choose` says; how many.
    fn grown(shape: &MessageShape, encoded: &[u8], choose: &mut dyn FnMut() -> bool, out: &mut Vec<u8>) -> usize {
        let mut added = 0;
        let mut rest = encoded;
        while !rest.is_empty() {
            let before = rest;
            let (number, kind) = prost::encoding::decode_key(&mut rest).unwrap();
            let known = shape.by_number(number).unwrap().1;
            if matches!(known.kind, crate::json::schema::Kind::Message(_)) {
                let length = usize::try_from(prost::encoding::decode_varint(&mut rest).unwrap()).unwrap();
                let (inner, after) = rest.split_at(length);
                let mut whole = Vec::new();
                added += grown(known.message(), inner, choose, &mut whole);
                fields::put(number, &whole, out);
                rest = after;
            } else {
                prost::encoding::skip_field(kind, number, &mut rest, Default::default()).unwrap();
                out.extend_from_slice(&before[..before.len() - rest.len()]);
            }
        }
        if choose() {
            added += 1;
            // A number or a text, of a field nobody has.
            fields::put(29_000, b"new", out);
            out.extend([0x98, 0x3e, 0x07]);
        }
        added
    }

    fn response_of(flow: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        fields::put(1, flow, &mut bytes);
        bytes.extend(GetFlowsResponse { node_name: "n".to_owned(), ..Default::default() }.encode_to_vec());
        bytes
    }

    fn flow_in(response: &[u8]) -> &[u8] {
        fields::messages(response, 1).next().unwrap()
    }

    /// What the vocabulary keeps of a response, encoded again.
    fn through(response: &[u8]) -> Vec<u8> {
        let (decoded, unknown) = decode_response(response).unwrap();
        let Some(ResponseTypes::Flow(wire)) = decoded.response_types else { panic!() };
        let mut flow = crate::convert::flow_from_wire(wire);
        flow.extension = with_unknown_fields(flow.extension, unknown);
        let mut out = Vec::new();
        FlowEncoder::default().response(&flow, Details::Omit, &mut out);
        out
    }

    #[test]
    fn unknown_fields_of_messages_in_a_flow_come_back_where_they_were() {
        let mut plain = Vec::new();
        FlowEncoder::default().response(&rich(), Details::Omit, &mut plain);
        let flow = flow_in(&plain);
        assert_eq!(flow_in(&through(&plain)), flow);
        let mut seen = 0;
        for seed in 0..400_u64 {
            let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
            let mut choose = || {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                state % (seed % 7 + 2) == 0
            };
            let mut newer = Vec::new();
            seen += grown(shape(), flow, &mut choose, &mut newer);
            let response = response_of(&newer);
            let out = through(&response);
            assert_eq!(flow_in(&out), newer, "seed {seed}");
            // Through another relay of this build.
            assert_eq!(through(&out), out, "seed {seed}");
        }
        assert!(seen > 1_000, "{seen}");
    }

    #[test]
    fn a_list_that_became_shorter_keeps_what_it_has() {
        let mut unknown = Vec::new();
        for value in [&b""[..], &[0x98, 0x3e, 0x07], &[0x98, 0x3e, 0x08]] {
            fields::put(21_001, value, &mut unknown);
        }
        let mut flow = rich();
        flow.egress_allowed_by.truncate(2);
        flow.extension = with_unknown_fields(None, unknown.clone());
        let mut out = Vec::new();
        FlowEncoder::default().response(&flow, Details::Omit, &mut out);
        let again = decode_response(&out).unwrap().1;
        assert_eq!(again, unknown[..unknown.len() - 7]);
        let damaged = [&unknown[..], &[0xff, 0xff]].concat();
        flow.extension = with_unknown_fields(None, damaged);
        FlowEncoder::default().response(&flow, Details::Omit, &mut out);
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
