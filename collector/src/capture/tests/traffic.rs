//! Real traffic between namespaces: the programs count what the links count.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use ebpf_abi::{FlowKey, FlowVal, direction, kind, protocol};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto, setsockopt, socket, sockopt,
};

use super::super::{AttachMode, Kernel, LinkClass, Observation, SweepKind};
use super::lab::{Lab, Pod};
use super::{drain, flows, load, require_ebpf, wait_for};

const CLIENT: Pod = Pod(1);
const SERVER: Pod = Pod(2);

fn ip_bytes(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

fn ifindex(kernel: &Kernel, pod: Pod) -> u32 {
    kernel.links().find(|link| link.name == pod.link()).unwrap().ifindex
}

/// Sum over flows of one place and transport.
fn sum(all: &[(FlowKey, FlowVal)], pick: impl Fn(&FlowKey) -> bool) -> (u64, u64) {
    all.iter()
        .filter(|(key, _)| pick(key))
        .fold((0, 0), |(packets, bytes), (_, val)| (packets + val.packets, bytes + val.bytes))
}

/// A server that answers each byte it reads with one, until the client is done.
fn echo(listener: &TcpListener) {
    let (mut stream, _) = listener.accept().unwrap();
    let mut buffer = [0u8; 4096];
    loop {
        match stream.read(&mut buffer).unwrap() {
            0 => return,
            count => stream.write_all(&buffer[..count]).unwrap(),
        }
    }
}

/// Sends `rounds` small messages back and forth over TCP.
fn talk(lab: &Lab, server: IpAddr, rounds: usize) {
    let listener = lab.within(SERVER, || TcpListener::bind((server, 0)).unwrap());
    let port = listener.local_addr().unwrap().port();
    std::thread::scope(|scope| {
        let echoing = scope.spawn(|| echo(&listener));
        lab.within(CLIENT, || {
            let mut stream = TcpStream::connect((server, port)).unwrap();
            for _ in 0..rounds {
                stream.write_all(b"0123456789").unwrap();
                stream.read_exact(&mut [0; 10]).unwrap();
            }
        });
        echoing.join().unwrap();
    });
}

/// What the link has counted and we have not: packets in and out and their bytes, before we were there. Two readings
/// in a row must agree, because a packet may be between the link's counter and ours.
fn missed(lab: &Lab, kernel: &mut Kernel, pod: Pod) -> [u64; 4] {
    let index = ifindex(kernel, pod);
    let mut last = None;
    wait_for("a quiet moment on the link", || {
        let counters = link_counters(lab, pod);
        let all = flows(kernel);
        // The rings are the whole machine's: nothing of ours is to be lost for others.
        drain(kernel);
        let incoming = sum(&all, |key| key.ifindex == index && key.direction == direction::IN);
        let outgoing = sum(&all, |key| key.ifindex == index && key.direction == direction::OUT);
        let ours = [incoming.0, incoming.1, outgoing.0, outgoing.1];
        let now = [0, 1, 2, 3].map(|at: usize| counters[at].wrapping_sub(ours[at]));
        let is_still = last.replace((counters, now)) == Some((counters, now));
        is_still.then_some(now)
    })
}

fn link_counters(lab: &Lab, pod: Pod) -> [u64; 4] {
    ["rx_packets", "rx_bytes", "tx_packets", "tx_bytes"].map(|name| lab.counter(&pod.link(), name))
}

fn counts_are_exact(attach: AttachMode) {
    let lab = Lab::new(&[CLIENT, SERVER]);
    lab.enter_node();
    let mut kernel = load(|config| config.attach = attach);
    let before = [CLIENT, SERVER].map(|pod| missed(&lab, &mut kernel, pod));
    for server in [IpAddr::V4(SERVER.v4()), IpAddr::V6(SERVER.v6())] {
        talk(&lab, server, 25);
        datagrams(&lab, server, 40, 100);
    }
    assert_eq!([CLIENT, SERVER].map(|pod| missed(&lab, &mut kernel, pod)), before, "nothing was missed since");
    let all = flows(&mut kernel);
    for server in [IpAddr::V4(SERVER.v4()), IpAddr::V6(SERVER.v6())] {
        let headers = 14 + if server.is_ipv4() { 20 } else { 40 };
        for pod in [CLIENT, SERVER] {
            let index = ifindex(&kernel, pod);
            let to_server = |proto| {
                let address = ip_bytes(server);
                move |key: &FlowKey| key.ifindex == index && key.protocol == proto && key.destination_ip == address
            };
            assert_eq!(sum(&all, to_server(protocol::UDP)), (40, 40 * (headers + 8 + 100)));
            let (packets, bytes) = sum(&all, to_server(protocol::TCP));
            let (back, _) = sum(&all, |key| {
                key.ifindex == index && key.protocol == protocol::TCP && key.source_ip == ip_bytes(server)
            });
            assert!(packets >= 25 + 3 && back >= 25 + 2, "{packets} there, {back} back");
            assert!(bytes >= packets * (headers + 20) + 250);
        }
    }
    let stats = kernel.stats().unwrap();
    assert_eq!(stats.of_kind(kind::FLOW).lost, 0);
    assert_eq!(stats.flows_evicted, 0);
}

fn datagrams(lab: &Lab, server: IpAddr, count: usize, len: usize) {
    let receiver = lab.within(SERVER, || UdpSocket::bind((server, 0)).unwrap());
    receiver.set_read_timeout(Some(super::DEADLINE)).unwrap();
    let to = receiver.local_addr().unwrap();
    lab.within(CLIENT, || {
        let any: IpAddr = if server.is_ipv4() { [0, 0, 0, 0].into() } else { [0u16; 8].into() };
        let sender = UdpSocket::bind((any, 0)).unwrap();
        for _ in 0..count {
            sender.send_to(&vec![7; len], to).unwrap();
        }
    });
    for _ in 0..count {
        receiver.recv(&mut vec![0; len]).unwrap();
    }
}

#[test]
fn counts_are_exact_in_both_directions_and_both_versions() {
    let Some(_turn) = require_ebpf() else { return };
    counts_are_exact(AttachMode::Auto);
}

#[test]
fn counts_are_as_exact_with_clsact() {
    let Some(_turn) = require_ebpf() else { return };
    counts_are_exact(AttachMode::Clsact);
}

#[test]
fn bytes_of_bulk_traffic_are_exact_although_packets_travel_in_super_packets() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    lab.enter_node();
    let mut kernel = load(|_| {});
    let [_, before, ..] = missed(&lab, &mut kernel, CLIENT);
    let listener = lab.within(SERVER, || TcpListener::bind((SERVER.v4(), 0)).unwrap());
    let to = listener.local_addr().unwrap();
    const BULK: usize = 4 << 20;
    std::thread::scope(|scope| {
        let reading = scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            std::io::copy(&mut stream, &mut std::io::sink()).unwrap()
        });
        lab.within(CLIENT, || TcpStream::connect(to).unwrap().write_all(&vec![1; BULK]).unwrap());
        assert_eq!(reading.join().unwrap(), BULK as u64);
    });
    let index = ifindex(&kernel, CLIENT);
    let [_, after, ..] = missed(&lab, &mut kernel, CLIENT);
    assert_eq!(after, before, "bytes were missed");
    let all = flows(&mut kernel);
    let flow = all.iter().find(|(key, _)| key.destination_port == to.port() && key.ifindex == index).unwrap();
    let segments = (BULK as u64).div_ceil(1448);
    assert!(flow.1.packets >= segments, "{} packets, {segments} segments", flow.1.packets);
    assert!(flow.1.cookie != 0 && flow.1.netns != 0, "the host's end of the pair knows the pod's socket");
}

