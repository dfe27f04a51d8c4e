//! Walking the rows of a snapshot in order of time.

use std::sync::Arc;

use flow::{Flow, Timestamp};
use table::BatchFilter;

use crate::Segment;

/// Which rows are asked for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Filter on the flows.
    pub filter: Arc<BatchFilter>,
    /// Oldest time, inclusive.
    pub since: Option<Timestamp>,
    /// Newest time, inclusive, as Hubble has it.
    pub until: Option<Timestamp>,
}

/// Direction of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By rising time.
    OldestFirst,
    /// By falling time.
    NewestFirst,
}

/// A walk over the matching rows of a snapshot.
#[derive(Debug)]
pub struct Scan {}

impl Iterator for Scan {
    type Item = Hit;

    fn next(&mut self) -> Option<Hit> {
        todo!()
    }
}

/// One row that matched.
#[derive(Clone, Debug)]
pub struct Hit {
    segment: Arc<Segment>,
    row: u32,
}

impl Hit {
    /// Sequence number of the row.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.segment.first_seq() + u64::from(self.row)
    }

    /// Time of the row.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        todo!()
    }

    /// Reads the flow.
    #[must_use]
    pub fn flow(&self) -> Flow {
        todo!()
    }
}
