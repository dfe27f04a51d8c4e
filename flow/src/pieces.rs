//! A flow as it came, in pieces that repeat from flow to flow.

use std::net::IpAddr;

use crate::{Ethernet, Flow, FlowDetails, FlowPhase, L4, Timestamp};

/// A flow whose parts are still encoded, except for what differs in nearly every flow.
///
/// Two flows whose encoded pieces have the same bytes have the same values there; what the bytes mean is known to
/// whoever made the pieces ([`DecodePieces`]).
#[derive(Clone, Debug, Default)]
pub struct FlowPieces<'a> {
    /// [`Flow::time`].
    pub time: Timestamp,
    /// The UUID of [`Flow::id`].
    pub uuid: [u8; 16],
    /// All that is in no other piece: what the observer saw happen, and why.
    pub common: &'a [u8],
    /// [`Flow::summary`].
    pub summary: &'a str,
    /// [`Flow::ethernet`].
    pub ethernet: Option<Ethernet>,
    /// [`Flow::ip`], where nothing was translated.
    pub ip: Option<IpPieces<'a>>,
    /// [`Flow::l4`].
    pub l4: Option<L4>,
    /// [`Flow::source`].
    pub source: Option<&'a [u8]>,
    /// [`Flow::destination`].
    pub destination: Option<&'a [u8]>,
    /// [`Flow::node_name`], [`Flow::node_labels`] and [`Flow::emitter`].
    pub observer: &'a [u8],
    /// [`Flow::source_names`].
    pub source_names: Option<&'a [u8]>,
    /// [`Flow::destination_names`].
    pub destination_names: Option<&'a [u8]>,
    /// [`Flow::source_service`].
    pub source_service: Option<&'a [u8]>,
    /// [`Flow::destination_service`].
    pub destination_service: Option<&'a [u8]>,
    /// [`Flow::interface`].
    pub interface: Option<&'a [u8]>,
    /// [`Flow::trace_id`].
    pub trace_id: &'a str,
    /// [`Flow::l7`].
    pub l7: Option<L7Pieces<'a>>,
    /// [`Flow::socket_cookie`].
    pub socket_cookie: u64,
    /// [`Flow::cgroup_id`].
    pub cgroup_id: u64,
    /// [`Flow::details`].
    pub details: Option<DetailsPieces<'a>>,
}

/// A network header in pieces.
#[derive(Clone, Copy, Debug)]
pub struct IpPieces<'a> {
    /// Source address.
    pub source: &'a [u8],
    /// Destination address.
    pub destination: &'a [u8],
    /// Whether it was encrypted in transit.
    pub encrypted: bool,
}

/// An application record in pieces.
#[derive(Clone, Copy, Debug)]
pub struct L7Pieces<'a> {
    /// Time from request to response.
    pub latency_ns: u64,
    /// All else.
    pub record: &'a [u8],
}

/// Details in pieces; the fields are those of [`FlowDetails`].
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "FlowDetails tells what they are")]
pub struct DetailsPieces<'a> {
    pub phase: FlowPhase,
    pub bytes: u64,
    pub packets: u64,
    pub conversation: u64,
    pub rtt_us: u32,
    pub retransmits: u32,
    pub vlan: u16,
    pub source_process: Option<&'a [u8]>,
    pub destination_process: Option<&'a [u8]>,
    pub kernel_drop: Option<&'a [u8]>,
}

/// Says what encoded pieces mean. `None` where that cannot be said of the piece alone: then the flow has to be decoded
/// as a whole.
pub trait DecodePieces {
    /// A flow that has what the piece holds, and nothing else.
    fn flow(&mut self, piece: &[u8]) -> Option<Flow>;

    /// Details that have what the piece holds, and nothing else.
    fn details(&mut self, piece: &[u8]) -> Option<FlowDetails>;

    /// An address.
    fn address(&mut self, piece: &[u8]) -> Option<IpAddr>;
}
