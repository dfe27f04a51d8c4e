//! Single packets, run through the link programs by `BPF_PROG_TEST_RUN`.

use aya::TestRun;
use aya::programs::{SchedClassifier, TestRunOptions};
use ebpf_abi::{FlowKey, FlowRecord, FlowVal, Record, cause, fragment, kind, protocol, tcp};
use proptest::prelude::*;

use super::super::kernel::Kernel;
use super::{drain, flows, load, parsed, require_ebpf};

/// Offsets in `struct __sk_buff`, which is the context of a test run.
const GSO_SEGS: usize = 164;
const GSO_SIZE: usize = 176;
const SK_BUFF_BYTES: usize = 192;

const SOURCE: [u8; 4] = [10, 0, 0, 1];
const DESTINATION: [u8; 4] = [10, 0, 0, 2];

fn run_with(kernel: &mut Kernel, program: &str, packet: &[u8], context: Option<&[u8]>) -> Option<i32> {
    let program: &mut SchedClassifier = kernel.ebpf.program_mut(program).unwrap().try_into().unwrap();
    let options = TestRunOptions { data_in: Some(packet), ctx_in: context, ..TestRunOptions::new() };
    // The kernel itself refuses packets without a link header.
    program.test_run(options).ok().map(|result| result.return_value.cast_signed())
}

fn run(kernel: &mut Kernel, packet: &[u8]) {
    assert_eq!(run_with(kernel, "link_in", packet, None), Some(-1), "the verdict is always \"next\"");
}

fn ethernet(ethertype: u16, payload: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2], &ethertype.to_be_bytes()[..], payload].concat()
}

fn ipv4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16 + 20).to_be_bytes();
    let [high, low] = fragment.to_be_bytes();
    let head = [0x45, 0x28, len[0], len[1], 0, 7, high, low, 63, protocol, 0, 0];
    ethernet(0x0800, &[&head[..], &SOURCE, &DESTINATION, payload].concat())
}

fn ipv6(next: u8, payload: &[u8]) -> Vec<u8> {
    let len = (payload.len() as u16).to_be_bytes();
    let head = [0x60, 0, 0, 0, len[0], len[1], next, 62];
    ethernet(0x86dd, &[&head[..], &[0xfd; 16], &[0xfc; 16], payload].concat())
}

fn tcp(flags: u8, data: &[u8]) -> Vec<u8> {
    let head = [0x30, 0x39, 0, 80, 0, 0, 0x12, 0x34, 0, 0, 0, 0, 0x50, flags, 0, 1, 0, 0, 0, 0];
    [&head[..], data].concat()
}

fn udp(source: u16, destination: u16, data: &[u8]) -> Vec<u8> {
    let len = (data.len() as u16 + 8).to_be_bytes();
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), &len, &[0, 0], data].concat()
}

fn mapped(address: [u8; 4]) -> [u8; 16] {
    let mut mapped = [0; 16];
    mapped[10..12].copy_from_slice(&[0xff, 0xff]);
    mapped[12..].copy_from_slice(&address);
    mapped
}

fn only(kernel: &mut Kernel) -> (FlowKey, FlowVal) {
    let all = flows(kernel);
    assert_eq!(all.len(), 1, "{all:?}");
    all[0]
}

/// The flow records among others: the machine may do other things meanwhile.
fn flow_records(records: &[Vec<u8>]) -> Vec<FlowRecord> {
    let flow = |record| match record {
        Record::Flow(flow) => Some(flow),
        _ => None,
    };
    parsed(records).into_iter().filter_map(flow).collect()
}

/// Causes of the flow records in the ring.
fn causes(kernel: &mut Kernel) -> Vec<u8> {
    flow_records(&drain(kernel)).iter().map(|flow| flow.key.cause).collect()
}

/// Capture that sees no link: only test runs make flows.
fn quiet() -> Kernel {
    load(|config| config.exclude_links = vec!["*".to_owned()])
}

