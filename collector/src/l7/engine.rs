//! All connections of a node: who parses which, and within which bounds.

use std::net::SocketAddr;
use std::time::Duration;

use flow::Timestamp;
use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::context::{Context, Origin, Rules};
use super::detect::{Detector, Finding, Held};
use super::dns::{self, DnsStream, Queries};
use super::holdings::Holdings;
use super::http1::{Http1, HttpRules};
use super::stream::{Addition, Parser, Stream};
use super::{Chunk, ClientServer, Datagram, Interest, L7Config, L7Stats, Sink, SocketPair, Transport};
use crate::recent::Recent;

/// Connections looked at to find memory to free, so that one chunk never pays for all of them.
const RELIEF_SCAN_MAX: usize = 256;

/// Parses the payload of all connections of a node.
#[derive(Debug)]
pub struct Engine {
    rules: Rules,
    idle: Duration,
    memory_bytes_max: usize,
    connections: Recent<u64, Connection>,
    /// Which connection has these ends, to find the other socket of a connection that never leaves the node.
    by_ends: HashMap<Ends, u64, RandomState>,
    queries: Queries,
    stats: L7Stats,
    held: Holdings,
    clock: StreamClock,
}

/// The present as the connections know it: a recording may be years old, and is played faster than it happened.
#[derive(Debug, Default)]
struct StreamClock {
    now: Timestamp,
    /// The caller's present when it last asked.
    asked: Option<Timestamp>,
}

impl StreamClock {
    /// Something happened at `time`.
    fn saw(&mut self, time: Timestamp) {
        self.now = self.now.max(time);
    }

    /// The present, now that it is `now` for the caller: without news it passes as fast as for the caller.
    fn ask(&mut self, now: Timestamp) -> Timestamp {
        let passed = self.asked.replace(now).map_or(Duration::ZERO, |asked| now.since(asked));
        self.now = self.now.after(passed);
        self.now
    }
}

#[derive(Debug)]
struct Connection {
    ends: Ends,
    stage: Stage,
    sent: Stream,
    received: Stream,
    local_is_server: Option<bool>,
    /// Whether a chunk came.
    begun: bool,
    last: Timestamp,
    bytes_held: usize,
}

/// What is known of the protocol of a connection.
#[derive(Debug)]
enum Stage {
    /// Nothing yet.
    Unknown(Detector),
    /// It is being parsed.
    Parsed { local_is_client: bool, parser: Box<Protocol> },
    /// Its records are counted at its other socket.
    Mirrored,
    /// Nothing more will come of it.
    Done,
}

/// Which of the two sockets of a connection leaves its records to the other.
enum Yields {
    Nobody,
    /// The one just met, which begins in this stage.
    New(Stage),
    /// The one known already.
    Known(u64),
}

#[derive(Debug)]
enum Protocol {
    Http1(Http1),
    Dns(DnsStream),
}

/// Both ends in the order (local, remote), comparable between the two sockets of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Ends {
    local: SocketAddr,
    remote: SocketAddr,
    /// Only where an address means something else in each namespace.
    netns: u64,
}

impl Engine {
    /// An engine without connections.
    #[must_use]
    pub fn new(config: L7Config) -> Self {
        Self {
            idle: Duration::from_secs(config.idle_seconds),
            memory_bytes_max: config.memory_bytes_max,
            connections: Recent::new(config.connections_max),
            by_ends: HashMap::default(),
            queries: Queries::new(&config),
            stats: L7Stats::default(),
            held: Holdings::default(),
            clock: StreamClock::default(),
            rules: Rules { http: HttpRules::new(&config), dns_ports: config.dns_ports },
        }
    }

    /// Leaves passwords in URLs if they are to be `shown`; else they are taken out.
    #[must_use]
    pub fn with_passwords(mut self, shown: bool) -> Self {
        self.rules.http.shows_passwords = shown;
        self
    }

    /// Tells of a connection before its first chunk.
    ///
    /// Not needed for parsing. When both sockets of a connection are on this node, it lets the engine know of the
    /// server's one in time, so that the records are counted at the server; without it they are counted at the side
    /// whose chunk comes first. Either way they are counted once.
    pub fn open(&mut self, conn: u64, pair: SocketPair, local_is_server: bool, time: Timestamp) {
        self.stats.opened += 1;
        self.clock.saw(time);
        match self.connections.touch(&conn) {
            Some(connection) => connection.local_is_server = Some(local_is_server),
            None => self.add(conn, pair, Some(local_is_server), time),
        }
    }

