//! Time: nanoseconds since the Unix epoch, and where they come from.

use std::time::Duration;

/// A moment in nanoseconds since the Unix epoch, UTC; negative before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

/// The text is not a time.
#[derive(Debug, thiserror::Error)]
#[error("{text:?} is not an RFC 3339 time such as 2026-01-15T10:11:12.001Z")]
pub struct ParseTimeError {
    text: String,
}

impl Timestamp {
    /// Nanoseconds in a second.
    pub const NANOS_PER_SECOND: i64 = 1_000_000_000;

    /// From seconds and nanoseconds as protobuf splits them; out-of-range values saturate.
    #[must_use]
    pub const fn from_parts(seconds: i64, nanos: i32) -> Self {
        Self(seconds.saturating_mul(Self::NANOS_PER_SECOND).saturating_add(nanos as i64))
    }

    /// Seconds and nanoseconds as protobuf splits them; nanoseconds are never negative.
    #[must_use]
    pub fn parts(self) -> (i64, i32) {
        let nanos = self.0.rem_euclid(Self::NANOS_PER_SECOND);
        (self.0.div_euclid(Self::NANOS_PER_SECOND), i32::try_from(nanos).expect("below a billion"))
    }

    /// The moment `duration` later; saturates.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// The moment `duration` earlier; saturates.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// Time passed since `earlier`; zero where it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }

    /// Start of the window of `length` that holds this moment. `length` must not be zero.
    #[must_use]
    pub fn window(self, length: Duration) -> Self {
        let length = i64::try_from(length.as_nanos()).unwrap_or(i64::MAX).max(1);
        Self(self.0.div_euclid(length).saturating_mul(length))
    }

    /// Reads RFC 3339 with any offset.
    ///
    /// # Errors
    /// The text is not RFC 3339, or outside of the years 1677 to 2262.
    pub fn parse_rfc3339(text: &str) -> Result<Self, ParseTimeError> {
        let moment: jiff::Timestamp = text.parse().map_err(|_| ParseTimeError { text: text.to_owned() })?;
        i64::try_from(moment.as_nanosecond()).map(Self).map_err(|_| ParseTimeError { text: text.to_owned() })
    }

    /// Formats by a `strftime` pattern, in UTC.
    #[must_use]
    pub fn format(self, pattern: &str) -> String {
        self.to_jiff().strftime(pattern).to_string()
    }

    /// Formats as Hubble's default, `Jan 15 10:11:12.001`.
    #[must_use]
    pub fn stamp_milli(self) -> String {
        self.format("%b %e %H:%M:%S%.3f")
    }

    fn to_jiff(self) -> jiff::Timestamp {
        jiff::Timestamp::from_nanosecond(i128::from(self.0)).expect("every i64 of nanoseconds is in jiff's range")
    }
}

/// RFC 3339 in UTC with 0, 3, 6 or 9 digits after the second, as protobuf's JSON form.
impl std::fmt::Display for Timestamp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (_, nanos) = self.parts();
        let pattern = match nanos {
            0 => "%Y-%m-%dT%H:%M:%SZ",
            n if n % 1_000_000 == 0 => "%Y-%m-%dT%H:%M:%S%.3fZ",
            n if n % 1_000 == 0 => "%Y-%m-%dT%H:%M:%S%.6fZ",
            _ => "%Y-%m-%dT%H:%M:%S%.9fZ",
        };
        write!(f, "{}", self.to_jiff().strftime(pattern))
    }
}

/// Where the time comes from; tests give their own.
pub trait Clock: Send + Sync + 'static {
    /// The present moment.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "this is the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        match std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH) {
            Ok(d) => Timestamp(i64::try_from(d.as_nanos()).unwrap_or(i64::MAX)),
            Err(_) => Timestamp(0),
        }
    }
}

/// A clock that shows what it was told.
#[derive(Debug, Default)]
pub struct FixedClock(std::sync::atomic::AtomicI64);

impl FixedClock {
    /// A clock that shows `now`.
    #[must_use]
    pub const fn new(now: Timestamp) -> Self {
        Self(std::sync::atomic::AtomicI64::new(now.0))
    }

    /// Changes what the clock shows.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.0, std::sync::atomic::Ordering::Relaxed);
    }
}

impl Clock for FixedClock {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(std::sync::atomic::Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_has_as_many_digits_as_needed() {
        for text in [
            "2026-01-15T10:11:12Z",
            "2026-01-15T10:11:12.001Z",
            "2026-01-15T10:11:12.001002Z",
            "2026-01-15T10:11:12.005000015Z",
        ] {
            assert_eq!(Timestamp::parse_rfc3339(text).unwrap().to_string(), text);
        }
        assert_eq!(Timestamp::parse_rfc3339("2026-01-05T10:11:12.0019Z").unwrap().stamp_milli(), "Jan  5 10:11:12.001");
    }

    #[test]
    fn parts_are_normal_before_the_epoch() {
        assert_eq!(Timestamp(-1).parts(), (-1, 999_999_999));
        assert_eq!(Timestamp::from_parts(-1, 999_999_999), Timestamp(-1));
    }
}
