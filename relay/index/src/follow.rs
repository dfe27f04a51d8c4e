//! Following the index.

use std::sync::Arc;

use table::BatchFilter;
use tokio::sync::watch;

use crate::{Hit, Snapshot};

/// Reads rows as they arrive, in order of arrival. It holds no queue: the index itself is the buffer, so a follower
/// that is slower than eviction misses rows and learns exactly how many.
#[derive(Debug)]
pub struct Follower {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    next_seq: u64,
}

/// Rows that arrived since the last call.
#[derive(Debug)]
pub struct Followed {
    /// Rows evicted or skipped before the follower could read them.
    pub missed: u64,
    /// Sequence number after that of the last row.
    pub end_seq: u64,
}

impl Follower {
    pub(crate) const fn new(snapshots: watch::Receiver<Arc<Snapshot>>, next_seq: u64) -> Self {
        Self { snapshots, next_seq }
    }

    /// Skips what is further behind than this many rows; it counts as missed. Without it a follower may fall back as
    /// far as the index reaches.
    #[must_use]
    pub fn lag_max(self, rows: u64) -> Self {
        let _ = rows;
        self
    }

    /// Sequence number of the next row to read.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Waits for rows and takes all that are there. `None` once the index is gone.
    ///
    /// # Cancel safety
    /// A dropped call has taken no rows.
    pub async fn next(&mut self) -> Option<Followed> {
        self.snapshots.changed().await.ok()?;
        todo!()
    }

    /// Takes the rows that are there without waiting; `None` where there are none.
    pub fn try_next(&mut self) -> Option<Followed> {
        todo!()
    }
}

impl Followed {
    /// Rows taken, matching or not.
    #[must_use]
    pub fn rows(&self) -> u64 {
        todo!()
    }

    /// The rows that match, by time, then node, then arrival.
    #[must_use]
    pub fn matching(&self, filter: &BatchFilter) -> Vec<Hit> {
        let _ = filter;
        todo!()
    }
}
