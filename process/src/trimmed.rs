//! When free pages go back to the system.

use std::time::{Duration, Instant};

use crate::{resident, trim};

/// Time between two times that free pages are given back while memory is not short.
const TRIM_CALM: Duration = Duration::from_secs(30);
/// The same while the process grows, for a part of that is always what batches and answers on their way leave behind.
const TRIM_GROWN: Duration = Duration::from_secs(2);
/// So much counts as growth: bytes, and the share of what was left the last time.
const GROWTH_MIN: usize = 4 << 20;
const GROWTH_SHARE: usize = 8;
/// So many times what it took, so that it costs a hundredth of a processor at most, and a tenth while memory is short.
const TRIM_COST: u32 = 100;
const TRIM_COST_SHORT: u32 = 10;

/// When free pages were given back.
#[derive(Clone, Copy, Debug)]
pub struct Trimmed {
    at: Instant,
    took: Duration,
    /// Bytes the process occupied then.
    left: usize,
}

impl Trimmed {
    /// They were not yet, in this process.
    #[must_use]
    pub fn never() -> Self {
        Self { at: Instant::now(), took: Duration::ZERO, left: 0 }
    }

    /// Gives free pages back. Takes some milliseconds: call it from a thread that may block.
    #[must_use]
    pub fn again() -> Self {
        let begun = Instant::now();
        trim();
        Self { at: Instant::now(), took: begun.elapsed(), left: resident().unwrap_or(0) }
    }

    /// Whether it is time again, where the process occupies so many bytes, at `now`. `is_short`: memory is, or much was
    /// freed.
    #[must_use]
    pub fn is_due(&self, resident: usize, is_short: bool, now: Instant) -> bool {
        let since = now.duration_since(self.at);
        let has_grown = resident.saturating_sub(self.left) >= GROWTH_MIN.max(self.left / GROWTH_SHARE);
        since >= TRIM_CALM
            || (has_grown && since >= TRIM_GROWN.max(self.took * TRIM_COST))
            || (is_short && since >= self.took * TRIM_COST_SHORT)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    #[test]
    fn free_pages_go_back_when_the_process_grew_and_at_little_cost() {
        let at = Instant::now();
        let trimmed = |took_ms, left_mib: usize| {
            let took = Duration::from_millis(took_ms);
            move |resident_mib: usize, is_short, after_ms| {
                let trimmed = Trimmed { at, took, left: left_mib * MIB };
                trimmed.is_due(resident_mib * MIB, is_short, at + Duration::from_millis(after_ms))
            }
        };
        let small = trimmed(1, 20);
        assert!(small(24, false, 2_000) && !small(23, false, 29_999) && small(20, false, 30_000));
        assert!(!small(40, false, 1_999) && small(40, true, 10));
        let large = trimmed(50, 800);
        assert!(!large(899, false, 20_000) && !large(900, false, 4_999) && large(900, false, 5_000));
        assert!(!large(1_000, true, 499) && large(1_000, true, 500));
    }
}