#[test]
fn every_packet_counts_and_only_news_is_told() {
    let Some(_turn) = require_ebpf() else { return };
    let mut kernel = quiet();
    for (flags, data, expected) in [
        (tcp::SYN, &b""[..], vec![cause::NEW]),
        (tcp::SYN, b"", vec![]),
        (tcp::ACK, b"", vec![]),
        (tcp::ACK | tcp::PSH, b"hello", vec![]),
        (tcp::FIN | tcp::ACK, b"", vec![cause::CLOSE]),
        (tcp::ACK, b"", vec![]),
        (tcp::RST, b"", vec![cause::CLOSE]),
        (tcp::SYN, b"", vec![cause::NEW]),
        (tcp::SYN | tcp::ACK, b"", vec![cause::FLAGS]),
        (tcp::ACK, b"", vec![]),
    ] {
        run(&mut kernel, &ipv4(protocol::TCP, 0x4000, &tcp(flags, data)));
        assert_eq!(causes(&mut kernel), expected, "after flags {flags:#x}");
    }
    let (key, val) = only(&mut kernel);
    assert_eq!((key.source_ip, key.destination_ip), (mapped(SOURCE), mapped(DESTINATION)));
    assert_eq!((key.source_port, key.destination_port, key.protocol, key.vlan), (12345, 80, protocol::TCP, 0));
    assert_eq!((key.cause, key.packet_flags, key.fragment, key.reserved), (0, 0, 0, 0));
    assert_eq!((val.packets, val.bytes), (10, 10 * 54 + 5));
    assert_eq!((val.isn, val.dscp, val.ttl), (0x1234, 10, 63));
    assert_eq!(val.flags, u16::from(tcp::SYN | tcp::ACK), "flags begin anew with the conversation");
    assert!(val.first_boot_ns > 0 && val.last_boot_ns + 10_000_000 > val.first_boot_ns);
    let stats = kernel.stats().unwrap();
    let flow = stats.of_kind(kind::FLOW);
    assert_eq!((flow.seen, flow.sent, flow.lost), (5, 5, 0));
    assert_eq!(stats.counters.flows_new, 1);
}

#[test]
fn addresses_and_ports_are_found_behind_every_header() {
    let Some(_turn) = require_ebpf() else { return };
    let hop_by_hop = [&[43, 1][..], &[0; 14]].concat();
    let routing = [&[51, 0][..], &[0; 6]].concat();
    let authentication = [&[60, 1][..], &[0; 10]].concat();
    let options = [&[6, 0][..], &[0; 6]].concat();
    let extended = [hop_by_hop, routing, authentication, options, tcp(tcp::SYN, b"")].concat();
    let tagged = |outer: u16, inner: &[u8]| [&inner[..12], &outer.to_be_bytes(), &[0x20, 5], &inner[12..]].concat();
    let plain4 = ipv4(protocol::TCP, 0, &tcp(tcp::SYN, b""));
    let plain6 = ipv6(protocol::TCP, &tcp(tcp::SYN, b""));
    let mut with_options = plain4.clone();
    with_options[14] = 0x47;
    with_options.splice(34..34, [1u8; 8]);
    let v6 = ([0xfd; 16], [0xfc; 16]);
    let v4 = (mapped(SOURCE), mapped(DESTINATION));
    for (name, packet, ips, ports, vlan, proto) in [
        ("v4", plain4.clone(), v4, (12345, 80), 0, protocol::TCP),
        ("v4 with options", with_options, v4, (12345, 80), 0, protocol::TCP),
        ("v6", plain6.clone(), v6, (12345, 80), 0, protocol::TCP),
        ("v6 with extension headers", ipv6(0, &extended), v6, (12345, 80), 0, protocol::TCP),
        ("vlan v4", tagged(0x8100, &plain4), v4, (12345, 80), 5, protocol::TCP),
        ("vlan v6", tagged(0x8100, &plain6), v6, (12345, 80), 5, protocol::TCP),
        ("two tags", tagged(0x88a8, &tagged(0x8100, &plain4)), v4, (12345, 80), 5, protocol::TCP),
        ("udp", ipv4(protocol::UDP, 0, &udp(9, 10, b"x")), v4, (9, 10), 0, protocol::UDP),
        ("sctp", ipv4(protocol::SCTP, 0, &[0, 5, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]), v4, (5, 6), 0, protocol::SCTP),
        ("icmp", ipv4(protocol::ICMP, 0, &[8, 0, 0, 0, 0, 1, 0, 1]), v4, (8, 0), 0, protocol::ICMP),
        ("icmpv6", ipv6(protocol::ICMPV6, &[129, 0, 0, 0, 0, 1, 0, 1]), v6, (129, 0), 0, protocol::ICMPV6),
        ("gre", ipv4(47, 0, &[0; 8]), v4, (0, 0), 0, 47),
    ] {
        let mut kernel = quiet();
        run(&mut kernel, &packet);
        let (key, val) = only(&mut kernel);
        assert_eq!((key.source_ip, key.destination_ip), ips, "{name}");
        assert_eq!((key.source_port, key.destination_port), ports, "{name}");
        assert_eq!((key.vlan, key.protocol), (vlan, proto), "{name}");
        assert_eq!((val.packets, val.bytes), (1, packet.len() as u64), "{name}");
    }
}

