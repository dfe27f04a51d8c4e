//! What has to be done now and then: rows become files, the log is cut, old files go.

use std::io;
use std::sync::{MutexGuard, PoisonError};
use std::time::Duration;

use flow::Timestamp;

use super::Index;
use super::open::{Durable, Keeping};
use crate::files::FileEntry;
use crate::segment::as_u64;
use crate::wal::LogStats;

/// Time after the end of an hour at which its files become one.
const COMPACT_AFTER: Duration = Duration::from_secs(600);
const HOUR: Duration = Duration::from_secs(3_600);

/// What a store did since the start, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// The log.
    pub log: LogStats,
    /// Files in the catalogue.
    pub files: u64,
    /// Rows in them.
    pub file_rows: u64,
    /// Bytes of them.
    pub file_bytes: u64,
    /// Rows written to files, compaction not counted.
    pub rows_sealed: u64,
    /// Files written, compaction not counted.
    pub files_sealed: u64,
    /// Steps of upkeep that failed.
    pub failures: u64,
    /// Files that became part of a larger one.
    pub files_compacted: u64,
    /// Files deleted because of their age or because the budget was full.
    pub files_expired: u64,
    /// Rows in those.
    pub rows_expired: u64,
    /// Files set aside because they are damaged.
    pub files_set_aside: u64,
    /// Batches refused because the memory was full of rows that are in no file.
    pub refused_full: u64,
    /// Reads of files that failed.
    pub read_failures: u64,
    /// Row groups read.
    pub groups_read: u64,
    /// Row groups that what their footer says kept from being read.
    pub groups_skipped: u64,
    /// Bytes of the counts beside the files.
    pub rollup_bytes: u64,
    /// Bytes of memory of the counts that were read lately.
    pub rollup_memory_bytes: u64,
    /// Counts of a file that were read because they were not in memory.
    pub rollups_read: u64,
    /// Those of them that had to be counted from the file's flows.
    pub rollups_counted: u64,
    /// Files whose counts were made again.
    pub rollups_made: u64,
    /// Files whose counts a later version made, as far as they were asked for; they are counted from their flows.
    pub rollups_later: u64,
}

/// What one round of upkeep did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upkeep {
    /// Rows that became files.
    pub rows_sealed: u64,
    /// Files that became part of a larger one.
    pub files_compacted: u64,
    /// Files that could not be read to be compacted; others are, and these are tried again later.
    pub files_passed_over: u64,
    /// Files whose counts by the minute and hour were made again.
    pub rollups_made: u64,
    /// Files of the log that were deleted.
    pub log_files_deleted: u64,
    /// Whether there is more to do at once.
    pub more: bool,
}

/// What is not waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Haste {
    /// Everything has its time.
    None,
    /// Rows become files at once.
    Seal,
    /// Files are compacted at once.
    Compact,
}

impl Index {
    /// Does what is due: writes rows that have waited to files, cuts the log, forces it to the disk where the settings
    /// say now and then. Call it every second or so, from a thread that may block for seconds; appending and reading go
    /// on meanwhile. Without a store it does nothing.
    ///
    /// # Errors
    /// The disk or the object store refuses. What is there stays as it is, and the next call tries again.
    pub fn upkeep(&self, now: Timestamp) -> io::Result<Upkeep> {
        self.upkeep_after(now, Haste::None)
    }

    /// The same without waiting for late rows: the files of all hours that are over are compacted, whenever they were
    /// written.
    ///
    /// # Errors
    /// As [`Index::upkeep`].
    pub fn upkeep_of_the_past(&self, now: Timestamp) -> io::Result<Upkeep> {
        self.upkeep_after(now, Haste::Compact)
    }

