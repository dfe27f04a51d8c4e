//! Application records: payload chunks of connections and datagrams in, requests and responses with latency out.
//!
//! Pure: bytes and times come in, values come out; no I/O, no clock. Everything is bounded in bytes, age and number of
//! connections, and each way to give up is a counter of [`L7Stats`]. No input panics.

use std::net::SocketAddr;

use flow::Timestamp;

mod config;
mod stats;

pub use config::L7Config;
pub use stats::L7Stats;

/// The two ends of a connection as the owner of the socket sees them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SocketPair {
    /// Address of the socket's owner.
    pub local: SocketAddr,
    /// Address of the peer.
    pub remote: SocketAddr,
    /// Kernel cookie of the owner's network namespace, 0 where it is not known. Tells apart connections of different
    /// namespaces that both run over the loopback address.
    pub netns: u64,
}

/// Part of one direction of a byte stream.
#[derive(Clone, Copy, Debug)]
pub struct Chunk<'a> {
    /// Key of the connection: the socket's cookie, or a number of the source's own.
    pub conn: u64,
    /// The two ends.
    pub pair: SocketPair,
    /// Whether the owner of the socket sent it; else it was received.
    pub sent: bool,
    /// Offset of the first byte in its direction of the stream.
    pub offset: u64,
    /// True length in bytes; what is beyond `data` was not captured.
    pub len: u32,
    /// The captured start of the chunk, at most `len` bytes.
    pub data: &'a [u8],
    /// When it was sent or received.
    pub time: Timestamp,
    /// Whether the owner of the socket accepted the connection; `None` where that is not known.
    pub local_is_server: Option<bool>,
}

/// One DNS message over UDP.
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// Key of the socket, 0 for none; handed back in the event.
    pub conn: u64,
    /// Sender.
    pub source: SocketAddr,
    /// Receiver.
    pub destination: SocketAddr,
    /// Kernel cookie of the network namespace for loopback traffic, 0 where it is not known.
    pub netns: u64,
    /// Where it was seen, such as a device and direction; 0 where that does not matter. The same message seen at a
    /// second point is a repeat and gives no event, at the same point it was sent again and gives one.
    pub point: u64,
    /// True length in bytes.
    pub len: u32,
    /// The captured start of the message, at most `len` bytes.
    pub data: &'a [u8],
    /// When it was seen.
    pub time: Timestamp,
}

/// Transport an application record travelled on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
}

/// The two ends of a conversation by their roles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ClientServer {
    /// Side that asks.
    pub client: SocketAddr,
    /// Side that answers.
    pub server: SocketAddr,
}

/// A request or a response.
#[derive(Clone, Debug, PartialEq)]
pub struct L7Event {
    /// Key of the connection or socket it was seen on.
    pub conn: u64,
    /// Transport.
    pub transport: Transport,
    /// The two ends.
    pub tuple: ClientServer,
    /// Whether the client sent it: true for requests and queries.
    pub from_client: bool,
    /// Whether the owner of the socket is the server; `None` where that is not known.
    pub local_is_server: Option<bool>,
    /// When its first byte was seen.
    pub time: Timestamp,
    /// The record, with its latency on responses.
    pub record: flow::L7,
    /// Distributed tracing id of the request, on responses too; empty for none.
    pub trace_id: String,
}

impl L7Event {
    /// Sender of this record.
    #[must_use]
    pub const fn source(&self) -> SocketAddr {
        if self.from_client { self.tuple.client } else { self.tuple.server }
    }

    /// Receiver of this record.
    #[must_use]
    pub const fn destination(&self) -> SocketAddr {
        if self.from_client { self.tuple.server } else { self.tuple.client }
    }
}

/// Whether more payload of a connection is of any use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Go on handing in chunks.
    More,
    /// The connection will give no more events: its payload need not be captured.
    Done,
}

/// Receiver of events.
pub type Sink<'a> = &'a mut dyn FnMut(L7Event);

/// Parses the payload of all connections of a node.
#[derive(Debug)]
pub struct Engine {
    config: L7Config,
    stats: L7Stats,
}

impl Engine {
    /// An engine without connections.
    #[must_use]
    pub fn new(config: L7Config) -> Self {
        Self { config, stats: L7Stats::default() }
    }

    /// Tells of a connection before its first chunk.
    ///
    /// Not needed for parsing. When both sockets of a connection are on this node, it lets the engine know of the
    /// server's one in time, so that the records are counted at the server; without it they are counted at the side
    /// whose chunk comes first. Either way they are counted once.
    pub fn open(&mut self, conn: u64, pair: SocketPair, local_is_server: bool, time: Timestamp) {
        let _unused = (conn, pair, local_is_server, time);
        self.stats.opened += 1;
    }

    /// Takes a chunk of a TCP connection and emits what it completes.
    pub fn chunk(&mut self, chunk: Chunk<'_>, out: Sink<'_>) -> Interest {
        self.stats.chunks += 1;
        let _unused = (chunk, out, &self.config);
        Interest::More
    }

    /// Takes a DNS message over UDP and emits its record.
    pub fn datagram(&mut self, datagram: Datagram<'_>, out: Sink<'_>) {
        self.stats.datagrams += 1;
        let _unused = (datagram, out);
    }

    /// Ends a connection: emits what its end completes and forgets it.
    pub fn close(&mut self, conn: u64, time: Timestamp, out: Sink<'_>) {
        let _unused = (conn, time, out);
        self.stats.closed += 1;
    }

    /// Forgets connections that have been silent for too long and counts queries without an answer. Call about once a
    /// second.
    pub fn expire(&mut self, now: Timestamp, out: Sink<'_>) {
        let _unused = (now, out);
    }

    /// What the engine did since its start, and what it holds.
    #[must_use]
    pub const fn stats(&self) -> L7Stats {
        self.stats
    }
}
