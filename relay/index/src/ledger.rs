//! The loss ledger.

use std::collections::BTreeMap;

use flow::view::Loss;
use flow::{LossRecord, LossStage, Timestamp};

use crate::wal::LineForm;

/// Cause under which losses are kept whose own cause no longer fits.
const OTHER_CAUSE: &str = "other";

/// One line of the ledger: what one stage of one node saw and lost in a window of ten seconds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LedgerLine {
    /// Node.
    pub node: String,
    /// Start of the window. Old windows are folded into one line, which has the start of the oldest.
    pub window: Timestamp,
    /// Stage of the path of a flow.
    pub stage: LossStage,
    /// Cause, such as `ring_full`.
    pub cause: String,
    /// Events that entered the stage.
    pub seen: u64,
    /// Events of those that were lost.
    pub lost: u64,
}

/// Losses of all nodes, bounded: no event is ever forgotten, but old windows are added up.
#[derive(Debug)]
pub(crate) struct Ledger {
    lines: BTreeMap<(Timestamp, Place), Counts>,
    /// Windows that no longer fit, added up.
    folded: BTreeMap<Place, (Timestamp, Counts)>,
    lines_max: usize,
}

/// Where something was lost.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    node: String,
    stage: LossStage,
    cause: String,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    seen: u64,
    lost: u64,
}

impl Counts {
    const fn add(&mut self, other: Self) {
        self.seen = self.seen.saturating_add(other.seen);
        self.lost = self.lost.saturating_add(other.lost);
    }
}

impl Ledger {
    pub(crate) const fn new(lines_max: usize) -> Self {
        Self { lines: BTreeMap::new(), folded: BTreeMap::new(), lines_max }
    }

    pub(crate) fn record(&mut self, node: &str, loss: &LossRecord) {
        let place = Place { node: node.to_owned(), stage: loss.stage, cause: loss.cause.clone() };
        let counts = Counts { seen: loss.seen, lost: loss.lost };
        self.lines.entry((loss.window.window(LossRecord::WINDOW), place)).or_default().add(counts);
        while self.lines.len() > self.lines_max {
            if let Some(((window, place), counts)) = self.lines.pop_first() {
                self.fold(window, place, counts);
            }
        }
    }

    /// The lines in the form of the log: those that are kept, and those that were folded.
    pub(crate) fn forms(&self) -> (Vec<LineForm>, Vec<LineForm>) {
        let kept = self.lines.iter().map(|((window, place), counts)| line(*window, place, *counts));
        let folded = self.folded.iter().map(|(place, (window, counts))| line(*window, place, *counts));
        (kept.map(|line| LineForm::of(&line)).collect(), folded.map(|line| LineForm::of(&line)).collect())
    }

    /// Takes the lines as the log has them, in place of what is known.
    pub(crate) fn restore(&mut self, kept: &[LineForm], folded: &[LineForm]) {
        (self.lines, self.folded) = (BTreeMap::new(), BTreeMap::new());
        for line in folded.iter().map(LineForm::line) {
            let place = Place { node: line.node, stage: line.stage, cause: line.cause };
            self.fold(line.window, place, Counts { seen: line.seen, lost: line.lost });
        }
        for line in kept.iter().map(LineForm::line) {
            let LedgerLine { node, window, stage, cause, seen, lost } = line;
            self.record(&node, &LossRecord { window, stage, cause, seen, lost });
        }
    }

    fn fold(&mut self, window: Timestamp, mut place: Place, counts: Counts) {
        // Causes come over the wire, so their number has no bound of its own.
        if self.folded.len() >= self.lines_max && !self.folded.contains_key(&place) {
            place = Place { node: String::new(), stage: place.stage, cause: OTHER_CAUSE.to_owned() };
        }
        let (first, total) = self.folded.entry(place).or_insert((window, Counts::default()));
        *first = (*first).min(window);
        total.add(counts);
    }

    /// All lines, oldest window first.
    pub(crate) fn lines(&self) -> Vec<LedgerLine> {
        let folded = self.folded.iter().map(|(place, (window, counts))| line(*window, place, *counts));
        let mut lines: Vec<LedgerLine> = folded.collect();
        lines.sort_by_key(|line| line.window);
        lines.extend(self.lines.iter().map(|((window, place), counts)| line(*window, place, *counts)));
        lines
    }

    /// What was lost in windows that meet the range, by node, stage and cause.
    pub(crate) fn losses(&self, since: Option<Timestamp>, until: Option<Timestamp>) -> Vec<Loss> {
        let mut places: BTreeMap<&Place, Counts> = BTreeMap::new();
        let begins = |window: Timestamp| until.is_none_or(|until| window <= until);
        for (place, (window, counts)) in &self.folded {
            // A folded line reaches up to the oldest window that is still kept.
            let end = self
                .lines
                .first_key_value()
                .map_or_else(|| window.after(LossRecord::WINDOW), |((oldest, _), _)| *oldest);
            if begins(*window) && since.is_none_or(|since| end > since) {
                places.entry(place).or_default().add(*counts);
            }
        }
        for ((window, place), counts) in &self.lines {
            if begins(*window) && since.is_none_or(|since| window.after(LossRecord::WINDOW) > since) {
                places.entry(place).or_default().add(*counts);
            }
        }
        let loss = |(place, counts): (&Place, Counts)| Loss {
            node: place.node.clone(),
            stage: place.stage.name().to_owned(),
            cause: place.cause.clone(),
            seen: counts.seen,
            lost: counts.lost,
        };
        places.into_iter().filter(|(_, counts)| counts.lost > 0).map(loss).collect()
    }
}

fn line(window: Timestamp, place: &Place, counts: Counts) -> LedgerLine {
    LedgerLine {
        node: place.node.clone(),
        window,
        stage: place.stage,
        cause: place.cause.clone(),
        seen: counts.seen,
        lost: counts.lost,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(second: i64, cause: &str, lost: u64) -> LossRecord {
        let window = Timestamp::from_parts(second, 0);
        LossRecord { window, stage: LossStage::Kernel, cause: cause.to_owned(), seen: lost * 10, lost }
    }

    fn total(ledger: &Ledger, since: Option<i64>, until: Option<i64>) -> u64 {
        let time = |second: i64| Timestamp::from_parts(second, 0);
        ledger.losses(since.map(time), until.map(time)).iter().map(|l| l.lost).sum()
    }

    #[test]
    fn windows_add_up_and_ranges_select_them() {
        let mut ledger = Ledger::new(100);
        for (second, lost) in [(3, 1), (9, 2), (10, 4), (25, 8)] {
            ledger.record("n", &loss(second, "ring_full", lost));
        }
        assert_eq!(ledger.lines().len(), 3);
        assert_eq!(total(&ledger, None, None), 15);
        assert_eq!(total(&ledger, Some(10), None), 12);
        assert_eq!(total(&ledger, Some(10), Some(19)), 4);
        assert_eq!(total(&ledger, Some(15), Some(15)), 4, "a window counts for each moment in it");
        assert_eq!(total(&ledger, Some(31), None), 0);
    }

    #[test]
    fn nothing_is_forgotten_when_the_ledger_is_full() {
        let mut ledger = Ledger::new(3);
        for second in 0..20 {
            ledger.record("n", &loss(second * 10, &format!("cause {}", second % 7), 1));
        }
        assert_eq!(total(&ledger, None, None), 20);
        assert_eq!(total(&ledger, Some(170), None), 3);
        assert!(ledger.lines().len() <= 3 + 3 + 1);
    }
}
