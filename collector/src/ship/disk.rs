//! Batches that found no room in memory, as files in a folder.
//!
//! A file is named by its place in the queue, the boot and the number it was sent under (both 0 while it was not sent)
//! and its rows. A collector that starts finds what the one before left: what was sent under a number is sent under it
//! again, so that the relay can tell repeats; the rest gets numbers of the new boot.

use std::collections::VecDeque;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::parcel::{FILE_HEAD_BYTES, Parcel};

/// Ending of the files' names.
const EXTENSION: &str = "batch";

/// A folder of batches, the oldest first.
#[derive(Debug)]
pub(super) struct Disk {
    folder: PathBuf,
    bytes_max: u64,
    bytes: u64,
    next_order: u64,
    entries: VecDeque<Entry>,
    /// Batches that a later version left and this one cannot read. They stay, and count as bytes.
    later: u64,
    /// Whether the last write failed, so that it is said once.
    troubled: bool,
}

/// Under what a batch was sent: boot and number.
pub(super) type Number = (u64, u64);

/// A batch in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    order: u64,
    number: Option<Number>,
    rows: u64,
    bytes: u64,
}

impl Entry {
    fn name(&self) -> String {
        let (boot, sequence) = self.number.unwrap_or_default();
        format!("{:020}-{boot:016x}-{sequence:016x}-{}.{EXTENSION}", self.order, self.rows)
    }

    fn read(name: &str, bytes: u64) -> Option<Self> {
        let mut parts = name.strip_suffix(EXTENSION)?.strip_suffix('.')?.split('-');
        let order = parts.next()?.parse().ok()?;
        let [boot, sequence] = [parts.next()?, parts.next()?].map(|text| u64::from_str_radix(text, 16).ok());
        let number = (boot?, sequence?);
        let rows = parts.next()?.parse().ok()?;
        Some(Self { order, number: Some(number).filter(|number| *number != (0, 0)), rows, bytes })
    }

    /// Rows of the batch.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// Under what it was sent, if it was.
    pub(super) const fn number(&self) -> Option<Number> {
        self.number
    }
}

/// What was sent before comes first, of one boot by its numbers: the relay takes a lower number than the last for a
/// repeat. Then comes what was not sent.
fn in_order(entries: &mut [Entry]) {
    entries.sort_by_key(|entry| entry.order);
    let mut boots: Vec<u64> = entries.iter().filter_map(|entry| Some(entry.number?.0)).collect();
    boots.dedup();
    let place = |boot: u64| boots.iter().position(|known| *known == boot);
    entries.sort_by_key(|entry| match entry.number {
        Some((boot, sequence)) => (0, place(boot), sequence),
        None => (1, None, entry.order),
    });
}

/// Whether the file is one of a later version. One that cannot be read is not known to be.
fn is_later(path: &Path) -> bool {
    let mut head = [0; FILE_HEAD_BYTES];
    let read = std::fs::File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.is_ok() && Parcel::is_later(&head)
}

impl Disk {
    /// Opens the folder, made where it is missing, with what is in it.
    ///
    /// # Errors
    /// It cannot be made or read.
    pub(super) fn open(folder: &Path, bytes_max: u64) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let mut entries = Vec::new();
        let (mut bytes, mut next_order, mut later) = (0, 0, 0);
        for found in std::fs::read_dir(folder)? {
            let found = found?;
            let entry = found.file_name().to_str().and_then(|name| Entry::read(name, found.metadata().ok()?.len()));
            match entry {
                Some(entry) => {
                    bytes += entry.bytes;
                    next_order = next_order.max(entry.order + 1);
                    if is_later(&found.path()) {
                        later += 1;
                    } else {
                        entries.push(entry);
                    }
                }
                // What was being written when the collector ended.
                None if found.path().extension().is_some_and(|ending| ending == "tmp") => {
                    std::fs::remove_file(found.path())?;
                }
                None => {}
            }
        }
        in_order(&mut entries);
        let folder = folder.to_owned();
        Ok(Self { folder, bytes_max, bytes, next_order, entries: entries.into(), later, troubled: false })
    }

    /// Adds a batch at the end; gives it back where it cannot be written.
    pub(super) fn push(&mut self, parcel: Parcel, number: Option<Number>) -> Result<(), Parcel> {
        let bytes = parcel.to_bytes();
        let (order, rows) = (self.next_order, parcel.rows());
        let entry = Entry { order, number, rows, bytes: bytes.len() as u64 };
        if let Err(error) = self.write(&entry, &bytes) {
            if !std::mem::replace(&mut self.troubled, true) {
                tracing::error!(folder = %self.folder.display(), %error, "the spool on the disk cannot be written");
            }
            return Err(parcel);
        }
        self.troubled = false;
        self.next_order += 1;
        self.bytes += entry.bytes;
        self.entries.push_back(entry);
        Ok(())
    }

    fn write(&self, entry: &Entry, bytes: &[u8]) -> io::Result<()> {
        let temporary = self.folder.join("new.tmp");
        std::fs::write(&temporary, bytes)?;
        std::fs::rename(&temporary, self.folder.join(entry.name()))
    }

    /// Takes the oldest batch off the queue; its file stays until [`Disk::remove`]. `None` inside where it cannot be
    /// read, and is removed.
    pub(super) fn pop(&mut self) -> Option<(Entry, Option<Parcel>)> {
        let entry = self.entries.pop_front()?;
        self.bytes -= entry.bytes;
        let path = self.folder.join(entry.name());
        let parcel = std::fs::read(&path).ok().and_then(|bytes| Parcel::from_bytes(&bytes));
        if parcel.is_none() {
            tracing::error!(file = %path.display(), rows = entry.rows, "a batch of the spool cannot be read, it is lost");
            self.remove(&entry);
        }
        Some((entry, parcel))
    }

    /// Notes under what a batch is sent, so that it is sent under the same again after a restart.
    pub(super) fn number_entry(&self, entry: &mut Entry, number: Number) {
        let before = self.folder.join(entry.name());
        let numbered = Entry { number: Some(number), ..entry.clone() };
        match std::fs::rename(before, self.folder.join(numbered.name())) {
            Ok(()) => *entry = numbered,
            Err(error) => tracing::warn!(%error, "a batch of the spool cannot be renamed: a crash now would repeat it"),
        }
    }

    /// Deletes the file of a batch.
    pub(super) fn remove(&self, entry: &Entry) {
        if let Err(error) = std::fs::remove_file(self.folder.join(entry.name())) {
            tracing::warn!(%error, "a batch of the spool cannot be deleted");
        }
    }

    /// Whether it holds more than it may.
    pub(super) const fn is_over(&self) -> bool {
        self.bytes > self.bytes_max
    }

    /// Whether the oldest batch was sent before.
    pub(super) fn front_was_sent(&self) -> bool {
        self.entries.front().is_some_and(|entry| entry.number.is_some())
    }

    /// Batches that a later version left and this one cannot read.
    pub(super) const fn later(&self) -> u64 {
        self.later
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) const fn bytes(&self) -> u64 {
        self.bytes
    }

    pub(super) fn rows(&self) -> u64 {
        self.entries.iter().map(|entry| entry.rows).sum()
    }
}
