//! What is counted, and under which keys.

use crate::map::columns::{L7, View};

use super::Sketch;

/// Where a row was seen, with what became known later: traffic that only the server's side saw is counted twice where
/// the client's node reports it too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct SeenAt(pub(crate) u8);

impl SeenAt {
    /// Names in the tables, by number of the view.
    pub(crate) const NAMES: [&'static str; View::COUNT] =
        ["client", "client_network", "server", "server_network", "unknown"];

    const COUNT: u8 = 5;

    pub(crate) const fn of(view: View) -> Self {
        Self(view as u8)
    }

    /// The view it was seen from.
    pub(crate) const fn view(self) -> usize {
        (self.0 % Self::COUNT) as usize
    }

    /// Whether the client's node reports the same traffic.
    pub(crate) const fn is_repeated(self) -> bool {
        self.0 >= Self::COUNT
    }

    /// The same, reported by the client's node too.
    pub(crate) const fn repeated(self) -> Self {
        Self(self.0 % Self::COUNT + Self::COUNT)
    }

    /// Whether this is the client's side.
    pub(crate) const fn is_client(self) -> bool {
        matches!(self.0, 0 | 1)
    }
}

/// Names of application protocols in the tables, by number.
pub(crate) const L7_NAMES: [&str; 4] = ["", "HTTP", "DNS", "KAFKA"];

/// Key of `edges_1m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct EdgeKey {
    pub(super) client: u32,
    pub(super) server: u32,
    /// Key of the client as finely as rows tell it apart, where it is not known yet whether its own node reports the
    /// same traffic; else 0.
    pub(super) client_key: i64,
    pub(super) port: u16,
    pub(super) protocol: u8,
    pub(super) l7: u8,
    pub(super) seen_at: SeenAt,
}

/// Counts of `edges_1m`.
#[derive(Clone, Debug, Default)]
pub(crate) struct EdgeCounts {
    pub(crate) flows: u64,
    pub(crate) reports: u64,
    pub(crate) packets: u64,
    pub(crate) sent: u64,
    pub(crate) received: u64,
    pub(crate) drops: u64,
    pub(crate) dropped: u64,
    pub(crate) requests: u64,
    pub(crate) responses: u64,
    pub(crate) samples: u64,
    pub(crate) errors_4xx: u64,
    pub(crate) errors_5xx: u64,
    pub(crate) dns_errors: u64,
    pub(crate) latency: Latency,
}

/// A sketch that takes no room while it is empty.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latency(pub(crate) Option<Box<Sketch>>);

impl Latency {
    pub(super) fn add(&mut self, nanos: u64) {
        self.0.get_or_insert_default().add(nanos);
    }

    fn join(&mut self, other: &Self) {
        if let Some(theirs) = &other.0 {
            self.0.get_or_insert_default().join(theirs);
        }
    }

    pub(super) fn sketch(&self) -> Option<&Sketch> {
        self.0.as_deref()
    }

    fn heap_bytes(&self) -> usize {
        self.0.as_ref().map_or(0, |sketch| size_of::<Sketch>() + sketch.heap_bytes())
    }
}

/// Key of `drops_1m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DropKey {
    pub(super) reason: u32,
    pub(super) function: u32,
    pub(super) source: u32,
    pub(super) destination: u32,
    /// Of the server's side.
    pub(super) port: u16,
    pub(super) protocol: u8,
    pub(super) is_reply: bool,
    /// Whether a request was refused rather than packets dropped.
    pub(super) is_request: bool,
}

/// Counts of `drops_1m`.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct DropCounts {
    pub(super) drops: u64,
    pub(super) packets: u64,
}

/// Key of `dns_1m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct DnsKey {
    pub(super) name: u32,
    pub(super) qtype: u32,
    pub(super) client: u32,
    pub(super) rcode: u16,
}

/// Counts of `dns_1m`.
#[derive(Clone, Debug, Default)]
pub(super) struct DnsCounts {
    pub(super) queries: u64,
    pub(super) responses: u64,
    pub(super) failures: u64,
    pub(super) latency: Latency,
}

/// A key of a bounded table.
pub(super) trait Key: Copy + Eq + std::hash::Hash {
    /// Counts under it.
    type Counts: Counts;
    /// The row that takes what is too much.
    const OVERFLOW: Self;
}

/// Counts that add up.
pub(super) trait Counts: Clone + Default {
    fn join(&mut self, other: &Self);
    /// Rows these counts stand for.
    fn rows(&self) -> u64;
    /// Bytes beside their own.
    fn heap_bytes(&self) -> usize {
        0
    }
}

impl Key for EdgeKey {
    type Counts = EdgeCounts;
    const OVERFLOW: Self = Self {
        client: 0,
        server: 0,
        client_key: 0,
        port: 0,
        protocol: 0,
        l7: L7::None as u8,
        seen_at: SeenAt(View::Unknown as u8),
    };
}

impl Key for DropKey {
    type Counts = DropCounts;
    const OVERFLOW: Self = Self {
        reason: 0,
        function: 0,
        source: 0,
        destination: 0,
        port: 0,
        protocol: 0,
        is_reply: false,
        is_request: false,
    };
}

impl Key for DnsKey {
    type Counts = DnsCounts;
    const OVERFLOW: Self = Self { name: 0, qtype: 0, client: 0, rcode: 0 };
}

impl Counts for EdgeCounts {
    fn join(&mut self, other: &Self) {
        let pairs = [
            (&mut self.flows, other.flows),
            (&mut self.reports, other.reports),
            (&mut self.packets, other.packets),
            (&mut self.sent, other.sent),
            (&mut self.received, other.received),
            (&mut self.drops, other.drops),
            (&mut self.dropped, other.dropped),
            (&mut self.requests, other.requests),
            (&mut self.responses, other.responses),
            (&mut self.samples, other.samples),
            (&mut self.errors_4xx, other.errors_4xx),
            (&mut self.errors_5xx, other.errors_5xx),
            (&mut self.dns_errors, other.dns_errors),
        ];
        for (ours, theirs) in pairs {
            *ours = ours.saturating_add(theirs);
        }
        self.latency.join(&other.latency);
    }

    fn rows(&self) -> u64 {
        self.flows
    }

    fn heap_bytes(&self) -> usize {
        self.latency.heap_bytes()
    }
}

impl Counts for DropCounts {
    fn join(&mut self, other: &Self) {
        self.drops = self.drops.saturating_add(other.drops);
        self.packets = self.packets.saturating_add(other.packets);
    }

    fn rows(&self) -> u64 {
        self.drops
    }
}

impl Counts for DnsCounts {
    fn join(&mut self, other: &Self) {
        self.queries = self.queries.saturating_add(other.queries);
        self.responses = self.responses.saturating_add(other.responses);
        self.failures = self.failures.saturating_add(other.failures);
        self.latency.join(&other.latency);
    }

    fn rows(&self) -> u64 {
        self.queries.saturating_add(self.responses)
    }

    fn heap_bytes(&self) -> usize {
        self.latency.heap_bytes()
    }
}