    /// Takes a chunk of a TCP connection and emits what it completes.
    pub fn chunk(&mut self, chunk: Chunk<'_>, out: Sink<'_>) -> Interest {
        self.stats.chunks += 1;
        self.stats.captured_bytes += chunk.data.len() as u64;
        self.clock.saw(chunk.time);
        if self.connections.get_mut(&chunk.conn).is_none() {
            self.add(chunk.conn, chunk.pair, chunk.local_is_server, chunk.time);
        }
        let Some(connection) = self.connections.touch(&chunk.conn) else { return Interest::Done };
        connection.last = connection.last.max(chunk.time);
        connection.begun = true;
        connection.local_is_server = connection.local_is_server.or(chunk.local_is_server);
        if matches!(connection.stage, Stage::Done | Stage::Mirrored) {
            return Interest::Done;
        }
        let chunk = Chunk { local_is_server: connection.local_is_server, ..chunk };
        let stream = if chunk.sent { &mut connection.sent } else { &mut connection.received };
        let Some(addition) = stream.place(&chunk, &mut self.stats) else { return Interest::More };
        let mut cx = Context {
            rules: &self.rules,
            stats: &mut self.stats,
            queries: &mut self.queries,
            origin: connection.origin(chunk.conn),
            time: chunk.time,
            out,
        };
        connection.take(&chunk, &addition, &mut cx);
        let held = connection.measure();
        self.held.change(chunk.conn, std::mem::replace(&mut connection.bytes_held, held), held);
        if self.is_over_memory() {
            self.relieve(chunk.conn);
        }
        match self.connections.get_mut(&chunk.conn) {
            Some(Connection { stage: Stage::Unknown(_) | Stage::Parsed { .. }, .. }) => Interest::More,
            _ => Interest::Done,
        }
    }

    /// Takes a DNS message over UDP and emits its record.
    pub fn datagram(&mut self, datagram: Datagram<'_>, out: Sink<'_>) {
        self.stats.datagrams += 1;
        self.stats.captured_bytes += datagram.data.len() as u64;
        self.clock.saw(datagram.time);
        let Some(is_response) = dns::is_response(datagram.data) else {
            self.stats.dns_malformed += 1;
            return;
        };
        let pair = SocketPair { local: datagram.source, remote: datagram.destination, netns: datagram.netns };
        let ends = Ends::of(pair);
        let mut cx = Context {
            rules: &self.rules,
            stats: &mut self.stats,
            queries: &mut self.queries,
            origin: Origin {
                conn: datagram.conn,
                transport: Transport::Udp,
                tuple: ends.by_role(!is_response),
                netns: ends.netns,
                local_is_server: None,
            },
            time: datagram.time,
            out,
        };
        let cut = (datagram.len as usize) > datagram.data.len();
        dns::message(datagram.data, cut, datagram.point, &mut cx);
    }

    /// Ends a connection and forgets it.
    pub fn close(&mut self, conn: u64) {
        if let Some(connection) = self.connections.remove(&conn) {
            self.stats.closed += 1;
            self.forget(conn, connection);
        }
    }

    /// Forgets connections that have been silent for too long and counts queries without an answer. Call about once a
    /// second.
    ///
    /// Silence is measured from the last time anything was seen, so `now` need not be of the same clock as the times of
    /// the chunks; it only has to go on as fast.
    pub fn expire(&mut self, now: Timestamp) {
        let now = self.clock.ask(now);
        while self.connections.oldest().is_some_and(|(_, connection)| now.since(connection.last) > self.idle) {
            let Some((conn, connection)) = self.connections.pop_oldest() else { break };
            self.stats.expired += 1;
            self.forget(conn, connection);
        }
        self.queries.expire(now, &mut self.stats);
    }

    /// What the engine did since its start, and what it holds.
    #[must_use]
    pub fn stats(&self) -> L7Stats {
        L7Stats {
            connections: self.connections.len() as u64,
            bytes_held: self.held.bytes() as u64,
            dns_pending: self.queries.len() as u64,
            ..self.stats
        }
    }

