//! TCP connections of a capture as if each had a socket on this node: its byte stream in both directions.

use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;

use ebpf_abi::{
    DataHead, SockRecord, Tuple, data_direction, data_source, fragment, kind, protocol, role, tcp, tcp_state,
};
use flow::Timestamp;
use zerocopy::IntoBytes;

use super::packet::Packet;
use super::stream::{Direction, Piece, Segment};
use super::{Moment, header};
use crate::recent::Recent;

/// Connections followed at once. When full, the one silent for longest is closed.
const CONNECTIONS_MAX: usize = 65_536;
/// Bytes of all connections that wait for a segment before them. When full, the connection that wants more does not wait.
const HELD_BYTES_MAX: usize = 64 << 20;
/// Silence after which a connection is forgotten.
const IDLE: Duration = Duration::from_secs(600);
/// Silence after which a closed connection is forgotten: until then late segments still belong to it.
const CLOSED_IDLE: Duration = Duration::from_secs(60);
/// Silence after which a missing segment is not waited for any longer.
const HOLE_IDLE: Duration = Duration::from_secs(3);

/// The connections of a capture.
#[derive(Debug)]
pub(super) struct Connections {
    table: Recent<Ends, Connection>,
    /// Cookies given so far: the kernel's are numbers from 1 as well.
    cookies: u64,
    held_bytes: usize,
    scratch: Vec<u8>,
}

/// Both ends, the lower one first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Ends([End; 2]);

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct End {
    ip: [u8; 16],
    port: u16,
}

#[derive(Debug)]
struct Connection {
    cookie: u64,
    /// From the lower end, and from the upper one.
    directions: [Direction; 2],
    /// Which end asked for the connection, where the handshake was seen.
    client: Option<usize>,
    /// Whether the connection was told of.
    opened: bool,
    fin: [bool; 2],
    closed: bool,
    chunks: u32,
    bytes: [u64; 2],
    handshake: Handshake,
    last: Timestamp,
}

/// Times of the handshake: the first answer of the client is one round trip after its first word.
#[derive(Clone, Copy, Debug, Default)]
struct Handshake {
    syn: Option<Timestamp>,
    rtt_us: u32,
}

/// Receiver of records.
pub(super) type Records<'a> = &'a mut dyn FnMut(&[u8]);

impl Connections {
    pub(super) fn new() -> Self {
        Self { table: Recent::new(CONNECTIONS_MAX), cookies: 0, held_bytes: 0, scratch: Vec::new() }
    }

    /// Takes a TCP packet.
    pub(super) fn take(&mut self, packet: &Packet<'_>, moment: Moment, out: Records<'_>) {
        if packet.protocol != protocol::TCP || packet.fragment != fragment::NONE {
            return;
        }
        let from = End { ip: packet.source_ip, port: packet.source_port };
        let to = End { ip: packet.destination_ip, port: packet.destination_port };
        let (ends, sender) = if from <= to { (Ends([from, to]), 0) } else { (Ends([to, from]), 1) };
        let opening = packet.tcp_flags & tcp::SYN != 0;
        let data_from = packet.sequence.wrapping_add(u32::from(opening));
        if opening && self.table.get_mut(&ends).is_some_and(|known| known.is_another(sender, packet, data_from)) {
            // The same ends again: a new connection.
            self.close(&ends, moment, out);
            self.table.remove(&ends);
        }
        if self.table.get_mut(&ends).is_none() {
            let Some(connection) = self.begin(packet) else { return };
            if let Some((ends, evicted)) = self.table.insert(ends, connection) {
                self.finish(ends, evicted, moment, out);
            }
        }
        let Some(connection) = self.table.touch(&ends) else { return };
        let held = connection.held_bytes();
        let mut writer = Writer { scratch: &mut self.scratch, ends, out };
        connection.last = connection.last.max(moment.recorded);
        if opening {
            connection.handshake(sender, packet, moment, data_from);
        }
        connection.carry(sender, packet, (data_from, moment), &mut writer);
        if self.held_bytes + connection.held_bytes() - held > HELD_BYTES_MAX {
            connection.flush(&mut writer);
        }
        self.held_bytes = self.held_bytes + connection.held_bytes() - held;
    }

