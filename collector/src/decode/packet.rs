//! Packets that passed a device, and packets that were dropped.

use std::sync::Arc;

use ebpf_abi::{
    DropKey, DropRecord, DropVal, FlowKey, FlowRecord, FlowVal, cause, direction, drop_source, fragment, protocol, tcp,
};
use flow::{
    EventType, Flow, FlowDetails, FlowPhase, FlowType, Interface, Ip, L4, TcpFlags, Timestamp, TraceObservationPoint,
    TraceReason, TrafficDirection, Verdict, event_type,
};

use super::conversation::{Conversation, Seen};
use super::drops::{counterpart, kernel_drop};
use super::pair::Pair;
use super::sockets::Role;
use super::totals::Count;
use super::{Decoded, Decoder, Party};
use crate::enrich::{HOST, LinkRole, World};

/// TCP flags that begin or end a connection. Each is reported by a record of its own, so totals do not repeat them.
const NEWS_FLAGS: u16 = (tcp::SYN | tcp::FIN | tcp::RST) as u16;
/// TCP flags that end a connection.
const CLOSING_FLAGS: u8 = tcp::FIN | tcp::RST;

/// What the kernel told of a flow, record and sweep alike.
struct Told<'a> {
    key: &'a FlowKey,
    val: &'a FlowVal,
    time: Timestamp,
    phase: FlowPhase,
    tcp_flags: u8,
    /// Whether nothing was told before of this direction at this device. The kernel forgets sooner, and then takes the
    /// next packet for the first.
    is_new_here: bool,
}

impl Decoder {
    /// Takes news of a flow.
    pub(crate) fn flow(&mut self, record: &FlowRecord, world: &World) -> Decoded {
        let phase = match record.key.cause {
            cause::NEW => FlowPhase::New,
            cause::CLOSE => FlowPhase::Close,
            _ => FlowPhase::Update,
        };
        let key = FlowKey { cause: 0, packet_flags: 0, fragment: 0, reserved: 0, ..record.key };
        let is_new_here = !self.observations.knows(&key);
        let added = self.observations.difference(key, record.val.first_boot_ns, count(&record.val));
        let time = self.news_time(record.header.at_boot_ns);
        let tcp_flags = record.key.packet_flags;
        let told = Told { key: &record.key, val: &record.val, time, phase, tcp_flags, is_new_here };
        self.passed(told, added, world)
    }

    /// Takes totals of a sweep; `None` where nothing was added to what was reported before.
    pub(crate) fn flow_totals(&mut self, key: &FlowKey, val: &FlowVal, gone: bool, world: &World) -> Option<Decoded> {
        let added = self.observations.difference(*key, val.first_boot_ns, count(val));
        if added == Count::default() {
            return None;
        }
        let phase = if gone { FlowPhase::Close } else { FlowPhase::Update };
        // A SYN that nobody answers is all there is, and comes again.
        let flags = if val.flags & !NEWS_FLAGS == 0 { val.flags } else { val.flags & !NEWS_FLAGS };
        let tcp_flags = flags.to_le_bytes()[0];
        let time = self.totals_time(val.last_boot_ns);
        Some(self.passed(Told { key, val, time, phase, tcp_flags, is_new_here: false }, added, world))
    }

    /// Takes the first drop of its kind; `None` for other signs of trouble, which are no drops.
    pub(crate) fn dropped(&mut self, record: &DropRecord, world: &World) -> Option<Decoded> {
        let tuple = &record.tuple;
        let key = DropKey {
            source_ip: tuple.source_ip,
            destination_ip: tuple.destination_ip,
            source_port: tuple.source_port,
            destination_port: tuple.destination_port,
            protocol: tuple.protocol,
            ip_version: tuple.ip_version,
            source: record.source,
            aux: record.aux,
            netns: record.netns,
            reason: record.reason,
            ifindex: record.ifindex,
        };
        let val = DropVal {
            packets: 1,
            bytes: u64::from(record.bytes),
            first_boot_ns: record.header.at_boot_ns,
            last_boot_ns: record.header.at_boot_ns,
            location: record.location,
            cookie: record.header.cookie,
            first_bytes: record.bytes,
            ethertype: record.ethertype,
            tcp_flags: tuple.tcp_flags,
            ttl: tuple.ttl,
            ..DropVal::ZERO
        };
        self.trouble(&key, &val, FlowPhase::New, world)
    }

    /// Takes totals of the drop map; `None` where nothing was added, and for other signs of trouble.
    pub(crate) fn drop_totals(&mut self, key: &DropKey, val: &DropVal, world: &World) -> Option<Decoded> {
        self.trouble(key, val, FlowPhase::Update, world)
    }

