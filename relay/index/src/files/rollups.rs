//! The counts of a file's rows, in a Parquet file of their own beside it.
//!
//! Under `rollups/v1/` is a file of the same name for each one under `flows/v1/`. It can be lost: it is made again from
//! the flows. Its row groups are the tables of [`RollupKind`], first those of minutes, then those of hours; the columns
//! `period` and `counts` tell other readers which rows are of which, and columns that a table has not are NULL. What the
//! relay needs beyond that is in the footer, as JSON under the key `weir.rollups`.

use std::collections::{BTreeMap, HashSet};
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex};

use arrow::record_batch::RecordBatch;
use table::Col;

use super::cache::Cache;
use super::entry::{FLOWS, FileEntry, RollupEntry};
use super::{Files, ReadError, Trouble, lock};
use crate::rollup::{COLUMNS, Counter, MINUTES_MAX};
use crate::segment::as_u64;
use crate::{Period, Rollup, RollupKind, RollupLimits};

mod codec;
mod kept;
mod read;

use self::codec::Encoded;
use self::kept::Table;
use self::read::{is_of_later, read};

/// Folder of the counts and version of their layout.
pub(crate) const ROLLUPS: &str = "rollups/v1";

/// Counts that were read lately.
#[derive(Debug)]
pub(super) struct Rollups {
    limits: RollupLimits,
    cache: Mutex<Cache<(String, Period, RollupKind), Table>>,
    /// Files whose counts are to be made.
    wanting: Mutex<Wanting>,
}

/// What keeps files from having counts.
#[derive(Debug, Default)]
struct Wanting {
    /// Files whose counts are not there or damaged.
    lost: HashSet<String>,
    /// Files that are damaged or of a later version, so that there is nothing to count.
    hopeless: HashSet<String>,
    /// Files whose counts a later version made, which stay as they are.
    later: HashSet<String>,
    /// Files whose rows are of too many minutes to be counted.
    too_long: HashSet<String>,
    /// Files that could not be read, which may pass: they are tried again once all others were.
    tried: HashSet<String>,
}

/// Counts of a file.
#[derive(Debug)]
pub(crate) struct OfFile {
    /// In order of time, one a slice.
    pub(crate) rollups: Vec<Rollup>,
    /// Whether every row is counted.
    pub(crate) is_whole: bool,
}

impl Rollups {
    pub(super) fn new(limits: RollupLimits) -> Self {
        Self { cache: Mutex::new(Cache::new(limits.bytes_max)), limits, wanting: Mutex::default() }
    }
}

impl Files {
    /// Tables of the counts of a file's rows; those that were not asked for may be left empty. Where they are not there,
    /// damaged or of a later version they are made from its rows, as far as those can be read, and unless `stop` becomes
    /// true meanwhile.
    pub(crate) fn rollups(&self, entry: &FileEntry, period: Period, kinds: &[RollupKind], stop: &AtomicBool) -> OfFile {
        let key = |kind: &RollupKind| (entry.path.clone(), period, *kind);
        let (mut tables, mut missing) = (Vec::new(), Vec::new());
        {
            let mut cache = lock(&self.rollups.cache);
            for kind in kinds {
                match cache.get(&key(kind)) {
                    Some(table) => tables.push((*kind, table)),
                    None => missing.push(*kind),
                }
            }
        }
        if missing.is_empty() {
            return OfFile { rollups: assemble(period, &tables), is_whole: true };
        }
        if lock(&self.rollups.wanting).too_long.contains(&entry.path) {
            return OfFile { rollups: Vec::new(), is_whole: false };
        }
        self.counts.rollups_read.fetch_add(1, Ordering::Relaxed);
        match read(&self.place, entry, period, &missing) {
            Ok(read) => {
                let read: Vec<_> = missing.into_iter().zip(read.into_iter().map(Arc::new)).collect();
                let mut cache = lock(&self.rollups.cache);
                for (kind, table) in &read {
                    cache.put(key(kind), table.clone(), table.bytes);
                }
                drop(cache);
                tables.extend(read);
                OfFile { rollups: assemble(period, &tables), is_whole: true }
            }
            Err(error) => {
                lock(&self.rollups.wanting).cannot_read_counts(&entry.path, &error);
                self.counts.rollups_counted.fetch_add(1, Ordering::Relaxed);
                self.count(entry, period, stop)
            }
        }
    }

    /// Files whose counts a later version made, as far as they were asked for.
    pub(crate) fn later_rollups(&self) -> usize {
        lock(&self.rollups.wanting).later.len()
    }

    /// Bytes of memory of the counts that were read lately.
    pub(crate) fn rollup_memory(&self) -> usize {
        lock(&self.rollups.cache).bytes()
    }

    /// Counts for the rows of a file that is being written.
    pub(super) fn counter(&self) -> Counter {
        Counter::new(self.rollups.limits.clone())
    }

