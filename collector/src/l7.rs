//! Application records: payload chunks of connections and datagrams in, requests and responses with latency out.
//!
//! Pure: bytes and times come in, values come out; no I/O, no clock. Everything is bounded in bytes, age and number of
//! connections, and each way to give up is a counter of [`L7Stats`]. No input panics.

use std::net::SocketAddr;

use flow::Timestamp;

mod config;
mod context;
mod detect;
mod dns;
mod engine;
mod holdings;
mod http1;
mod stats;
mod stream;
#[cfg(test)]
mod tests;

pub use config::L7Config;
pub use engine::Engine;
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
