//! Records of a small node become flows.

use std::net::SocketAddr;
use std::sync::Arc;

use ebpf_abi::{
    DropKey, DropRecord, DropVal, FlowKey, FlowRecord, FlowVal, Header, Record, SockRecord, Tuple, cause, direction,
    drop_source, fragment, kind, protocol, role, tcp, tcp_state,
};
use flow::{
    DropReason, Emitter, EventType, Flow, FlowPhase, L4, TcpFlags, TraceObservationPoint, TraceReason,
    TrafficDirection, Verdict,
};
use proptest::prelude::*;

use super::pair::End;
use super::*;
use crate::enrich::small_world;
use crate::source::KernelNames;

/// Devices of [`small_world`].
const ETH0: u32 = 2;
const VETH_WEB: u32 = 5;
const VETH_DB: u32 = 6;
const VXLAN: u32 = 7;
/// Cookies of its namespaces.
const NETNS_WEB: u64 = 30;
const NETNS_DB: u64 = 31;

const WEB: &str = "10.0.0.2:40000";
const DB: &str = "10.0.0.3:5432";
const OUTSIDE: &str = "8.8.8.8:443";

struct Names;

impl KernelNames for Names {
    fn drop_reason(&self, reason: u32) -> Option<Arc<str>> {
        (reason == 8).then(|| "NETFILTER_DROP".into())
    }

    fn function(&self, _: u64) -> Option<Arc<str>> {
        Some("nf_hook_slow".into())
    }
}

/// A decoder, and the node it works on.
struct Bed {
    decoder: Decoder,
    world: World,
}

impl Bed {
    fn new() -> Self {
        let node =
            NodeFacts { name: "node-1".into(), labels: Arc::new([]), emitter: Arc::new(Emitter::default()), run: 7 };
        let mut decoder = Decoder::new(&DecodeConfig::default(), node, Some(Arc::new(Names)));
        decoder.set_clock_offset(1_000_000_000);
        Self { decoder, world: small_world() }
    }

    fn flow(&mut self, record: &FlowRecord) -> Decoded {
        self.decoder.flow(record, &self.world)
    }

    /// Sees a packet of `flags` from `from` to `to` and returns the flow.
    fn packet(&mut self, at: (u32, u8), from: &str, to: &str, flags: u8) -> Flow {
        self.flow(&packet(at, from, to, flags)).flow
    }
}

fn end(text: &str) -> End {
    text.parse::<SocketAddr>().unwrap().into()
}

fn packet((ifindex, direction): (u32, u8), from: &str, to: &str, flags: u8) -> FlowRecord {
    let (from, to) = (end(from), end(to));
    let key = FlowKey {
        source_ip: from.ip,
        destination_ip: to.ip,
        source_port: from.port,
        destination_port: to.port,
        protocol: protocol::TCP,
        direction,
        ifindex,
        cause: if flags & tcp::SYN != 0 { cause::NEW } else { cause::CLOSE },
        packet_flags: flags,
        ..FlowKey::ZERO
    };
    let val =
        FlowVal { first_boot_ns: 5, last_boot_ns: 5, bytes: 74, packets: 1, flags: flags.into(), ..FlowVal::ZERO };
    let header = Header { kind: kind::FLOW, at_boot_ns: 5, ..Header::ZERO };
    FlowRecord { header, key, val }
}

fn socket(cookie: u64, local: &str, remote: &str, netns: u64, tgid: u32) -> SockRecord {
    let (local, remote) = (end(local), end(remote));
    let tuple = Tuple {
        source_ip: local.ip,
        destination_ip: remote.ip,
        source_port: local.port,
        destination_port: remote.port,
        protocol: protocol::TCP,
        ..Tuple::ZERO
    };
    SockRecord { header: Header { cookie, ..Header::ZERO }, tuple, netns, tgid, ..SockRecord::ZERO }
}

