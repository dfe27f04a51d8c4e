//! The kernel as the pipeline reads it: rings every few milliseconds, maps every few seconds, links as they change.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ebpf_abi::kind;

use crate::capture::{BootClock, CaptureConfig, CaptureError, Kernel, KernelStats, LinkEvent, MapError};
use crate::source::{Captured, KernelNames, Progress, Source, SourceError, SourceStats};

/// How often the wall clock is compared with the kernel's.
const CLOCK_INTERVAL: Duration = Duration::from_secs(10);
/// How often losses are looked at.
const STATS_INTERVAL: Duration = Duration::from_secs(1);
/// Payload taken of one send or receive, from the most to nothing: each step down gives the ring four times the room.
const PAYLOAD_STEPS: [u32; 4] = [4_096, 1_024, 256, 0];
/// Seconds without a loss after which more payload is taken again.
const CALM_SECONDS: u32 = 10;

/// Reads the running kernel.
#[derive(Debug)]
pub(crate) struct Live {
    kernel: Kernel,
    sweep_interval: Duration,
    sweep_due: Instant,
    clock_due: Instant,
    stats_due: Instant,
    walked: bool,
    stats: KernelStats,
    payload: Payload,
}

/// How much payload is taken: less while the ring for it overflows.
#[derive(Debug, PartialEq, Eq)]
struct Payload {
    step: usize,
    calm_seconds: u32,
}

impl Live {
    /// Loads the programs and attaches them to the links of the calling thread's network namespace; the same thread
    /// must go on to read them.
    ///
    /// # Errors
    /// Capture cannot start; the text names cause and remedy.
    pub(crate) fn load(config: &CaptureConfig, sweep_interval: Duration) -> Result<Self, CaptureError> {
        let kernel = Kernel::load(config)?;
        for feature in kernel.features().iter().filter(|feature| !feature.ok) {
            tracing::warn!(feature = feature.name, why = feature.why, "the kernel lacks a feature");
        }
        tracing::info!(links = kernel.links_observed(), "capturing from the kernel");
        let now = Instant::now();
        Ok(Self {
            kernel,
            sweep_interval,
            sweep_due: now + sweep_interval,
            clock_due: now + CLOCK_INTERVAL,
            stats_due: now + STATS_INTERVAL,
            walked: false,
            stats: KernelStats::default(),
            payload: Payload { step: 0, calm_seconds: 0 },
        })
    }

