//! What numbers look like: widths, and the line between fine and bad.

use crate::parts::units;
use crate::state::Metric;

/// Sums over conversations.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Totals {
    pub(crate) bytes_sent: u64,
    pub(crate) bytes_received: u64,
    pub(crate) packets: u64,
    pub(crate) dropped: u64,
    pub(crate) requests: u64,
    pub(crate) errors: u64,
    pub(crate) flows: u64,
    /// The slowest median; percentiles of several conversations cannot be joined.
    pub(crate) p50_us: Option<f64>,
    /// The slowest 99th percentile.
    pub(crate) p99_us: Option<f64>,
}

impl Totals {
    /// Adds another sum.
    pub(crate) fn add(&mut self, other: &Self) {
        self.bytes_sent += other.bytes_sent;
        self.bytes_received += other.bytes_received;
        self.packets += other.packets;
        self.dropped += other.dropped;
        self.requests += other.requests;
        self.errors += other.errors;
        self.flows += other.flows;
        self.p50_us = larger(self.p50_us, other.p50_us);
        self.p99_us = larger(self.p99_us, other.p99_us);
    }

    /// Bytes both ways.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes_sent + self.bytes_received
    }

    /// Share of packets that were dropped, 0 to 1; of flows where packets are not counted.
    pub(crate) fn drop_share(&self) -> f64 {
        let seen = if self.packets > 0 { self.packets } else { self.flows };
        share(self.dropped, seen.max(self.dropped))
    }

    /// Share of requests the server failed, 0 to 1.
    pub(crate) fn error_share(&self) -> f64 {
        share(self.errors, self.requests.max(self.errors))
    }

    /// Whether something got through: an answer came. Cilium's agents count neither bytes nor packets; of their flows one
    /// that was not dropped is enough.
    pub(crate) fn gets_through(&self) -> bool {
        let uncounted = self.bytes() == 0 && self.packets == 0;
        self.bytes_received > 0 || self.p50_us.is_some() || (uncounted && self.flows > self.dropped)
    }

    /// Whether there were drops, and nothing got through.
    pub(crate) fn is_blocked(&self) -> bool {
        self.dropped > 0 && !self.gets_through()
    }

    /// How well it goes.
    pub(crate) fn health(&self) -> Health {
        // The floors keep a single unlucky packet or request from painting a busy edge.
        let drops = if self.dropped >= 3 { self.drop_share() } else { 0.0 };
        let errors = if self.errors >= 3 { self.error_share() } else { 0.0 };
        if self.is_blocked() {
            Health::Blocked
        } else if drops >= DROPS_BAD {
            Health::Dropping
        } else if errors >= ERRORS_BAD {
            Health::Failing
        } else if drops >= DROPS_WARN || errors >= ERRORS_WARN {
            Health::Warn
        } else {
            Health::Fine
        }
    }

    /// The number a metric shows, per second where it is a count.
    pub(crate) fn value(&self, metric: Metric, seconds: f64) -> f64 {
        match metric {
            Metric::Bytes => self.bytes() as f64 / seconds,
            Metric::Packets => self.packets as f64 / seconds,
            Metric::Requests => self.requests as f64 / seconds,
            Metric::Latency => self.p99_us.unwrap_or(0.0),
        }
    }

    /// That number in words; empty where there is none.
    pub(crate) fn text(&self, metric: Metric, seconds: f64) -> String {
        let value = self.value(metric, seconds);
        match metric {
            _ if value <= 0.0 => String::new(),
            Metric::Bytes => units::bytes_per_second(value),
            Metric::Packets => format!("{} pkt/s", units::count(value)),
            Metric::Requests => format!("{} req/s", units::count(value)),
            Metric::Latency => units::micros(value),
        }
    }
}

/// Shares of dropped packets and of failed requests from which an edge is amber, and red.
const DROPS_WARN: f64 = 0.001;
const DROPS_BAD: f64 = 0.01;
const ERRORS_WARN: f64 = 0.01;
const ERRORS_BAD: f64 = 0.05;

/// How well a conversation goes, the worst last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Health {
    /// Nothing to say.
    #[default]
    Fine,
    /// Some drops or errors.
    Warn,
    /// Many requests fail.
    Failing,
    /// Many packets are dropped.
    Dropping,
    /// Nothing gets through.
    Blocked,
}