    /// Writes all rows to files, also those that have not waited.
    ///
    /// # Errors
    /// As [`Index::upkeep`].
    pub fn seal_all(&self, now: Timestamp) -> io::Result<Upkeep> {
        let mut sum = Upkeep::default();
        loop {
            let done = self.upkeep_after(now, Haste::Seal)?;
            sum.rows_sealed += done.rows_sealed;
            sum.log_files_deleted += done.log_files_deleted;
            if !done.more {
                return Ok(sum);
            }
        }
    }

    fn upkeep_after(&self, now: Timestamp, haste: Haste) -> io::Result<Upkeep> {
        let Some(durable) = &self.durable else { return Ok(Upkeep::default()) };
        let mut keeping = durable.keeping();
        let mut done = Upkeep::default();
        // Each step is tried whatever became of the others: what expires makes room on a disk that is full.
        let steps = [
            self.leave_out_lost(durable, &mut keeping),
            self.expire(durable, &mut keeping, now),
            self.delete_left(durable, &mut keeping, now),
            self.flush(now),
            self.seal_and_compact(durable, &mut keeping, (haste, now), &mut done),
            self.prune(&keeping, &mut done),
        ];
        done.more = [done.rows_sealed, done.files_compacted, done.files_passed_over, done.rollups_made] != [0; 4];
        let failed = steps.into_iter().find_map(Result::err);
        keeping.stats.failures += u64::from(failed.is_some());
        // While there is always more to do nobody else gets to see the counts.
        durable.note(&keeping);
        failed.map_or(Ok(done), Err)
    }

    fn seal_and_compact(
        &self,
        durable: &Durable,
        keeping: &mut Keeping,
        (haste, now): (Haste, Timestamp),
        done: &mut Upkeep,
    ) -> io::Result<()> {
        let age = if haste == Haste::Seal { Duration::ZERO } else { durable.config.file_age };
        // Late rows have some minutes to come.
        let until = if haste == Haste::Compact { now } else { now.before(COMPACT_AFTER) }.window(HOUR);
        done.rows_sealed = self.seal(durable, keeping, age, now)?;
        // What waits in memory comes first.
        if done.rows_sealed == 0 {
            let at_once = haste == Haste::Compact;
            (done.files_compacted, done.files_passed_over) = self.compact(durable, keeping, (until, at_once), now)?;
        }
        if done.rows_sealed == 0 && done.files_compacted == 0 {
            done.rollups_made = self.mend_rollups(durable, keeping)?;
        }
        Ok(())
    }

    /// Deletes files of the log whose rows are in files.
    fn prune(&self, keeping: &Keeping, done: &mut Upkeep) -> io::Result<()> {
        let mut log = self.log();
        let Some(log) = log.as_mut() else { return Ok(()) };
        done.log_files_deleted = log.prune(keeping.catalog.published())?;
        self.note_log(log);
        Ok(())
    }

    /// Writes losses that came without a batch to the log, and forces it to the disk where that is due.
    fn flush(&self, now: Timestamp) -> io::Result<()> {
        let mut log = self.log();
        let Some(log) = log.as_mut() else { return Ok(()) };
        let end_seq = {
            let writer = self.writer();
            (!writer.unlogged.is_empty()).then(|| writer.store.end_seq())
        };
        if let Some(end_seq) = end_seq {
            self.commit(log, end_seq, now)?;
        }
        let synced = log.sync_if_due();
        self.note_log(log);
        synced
    }

    /// Takes files that were set aside out of the catalogue.
    fn leave_out_lost(&self, durable: &Durable, keeping: &mut Keeping) -> io::Result<()> {
        durable.files.try_again();
        let lost = durable.files.lost(keeping.catalog.entries());
        if lost.is_empty() {
            return Ok(());
        }
        self.step(keeping, Vec::new(), lost.clone())?;
        lost.iter().try_for_each(|path| durable.files.delete_rollups(path))
    }

