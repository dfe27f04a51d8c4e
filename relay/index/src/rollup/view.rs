//! What the rollups know at one moment.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::{Period, Rollup, RollupKind};
use crate::Snapshot;
use crate::files::{FileEntry, Files, OfFile};

/// The counts of one moment: of rows in memory, and of files, which are read when they are asked for.
#[derive(Clone, Debug, Default)]
pub struct RollupView {
    /// By period, in order of time; several may be of one slice.
    pub(super) rollups: [Vec<Arc<Rollup>>; 2],
    /// Of each period the first slice since which nothing is missing.
    pub(super) whole_since_us: [i64; 2],
    pub(super) files: Vec<RollupFile>,
    /// Times of rows that are in memory still though their file has expired.
    pub(super) gone_us: Option<(i64, i64)>,
}

/// The counts of the rows of one file.
#[derive(Clone, Debug)]
pub struct RollupFile {
    reader: Arc<Files>,
    entry: Arc<FileEntry>,
}

impl RollupView {
    /// Rollups of a period that are in memory only, in order of time; several may be of one slice.
    #[must_use]
    pub fn rollups(&self, period: Period) -> &[Arc<Rollup>] {
        &self.rollups[period as usize]
    }

    /// Files that have the rest.
    #[must_use]
    pub fn files(&self) -> &[RollupFile] {
        &self.files
    }

    /// Rollups in memory whose slices start in this range of microseconds since the Unix epoch.
    pub(crate) fn starting_in(&self, period: Period, range: &Range<i64>) -> impl Iterator<Item = &Arc<Rollup>> {
        let rollups = self.rollups(period);
        let first = rollups.partition_point(|rollup| rollup.start_us < range.start);
        let last = rollups.partition_point(|rollup| rollup.start_us < range.end);
        rollups[first..last.max(first)].iter()
    }

    /// Whether nothing is missing from the slices that start in this range.
    pub(crate) fn is_whole(&self, period: Period, range: &Range<i64>) -> bool {
        let gone = self.gone_us.is_some_and(|(oldest, newest)| {
            let oldest = oldest.div_euclid(period.micros()).saturating_mul(period.micros());
            oldest < range.end && newest >= range.start
        });
        range.start >= range.end || (self.whole_since_us[period as usize] <= range.start && !gone)
    }
}

impl RollupFile {
    /// Those of these files that are not known to be lost.
    pub(super) fn all_of(entries: &[Arc<FileEntry>], reader: &Arc<Files>) -> Vec<Self> {
        let lost = reader.lost(entries);
        let kept = entries.iter().filter(|entry| !lost.contains(&entry.path));
        kept.map(|entry| Self { reader: reader.clone(), entry: entry.clone() }).collect()
    }

    /// Whether slices that start in this range of microseconds since the Unix epoch may have rows of the file.
    #[must_use]
    pub fn meets(&self, period: Period, range: &Range<i64>) -> bool {
        let (oldest, newest) = self.entry.time_range();
        let oldest = oldest.0.div_euclid(1_000).div_euclid(period.micros()).saturating_mul(period.micros());
        oldest < range.end && newest.0.div_euclid(1_000) >= range.start
    }

    /// Rows that its table of edges has about.
    pub(crate) fn edges(&self, period: Period) -> u64 {
        /// Flows of a thin hour that share one row, where nothing better is known.
        const FLOWS_PER_ROW: u64 = 4;
        self.entry.rollup.map_or(self.entry.rows / FLOWS_PER_ROW, |rollup| rollup.edges[period as usize])
    }

    /// Its rollups of a period, in order of time, one a slice, with these tables; the others may be empty. Where they cannot
    /// be read they are counted from the flows of the file, unless `stop` becomes true, after which nobody may use them;
    /// [`crate::Index::damaged`] tells of flows that are in none of them. Blocks on the disk or the object store.
    #[must_use]
    pub fn read(&self, period: Period, kinds: &[RollupKind], stop: &AtomicBool) -> Vec<Rollup> {
        let found = self.reader.rollups(&self.entry, period, kinds, stop);
        if !found.is_whole {
            self.reader.note_uncounted(&self.entry);
        }
        found.rollups
    }

    /// The same where every flow of the file is counted, else `None`.
    pub(crate) fn read_whole(&self, period: Period, kinds: &[RollupKind]) -> Option<Vec<Rollup>> {
        let OfFile { rollups, is_whole } = self.reader.rollups(&self.entry, period, kinds, &AtomicBool::new(false));
        is_whole.then_some(rollups)
    }
}

/// Times, in microseconds, of rows that are in memory and in no file any more though they were in one.
pub(super) fn rows_without_file(snapshot: &Snapshot, files: &[Arc<FileEntry>]) -> Option<(i64, i64)> {
    let hot = || snapshot.segments().filter(|segment| segment.end_seq() <= snapshot.published());
    let in_memory: u64 = hot().map(|segment| crate::segment::as_u64(segment.rows())).sum();
    let in_files = files.iter().filter(|entry| entry.end_seq > snapshot.first_seq());
    if in_memory <= in_files.map(|entry| entry.rows).sum() {
        return None;
    }
    let oldest = hot().map(|segment| segment.time_range().0).min()?;
    let newest = hot().map(|segment| segment.time_range().1).max()?;
    Some((oldest.0.div_euclid(1_000), newest.0.div_euclid(1_000)))
}
