//! Real captures, and files and packets made by hand, through the source.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Instant;

use ebpf_abi::{FlowKey, FlowVal, Record, SockRecord, data_direction, tcp_state};
use flow::{FixedClock, L7Record};

use super::*;
use crate::config::DecodeConfig;
use crate::decode::{Decoder, NodeFacts};
use crate::enrich::small_world;
use crate::l7::{Chunk, Datagram, Engine, L7Config, L7Event, SocketPair};
use crate::pace::Pace;

mod files;
mod frames;
mod hubble;

const NOW: Timestamp = Timestamp(2_000_000_000_000_000_000);

/// All that a capture gave, put together the way the pipeline does it.
#[derive(Debug, Default)]
struct Got {
    /// Last totals of each flow, and whether it is over.
    flows: BTreeMap<String, (FlowVal, bool)>,
    /// Causes of the records of each flow, in order.
    causes: BTreeMap<String, Vec<u8>>,
    sockets: Vec<SockRecord>,
    events: Vec<L7Event>,
    records: usize,
    stamps: Vec<u64>,
}

struct Pipeline {
    engine: Engine,
    pairs: BTreeMap<u64, (SocketPair, Option<bool>)>,
    got: Got,
}

impl Pipeline {
    fn new() -> Self {
        let config = L7Config { http_headers: Vec::new(), ..L7Config::default() };
        Self { engine: Engine::new(config), pairs: BTreeMap::new(), got: Got::default() }
    }

    fn take(&mut self, captured: Captured<'_>) {
        match captured {
            Captured::Record(bytes) => self.record(Record::parse(bytes).unwrap()),
            Captured::FlowTotals { key, val, gone } => self.totals(&key, val, gone),
            other => panic!("{other:?}"),
        }
    }

    fn totals(&mut self, key: &FlowKey, val: FlowVal, gone: bool) {
        if let Some((known, was_gone)) = self.got.flows.insert(name(key, &val), (val, gone)) {
            assert!(val.packets >= known.packets && !was_gone, "{key:?}");
        }
    }

    fn record(&mut self, record: Record<'_>) {
        self.got.records += 1;
        self.got.stamps.push(record.header().at_boot_ns);
        let time = Timestamp(record.header().at_boot_ns.cast_signed());
        let events = &mut self.got.events;
        match record {
            Record::Flow(record) => {
                self.got.causes.entry(name(&record.key, &record.val)).or_default().push(record.key.cause);
                self.totals(&FlowKey { cause: 0, packet_flags: 0, fragment: 0, ..record.key }, record.val, false);
            }
            Record::Sock(record) => {
                let (local, remote) = ends(&record.tuple);
                let known = (record.role != 0).then_some(record.role == ebpf_abi::role::SERVER);
                self.pairs.insert(record.header.cookie, (SocketPair { local, remote, netns: 0 }, known));
                if record.new_state == tcp_state::CLOSE {
                    self.engine.close(record.header.cookie);
                }
                self.got.sockets.push(record);
            }
            Record::Data(head, data) => {
                let conn = head.header.cookie;
                let (pair, local_is_server) = self.pairs[&conn];
                let sent = head.direction == data_direction::SENT;
                let (offset, len) = (head.offset, head.len);
                self.engine.chunk(Chunk { conn, pair, sent, offset, len, data, time, local_is_server }, &mut |event| {
                    events.push(event);
                });
            }
            Record::Dns(head, data) => {
                let (source, destination) = ends(&head.tuple);
                let point = u64::from(head.ifindex) << 8 | u64::from(head.direction);
                let len = head.len.into();
                let datagram = Datagram { conn: 0, source, destination, netns: 0, point, len, data, time };
                self.engine.datagram(datagram, &mut |event| events.push(event));
            }
            other => panic!("{other:?}"),
        }
    }
}

fn ends(tuple: &Tuple) -> (std::net::SocketAddr, std::net::SocketAddr) {
    let end = |ip: [u8; 16], port| (std::net::Ipv6Addr::from(ip).to_canonical(), port).into();
    (end(tuple.source_ip, tuple.source_port), end(tuple.destination_ip, tuple.destination_port))
}

/// The key in words; `first_boot_ns` tells entries apart that follow each other under one key.
fn name(key: &FlowKey, val: &FlowVal) -> String {
    let ip = |ip: [u8; 16]| std::net::Ipv6Addr::from(ip).to_canonical();
    let (from, to) = (ip(key.source_ip), ip(key.destination_ip));
    let (link, first) = ((key.ifindex, key.direction, key.vlan), val.first_boot_ns);
    format!("{} {from}:{} {to}:{} {link:?} {first}", key.protocol, key.source_port, key.destination_port)
}

/// Runs a source to its end.
fn drain(pcap: &mut Pcap) -> Result<Got, SourceError> {
    let mut pipeline = Pipeline::new();
    let deadline = Instant::now() + Duration::from_secs(60);
    while pcap.poll(Duration::from_millis(20), &mut |captured| pipeline.take(captured))? != Progress::Finished {
        assert!(Instant::now() < deadline, "the file did not end");
    }
    Ok(pipeline.got)
}

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/capture").join(name)
}

