//! Old files go: by their age, and where the budget is full.

use std::io;
use std::sync::{Arc, Weak};
use std::time::Duration;

use flow::Timestamp;

use super::Index;
use super::open::{Durable, Keeping};
use crate::files::FileEntry;

impl Index {
    /// Takes files that are too old or too many out of the catalogue, the oldest first.
    pub(super) fn expire(&self, durable: &Durable, keeping: &mut Keeping, now: Timestamp) -> io::Result<()> {
        let expired = expired(keeping.catalog.entries().iter(), durable, now);
        if expired.is_empty() {
            return Ok(());
        }
        self.step(keeping, Vec::new(), expired.iter().map(|entry| entry.path.clone()).collect())?;
        keeping.stats.files_expired += expired.len() as u64;
        keeping.stats.rows_expired += expired.iter().map(|entry| entry.rows).sum::<u64>();
        keeping.leave(&expired, now);
        Ok(())
    }

    /// Deletes files that left the catalogue long enough ago.
    pub(super) fn delete_left(&self, durable: &Durable, keeping: &mut Keeping, now: Timestamp) -> io::Result<()> {
        let mut failed = None;
        keeping.leaving.retain(|file| {
            if failed.is_some() || file.may_be_read(durable.config.grace, now) {
                return true;
            }
            failed = durable.files.delete(&file.path).err();
            failed.is_some()
        });
        failed.map_or(Ok(()), Err)
    }
}

/// A file that is in no catalogue any more.
#[derive(Debug)]
pub(super) struct Leaving {
    path: String,
    left: Timestamp,
    /// Held by answers that began before it left.
    entry: Weak<FileEntry>,
}

impl Leaving {
    /// Graces for which a file is kept for an answer that is read slowly; without it the answer would miss its flows.
    const HELD_GRACES: u32 = 8;

    fn may_be_read(&self, grace: Duration, now: Timestamp) -> bool {
        // A clock that jumped back must not keep it for longer than it jumped.
        let age = if now >= self.left { now.since(self.left) } else { Duration::MAX };
        age < grace || (self.entry.strong_count() > 0 && age < grace * Self::HELD_GRACES)
    }
}

impl Keeping {
    /// Notes files that are in no catalogue any more; queries that began before may still read them.
    pub(super) fn leave(&mut self, files: &[Arc<FileEntry>], now: Timestamp) {
        let leaving =
            |entry: &Arc<FileEntry>| Leaving { path: entry.path.clone(), left: now, entry: Arc::downgrade(entry) };
        self.leaving.extend(files.iter().map(leaving));
    }
}

/// The files that have to go.
fn expired<'a>(
    entries: impl Iterator<Item = &'a Arc<FileEntry>>,
    durable: &Durable,
    now: Timestamp,
) -> Vec<Arc<FileEntry>> {
    let oldest_kept = now.before(durable.config.keep);
    let mut entries = with_age(entries.collect(), now);
    entries.sort_by_key(|(written, entry)| (place_of(*written, entry), entry.first_seq));
    let mut bytes: u64 = entries.iter().map(|(_, entry)| entry.all_bytes()).sum();
    // A file grows old from the moment it was written: flows of long ago that are taken in stay as long as others.
    let goes = |(written, entry): &(Timestamp, &Arc<FileEntry>)| {
        let goes = *written < oldest_kept || bytes > durable.config.bytes_max;
        if goes {
            bytes -= entry.all_bytes();
        }
        goes
    };
    entries.into_iter().filter(goes).map(|(_, entry)| entry.clone()).collect()
}

/// Files and when they were written, whatever the clock said then: no file is older than one whose rows arrived before
/// its own, so a clock that was behind does not age it nor the others; and one of the future, whose clock was ahead, is
/// no younger than the next.
fn with_age(mut entries: Vec<&Arc<FileEntry>>, now: Timestamp) -> Vec<(Timestamp, &Arc<FileEntry>)> {
    entries.sort_by_key(|entry| entry.end_seq);
    let mut latest = Timestamp(i64::MIN);
    let not_behind = |entry: &Arc<FileEntry>| {
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
