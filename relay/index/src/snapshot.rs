//! What readers see.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use flow::view::{DropSummary, ServiceMap};
use flow::{Flow, Timestamp};

use crate::{MapBy, Order, Scan, Search};

/// A run of rows that never changes.
#[derive(Debug)]
pub struct Segment {
    batch: RecordBatch,
    first_seq: u64,
}

impl Segment {
    /// The rows in order of arrival, in the shape of [`table::schema()`].
    #[must_use]
    pub const fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// Sequence number of the first row; the others follow without gaps.
    #[must_use]
    pub const fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// Time of the oldest and of the newest row.
    #[must_use]
    pub fn time_range(&self) -> (Timestamp, Timestamp) {
        todo!()
    }
}

/// All rows the index held at one moment.
#[derive(Debug)]
pub struct Snapshot {
    segments: Vec<Arc<Segment>>,
}

impl Snapshot {
    /// Sequence number of the first row still held.
    #[must_use]
    pub fn first_seq(&self) -> u64 {
        todo!()
    }

    /// Sequence number after that of the last row.
    #[must_use]
    pub fn end_seq(&self) -> u64 {
        todo!()
    }

    /// The segments in order of arrival.
    pub fn segments(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.segments.iter()
    }

    /// Rows held.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.end_seq() - self.first_seq()
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        todo!()
    }

    /// Time of the oldest row.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        todo!()
    }

    /// Time of the newest row.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        todo!()
    }

    /// Walks the rows that match, in true order of time (then node, then arrival). Lazy: only what is asked for is
    /// looked at.
    #[must_use]
    pub fn scan(self: &Arc<Self>, search: Search, order: Order) -> Scan {
        let _ = (search, order);
        todo!()
    }

    /// The newest `n` flows that match, oldest first.
    #[must_use]
    pub fn last(self: &Arc<Self>, n: usize, search: Search) -> Vec<Flow> {
        let mut flows: Vec<Flow> = self.scan(search, Order::NewestFirst).take(n).map(|hit| hit.flow()).collect();
        flows.reverse();
        flows
    }

    /// The oldest `n` flows that match, oldest first.
    #[must_use]
    pub fn first(self: &Arc<Self>, n: usize, search: Search) -> Vec<Flow> {
        self.scan(search, Order::OldestFirst).take(n).map(|hit| hit.flow()).collect()
    }

    /// Who talks to whom in the rows that match. `completeness` is left to the caller.
    #[must_use]
    pub fn service_map(&self, search: &Search, by: MapBy) -> ServiceMap {
        let _ = (search, by);
        todo!()
    }

    /// The drops in the rows that match, `groups_max` groups at most. `completeness` is left to the caller.
    #[must_use]
    pub fn drop_summary(&self, search: &Search, groups_max: usize) -> DropSummary {
        let _ = (search, groups_max);
        todo!()
    }
}
