//! Numbers of a flow that can be compared.

use crate::{Flow, L7Record};

/// A number of a flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Measure {
    /// Time from request to response, in nanoseconds.
    Latency,
    /// Round-trip time of the connection, in nanoseconds.
    Rtt,
    /// Bytes since the report before.
    Bytes,
    /// Packets since the report before.
    Packets,
    /// Segments sent again since the connection began.
    Retransmits,
    /// Status of an HTTP response, so that `status >= 500` can be said.
    HttpStatus,
    /// Time to live of a DNS answer, in nanoseconds.
    DnsTtl,
}

/// Ways to compare numbers, with their signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Equal,
    Unequal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// A measure compared with a quantity. It is false for flows that do not carry the measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Comparison {
    measure: Measure,
    order: Order,
    quantity: u64,
}

/// Units of time in nanoseconds; a number alone is milliseconds.
const TIMES: &[(&str, f64)] =
    &[("", 1e6), ("ns", 1.0), ("us", 1e3), ("µs", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 6e10), ("h", 3.6e12)];
/// Units of size.
const SIZES: &[(&str, f64)] = &[
    ("", 1.0),
    ("b", 1.0),
    ("kb", 1e3),
    ("mb", 1e6),
    ("gb", 1e9),
    ("kib", 1024.0),
    ("mib", 1_048_576.0),
    ("gib", 1_073_741_824.0),
];
/// Bare numbers.
const COUNTS: &[(&str, f64)] = &[("", 1.0)];

impl Measure {
    /// All of them, in the order to show them.
    pub const ALL: [Self; 7] =
        [Self::Latency, Self::Rtt, Self::Bytes, Self::Packets, Self::Retransmits, Self::HttpStatus, Self::DnsTtl];

    /// The key that names it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Latency => "latency",
            Self::Rtt => "rtt",
            Self::Bytes => "bytes",
            Self::Packets => "packets",
            Self::Retransmits => "retransmits",
            Self::HttpStatus => "http.status",
            Self::DnsTtl => "dns.ttl",
        }
    }

    /// One line of help.
    #[must_use]
    pub const fn help(self) -> &'static str {
        match self {
            Self::Latency => "time from request to response, as 250ms",
            Self::Rtt => "round-trip time of the connection, as 5ms",
            Self::Bytes => "bytes since the report before, as 1MB",
            Self::Packets => "packets since the report before",
            Self::Retransmits => "segments sent again since the connection began",
            Self::HttpStatus => "status of a response, as http.status >= 500",
            Self::DnsTtl => "time to live of a DNS answer, as 30s",
        }
    }

    /// The measure of a key.
    pub(super) fn find(name: &str) -> Option<Self> {
        let lower = name.to_ascii_lowercase();
        let named = if lower == "status" { "http.status" } else { &lower };
        Self::ALL.into_iter().find(|measure| measure.name() == named)
    }

    /// Its units, as an error lists them.
    pub(super) const fn units_shown(self) -> &'static str {
        match self {
            Self::Latency | Self::Rtt | Self::DnsTtl => "ns, us, ms, s, m, h",
            Self::Bytes => "B, kB, MB, GB, KiB, MiB, GiB",
            Self::Packets | Self::Retransmits | Self::HttpStatus => "no unit",
        }
    }

    const fn units(self) -> &'static [(&'static str, f64)] {
        match self {
            Self::Latency | Self::Rtt | Self::DnsTtl => TIMES,
            Self::Bytes => SIZES,
            Self::Packets | Self::Retransmits | Self::HttpStatus => COUNTS,
        }
    }

    /// Reads a number with a unit.
    pub(super) fn quantity(self, text: &str) -> Option<u64> {
        let digits = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let number: f64 = text[..digits].parse().ok()?;
        let unit = text[digits..].to_lowercase();
        let factor = self.units().iter().find(|(name, _)| *name == unit)?.1;
        // A cast saturates, and quantities beyond its range are greater than any flow's.
        Some((number * factor).round() as u64)
    }

    fn of(self, flow: &Flow) -> Option<u64> {
        let details = flow.details.as_deref();
        let l7 = flow.l7.as_deref();
        let known = |value: u64| (value > 0).then_some(value);
        match (self, l7.map(|l7| &l7.record)) {
            (Self::Latency, _) => l7.and_then(|l7| known(l7.latency_ns)),
            (Self::Rtt, _) => details.and_then(|d| known(u64::from(d.rtt_us) * 1_000)),
            (Self::Bytes, _) => details.map(|d| d.bytes),
            (Self::Packets, _) => details.map(|d| d.packets),
            (Self::Retransmits, _) => details.map(|d| d.retransmits.into()),
            (Self::HttpStatus, Some(L7Record::Http(http))) => known(http.code.into()),
            (Self::DnsTtl, Some(L7Record::Dns(dns))) => known(u64::from(dns.ttl_seconds) * 1_000_000_000),
            (Self::HttpStatus | Self::DnsTtl, _) => None,
        }
    }
}

impl Order {
    pub(super) fn of_sign(sign: &str) -> Option<Self> {
        Some(match sign {
            "=" => Self::Equal,
            "!=" => Self::Unequal,
            "<" => Self::Less,
            "<=" => Self::LessOrEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterOrEqual,
            _ => return None,
        })
    }
}

impl Comparison {
    pub(super) const fn new(measure: Measure, order: Order, quantity: u64) -> Self {
        Self { measure, order, quantity }
    }

    /// True for all flows that carry the measure.
    pub(super) const fn carried(measure: Measure) -> Self {
        Self::new(measure, Order::GreaterOrEqual, 0)
    }

    /// Whether the flow carries the measure and the comparison holds.
    #[must_use]
    pub fn matches(&self, flow: &Flow) -> bool {
        let Some(value) = self.measure.of(flow) else { return false };
        match self.order {
            Order::Equal => value == self.quantity,
            Order::Unequal => value != self.quantity,
            Order::Less => value < self.quantity,
            Order::LessOrEqual => value <= self.quantity,
            Order::Greater => value > self.quantity,
            Order::GreaterOrEqual => value >= self.quantity,
        }
    }
}
