//! What each stage took in and lost, and the ledger of it in windows of ten seconds.

use std::sync::atomic::{AtomicU64, Ordering};

use flow::{LossRecord, LossStage, Timestamp};

/// Ways to lose something, each with its stage and its name in the ledger and in metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cause {
    /// A kernel ring had no room.
    RingFull,
    /// The kernel's flow map had no room.
    MapFull,
    /// A packet was too short for its own header, so that it is in no flow.
    PacketsCut,
    /// A line or packet of a file could not be read.
    Unreadable,
    /// Bytes of the kernel are no record.
    Malformed,
    /// Payload of a socket that was never told of.
    NoSocket,
    /// A connection's payload could not be followed.
    Payload,
    /// The shipper was overtaken in the history.
    ShipperOvertaken,
    /// A client of the Observer API was overtaken in the history.
    ClientOvertaken,
    /// The flow logs were overtaken in the history.
    ExporterOvertaken,
    /// A line of a flow log could not be written.
    ExportFailed,
    /// The spool had no room.
    SpoolFull,
    /// The relay was not reached before the collector had to end.
    NotSent,
    /// The relay refused the batch as invalid.
    Refused,
}

impl Cause {
    /// All causes in the order of the stages.
    pub(crate) const ALL: [Self; 14] = [
        Self::RingFull,
        Self::MapFull,
        Self::PacketsCut,
        Self::Unreadable,
        Self::Malformed,
        Self::NoSocket,
        Self::Payload,
        Self::ShipperOvertaken,
        Self::ClientOvertaken,
        Self::ExporterOvertaken,
        Self::ExportFailed,
        Self::SpoolFull,
        Self::NotSent,
        Self::Refused,
    ];

    /// Stage at which it happens.
    pub(crate) const fn stage(self) -> LossStage {
        match self {
            Self::RingFull | Self::MapFull | Self::PacketsCut => LossStage::Kernel,
            Self::Unreadable | Self::Malformed => LossStage::Decode,
            Self::NoSocket | Self::Payload => LossStage::L7,
            Self::ShipperOvertaken | Self::ClientOvertaken | Self::ExporterOvertaken | Self::ExportFailed => {
                LossStage::Ring
            }
            Self::SpoolFull | Self::NotSent | Self::Refused => LossStage::Ship,
        }
    }

    /// Name in the ledger and in metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::RingFull => "ring_full",
            Self::MapFull => "map_full",
            Self::PacketsCut => "packets_cut",
            Self::Unreadable => "unreadable",
            Self::Malformed => "malformed",
            Self::NoSocket => "no_socket",
            Self::Payload => "payload",
            Self::ShipperOvertaken => "shipper_overtaken",
            Self::ClientOvertaken => "client_overtaken",
            Self::ExporterOvertaken => "exporter_overtaken",
            Self::ExportFailed => "export_failed",
            Self::SpoolFull => "spool_full",
            Self::NotSent => "not_sent",
            Self::Refused => "refused",
        }
    }
}

/// Events that entered a stage and events of those that were lost, by cause, since the start.
#[derive(Debug, Default)]
pub(crate) struct Tallies {
    cells: [Cell; Cause::ALL.len()],
}

#[derive(Debug, Default)]
struct Cell {
    seen: AtomicU64,
    lost: AtomicU64,
}

impl Tallies {
    /// Adds to what was seen and lost.
    pub(crate) fn add(&self, cause: Cause, seen: u64, lost: u64) {
        let cell = &self.cells[cause as usize];
        cell.seen.fetch_add(seen, Ordering::Relaxed);
        cell.lost.fetch_add(lost, Ordering::Relaxed);
    }

    /// Sets what was seen and lost since the start, for stages that count by themselves.
    pub(crate) fn set(&self, cause: Cause, seen: u64, lost: u64) {
        let cell = &self.cells[cause as usize];
        cell.seen.store(seen, Ordering::Relaxed);
        cell.lost.store(lost, Ordering::Relaxed);
    }

    /// What was seen and lost since the start.
    pub(crate) fn get(&self, cause: Cause) -> (u64, u64) {
        let cell = &self.cells[cause as usize];
        (cell.seen.load(Ordering::Relaxed), cell.lost.load(Ordering::Relaxed))
    }
}

/// Draws lines of the ledger from the tallies.
#[derive(Debug)]
pub(crate) struct Ledger {
    window: Timestamp,
    drawn: [(u64, u64); Cause::ALL.len()],
}

impl Ledger {
    /// A ledger that begins now.
    pub(crate) fn new(now: Timestamp) -> Self {
        Self { window: now.window(LossRecord::WINDOW), drawn: [(0, 0); Cause::ALL.len()] }
    }

    /// Lines of the window that has ended since the last call; none while it has not.
    ///
    /// Counts that were added after the end of the window and before this call are in it too, so no count is lost and
    /// none is told twice.
    pub(crate) fn ended(&mut self, tallies: &Tallies, now: Timestamp) -> Vec<LossRecord> {
        if now.window(LossRecord::WINDOW) == self.window {
            return Vec::new();
        }
        let lines = self.draw(tallies);
        self.window = now.window(LossRecord::WINDOW);
        lines
    }

    /// Lines of the window that has not ended yet.
    pub(crate) fn draw(&mut self, tallies: &Tallies) -> Vec<LossRecord> {
        let mut lines = Vec::new();
        for (cause, drawn) in Cause::ALL.into_iter().zip(&mut self.drawn) {
            let now = tallies.get(cause);
            let (seen, lost) = (now.0.saturating_sub(drawn.0), now.1.saturating_sub(drawn.1));
            *drawn = now;
            if seen > 0 || lost > 0 {
                let (stage, cause) = (cause.stage(), cause.name().to_owned());
                lines.push(LossRecord { window: self.window, stage, cause, seen, lost });
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = Timestamp::NANOS_PER_SECOND;

    #[test]
    fn every_count_is_in_one_window() {
        let tallies = Tallies::default();
        let mut ledger = Ledger::new(Timestamp(13 * SECOND));
        tallies.add(Cause::SpoolFull, 10, 2);
        assert_eq!(ledger.ended(&tallies, Timestamp(19 * SECOND)), []);
        tallies.add(Cause::SpoolFull, 5, 1);
        tallies.set(Cause::RingFull, 7, 0);
        let line = |window, stage, cause: &str, seen, lost| LossRecord {
            window: Timestamp(window * SECOND),
            stage,
            cause: cause.to_owned(),
            seen,
            lost,
        };
        let expected = [line(10, LossStage::Kernel, "ring_full", 7, 0), line(10, LossStage::Ship, "spool_full", 15, 3)];
        assert_eq!(ledger.ended(&tallies, Timestamp(20 * SECOND)), expected);
        tallies.set(Cause::RingFull, 9, 2);
        assert_eq!(ledger.draw(&tallies), [line(20, LossStage::Kernel, "ring_full", 2, 2)]);
        assert_eq!(ledger.ended(&tallies, Timestamp(50 * SECOND)), []);
    }

    #[test]
    fn causes_are_told_apart() {
        for (number, cause) in Cause::ALL.into_iter().enumerate() {
            assert_eq!(cause as usize, number);
        }
    }
}
