//! A flow in pieces is the row that the whole flow is, whatever the bytes are.

#[path = "generators/any_flow.rs"]
#[expect(dead_code, reason = "its filters are for other tests")]
mod any_flow;

use std::path::Path;
use std::sync::Arc;

use flow::{Flow, FlowId, Timestamp};
use proptest::prelude::*;
use proptest::sample::Index;
use prost::Message;
use prost::encoding::encode_varint;
use proto::convert::{Details, flow_from_wire, flow_response, flow_to_wire};
use proto::observer::GetFlowsResponse;
use proto::observer::get_flows_response::ResponseTypes;
use proto::pieces::{PieceDecoder, Splitter};
use proto::residue::{decode_response, with_unknown_fields};
use table::{FlowBatchBuilder, PiecesRefused, RowReader};

const NODE: &str = "peer";

/// Both ways side by side.
struct Both {
    whole: FlowBatchBuilder,
    pieces: FlowBatchBuilder,
    splitter: Splitter,
    decoder: PieceDecoder,
    in_pieces: usize,
}

impl Both {
    fn new() -> Self {
        let (whole, pieces) = (FlowBatchBuilder::new(), FlowBatchBuilder::new());
        Self { whole, pieces, splitter: Splitter::default(), decoder: PieceDecoder::new(Arc::from(NODE)), in_pieces: 0 }
    }

    /// Takes a response in both ways, and says whether it is a flow.
    fn take(&mut self, response: &[u8]) -> bool {
        let expected = whole(response);
        let taken = match self.splitter.split(response) {
            None => false,
            Some(pieces) => match self.pieces.understand(&pieces, &mut self.decoder) {
                Ok(understood) => {
                    understood.push();
                    true
                }
                Err(PiecesRefused::Unreadable) => false,
                Err(PiecesRefused::Full(full)) => panic!("{full}"),
            },
        };
        self.in_pieces += usize::from(taken);
        let Some(flow) = expected else {
            assert!(!taken, "what is no flow as a whole is none in pieces: {response:?}");
            return false;
        };
        self.whole.push(&flow).expect("there is room");
        if !taken {
            self.pieces.push(&flow).expect("there is room");
        }
        true
    }

    fn check(&mut self) {
        let (whole, pieces) = (self.whole.finish(), self.pieces.finish());
        assert_eq!(whole.num_rows(), pieces.num_rows());
        let [expected, found] = [&whole, &pieces].map(|batch| RowReader::new(batch).expect("it is ours"));
        for row in 0..expected.len() {
            assert_eq!(found.flow(row), expected.flow(row));
        }
        // Columns that flows do not show, such as that of the ports of what has no ports.
        assert_eq!(rows(&whole), rows(&pieces));
    }
}

/// The rows without their dictionaries.
fn rows(batch: &arrow::record_batch::RecordBatch) -> Vec<arrow::array::ArrayRef> {
    use arrow::datatypes::DataType;
    let plain = |column: &arrow::array::ArrayRef| match column.data_type() {
        DataType::Dictionary(_, value) => arrow::compute::cast(column, value).expect("it has values"),
        _ => column.clone(),
    };
    batch.columns().iter().map(plain).collect()
}

fn whole(response: &[u8]) -> Option<Flow> {
    let (response, unknown) = decode_response(response).ok()?;
    let Some(ResponseTypes::Flow(wire)) = response.response_types else { return None };
    let mut flow = flow_from_wire(wire);
    flow.extension = with_unknown_fields(flow.extension, unknown);
    if flow.node_name.is_empty() {
        flow.node_name = NODE.into();
    }
    Some(flow)
}

fn encode(flow: &Flow, details: Details) -> Vec<u8> {
    flow_response(flow_to_wire(flow, details)).encode_to_vec()
}

fn with_uuid() -> impl Strategy<Value = Flow> {
    (any_flow::flow(), any::<[u8; 16]>(), any::<bool>()).prop_map(|(mut flow, uuid, own)| {
        if !own {
            flow.id = FlowId::Uuid(uuid);
        }
        flow
    })
}

/// A response of the encoded fields of a flow.
fn response_of(fields: &[u8]) -> Vec<u8> {
    let mut response = vec![0x0a];
    encode_varint(fields.len() as u64, &mut response);
    response.extend(fields);
    response
}