#[test]
fn fragments_belong_to_the_flow_of_the_first() {
    let Some(_turn) = require_ebpf() else { return };
    let datagram = udp(1000, 2000, &[7; 32]);
    let v6_fragment = |offset_and_more: u16, payload: &[u8]| {
        let [high, low] = offset_and_more.to_be_bytes();
        ipv6(44, &[&[protocol::UDP, 0, high, low, 0, 0, 0, 9][..], payload].concat())
    };
    for (first, later) in [
        (ipv4(protocol::UDP, 0x2000, &datagram[..24]), ipv4(protocol::UDP, 0x0003, &datagram[24..])),
        (v6_fragment(1, &datagram[..24]), v6_fragment(24, &datagram[24..])),
    ] {
        let mut kernel = quiet();
        run(&mut kernel, &later);
        let records = drain(&mut kernel);
        let [told] = flow_records(&records)[..] else { panic!("one flow") };
        assert_eq!((told.key.source_port, told.key.fragment), (0, fragment::LATER), "nothing is known of it yet");
        assert_eq!(kernel.stats().unwrap().counters.fragments_unknown, 1);

        run(&mut kernel, &first);
        run(&mut kernel, &later);
        let records = drain(&mut kernel);
        let [told] = flow_records(&records)[..] else { panic!("one flow") };
        assert_eq!((told.key.source_port, told.key.fragment), (1000, fragment::FIRST));
        let whole = flows(&mut kernel).into_iter().find(|(key, _)| key.source_port == 1000).unwrap();
        assert_eq!((whole.0.destination_port, whole.1.packets), (2000, 2));
        assert_eq!(whole.1.bytes, (first.len() + later.len()) as u64);
    }
}

#[test]
fn a_super_packet_counts_its_segments() {
    let Some(_turn) = require_ebpf() else { return };
    let packet = ipv4(protocol::TCP, 0, &tcp(tcp::ACK, &[1; 900]));
    for (segments, size, expected) in [(0u32, 0u32, 1), (3, 300, 3), (0, 300, 3), (0, 400, 3), (0, 1000, 1)] {
        let mut kernel = quiet();
        let mut context = [0u8; SK_BUFF_BYTES];
        context[GSO_SEGS..GSO_SEGS + 4].copy_from_slice(&segments.to_ne_bytes());
        context[GSO_SIZE..GSO_SIZE + 4].copy_from_slice(&size.to_ne_bytes());
        assert_eq!(run_with(&mut kernel, "link_out", &packet, Some(&context)), Some(-1));
        let (_, val) = only(&mut kernel);
        assert_eq!((val.packets, val.bytes), (expected, packet.len() as u64), "{segments} segments of {size}");
    }
}

#[test]
fn cut_packets_are_counted_and_never_lost_from_sight() {
    let Some(_turn) = require_ebpf() else { return };
    let mut kernel = quiet();
    for whole in [ipv4(protocol::TCP, 0, &tcp(tcp::SYN, b"")), ipv6(protocol::TCP, &tcp(tcp::SYN, b""))] {
        let ip_header = if whole.len() == 54 { 20 } else { 40 };
        for len in 14..whole.len() {
            let before = kernel.stats().unwrap().counters;
            let Some(verdict) = run_with(&mut kernel, "link_in", &whole[..len], None) else { continue };
            assert_eq!(verdict, -1);
            let cut = kernel.stats().unwrap().counters.packets_cut - before.packets_cut;
            let records = drain(&mut kernel);
            match flow_records(&records)[..] {
                [] if len < 14 + ip_header => assert_eq!(cut, 1, "{len} bytes"),
                // From 16 of its 20 bytes on the transport header says all we read.
                [told] if len < 14 + ip_header + 16 => assert_eq!(told.key.fragment, fragment::CUT),
                [told] => assert_eq!(told.key.fragment, fragment::NONE),
                [] => assert_eq!(cut, 0, "a flow that is in the map already"),
                ref other => panic!("{len} bytes: {other:?}"),
            }
        }
    }
    let not_ip = ethernet(0x0806, &[0; 28]);
    run(&mut kernel, &not_ip);
    assert_eq!(kernel.stats().unwrap().counters.packets_not_ip, 1);
}