    fn trouble(&mut self, key: &DropKey, val: &DropVal, phase: FlowPhase, world: &World) -> Option<Decoded> {
        let pair = Pair::of_drop(key);
        if key.source == drop_source::RETRANSMITTED {
            self.conversations.measured(pair, 0, u32::try_from(val.packets).unwrap_or(u32::MAX));
        }
        if key.source != drop_source::FREED {
            return None;
        }
        let total = Count { bytes: val.bytes, packets: val.packets };
        let added = self.drops.difference(*key, val.first_boot_ns, total);
        if added == Count::default() {
            return None;
        }
        let netns = world.place_of_cookie(key.netns).and_then(|number| world.place(number));
        let netns_name = netns.map_or_else(String::new, |place| place.netns.to_string());
        let account = kernel_drop(self.names.as_deref(), key.reason, val.location, netns_name);
        let reason = counterpart(&account.reason, val.ttl);
        let cookie = if self.is_receivers(key, val.cookie) { 0 } else { val.cookie };
        let (source, destination) = self.parties(&pair, cookie, val.last_boot_ns, world);
        let conversation = self.conversations.id_of(&pair);
        let time = match phase {
            FlowPhase::New => self.news_time(val.first_boot_ns),
            _ => self.totals_time(val.last_boot_ns),
        };
        let mut flow = self.blank(time);
        flow.verdict = Verdict::DROPPED;
        flow.drop_reason = reason;
        flow.event_type = Some(EventType { kind: event_type::DROP, sub_kind: reason.0 });
        flow.traffic_direction = drop_direction(key.netns, source, destination);
        flow.socket_cookie = val.cookie;
        flow.cgroup_id = val.cgroup;
        flow.interface = match world.place_of_cookie(key.netns) {
            Some(HOST) => interface(key.ifindex, world),
            // Another namespace counts its devices by itself.
            _ => (key.ifindex != 0).then(|| Interface { index: key.ifindex, name: "".into() }),
        };
        // Of a freed packet `aux` is the part of it that this was.
        set_headers(&mut flow, &pair, val.tcp_flags, key.aux);
        flow.details = Some(Box::new(FlowDetails {
            phase,
            bytes: added.bytes,
            packets: added.packets,
            conversation,
            kernel_drop: Some(Arc::new(account)),
            ..FlowDetails::default()
        }));
        flow.summary = flow::text::summary(&flow);
        Some(Decoded { flow, source, destination })
    }

    /// Whether the socket of a dropped packet is the one it was for: the kernel looks that up before filters of packets
    /// see them.
    fn is_receivers(&mut self, key: &DropKey, cookie: u64) -> bool {
        let port = self.sockets.find(cookie).map(|socket| socket.pair.from.port);
        port.is_some_and(|port| port == key.destination_port && port != key.source_port)
    }

    fn passed(&mut self, mut told: Told<'_>, added: Count, world: &World) -> Decoded {
        let Told { key, val, .. } = told;
        let pair = Pair::of_flow(key, val.netns);
        let first = told.phase == FlowPhase::New;
        if first && val.cookie != 0 {
            self.sockets.learn_pair(val.cookie, pair);
        }
        let sender = self.sockets.find(val.cookie);
        let from_client = match sender.map(|socket| socket.role) {
            Some(Role::Client) => Some(true),
            Some(Role::Server) => Some(false),
            _ => None,
        };
        let seen = Seen { tcp_flags: told.tcp_flags, first, from_client };
        let (conversation, is_reply, made) = self.conversations.observe(pair, seen);
        if first && !begins(&told, pair.protocol, made) {
            let is_last = told.tcp_flags & CLOSING_FLAGS != 0 && pair.protocol == protocol::TCP;
            told.phase = if is_last { FlowPhase::Close } else { FlowPhase::Update };
        }
        // What no header says is neither question nor answer.
        let is_reply = is_reply.filter(|_| !is_headless(&pair, key.fragment));
        let (mut source, destination) = self.parties(&pair, val.cookie, val.last_boot_ns, world);
        if val.cookie != 0 && val.netns != 0 {
            source.netns = val.netns;
        }
        let role = link_role(key, &pair, world);
        let mut flow = self.blank(told.time);
        flow.verdict = Verdict::FORWARDED;
        flow.is_reply = is_reply;
        (flow.trace_point, flow.event_type) = observation_point(role, key.direction);
        flow.trace_reason = trace_reason(is_reply, told.phase == FlowPhase::New);
        flow.traffic_direction = passing_direction(role, key.direction, is_reply);
        flow.interface = interface(key.ifindex, world);
        flow.socket_cookie = val.cookie;
        flow.cgroup_id = val.cgroup;
        set_headers(&mut flow, &pair, told.tcp_flags, key.fragment);
        flow.details = Some(Box::new(details(&told, added, &conversation)));
        flow.summary = flow::text::summary(&flow);
        Decoded { flow, source, destination }
    }
}

/// Whether the first packet of the kernel's entry begins something: a TCP connection does with a SYN, or with the first
/// of its packets that we see at all; anything else with the first packet in this direction at this device.
const fn begins(told: &Told<'_>, protocol: u8, is_new_conversation: bool) -> bool {
    match protocol {
        protocol::TCP => is_new_conversation || told.tcp_flags & tcp::SYN != 0,
        _ => told.is_new_here,
    }
}

fn details(told: &Told<'_>, added: Count, conversation: &Conversation) -> FlowDetails {
    FlowDetails {
        phase: told.phase,
        bytes: added.bytes,
        packets: added.packets,
        conversation: conversation.id,
        rtt_us: conversation.rtt_us,
        retransmits: conversation.retransmits,
        vlan: told.key.vlan,
        ..FlowDetails::default()
    }
}

