//! The segments as the writer keeps them.

use std::sync::Arc;

use flow::Timestamp;
use table::{MAX_BATCH_ROWS, merge};

use crate::segment::as_u64;
use crate::{Config, Segment, Snapshot, Stats};

/// Small segments of like size are merged once there are this many, so that a row is copied a few times in its life and
/// a search never meets more than a few dozen small segments.
const FAN_IN: usize = 16;

/// Sizes that count as alike: below the first, below the second, any larger.
const TIERS: [usize; 2] = [512, 4_096];

/// Segments in order of arrival: full ones, and a tail of small ones that become a full one in time.
#[derive(Debug)]
pub(crate) struct Store {
    config: Config,
    /// Rows of a full segment. Small indexes have small segments, so that eviction stays fine-grained.
    segment_rows: usize,
    sealed: Arc<Vec<Arc<Segment>>>,
    tail: Vec<Arc<Segment>>,
    /// When the first row of the tail arrived.
    tail_since: Timestamp,
    first_seq: u64,
    end_seq: u64,
    bytes: usize,
}

impl Store {
    pub(crate) fn new(config: Config) -> Self {
        let segment_rows = (config.rows_max / 32).clamp(1, MAX_BATCH_ROWS);
        Self {
            config,
            segment_rows,
            sealed: Arc::default(),
            tail: Vec::new(),
            tail_since: Timestamp::default(),
            first_seq: 0,
            end_seq: 0,
            bytes: 0,
        }
    }

    /// Sequence number of the next row.
    pub(crate) const fn end_seq(&self) -> u64 {
        self.end_seq
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        Snapshot {
            sealed: self.sealed.clone(),
            tail: self.tail.clone(),
            first_seq: self.first_seq,
            end_seq: self.end_seq,
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            rows: self.end_seq - self.first_seq,
            bytes: as_u64(self.bytes),
            rows_seen: self.end_seq,
            rows_evicted: self.first_seq,
            batches_repeated: 0,
            segments: as_u64(self.sealed.len() + self.tail.len()),
        }
    }

    /// Adds rows that arrived, and makes room for them.
    pub(crate) fn append(&mut self, segment: Segment, now: Timestamp) {
        debug_assert_eq!(segment.first_seq(), self.end_seq);
        if self.tail_rows() + segment.rows() > self.segment_rows {
            self.seal();
        }
        if self.tail.is_empty() {
            self.tail_since = now;
        }
        self.end_seq = segment.end_seq();
        self.bytes += segment.bytes();
        self.tail.push(Arc::new(segment));
        self.compact();
        if self.tail_rows() >= self.segment_rows {
            self.seal();
        }
        self.evict();
    }

    /// Merges the tail if its first row has waited long enough. Gives whether anything changed.
    pub(crate) fn merge_old(&mut self, now: Timestamp) -> bool {
        let old = now.since(self.tail_since) >= self.config.segment_age;
        if !old || self.tail.len() < 2 {
            return false;
        }
        self.merge_tail(0);
        self.tail_since = now;
        true
    }

    fn tail_rows(&self) -> usize {
        self.tail.iter().map(|segment| segment.rows()).sum()
    }

    /// Merges runs of small segments at the end of the tail.
    fn compact(&mut self) {
        loop {
            let Some(last) = self.tail.last() else { return };
            let tier = tier(last.rows());
            let run = self.tail.iter().rev().take_while(|segment| crate::store::tier(segment.rows()) <= tier).count();
            if run < FAN_IN {
                return;
            }
            self.merge_tail(self.tail.len() - run);
        }
    }

    /// Merges the tail from this segment on into one.
    fn merge_tail(&mut self, from: usize) {
        let parts = self.tail.split_off(from);
        let Some(first_seq) = parts.first().map(|segment| segment.first_seq()) else { return };
        let batches: Vec<_> = parts.iter().map(|segment| segment.batch().clone()).collect();
        let batch = merge(&batches).expect("the tail never has more rows than a batch, and all have the table's shape");
        let merged = Segment::new(batch, first_seq).expect("merging keeps the table's shape");
        self.bytes -= parts.iter().map(|segment| segment.bytes()).sum::<usize>();
        self.bytes += merged.bytes();
        self.tail.push(Arc::new(merged));
    }

    /// Makes the tail one full segment.
    fn seal(&mut self) {
        self.merge_tail(0);
        Arc::make_mut(&mut self.sealed).append(&mut self.tail);
    }

    /// Drops the oldest segments until the limits hold; the newest one always stays.
    fn evict(&mut self) {
        let mut evicted = 0;
        let mut bytes = self.bytes;
        let mut first_seq = self.first_seq;
        let segments = self.sealed.len() + self.tail.len();
        for segment in self.sealed.iter().chain(&self.tail) {
            let rows = self.end_seq - first_seq;
            let fits = rows <= as_u64(self.config.rows_max) && bytes <= self.config.bytes_max;
            if fits || evicted + 1 == segments {
                break;
            }
            evicted += 1;
            bytes -= segment.bytes();
            first_seq = segment.end_seq();
        }
        if evicted == 0 {
            return;
        }
        self.bytes = bytes;
        self.first_seq = first_seq;
        let of_sealed = evicted.min(self.sealed.len());
        if of_sealed > 0 {
            Arc::make_mut(&mut self.sealed).drain(..of_sealed);
        }
        self.tail.drain(..evicted - of_sealed);
    }
}

fn tier(rows: usize) -> usize {
    TIERS.iter().filter(|limit| rows >= **limit).count()
}
