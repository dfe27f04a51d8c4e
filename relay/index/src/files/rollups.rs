//! The counts of a file's rows, in a Parquet file of their own beside it.
//!
//! Under `rollups/v1/` is a file of the same name for each one under `flows/v1/`. It can be lost: it is made again from
//! the flows. Its row groups are the tables of [`RollupKind`], first those of minutes, then those of hours; the columns
//! `period` and `counts` tell other readers which rows are of which, and columns that a table has not are NULL. What the
//! relay needs beyond that is in the footer, as JSON under the key `weir.rollups`.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;
use table::Col;

use super::entry::{FLOWS, FileEntry, RollupEntry};
use super::read::footer_text;
use super::{Files, Place, ReadError, TROUBLES_MAX, Trouble, lock};
use crate::rollup::{COLUMNS, Counter, MINUTES_MAX};
use crate::segment::as_u64;
use crate::{Period, Rollup, RollupKind, RollupLimits};

mod codec;

use codec::{ABOUT_KEY, About, FORMAT};

/// Folder of the counts and version of their layout.
pub(crate) const ROLLUPS: &str = "rollups/v1";

/// The rollups of one period of a file, in order of time.
type OfPeriod = Arc<[Arc<Rollup>]>;

/// Counts that were read lately.
#[derive(Debug)]
pub(super) struct Rollups {
    limits: RollupLimits,
    cache: Mutex<Cache>,
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
    /// Files whose rows are of too many minutes to be counted.
    too_long: HashSet<String>,
    /// Files that could not be read, which may pass: they are tried again once all others were.
    tried: HashSet<String>,
}

/// Counts of a file.
#[derive(Clone, Debug)]
pub(crate) struct OfFile {
    pub(crate) rollups: OfPeriod,
    /// Whether every row is counted.
    pub(crate) is_whole: bool,
}

#[derive(Debug, Default)]
struct Cache {
    of: HashMap<(String, Period), Cached>,
    bytes: usize,
    tick: u64,
}

#[derive(Debug)]
struct Cached {
    rollups: OfPeriod,
    bytes: usize,
    used: u64,
}

impl Rollups {
    pub(super) fn new(limits: RollupLimits) -> Self {
        Self { limits, cache: Mutex::default(), wanting: Mutex::default() }
    }
}

impl Cache {
    fn get(&mut self, key: &(String, Period)) -> Option<OfPeriod> {
        self.tick += 1;
        let cached = self.of.get_mut(key)?;
        cached.used = self.tick;
        Some(cached.rollups.clone())
    }

    /// Keeps rollups; those that were not asked for the longest leave first.
    fn put(&mut self, key: (String, Period), rollups: OfPeriod, bytes: usize, bytes_max: usize) {
        if bytes > bytes_max {
            return;
        }
        self.remove(&key);
        while self.bytes + bytes > bytes_max {
            let oldest = self.of.iter().min_by_key(|(_, cached)| cached.used).map(|(key, _)| key.clone());
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
        }
        self.bytes += bytes;
        self.of.insert(key, Cached { rollups, bytes, used: self.tick });
    }

    fn remove(&mut self, key: &(String, Period)) {
        if let Some(cached) = self.of.remove(key) {
            self.bytes -= cached.bytes;
        }
    }
}

impl Files {
    /// The counts of a file's rows. Where they are not there, damaged or of a later version they are made from its rows,
    /// as far as those can be read.
    pub(crate) fn rollups(&self, entry: &FileEntry, period: Period) -> OfFile {
        let key = (entry.path.clone(), period);
        if let Some(rollups) = lock(&self.rollups.cache).get(&key) {
            return OfFile { rollups, is_whole: true };
        }
        if lock(&self.rollups.wanting).too_long.contains(&entry.path) {
            return OfFile { rollups: Arc::default(), is_whole: false };
        }
        self.counts.rollups_read.fetch_add(1, Ordering::Relaxed);
        match read(&self.place, entry, period) {
            Ok((rollups, bytes)) => {
                let rollups: OfPeriod = rollups.into_iter().map(Arc::new).collect();
                lock(&self.rollups.cache).put(key, rollups.clone(), bytes, self.rollups.limits.bytes_max);
                OfFile { rollups, is_whole: true }
            }
            Err(error) => {
                if is_lost(&error) {
                    lock(&self.rollups.wanting).lost.insert(entry.path.clone());
                }
                self.counts.rollups_counted.fetch_add(1, Ordering::Relaxed);
                self.count(entry, period)
            }
        }
    }

