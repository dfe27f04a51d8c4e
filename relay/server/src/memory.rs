//! The memory of the process: one budget, and what is done when it runs short.
//!
//! Each part of the relay has a limit of its own, but between them lie what the allocator keeps, messages on their way and
//! files that are being written. So what the process occupies is looked at ten times a second. Once it has grown, free
//! pages go back to the system, every two seconds at most. Well below the budget, at thirteen sixteenths of one that is
//! not small, they do so as often as it helps; where that is not enough flows that are in files leave the memory, and from
//! seven eighths on nothing more is taken in until some are free: between two looks a busy relay grows by tens of MiB. Flows come back
//! into memory as they arrive, once there is room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::relay::Relay;

mod budget;

pub(crate) use budget::Budget;
use process::Trimmed;
pub(crate) use process::{limit, resident, set_up};

/// Time between two looks.
const TICK: Duration = Duration::from_millis(100);
/// Bytes below the budget in which batches wait, where an eighth of it would be fewer: writing a file takes some 30 MiB
/// within a twentieth of a second.
const HOLD_ROOM_MIN: usize = 56 << 20;
/// Time between two steps in which the index may hold more flows again.
const GROW: Duration = Duration::from_secs(2);

/// What others want to know of the guard.
#[derive(Debug, Default)]
pub(crate) struct Pressure {
    held: AtomicBool,
}

impl Pressure {
    /// Whether nothing more is to be taken in for now.
    pub(crate) fn is_held(&self) -> bool {
        self.held.load(Ordering::Relaxed)
    }
}

/// How many bytes of flows the index may hold, by what the process occupies.
#[derive(Debug)]
struct Guard {
    total: usize,
    /// Bytes of flows when there is no pressure, and now.
    flows_max: usize,
    flows_now: usize,
    grown: Instant,
}

/// What is to be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Step {
    /// The new limit of flows, where it changes.
    flows: Option<usize>,
    /// Whether to take nothing in.
    hold: bool,
}

impl Guard {
    const fn new(budget: Budget, now: Instant) -> Self {
        Self { total: budget.total, flows_max: budget.flows, flows_now: budget.flows, grown: now }
    }

    /// Bytes from which on memory is short: a sixteenth of the budget below those from which on nothing is taken in.
    fn high(&self) -> usize {
        self.hold_from() - self.total / 16
    }

    /// Bytes from which on nothing is taken in: an eighth of the budget stays for what is at work then, and where that is
    /// little up to seven of its thirty-two parts, because files that are being written do not become shorter with it.
    fn hold_from(&self) -> usize {
        self.total - (self.total / 8).max(HOLD_ROOM_MIN.min(self.total / 32 * 7))
    }

    /// Decides by the bytes the process occupies and those of the flows it holds. Flows leave only if what is free was
    /// given back just before (`is_trimmed`): else those that have left already would be taken for too much again.
    fn step(&mut self, resident: usize, is_trimmed: bool, flows_held: usize, now: Instant) -> Step {
        let before = self.flows_now;
        let hold = resident > self.hold_from();
        if let Some(over) = resident.checked_sub(self.high()).filter(|over| *over > 0) {
            if !is_trimmed {
                return Step { flows: None, hold };
            }
            // A few flows stay whatever comes: without any every question would read files.
            let least = self.flows_max / 8;
            self.flows_now = self.flows_now.min(flows_held.saturating_sub(over)).max(least.min(self.flows_now));
            self.grown = now;
        } else if self.flows_now < self.flows_max && now.duration_since(self.grown) >= GROW {
            // So many that it would not be too much, if all of it were used at once.
            let room = (self.high() - resident) / 2;
            let wanted = flows_held.saturating_add(room).min(self.flows_now + self.flows_max / 16);
            self.flows_now = wanted.clamp(self.flows_now, self.flows_max);
            self.grown = now;
        }
        let flows = (self.flows_now != before).then_some(self.flows_now);
        Step { flows, hold }
    }
}

