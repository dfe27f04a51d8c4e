//! Encoded responses of `GetFlows` in pieces, so that what repeats from flow to flow is decoded once.
//!
//! The pieces of a flow mean what `prost` and [`crate::convert`] make of the whole: whatever is unusual (a field that
//! this build does not know, a message that comes in two parts, an address that is none) is refused, and then the whole
//! has to be decoded.

use std::net::IpAddr;
use std::sync::Arc;

use flow::pieces::{DecodePieces, DetailsPieces, FlowPieces, IpPieces, L7Pieces};
use flow::{Ethernet, Flow, FlowDetails, FlowId, FlowPhase, L4, TcpFlags, Timestamp};
use prost::Message as _;
use prost::encoding::encode_varint;

use self::cursor::{Cursor, Value};
use crate::convert::{details_from_wire, flow_from_wire_counted};
use crate::observer::GetFlowsResponse;
use crate::observer::get_flows_response::ResponseTypes;
use crate::weir;

mod cursor;

/// Key of the field `flow` of a response.
const FLOW_KEY: u8 = 1 << 3 | 2;
/// Key of the field `l7` of a flow.
const L7_KEY: u8 = 15 << 3 | 2;
/// What the details of our collectors are called on the wire.
const DETAILS_TYPE: &[u8] = b"type.googleapis.com/weir.v1.FlowDetails";

/// Takes encoded responses apart, one after the other.
#[derive(Debug, Default)]
pub struct Splitter {
    common: Vec<u8>,
    observer: Vec<u8>,
    record: Vec<u8>,
}

impl Splitter {
    /// The flow of a response in pieces; `None` where it has to be decoded as a whole, and where it is no flow.
    pub fn split<'a>(&'a mut self, response: &'a [u8]) -> Option<FlowPieces<'a>> {
        let mut flow = None;
        let mut fields = Cursor::new(response);
        while !fields.is_empty() {
            match fields.field()? {
                (1, Value::Bytes(bytes)) if flow.is_none() => flow = Some(bytes),
                (1000, Value::Bytes(node_name)) => drop(std::str::from_utf8(node_name).ok()?),
                (1001, Value::Bytes(bytes)) => drop(time(bytes)?),
                _ => return None,
            }
        }
        self.split_flow(flow?)
    }

    fn split_flow<'a>(&'a mut self, flow: &'a [u8]) -> Option<FlowPieces<'a>> {
        let Self { common, observer, record } = self;
        common.clear();
        observer.clear();
        record.clear();
        let (mut uuid, mut when, mut latency_ns) = (None, None, None);
        let mut names = [None, None];
        let mut pieces = FlowPieces::default();
        let mut fields = Cursor::new(flow);
        // Fields of the common piece are copied by the run.
        let mut run = 0;
        while !fields.is_empty() {
            let start = fields.position();
            let (number, value) = fields.field()?;
            if is_common(number) {
                continue;
            }
            common.extend_from_slice(flow.get(run..start)?);
            run = fields.position();
            let piece = flow.get(start..run)?;
            match (number, value) {
                (1, Value::Bytes(bytes)) if when.is_none() => when = Some(time(bytes)?),
                (4, Value::Bytes(bytes)) if pieces.ethernet.is_none() => pieces.ethernet = Some(ethernet(bytes)?),
                (5, Value::Bytes(bytes)) if pieces.ip.is_none() => pieces.ip = Some(ip(bytes)?),
                (6, Value::Bytes(bytes)) if pieces.l4.is_none() => pieces.l4 = Some(l4(bytes)?),
                (8, Value::Bytes(_)) => once(&mut pieces.source, piece)?,
                (9, Value::Bytes(_)) => once(&mut pieces.destination, piece)?,
                (11 | 37 | 41, Value::Bytes(_)) => observer.extend_from_slice(piece),
                (13, Value::Bytes(_)) => in_a_row(&mut names[0], start, run)?,
                (14, Value::Bytes(_)) => in_a_row(&mut names[1], start, run)?,
                (15, Value::Bytes(bytes)) if latency_ns.is_none() => latency_ns = Some(l7(bytes, record)?),
                (20, Value::Bytes(_)) => once(&mut pieces.source_service, piece)?,
                (21, Value::Bytes(_)) => once(&mut pieces.destination_service, piece)?,
                (28, Value::Bytes(_)) => once(&mut pieces.interface, piece)?,
                (30, Value::Bytes(bytes)) if pieces.trace_id.is_empty() => pieces.trace_id = trace_id(bytes)?,
                (32, Value::Varint(cookie)) => pieces.socket_cookie = cookie,
                (33, Value::Varint(id)) => pieces.cgroup_id = id,
                (34, Value::Bytes(text)) if uuid.is_none() => uuid = Some(id(text)?),
                (100_000, Value::Bytes(text)) => pieces.summary = std::str::from_utf8(text).ok()?,
                (150_000, Value::Bytes(any)) if pieces.details.is_none() => pieces.details = Some(details(any)?),
                _ => return None,
            }
        }
        common.extend_from_slice(flow.get(run..)?);
        [pieces.source_names, pieces.destination_names] =
            names.map(|places| places.and_then(|(start, end)| flow.get(start..end)));
        pieces.time = when.unwrap_or_default();
        pieces.uuid = uuid?;
        pieces.common = common;
        pieces.observer = observer;
        pieces.l7 = latency_ns.map(|latency_ns| L7Pieces { latency_ns, record });
        Some(pieces)
    }
}