const fn count(val: &FlowVal) -> Count {
    Count { bytes: val.bytes, packets: val.packets }
}

fn set_headers(flow: &mut Flow, pair: &Pair, tcp_flags: u8, part: u8) {
    flow.kind = FlowType::L3_L4;
    flow.ip = Some(Ip::new(pair.from.address(), pair.to.address()));
    flow.l4 = l4(pair, tcp_flags, part);
}

/// Whether the transport header of a packet is not known: cut off, or in a first fragment that was not seen. An answer
/// to an ICMP echo has type and code 0, which must not be taken for that where its header was there.
fn is_headless(pair: &Pair, part: u8) -> bool {
    let has_header = part == fragment::NONE || (part == fragment::FIRST && pair.is_icmp());
    !has_header && pair.from.port == 0 && pair.to.port == 0
}

/// Transport header, `None` where the packet has none or its ports are not known.
fn l4(pair: &Pair, tcp_flags: u8, part: u8) -> Option<L4> {
    let (source_port, destination_port) = (pair.from.port, pair.to.port);
    if is_headless(pair, part) {
        return None;
    }
    let low = |number: u16| number.to_le_bytes()[0];
    match pair.protocol {
        protocol::TCP => Some(L4::Tcp { source_port, destination_port, flags: Some(TcpFlags(u16::from(tcp_flags))) }),
        protocol::UDP => Some(L4::Udp { source_port, destination_port }),
        protocol::SCTP => Some(L4::Sctp { source_port, destination_port }),
        protocol::ICMP => Some(L4::Icmpv4 { kind: low(source_port), code: low(destination_port) }),
        protocol::ICMPV6 => Some(L4::Icmpv6 { kind: low(source_port), code: low(destination_port) }),
        _ => None,
    }
}

fn interface(index: u32, world: &World) -> Option<Interface> {
    let name = world.link(index).map_or_else(|| "".into(), |link| link.name.clone());
    (index != 0).then_some(Interface { index, name })
}

/// What the device leads to. One that is not known yet was just made, and what is made while we run leads to a namespace,
/// unless no address on its far side is on this node.
fn link_role(key: &FlowKey, pair: &Pair, world: &World) -> LinkRole {
    if let Some(link) = world.link(key.ifindex) {
        return link.role;
    }
    let beyond = if key.direction == direction::IN { pair.from } else { pair.to };
    match world.locate(beyond.address(), 0) {
        Some(number) if number != HOST => LinkRole::Endpoint,
        _ => LinkRole::Network,
    }
}

/// Hubble's point for a device and direction. For to-endpoint the sub type of the event is 0, not the point's number.
fn observation_point(role: LinkRole, way: u8) -> (TraceObservationPoint, Option<EventType>) {
    let point = match (role, way) {
        (LinkRole::Endpoint, direction::IN) => TraceObservationPoint::FROM_ENDPOINT,
        (LinkRole::Endpoint, _) => TraceObservationPoint::TO_ENDPOINT,
        (LinkRole::Network, direction::IN) => TraceObservationPoint::FROM_NETWORK,
        (LinkRole::Network, _) => TraceObservationPoint::TO_NETWORK,
        (LinkRole::Overlay, direction::IN) => TraceObservationPoint::FROM_OVERLAY,
        (LinkRole::Overlay, _) => TraceObservationPoint::TO_OVERLAY,
    };
    let sub_kind = if point == TraceObservationPoint::TO_ENDPOINT { 0 } else { point.0 };
    (point, Some(EventType { kind: event_type::TRACE, sub_kind }))
}

const fn trace_reason(is_reply: Option<bool>, first: bool) -> TraceReason {
    match is_reply {
        Some(true) => TraceReason::REPLY,
        Some(false) if first => TraceReason::NEW,
        Some(false) => TraceReason::ESTABLISHED,
        None => TraceReason::TRACE_REASON_UNKNOWN,
    }
}

/// Direction of the connection as the local side of the device sees it: the namespace behind a veth, this node at all
/// others.
fn passing_direction(role: LinkRole, way: u8, is_reply: Option<bool>) -> TrafficDirection {
    let source_is_local = (role == LinkRole::Endpoint) == (way == direction::IN);
    match is_reply {
        Some(reply) if source_is_local != reply => TrafficDirection::EGRESS,
        Some(_) => TrafficDirection::INGRESS,
        None => TrafficDirection::TRAFFIC_DIRECTION_UNKNOWN,
    }
}

/// A drop is seen by the namespace it happened in; in between, by the sender if it is on this node.
const fn drop_direction(netns: u64, source: Party, destination: Party) -> TrafficDirection {
    if netns != 0 && destination.netns == netns && source.netns != netns {
        TrafficDirection::INGRESS
    } else if source.netns != 0 {
        TrafficDirection::EGRESS
    } else if destination.netns != 0 {
        TrafficDirection::INGRESS
    } else {
        TrafficDirection::TRAFFIC_DIRECTION_UNKNOWN
    }
}