/// Keeps the process within its budget until `stop`.
pub(crate) async fn keep_within(relay: Arc<Relay>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut guard = Guard::new(relay.budget, Instant::now());
    let mut trimmed = Trimmed::never();
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        let Some(mut now) = resident() else {
            warn!("the system does not tell what the process occupies, so nothing keeps it within its memory budget");
            return;
        };
        let is_trimmed = trimmed.is_due(now, now > guard.high(), Instant::now());
        if is_trimmed {
            match tokio::task::spawn_blocking(Trimmed::again).await {
                Ok(again) => trimmed = again,
                Err(error) => error!(%error, "giving free memory back panicked"),
            }
            now = resident().unwrap_or(now);
        }
        let stats = relay.index.stats();
        let held = usize::try_from(stats.bytes).unwrap_or(usize::MAX);
        let step = guard.step(now, is_trimmed, held, Instant::now());
        relay.pressure.held.store(step.hold, Ordering::Relaxed);
        if let Some(flows) = step.flows {
            tell(&guard, stats.bytes_max, now);
            relay.index.set_bytes_max(flows);
        }
    }
    relay.pressure.held.store(false, Ordering::Relaxed);
}

/// Says when memory becomes short, and when it no longer is.
fn tell(guard: &Guard, flows_before: u64, resident: usize) {
    let Guard { total: budget, flows_max, flows_now, .. } = guard;
    if flows_before == *flows_max as u64 {
        info!(budget, resident, flows_max, flows_now, "memory is short: fewer flows are kept in it");
    } else if flows_now == flows_max {
        info!(budget, resident, flows_max, "memory is not short any more");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MIB: usize = 1 << 20;

    fn guard(now: Instant) -> Guard {
        Guard::new(Budget { total: 1_024 * MIB, flows: 512 * MIB, counts: 64 * MIB, sql: 128 * MIB }, now)
    }

    #[test]
    fn a_small_budget_keeps_more_room_for_what_is_at_work() {
        let hold_from = |total: usize| {
            let (total, flows, counts, sql) = (total * MIB, total * MIB / 2, total * MIB / 16, total * MIB / 8);
            Guard::new(Budget { total, flows, counts, sql }, Instant::now()).hold_from() / MIB
        };
        assert_eq!([128, 256, 512, 2_048].map(hold_from), [100, 200, 448, 1_792]);
    }

    #[test]
    fn nothing_happens_while_there_is_room() {
        let now = Instant::now();
        let calm = Step { flows: None, hold: false };
        assert_eq!(guard(now).step(832 * MIB, true, 512 * MIB, now), calm);
        assert_eq!(guard(now).step(0, true, 0, now), calm);
    }

    #[test]
    fn flows_make_room_for_what_is_too_much_but_some_stay() {
        let now = Instant::now();
        let mut guard = guard(now);
        assert_eq!(guard.step(842 * MIB, true, 500 * MIB, now), Step { flows: Some(490 * MIB), hold: false });
        // What was let go is not counted twice, before it was given back or after.
        assert_eq!(guard.step(842 * MIB, false, 490 * MIB, now).flows, None);
        assert_eq!(guard.step(832 * MIB, true, 490 * MIB, now).flows, None);
        assert_eq!(guard.step(926 * MIB, false, 490 * MIB, now), Step { flows: None, hold: true });
        assert_eq!(guard.step(936 * MIB, true, 490 * MIB, now), Step { flows: Some(386 * MIB), hold: true });
        assert_eq!(guard.step(2_000 * MIB, true, 386 * MIB, now), Step { flows: Some(64 * MIB), hold: true });
        assert_eq!(guard.step(2_000 * MIB, true, 64 * MIB, now), Step { flows: None, hold: true });
    }

    #[test]
    fn flows_come_back_step_by_step() {
        let begun = Instant::now();
        let mut guard = guard(begun);
        guard.step(2_000 * MIB, true, 512 * MIB, begun);
        assert_eq!(guard.step(300 * MIB, true, 64 * MIB, begun + GROW / 2).flows, None);
        let mut now = begun;
        let mut held = 64 * MIB;
        for _ in 0..20 {
            now += GROW;
            held = guard.step(300 * MIB + held, true, held, now).flows.unwrap_or(held);
        }
        assert_eq!(held, 512 * MIB);
        // Not so many that the next step would have to take them away.
        let now = now + GROW;
        guard.step(1_000 * MIB, true, 512 * MIB, now);
        let less = guard.flows_now;
        let more = guard.step(822 * MIB, true, less, now + GROW).flows.unwrap();
        assert!(more - less <= 5 * MIB, "{more} {less}");
    }
}