    /// Notes for completeness that the flows of a file are in no counts, where they are of too many minutes.
    pub(crate) fn note_uncounted(&self, entry: &FileEntry) {
        if !lock(&self.rollups.wanting).too_long.contains(&entry.path) {
            return;
        }
        let path = beside(&entry.path);
        let problem = format!(
            "{} has flows of more than {MINUTES_MAX} minutes, which are not in the counts by minute and hour: ask the \
             table of flows",
            entry.path
        );
        let mut troubles = lock(&self.troubles);
        if !troubles.meet(&path) {
            troubles.note(Trouble { path, problem, range: entry.time_range(), set_aside: false });
        }
    }

    /// Counts the rows of a file. What cannot be read is left out, as it is wherever flows are read; counts are kept
    /// only if there was nothing of that.
    fn count(&self, entry: &FileEntry, period: Period, stop: &AtomicBool) -> OfFile {
        let columns: Vec<Col> = COLUMNS.concat();
        let mut counter = self.counter();
        let mut is_whole = true;
        for group in 0..entry.groups.len() {
            if !counter.is_whole() {
                break;
            }
            if stop.load(Ordering::Relaxed) {
                return OfFile { rollups: Vec::new(), is_whole: false };
            }
            match self.rows(entry, group, &columns, None) {
                Some(batch) => counter.add(&batch),
                None => is_whole = false,
            }
        }
        let Some(counted) = counter.finish() else {
            lock(&self.rollups.wanting).too_long.insert(entry.path.clone());
            return OfFile { rollups: Vec::new(), is_whole: false };
        };
        // Whoever asks for one period asks for the other next, and the flows were read for both.
        let rollups = Period::ALL.map(|period| counted.rollups(period));
        if is_whole {
            self.keep_rollups(&entry.path, &rollups);
        }
        let [minutes, hours] = rollups;
        OfFile { rollups: if period == Period::Minute { minutes } else { hours }, is_whole }
    }

    fn keep_rollups(&self, path: &str, rollups: &[Vec<Rollup>; 2]) {
        let mut cache = lock(&self.rollups.cache);
        for period in Period::ALL {
            for kind in RollupKind::ALL {
                let table = Arc::new(Table::of(kind, &rollups[period as usize]));
                let bytes = table.bytes;
                cache.put((path.to_owned(), period, kind), table, bytes);
            }
        }
    }

    /// Puts the counts beside a file that is about to be written; `None` where it is of too many minutes to have any.
    pub(super) fn put_rollups(&self, path: &str, rows: u64, counter: &Counter) -> io::Result<Option<RollupEntry>> {
        let Some(counted) = counter.finish() else {
            lock(&self.rollups.wanting).too_long.insert(path.to_owned());
            return Ok(None);
        };
        let Encoded { bytes, footer, edges } = codec::encode(path, rows, &counted)?;
        let (length, sum) = (as_u64(bytes.len()), crc32c::crc32c(&bytes[footer..]));
        let entry = RollupEntry { bytes: length, footer: length - as_u64(footer), sum, edges };
        self.place.put(&beside(path), bytes).inspect_err(|_| drop(self.place.delete(&beside(path))))?;
        Ok(Some(entry))
    }