/// Fields of the common piece: those that take few values, and take them together.
const fn is_common(number: u32) -> bool {
    matches!(
        number,
        2..=3 | 10 | 16 | 19 | 22..=27 | 29 | 31 | 35..=36 | 38..=40 | 21_001..=21_002 | 21_004..=21_007
    )
}

/// A message that comes a second time is one with the first.
fn once<'a>(piece: &mut Option<&'a [u8]>, found: &'a [u8]) -> Option<()> {
    piece.replace(found).is_none().then_some(())
}

/// Adds a repeated field that follows the one before.
fn in_a_row(places: &mut Option<(usize, usize)>, start: usize, end: usize) -> Option<()> {
    let first = match *places {
        None => start,
        Some((first, last)) if last == start => first,
        Some(_) => return None,
    };
    *places = Some((first, end));
    Some(())
}

fn time(bytes: &[u8]) -> Option<Timestamp> {
    let (mut seconds, mut nanos) = (0, 0);
    let mut fields = Cursor::new(bytes);
    while !fields.is_empty() {
        match fields.field()? {
            (1, Value::Varint(value)) => seconds = value.cast_signed(),
            (2, Value::Varint(value)) => nanos = int32(value),
            _ => return None,
        }
    }
    Some(Timestamp::from_parts(seconds, nanos))
}

fn id(text: &[u8]) -> Option<[u8; 16]> {
    match FlowId::parse(std::str::from_utf8(text).ok()?) {
        FlowId::Uuid(uuid) => Some(uuid),
        FlowId::None | FlowId::Text(_) => None,
    }
}

fn ethernet(bytes: &[u8]) -> Option<Ethernet> {
    let (mut source, mut destination) = (None, None);
    let mut fields = Cursor::new(bytes);
    while !fields.is_empty() {
        match fields.field()? {
            (1, Value::Bytes(text)) if source.is_none() => source = Some(text),
            (2, Value::Bytes(text)) if destination.is_none() => destination = Some(text),
            _ => return None,
        }
    }
    let address = |text: Option<&[u8]>| std::str::from_utf8(text?).ok()?.parse().ok();
    Some(Ethernet { source: address(source)?, destination: address(destination)? })
}

