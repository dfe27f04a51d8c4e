//! Payload on its way to the application parsers, and what they make of it on its way back.

use ebpf_abi::{DataHead, DnsHead, data_direction, protocol};
use flow::{EventType, FlowDetails, FlowType, Ip, L4, TrafficDirection, Verdict, event_type};

use super::conversation::Seen;
use super::pair::{End, Pair};
use super::sockets::{Change, Role};
use super::{Decoded, Decoder};
use crate::enrich::World;
use crate::l7::{Chunk, Datagram, L7Event, SocketPair, Transport};

/// What a socket's record means for the payload of its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opened {
    /// Nothing.
    Nothing,
    /// A connection begins; the parsers may be told.
    Connection {
        /// Cookie of the socket.
        cookie: u64,
        /// Its ends.
        pair: SocketPair,
        /// Whether it was accepted.
        is_server: bool,
    },
    /// The connection of this cookie is over.
    Closed(u64),
}

/// What a change of a socket means for the parsers.
pub(super) fn opened(change: Change, cookie: u64, pair: Pair, from_client: Option<bool>) -> Opened {
    match (change, from_client) {
        _ if pair.protocol != protocol::TCP => Opened::Nothing,
        (Change::Closed, _) => Opened::Closed(cookie),
        (Change::Opened, Some(from_client)) if pair.from.port != 0 => {
            Opened::Connection { cookie, pair: socket_pair(&pair, pair.scope), is_server: !from_client }
        }
        _ => Opened::Nothing,
    }
}

impl Decoder {
    /// Makes a chunk of a payload record; `None` where the socket was never told of, which is counted.
    pub(crate) fn chunk<'a>(&mut self, head: &DataHead, data: &'a [u8]) -> Option<Chunk<'a>> {
        let Some(socket) = self.sockets.find(head.header.cookie).filter(|socket| socket.pair.to.port != 0) else {
            self.chunks_without_socket += 1;
            return None;
        };
        Some(Chunk {
            conn: head.header.cookie,
            pair: socket_pair(&socket.pair, socket.owner.netns),
            sent: head.direction == data_direction::SENT,
            offset: head.offset,
            len: head.len,
            data,
            time: Self::source_time(head.header.at_boot_ns),
            local_is_server: match socket.role {
                Role::Client => Some(false),
                Role::Server => Some(true),
                Role::Unknown | Role::Listener => None,
            },
        })
    }

    /// Makes a DNS message of a record.
    pub(crate) fn datagram<'a>(head: &DnsHead, data: &'a [u8]) -> Datagram<'a> {
        let pair = Pair::of_tuple(&head.tuple, head.netns);
        Datagram {
            conn: head.header.cookie,
            source: pair.from.socket_address(),
            destination: pair.to.socket_address(),
            netns: pair.scope,
            point: u64::from(head.ifindex) << 1 | u64::from(head.direction & 1),
            len: u32::from(head.len),
            data,
            time: Self::source_time(head.header.at_boot_ns),
        }
    }

    /// Makes a flow of a request or response.
    pub(crate) fn application(&mut self, event: L7Event, world: &World) -> Decoded {
        let number = match event.transport {
            Transport::Tcp => protocol::TCP,
            Transport::Udp => protocol::UDP,
        };
        let socket = self.sockets.find(event.conn);
        let netns = socket.map_or(0, |socket| socket.owner.netns);
        let pair = Pair::new(event.source().into(), event.destination().into(), number, netns);
        let seen = Seen { from_client: Some(event.from_client), ..Seen::default() };
        let (conversation, ..) = self.conversations.observe(pair, seen);
        // A datagram has its sender's cookie. That of a connection belongs to one side, which sent only half of it.
        let is_senders =
            event.transport == Transport::Udp || socket.is_some_and(|socket| socket.pair.from == pair.from);
        let boot_ns = u64::try_from(event.time.0).unwrap_or(0);
        let (source, destination) = self.parties(&pair, if is_senders { event.conn } else { 0 }, boot_ns, world);
        let mut flow = self.blank(self.wall_time(event.time));
        flow.verdict = Verdict::FORWARDED;
        flow.kind = FlowType::L7;
        flow.event_type = Some(EventType { kind: event_type::L7, sub_kind: 0 });
        flow.is_reply = Some(!event.from_client);
        let is_servers = socket.is_some_and(|socket| socket.pair.from == event.tuple.server.into());
        let server_here = world.locate(event.tuple.server.ip(), if is_servers { netns } else { 0 }).is_some();
        flow.traffic_direction = match event.local_is_server.unwrap_or(server_here) {
            true => TrafficDirection::INGRESS,
            false => TrafficDirection::EGRESS,
        };
        flow.ip = Some(Ip::new(event.source().ip(), event.destination().ip()));
        flow.l4 = Some(l4(event.transport, pair.from, pair.to));
        flow.socket_cookie = event.conn;
        flow.cgroup_id = socket.map_or(0, |socket| socket.owner.cgroup);
        flow.trace_id = event.trace_id;
        flow.l7 = Some(Box::new(event.record));
        flow.details = Some(Box::new(FlowDetails {
            conversation: conversation.id,
            rtt_us: conversation.rtt_us,
            retransmits: conversation.retransmits,
            ..FlowDetails::default()
        }));
        flow.summary = flow::text::summary(&flow);
        Decoded { flow, source, destination }
    }
}

const fn l4(transport: Transport, from: End, to: End) -> L4 {
    match transport {
        Transport::Tcp => L4::Tcp { source_port: from.port, destination_port: to.port, flags: None },
        Transport::Udp => L4::Udp { source_port: from.port, destination_port: to.port },
    }
}

fn socket_pair(pair: &Pair, netns: u64) -> SocketPair {
    SocketPair { local: pair.from.socket_address(), remote: pair.to.socket_address(), netns }
}
