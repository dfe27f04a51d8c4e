//! Rows that were sealed: Parquet files, and the catalogue that names them.

mod cache;
mod catalog;
mod chunk;
mod compact;
mod entry;
mod gather;
mod names;
mod pack;
mod pages;
mod place;
mod read;
mod recover;
mod regroup;
mod rollups;
mod seal;
mod trouble;
mod unpack;
mod write;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arrow::record_batch::RecordBatch;
use table::Col;

use crate::RollupLimits;

use cache::Cache;
pub(crate) use catalog::{Catalog, Found};
pub use chunk::Chunk;
pub(crate) use compact::{CompactError, next_job};
pub(crate) use entry::{FileEntry, GroupEntry};
pub(crate) use place::{Place, Remote};
pub use read::ReadError;
pub(crate) use read::{Footer, range_of};
pub(crate) use rollups::OfFile;
pub use trouble::ReadMark;
pub(crate) use trouble::Trouble;
use trouble::Troubles;
pub(crate) use write::PlainWriter;

/// What reading files did since the start.
#[derive(Debug, Default)]
pub(crate) struct ReadCounts {
    pub(crate) groups_read: AtomicU64,
    pub(crate) groups_skipped: AtomicU64,
    pub(crate) failures: AtomicU64,
    pub(crate) set_aside: AtomicU64,
    /// Counts by minute or hour that were not in memory.
    pub(crate) rollups_read: AtomicU64,
    /// Those of them that had to be counted from the flows.
    pub(crate) rollups_counted: AtomicU64,
    /// Files whose counts were made again.
    pub(crate) rollups_made: AtomicU64,
}

/// Reads files, and remembers their footers and troubles.
#[derive(Debug)]
pub(crate) struct Files {
    place: Place,
    footers: Mutex<Cache<String, Footer>>,
    troubles: Mutex<Troubles>,
    rollups: rollups::Rollups,
    pub(crate) counts: ReadCounts,
}

impl Files {
    pub(crate) fn new(place: Place, limits: RollupLimits) -> Self {
        Self {
            place,
            // By default 64 MiB, those of some 40 million flows. To read one takes less than a search in its file.
            footers: Mutex::new(Cache::new(limits.bytes_max / 2)),
            troubles: Mutex::default(),
            rollups: rollups::Rollups::new(limits),
            counts: ReadCounts::default(),
        }
    }

    pub(crate) const fn place(&self) -> &Place {
        &self.place
    }

    /// Reads columns of a row group; `None` where the file is damaged or cannot be read, which is then remembered.
    pub(crate) fn rows(
        &self,
        entry: &FileEntry,
        group: usize,
        columns: &[Col],
        rows: Option<&[u16]>,
    ) -> Option<RecordBatch> {
        self.read_rows(entry, group, columns, rows).ok()
    }

    /// The same, and why not.
    fn read_rows(
        &self,
        entry: &FileEntry,
        group: usize,
        columns: &[Col],
        rows: Option<&[u16]>,
    ) -> Result<RecordBatch, ReadError> {
        self.counts.groups_read.fetch_add(1, Ordering::Relaxed);
        let read = self.footer(entry).and_then(|footer| footer.rows(&self.place, group, columns, rows));
        read.inspect_err(|error| self.meet_trouble(entry, error))
    }

    /// The footer of a file, where it can be read.
    pub(crate) fn footer_if_good(&self, entry: &FileEntry) -> Option<Arc<Footer>> {
        self.footer(entry).map_err(|error| self.meet_trouble(entry, &error)).ok()
    }

    /// Reads the footer of a file, and leaves the file where it is whatever becomes of that.
    pub(crate) fn read_footer(&self, entry: &FileEntry) -> Result<Footer, ReadError> {
        Footer::read(&self.place, &entry.path, entry.bytes)
    }

    fn footer(&self, entry: &FileEntry) -> Result<Arc<Footer>, ReadError> {
        if let Some(footer) = lock(&self.footers).get(&entry.path) {
            return Ok(footer);
        }
        let footer = Arc::new(Footer::read(&self.place, &entry.path, entry.bytes)?);
        let bytes = footer.bytes();
        lock(&self.footers).put(entry.path.clone(), footer.clone(), bytes);
        Ok(footer)
    }

    /// Sets a damaged file aside and remembers what happened.
    fn meet_trouble(&self, entry: &FileEntry, error: &ReadError) {
        self.counts.failures.fetch_add(1, Ordering::Relaxed);
        let mut troubles = lock(&self.troubles);
        if troubles.meet(&entry.path) {
            return;
        }
        let gone = matches!(error, ReadError::Io { source, .. } if source.kind() == std::io::ErrorKind::NotFound);
        let damaged = matches!(error, ReadError::Damaged { .. });
        let aside = if damaged { self.place.set_aside(&entry.path).ok() } else { None };
        let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
        let where_to = aside.as_ref().map(|path| format!("; it was moved to {path}")).unwrap_or_default();
        let problem = format!("{error}{cause}{where_to}");
        if aside.is_some() {
            self.counts.set_aside.fetch_add(1, Ordering::Relaxed);
        }
        lock(&self.footers).remove(&entry.path);
        let (path, range) = (entry.path.clone(), entry.time_range());
        troubles.note(Trouble { path, problem, range, set_aside: aside.is_some() || gone });
    }

    /// Files that cannot be read now.
    pub(crate) fn troubles(&self) -> Vec<Trouble> {
        lock(&self.troubles).now().cloned().collect()
    }

    /// The same, and those that could not be read since a moment.
    pub(crate) fn troubles_since(&self, mark: ReadMark) -> Vec<Trouble> {
        lock(&self.troubles).since(mark)
    }

    /// This moment in the reading of files.
    pub(crate) fn mark(&self) -> ReadMark {
        lock(&self.troubles).mark()
    }

    /// Files that were set aside or are gone, and are in the catalogue still.
    pub(crate) fn lost(&self, entries: &[Arc<FileEntry>]) -> Vec<String> {
        lock(&self.troubles).lost(entries)
    }

    /// Lets troubles pass that may have, so that the files are tried again; answers that met them tell of them still.
    pub(crate) fn try_again(&self) {
        lock(&self.troubles).try_again();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
