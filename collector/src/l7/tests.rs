//! Whole exchanges through the engine.

use std::fmt::Write as _;

use flow::{L7Record, Timestamp};

use super::{Chunk, Datagram, Engine, Interest, L7Config, L7Event, SocketPair};

mod bounds;
mod dns;
mod http;
mod property;

/// Who wrote.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Server,
}
use self::Side::{Client, Server};

/// What one side of a connection sees, step by step.
#[derive(Debug)]
struct Conversation {
    engine: Engine,
    conn: u64,
    pair: SocketPair,
    /// Whether the socket watched is the client's.
    watching_client: bool,
    hint: Option<bool>,
    offsets: [u64; 2],
    now: Timestamp,
    events: Vec<L7Event>,
    interest: Interest,
}

impl Conversation {
    /// Watched at the server, which the engine is told.
    fn new(config: L7Config) -> Self {
        Self {
            engine: Engine::new(config),
            conn: 1,
            pair: pair("10.0.0.2:80", "10.0.0.1:40000"),
            watching_client: false,
            hint: Some(true),
            offsets: [0; 2],
            now: Timestamp(0),
            events: Vec::new(),
            interest: Interest::More,
        }
    }

    /// Hands in a write of which only the first `captured` bytes were captured, one millisecond after the last.
    fn write(&mut self, from: Side, bytes: &[u8], captured: usize) {
        self.now = Timestamp(self.now.0 + 1_000_000);
        let sent = (from == Client) == self.watching_client;
        let chunk = Chunk {
            conn: self.conn,
            pair: self.pair,
            sent,
            offset: self.offsets[from as usize],
            len: bytes.len() as u32,
            data: &bytes[..captured.min(bytes.len())],
            time: self.now,
            local_is_server: self.hint,
        };
        self.offsets[from as usize] += bytes.len() as u64;
        let events = &mut self.events;
        self.interest = self.engine.chunk(chunk, &mut |event| events.push(event));
    }

    fn say(&mut self, from: Side, text: &str) {
        self.write(from, text.as_bytes(), usize::MAX);
    }

    /// Bytes that were sent but whose chunk was lost.
    fn lose(&mut self, from: Side, count: u64) {
        self.offsets[from as usize] += count;
    }

    fn datagram(&mut self, from: Side, point: u64, message: &[u8], captured: usize) {
        self.now = Timestamp(self.now.0 + 1_000_000);
        let (client, server) = (self.pair.remote, self.pair.local);
        let (source, destination) = if from == Client { (client, server) } else { (server, client) };
        let data = &message[..captured.min(message.len())];
        let len = message.len() as u32;
        let datagram = Datagram { conn: 0, source, destination, netns: 0, point, len, data, time: self.now };
        let events = &mut self.events;
        self.engine.datagram(datagram, &mut |event| events.push(event));
    }

    /// Events as text, one a line.
    fn text(&self) -> String {
        text(&self.events)
    }
}

fn pair(local: &str, remote: &str) -> SocketPair {
    SocketPair { local: local.parse().unwrap(), remote: remote.parse().unwrap(), netns: 0 }
}

fn text(events: &[L7Event]) -> String {
    let mut text = String::new();
    for event in events {
        let arrow = if event.from_client { '>' } else { '<' };
        let latency = event.record.latency_ns / 1_000_000;
        match &event.record.record {
            L7Record::Http(http) => {
                let code = if http.code == 0 { String::new() } else { format!(" {} {latency}ms", http.code) };
                let [method, url] = [&http.method, &http.url].map(|t| if t.is_empty() { "?" } else { t.as_str() });
                write!(text, "{arrow} {}{code} {method} {url}", http.protocol).unwrap();
                http.headers.iter().for_each(|(name, value)| write!(text, " [{name}: {value}]").unwrap());
            }
            L7Record::Dns(dns) => {
                write!(text, "{arrow} {} {}", dns.query, dns.qtypes.join(",")).unwrap();
                if !event.from_client {
                    let (ips, cnames, rrtypes) = (dns.ips.join(","), dns.cnames.join(","), dns.rrtypes.join(","));
                    let (rcode, ttl) = (dns.rcode, dns.ttl_seconds);
                    write!(text, " {rcode} {latency}ms ips={ips} cnames={cnames} ttl={ttl} rr={rrtypes}").unwrap();
                }
            }
            other => write!(text, "{other:?}").unwrap(),
        }
        text.push('\n');
    }
    text
}

/// Runs an exchange seen whole and compares the events; returns it for a look at the counters.
#[track_caller]
fn check(exchange: &[(Side, &str)], expected: &str) -> Conversation {
    let mut conversation = Conversation::new(L7Config { http_headers: Vec::new(), ..L7Config::default() });
    for (from, bytes) in exchange {
        conversation.say(*from, bytes);
    }
    assert_eq!(conversation.text(), unindent(expected));
    conversation
}

fn unindent(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).map(|line| format!("{line}\n")).collect()
}