/// What a test says of a flow in one line.
fn line(flow: &Flow) -> String {
    let direction = match flow.traffic_direction {
        TrafficDirection::EGRESS => "egress",
        TrafficDirection::INGRESS => "ingress",
        _ => "-",
    };
    let interface = flow.interface.as_ref().map_or("-", |interface| &interface.name);
    let reply = flow.is_reply.map_or("?".to_owned(), |reply| if reply { "reply" } else { "request" }.to_owned());
    format!("{} {interface} {direction} {reply} {}", flow::text::kind(flow), flow.summary)
}

#[test]
fn a_fragment_without_its_header_is_no_echo() {
    let mut bed = Bed::new();
    let mut of = |part: u8| {
        let mut record = packet((ETH0, direction::IN), "10.0.0.2:0", "10.0.0.3:0", 0);
        (record.key.protocol, record.key.fragment) = (protocol::ICMP, part);
        let flow = bed.flow(&record).flow;
        (flow.l4, flow.is_reply, flow.traffic_direction, flow.summary)
    };
    let reply = Some(L4::Icmpv4 { kind: 0, code: 0 });
    for part in [fragment::NONE, fragment::FIRST] {
        assert_eq!(of(part), (reply, Some(true), TrafficDirection::EGRESS, "ICMPv4 EchoReply".to_owned()));
    }
    for part in [fragment::LATER, fragment::CUT] {
        assert_eq!(of(part), (None, None, TrafficDirection::TRAFFIC_DIRECTION_UNKNOWN, "IPv4".to_owned()));
    }
}

#[test]
fn a_handshake_is_seen_at_both_ends() {
    let mut bed = Bed::new();
    let (syn, syn_ack) = (tcp::SYN, tcp::SYN | tcp::ACK);
    let seen = [
        bed.packet((VETH_WEB, direction::IN), WEB, DB, syn),
        bed.packet((VETH_DB, direction::OUT), WEB, DB, syn),
        bed.packet((VETH_DB, direction::IN), DB, WEB, syn_ack),
        bed.packet((VETH_WEB, direction::OUT), DB, WEB, syn_ack),
    ];
    let lines: Vec<_> = seen.iter().map(line).collect();
    assert_eq!(
        lines,
        [
            "from-endpoint vweb egress request TCP Flags: SYN",
            "to-endpoint vdb ingress request TCP Flags: SYN",
            "from-endpoint vdb ingress reply TCP Flags: SYN, ACK",
            "to-endpoint vweb egress reply TCP Flags: SYN, ACK",
        ]
    );
    let details = seen.each_ref().map(|flow| flow.details.clone().unwrap());
    assert!(details.iter().all(|d| d.conversation == details[0].conversation && d.conversation != 0));
    assert!(details.iter().all(|d| (d.bytes, d.packets, d.phase) == (74, 1, FlowPhase::New)));
    assert_eq!(seen[0].time, Timestamp(1_000_000_005));
    assert_eq!(seen[0].trace_reason, TraceReason::NEW);
    assert_eq!(seen[3].trace_reason, TraceReason::REPLY);
    assert_eq!(seen[1].trace_point, TraceObservationPoint::TO_ENDPOINT);
    assert_eq!(seen[1].event_type, Some(EventType { kind: 4, sub_kind: 0 }));
    assert_eq!(seen[0].l4, Some(L4::Tcp { source_port: 40_000, destination_port: 5432, flags: Some(TcpFlags::SYN) }));
    assert_ne!(seen[0].id, seen[1].id);
}

#[test]
fn devices_have_hubbles_points() {
    let mut bed = Bed::new();
    #[track_caller]
    fn check(bed: &mut Bed, at: (u32, u8), ends: (&str, &str), expected: &str) {
        assert_eq!(line(&bed.packet(at, ends.0, ends.1, tcp::SYN)), format!("{expected} request TCP Flags: SYN"));
    }
    check(&mut bed, (ETH0, direction::OUT), (WEB, OUTSIDE), "to-network eth0 egress");
    check(&mut bed, (ETH0, direction::IN), (OUTSIDE, DB), "from-network eth0 ingress");
    check(&mut bed, (VXLAN, direction::OUT), (WEB, OUTSIDE), "to-overlay vx0 egress");
    check(&mut bed, (VXLAN, direction::IN), (OUTSIDE, DB), "from-overlay vx0 ingress");
    // A device younger than the snapshot is judged by the address behind it.
    check(&mut bed, (99, direction::IN), (WEB, OUTSIDE), "from-endpoint  egress");
    check(&mut bed, (99, direction::IN), ("9.9.9.9:50000", WEB), "from-network  ingress");
}

