//! How fast encoded responses of `GetFlows` become record batches, in pieces and as a whole, by one thread. Prints one
//! line a measurement.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::net::IpAddr;
use std::path::Path;
use std::sync::Arc;

use flow::pieces::DecodePieces;
use flow::{Flow, FlowDetails, FlowId, Timestamp};
use proto::Details;
use proto::convert::flow_from_wire;
use proto::encode::FlowEncoder;
use proto::observer::get_flows_response::ResponseTypes;
use proto::pieces::{PieceDecoder, Splitter};
use proto::residue::{decode_response, with_unknown_fields};
use table::FlowBatchBuilder;
use traffic::Traffic;
use traffic::measure::best;

const FLOWS: usize = 4 * ROWS;
/// Rows of a batch, as the relay makes them.
const ROWS: usize = 4096;
const ROUNDS: usize = 5;

fn main() {
    let mut traffic = Traffic::seeded(1);
    let flows: Vec<Flow> = (0..FLOWS).map(|_| traffic.flow()).collect();
    measure("stock flows", &encoded(&stock(), Details::Omit));
    measure("traffic", &encoded(&flows, Details::Omit));
    measure("traffic with details", &encoded(&flows, Details::Send));
}

fn measure(what: &str, responses: &[Vec<u8>]) {
    let bytes: usize = responses.iter().map(Vec::len).sum();
    let whole = best(ROUNDS, || {
        let mut builder = FlowBatchBuilder::new();
        for responses in responses.chunks(ROWS) {
            responses.iter().for_each(|response| push_whole(&mut builder, response));
            black_box(builder.finish());
        }
    });
    let (mut in_pieces, mut decoded) = (0, 0);
    let pieces = best(ROUNDS, || {
        let (mut builder, mut splitter) = (FlowBatchBuilder::new(), Splitter::default());
        let mut decoder = Counting { decoder: PieceDecoder::new(Arc::from("peer")), pieces: 0 };
        in_pieces = 0;
        for responses in responses.chunks(ROWS) {
            for response in responses {
                match splitter.split(response).map(|pieces| builder.understand(&pieces, &mut decoder).map(|u| u.push()))
                {
                    Some(Ok(())) => in_pieces += 1,
                    Some(Err(_)) | None => push_whole(&mut builder, response),
                }
            }
            black_box(builder.finish());
        }
        decoded = decoder.pieces;
    });
    let split = best(ROUNDS, || {
        let mut splitter = Splitter::default();
        for response in responses {
            black_box(splitter.split(response));
        }
    });
    let (flows, bytes) = (responses.len(), bytes / responses.len());
    println!("{what}: {bytes} bytes a flow, {in_pieces} of {flows} flows in pieces, {decoded} pieces decoded");
    for (how, time) in [("as a whole", whole), ("in pieces", pieces), ("taken apart only", split)] {
        let nanos = time.as_secs_f64() * 1e9 / f64::from(u32::try_from(responses.len()).expect("small"));
        println!("  {how}: {nanos:.0} ns a flow, {:.2} M flows/s", 1_000.0 / nanos);
    }
    println!("  ratio: {:.1}", whole.as_secs_f64() / pieces.as_secs_f64());
}

/// Counts the pieces that were not seen before.
struct Counting {
    decoder: PieceDecoder,
    pieces: usize,
}

impl DecodePieces for Counting {
    fn flow(&mut self, piece: &[u8]) -> Option<Flow> {
        self.pieces += 1;
        self.decoder.flow(piece)
    }

    fn details(&mut self, piece: &[u8]) -> Option<FlowDetails> {
        self.pieces += 1;
        self.decoder.details(piece)
    }

    fn address(&mut self, piece: &[u8]) -> Option<IpAddr> {
        self.decoder.address(piece)
    }
}

fn push_whole(builder: &mut FlowBatchBuilder, response: &[u8]) {
    let (response, unknown) = decode_response(response).expect("it is well encoded");
    let Some(ResponseTypes::Flow(wire)) = response.response_types else { return };
    let mut flow = flow_from_wire(wire);
    flow.extension = with_unknown_fields(flow.extension, unknown);
    builder.push(&flow).expect("the batch has room");
}

/// The flows that stock agents sent, over and over, each with a time and an id of its own.
fn stock() -> Vec<Flow> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/stock-flows.jsonl");
    let text = std::fs::read_to_string(file).expect("the fixture is there");
    let lines = text.lines().filter_map(|line| proto::json::from_line(line).ok());
    let kinds: Vec<Flow> = lines
        .filter_map(|response| match response.response_types {
            Some(ResponseTypes::Flow(flow)) => Some(flow_from_wire(flow)),
            _ => None,
        })
        .collect();
    assert!(!kinds.is_empty(), "the fixture has flows");
    let nth = |n: usize| {
        let n = n as u64;
        let mut uuid = [0; 16];
        uuid[8..].copy_from_slice(&n.to_be_bytes());
        let time = Timestamp(1_768_471_872_000_000_000 + 1_000_000 * n.cast_signed());
        Flow { id: FlowId::Uuid(uuid), time, ..kinds[n as usize % kinds.len()].clone() }
    };
    (0..FLOWS).map(nth).collect()
}

fn encoded(flows: &[Flow], details: Details) -> Vec<Vec<u8>> {
    let mut encoder = FlowEncoder::default();
    let encode = |flow| {
        let mut out = Vec::new();
        encoder.response(flow, details, &mut out);
        out
    };
    flows.iter().map(encode).collect()
}
