//! From the kernel's time since boot to the wall clock.

use nix::time::{ClockId, clock_gettime};

/// How far the wall clock is ahead of the time since boot.
///
/// The wall clock is corrected while the machine runs, so the difference is measured anew from time to time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BootClock {
    offset_ns: i64,
}

impl BootClock {
    /// Measures the difference, to well under a microsecond on an idle machine.
    #[must_use]
    pub fn measure() -> Self {
        // Of several readings the one between the closest pair of boot times is the least disturbed.
        let readings = (0..5).map(|_| {
            let before = read_ns(ClockId::CLOCK_BOOTTIME);
            let wall = read_ns(ClockId::CLOCK_REALTIME);
            let after = read_ns(ClockId::CLOCK_BOOTTIME);
            (after - before, wall - before - (after - before) / 2)
        });
        Self { offset_ns: readings.min_by_key(|(width, _)| *width).map_or(0, |(_, offset)| offset) }
    }

    /// Nanoseconds to add to a time since boot for nanoseconds since the Unix epoch.
    #[must_use]
    pub fn offset_ns(self) -> i64 {
        self.offset_ns
    }

    /// Nanoseconds since the Unix epoch of a time since boot.
    #[must_use]
    pub fn to_wall_ns(self, boot_ns: u64) -> i64 {
        i64::try_from(boot_ns).unwrap_or(i64::MAX).saturating_add(self.offset_ns)
    }

    /// The time since boot, nanoseconds.
    #[must_use]
    pub fn now_boot_ns() -> u64 {
        u64::try_from(read_ns(ClockId::CLOCK_BOOTTIME)).unwrap_or(0)
    }

    /// Nanoseconds the machine slept since it was started: what the boot clock is ahead of the monotonic one.
    pub(super) fn slept_ns() -> u64 {
        let monotonic = read_ns(ClockId::CLOCK_MONOTONIC);
        u64::try_from(read_ns(ClockId::CLOCK_BOOTTIME) - monotonic).unwrap_or(0)
    }
}

fn read_ns(clock: ClockId) -> i64 {
    let time = clock_gettime(clock).expect("Linux has had this clock since 2.6.39");
    time.tv_sec() * 1_000_000_000 + time.tv_nsec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_is_boot_time_and_offset() {
        let clock = BootClock::measure();
        let wall = clock.to_wall_ns(BootClock::now_boot_ns());
        let real = read_ns(ClockId::CLOCK_REALTIME);
        assert!((real - wall).abs() < 1_000_000_000, "{real} {wall}");
        assert_eq!(clock.to_wall_ns(7) - clock.to_wall_ns(3), 4);
        assert_eq!(clock.to_wall_ns(u64::MAX), i64::MAX);
    }
}
