//! The flows a page holds: the newest, up to a bound.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use flow::view::FlowRow;

/// Flows a page holds; at some 800 bytes each, 40 MB when full. The oldest give way.
pub(crate) const ROWS_MAX: usize = 50_000;

/// A flow with the number the ring gave it, by which rows are told apart: agents give some flows no id.
#[derive(Clone, Debug)]
pub(crate) struct Numbered {
    number: i64,
    pub(crate) row: Arc<FlowRow>,
}

impl PartialEq for Numbered {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Numbered {
    /// Whether both are the same flow; one that has an id may have come again under another number.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        self == other || (!self.row.id.is_empty() && self.row.id == other.row.id)
    }
}

/// The newest flows, the newest first. Their numbers go down by one from flow to flow, and none is given twice.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    rows: VecDeque<Numbered>,
    received: u64,
    /// Number of the next flow.
    next: i64,
}

impl Ring {
    /// Takes a batch, the oldest first.
    pub(crate) fn push(&mut self, batch: Vec<FlowRow>) {
        self.received += batch.len() as u64;
        for row in batch {
            if self.rows.len() == ROWS_MAX {
                self.rows.pop_back();
            }
            self.rows.push_front(Numbered { number: self.next, row: Arc::new(row) });
            self.next += 1;
        }
    }

    /// Puts older flows, the oldest first, below what is there; those that are there already are left out.
    pub(crate) fn push_older(&mut self, batch: Vec<FlowRow>) {
        let known: HashSet<String> = self.rows.iter().map(|held| held.row.id.clone()).collect();
        let older = batch.into_iter().rev().filter(|row| row.id.is_empty() || !known.contains(&row.id));
        let room = ROWS_MAX - self.rows.len();
        let newest = self.rows.back().map_or(self.next, |oldest| oldest.number) - 1;
        let numbered = (0..room as i64).zip(older);
        self.rows.extend(numbered.map(|(at, row)| Numbered { number: newest - at, row: Arc::new(row) }));
    }

    /// Forgets everything but the numbers that were given.
    pub(crate) fn clear(&mut self) {
        // Older flows may come below the next number.
        *self = Self { next: self.next + ROWS_MAX as i64, ..Self::default() };
    }

    /// Flows held.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Flows taken by [`Ring::push`] since the start, overwritten ones included.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// The flow at this place, the newest being 0.
    pub(crate) fn get(&self, at: usize) -> Option<&Numbered> {
        self.rows.get(at)
    }

    /// The flow with this id.
    pub(crate) fn named(&self, id: &str) -> Option<&Numbered> {
        self.rows.iter().find(|held| held.row.id == id)
    }

    /// The flow so many places below another, above it where `by` is negative; the newest where there is no other.
    pub(crate) fn neighbour(&self, of: Option<&Numbered>, by: isize) -> Option<&Numbered> {
        let at = match of.and_then(|flow| self.position(flow)) {
            Some(at) => at.checked_add_signed(by)?,
            None => 0,
        };
        self.get(at)
    }

    fn position(&self, flow: &Numbered) -> Option<usize> {
        let newest = self.rows.front()?.number;
        let at = usize::try_from(newest - flow.number).ok().filter(|at| *at < self.rows.len());
        at.or_else(|| self.rows.iter().position(|held| held.is_same(flow)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(ids: std::ops::Range<u32>) -> Vec<FlowRow> {
        ids.map(|id| FlowRow { id: id.to_string(), ..FlowRow::default() }).collect()
    }

    fn ids(ring: &Ring) -> Vec<&str> {
        (0..ring.len()).filter_map(|at| ring.get(at)).map(|held| held.row.id.as_str()).collect()
    }

    /// Summaries met on the way down from the newest flow.
    fn walk(ring: &Ring) -> Vec<String> {
        let mut met: Vec<Numbered> = Vec::new();
        while let Some(flow) = ring.neighbour(met.last(), 1) {
            met.push(flow.clone());
        }
        met.iter().map(|flow| flow.row.summary.clone()).collect()
    }

    #[test]
    fn the_newest_is_first_and_history_goes_below() {
        let mut ring = Ring::default();
        ring.push(rows(5..7));
        ring.push(rows(7..8));
        ring.push_older(rows(3..6));
        assert_eq!(ids(&ring), ["7", "6", "5", "4", "3"]);
        assert_eq!(ring.received(), 3);
        assert_eq!(ring.named("4"), ring.get(3));
    }

    #[test]
    fn flows_without_an_id_are_passed_one_by_one() {
        let unnamed = |summaries: &[&str]| -> Vec<FlowRow> {
            summaries.iter().map(|text| FlowRow { summary: (*text).into(), ..FlowRow::default() }).collect()
        };
        let mut ring = Ring::default();
        ring.push(unnamed(&["c", "d"]));
        ring.push_older(unnamed(&["a", "b", "b"]));
        ring.push(unnamed(&["e"]));
        assert_eq!(walk(&ring), ["e", "d", "c", "b", "b", "a"]);
        let last = ring.get(5).unwrap().clone();
        assert_eq!(ring.neighbour(Some(&last), -1), ring.get(4));
        let newest = ring.get(0).unwrap().clone();
        assert_eq!(ring.neighbour(Some(&newest), -1), None);
    }

    #[test]
    fn a_flow_that_came_again_is_known_by_its_id_and_by_nothing_else() {
        let mut ring = Ring::default();
        ring.push_older(vec![FlowRow::default()]);
        ring.push(rows(1..4));
        let [named, unnamed] = [1, 3].map(|at| ring.get(at).unwrap().clone());
        ring.clear();
        ring.push_older([vec![FlowRow::default(); 5], rows(0..4)].concat());
        assert_eq!(ring.neighbour(Some(&named), 1), ring.named("1"));
        assert!((0..ring.len()).all(|at| !ring.get(at).unwrap().is_same(&unnamed)));
        assert_eq!(ring.neighbour(Some(&unnamed), 1), ring.get(0), "the newest: that flow is gone");
    }

    #[test]
    fn the_oldest_give_way() {
        let mut ring = Ring::default();
        for start in 0..6 {
            ring.push(rows(start * 10_000..(start + 1) * 10_000));
        }
        assert_eq!((ring.len(), ring.received()), (ROWS_MAX, 60_000));
        assert_eq!(ring.get(ROWS_MAX - 1).unwrap().row.id, "10000");
        ring.push_older(rows(0..5));
        assert_eq!(ring.len(), ROWS_MAX);
    }
}
