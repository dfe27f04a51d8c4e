//! Quantiles of latencies in bounded memory.

use crate::rollup::{Part, Sketch};

/// Latencies of one edge: exact while there are few, then a histogram whose error is at most 1.6 %.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latencies {
    few: Vec<u64>,
    many: Option<Box<Histogram>>,
    count: u64,
}

/// Samples kept exactly.
pub(crate) const FEW: usize = 64;

/// Each power of two is divided into this many bins.
const BINS: usize = 32;
const BIN_BITS: u32 = BINS.trailing_zeros();

/// Counts by size: bins of width 1 up to 64, then 32 bins for each power of two up to 2^64.
type Histogram = [u32; (64 - BIN_BITS as usize + 1) * BINS];

impl Latencies {
    pub(crate) fn add(&mut self, nanos: u64) {
        self.count += 1;
        if let Some(histogram) = &mut self.many {
            count(histogram, nanos, 1);
        } else if self.few.len() < FEW {
            self.few.push(nanos);
        } else {
            let mut histogram = Box::new([0; _]);
            for nanos in self.few.drain(..).chain([nanos]) {
                count(&mut histogram, nanos, 1);
            }
            self.few = Vec::new();
            self.many = Some(histogram);
        }
    }

    pub(crate) fn join(&mut self, other: &Self) {
        for nanos in &other.few {
            self.add(*nanos);
        }
        let Some(theirs) = &other.many else { return };
        self.count += other.count;
        let ours = self.many.get_or_insert_with(|| Box::new([0; _]));
        for nanos in self.few.drain(..) {
            count(ours, nanos, 1);
        }
        for (ours, theirs) in ours.iter_mut().zip(theirs.iter()) {
            *ours = ours.saturating_add(*theirs);
        }
    }

    /// Adds the latencies of an encoded sketch; bytes that are none add what can be read of them.
    pub(crate) fn join_encoded(&mut self, sketch: &[u8]) {
        let read = Sketch::read(sketch, |part| match part {
            Part::Value(nanos) => self.add(nanos),
            Part::Bin(bin, times) => {
                self.count += u64::from(times);
                let ours = self.many.get_or_insert_with(|| Box::new([0; _]));
                for nanos in self.few.drain(..) {
                    count(ours, nanos, 1);
                }
                ours[usize::from(bin)] = ours[usize::from(bin)].saturating_add(times);
            }
        });
        debug_assert!(read.is_some(), "rollups have sketches of ours");
    }

    /// The smallest latency that at least `percent` of a hundred do not exceed, in microseconds; `None` without samples.
    pub(crate) fn percentile_us(&self, percent: u64) -> Option<f64> {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let nanos = match &self.many {
            None => {
                let mut sorted = self.few.clone();
                sorted.sort_unstable();
                precise(*sorted.get(usize::try_from(rank).ok()? - 1)?)
            }
            Some(histogram) => {
                let mut seen = 0;
                let reached = |bin: &u32| {
                    seen += u64::from(*bin);
                    seen >= rank
                };
                middle(histogram.iter().position(reached)?)
            }
        };
        Some(nanos / 1_000.0)
    }
}

fn count(histogram: &mut Histogram, nanos: u64, times: u32) {
    let bin = &mut histogram[bin(nanos)];
    *bin = bin.saturating_add(times);
}

pub(crate) fn bin(nanos: u64) -> usize {
    let power = nanos.checked_ilog2().unwrap_or(0).saturating_sub(BIN_BITS);
    power as usize * BINS + usize::try_from(nanos >> power).expect("below twice the bins")
}

/// Value that stands for a bin: its middle.
pub(crate) fn middle(bin: usize) -> f64 {
    let power = (bin / BINS).saturating_sub(1);
    let first = precise(u64::try_from(bin - power * BINS).expect("below twice the bins"));
    let width = f64::from(u32::try_from(power).expect("at most 64")).exp2();
    if power == 0 { first } else { (first + 0.5) * width }
}

/// A latency as a fraction; above 2^53 ns (104 days) the last digits do not matter.
#[expect(clippy::cast_precision_loss, reason = "nobody reads nanoseconds of a latency of months")]
const fn precise(nanos: u64) -> f64 {
    nanos as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_into_a_bin_near_it() {
        for shift in 0..64 {
            for offset in [0, 1, 5, 1 << 20] {
                let value = (1_u64 << shift).saturating_add(offset);
                let found = middle(bin(value));
                let error = (found - precise(value)).abs() / precise(value);
                assert!(error <= 0.016, "{value}: {found}");
            }
        }
        assert_eq!(bin(0), 0);
        assert!(bin(u64::MAX) < Histogram::default_len());
    }

    trait DefaultLen {
        fn default_len() -> usize;
    }
    impl DefaultLen for Histogram {
        fn default_len() -> usize {
            size_of::<Self>() / size_of::<u32>()
        }
    }

    #[test]
    fn quantiles_are_exact_for_few_and_near_for_many() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentile_us(50), None);
        for micros in 1..=50 {
            latencies.add(micros * 1_000);
        }
        assert_eq!(latencies.percentile_us(50), Some(25.0));
        assert_eq!(latencies.percentile_us(99), Some(50.0));
        let mut all = Latencies::default();
        for micros in 51..=1_000 {
            all.add(micros * 1_000);
        }
        all.join(&latencies);
        latencies.join(&all.clone());
        assert_eq!(latencies.count, 1_050);
        let [p50, p99] = [50, 99].map(|p| all.percentile_us(p).unwrap());
        assert!((p50 / 500.0 - 1.0).abs() < 0.02, "{p50}");
        assert!((p99 / 990.0 - 1.0).abs() < 0.02, "{p99}");
    }
}
