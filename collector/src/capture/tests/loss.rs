//! Nothing is lost in silence: with a ring far too small and a reader that does not come, the sums still hold.

use std::io::Write as _;
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};

use ebpf_abi::{Record, kind, protocol};
use nix::sched::{CpuSet, sched_getaffinity, sched_setaffinity};
use nix::unistd::Pid;

use super::helper::Child;
use super::lab::{Lab, Pod};
use super::{drain, flows, load, parsed, require_ebpf, wait_for};

const CLIENT: Pod = Pod(1);
const SERVER: Pod = Pod(2);
const DATAGRAMS: usize = 400;

#[test]
fn seen_is_delivered_and_lost() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    lab.enter_node();
    let mut kernel = load(|config| config.ctrl_ring_bytes = 0);
    let receiver = lab.within(SERVER, || UdpSocket::bind((SERVER.v4(), 0)).unwrap());
    receiver.set_read_timeout(Some(super::DEADLINE)).unwrap();
    let to = receiver.local_addr().unwrap();
    let send = |count: usize, processors: CpuSet| {
        lab.within(CLIENT, || {
            sched_setaffinity(Pid::from_raw(0), &processors).unwrap();
            // A socket each, held until the end so that no port comes twice: each is a flow of its own.
            let mut sockets = Vec::new();
            for _ in 0..count {
                let socket = UdpSocket::bind((CLIENT.v4(), 0)).unwrap();
                socket.send_to(b"x", to).unwrap();
                receiver.recv(&mut [0]).unwrap();
                sockets.push(socket);
            }
        });
    };
    let processors = sched_getaffinity(Pid::from_raw(0)).unwrap();
    send(DATAGRAMS, processors);

    // A few other records may come at any moment, and another processor may be between two of its counters: the sums are
    // taken when nothing came between two readings.
    let mut delivered = [0u64; kind::SLOTS as usize];
    let mut told_lost = 0;
    let mut read = |kernel: &mut super::super::Kernel| {
        for record in parsed(&drain(kernel)) {
            delivered[usize::from(record.header().kind)] += 1;
            told_lost += u64::from(record.header().lost) * u64::from(matches!(record, Record::Flow(_)));
        }
        (delivered, told_lost)
    };
    let stats = wait_for("seen to be what was delivered and lost, kind by kind", || {
        let (delivered, _) = read(&mut kernel);
        let stats = kernel.stats().unwrap();
        let adds_up = |(kind, delivered): (u8, u64)| {
            let of = stats.of_kind(kind);
            of.seen == of.sent + of.lost && of.sent == delivered
        };
        (0..).zip(delivered).all(adds_up).then_some(stats)
    });
    let flow = stats.of_kind(kind::FLOW);
    assert!(flow.lost > 0, "the ring of one page was too small: {flow:?}");
    assert!(flow.seen >= 2 * DATAGRAMS as u64);
    assert_eq!(stats.flows_evicted, 0);

    // The totals of the flows do not pass through the ring: nothing of them is lost.
    let all = flows(&mut kernel);
    let ours = all.iter().filter(|(key, _)| key.protocol == protocol::UDP && key.destination_port == to.port());
    let (count, packets, bytes) =
        ours.fold((0, 0, 0), |sum, (_, val)| (sum.0 + 1, sum.1 + val.packets, sum.2 + val.bytes));
    assert_eq!((count, packets, bytes), (2 * DATAGRAMS, 2 * DATAGRAMS as u64, 2 * DATAGRAMS as u64 * 43));

    // The first records after a loss tell of it, once on each processor that lost some.
    wait_for("all of the loss to be told", || {
        let mut told = 0;
        for number in (0..CpuSet::count()).filter(|number| processors.is_set(*number).unwrap_or(false)) {
            let mut one = CpuSet::new();
            one.set(number).unwrap();
            send(1, one);
            (_, told) = read(&mut kernel);
        }
        let lost = kernel.stats().unwrap().of_kind(kind::FLOW).lost;
        (told == lost).then_some(())
    });
}

#[test]
fn a_socket_whose_record_was_lost_is_told_of_at_its_next_use() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    lab.enter_node();
    let mut kernel = load(|config| config.ctrl_ring_bytes = 0);
    let listener = lab.within(SERVER, || TcpListener::bind((SERVER.v4(), 0)).unwrap());
    let to = listener.local_addr().unwrap();
    let mut stream = lab.within(CLIENT, || {
        for _ in 0..DATAGRAMS {
            UdpSocket::bind((CLIENT.v4(), 0)).unwrap().send_to(b"x", (SERVER.v4(), 9)).unwrap();
        }
        TcpStream::connect(to).unwrap()
    });
    let from = stream.local_addr().unwrap().port();
    let mut is_told = || {
        let ours = |record: &Record<'_>| match record {
            Record::Sock(sock) => (sock.tuple.source_port, sock.tuple.destination_port) == (from, to.port()),
            _ => false,
        };
        parsed(&drain(&mut kernel)).iter().any(ours)
    };
    assert!(!is_told(), "there was room in the ring of one page");
    // The ring is the whole machine's, and may be full just then.
    wait_for("the socket to be told of", || {
        stream.write_all(b"x").unwrap();
        is_told().then_some(())
    });
}