#[test]
fn totals_add_what_was_not_told() {
    let mut bed = Bed::new();
    let record = packet((VETH_WEB, direction::IN), WEB, DB, tcp::SYN);
    bed.flow(&record);
    let key = FlowKey { cause: 0, packet_flags: 0, ..record.key };
    let val = FlowVal { bytes: 1074, packets: 11, flags: (tcp::SYN | tcp::ACK | tcp::PSH).into(), ..record.val };
    let update = bed.decoder.flow_totals(&key, &val, false, &bed.world).unwrap().flow;
    assert_eq!(line(&update), "from-endpoint vweb egress request TCP Flags: ACK, PSH");
    let details = update.details.unwrap();
    assert_eq!((details.bytes, details.packets, details.phase), (1000, 10, FlowPhase::Update));
    assert!(bed.decoder.flow_totals(&key, &val, true, &bed.world).is_none(), "nothing was added");
    let last = FlowVal { bytes: 1140, packets: 12, ..val };
    let close = bed.decoder.flow_totals(&key, &last, true, &bed.world).unwrap().flow.details.unwrap();
    assert_eq!((close.bytes, close.packets, close.phase), (66, 1, FlowPhase::Close));
}

#[test]
fn a_dropped_syn_shows_the_clients_process() {
    let mut bed = Bed::new();
    // While connecting, the socket's own port is not known yet.
    bed.decoder.socket(&SockRecord {
        new_state: tcp_state::SYN_SENT,
        role: role::CLIENT,
        ..socket(77, "10.0.0.2:0", DB, NETNS_WEB, 4242)
    });
    let mut syn = packet((VETH_WEB, direction::IN), WEB, DB, tcp::SYN);
    syn.val = FlowVal { cookie: 77, netns: NETNS_WEB, cgroup: 9, ..syn.val };
    let passed = bed.flow(&syn);
    assert_eq!(passed.source.owner.unwrap().tgid, 4242);
    assert_eq!((passed.flow.socket_cookie, passed.flow.cgroup_id), (77, 9));
    // The namespace of the database drops it: there the packet has lost its socket.
    let tuple = Tuple { tcp_flags: tcp::SYN, ttl: 63, ..socket(0, WEB, DB, 0, 0).tuple };
    let record = DropRecord {
        header: Header { kind: kind::DROP, at_boot_ns: 6, ..Header::ZERO },
        tuple,
        reason: 8,
        ifindex: 2,
        netns: NETNS_DB,
        location: 1,
        bytes: 60,
        source: drop_source::FREED,
        ..DropRecord::ZERO
    };
    let Decoded { flow, source, destination } = bed.decoder.dropped(&record, &bed.world).unwrap();
    assert_eq!((flow.verdict, flow.drop_reason), (Verdict::DROPPED, DropReason::POLICY_DENIED));
    assert_eq!(line(&flow), "Policy denied  ingress ? TCP Flags: SYN; NETFILTER_DROP");
    assert_eq!(flow.event_type, Some(EventType { kind: 1, sub_kind: 133 }));
    let details = flow.details.unwrap();
    let account = details.kernel_drop.unwrap();
    assert_eq!(
        (account.reason.as_str(), account.function.as_str(), account.netns.as_str()),
        ("NETFILTER_DROP", "nf_hook_slow", "db")
    );
    assert_eq!((details.packets, details.conversation), (1, passed.flow.details.unwrap().conversation));
    assert_eq!(source.owner.unwrap().tgid, 4242);
    assert_eq!((destination.owner, destination.netns), (None, NETNS_DB));
}

