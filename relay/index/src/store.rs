//! The segments as the writer keeps them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use flow::Timestamp;
use table::{MAX_BATCH_ROWS, merge};

use crate::files::{FileEntry, Files};
use crate::segment::as_u64;
use crate::{Config, Segment, Snapshot, Stats};

/// Small segments of like size are merged once there are this many: so many batches of a thousand rows are a full
/// segment, so that a row is copied once or twice in its life, and a search meets some dozens of small segments at most.
const FAN_IN: usize = 32;

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
    /// When the oldest row that is in no file arrived, or was first looked at.
    unpublished_since: Timestamp,
    first_seq: u64,
    end_seq: u64,
    rows: u64,
    /// Rows that were there before the start.
    rows_before: u64,
    bytes: usize,
    /// Whether rows have to be in files before they may leave.
    durable: bool,
    /// All rows below this are in files.
    published: u64,
    /// Ends of the runs of rows that are in files and here, the oldest first. Runs leave as a whole, so that a row is
    /// always either here or seen in its file.
    runs: VecDeque<u64>,
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
            unpublished_since: Timestamp::default(),
            first_seq: 0,
            end_seq: 0,
            rows: 0,
            rows_before: 0,
            bytes: 0,
            durable: false,
            published: 0,
            runs: VecDeque::new(),
        }
    }

    /// Makes an empty store go on after rows that are in files.
    pub(crate) fn go_on_after(&mut self, published: u64) {
        debug_assert_eq!(self.end_seq, self.first_seq);
        self.durable = true;
        self.published = published;
        self.rows_before = published;
        (self.first_seq, self.end_seq) = (published, published);
    }

    /// Takes rows from this number on away again.
    pub(crate) fn truncate_to(&mut self, seq: u64) {
        if seq >= self.end_seq {
            return;
        }
        self.seal();
        let sealed = Arc::make_mut(&mut self.sealed);
        while let Some(last) = sealed.pop_if(|last| last.end_seq() > seq) {
            self.rows -= as_u64(last.rows());
            self.bytes -= last.bytes();
            let kept = usize::try_from(seq.saturating_sub(last.first_seq())).expect("less than its rows");
            if kept > 0 {
                let batch = last.batch().slice(0, kept);
                let kept = Segment::new(batch, last.first_seq()).expect("a part has the shape of the whole");
                self.rows += as_u64(kept.rows());
                self.bytes += kept.bytes();
                sealed.push(Arc::new(kept));
            }
        }
        self.end_seq = seq;
        self.first_seq = self.first_seq.min(seq);
    }

    /// Leaves out numbers of rows that could not be read.
    pub(crate) fn skip_to(&mut self, seq: u64) {
        if seq <= self.end_seq {
            return;
        }
        self.seal();
        self.end_seq = seq;
        if self.rows == 0 {
            self.first_seq = seq;
        }
    }

    /// Sequence number of the next row.
    pub(crate) const fn end_seq(&self) -> u64 {
        self.end_seq
    }

    pub(crate) fn snapshot(&self, files: &Arc<Vec<Arc<FileEntry>>>, reader: Option<&Arc<Files>>) -> Snapshot {
        Snapshot {
            sealed: self.sealed.clone(),
            tail: self.tail.clone(),
            first_seq: self.first_seq,
            end_seq: self.end_seq,
            rows: self.rows,
            published: self.published,
            generation: 0,
            files: files.clone(),
            reader: reader.cloned(),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        Stats {
            rows: self.rows,
            bytes: as_u64(self.bytes),
            bytes_max: as_u64(self.config.bytes_max),
            rows_seen: self.end_seq - self.rows_before,
            rows_evicted: self.end_seq - self.rows_before - self.rows,
            rows_unpublished: if self.durable { self.end_seq - self.published.min(self.end_seq) } else { 0 },
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
        if self.end_seq == self.published {
            self.unpublished_since = now;
        }
        self.end_seq = segment.end_seq();
        self.rows += as_u64(segment.rows());
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

    /// Changes the limit of bytes. Gives whether rows left because of it.
    pub(crate) fn set_bytes_max(&mut self, bytes_max: usize) -> bool {
        self.config.bytes_max = bytes_max;
        let before = self.first_seq;
        self.evict();
        self.first_seq != before
    }

    /// Whether no row can be taken besides so many that are about to come, because those that are here are not in files yet.
    pub(crate) fn is_full(&self, rows_to_come: u64) -> bool {
        self.durable && self.runs.is_empty() && !self.fits(self.rows + rows_to_come, self.bytes)
    }

    fn fits(&self, rows: u64, bytes: usize) -> bool {
        rows <= as_u64(self.config.rows_max) && bytes <= self.config.bytes_max
    }

    /// The next run of rows to be put into a file: full segments of at most `rows_max` rows together. Fewer, or those
    /// that are not full, only where the first of them has waited for `age`, or memory is filling up.
    pub(crate) fn next_run(&mut self, rows_max: usize, age: Duration, now: Timestamp) -> Vec<Arc<Segment>> {
        // A clock that jumped back must not keep rows from their file.
        let waited = now.since(self.unpublished_since) >= age || now < self.unpublished_since;
        let old = waited && self.end_seq > self.published;
        let waiting = self.sealed.iter().filter(|segment| segment.first_seq() >= self.published);
        let full = waiting.map(|segment| segment.rows()).sum::<usize>() >= rows_max;
        // Memory may be full before there are so many.
        let (rows, bytes) = (self.rows + self.rows / 2, self.bytes + self.bytes / 2);
        let pressed = self.durable && self.runs.is_empty() && !self.fits(rows, bytes);
        if !full && !old && !pressed {
            return Vec::new();
        }
        if !full {
            self.seal();
        }
        let mut rows = 0;
        let waiting = self.sealed.iter().filter(|segment| segment.first_seq() >= self.published);
        let fits = |segment: &&Arc<Segment>| {
            rows += segment.rows();
            rows <= rows_max || rows == segment.rows()
        };
        waiting.take_while(fits).cloned().collect()
    }

    /// Notes that the rows up to here are in files.
    pub(crate) fn published(&mut self, end_seq: u64, now: Timestamp) {
        self.published = end_seq;
        self.unpublished_since = now;
        self.runs.push_back(end_seq);
        self.evict();
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

    /// Drops the oldest segments until the limits hold: runs that are in files, or where there are no files any but the
    /// newest one.
    fn evict(&mut self) {
        if !self.durable {
            self.evict_segments();
            return;
        }
        while !self.fits(self.rows, self.bytes) {
            let Some(end_seq) = self.runs.pop_front() else { return };
            let sealed = Arc::make_mut(&mut self.sealed);
            let evicted = sealed.iter().take_while(|segment| segment.end_seq() <= end_seq).count();
            for segment in sealed.drain(..evicted) {
                self.bytes -= segment.bytes();
                self.rows -= as_u64(segment.rows());
            }
            self.first_seq = end_seq;
        }
    }

    fn evict_segments(&mut self) {
        let mut evicted = 0;
        let mut bytes = self.bytes;
        let mut first_seq = self.first_seq;
        let segments = self.sealed.len() + self.tail.len();
        for segment in self.sealed.iter().chain(&self.tail) {
            let rows = self.end_seq - first_seq;
            if self.fits(rows, bytes) || evicted + 1 == segments {
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
        self.rows -= first_seq - self.first_seq;
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