    fn drain_rings(&mut self, take: &mut dyn FnMut(Captured<'_>)) -> (usize, bool) {
        let drained = self.kernel.drain(&mut |record| take(Captured::Record(record)));
        (drained.records, drained.more)
    }

    /// Hands over the totals of both maps.
    fn sweep(&mut self, take: &mut dyn FnMut(Captured<'_>)) -> Result<(), MapError> {
        let now = BootClock::now_boot_ns();
        self.kernel.sweep(now, &mut |key, val, kind| take(Captured::FlowTotals { key, val, gone: kind.is_gone() }))?;
        self.kernel
            .sweep_drops(now, &mut |key, val, kind| take(Captured::DropTotals { key, val, gone: kind.is_gone() }))
    }

    /// What is due by the clock.
    fn upkeep(&mut self, take: &mut dyn FnMut(Captured<'_>)) -> Result<(), MapError> {
        let now = Instant::now();
        if !self.walked {
            let sockets = self.kernel.walk_sockets(&mut |record| take(Captured::Record(record)));
            tracing::debug!(sockets, "sockets that were there before");
            self.walked = true;
        }
        if now >= self.clock_due {
            self.clock_due = now + CLOCK_INTERVAL;
            self.kernel.refresh_clock()?;
        }
        if now >= self.stats_due {
            self.stats_due = now + STATS_INTERVAL;
            self.look_at_losses()?;
        }
        if now >= self.sweep_due {
            self.sweep_due = now + self.sweep_interval;
            self.sweep(take)?;
        }
        Ok(())
    }

    fn look_at_losses(&mut self) -> Result<(), MapError> {
        let stats = self.kernel.stats()?;
        let lost = |kind| stats.of_kind(kind).lost.saturating_sub(self.stats.of_kind(kind).lost);
        // Owners that were lost are asked for again.
        self.walked &= lost(kind::SOCK) == 0;
        if self.payload.judge(lost(kind::DATA)) {
            let bytes = PAYLOAD_STEPS[self.payload.step];
            self.kernel.set_payload_bytes(bytes)?;
            tracing::warn!(
                bytes,
                "payload taken of one send or receive changed, because its ring overflowed or is calm"
            );
        }
        self.stats = stats;
        Ok(())
    }

    fn poll_links(&mut self) {
        let polled = self.kernel.poll_links(&mut |event| match event {
            LinkEvent::Removed(link) => tracing::debug!(link = link.name, "link gone"),
            LinkEvent::Added(link) | LinkEvent::Changed(link) => {
                tracing::debug!(link = link.name, observation = ?link.observation, "link there");
            }
        });
        if let Err(error) = polled {
            tracing::warn!(%error, "news of links not read; links stay as they were known last");
        }
    }
}

impl Payload {
    /// Takes what was lost in a second; says whether the step has changed.
    fn judge(&mut self, lost: u64) -> bool {
        if lost > 0 {
            self.calm_seconds = 0;
            let changes = self.step + 1 < PAYLOAD_STEPS.len();
            self.step += usize::from(changes);
            return changes;
        }
        self.calm_seconds += u32::from(self.step > 0);
        if self.calm_seconds < CALM_SECONDS {
            return false;
        }
        self.calm_seconds = 0;
        self.step -= 1;
        true
    }
}

impl Source for Live {
    fn name(&self) -> String {
        "kernel".to_owned()
    }

    fn poll(&mut self, timeout: Duration, take: &mut dyn FnMut(Captured<'_>)) -> Result<Progress, SourceError> {
        // News first: totals of a flow that is not known yet would make less sense.
        let (records, more) = self.drain_rings(take);
        self.upkeep(take).map_err(failed)?;
        if more {
            return Ok(Progress::More);
        }
        // The rings never wake anybody, so what comes meanwhile waits for the next call.
        self.kernel.wait(timeout).map_err(failed)?;
        self.poll_links();
        Ok(if records > 0 { Progress::More } else { Progress::Idle })
    }

    fn drain(&mut self, take: &mut dyn FnMut(Captured<'_>)) -> Result<(), SourceError> {
        while self.drain_rings(take).1 {}
        self.sweep(take).map_err(failed)?;
        self.look_at_losses().map_err(failed)
    }

    fn stats(&mut self) -> SourceStats {
        let total = self.stats.total();
        SourceStats {
            seen: total.seen,
            lost_ring_full: total.lost,
            lost_map_full: self.stats.flows_evicted + self.stats.drops_evicted,
            lost_unreadable: 0,
            kernel: self.stats.counters,
        }
    }

    fn rounds(&self) -> Option<u64> {
        Some(self.kernel.rounds())
    }

    fn wall_clock_offset_ns(&self) -> i64 {
        self.kernel.clock().offset_ns()
    }

    fn kernel_names(&self) -> Option<Arc<dyn KernelNames>> {
        Some(self.kernel.names())
    }

    fn stop_payload(&mut self, cookie: u64) {
        if let Err(error) = self.kernel.mute_payload(cookie) {
            tracing::debug!(%error, "payload of a socket goes on");
        }
    }
}

fn failed(cause: impl std::error::Error + Send + Sync + 'static) -> SourceError {
    SourceError { source_name: "kernel".to_owned(), cause: Box::new(cause) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payload_shrinks_at_once_and_grows_after_a_calm_while() {
        let mut payload = Payload { step: 0, calm_seconds: 0 };
        assert!(!payload.judge(0));
        for step in 1..PAYLOAD_STEPS.len() {
            assert!(payload.judge(5));
            assert_eq!(payload.step, step);
        }
        assert!(!payload.judge(5), "there is no less than nothing");
        for _ in 1..CALM_SECONDS {
            assert!(!payload.judge(0));
        }
        assert!(payload.judge(0));
        assert_eq!(payload, Payload { step: PAYLOAD_STEPS.len() - 2, calm_seconds: 0 });
    }
}