#[test]
fn drops_that_happen_again_are_counted_exactly() {
    let mut bed = Bed::new();
    let tuple = socket(0, WEB, DB, 0, 0).tuple;
    let key = DropKey {
        source_ip: tuple.source_ip,
        destination_ip: tuple.destination_ip,
        source_port: tuple.source_port,
        destination_port: tuple.destination_port,
        protocol: protocol::TCP,
        source: drop_source::FREED,
        reason: 70,
        ..DropKey::ZERO
    };
    let header = Header { at_boot_ns: 6, ..Header::ZERO };
    let record = DropRecord { header, tuple, reason: 70, bytes: 60, source: drop_source::FREED, ..DropRecord::ZERO };
    let first = bed.decoder.dropped(&record, &bed.world).unwrap().flow;
    assert_eq!(first.drop_reason, DropReason::DROP_REASON_UNKNOWN);
    assert!(first.summary.ends_with("; REASON_70"), "{}", first.summary);
    let val = DropVal { packets: 5, bytes: 300, first_boot_ns: 6, last_boot_ns: 9, ..DropVal::ZERO };
    let more = bed.decoder.drop_totals(&key, &val, &bed.world).unwrap().flow;
    assert_eq!((more.packets(), more.bytes()), (4, 240));
    assert!(bed.decoder.drop_totals(&key, &val, &bed.world).is_none());
    let resets = DropKey { source: drop_source::RESET_SENT, ..key };
    assert!(bed.decoder.drop_totals(&resets, &val, &bed.world).is_none(), "a reset is no drop");
}

#[test]
fn totals_that_leave_the_kernel_late_are_not_counted_again() {
    for text in ["{}", "source: {update_interval_ms: 180000}", "capture: {drop_idle_ms: 900000}"] {
        let config = serde_norway::from_str::<crate::config::Config>(text).unwrap();
        let mut decoder = Decoder::new(&config.tables(), Bed::new().decoder.node, None);
        let val = DropVal { packets: 5, bytes: 300, first_boot_ns: 6, last_boot_ns: 9, ..DropVal::ZERO };
        let key = DropKey { source: drop_source::FREED, ..DropKey::ZERO };
        // Told just before the tables turn.
        let idle = Duration::from_secs(config.tables().idle_seconds) / 2;
        decoder.expire(Timestamp(1));
        assert!(decoder.drop_totals(&key, &val, &World::default()).is_some());
        let leaves = Duration::from_millis(config.capture.drop_idle_ms + 2 * config.source.update_interval_ms);
        for second in 0..leaves.as_secs() {
            decoder.expire(Timestamp(1).after(idle + Duration::from_secs(second)));
        }
        assert!(decoder.drop_totals(&key, &val, &World::default()).is_none(), "{text}");
    }
}

#[test]
fn later_fragments_that_are_dropped_have_no_ports() {
    let mut bed = Bed::new();
    let mut dropped = |number, part| {
        let (source_port, destination_port) = if part == fragment::FIRST { (8, 0) } else { (0, 0) };
        let tuple = Tuple { protocol: number, source_port, destination_port, ..socket(0, WEB, DB, 0, 0).tuple };
        let record = DropRecord { tuple, aux: part, bytes: 60, source: drop_source::FREED, ..DropRecord::ZERO };
        bed.decoder.dropped(&record, &bed.world).unwrap().flow.l4
    };
    assert_eq!(dropped(protocol::UDP, fragment::LATER), None);
    assert_eq!(dropped(protocol::ICMP, fragment::LATER), None);
    assert_eq!(dropped(protocol::ICMP, fragment::CUT), None);
    assert_eq!(dropped(protocol::ICMP, fragment::FIRST), Some(L4::Icmpv4 { kind: 8, code: 0 }));
    assert_eq!(dropped(protocol::ICMP, fragment::NONE), Some(L4::Icmpv4 { kind: 0, code: 0 }));
}

#[test]
fn a_filter_drops_a_packet_that_has_its_receivers_socket() {
    let mut bed = Bed::new();
    bed.decoder.socket(&SockRecord { role: role::SERVER, ..socket(8, DB, WEB, NETNS_DB, 9) });
    let header = Header { cookie: 8, ..Header::ZERO };
    let tuple = socket(0, WEB, DB, 0, 0).tuple;
    let record = DropRecord { header, tuple, netns: NETNS_DB, source: drop_source::FREED, ..DropRecord::ZERO };
    let Decoded { source, destination, .. } = bed.decoder.dropped(&record, &bed.world).unwrap();
    assert_eq!((source.owner, destination.owner.map(|owner| owner.tgid)), (None, Some(9)));
}