    /// Gives up waiting for missing segments and forgets what was silent for too long.
    pub(super) fn expire(&mut self, now: Moment, out: Records<'_>) {
        let silent = |connection: &Connection| now.recorded.since(connection.last);
        while self
            .table
            .oldest()
            .is_some_and(|(_, connection)| silent(connection) >= if connection.closed { CLOSED_IDLE } else { IDLE })
        {
            let Some((ends, connection)) = self.table.pop_oldest() else { break };
            self.finish(ends, connection, now, out);
        }
        if self.held_bytes == 0 {
            return;
        }
        let (scratch, mut held_bytes) = (&mut self.scratch, 0);
        self.table.for_each_mut(|ends, connection| {
            if connection.held_bytes() > 0 && silent(connection) >= HOLE_IDLE {
                connection.flush(&mut Writer { scratch: &mut *scratch, ends: *ends, out: &mut *out });
            }
            held_bytes += connection.held_bytes();
        });
        self.held_bytes = held_bytes;
    }

    /// Closes all connections.
    pub(super) fn end(&mut self, now: Moment, out: Records<'_>) {
        while let Some((ends, connection)) = self.table.pop_oldest() {
            self.finish(ends, connection, now, out);
        }
    }

    /// A connection for a packet of none, if it begins one or carries something.
    fn begin(&mut self, packet: &Packet<'_>) -> Option<Connection> {
        if packet.payload_bytes == 0 && packet.tcp_flags & tcp::SYN == 0 {
            return None;
        }
        self.cookies += 1;
        Some(Connection {
            cookie: self.cookies,
            directions: Default::default(),
            client: None,
            opened: false,
            fin: [false; 2],
            closed: false,
            chunks: 0,
            bytes: [0; 2],
            handshake: Handshake::default(),
            last: Timestamp(0),
        })
    }

    fn close(&mut self, ends: &Ends, moment: Moment, out: Records<'_>) {
        let Some(connection) = self.table.get_mut(ends) else { return };
        let held = connection.held_bytes();
        connection.close(moment, &mut Writer { scratch: &mut self.scratch, ends: *ends, out });
        self.held_bytes = self.held_bytes + connection.held_bytes() - held;
    }

    /// Closes a connection that is no longer in the table.
    fn finish(&mut self, ends: Ends, mut connection: Connection, moment: Moment, out: Records<'_>) {
        self.held_bytes -= connection.held_bytes();
        connection.close(moment, &mut Writer { scratch: &mut self.scratch, ends, out });
    }
}

impl Connection {
    fn held_bytes(&self) -> usize {
        self.directions.iter().map(Direction::held_bytes).sum()
    }

    /// Whether a packet with SYN belongs to another connection between the same ends.
    fn is_another(&mut self, sender: usize, packet: &Packet<'_>, data_from: u32) -> bool {
        let direction = &mut self.directions[sender];
        // The first answer of the server is no contradiction to what the client began.
        direction.is_begun() && !direction.begin(data_from) || (self.closed && packet.tcp_flags & tcp::ACK == 0)
    }

    fn handshake(&mut self, sender: usize, packet: &Packet<'_>, moment: Moment, data_from: u32) {
        self.directions[sender].begin(data_from);
        if packet.tcp_flags & tcp::ACK == 0 {
            self.client = Some(sender);
            self.handshake.syn = Some(moment.recorded);
        } else {
            self.client = Some(1 - sender);
        }
    }

    /// Takes what a packet carries and acknowledges.
    fn carry(
        &mut self,
        sender: usize,
        packet: &Packet<'_>,
        (sequence, moment): (u32, Moment),
        writer: &mut Writer<'_, '_>,
    ) {
        if self.closed {
            return;
        }
        let segment =
            Segment { sequence, len: packet.payload_bytes, data: packet.payload, moment, point: packet.point() };
        self.feed(sender, writer, |direction, out| direction.push(segment, out));
        if packet.tcp_flags & tcp::ACK != 0 {
            let acknowledgment = packet.acknowledgment;
            self.feed(1 - sender, writer, |direction, out| direction.acknowledge(acknowledgment, out));
            if self.client == Some(sender)
                && packet.tcp_flags & tcp::SYN == 0
                && let Some(syn) = self.handshake.syn.take()
            {
                let rtt = moment.recorded.since(syn).as_micros();
                self.handshake.rtt_us = u32::try_from(rtt).unwrap_or(u32::MAX).max(1);
            }
        }
        self.fin[sender] |= packet.tcp_flags & tcp::FIN != 0;
        // The last word is the acknowledgment of the second FIN; until then segments may still fill a hole.
        let both_done = self.fin == [true; 2] && packet.tcp_flags & tcp::FIN == 0;
        if packet.tcp_flags & tcp::RST != 0 || both_done {
            self.close(moment, writer);
        }
    }