fn play(path: &Path, timing: Timing) -> (Result<Got, SourceError>, SourceStats) {
    let mut pcap = Pcap::open(path, timing, Arc::new(FixedClock::new(NOW))).unwrap();
    (drain(&mut pcap), pcap.stats())
}

fn play_bytes(bytes: &[u8]) -> (Result<Got, SourceError>, SourceStats) {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    play(file.path(), Timing::default())
}

/// Requests and responses with their codes, one a line.
fn http(got: &Got) -> Vec<String> {
    let records = got.events.iter().filter_map(|event| match &event.record.record {
        L7Record::Http(http) => Some(format!("{} {} {}", http.code, http.method, http.url)),
        _ => None,
    });
    records.collect()
}

fn dns(got: &Got) -> Vec<String> {
    let records = got.events.iter().filter_map(|event| match &event.record.record {
        L7Record::Dns(dns) if event.from_client => Some(format!("{} {}", dns.query, dns.qtypes[0])),
        L7Record::Dns(dns) => {
            Some(format!("{} {} {} {:?} {:?}", dns.query, dns.qtypes[0], dns.rcode, dns.ips, dns.cnames))
        }
        _ => None,
    });
    records.collect()
}

/// What `record.sh` asks for, in order.
const REQUESTS: [(&str, u32); 9] = [
    ("GET http://10.99.0.1/hello.txt", 200),
    ("GET http://10.99.0.1/nothing", 404),
    ("GET http://shop.wl/hello.txt?q=1", 200),
    ("HEAD http://10.99.0.1/big.bin", 200),
    ("GET http://10.99.0.1/big.bin", 200),
    ("POST http://10.99.0.1/cart", 201),
    ("POST http://10.99.0.1/cart", 201),
    ("GET http://10.99.0.1/gzip/hello.txt", 200),
    ("GET http://10.99.0.1/moved", 302),
];

fn expected_http() -> Vec<String> {
    REQUESTS.iter().flat_map(|(request, code)| [format!("0 {request}"), format!("{code} {request}")]).collect()
}

#[test]
fn a_real_capture_gives_every_request_and_query() {
    let (got, stats) = play(&fixture("shop.pcap"), Timing::default());
    let got = got.unwrap();
    assert_eq!(http(&got), expected_http());
    let expected = [
        "shop.wl. A",
        "shop.wl. A 0 [\"10.99.0.1\"] []",
        "shop.wl. AAAA",
        "shop.wl. AAAA 0 [\"fd99::1\"] []",
        "www.wl. A",
        "www.wl. A 0 [\"10.99.0.1\"] [\"shop.wl.\"]",
        "nothing.wl. A",
        "nothing.wl. A 3 [] []",
        "shop.wl. A",
        "shop.wl. A 0 [\"10.99.0.1\"] []",
        "long.wl. TXT",
        "long.wl. TXT 0 [] []",
    ];
    assert_eq!(dns(&got), expected);
    assert!(got.events.iter().all(|event| event.from_client || event.record.latency_ns > 0));
    assert!(got.events.iter().all(|event| event.tuple.server.ip().to_string().ends_with(":1")
        || event.tuple.server.ip().to_string() == "10.99.0.1"));
    assert_eq!((stats.lost_unreadable, stats.seen > 100), (0, true));
}

#[test]
fn totals_are_exact() {
    let frames = frames::of(&fixture("shop.pcap"));
    // Counted here by the Ethernet type alone.
    let ip: Vec<_> = frames.iter().filter(|f| matches!(f.data[12..14], [0x08, 0x00] | [0x86, 0xdd])).collect();
    let (got, _) = play(&fixture("shop.pcap"), Timing::default());
    let got = got.unwrap();
    let sum = |of: fn(&FlowVal) -> u64| got.flows.values().map(|(val, _)| of(val)).sum::<u64>();
    assert_eq!(sum(|val| val.packets), ip.len() as u64);
    assert_eq!(sum(|val| val.bytes), ip.iter().map(|f| u64::from(f.wire_bytes)).sum::<u64>());
    assert!(got.flows.values().all(|(_, gone)| *gone), "every flow is told of for the last time");
    assert_eq!(got.flows.keys().collect::<Vec<_>>(), got.causes.keys().collect::<Vec<_>>());
}

#[test]
fn a_record_comes_for_what_is_news_only() {
    let (got, _) = play(&fixture("shop.pcap"), Timing::default());
    let got = got.unwrap();
    use ebpf_abi::cause::{CLOSE, NEW};
    for (name, causes) in &got.causes {
        match name.split_once(' ').unwrap().0 {
            // Each side begins with a SYN and ends with a FIN; the ACK, alone, is of no interest.
            "6" => assert_eq!(causes, &[NEW, CLOSE], "{name}"),
            _ => assert_eq!(causes, &[NEW], "{name}"),
        }
    }
}

