//! What readers see.

use std::sync::Arc;

use flow::view::{DropSummary, ServiceMap};
use flow::{Flow, Timestamp};

use crate::segment::as_u64;
use crate::{MapBy, Order, Scan, Search, Segment, drops, map};

/// All rows the index held at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Full segments; rarely changes, so it is shared between snapshots.
    pub(crate) sealed: Arc<Vec<Arc<Segment>>>,
    /// Small segments that arrived since.
    pub(crate) tail: Vec<Arc<Segment>>,
    pub(crate) first_seq: u64,
    pub(crate) end_seq: u64,
}

impl Snapshot {
    /// Sequence number of the first row still held.
    #[must_use]
    pub const fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// Sequence number after that of the last row.
    #[must_use]
    pub const fn end_seq(&self) -> u64 {
        self.end_seq
    }

    /// The segments in order of arrival.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &Arc<Segment>> {
        self.sealed.iter().chain(&self.tail)
    }

    /// Rows held.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.end_seq - self.first_seq
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments().map(|segment| as_u64(segment.bytes())).sum()
    }

    /// Time of the oldest row.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        self.segments().map(|segment| segment.time_range().0).min()
    }

    /// Time of the newest row.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        self.segments().map(|segment| segment.time_range().1).max()
    }

    /// Walks the rows that match, in true order of time (then node, then arrival). Lazy: only what is asked for is
    /// looked at.
    #[must_use]
    pub fn scan(&self, search: Search, order: Order) -> Scan {
        Scan::new(self.segments(), search, order)
    }

    /// The newest `n` flows that match, oldest first.
    #[must_use]
    pub fn last(&self, n: usize, search: Search) -> Vec<Flow> {
        let mut flows: Vec<Flow> = self.scan(search, Order::NewestFirst).take(n).map(|hit| hit.flow()).collect();
        flows.reverse();
        flows
    }

    /// The oldest `n` flows that match, oldest first.
    #[must_use]
    pub fn first(&self, n: usize, search: Search) -> Vec<Flow> {
        self.scan(search, Order::OldestFirst).take(n).map(|hit| hit.flow()).collect()
    }

    /// Who talks to whom in the rows that match. `completeness` is left to the caller.
    #[must_use]
    pub fn service_map(&self, search: &Search, by: MapBy) -> ServiceMap {
        map::service_map(self, search, by)
    }

    /// The drops in the rows that match, `groups_max` groups at most. `completeness` is left to the caller.
    #[must_use]
    pub fn drop_summary(&self, search: &Search, groups_max: usize) -> DropSummary {
        drops::drop_summary(self, search, groups_max)
    }
}