    fn flush(&mut self, writer: &mut Writer<'_, '_>) {
        for sender in 0..2 {
            self.feed(sender, writer, Direction::flush);
        }
    }

    /// Runs one direction and writes what it hands on.
    fn feed(
        &mut self,
        sender: usize,
        writer: &mut Writer<'_, '_>,
        run: impl FnOnce(&mut Direction, &mut dyn FnMut(Piece<'_>)),
    ) {
        let mut direction = std::mem::take(&mut self.directions[sender]);
        run(&mut direction, &mut |piece| {
            if !self.opened {
                self.opened = true;
                writer.socket(self, (tcp_state::SYN_RECV, tcp_state::ESTABLISHED), piece.moment);
            }
            self.bytes[sender] += u64::from(piece.len);
            writer.chunk(self, sender, &piece);
            self.chunks = self.chunks.wrapping_add(1);
        });
        self.directions[sender] = direction;
    }

    fn close(&mut self, moment: Moment, writer: &mut Writer<'_, '_>) {
        if self.closed {
            return;
        }
        self.flush(writer);
        self.closed = true;
        if self.opened {
            writer.socket(self, (tcp_state::ESTABLISHED, tcp_state::CLOSE), moment);
        }
    }
}

/// Writes records of one connection.
struct Writer<'a, 'o> {
    scratch: &'a mut Vec<u8>,
    ends: Ends,
    out: Records<'o>,
}

impl Writer<'_, '_> {
    /// Which end is held to be the one with the socket: the server.
    fn local(&self, connection: &Connection) -> usize {
        let [lower, upper] = self.ends.0;
        // Without a handshake the lower port is the better guess.
        connection.client.map_or(usize::from(upper.port < lower.port), |client| 1 - client)
    }

    fn socket(&mut self, connection: &Connection, (old_state, new_state): (u8, u8), moment: Moment) {
        let local = self.local(connection);
        let (source, destination) = (self.ends.0[local], self.ends.0[1 - local]);
        let is_v4 = matches!(Ipv6Addr::from(source.ip).to_canonical(), IpAddr::V4(_));
        let is_closing = new_state == tcp_state::CLOSE;
        let record = SockRecord {
            header: header(kind::SOCK, size_of::<SockRecord>(), moment, connection.cookie),
            tuple: Tuple {
                source_ip: source.ip,
                destination_ip: destination.ip,
                source_port: source.port,
                destination_port: destination.port,
                protocol: protocol::TCP,
                ip_version: if is_v4 { 4 } else { 6 },
                ..Tuple::ZERO
            },
            old_state,
            new_state,
            role: if connection.client.is_some() { role::SERVER } else { role::UNKNOWN },
            family: if is_v4 { 2 } else { 10 },
            srtt_us: if is_closing { connection.handshake.rtt_us } else { 0 },
            retransmits: if is_closing { connection.directions.iter().map(|d| d.retransmits).sum() } else { 0 },
            bytes_acked: if is_closing { connection.bytes[local] } else { 0 },
            bytes_received: if is_closing { connection.bytes[1 - local] } else { 0 },
            ..SockRecord::ZERO
        };
        (self.out)(record.as_bytes());
    }

    fn chunk(&mut self, connection: &Connection, sender: usize, piece: &Piece<'_>) {
        let sent = sender == self.local(connection);
        let head = DataHead {
            header: header(kind::DATA, size_of::<DataHead>() + piece.data.len(), piece.moment, connection.cookie),
            offset: piece.offset,
            len: piece.len,
            captured: u32::try_from(piece.data.len()).unwrap_or(u32::MAX),
            direction: if sent { data_direction::SENT } else { data_direction::RECEIVED },
            source: data_source::SOCKET,
            seq: connection.chunks,
            ..DataHead::ZERO
        };
        self.scratch.clear();
        self.scratch.extend_from_slice(head.as_bytes());
        self.scratch.extend_from_slice(piece.data);
        (self.out)(self.scratch);
    }
}
