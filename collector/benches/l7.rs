//! Records per second of the application parsers and packets per second of the capture source:
//! `cargo bench -p collector --bench l7`.
//!
//! Each figure is the best of some runs of a loop over what is in memory, by the processor time of all threads: other
//! programs may use the machine at the same time.

use std::hint::black_box;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use collector::config::Timing;
use collector::l7::{Chunk, Datagram, Engine, L7Config, SocketPair};
use collector::pcap::Pcap;
use collector::source::{Progress, Source};
use flow::{SystemClock, Timestamp};

const REQUEST: &[u8] = b"GET /api/v1/products?page=2&limit=20 HTTP/1.1\r\nHost: shop.example:8080\r\n\
    User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0\r\nAccept: application/json\r\n\
    Accept-Encoding: gzip, deflate\r\nConnection: keep-alive\r\nCookie: session=0123456789abcdef0123456789abcdef\r\n\
    X-Request-Id: 7f0c9a54-9d0e-4a4b-9f0b-2f6f6f1f0c11\r\n\r\n";
const RESPONSE: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Thu, 15 Jan 2026 10:11:12 GMT\r\n\
    Content-Type: application/json\r\nContent-Length: 64\r\nConnection: keep-alive\r\nVary: Accept-Encoding\r\n\r\n\
    {\"products\":[{\"id\":1,\"name\":\"lamp\",\"price\":19.9}],\"page\":2,\"n\":1}";
const QUERY: &[u8] = b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03www\x07example\x03org\x00\x00\x01\x00\x01";
const ANSWER: &[u8] = b"\x12\x34\x81\x80\x00\x01\x00\x02\x00\x00\x00\x00\x03www\x07example\x03org\x00\x00\x01\x00\x01\
    \xC0\x0C\x00\x05\x00\x01\x00\x00\x01\x2C\x00\x06\x03cdn\xC0\x10\
    \xC0\x2D\x00\x01\x00\x01\x00\x00\x00\x3C\x00\x04\x0A\x01\x02\x03";

const RUNS: usize = 9;
const EXCHANGES: u64 = 200_000;

#[expect(clippy::print_stdout, reason = "the figures are what a benchmark has to say")]
fn measure(what: &str, unit: &str, mut run: impl FnMut() -> u64) {
    let rates = (0..RUNS).map(|_| {
        let start = processor_time();
        let count = run();
        count as f64 / (processor_time() - start).as_secs_f64()
    });
    let rate = rates.fold(0.0, f64::max);
    println!("{what:<40} {:>8.2} M {unit}/s {:>6.0} ns each", rate / 1e6, 1e9 / rate);
}

fn processor_time() -> Duration {
    let time = nix::time::clock_gettime(nix::time::ClockId::CLOCK_PROCESS_CPUTIME_ID);
    time.expect("every Linux has this clock").into()
}

fn end(host: u8, port: u16) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, host], port))
}

/// Requests and responses on so many keep-alive connections in turn.
fn http(connections: u16) -> u64 {
    let mut engine = Engine::new(L7Config::default());
    let mut records = 0;
    for round in 0..EXCHANGES {
        let conn = round % u64::from(connections);
        let port = 1_024 + u16::try_from(conn).expect("below the number of connections");
        let pair = SocketPair { local: end(2, 80), remote: end(1, port), netns: 0 };
        for (sent, data) in [(false, REQUEST), (true, RESPONSE)] {
            let len = u32::try_from(data.len()).expect("a small message");
            let offset = round / u64::from(connections) * u64::from(len);
            let time = Timestamp(i64::try_from(round).expect("few rounds"));
            let chunk = Chunk { conn, pair, sent, offset, len, data, time, local_is_server: Some(true) };
            engine.chunk(chunk, &mut |event| {
                records += 1;
                black_box(event);
            });
        }
    }
    assert_eq!(records, 2 * EXCHANGES, "every exchange was read");
    records
}

fn dns() -> u64 {
    let mut engine = Engine::new(L7Config::default());
    let mut records = 0;
    for round in 0..EXCHANGES {
        let port = 1_024 + u16::try_from(round % 60_000).expect("below 60,000");
        let [client, server] = [end(1, port), end(2, 53)];
        for (source, destination, data) in [(client, server, QUERY), (server, client, ANSWER)] {
            let len = u32::try_from(data.len()).expect("a small message");
            let time = Timestamp(i64::try_from(round * 1_000_000).expect("few rounds"));
            let datagram = Datagram { conn: 0, source, destination, netns: 0, point: 1, len, data, time };
            engine.datagram(datagram, &mut |event| {
                records += 1;
                black_box(event);
            });
        }
    }
    assert_eq!(records, 2 * EXCHANGES, "every exchange was read");
    records
}

/// The frames of a recorded capture, over and over from other clients.
fn captured(copies: u16) -> (tempfile::NamedTempFile, u64) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/capture/shop.pcap");
    let original = std::fs::read(path).expect("the fixture is there");
    let (header, records) = original.split_at(24);
    let (mut bytes, mut frames) = (header.to_vec(), 0);
    for copy in 0..copies {
        let mut at = 0;
        while let Some(length) = records.get(at + 8..at + 12) {
            let length = u32::from_le_bytes(length.try_into().expect("four bytes were taken")) as usize;
            let mut record = records[at..at + 16 + length].to_vec();
            // Addresses of IPv4 behind the Ethernet header.
            for place in [16 + 26, 16 + 30] {
                if record[28..30] == [8, 0] && record[place..place + 4] == [10, 99, 0, 2] {
                    record[place + 2..place + 4].copy_from_slice(&copy.to_be_bytes());
                    record[place + 1] = 98;
                }
            }
            bytes.extend(record);
            frames += 1;
            at += 16 + length;
        }
    }
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(&bytes).expect("room for a temporary file");
    (file, frames)
}

fn capture(file: &Path, frames: u64) -> u64 {
    let opened = Pcap::open(file, Timing::default(), Arc::new(SystemClock));
    let mut source = opened.expect("the file is there");
    let mut progress = Progress::More;
    while progress != Progress::Finished {
        let polled = source.poll(Duration::from_secs(1), &mut |captured| {
            black_box(&captured);
        });
        progress = polled.expect("the file can be read");
    }
    assert_eq!((source.stats().seen, source.stats().lost_unreadable), (frames, 0));
    frames
}

fn main() {
    measure("http/1 records, 1 connection", "records", || http(1));
    measure("http/1 records, 10,000 connections", "records", || http(10_000));
    measure("dns records", "records", dns);
    let (file, frames) = captured(1_000);
    measure("packets of a capture file", "packets", || capture(file.path(), frames));
}
