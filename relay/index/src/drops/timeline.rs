//! Drops over time.

use std::collections::BTreeMap;
use std::time::Duration;

use flow::Timestamp;
use flow::view::DropBucket;

use crate::map::FewTexts;

/// Slices of a timeline, at most.
const SLICES_MAX: u64 = 120;

/// Lengths of a slice that read well.
const SLICE_SECONDS: [u64; 12] = [1, 2, 5, 10, 15, 30, 60, 300, 900, 3_600, 21_600, 86_400];

/// Lengths in seconds in which packets are counted, each until drops lie so many seconds apart; beyond the last in days.
/// By then a slice is a multiple of the next one.
const STEPS: [(u64, u64); 4] = [(1, 3_600), (60, 36_000), (900, 432_000), (21_600, 2_592_000)];
const DAY: u64 = 86_400;

/// Dropped packets by time and reason, with few entries however far apart the first and the last are.
#[derive(Debug)]
pub(super) struct Timeline {
    /// Seconds of the first and the last drop.
    span: Option<(i64, i64)>,
    /// Length of what is counted together, in seconds.
    step: u64,
    /// By the first second and the reason's number.
    packets: BTreeMap<(i64, u32), u64>,
}

impl Default for Timeline {
    fn default() -> Self {
        Self { span: None, step: STEPS[0].0, packets: BTreeMap::new() }
    }
}

impl Timeline {
    pub(super) fn add(&mut self, time: Timestamp, reason: u32, packets: u64) {
        let second = time.0.div_euclid(Timestamp::NANOS_PER_SECOND);
        self.widen(second, second);
        self.count(second, reason, packets);
    }

    /// Adds what another counted, whose reasons have other numbers.
    pub(super) fn join(&mut self, other: Self, reasons: &[u32]) {
        let Some((first, last)) = other.span else { return };
        self.widen(first, last);
        for ((second, reason), packets) in other.packets {
            self.count(second, reasons[reason as usize], packets);
        }
    }

    fn widen(&mut self, first: i64, last: i64) {
        let (first, last) = self.span.map_or((first, last), |(from, to)| (first.min(from), last.max(to)));
        self.span = Some((first, last));
        let seconds = last.abs_diff(first) + 1;
        let step = STEPS.iter().find(|(_, until)| seconds <= *until).map_or(DAY, |(step, _)| *step);
        if step > self.step {
            self.step = step;
            for ((second, reason), packets) in std::mem::take(&mut self.packets) {
                self.count(second, reason, packets);
            }
        }
    }

    fn count(&mut self, second: i64, reason: u32, packets: u64) {
        let step = self.step.cast_signed();
        let count = self.packets.entry((second.div_euclid(step) * step, reason)).or_default();
        *count = count.saturating_add(packets);
    }

    /// Slices that are not empty, of a length that makes them few.
    pub(super) fn slices(&self, names: &FewTexts) -> Vec<DropBucket> {
        let Some((first, last)) = self.span else { return Vec::new() };
        let seconds = last.abs_diff(first) + 1;
        let fits = |length: &&u64| seconds.div_ceil(**length) <= SLICES_MAX;
        let days = || seconds.div_ceil(SLICES_MAX).next_multiple_of(DAY);
        let length = Duration::from_secs(SLICE_SECONDS.iter().find(fits).copied().unwrap_or_else(days));
        let mut slices: BTreeMap<(Timestamp, &str), u64> = BTreeMap::new();
        for ((second, reason), packets) in &self.packets {
            let slice = Timestamp::from_parts(*second, 0).window(length);
            let count = slices.entry((slice, names.text(*reason))).or_default();
            *count = count.saturating_add(*packets);
        }
        let bucket = |((time, reason), packets): ((Timestamp, &str), u64)| DropBucket {
            time: time.to_string(),
            reason: reason.to_owned(),
            packets,
        };
        slices.into_iter().map(bucket).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: u64) -> Timestamp {
        Timestamp::from_parts(second.cast_signed(), 0)
    }

    /// Slices made of every second, as if all were kept.
    fn plain(seconds: &[u64], length: u64) -> Vec<(String, u64)> {
        let mut slices = BTreeMap::new();
        for second in seconds {
            *slices.entry(at(*second).window(Duration::from_secs(length))).or_insert(0) += 1;
        }
        slices.into_iter().map(|(time, packets)| (time.to_string(), packets)).collect()
    }

    #[test]
    fn few_entries_give_the_same_slices() {
        let mut names = FewTexts::default();
        let reason = names.number("NO_SOCKET");
        let begin = 1_768_471_872;
        for (span, length) in [
            (100, 1),
            (3_599, 30),
            (3_601, 60),
            (35_000, 300),
            (37_000, 900),
            (431_000, 3_600),
            (440_000, 21_600),
            (2_600_000, 86_400),
            (40_000_000, 4 * 86_400),
        ] {
            let seconds: Vec<u64> = (0..=500).map(|n| begin + span * n / 500).collect();
            let mut halves = [Timeline::default(), Timeline::default()];
            for (n, second) in seconds.iter().enumerate() {
                halves[n % 2].add(at(*second), reason, 1);
            }
            let [mut all, other] = halves;
            all.join(other, &[reason]);
            let found: Vec<_> = all.slices(&names).into_iter().map(|slice| (slice.time, slice.packets)).collect();
            assert_eq!(found, plain(&seconds, length), "{span} seconds");
            assert!(found.len() <= 121);
        }
    }

    #[test]
    fn entries_stay_few_and_counts_do_not_overflow() {
        let mut timeline = Timeline::default();
        for hour in 0..100_000 {
            for second in [0, 7, 61] {
                timeline.add(at(hour * 3_600 + second), 0, u64::MAX / 2);
            }
        }
        assert!(timeline.packets.len() <= 4_200, "{}", timeline.packets.len());
        assert!(timeline.packets.values().all(|packets| *packets == u64::MAX));
    }
}
