//! Flows a second over the last minute.

use std::collections::VecDeque;
use std::time::Duration;

use flow::Timestamp;

/// Span the rate is taken over.
const SPAN: Duration = Duration::from_secs(60);
/// Samples kept: one a second and the one at the edge.
const SAMPLES_MAX: usize = 61;

/// Totals of the last minute, fed about once a second.
#[derive(Debug, Default)]
pub(crate) struct Rate {
    samples: VecDeque<(Timestamp, u64)>,
}

impl Rate {
    /// Notes how many flows there had been at `now`.
    pub(crate) fn sample(&mut self, now: Timestamp, total: u64) {
        // A clock that was set back would make the span negative: begin anew.
        if self.samples.back().is_some_and(|(last, _)| *last >= now) {
            self.samples.clear();
        }
        self.samples.push_back((now, total));
        let outdated =
            |samples: &VecDeque<(Timestamp, u64)>| samples.get(1).is_some_and(|(t, _)| now.since(*t) >= SPAN);
        while self.samples.len() > SAMPLES_MAX || outdated(&self.samples) {
            self.samples.pop_front();
        }
    }

    /// Flows a second; over the time since the first sample where that is shorter than a minute, 0 before the second.
    pub(crate) fn per_second(&self) -> f64 {
        let (Some((t0, n0)), Some((t1, n1))) = (self.samples.front(), self.samples.back()) else { return 0.0 };
        let seconds = t1.since(*t0).as_secs_f64();
        if seconds <= 0.0 { 0.0 } else { n1.saturating_sub(*n0) as f64 / seconds }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * Timestamp::NANOS_PER_SECOND)
    }

    #[test]
    fn only_the_last_minute_counts() {
        let mut rate = Rate::default();
        assert!(rate.per_second().abs() < 1e-9);
        for second in 0..100 {
            rate.sample(at(second), 1_000_000 + u64::try_from(second).unwrap() * 50);
        }
        assert!((rate.per_second() - 50.0).abs() < 1e-9);
        for second in 100..161 {
            rate.sample(at(second), 1_000_000 + 99 * 50);
        }
        assert!(rate.per_second().abs() < 1e-9, "silence for a minute is no flows");
        assert!(rate.samples.len() <= SAMPLES_MAX);
    }

    #[test]
    fn a_clock_set_back_begins_anew() {
        let mut rate = Rate::default();
        rate.sample(at(1000), 10);
        rate.sample(at(10), 20);
        rate.sample(at(12), 40);
        assert!((rate.per_second() - 10.0).abs() < 1e-9);
    }
}
