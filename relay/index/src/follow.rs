//! Following the index.

use std::ops::Range;
use std::sync::Arc;

use table::BatchFilter;
use tokio::sync::watch;

use crate::scan::{Opened, compare};
use crate::segment::as_u64;
use crate::{Hit, Segment, Snapshot};

/// Reads rows as they arrive, in order of arrival. It holds no queue: the index itself is the buffer, so a follower
/// that is slower than eviction misses rows and learns exactly how many.
#[derive(Debug)]
pub struct Follower {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    next_seq: u64,
    lag_max: u64,
}

/// Rows that arrived since the last call.
#[derive(Debug)]
pub struct Followed {
    /// Rows evicted or skipped before the follower could read them.
    pub missed: u64,
    /// Sequence number after that of the last row.
    pub end_seq: u64,
    parts: Vec<(Arc<Segment>, Range<usize>)>,
}

impl Follower {
    pub(crate) const fn new(snapshots: watch::Receiver<Arc<Snapshot>>, next_seq: u64) -> Self {
        Self { snapshots, next_seq, lag_max: u64::MAX }
    }

    /// Skips what is further behind than this many rows; it counts as missed. Without it a follower may fall back as
    /// far as the index reaches.
    #[must_use]
    pub const fn lag_max(mut self, rows: u64) -> Self {
        self.lag_max = rows;
        self
    }

    /// Sequence number of the next row to read.
    #[must_use]
    pub const fn next_seq(&self) -> u64 {
        self.next_seq
    }

    /// Waits for rows and takes all that are there. `None` once the index is gone and everything was read.
    ///
    /// # Cancel safety
    /// A dropped call has taken no rows.
    pub async fn next(&mut self) -> Option<Followed> {
        loop {
            if let Some(followed) = self.try_next() {
                return Some(followed);
            }
            self.snapshots.changed().await.ok()?;
        }
    }

    /// Takes the rows that are there without waiting; `None` where there are none.
    pub fn try_next(&mut self) -> Option<Followed> {
        let snapshot = self.snapshots.borrow_and_update().clone();
        if snapshot.end_seq <= self.next_seq {
            return None;
        }
        let start = self.next_seq.max(snapshot.first_seq).max(snapshot.end_seq.saturating_sub(self.lag_max));
        let missed = start - self.next_seq;
        self.next_seq = snapshot.end_seq;
        let mut parts = Vec::new();
        // New rows are in the last segments, so the walk starts there.
        for segment in snapshot.segments().rev() {
            if segment.end_seq() <= start {
                break;
            }
            let skipped = usize::try_from(start.saturating_sub(segment.first_seq())).expect("less than its rows");
            parts.push((segment.clone(), skipped..segment.rows()));
        }
        parts.reverse();
        Some(Followed { missed, end_seq: snapshot.end_seq, parts })
    }
}

impl Followed {
    /// Rows taken, matching or not.
    #[must_use]
    pub fn rows(&self) -> u64 {
        self.parts.iter().map(|(_, rows)| as_u64(rows.len())).sum()
    }

    /// The rows that match, by time, then node, then arrival.
    #[must_use]
    pub fn matching(&self, filter: &BatchFilter) -> Vec<Hit> {
        let mut hits = Vec::new();
        for (segment, rows) in &self.parts {
            let new = segment.batch().slice(rows.start, rows.len());
            let mask = filter.mask(&new).expect("segments have the table's shape");
            if mask.values().has_true() {
                let opened = Arc::new(Opened::new(segment.clone()));
                hits.extend(mask.values().set_indices().map(|row| opened.hit(rows.start + row)));
            }
        }
        hits.sort_by(compare);
        hits
    }
}