/// The id of the only field of the only field; an empty one is refused, because another might follow.
fn trace_id(bytes: &[u8]) -> Option<&str> {
    let mut text = bytes;
    for _ in 0..2 {
        let mut fields = Cursor::new(text);
        let (1, Value::Bytes(inner)) = fields.field()? else { return None };
        if !fields.is_empty() {
            return None;
        }
        text = inner;
    }
    std::str::from_utf8(text).ok().filter(|id| !id.is_empty())
}

fn ip(bytes: &[u8]) -> Option<IpPieces<'_>> {
    let (mut source, mut destination, mut encrypted) = (None, None, false);
    let mut fields = Cursor::new(bytes);
    while !fields.is_empty() {
        match fields.field()? {
            (1, Value::Bytes(text)) if source.is_none() => source = Some(text),
            (2, Value::Bytes(text)) if destination.is_none() => destination = Some(text),
            // The version is that of the addresses.
            (3, Value::Varint(_)) => {}
            (4, Value::Varint(value)) => encrypted = value != 0,
            _ => return None,
        }
    }
    Some(IpPieces { source: source?, destination: destination?, encrypted })
}

fn l4(bytes: &[u8]) -> Option<L4> {
    let mut fields = Cursor::new(bytes);
    let (number, value) = fields.field()?;
    let Value::Bytes(header) = value else { return None };
    if !fields.is_empty() {
        return None;
    }
    let (mut first, mut second, mut flags) = (0, 0, None);
    let mut fields = Cursor::new(header);
    while !fields.is_empty() {
        match fields.field()? {
            (1, Value::Varint(value)) => first = uint32(value),
            (2, Value::Varint(value)) => second = uint32(value),
            (3, Value::Bytes(bytes)) if number == 1 => tcp_flags(bytes, flags.get_or_insert_default())?,
            _ => return None,
        }
    }
    let (source_port, destination_port) = (u16::try_from(first).ok()?, u16::try_from(second).ok()?);
    let kind_and_code = || u8::try_from(first).ok().zip(u8::try_from(second).ok());
    match number {
        1 => Some(L4::Tcp { source_port, destination_port, flags }),
        2 => Some(L4::Udp { source_port, destination_port }),
        3 => kind_and_code().map(|(kind, code)| L4::Icmpv4 { kind, code }),
        4 => kind_and_code().map(|(kind, code)| L4::Icmpv6 { kind, code }),
        5 => Some(L4::Sctp { source_port, destination_port }),
        _ => None,
    }
}

/// Fields of the message are numbered as the bits are.
fn tcp_flags(bytes: &[u8], flags: &mut TcpFlags) -> Option<()> {
    let mut fields = Cursor::new(bytes);
    while !fields.is_empty() {
        let (number @ 1..=9, Value::Varint(value)) = fields.field()? else { return None };
        let bit = 1 << (number - 1);
        flags.0 = if value == 0 { flags.0 & !bit } else { flags.0 | bit };
    }
    Some(())
}

/// Gives the latency, and writes the record without it as a field of a flow.
fn l7(bytes: &[u8], record: &mut Vec<u8>) -> Option<u64> {
    let mut latency = 0;
    let mut cut = None;
    let mut fields = Cursor::new(bytes);
    while !fields.is_empty() {
        let start = fields.position();
        match fields.field()? {
            (1, Value::Varint(_)) | (100..=102, Value::Bytes(_)) => {}
            (2, Value::Varint(value)) if cut.is_none() => {
                latency = value;
                cut = Some((start, fields.position()));
            }
            _ => return None,
        }
    }
    let (start, end) = cut.unwrap_or_default();
    let (before, after) = (bytes.get(..start)?, bytes.get(end..)?);
    record.push(L7_KEY);
    encode_varint((before.len() + after.len()) as u64, record);
    record.extend_from_slice(before);
    record.extend_from_slice(after);
    Some(latency)
}

