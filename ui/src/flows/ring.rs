//! The flows a page holds: the newest, up to a bound.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use flow::view::FlowRow;

/// Flows a page holds; at some 800 bytes each, 40 MB when full. The oldest give way.
pub(crate) const ROWS_MAX: usize = 50_000;

/// The newest flows, the newest first.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    rows: VecDeque<Arc<FlowRow>>,
    received: u64,
}

impl Ring {
    /// Takes a batch, the oldest first.
    pub(crate) fn push(&mut self, batch: Vec<FlowRow>) {
        self.received += batch.len() as u64;
        for row in batch {
            if self.rows.len() == ROWS_MAX {
                self.rows.pop_back();
            }
            self.rows.push_front(Arc::new(row));
        }
    }

    /// Puts older flows, the oldest first, below what is there; those that are there already are left out.
    pub(crate) fn push_older(&mut self, batch: Vec<FlowRow>) {
        let known: HashSet<String> = self.rows.iter().map(|row| row.id.clone()).collect();
        let older = batch.into_iter().rev().filter(|row| row.id.is_empty() || !known.contains(&row.id));
        let room = ROWS_MAX - self.rows.len();
        self.rows.extend(older.take(room).map(Arc::new));
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
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
    pub(crate) fn get(&self, at: usize) -> Option<&Arc<FlowRow>> {
        self.rows.get(at)
    }

    /// Place of the flow with this id.
    pub(crate) fn position(&self, id: &str) -> Option<usize> {
        self.rows.iter().position(|row| row.id == id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(ids: std::ops::Range<u32>) -> Vec<FlowRow> {
        ids.map(|id| FlowRow { id: id.to_string(), ..FlowRow::default() }).collect()
    }

    fn ids(ring: &Ring) -> Vec<&str> {
        (0..ring.len()).filter_map(|at| ring.get(at)).map(|row| row.id.as_str()).collect()
    }

    #[test]
    fn the_newest_is_first_and_history_goes_below() {
        let mut ring = Ring::default();
        ring.push(rows(5..7));
        ring.push(rows(7..8));
        ring.push_older(rows(3..6));
        assert_eq!(ids(&ring), ["7", "6", "5", "4", "3"]);
        assert_eq!(ring.received(), 3);
        assert_eq!(ring.position("4"), Some(3));
    }

    #[test]
    fn the_oldest_give_way() {
        let mut ring = Ring::default();
        for start in 0..6 {
            ring.push(rows(start * 10_000..(start + 1) * 10_000));
        }
        assert_eq!((ring.len(), ring.received()), (ROWS_MAX, 60_000));
        assert_eq!(ring.get(ROWS_MAX - 1).unwrap().id, "10000");
        ring.push_older(rows(0..5));
        assert_eq!(ring.len(), ROWS_MAX);
    }
}
