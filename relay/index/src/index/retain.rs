//! Old files go: by their age, and where the budget is full.

use std::io;

use flow::Timestamp;

use super::Index;
use super::open::{Durable, Keeping};
use crate::files::FileEntry;

impl Index {
    /// Takes files that are too old or too many out of the catalogue, the oldest first.
    pub(super) fn expire(&self, durable: &Durable, keeping: &mut Keeping, now: Timestamp) -> io::Result<()> {
        let expired = expired(keeping.catalog.entries().iter().map(AsRef::as_ref), durable, now);
        if expired.is_empty() {
            return Ok(());
        }
        let rows: u64 = expired.iter().map(|(_, rows)| rows).sum();
        let paths: Vec<String> = expired.into_iter().map(|(path, _)| path).collect();
        self.step(keeping, Vec::new(), paths.clone())?;
        keeping.stats.files_expired += paths.len() as u64;
        keeping.stats.rows_expired += rows;
        keeping.leave(paths, now);
        Ok(())
    }

    /// Deletes files that left the catalogue long enough ago.
    pub(super) fn delete_left(&self, durable: &Durable, keeping: &mut Keeping, now: Timestamp) -> io::Result<()> {
        // A clock that jumped back must not keep them for longer than it jumped.
        let grace = durable.config.grace;
        while let Some((left, path)) = keeping.leaving.first() {
            if now >= *left && now.since(*left) < grace {
                return Ok(());
            }
            durable.files.delete(path)?;
            keeping.leaving.remove(0);
        }
        Ok(())
    }
}

impl Keeping {
    /// Notes files that are in no catalogue any more; queries that began before may still read them.
    pub(super) fn leave(&mut self, paths: Vec<String>, now: Timestamp) {
        self.leaving.extend(paths.into_iter().map(|path| (now, path)));
    }
}

/// Path and rows of the files that have to go.
fn expired<'a>(entries: impl Iterator<Item = &'a FileEntry>, durable: &Durable, now: Timestamp) -> Vec<(String, u64)> {
    let oldest_kept = now.before(durable.config.keep);
    let mut entries = with_age(entries.collect(), now);
    entries.sort_by_key(|(written, entry)| (place_of(*written, entry), entry.first_seq));
    let mut bytes: u64 = entries.iter().map(|(_, entry)| entry.all_bytes()).sum();
    // A file grows old from the moment it was written: flows of long ago that are taken in stay as long as others.
    let goes = |(written, entry): &(Timestamp, &FileEntry)| {
        let goes = *written < oldest_kept || bytes > durable.config.bytes_max;
        if goes {
            bytes -= entry.all_bytes();
        }
        goes
    };
    entries.into_iter().filter(goes).map(|(_, entry)| (entry.path.clone(), entry.rows)).collect()
}

/// Files and when they were written, whatever the clock said then: no file is older than one whose rows arrived before
/// its own, so a clock that was behind does not age it nor the others; and one of the future, whose clock was ahead, is
/// no younger than the next.
fn with_age(mut entries: Vec<&FileEntry>, now: Timestamp) -> Vec<(Timestamp, &FileEntry)> {
    entries.sort_by_key(|entry| entry.end_seq);
    let mut latest = Timestamp(i64::MIN);
    let not_behind = |entry: &FileEntry| {
        let written = Timestamp(entry.written);
        if written > now {
            return written;
        }
        latest = latest.max(written);
        latest
    };
    let mut ages: Vec<Timestamp> = entries.iter().copied().map(not_behind).collect();
    let mut next = Timestamp(i64::MAX);
    for age in ages.iter_mut().rev() {
        if *age > now {
            *age = next.min(*age);
        }
        next = *age;
    }
    ages.into_iter().zip(entries).collect()
}

/// The time by which files stand in line where the budget is full: that of the newest row, but a row from the future
/// does not stay for longer than one of the moment it was written in.
fn place_of(written: Timestamp, entry: &FileEntry) -> Timestamp {
    entry.time_range().1.min(written)
}