#[test]
fn connections_are_opened_and_closed_with_what_was_measured() {
    let (got, _) = play(&fixture("shop.pcap"), Timing::default());
    let got = got.unwrap();
    let state = |state| got.sockets.iter().filter(move |s| s.new_state == state);
    // Two over DNS, and two requests share one of HTTP.
    assert_eq!(state(tcp_state::ESTABLISHED).count(), 2 + 8);
    assert_eq!(state(tcp_state::CLOSE).count(), 2 + 8);
    for socket in state(tcp_state::CLOSE) {
        assert!([53, 80].contains(&socket.tuple.source_port), "the server's end is the local one: {socket:?}");
        assert!((1..100_000).contains(&socket.srtt_us) && socket.bytes_received > 0 && socket.bytes_acked > 0);
        assert_eq!((socket.role, socket.retransmits), (ebpf_abi::role::SERVER, 0));
    }
    assert!(state(tcp_state::CLOSE).any(|s| s.bytes_acked > 20_000));
}

#[test]
fn packets_cut_short_and_cooked_headers_still_give_requests() {
    let (got, stats) = play(&fixture("shop-any.pcap"), Timing::default());
    let got = got.unwrap();
    // 128 bytes of payload were kept of each packet: request lines and status lines are there, a long head is not.
    assert_eq!(http(&got), expected_http());
    assert_eq!(dns(&got).len(), 12);
    assert_eq!(stats.lost_unreadable, 0);
    let whole = play(&fixture("shop.pcap"), Timing::default()).0.unwrap();
    let tcp = |got: &Got| {
        let vals = got.flows.iter().filter(|(name, _)| name.starts_with("6 "));
        vals.map(|(name, (val, _))| (name.split(" (").next().map(str::to_owned), val.packets, val.bytes))
            .collect::<Vec<_>>()
    };
    assert_eq!(tcp(&got), tcp(&whole), "bytes on the link are the same as those of the Ethernet capture");
}

#[test]
fn times_follow_the_recording_or_the_present() {
    let first = frames::of(&fixture("shop.pcap"))[0].time.0.cast_unsigned();
    let (got, _) = play(&fixture("shop.pcap"), Timing::default());
    assert_eq!(got.unwrap().stamps[0], first);
    let (got, _) = play(&fixture("shop.pcap"), Timing { shift_to_now: true, ..Timing::default() });
    assert!(got.unwrap().stamps.iter().all(|stamp| *stamp == NOW.0.cast_unsigned()));

    let clock = Arc::new(FixedClock::new(NOW));
    let timing = Timing { pace: Pace::Recorded, shift_to_now: true, repeat: false };
    let mut pcap = Pcap::open(&fixture("shop.pcap"), timing, clock.clone()).unwrap();
    let mut pipeline = Pipeline::new();
    let (mut step, deadline) = (NOW, Instant::now() + Duration::from_secs(60));
    while pcap.poll(Duration::from_millis(1), &mut |captured| pipeline.take(captured)).unwrap() != Progress::Finished {
        assert!(pipeline.got.stamps.iter().all(|stamp| *stamp <= clock.now().0.cast_unsigned()));
        step = step.after(Duration::from_millis(50));
        clock.set(step);
        assert!(Instant::now() < deadline, "the file did not end");
    }
    assert_eq!(http(&pipeline.got).len(), expected_http().len());
}

/// For demonstrations a recording is played again and again: flows go on to have packets and bytes.
#[test]
fn every_round_is_counted() {
    let frames = frames::of(&fixture("shop.pcap"));
    let ip = frames.iter().filter(|frame| Packet::read(frame).is_ok());
    let (round_packets, round_bytes) =
        ip.fold((0, 0), |(packets, bytes), frame| (packets + 1, bytes + u64::from(frame.wire_bytes)));
    let timing = Timing { repeat: true, ..Timing::default() };
    let mut pcap = Pcap::open(&fixture("shop.pcap"), timing, Arc::new(FixedClock::new(NOW))).unwrap();
    let node = NodeFacts { name: "node-1".into(), labels: Arc::new([]), emitter: Arc::default(), run: 7 };
    let (mut decoder, world) = (Decoder::new(&DecodeConfig::default(), node, None), small_world());
    let (mut packets, mut bytes) = (0, 0);
    let deadline = Instant::now() + Duration::from_secs(60);
    while pcap.stats().seen <= 3 * frames.len() as u64 {
        let mut take = |captured: Captured<'_>| {
            let decoded = match captured {
                Captured::Record(bytes) => match Record::parse(bytes).unwrap() {
                    Record::Flow(record) => Some(decoder.flow(&record, &world)),
                    _ => None,
                },
                Captured::FlowTotals { key, val, gone } => decoder.flow_totals(&key, &val, gone, &world),
                other => panic!("{other:?}"),
            };
            let Some(details) = decoded.and_then(|decoded| decoded.flow.details) else { return };
            packets += details.packets;
            bytes += details.bytes;
        };
        assert_ne!(pcap.poll(Duration::from_millis(20), &mut take).unwrap(), Progress::Finished);
        assert!(Instant::now() < deadline, "the file does not end");
    }
    assert!(packets >= 3 * round_packets && bytes >= 3 * round_bytes, "{packets} {bytes}");
    assert!(packets <= 4 * round_packets, "{packets}");
}
