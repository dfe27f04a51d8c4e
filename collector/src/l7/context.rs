//! What a parser works with besides the bytes.

use flow::{L7, L7FlowType, L7Record, Timestamp};

use super::dns::Queries;
use super::http1::HttpRules;
use super::{ClientServer, L7Event, L7Stats, Sink, Transport};

/// What a parser works with besides the bytes of one chunk.
pub(super) struct Context<'a> {
    /// Limits and choices.
    pub(super) rules: &'a Rules,
    /// Counters.
    pub(super) stats: &'a mut L7Stats,
    /// DNS queries that wait for their answer.
    pub(super) queries: &'a mut Queries,
    /// The connection.
    pub(super) origin: Origin,
    /// When the bytes were seen.
    pub(super) time: Timestamp,
    /// Receiver of events.
    pub(super) out: Sink<'a>,
}

/// Prepared configuration.
#[derive(Debug)]
pub(super) struct Rules {
    /// Of HTTP.
    pub(super) http: HttpRules,
    /// Ports on which DNS over TCP is expected.
    pub(super) dns_ports: Vec<u16>,
}

/// Connection or socket that records are read from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin {
    /// Key of the connection or socket.
    pub(super) conn: u64,
    /// Transport.
    pub(super) transport: Transport,
    /// The two ends by role.
    pub(super) tuple: ClientServer,
    /// Network namespace for loopback addresses, 0 for all others.
    pub(super) netns: u64,
    /// Whether the owner of the socket is the server.
    pub(super) local_is_server: Option<bool>,
}

impl Context<'_> {
    /// Gives out a request that began at `time`.
    pub(super) fn emit_request(&mut self, time: Timestamp, record: L7Record, trace_id: String) {
        self.emit(true, time, L7 { kind: L7FlowType::REQUEST, latency_ns: 0, record }, trace_id);
    }

    /// Gives out a response that began at `time` to a request that began at `asked`.
    pub(super) fn emit_response(
        &mut self,
        time: Timestamp,
        asked: Option<Timestamp>,
        record: L7Record,
        trace_id: String,
    ) {
        let latency = asked.map_or(0, |asked| time.since(asked).as_nanos());
        let latency_ns = u64::try_from(latency).unwrap_or(u64::MAX);
        self.emit(false, time, L7 { kind: L7FlowType::RESPONSE, latency_ns, record }, trace_id);
    }

    fn emit(&mut self, from_client: bool, time: Timestamp, record: L7, trace_id: String) {
        let Origin { conn, transport, tuple, local_is_server, .. } = self.origin;
        (self.out)(L7Event { conn, transport, tuple, from_client, local_is_server, time, record, trace_id });
    }
}