    /// The first of these files whose counts are to be made again.
    pub(crate) fn without_rollups<'a>(&self, entries: &'a [Arc<FileEntry>]) -> Option<&'a Arc<FileEntry>> {
        let mut wanting = lock(&self.rollups.wanting);
        let found = entries.iter().find(|entry| wanting.has(entry) && !wanting.tried.contains(&entry.path));
        if found.is_none() {
            wanting.tried.clear();
        }
        found
    }

    /// Makes the counts of a file again from its rows, and gives the entry that knows of them, or that there are none;
    /// `None` where the file cannot be read as a whole, or where a later version made its counts.
    ///
    /// # Errors
    /// The disk or the object store refuses.
    pub(crate) fn make_rollups(&self, entry: &FileEntry) -> io::Result<Option<FileEntry>> {
        // What looks lost or damaged by what is known of it may have been made anew by a later version.
        match is_of_later(&self.place, entry) {
            Ok(false) => {}
            Ok(true) => {
                lock(&self.rollups.wanting).later.insert(entry.path.clone());
                return Ok(None);
            }
            Err(error) => {
                lock(&self.rollups.wanting).cannot_read(&entry.path, &error);
                return Ok(None);
            }
        }
        let columns: Vec<Col> = COLUMNS.concat();
        let mut counter = self.counter();
        for group in 0..entry.groups.len() {
            if !counter.is_whole() {
                break;
            }
            match self.read_rows(entry, group, &columns, None) {
                Ok(batch) => counter.add(&batch),
                Err(error) => {
                    lock(&self.rollups.wanting).cannot_read(&entry.path, &error);
                    return Ok(None);
                }
            }
        }
        self.place.delete(&beside(&entry.path))?;
        let rollup = self.put_rollups(&entry.path, entry.rows, &counter)?;
        lock(&self.rollups.wanting).lost.remove(&entry.path);
        self.counts.rollups_made.fetch_add(u64::from(rollup.is_some()), Ordering::Relaxed);
        let is_news = rollup.is_some() || entry.rollup.is_some();
        Ok(is_news.then(|| FileEntry { rollup, ..entry.clone() }))
    }

    /// Forgets what is known of the counts of a file that goes.
    fn forget_rollups(&self, path: &str) {
        let mut wanting = lock(&self.rollups.wanting);
        let Wanting { lost, hopeless, later, too_long, tried } = &mut *wanting;
        for paths in [lost, hopeless, later, too_long, tried] {
            paths.remove(path);
        }
    }

    /// Deletes a file and its counts. One that is not there is fine.
    ///
    /// # Errors
    /// The disk or the object store refuses.
    pub(crate) fn delete(&self, path: &str) -> io::Result<()> {
        self.delete_rollups(path)?;
        self.place.delete(path)
    }

    /// Deletes the counts of a file.
    ///
    /// # Errors
    /// The disk or the object store refuses.
    pub(crate) fn delete_rollups(&self, path: &str) -> io::Result<()> {
        self.forget_rollups(path);
        {
            let mut cache = lock(&self.rollups.cache);
            for period in Period::ALL {
                RollupKind::ALL.into_iter().for_each(|kind| cache.remove(&(path.to_owned(), period, kind)));
            }
        }
        self.place.delete(&beside(path))
    }

    /// Deletes counts of `relay` beside which there is no file.
    pub(super) fn delete_stray_rollups(&self, relay: &str, entries: &[Arc<FileEntry>]) -> io::Result<()> {
        let known: HashSet<String> = entries.iter().map(|entry| beside(&entry.path)).collect();
        let ours = |path: &String| path.rsplit('/').next().is_some_and(|name| name.starts_with(relay));
        for path in self.place.list(ROLLUPS)?.iter().filter(|path| ours(path) && !known.contains(*path)) {
            self.place.delete(path)?;
        }
        Ok(())
    }

    /// Reads all counts of a file and checks every checksum.
    ///
    /// # Errors
    /// They are damaged, or cannot be read.
    pub(crate) fn verify_rollups(&self, entry: &FileEntry) -> Result<(), ReadError> {
        Period::ALL.into_iter().try_for_each(|period| read(&self.place, entry, period, &RollupKind::ALL).map(|_| ()))
    }
}

impl Wanting {
    /// Whether the counts of a file can and have to be made.
    fn has(&self, entry: &FileEntry) -> bool {
        let is_wanting = entry.rollup.is_none() || self.lost.contains(&entry.path);
        let never = [&self.hopeless, &self.later, &self.too_long];
        is_wanting && never.iter().all(|paths| !paths.contains(&entry.path))
    }

    /// Notes what is to become of counts: those of a later version are left as they are.
    fn cannot_read_counts(&mut self, path: &str, error: &ReadError) {
        let paths = match error {
            ReadError::Io { source, .. } if source.kind() != io::ErrorKind::NotFound => return,
            ReadError::Io { .. } | ReadError::Damaged { .. } => &mut self.lost,
            ReadError::Later { .. } => &mut self.later,
        };
        paths.insert(path.to_owned());
    }

    fn cannot_read(&mut self, path: &str, error: &ReadError) {
        let paths = match error {
            ReadError::Io { .. } => &mut self.tried,
            ReadError::Damaged { .. } | ReadError::Later { .. } => &mut self.hopeless,
        };
        paths.insert(path.to_owned());
    }
}

/// The rollups that tables of one period make up, in order of time.
fn assemble(period: Period, tables: &[(RollupKind, Arc<Table>)]) -> Vec<Rollup> {
    static EMPTY: LazyLock<[RecordBatch; 4]> =
        LazyLock::new(|| RollupKind::ALL.map(|kind| RecordBatch::new_empty(kind.schema())));
    let mut slices: BTreeMap<i64, [RecordBatch; 4]> = BTreeMap::new();
    for (kind, table) in tables {
        for (start_us, batch) in &table.slices {
            slices.entry(*start_us).or_insert_with(|| EMPTY.clone())[*kind as usize] = batch.clone();
        }
    }
    let overflowed = |start_us: i64| {
        let of_slice = tables.iter().flat_map(|(_, table)| &table.overflowed).find(|(start, _)| *start == start_us);
        of_slice.map_or(0, |(_, flows)| *flows)
    };
    slices.into_iter().map(|(start_us, batches)| Rollup::new(period, start_us, batches, overflowed(start_us))).collect()
}

/// Where the counts of a file are.
pub(super) fn beside(path: &str) -> String {
    match path.strip_prefix(FLOWS) {
        Some(rest) => format!("{ROLLUPS}{rest}"),
        None => format!("{ROLLUPS}/{path}"),
    }
}
