//! When things of a recording are handed on, and with which time.

use std::sync::Arc;
use std::time::Duration;

use flow::Clock;
use flow::Timestamp;
use serde::{Deserialize, Serialize};

/// How a recording is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Timing {
    /// How fast. Default as fast as possible.
    pub pace: Pace,
    /// Whether times are moved so that the recording happens now. Default false: a recording is evidence.
    pub shift_to_now: bool,
    /// Whether to begin again at the end, for demonstrations. Flows lose their ids from the second round on. Not for
    /// standard input. Default false.
    pub repeat: bool,
}

/// How fast a recording is played.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// As fast as the stages after it take it.
    #[default]
    Fast,
    /// With the pauses of the recording.
    Recorded,
}

/// Decides on each moment of a recording.
pub(crate) struct Pacer {
    timing: Timing,
    clock: Arc<dyn Clock>,
    /// First moment of the recording, and when it was played.
    start: Option<(Timestamp, Timestamp)>,
}

/// What to do with a moment of a recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// It is due, with this time.
    Now(Timestamp),
    /// It is due after this long.
    Wait(Duration),
}

impl Pacer {
    /// A pacer at the start of a recording.
    pub(crate) fn new(timing: Timing, clock: Arc<dyn Clock>) -> Self {
        Self { timing, clock, start: None }
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whether a recorded moment is due.
    pub(crate) fn turn(&mut self, recorded: Timestamp) -> Turn {
        let now = self.clock.now();
        if recorded.0 <= 0 {
            // No time at all: it must not become the start of the recording.
            return Turn::Now(if self.timing.shift_to_now { now } else { recorded });
        }
        let (first, started) = *self.start.get_or_insert((recorded, now));
        let played = started.after(recorded.since(first)).before(first.since(recorded));
        match self.timing {
            Timing { pace: Pace::Recorded, .. } if played > now => Turn::Wait(played.since(now)),
            Timing { pace: Pace::Recorded, shift_to_now: true, .. } => Turn::Now(played),
            // Played fast, a recording takes less time than it lasted: counted from its start, it would reach into the
            // future.
            Timing { pace: Pace::Fast, shift_to_now: true, .. } => Turn::Now(now),
            Timing { shift_to_now: false, .. } => Turn::Now(recorded),
        }
    }

    /// Goes back to the start of the recording.
    pub(crate) fn restart(&mut self) {
        self.start = None;
    }

    /// Waits for the next thing to be due, at most `timeout`.
    pub(crate) fn wait(&self, left: Duration, timeout: Duration) {
        // Nobody unparks: a timed park is a sleep that a test or a shutdown could end early.
        std::thread::park_timeout(left.min(timeout));
    }
}

impl std::fmt::Debug for Pacer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pacer").field("timing", &self.timing).field("start", &self.start).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use flow::FixedClock;

    use super::*;

    const SECOND: i64 = Timestamp::NANOS_PER_SECOND;

    /// What a moment 10 s, and one 9 s, into the recording is when 4 s and then 12 s have passed.
    fn turns(timing: Timing) -> [Turn; 4] {
        let clock = Arc::new(FixedClock::new(Timestamp(1_000 * SECOND)));
        let mut pacer = Pacer::new(timing, clock.clone());
        let first = pacer.turn(Timestamp(100 * SECOND));
        clock.set(Timestamp(1_004 * SECOND));
        let early = pacer.turn(Timestamp(110 * SECOND));
        clock.set(Timestamp(1_012 * SECOND));
        [first, early, pacer.turn(Timestamp(110 * SECOND)), pacer.turn(Timestamp(99 * SECOND))]
    }

    #[test]
    fn moments_are_due_and_moved() {
        let now = |seconds| Turn::Now(Timestamp(seconds * SECOND));
        let wait = Turn::Wait(Duration::from_secs(6));
        let timing = |pace, shift_to_now| Timing { pace, shift_to_now, repeat: false };
        let cases = [
            (timing(Pace::Fast, false), [now(100), now(110), now(110), now(99)]),
            (timing(Pace::Fast, true), [now(1_000), now(1_004), now(1_012), now(1_012)]),
            (timing(Pace::Recorded, false), [now(100), wait, now(110), now(99)]),
            (timing(Pace::Recorded, true), [now(1_000), wait, now(1_010), now(999)]),
        ];
        for (timing, expected) in cases {
            assert_eq!(turns(timing), expected, "{timing:?}");
        }
    }
}
