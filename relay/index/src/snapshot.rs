//! What readers see: rows in memory, and the files that have the rest.

use std::sync::Arc;

use flow::view::{DropSummary, ServiceMap};
use flow::{Flow, Timestamp};

use crate::files::{Chunk, FileEntry, Files};
use crate::segment::as_u64;
use crate::{MapShape, Order, Scan, Search, Segment, drops, map};

/// All rows of one moment, each once: those in memory, and in files those that are not in memory any more.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    /// Full segments; rarely changes, so it is shared between snapshots.
    pub(crate) sealed: Arc<Vec<Arc<Segment>>>,
    /// Small segments that arrived since.
    pub(crate) tail: Vec<Arc<Segment>>,
    pub(crate) first_seq: u64,
    pub(crate) end_seq: u64,
    pub(crate) rows: u64,
    /// Rows before this one are, or were, in files, whether they are in memory or not.
    pub(crate) published: u64,
    /// Counts snapshots of one index.
    pub(crate) generation: u64,
    /// All files, also those whose rows are still in memory.
    pub(crate) files: Arc<Vec<Arc<FileEntry>>>,
    pub(crate) reader: Option<Arc<Files>>,
}

impl Snapshot {
    /// Sequence number of the first row still held in memory.
    #[must_use]
    pub const fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// Sequence number after that of the last row.
    #[must_use]
    pub const fn end_seq(&self) -> u64 {
        self.end_seq
    }

    /// The segments in memory, in order of arrival.
    pub fn segments(&self) -> impl DoubleEndedIterator<Item = &Arc<Segment>> {
        self.sealed.iter().chain(&self.tail)
    }

    /// The row groups of files whose rows are not in memory any more, the oldest file first.
    pub fn chunks(&self) -> impl Iterator<Item = Chunk> {
        self.visible().flat_map(|(entry, files)| {
            let chunk = |group| Chunk::new(files.clone(), entry.clone(), group);
            (0..entry.groups.len()).map(chunk)
        })
    }

    pub(crate) const fn published(&self) -> u64 {
        self.published
    }

    pub(crate) const fn generation(&self) -> u64 {
        self.generation
    }

    pub(crate) const fn files(&self) -> &Arc<Vec<Arc<FileEntry>>> {
        &self.files
    }

    pub(crate) const fn reader(&self) -> Option<&Arc<Files>> {
        self.reader.as_ref()
    }

    /// Whether rows that leave the memory stay in files.
    pub(crate) const fn has_files(&self) -> bool {
        self.reader.is_some()
    }

    /// Rows in memory and in files.
    #[must_use]
    pub fn all_rows(&self) -> u64 {
        self.rows + self.visible().map(|(entry, _)| entry.rows).sum::<u64>()
    }

    fn visible(&self) -> impl Iterator<Item = (&Arc<FileEntry>, &Arc<Files>)> {
        let visible = |files| {
            let cold = self.files.iter().filter(|entry| entry.end_seq <= self.first_seq);
            cold.map(move |entry| (entry, files))
        };
        self.reader.iter().flat_map(visible)
    }

    /// Rows held in memory.
    #[must_use]
    pub const fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes held in memory.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.segments().map(|segment| as_u64(segment.bytes())).sum()
    }

    /// Time of the oldest row.
    #[must_use]
    pub fn oldest(&self) -> Option<Timestamp> {
        let in_files = self.visible().map(|(entry, _)| entry.time_range().0);
        self.segments().map(|segment| segment.time_range().0).chain(in_files).min()
    }

    /// Time up to which rows may be out of memory: that of the newest one in a file, and at least that of the oldest one
    /// in memory.
    pub(crate) fn out_of_memory_until(&self) -> Option<Timestamp> {
        let in_files = self.visible().map(|(entry, _)| entry.time_range().1).max();
        let in_memory = self.segments().map(|segment| segment.time_range().0).min();
        in_files.max(in_memory)
    }

    /// Time of the newest row.
    #[must_use]
    pub fn newest(&self) -> Option<Timestamp> {
        let in_files = self.visible().map(|(entry, _)| entry.time_range().1);
        self.segments().map(|segment| segment.time_range().1).chain(in_files).max()
    }

    /// Walks the rows that match, in true order of time (then node, then arrival). Lazy: only what is asked for is
    /// looked at.
    #[must_use]
    pub fn scan(&self, search: Search, order: Order) -> Scan {
        Scan::new(self, search, order)
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
    pub fn service_map(&self, search: &Search, shape: impl Into<MapShape>) -> ServiceMap {
        map::service_map(self, search, shape.into())
    }

    /// The drops in the rows that match, `groups_max` groups at most. `completeness` is left to the caller.
    #[must_use]
    pub fn drop_summary(&self, search: &Search, groups_max: usize) -> DropSummary {
        drops::drop_summary(self, search, groups_max)
    }
}