#[test]
fn icmp_is_a_flow_by_type_and_code() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    lab.enter_node();
    let mut kernel = load(|_| {});
    lab.within(CLIENT, || {
        let ping = socket(AddressFamily::Inet, SockType::Raw, SockFlag::empty(), SockProtocol::Icmp).unwrap();
        let timeout = nix::sys::time::TimeVal::new(20, 0);
        setsockopt(&ping, sockopt::ReceiveTimeout, &timeout).unwrap();
        let [a, b, c, d] = SERVER.v4().octets();
        for _ in 0..3 {
            let echo = [8, 0, 0xf7, 0xfd, 0, 1, 0, 1];
            use std::os::fd::AsRawFd;
            sendto(ping.as_raw_fd(), &echo, &SockaddrIn::new(a, b, c, d, 0), MsgFlags::empty()).unwrap();
            recv(ping.as_raw_fd(), &mut [0; 64], MsgFlags::empty()).unwrap();
        }
    });
    let all = flows(&mut kernel);
    for pod in [CLIENT, SERVER] {
        let index = ifindex(&kernel, pod);
        let of = |kind: u16| {
            sum(&all, |key| key.ifindex == index && key.protocol == protocol::ICMP && key.source_port == kind)
        };
        assert_eq!((of(8), of(0)), ((3, 3 * 42), (3, 3 * 42)));
    }
}

#[test]
fn links_are_told_apart_and_closed_flows_leave() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    lab.shell("ip link add br0 type bridge; ip link add d0 type veth peer name d1; ip link set br0 up");
    lab.enter_node();
    let mut kernel = load(|config| {
        // The last acknowledgment may come some time after both ends are gone.
        config.flow_closed_ms = 1_000;
        config.exclude_links = vec!["d*".to_owned()];
    });
    let class =
        |name: &str| kernel.links().find(|link| link.name == name).map(|link| (link.class, link.observation.clone()));
    assert_eq!(class("v1"), Some((LinkClass::Endpoint, Observation::On)));
    assert_eq!(class("br0"), Some((LinkClass::Other, Observation::NotWanted)));
    assert_eq!(class("lo"), Some((LinkClass::Loopback, Observation::NotWanted)));
    assert_eq!(class("d0"), Some((LinkClass::Endpoint, Observation::NotWanted)));
    let veth = kernel.links().find(|link| link.name == "v1").unwrap();
    assert_eq!(veth.mac, Some([2, 0, 0, 0, 1, 1]));
    assert!(veth.peer_ifindex.is_some() && veth.peer_netns_id.is_some());

    let server: SocketAddr = (SERVER.v4(), 1).into();
    talk(&lab, server.ip(), 1);
    let mut gone = Vec::new();
    wait_for("all four flows to be closed and taken out", || {
        let now = super::super::BootClock::now_boot_ns();
        let sweep = kernel.sweep(now, &mut |key, val, kind| {
            if key.protocol == protocol::TCP && kind.is_gone() {
                assert_eq!(kind, SweepKind::Closed);
                gone.push((key, val));
            }
        });
        sweep.unwrap();
        (gone.len() >= 4).then_some(())
    });
    let tcp_left = flows(&mut kernel).iter().filter(|(key, _)| key.protocol == protocol::TCP).count();
    assert_eq!((gone.len(), tcp_left), (4, 0));
}