    fn add(&mut self, conn: u64, pair: SocketPair, local_is_server: Option<bool>, time: Timestamp) {
        let ends = Ends::of(pair);
        let mut stage = self.first_stage(ends, local_is_server);
        match self.who_yields(ends, local_is_server) {
            Yields::Nobody => {}
            Yields::New(begin) => {
                self.stats.mirrored += u64::from(matches!(begin, Stage::Mirrored));
                stage = begin;
            }
            Yields::Known(other) => {
                self.stats.mirrored += 1;
                if let Some(other) = self.connections.get_mut(&other) {
                    other.stage = Stage::Mirrored;
                }
            }
        }
        let connection = Connection {
            ends,
            stage,
            sent: Stream::default(),
            received: Stream::default(),
            local_is_server,
            begun: false,
            last: time,
            bytes_held: 0,
        };
        self.by_ends.insert(ends, conn);
        if let Some((evicted, connection)) = self.connections.insert(conn, connection) {
            self.stats.evicted += 1;
            self.forget(evicted, connection);
        }
    }

    /// Protocol of a new connection by its ports.
    fn first_stage(&self, ends: Ends, local_is_server: Option<bool>) -> Stage {
        let is_dns = |end: SocketAddr| self.rules.dns_ports.contains(&end.port());
        let local_is_client = match (is_dns(ends.local), is_dns(ends.remote)) {
            (false, false) => return Stage::Unknown(Detector::default()),
            (true, true) => local_is_server != Some(true),
            (_, remote) => remote,
        };
        Stage::Parsed { local_is_client, parser: Box::new(Protocol::Dns(DnsStream::default())) }
    }

    /// Where the other socket of a new connection is on this node too: which of both does nothing. The client's, unless
    /// it has begun already.
    fn who_yields(&mut self, ends: Ends, local_is_server: Option<bool>) -> Yields {
        let mirror = Ends { local: ends.remote, remote: ends.local, ..ends };
        let Some(&conn) = self.by_ends.get(&mirror).filter(|_| mirror != ends) else { return Yields::Nobody };
        let Some(other) = self.connections.get_mut(&conn) else { return Yields::Nobody };
        match other.stage {
            // Left over from an earlier connection of the same ends.
            Stage::Mirrored => Yields::Nobody,
            // This side would find out the same.
            Stage::Done => Yields::New(Stage::Done),
            Stage::Unknown(_) | Stage::Parsed { .. } if local_is_server == Some(true) && !other.begun => {
                Yields::Known(conn)
            }
            Stage::Unknown(_) | Stage::Parsed { .. } => Yields::New(Stage::Mirrored),
        }
    }

    /// Gives up connections until all fit: those that hold the most, so that nobody who hoards makes others pay, and
    /// where none holds much, those silent for longest and `current` last.
    fn relieve(&mut self, current: u64) {
        while self.is_over_memory()
            && let Some(conn) = self.held.largest()
        {
            self.give_up(conn);
        }
        if !self.is_over_memory() {
            return;
        }
        let holders = self.connections.iter().take(RELIEF_SCAN_MAX).filter(|(_, c)| c.bytes_held > 0);
        let mut victims: Vec<u64> = holders.map(|(conn, _)| *conn).filter(|conn| *conn != current).collect();
        victims.push(current);
        for conn in victims {
            if !self.is_over_memory() {
                break;
            }
            self.give_up(conn);
        }
    }

    const fn is_over_memory(&self) -> bool {
        self.held.bytes() > self.memory_bytes_max
    }

    fn give_up(&mut self, conn: u64) {
        let Some(connection) = self.connections.get_mut(&conn) else { return };
        connection.finish(&mut self.stats);
        self.held.change(conn, std::mem::take(&mut connection.bytes_held), 0);
        self.stats.over_memory += 1;
    }

    /// Lets go of a connection that is no longer in the table.
    fn forget(&mut self, conn: u64, mut connection: Connection) {
        connection.finish(&mut self.stats);
        self.held.change(conn, connection.bytes_held, 0);
        if self.by_ends.get(&connection.ends) == Some(&conn) {
            self.by_ends.remove(&connection.ends);
        }
    }
}