    /// Bytes of memory of the counts that were read lately.
    pub(crate) fn rollup_memory(&self) -> usize {
        lock(&self.rollups.cache).bytes
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
        if troubles.len() < TROUBLES_MAX && troubles.iter().all(|trouble| trouble.path != path) {
            troubles.push(Trouble { path, problem, range: entry.time_range(), set_aside: false });
        }
    }

    /// Counts the rows of a file. What cannot be read is left out, as it is wherever flows are read; counts are kept
    /// only if there was nothing of that.
    fn count(&self, entry: &FileEntry, period: Period) -> OfFile {
        let columns: Vec<Col> = COLUMNS.concat();
        let mut counter = self.counter();
        let mut is_whole = true;
        for group in 0..entry.groups.len() {
            if !counter.is_whole() {
                break;
            }
            match self.rows(entry, group, &columns, None) {
                Some(batch) => counter.add(&batch),
                None => is_whole = false,
            }
        }
        let Some(rollups) = counter.finish() else {
            lock(&self.rollups.wanting).too_long.insert(entry.path.clone());
            return OfFile { rollups: Arc::default(), is_whole: false };
        };
        let [minutes, hours] = if is_whole { self.keep_rollups(&entry.path, &rollups) } else { shared(&rollups) };
        OfFile { rollups: if period == Period::Minute { minutes } else { hours }, is_whole }
    }

    fn keep_rollups(&self, path: &str, rollups: &[Vec<Rollup>; 2]) -> [OfPeriod; 2] {
        let shared = shared(rollups);
        let mut cache = lock(&self.rollups.cache);
        for period in Period::ALL {
            let rollups = &shared[period as usize];
            let bytes = rollups.iter().map(|rollup| rollup.bytes()).sum();
            cache.put((path.to_owned(), period), rollups.clone(), bytes, self.rollups.limits.bytes_max);
        }
        shared
    }

