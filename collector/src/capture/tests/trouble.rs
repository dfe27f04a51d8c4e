//! Drops, resets, retransmissions and ICMP errors of real traffic.

use std::io::ErrorKind;
use std::net::{TcpStream, UdpSocket};
use std::process::Command;
use std::time::Duration;

use ebpf_abi::{DropKey, DropRecord, DropVal, Record, drop_source, fragment, protocol, tcp};

use super::super::{BootClock, Kernel, SweepKind};
use super::lab::{Lab, Pod};
use super::{drain, load, parsed, require_ebpf, skip, wait_for};

const CLIENT: Pod = Pod(1);
const SERVER: Pod = Pod(2);

/// Drop records to a port of the server.
fn records(kernel: &mut Kernel, all: &mut Vec<DropRecord>) {
    all.extend(parsed(&drain(kernel)).into_iter().filter_map(|record| match record {
        Record::Drop(record) => Some(record),
        _ => None,
    }));
}

fn totals(kernel: &mut Kernel, source: u8, port: u16) -> Vec<(DropKey, DropVal)> {
    let mut all = Vec::new();
    kernel.drops.account = Default::default();
    kernel.sweep_drops(0, &mut |key, val, _| all.push((key, val))).unwrap();
    all.retain(|(key, _)| key.source == source && key.destination_port == port);
    all
}

fn reason(kernel: &Kernel, record: &DropRecord) -> String {
    kernel.names().reason_of(record.source, record.reason).map_or_else(String::new, |name| name.to_string())
}

/// Denies a port in the server's namespace; false where there is no nft.
fn deny(lab: &Lab, rule: &str) -> bool {
    deny_at(lab, "input priority 0", rule)
}

/// Denies what a rule says at a hook of the server's namespace.
fn deny_at(lab: &Lab, hook: &str, rule: &str) -> bool {
    if Command::new("nft").arg("--version").output().is_err() {
        skip("nft is not installed");
        return false;
    }
    let namespace = lab.namespace(SERVER);
    let rules =
        format!("add table inet f; add chain inet f i {{ type filter hook {hook}; }}; add rule inet f i {rule}");
    let status = Command::new("nsenter").arg(format!("--net=/run/netns/{namespace}")).args(["nft", &rules]).status();
    assert!(status.unwrap().success());
    true
}

#[test]
fn a_denied_packet_is_told_once_and_counted_always() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    if !deny(&lab, "udp dport 9999 drop") {
        return;
    }
    lab.enter_node();
    let mut kernel = load(|_| {});
    for server in [SERVER.v4().into(), std::net::IpAddr::from(SERVER.v6())] {
        let version = if server.is_ipv4() { 4 } else { 6 };
        let mut all = Vec::new();
        let from = lab.within(CLIENT, || {
            let any: std::net::IpAddr = if server.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
            let sender = UdpSocket::bind((any, 0)).unwrap();
            for _ in 0..7 {
                sender.send_to(b"knock", (server, 9999)).unwrap();
            }
            sender.local_addr().unwrap().port()
        });
        let total = wait_for("seven drops", || {
            records(&mut kernel, &mut all);
            let mut of = totals(&mut kernel, drop_source::FREED, 9999);
            of.retain(|(key, val)| (key.ip_version, key.source_port, val.packets) == (version, from, 7));
            of.pop()
        });
        // The kernel tells of the whole machine, and both sockets may have the same port.
        let ours = |it: &&DropRecord| {
            (it.tuple.ip_version, it.tuple.source_port, it.tuple.destination_port) == (version, from, 9999)
        };
        let told: Vec<_> = all.iter().filter(ours).filter(|it| it.source == drop_source::FREED).collect();
        let [told] = told[..] else { panic!("{told:?}") };
        assert_eq!(reason(&kernel, told), "NETFILTER_DROP");
        assert_eq!(told.tuple.protocol, protocol::UDP);
        assert_eq!(told.bytes, if server.is_ipv4() { 20 } else { 40 } + 8 + 5);
        assert_eq!(total.1.bytes, 7 * u64::from(told.bytes));
        assert_eq!((total.0.netns, total.0.reason, total.1.location), (told.netns, told.reason, told.location));
        assert!(told.netns != 0 && told.ifindex != 0, "{told:?}");
        if let Some(function) = kernel.names().function(told.location) {
            assert!(function.starts_with("nf"), "{function}");
        }
    }
    let mut gone = 0;
    let later = BootClock::now_boot_ns() + 61_000_000_000;
    kernel
        .sweep_drops(later, &mut |key, _, kind| {
            gone += usize::from(key.destination_port == 9999 && kind == SweepKind::Idle)
        })
        .unwrap();
    assert_eq!(gone, 2);
}