/// The kernel's entry is gone after half a minute of silence, and the next packet makes another.
#[test]
fn what_paused_is_not_new_again() {
    let mut bed = Bed::new();
    #[track_caller]
    fn check(bed: &mut Bed, mut record: FlowRecord, first_boot_ns: u64, phase: FlowPhase, reason: TraceReason) {
        record.key.cause = cause::NEW;
        record.val.first_boot_ns = first_boot_ns;
        let flow = bed.flow(&record).flow;
        assert_eq!((flow.details.unwrap().phase, flow.trace_reason), (phase, reason));
    }
    let tcp = |flags| packet((VETH_WEB, direction::IN), WEB, DB, flags);
    check(&mut bed, tcp(tcp::SYN), 5, FlowPhase::New, TraceReason::NEW);
    check(&mut bed, tcp(tcp::ACK), 50, FlowPhase::Update, TraceReason::ESTABLISHED);
    check(&mut bed, tcp(tcp::RST), 60, FlowPhase::Close, TraceReason::ESTABLISHED);
    check(&mut bed, tcp(tcp::SYN), 70, FlowPhase::New, TraceReason::NEW);
    let older = packet((VETH_WEB, direction::IN), "10.0.0.2:40001", DB, tcp::ACK);
    check(&mut bed, older, 5, FlowPhase::New, TraceReason::NEW);
    let udp = |at: (u32, u8)| {
        let mut record = packet(at, "10.0.0.2:40000", "10.0.0.3:53", 0);
        record.key.protocol = protocol::UDP;
        record
    };
    check(&mut bed, udp((VETH_WEB, direction::IN)), 5, FlowPhase::New, TraceReason::NEW);
    check(&mut bed, udp((VETH_DB, direction::OUT)), 6, FlowPhase::New, TraceReason::NEW);
    check(&mut bed, udp((VETH_WEB, direction::IN)), 50, FlowPhase::Update, TraceReason::ESTABLISHED);
}

#[test]
fn flows_follow_a_wall_clock_that_is_set_back() {
    const HOUR: i64 = 3_600 * Timestamp::NANOS_PER_SECOND;
    let mut bed = Bed::new();
    bed.decoder.set_clock_offset(2 * HOUR);
    let record = packet((VETH_WEB, direction::IN), WEB, DB, tcp::SYN);
    assert_eq!(bed.flow(&record).flow.time, Timestamp(2 * HOUR + 5));
    bed.decoder.set_clock_offset(HOUR);
    let key = FlowKey { cause: 0, packet_flags: 0, ..record.key };
    let val = FlowVal { last_boot_ns: 3, packets: 9, ..record.val };
    let update = bed.decoder.flow_totals(&key, &val, false, &bed.world).unwrap().flow;
    assert_eq!(update.time, Timestamp(HOUR + 5), "as new as the newest record");
    // The parsers know nothing of the wall clock.
    let head = ebpf_abi::DnsHead { header: Header { at_boot_ns: 7, ..Header::ZERO }, ..ebpf_abi::DnsHead::ZERO };
    assert_eq!(Decoder::datagram(&head, &[]).time, Timestamp(7));
}

#[test]
fn round_trip_time_and_retransmits_come_with_the_close() {
    let mut bed = Bed::new();
    let ends = socket(77, WEB, DB, NETNS_WEB, 4242);
    bed.packet((VETH_WEB, direction::IN), WEB, DB, tcp::SYN);
    let closed = SockRecord {
        old_state: 4,
        new_state: tcp_state::CLOSE,
        role: role::CLIENT,
        srtt_us: 250,
        retransmits: 3,
        ..ends
    };
    assert_eq!(bed.decoder.socket(&closed), Opened::Closed(77));
    let last = bed.packet((VETH_WEB, direction::IN), WEB, DB, tcp::FIN | tcp::ACK).details.unwrap();
    assert_eq!((last.rtt_us, last.retransmits, last.phase), (250, 3, FlowPhase::Close));
}