    /// Puts the counts beside a file that is about to be written; `None` where it is of too many minutes to have any.
    pub(super) fn put_rollups(&self, path: &str, rows: u64, counter: &Counter) -> io::Result<Option<RollupEntry>> {
        let Some(rollups) = counter.finish() else {
            lock(&self.rollups.wanting).too_long.insert(path.to_owned());
            return Ok(None);
        };
        let (bytes, footer) = codec::encode(path, rows, &rollups)?;
        let edges = Period::ALL.map(|period| {
            let rows = |rollup: &Rollup| rollup.batch(RollupKind::Edges).num_rows() as u64;
            rollups[period as usize].iter().map(rows).sum()
        });
        let (length, sum) = (as_u64(bytes.len()), crc32c::crc32c(&bytes[footer..]));
        let entry = RollupEntry { bytes: length, footer: length - as_u64(footer), sum, edges };
        self.place.put(&beside(path), bytes).inspect_err(|_| drop(self.place.delete(&beside(path))))?;
        self.keep_rollups(path, &rollups);
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
    /// `None` where the file cannot be read as a whole.
    ///
    /// # Errors
    /// The disk or the object store refuses.
    pub(crate) fn make_rollups(&self, entry: &FileEntry) -> io::Result<Option<FileEntry>> {
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
        let Wanting { lost, hopeless, too_long, tried } = &mut *wanting;
        for paths in [lost, hopeless, too_long, tried] {
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
            Period::ALL.into_iter().for_each(|period| cache.remove(&(path.to_owned(), period)));
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
        Period::ALL.into_iter().try_for_each(|period| read(&self.place, entry, period).map(|_| ()))
    }
}

impl Wanting {
    /// Whether the counts of a file can and have to be made.
    fn has(&self, entry: &FileEntry) -> bool {
        let is_wanting = entry.rollup.is_none() || self.lost.contains(&entry.path);
        is_wanting && !self.hopeless.contains(&entry.path) && !self.too_long.contains(&entry.path)
    }

    fn cannot_read(&mut self, path: &str, error: &ReadError) {
        let paths = match error {
            ReadError::Io { .. } => &mut self.tried,
            ReadError::Damaged { .. } | ReadError::Later { .. } => &mut self.hopeless,
        };
        paths.insert(path.to_owned());
    }
}

fn shared(rollups: &[Vec<Rollup>; 2]) -> [OfPeriod; 2] {
    Period::ALL.map(|period| rollups[period as usize].iter().cloned().map(Arc::new).collect())
}

/// Where the counts of a file are.
pub(super) fn beside(path: &str) -> String {
    match path.strip_prefix(FLOWS) {
        Some(rest) => format!("{ROLLUPS}{rest}"),
        None => format!("{ROLLUPS}/{path}"),
    }
}

/// Whether counts have to be made again; those of a later version are left as they are.
fn is_lost(error: &ReadError) -> bool {
    match error {
        ReadError::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
        ReadError::Damaged { .. } => true,
        ReadError::Later { .. } => false,
    }
}

/// Reads the counts of a file's rows by one period, in order of time, and how much memory they take.
fn read(place: &Place, entry: &FileEntry, period: Period) -> Result<(Vec<Rollup>, usize), ReadError> {
    let path = beside(&entry.path);
    let damaged = |problem: String| ReadError::Damaged { path: path.clone(), problem };
    let fetch = |range: Range<u64>| -> Result<Bytes, ReadError> {
        let parts = place.read(&path, std::slice::from_ref(&range)).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it is shorter than it was".to_owned()),
            _ => ReadError::Io { path: path.clone(), source },
        })?;
        Ok(parts.into_iter().next().unwrap_or_default())
    };
    let never_made = || ReadError::Io { path: path.clone(), source: io::ErrorKind::NotFound.into() };
    let RollupEntry { bytes: length, footer, sum, .. } = entry.rollup.ok_or_else(never_made)?;
    let footer: Bytes = fetch(length.saturating_sub(footer)..length)?;
    if crc32c::crc32c(&footer) != sum {
        return Err(damaged("the checksum of its footer is wrong".to_owned()));
    }
    let metadata = Arc::new(codec::metadata_of(length, footer).map_err(&damaged)?);
    let about = about(&path, &metadata)?;
    let mut slices: BTreeMap<i64, [RecordBatch; 4]> = BTreeMap::new();
    let mut bytes = 0;
    for (number, group) in about.groups.iter().enumerate().filter(|(_, group)| group.period == period.name()) {
        let kind =
            RollupKind::from_name(&group.counts).ok_or_else(|| damaged(format!("no table {:?}", group.counts)))?;
        let range = codec::range_of(metadata.row_group(number))
            .ok_or_else(|| damaged("a column lies before the file".to_owned()))?;
        let part = fetch(range.clone())?;
        if crc32c::crc32c(&part) != group.sum {
            return Err(damaged(format!("the checksum of {} by the {} is wrong", group.counts, group.period)));
        }
        let batch = codec::decode(&metadata, number, kind, (range, part)).map_err(&damaged)?;
        bytes += table::memory_bytes(&batch);
        codec::part_slices(kind, &batch, &mut slices).map_err(&damaged)?;
    }
    let overflowed = |start_us: i64| about.overflowed_in(period, start_us);
    let rollup = |(start_us, batches)| Rollup::new(period, start_us, batches, overflowed(start_us));
    Ok((slices.into_iter().map(rollup).collect(), bytes))
}

fn about(path: &str, metadata: &ParquetMetaData) -> Result<About, ReadError> {
    let damaged = |problem: String| ReadError::Damaged { path: path.to_owned(), problem };
    let text = footer_text(metadata, ABOUT_KEY).ok_or_else(|| damaged(format!("its footer has no {ABOUT_KEY}")))?;
    let about: About =
        serde_json::from_str(text).map_err(|error| damaged(format!("{ABOUT_KEY} cannot be read: {error}")))?;
    if about.format > FORMAT {
        return Err(ReadError::Later { path: path.to_owned(), format: about.format });
    }
    let groups = metadata.row_groups();
    let fits = groups.len() == about.groups.len()
        && groups.iter().zip(&about.groups).all(|(group, about)| group.num_rows() == about.rows);
    if fits { Ok(about) } else { Err(damaged("its row groups are not those its footer describes".to_owned())) }
}