fn details(any: &[u8]) -> Option<DetailsPieces<'_>> {
    let (mut type_url, mut value) = (None, None);
    let mut fields = Cursor::new(any);
    while !fields.is_empty() {
        match fields.field()? {
            (1, Value::Bytes(bytes)) if type_url.is_none() => type_url = Some(bytes),
            (2, Value::Bytes(bytes)) if value.is_none() => value = Some(bytes),
            _ => return None,
        }
    }
    let (Some(DETAILS_TYPE), message) = (type_url, value.unwrap_or_default()) else { return None };
    let mut details = DetailsPieces::default();
    let mut fields = Cursor::new(message);
    while !fields.is_empty() {
        let start = fields.position();
        let (number, value) = fields.field()?;
        let piece = message.get(start..fields.position())?;
        match (number, value) {
            (1, Value::Varint(value)) => details.phase = FlowPhase::from_number(int32(value)),
            (2, Value::Varint(value)) => details.bytes = value,
            (3, Value::Varint(value)) => details.packets = value,
            (4, Value::Fixed64(value)) => details.conversation = value,
            (5, Value::Varint(value)) => details.rtt_us = uint32(value),
            (6, Value::Varint(value)) => details.retransmits = uint32(value),
            (7, Value::Varint(value)) => details.vlan = u16::try_from(uint32(value)).unwrap_or(0),
            (8, Value::Bytes(_)) if details.source_process.is_none() => details.source_process = Some(piece),
            (9, Value::Bytes(_)) if details.destination_process.is_none() => details.destination_process = Some(piece),
            (10, Value::Bytes(_)) if details.kernel_drop.is_none() => details.kernel_drop = Some(piece),
            _ => return None,
        }
    }
    Some(details)
}

/// As on the wire: what is too large for the type loses its upper bits.
fn int32(value: u64) -> i32 {
    uint32(value).cast_signed()
}

fn uint32(value: u64) -> u32 {
    u32::try_from(value & u64::from(u32::MAX)).expect("it has 32 bits")
}

/// Decodes the pieces that [`Splitter`] makes.
#[derive(Debug)]
pub struct PieceDecoder {
    node_name: Arc<str>,
}

impl PieceDecoder {
    /// Flows that name no node get this one.
    #[must_use]
    pub const fn new(node_name: Arc<str>) -> Self {
        Self { node_name }
    }
}

impl DecodePieces for PieceDecoder {
    fn flow(&mut self, piece: &[u8]) -> Option<Flow> {
        // As deep in a response as the piece was, because there is a limit of depth.
        let mut response = Vec::with_capacity(piece.len() + 8);
        response.push(FLOW_KEY);
        encode_varint(piece.len() as u64, &mut response);
        response.extend_from_slice(piece);
        let decoded = GetFlowsResponse::decode(&*response).ok()?;
        // Of what was left out a message in the piece may have had a field that this build does not know.
        if decoded.encoded_len() != response.len() {
            return None;
        }
        let Some(ResponseTypes::Flow(flow)) = decoded.response_types else { return None };
        let (mut flow, left_out) = flow_from_wire_counted(flow);
        if flow.node_name.is_empty() {
            flow.node_name = Arc::clone(&self.node_name);
        }
        (left_out == 0).then_some(flow)
    }

    fn details(&mut self, piece: &[u8]) -> Option<FlowDetails> {
        weir::FlowDetails::decode(piece).ok().map(details_from_wire)
    }

    fn address(&mut self, piece: &[u8]) -> Option<IpAddr> {
        std::str::from_utf8(piece).ok()?.parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_of_a_flow_is_in_a_piece_of_its_own_or_common() {
        const OWN: [u32; 21] = [1, 4, 5, 6, 8, 9, 11, 13, 14, 15, 20, 21, 28, 30, 32, 33, 34, 37, 41, 100_000, 150_000];
        let shape = crate::json::schema::message("flow.Flow").unwrap();
        let numbers: std::collections::HashSet<u32> = shape.fields.iter().map(|field| field.number).collect();
        for number in 1..=200_000 {
            let known = numbers.contains(&number);
            assert_eq!(known, is_common(number) || OWN.contains(&number), "field {number}");
        }
    }
}