#[test]
fn dns_datagrams_are_sent_whole_or_cut_with_their_true_length() {
    let Some(_turn) = require_ebpf() else { return };
    let mut kernel = quiet();
    for len in [1usize, 12, 63, 255, 256, 257, 511, 512, 513, 900] {
        let message: Vec<u8> = (0..len).map(|byte| byte as u8).collect();
        run(&mut kernel, &ipv4(protocol::UDP, 0, &udp(40000, 53, &message)));
        let records = drain(&mut kernel);
        let dns = parsed(&records).into_iter().find_map(|record| match record {
            Record::Dns(head, data) => Some((head, data)),
            _ => None,
        });
        let (head, data) = dns.unwrap();
        assert_eq!(usize::from(head.len), len);
        assert_eq!(data, &message[..len.min(512)]);
        assert_eq!((head.tuple.source_port, head.tuple.destination_port), (40000, 53));
        assert_eq!(head.tuple.source_ip, mapped(SOURCE));
    }
    run(&mut kernel, &ipv4(protocol::UDP, 0, &udp(40000, 54, b"not dns")));
    // A header that claims more than the packet has.
    let mut lying = ipv4(protocol::UDP, 0, &udp(40001, 53, b"abc"));
    lying[38..40].copy_from_slice(&200u16.to_be_bytes());
    run(&mut kernel, &lying);
    let records = drain(&mut kernel);
    let dns: Vec<_> = parsed(&records).into_iter().filter(|record| matches!(record, Record::Dns(..))).collect();
    let [Record::Dns(head, data)] = dns[..] else { panic!("{dns:?}") };
    assert_eq!((head.len, data), (192, &b"abc"[..]));
}

#[test]
fn tunnels_without_link_header_are_read_from_the_first_byte() {
    let Some(_turn) = require_ebpf() else { return };
    let mut kernel = quiet();
    // A test run always has a link header; the program for raw links takes it for the IP header, which it is not.
    let whole = ipv4(protocol::UDP, 0, &udp(1, 2, &[0; 64]));
    assert_eq!(run_with(&mut kernel, "raw_in", &whole, None), Some(-1));
    assert!(flows(&mut kernel).is_empty());
    // The same bytes as an IP packet, its first 14 bytes standing where the kernel expects a link header.
    let mut disguised = whole[14..].to_vec();
    disguised[12..14].copy_from_slice(&[8, 0]);
    assert_eq!(run_with(&mut kernel, "raw_in", &disguised, None), Some(-1));
    let (key, _) = only(&mut kernel);
    assert_eq!((key.source_ip, key.source_port, key.destination_port), (mapped([8, 0, 0, 1]), 1, 2));
}

#[test]
fn no_packet_troubles_the_programs() {
    let Some(_turn) = require_ebpf() else { return };
    let kernel = std::cell::RefCell::new(quiet());
    let mut runner = proptest::test_runner::TestRunner::new(ProptestConfig { cases: 600, ..ProptestConfig::default() });
    let ethertype = prop_oneof![Just(0x0800u16), Just(0x86dd), Just(0x8100), Just(0x88a8), any::<u16>()];
    let first = prop_oneof![Just(0x45u8), Just(0x4f), Just(0x60), any::<u8>()];
    let bytes = (ethertype, first, proptest::collection::vec(any::<u8>(), 0..300));
    let outcome = runner.run(&bytes, |(ethertype, first, mut rest)| {
        if let Some(byte) = rest.first_mut() {
            *byte = first;
        }
        let mut kernel = kernel.borrow_mut();
        for program in ["link_in", "link_out", "raw_in", "raw_out"] {
            let verdict = run_with(&mut kernel, program, &ethernet(ethertype, &rest), None);
            prop_assert!(verdict.is_none_or(|verdict| verdict == -1));
        }
        for record in drain(&mut kernel) {
            prop_assert!(Record::parse(&record).is_ok());
        }
        Ok(())
    });
    outcome.unwrap();
    let stats = kernel.borrow().stats().unwrap().total();
    assert_eq!(stats.seen, stats.sent + stats.lost);
}