/// What is done to the bytes of a message.
#[derive(Clone, Debug)]
enum Damage {
    Set(Index, u8),
    Cut(Index),
    Insert(Index, Vec<u8>),
    Remove(Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    prop_oneof![
        any::<(Index, u8)>().prop_map(|(at, byte)| Damage::Set(at, byte)),
        any::<Index>().prop_map(Damage::Cut),
        (any::<Index>(), proptest::collection::vec(any::<u8>(), 1..4))
            .prop_map(|(at, bytes)| Damage::Insert(at, bytes)),
        any::<Index>().prop_map(Damage::Remove),
    ]
}

fn damaged(mut bytes: Vec<u8>, damage: &[Damage]) -> Vec<u8> {
    for damage in damage {
        if bytes.is_empty() {
            return bytes;
        }
        match damage {
            Damage::Set(at, byte) => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Damage::Cut(at) => bytes.truncate(at.index(bytes.len())),
            Damage::Insert(at, more) => {
                let at = at.index(bytes.len());
                bytes.splice(at..at, more.iter().copied());
            }
            Damage::Remove(at) => {
                let at = at.index(bytes.len());
                bytes.remove(at);
            }
        }
    }
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_flows_are_the_same_rows(flows in proptest::collection::vec(with_uuid(), 1..6)) {
        let mut both = Both::new();
        // Again in the same batch, then in the next one, with pieces of each other.
        for round in 0..4_usize {
            for (i, flow) in flows.iter().enumerate() {
                let other = &flows[(i + round) % flows.len()];
                let mut flow = flow.clone();
                flow.source.clone_from(&other.source);
                flow.l7.clone_from(&other.l7);
                flow.details.clone_from(&other.details);
                flow.time = other.time;
                for details in [Details::Send, Details::Omit] {
                    prop_assert!(both.take(&encode(&flow, details)));
                }
            }
            if round % 2 == 1 {
                both.check();
            }
        }
    }

    #[test]
    fn damaged_bytes_are_the_same_rows_or_none(
        flows in proptest::collection::vec(with_uuid(), 1..4),
        damages in proptest::collection::vec(proptest::collection::vec(damage(), 1..4), 24),
    ) {
        let mut both = Both::new();
        for (i, damage) in damages.iter().enumerate() {
            let flow = &flows[i % flows.len()];
            let fields = flow_to_wire(flow, Details::Send).encode_to_vec();
            both.take(&response_of(&fields));
            both.take(&damaged(response_of(&fields), damage));
            both.take(&response_of(&damaged(fields, damage)));
        }
        both.check();
    }

    #[test]
    fn flows_that_come_in_two_parts_are_the_same_rows(
        flows in proptest::collection::vec(with_uuid(), 2..5),
        parts in proptest::collection::vec(any::<(Index, Index, bool)>(), 16),
    ) {
        let mut both = Both::new();
        for (first, second, in_fields) in parts {
            let [first, second] = [first, second].map(|index| {
                let flow = index.get(&flows);
                flow_to_wire(flow, Details::Send).encode_to_vec()
            });
            both.take(&response_of(&first));
            // Messages that come twice are merged: the fields of a flow, or the flows of a response.
            let merged = if in_fields {
                response_of(&[first, second].concat())
            } else {
                [response_of(&first), response_of(&second)].concat()
            };
            both.take(&merged);
        }
        both.check();
    }
}

#[test]
fn fields_in_any_order_are_the_same_rows() {
    let mut both = Both::new();
    for flow in stock() {
        let fields = flow_to_wire(&flow, Details::Send).encode_to_vec();
        let mut parts = fields_of(&fields);
        for _ in 0..parts.len() {
            parts.rotate_left(1);
            assert!(both.take(&response_of(&parts.concat())));
        }
    }
    assert!(both.in_pieces > both.whole.len() * 3 / 4, "{} of {}", both.in_pieces, both.whole.len());
    both.check();
}

#[test]
fn stock_flows_are_taken_in_pieces() {
    let mut both = Both::new();
    let flows = stock();
    for flow in &flows {
        let before = both.in_pieces;
        assert!(both.take(&encode(flow, Details::Omit)));
        let translated = flow.ip.as_ref().is_some_and(|ip| ip.source_xlated.is_some());
        let rare = matches!(flow.l4, Some(flow::L4::Vrrp { .. } | flow::L4::Igmp { .. }));
        assert_eq!(both.in_pieces > before, !translated && !rare, "{flow:?}");
    }
    both.check();
}

#[test]
fn what_is_no_flow_is_refused() {
    let mut splitter = Splitter::default();
    let lost = GetFlowsResponse {
        response_types: Some(ResponseTypes::LostEvents(proto::flow::LostEvent::default())),
        ..GetFlowsResponse::default()
    };
    for response in [Vec::new(), lost.encode_to_vec(), response_of(&[]), vec![0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]] {
        assert!(splitter.split(&response).is_none());
    }
}

/// The fields of a message, each with its key.
fn fields_of(message: &[u8]) -> Vec<&[u8]> {
    let mut rest = message;
    let mut fields = Vec::new();
    while !rest.is_empty() {
        let field = rest;
        let (number, kind) = prost::encoding::decode_key(&mut rest).expect("it is a message");
        prost::encoding::skip_field(kind, number, &mut rest, prost::encoding::DecodeContext::default())
            .expect("it is a message");
        fields.push(&field[..field.len() - rest.len()]);
    }
    fields
}

/// Flows of all kinds of stock agents, each with an id.
fn stock() -> Vec<Flow> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/stock-flows.jsonl");
    let text = std::fs::read_to_string(file).expect("the fixture is there");
    let flows: Vec<Flow> = text
        .lines()
        .filter_map(|line| proto::json::from_line(line).ok()?.response_types)
        .filter_map(|response| match response {
            ResponseTypes::Flow(flow) => Some(flow_from_wire(flow)),
            _ => None,
        })
        .zip(0..)
        .map(|(flow, n)| Flow { id: FlowId::Uuid([n; 16]), time: Timestamp(flow.time.0 + i64::from(n)), ..flow })
        .collect();
    assert!(flows.len() > 10);
    flows
}