impl Health {
    /// In words; empty for fine.
    pub(crate) const fn words(self) -> &'static str {
        match self {
            Self::Fine => "",
            Self::Warn => "some drops or errors",
            Self::Failing => "requests fail",
            Self::Dropping => "packets are dropped",
            Self::Blocked => "blocked: nothing gets through",
        }
    }
}

/// Number of widths.
pub(crate) const WIDTHS: usize = 4;

/// Which of [`WIDTHS`] widths stands for `value`, by its logarithm between the smallest and the largest shown.
pub(crate) fn width_step(value: f64, smallest: f64, largest: f64) -> usize {
    if value <= 0.0 || largest <= smallest * 1.5 {
        return 0;
    }
    let smallest = smallest.max(largest * 1e-6);
    let share = (value / smallest).ln().max(0.0) / (largest / smallest).ln();
    // Whole powers lie on the line between two widths, or by rounding a hair below it.
    ((share * WIDTHS as f64 + 1e-9) as usize).min(WIDTHS - 1)
}

fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}

fn larger(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.max(b)),
        (a, b) => a.or(b),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn talk() -> Totals {
        Totals { packets: 1000, bytes_sent: 9000, bytes_received: 90_000, requests: 100, ..Totals::default() }
    }

    #[test]
    fn health_follows_shares_not_single_events() {
        for (totals, health) in [
            (talk(), Health::Fine),
            (Totals { dropped: 2, ..talk() }, Health::Fine),
            (Totals { dropped: 3, ..talk() }, Health::Warn),
            (Totals { dropped: 10, ..talk() }, Health::Dropping),
            (Totals { errors: 2, ..talk() }, Health::Fine),
            (Totals { errors: 3, ..talk() }, Health::Warn),
            (Totals { errors: 5, ..talk() }, Health::Failing),
            (Totals { dropped: 1, packets: 1, bytes_sent: 60, ..Totals::default() }, Health::Blocked),
        ] {
            assert_eq!(totals.health(), health, "{totals:?}");
        }
    }

    #[test]
    fn flows_tell_where_neither_bytes_nor_packets_are_counted() {
        for (flows, dropped, share, health) in [
            (100_003, 3, 3.0 / 100_003.0, Health::Fine),
            (1000, 3, 0.003, Health::Warn),
            (100, 3, 0.03, Health::Dropping),
            (3, 3, 1.0, Health::Blocked),
            // One report of a drop stands for several packets.
            (1, 20, 1.0, Health::Blocked),
            (100, 0, 0.0, Health::Fine),
        ] {
            let totals = Totals { flows, dropped, ..Totals::default() };
            assert_eq!((totals.drop_share(), totals.health()), (share, health), "{totals:?}");
        }
        let answered = Totals { flows: 3, dropped: 3, p50_us: Some(900.0), ..Totals::default() };
        assert_eq!(answered.health(), Health::Dropping, "a request had its response");
        let reported = Totals { flows: 50, packets: 40, bytes_sent: 2400, dropped: 10, ..Totals::default() };
        assert_eq!(reported.health(), Health::Blocked, "packets went out and no byte came back");
    }

    #[test]
    fn widths_are_logarithmic() {
        let steps: Vec<usize> =
            [0.0, 1.0, 10.0, 100.0, 1000.0, 10_000.0].iter().map(|v| width_step(*v, 1.0, 1e4)).collect();
        assert_eq!(steps, [0, 0, 1, 2, 3, 3]);
        assert_eq!(width_step(5.0, 5.0, 5.0), 0, "all alike: no width stands out");
    }

    #[test]
    fn numbers_carry_their_unit() {
        assert_eq!(talk().text(Metric::Bytes, 10.0), "9.9 kB/s");
        assert_eq!(talk().text(Metric::Requests, 10.0), "10 req/s");
        assert_eq!(talk().text(Metric::Latency, 10.0), "");
    }

    #[test]
    fn sums_keep_the_slowest() {
        let mut sum = Totals { p99_us: Some(5.0), ..talk() };
        sum.add(&Totals { p99_us: Some(9.0), p50_us: Some(2.0), ..talk() });
        assert_eq!((sum.p50_us, sum.p99_us, sum.packets), (Some(2.0), Some(9.0), 2000));
    }
}