#[test]
fn flows_the_map_pushes_out_are_counted() {
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    lab.enter_node();
    let mut kernel = load(|config| config.flows_max = 64);
    let receiver = lab.within(SERVER, || UdpSocket::bind((SERVER.v4(), 0)).unwrap());
    let to = receiver.local_addr().unwrap();
    lab.within(CLIENT, || {
        for _ in 0..DATAGRAMS {
            // Whether they arrive does not matter here.
            UdpSocket::bind((CLIENT.v4(), 0)).unwrap().send_to(b"x", to).unwrap();
        }
    });
    // The links' own housekeeping may add a flow at any moment.
    let (live, stats) = wait_for("a moment without new flows", || {
        let before = kernel.stats().unwrap().counters.flows_new;
        let live = flows(&mut kernel).len() as u64;
        let stats = kernel.stats().unwrap();
        (stats.counters.flows_new == before).then_some((live, stats))
    });
    assert_eq!(stats.flows_live, live);
    assert!(stats.flows_evicted > 0);
    assert_eq!(stats.counters.flows_new, live + stats.flows_evicted);
}

#[test]
fn payload_is_delivered_or_counted_as_lost() {
    const SPEAKERS: usize = 4;
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    lab.enter_node();
    // One page: a dozen of the smallest records.
    let mut kernel = load(|config| config.data_ring_bytes = 0);
    let listener = lab.within(SERVER, || TcpListener::bind((SERVER.v4(), 0)).unwrap());
    let address = listener.local_addr().unwrap();
    let (mut delivered, mut ours) = (0, 0);
    let mut read = |kernel: &mut super::super::Kernel, speakers: &[u32]| {
        for record in parsed(&drain(kernel)) {
            if let Record::Data(head, _) = record {
                delivered += 1;
                ours += u64::from(speakers.contains(&head.tgid));
            }
        }
        (delivered, ours)
    };
    let mut speakers = Vec::new();
    // Nobody reads the ring while one speaks, twenty times; our own end's payload is not captured. That of all others is,
    // and may fill the ring just then.
    wait_for("some of what was said to be in the ring", || {
        let mut speaker = Child::start(&lab.namespace(CLIENT), &format!("speak {address} POST"));
        let (mut stream, _) = listener.accept().unwrap();
        std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
        speaker.finish();
        speakers.push(speaker.pid());
        let (_, ours) = read(&mut kernel, &speakers);
        (speakers.len() >= SPEAKERS && ours > 0).then_some(())
    });
    let said = 20 * speakers.len() as u64;
    let before = kernel.stats().unwrap().of_kind(kind::DATA);
    assert!(before.seen >= said, "every write was met: {before:?}");
    assert!(before.lost > 0 && before.sent > 0, "the ring of one page was too small, and not empty: {before:?}");

    let ours = wait_for("seen to be what was delivered and lost", || {
        let (delivered, ours) = read(&mut kernel, &speakers);
        let stats = kernel.stats().unwrap().of_kind(kind::DATA);
        (stats.sent == delivered && stats.seen == stats.sent + stats.lost).then_some(ours)
    });
    assert!(ours < said, "{ours} of {said}");
}

#[test]
fn what_comes_while_a_sweep_runs_is_not_taken_for_pushed_out() {
    const DATAGRAMS: usize = 4_000;
    const SWEEPS: usize = 4;
    let Some(_turn) = require_ebpf() else { return };
    let lab = Lab::new(&[CLIENT, SERVER]);
    lab.enter_node();
    let mut kernel = load(|config| {
        (config.flow_idle_ms, config.drop_idle_ms, config.flows_max) = (1, 1, 32_768);
    });
    let closed = std::net::SocketAddr::from((SERVER.v4(), 9));
    let sweeps = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            super::lab::enter(&lab.namespace(CLIENT));
            // Each is the first packet of a flow, refused at a port where nobody listens: flows and drops at once.
            for sent in 1.. {
                let socket = UdpSocket::bind((CLIENT.v4(), 0)).unwrap();
                socket.send_to(b"x", closed).unwrap();
                // Never more between two sweeps than the maps hold.
                let swept = || sweeps.load(Ordering::Relaxed);
                wait_for("a sweep", || (sent < DATAGRAMS * (1 + swept())).then_some(()));
                if sent >= DATAGRAMS && swept() >= SWEEPS {
                    return;
                }
            }
        });
        while !sender.is_finished() {
            let now = super::super::BootClock::now_boot_ns();
            kernel.sweep(now, &mut |_, _, _| {}).unwrap();
            kernel.sweep_drops(now, &mut |_, _, _| {}).unwrap();
            drain(&mut kernel);
            sweeps.fetch_add(1, Ordering::Relaxed);
        }
    });
    let (sweeps, stats) = (sweeps.into_inner(), kernel.stats().unwrap());
    assert!(stats.counters.flows_new >= DATAGRAMS as u64, "{sweeps} sweeps of {:?}", stats.counters);
    assert_eq!((stats.flows_evicted, stats.drops_evicted), (0, 0), "{sweeps} sweeps of {:?}", stats.counters);
}