#[test]
fn a_connection_is_told_to_the_parsers_with_its_role() {
    let mut bed = Bed::new();
    let record = SockRecord {
        old_state: tcp_state::SYN_RECV,
        new_state: tcp_state::ESTABLISHED,
        role: role::SERVER,
        ..socket(8, DB, WEB, NETNS_DB, 0)
    };
    let Opened::Connection { cookie, pair, is_server } = bed.decoder.socket(&record) else { panic!() };
    assert_eq!((cookie, pair.local.to_string().as_str(), is_server), (8, DB, true));
    assert_eq!(bed.decoder.stats().sockets, 1);
}

#[test]
fn payload_of_unknown_sockets_is_counted() {
    let mut bed = Bed::new();
    let head = ebpf_abi::DataHead { header: Header { cookie: 5, ..Header::ZERO }, ..ebpf_abi::DataHead::ZERO };
    assert!(bed.decoder.chunk(&head, b"GET / HTTP/1.1\r\n").is_none());
    assert_eq!(bed.decoder.stats().chunks_without_socket, 1);
    bed.decoder.socket(&SockRecord { role: role::SERVER, ..socket(5, DB, WEB, NETNS_DB, 9) });
    let chunk = bed.decoder.chunk(&head, b"GET / HTTP/1.1\r\n").unwrap();
    assert_eq!((chunk.local_is_server, chunk.pair.remote.to_string().as_str()), (Some(true), WEB));
}

/// Bytes that are, but for damage, records of all kinds.
fn any_record() -> impl Strategy<Value = Vec<u8>> {
    (1u8..8, prop::collection::vec(any::<u8>(), 0..300), any::<bool>()).prop_map(|(kind, mut bytes, intact)| {
        if intact {
            bytes.resize(bytes.len().max(200), 0);
        }
        if let [first, second, ..] = bytes.as_mut_slice() {
            (*first, *second) = (kind, ebpf_abi::ABI_VERSION);
        }
        bytes
    })
}

proptest! {
    #[test]
    fn any_record_is_taken_without_panic(records in prop::collection::vec(any_record(), 0..40)) {
        let mut bed = Bed::new();
        for bytes in records {
            match Record::parse(&bytes) {
                Ok(Record::Flow(record)) => {
                    let decoded = bed.flow(&record);
                    prop_assert!(decoded.flow.packets() <= record.val.packets);
                }
                Ok(Record::Drop(record)) => drop(bed.decoder.dropped(&record, &bed.world)),
                Ok(Record::Sock(record)) => drop(bed.decoder.socket(&record)),
                Ok(Record::Data(head, data)) => drop(bed.decoder.chunk(&head, data)),
                Ok(Record::Dns(head, data)) => drop(Decoder::datagram(&head, data)),
                Ok(Record::Proc(_)) | Err(_) => {}
            }
            bed.decoder.expire(Timestamp(1));
        }
    }

    /// Whatever order records and sweeps come in, the flows of one direction add up to what the kernel counted.
    #[test]
    fn flows_add_up_to_the_kernels_totals(steps in prop::collection::vec((any::<bool>(), 1u64..5), 1..50)) {
        let mut bed = Bed::new();
        let mut record = packet((VETH_WEB, direction::IN), WEB, DB, tcp::SYN);
        let mut added = bed.flow(&record).flow.packets();
        for (sweep, packets) in steps {
            record.val.packets += packets;
            record.val.bytes += packets * 100;
            if sweep {
                let key = FlowKey { cause: 0, packet_flags: 0, ..record.key };
                let decoded = bed.decoder.flow_totals(&key, &record.val, false, &bed.world);
                added += decoded.map_or(0, |decoded| decoded.flow.packets());
            } else {
                added += bed.flow(&record).flow.packets();
            }
        }
        prop_assert_eq!(added, record.val.packets);
    }
}