    /// Makes the counts of one file again, where they are lost or were never made.
    fn mend_rollups(&self, durable: &Durable, keeping: &mut Keeping) -> io::Result<u64> {
        let Some(entry) = durable.files.without_rollups(keeping.catalog.entries()) else { return Ok(0) };
        let entry = entry.clone();
        let Some(mended) = durable.files.make_rollups(&entry)? else { return Ok(0) };
        self.step(keeping, vec![mended], Vec::new())?;
        Ok(1)
    }

    fn seal(&self, durable: &Durable, keeping: &mut Keeping, age: Duration, now: Timestamp) -> io::Result<u64> {
        let run = self.writer().store.next_run(durable.config.file_rows, age, now);
        let Some(end_seq) = run.last().map(|segment| segment.end_seq()) else { return Ok(0) };
        let entries = durable.files.seal(&run, &mut keeping.namer, now)?;
        let rows = run.iter().map(|segment| as_u64(segment.rows())).sum();
        let files = as_u64(entries.len());
        if let Err(error) = keeping.catalog.step(entries.clone(), Vec::new(), end_seq) {
            durable.files.forget(&entries);
            return Err(error);
        }
        let mut writer = self.writer();
        writer.files = keeping.catalog.entries().clone();
        writer.store.published(end_seq, now);
        self.show(&writer);
        keeping.stats.rows_sealed += rows;
        keeping.stats.files_sealed += files;
        Ok(rows)
    }

    /// Changes the catalogue and shows readers the change.
    pub(super) fn step(&self, keeping: &mut Keeping, add: Vec<FileEntry>, remove: Vec<String>) -> io::Result<()> {
        let published = keeping.catalog.published();
        keeping.catalog.step(add, remove, published)?;
        let mut writer = self.writer();
        writer.files = keeping.catalog.entries().clone();
        self.show(&writer);
        Ok(())
    }

    /// Ends the log in order, so that the next start finds all that is known besides flows at one place.
    ///
    /// # Errors
    /// The disk refuses; what was acknowledged is safe all the same.
    pub fn close(&self, now: Timestamp) -> io::Result<()> {
        self.flush(now)?;
        self.log().as_mut().map_or(Ok(()), crate::wal::Wal::close)
    }

    /// What the store did and holds; all zero without one.
    #[must_use]
    pub fn store_stats(&self) -> StoreStats {
        let Some(durable) = &self.durable else { return StoreStats::default() };
        let log = *self.log_stats.lock().unwrap_or_else(PoisonError::into_inner);
        let files = self.writer().files.clone();
        let counts = &durable.files.counts;
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(std::sync::atomic::Ordering::Relaxed);
        StoreStats {
            log,
            files: as_u64(files.len()),
            file_rows: files.iter().map(|entry| entry.rows).sum(),
            file_bytes: files.iter().map(|entry| entry.bytes).sum(),
            files_set_aside: count(&counts.set_aside),
            read_failures: count(&counts.failures),
            refused_full: self.writer().refused_full,
            groups_read: count(&counts.groups_read),
            groups_skipped: count(&counts.groups_skipped),
            rollup_bytes: files.iter().map(|entry| entry.all_bytes() - entry.bytes).sum(),
            rollup_memory_bytes: as_u64(durable.files.rollup_memory()),
            rollups_read: count(&counts.rollups_read),
            rollups_counted: count(&counts.rollups_counted),
            rollups_made: count(&counts.rollups_made),
            rollups_later: as_u64(durable.files.later_rollups()),
            ..durable.kept()
        }
    }
}

impl Durable {
    pub(super) fn keeping(&self) -> MutexGuard<'_, Keeping> {
        self.keeping.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, keeping: &Keeping) -> StoreStats {
        let mut last = self.last_stats.lock().unwrap_or_else(PoisonError::into_inner);
        *last = keeping.stats;
        *last
    }

    /// Counts of upkeep; those of the last time where it is at work.
    fn kept(&self) -> StoreStats {
        match self.keeping.try_lock() {
            Ok(keeping) => self.note(&keeping),
            Err(_) => *self.last_stats.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }
}