impl Connection {
    /// Lets the parser, once it is known, read what a chunk adds.
    fn take(&mut self, chunk: &Chunk<'_>, addition: &Addition<'_>, cx: &mut Context<'_>) {
        if let Stage::Unknown(detector) = &mut self.stage {
            match detector.look(chunk, addition) {
                Finding::Unknown => return,
                Finding::Http1 { local_is_client, held } => self.begin_http(local_is_client, held, cx),
                Finding::Http2 => {
                    cx.stats.http2 += 1;
                    self.stage = Stage::Done;
                }
                Finding::Opaque => {
                    cx.stats.opaque += 1;
                    self.stage = Stage::Done;
                }
            }
        }
        let origin = self.origin(chunk.conn);
        let Stage::Parsed { local_is_client, parser } = &mut self.stage else { return };
        cx.origin = origin;
        let from_client = chunk.sent == *local_is_client;
        let parser = parser.as_parser();
        if addition.gap > 0 {
            parser.gap(from_client, addition.gap, cx);
        }
        if !addition.bytes.is_empty() {
            parser.feed(from_client, addition.bytes, addition.at_start, cx);
        }
        if addition.skip > 0 {
            parser.skip(from_client, addition.skip, cx);
        }
        if parser.is_finished() {
            self.stage = Stage::Done;
        }
    }

    fn begin_http(&mut self, local_is_client: bool, held: Vec<Held>, cx: &mut Context<'_>) {
        let mut parser = Http1::default();
        let now = cx.time;
        cx.origin = self.ends.origin(cx.origin.conn, Some(local_is_client));
        for Held { sent, bytes, time } in held {
            cx.time = time;
            parser.feed(sent == local_is_client, &bytes, true, cx);
        }
        cx.time = now;
        self.stage = Stage::Parsed { local_is_client, parser: Box::new(Protocol::Http1(parser)) };
    }

    /// Ends the parsing.
    fn finish(&mut self, stats: &mut L7Stats) {
        if let Stage::Parsed { parser, .. } = &mut self.stage {
            parser.as_parser().close(stats);
        }
        self.stage = Stage::Done;
    }

    /// Bytes held beyond the entry in the table.
    fn measure(&self) -> usize {
        match &self.stage {
            Stage::Unknown(detector) => detector.bytes_held(),
            Stage::Parsed { parser, .. } => std::mem::size_of::<Protocol>() + parser.bytes_held(),
            Stage::Done | Stage::Mirrored => 0,
        }
    }

    fn origin(&self, conn: u64) -> Origin {
        let local_is_client = match self.stage {
            Stage::Parsed { local_is_client, .. } => Some(local_is_client),
            _ => self.local_is_server.map(|server| !server),
        };
        self.ends.origin(conn, local_is_client)
    }
}

impl Protocol {
    fn as_parser(&mut self) -> &mut dyn Parser {
        match self {
            Self::Http1(parser) => parser,
            Self::Dns(parser) => parser,
        }
    }

    fn bytes_held(&self) -> usize {
        match self {
            Self::Http1(parser) => parser.bytes_held(),
            Self::Dns(parser) => parser.bytes_held(),
        }
    }
}

impl Ends {
    /// Ends of a socket, IPv4 addresses in their own form.
    fn of(pair: SocketPair) -> Self {
        let canonical = |end: SocketAddr| SocketAddr::new(end.ip().to_canonical(), end.port());
        let (local, remote) = (canonical(pair.local), canonical(pair.remote));
        let loopback = local.ip().is_loopback() || remote.ip().is_loopback();
        Self { local, remote, netns: if loopback { pair.netns } else { 0 } }
    }

    fn origin(self, conn: u64, local_is_client: Option<bool>) -> Origin {
        Origin {
            conn,
            transport: Transport::Tcp,
            tuple: self.by_role(local_is_client.unwrap_or(true)),
            netns: self.netns,
            local_is_server: local_is_client.map(|client| !client),
        }
    }

    fn by_role(self, local_is_client: bool) -> ClientServer {
        let (client, server) = if local_is_client { (self.local, self.remote) } else { (self.remote, self.local) };
        ClientServer { client, server }
    }
}