#[test]
fn later_fragments_that_are_denied_are_told_as_such() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    // Before fragments are put together.
    if !deny_at(&lab, "prerouting priority -450", "ip frag-off & 0x1fff != 0 drop") {
        return;
    }
    lab.enter_node();
    let mut kernel = load(|_| {});
    lab.within(CLIENT, || {
        UdpSocket::bind((CLIENT.v4(), 0)).unwrap().send_to(&[7; 4_000], (SERVER.v4(), 9998)).unwrap();
    });
    let from = CLIENT.v4().to_ipv6_mapped().octets();
    let (key, _) = wait_for("two later fragments", || {
        let mut all = totals(&mut kernel, drop_source::FREED, 0);
        all.retain(|(key, val)| key.source_ip == from && key.protocol == protocol::UDP && val.packets == 2);
        all.pop()
    });
    assert_eq!((key.aux, key.source_port, key.destination_port), (fragment::LATER, 0, 0));
    let mut all = Vec::new();
    records(&mut kernel, &mut all);
    let told: Vec<_> = all.iter().filter(|it| it.tuple.source_ip == from && it.source == drop_source::FREED).collect();
    assert_eq!(
        told.iter().map(|it| (it.aux, reason(&kernel, it))).collect::<Vec<_>>(),
        [(fragment::LATER, "NETFILTER_DROP".to_owned())]
    );
}

#[test]
fn a_denied_connection_shows_its_segments_and_that_they_are_sent_again() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    if !deny(&lab, "tcp dport 8089 drop") {
        return;
    }
    lab.enter_node();
    let mut kernel = load(|_| {});
    let error = lab.within(CLIENT, || {
        TcpStream::connect_timeout(&(SERVER.v4(), 8089).into(), Duration::from_millis(1_500)).unwrap_err()
    });
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let mut all = Vec::new();
    records(&mut kernel, &mut all);
    let of = |source| all.iter().find(|it| it.source == source && it.tuple.destination_port == 8089).copied();
    let freed = of(drop_source::FREED).unwrap();
    assert_eq!((reason(&kernel, &freed).as_str(), freed.tuple.tcp_flags), ("NETFILTER_DROP", tcp::SYN));
    let again = of(drop_source::RETRANSMITTED).unwrap();
    assert_eq!((again.tuple.source_ip, again.tuple.source_port), (freed.tuple.source_ip, freed.tuple.source_port));
    assert!(again.header.cookie != 0, "the socket is known");
    let [(_, val)] = totals(&mut kernel, drop_source::FREED, 8089)[..] else { panic!("one conversation") };
    let [(_, resent)] = totals(&mut kernel, drop_source::RETRANSMITTED, 8089)[..] else { panic!("one socket") };
    assert_eq!(val.packets, resent.packets + 1, "every segment but the first was sent again");
}

#[test]
fn closed_ports_answer_with_resets_and_icmp() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    lab.enter_node();
    let mut kernel = load(|_| {});
    lab.within(CLIENT, || {
        assert_eq!(TcpStream::connect((SERVER.v4(), 81)).unwrap_err().kind(), ErrorKind::ConnectionRefused);
        UdpSocket::bind((CLIENT.v4(), 0)).unwrap().send_to(b"nobody", (SERVER.v4(), 82)).unwrap();
    });
    let mut all = Vec::new();
    let wanted = [
        (drop_source::FREED, 81, "NO_SOCKET"),
        (drop_source::FREED, 82, "NO_SOCKET"),
        (drop_source::RESET_SENT, 81, "NO_SOCKET"),
        (drop_source::RESET_RECEIVED, 81, ""),
        (drop_source::ICMP_SENT, 82, ""),
    ];
    wait_for("all troubles", || {
        records(&mut kernel, &mut all);
        let heard = |(source, port, name): &(u8, u16, &str)| {
            all.iter()
                .any(|it| it.source == *source && it.tuple.destination_port == *port && reason(&kernel, it) == *name)
        };
        wanted.iter().all(heard).then_some(())
    });
    let ours = |it: &&DropRecord| it.source == drop_source::ICMP_SENT && it.tuple.destination_port == 82;
    let icmp = all.iter().find(ours).unwrap();
    assert_eq!((icmp.reason, icmp.aux), (3, 3), "port unreachable");
}
