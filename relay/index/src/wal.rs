//! The write-ahead log: what was acknowledged and is in no sealed file yet.
//!
//! A file of the log begins with the eight bytes `WEIRLOG1`, then has frames ([`frame`]): first what columns its batches
//! have and all that is known besides flows, then batches and losses as they came. So whatever was sealed can be deleted
//! with its files and nothing else is lost. Every start begins a new file; none is ever written to again.

mod codec;
mod frame;
mod layout;
mod records;
mod replay;

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use arrow::record_batch::RecordBatch;
use flow::{LossRecord, Timestamp};

use crate::names::Namer;
use crate::segment::as_u64;
use frame::Kind;
use layout::Layout;
use records::{BatchRecord, FORMAT, Head, LossForm, LossesRecord};

pub(crate) use records::{LineForm, NodeForm, StateRecord};
pub use replay::{Damage, DamageKind};
pub(crate) use replay::{Entry, Later, Logged, look_through, replay};

/// First bytes of a file.
const MAGIC: &[u8; 8] = b"WEIRLOG1";
/// Ending of the files' names.
const EXTENSION: &str = "wal";

/// When what was written is forced to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Before a batch is acknowledged; all batches that wait share one call.
    #[default]
    Batch,
    /// Once in this time: a machine that loses power loses what was acknowledged since. A crash of the relay alone
    /// loses nothing.
    Interval(Duration),
    /// Left to the system: a machine that loses power loses what was acknowledged in the last half minute or so.
    Off,
}

/// What the log did since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Files it has now.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// Bytes written.
    pub bytes_written: u64,
    /// Batches written.
    pub batches: u64,
    /// Calls that forced what was written to the disk.
    pub syncs: u64,
    /// Writes and calls that failed; the batches in them were refused.
    pub failures: u64,
}

/// Writes the log.
#[derive(Debug)]
pub(crate) struct Wal {
    folder: PathBuf,
    namer: Namer,
    fsync: Fsync,
    file_bytes_max: u64,
    current: Option<Open>,
    /// Files that are not written to any more, the oldest first.
    closed: VecDeque<Closed>,
    /// Frames to be written by the next [`Wal::commit`].
    pending: Vec<u8>,
    pending_batches: u64,
    /// Columns of one batch, kept for its memory.
    scratch: Vec<u8>,
    last_sync: Instant,
    stats: LogStats,
}

/// The file being written.
#[derive(Debug)]
struct Open {
    file: File,
    path: PathBuf,
    bytes: u64,
    end_seq: u64,
    unsynced: bool,
    /// Whether its name may not be on the disk yet: without it a machine that loses power loses the whole file.
    unnamed: bool,
}

/// A file that is complete.
#[derive(Clone, Debug)]
pub(crate) struct Closed {
    pub(crate) path: PathBuf,
    /// Sequence number after that of its last row.
    pub(crate) end_seq: u64,
    pub(crate) bytes: u64,
}

impl Wal {
    /// A log in `folder`, which has these files already.
    pub(crate) fn new(folder: PathBuf, namer: Namer, fsync: Fsync, file_bytes_max: u64, files: Vec<Closed>) -> Self {
        Self {
            folder,
            namer,
            fsync,
            file_bytes_max,
            current: None,
            closed: files.into(),
            pending: Vec::new(),
            pending_batches: 0,
            scratch: Vec::new(),
            last_sync: Instant::now(),
            stats: LogStats::default(),
        }
    }

    /// Notes a batch and the time of its newest row; it is in the log after the next [`Wal::commit`].
    pub(crate) fn put_batch(
        &mut self,
        (origin, newest): (&crate::BatchOrigin, Option<Timestamp>),
        losses: &[LossRecord],
        first_seq: u64,
        batch: &RecordBatch,
    ) {
        let record = BatchRecord::of((origin, newest), losses, first_seq, as_u64(batch.num_rows()));
        let head = json(&record);
        self.scratch.clear();
        self.scratch.extend_from_slice(&u32::try_from(head.len()).unwrap_or(u32::MAX).to_le_bytes());
        self.scratch.extend_from_slice(&head);
        codec::encode(batch, &mut self.scratch);
        frame::put(&mut self.pending, Kind::Batch, &self.scratch);
        self.pending_batches += 1;
    }

    /// Notes losses that came without a batch. They are in the log after the next [`Wal::commit`].
    pub(crate) fn put_losses(&mut self, node: &str, losses: &[LossRecord]) {
        let record = LossesRecord { node: node.to_owned(), losses: losses.iter().map(LossForm::of).collect() };
        frame::put(&mut self.pending, Kind::Losses, &json(&record));
    }

    /// Forgets what was noted and not written.
    pub(crate) fn discard(&mut self) {
        self.pending.clear();
        self.pending_batches = 0;
    }

    /// Whether the next [`Wal::commit`] begins a file.
    pub(crate) fn begins_next(&self) -> bool {
        self.current.as_ref().is_none_or(|open| open.bytes >= self.file_bytes_max)
    }

    /// Bytes noted and not written.
    pub(crate) fn pending_bytes(&self) -> usize {
        self.pending.len()
    }

    /// Writes what was noted and makes it durable as the settings say. `end_seq` is the sequence number after the last
    /// row noted. `state`, needed where [`Wal::begins_next`] says so, is all that is known besides flows, without what is
    /// noted.
    ///
    /// # Errors
    /// Nothing of what was noted is in the log.
    pub(crate) fn commit(&mut self, end_seq: u64, now: Timestamp, state: Option<StateRecord>) -> io::Result<()> {
        let written = self.write(end_seq, now, state);
        if written.is_err() {
            self.stats.failures += 1;
            self.abandon();
        } else {
            self.stats.batches += self.pending_batches;
        }
        self.discard();
        written
    }

    fn write(&mut self, end_seq: u64, now: Timestamp, state: Option<StateRecord>) -> io::Result<()> {
        if self.begins_next() {
            self.close()?;
        }
        if self.current.is_none() {
            let state = state.unwrap_or_default();
            self.current = Some(self.begin(now, &state)?);
        }
        let Some(open) = &mut self.current else { return Ok(()) };
        open.file.write_all(&self.pending)?;
        open.unsynced |= !self.pending.is_empty();
        match self.fsync {
            Fsync::Batch => self.sync()?,
            Fsync::Interval(interval) if self.last_sync.elapsed() >= interval => self.sync()?,
            Fsync::Interval(_) | Fsync::Off => {}
        }
        let Some(open) = &mut self.current else { return Ok(()) };
        open.bytes += as_u64(self.pending.len());
        open.end_seq = end_seq;
        self.stats.bytes_written += as_u64(self.pending.len());
        Ok(())
    }

    /// Begins a file.
    fn begin(&mut self, now: Timestamp, state: &StateRecord) -> io::Result<Open> {
        let path = self.folder.join(format!("{}.{EXTENSION}", self.namer.draw(now)?));
        let head = Head {
            format: FORMAT,
            relay: self.namer.relay().to_owned(),
            columns: Layout::current().names(),
            schema_version: table::schema::SCHEMA_VERSION,
        };
        let mut bytes = MAGIC.to_vec();
        frame::put(&mut bytes, Kind::Head, &json(&head));
        frame::put(&mut bytes, Kind::State, &json(state));
        let names_first = self.fsync == Fsync::Batch;
        let begun = || -> io::Result<File> {
            let mut file = File::options().write(true).create_new(true).open(&path)?;
            file.write_all(&bytes)?;
            if names_first {
                file.sync_all()?;
                sync_folder(&self.folder)?;
            }
            Ok(file)
        };
        let file = begun().inspect_err(|_| forget(&path))?;
        let bytes = as_u64(bytes.len());
        self.stats.bytes_written += bytes;
        Ok(Open { file, path, bytes, end_seq: state.end_seq, unsynced: true, unnamed: !names_first })
    }

    /// Forces what was written to the disk.
    pub(crate) fn sync(&mut self) -> io::Result<()> {
        if let Some(open) = self.current.as_mut().filter(|open| open.unsynced) {
            open.file.sync_data()?;
            if open.unnamed {
                sync_folder(&self.folder)?;
                open.unnamed = false;
            }
            open.unsynced = false;
            self.stats.syncs += 1;
        }
        self.last_sync = Instant::now();
        Ok(())
    }

    /// Forces what was written to the disk if that is due.
    pub(crate) fn sync_if_due(&mut self) -> io::Result<()> {
        match self.fsync {
            Fsync::Interval(interval) if self.last_sync.elapsed() >= interval => self.sync(),
            Fsync::Batch | Fsync::Interval(_) | Fsync::Off => Ok(()),
        }
    }

    /// Ends the current file, so that the next write begins a new one.
    pub(crate) fn close(&mut self) -> io::Result<()> {
        if self.fsync != Fsync::Off {
            self.sync()?;
        }
        if let Some(Open { path, bytes, end_seq, .. }) = self.current.take() {
            self.closed.push_back(Closed { path, end_seq, bytes });
        }
        Ok(())
    }

    /// Ends the current file after a failure: what of the last write reached it is cut off, and no good frame ever
    /// follows it. Where the cut fails too, a start finds the torn end or batches that are sent again and known then.
    fn abandon(&mut self) {
        if let Some(Open { file, path, bytes, end_seq, unnamed, .. }) = self.current.take() {
            let cut = file.set_len(bytes).and_then(|()| file.sync_data());
            drop(cut.and_then(|()| if unnamed { sync_folder(&self.folder) } else { Ok(()) }));
            self.closed.push_back(Closed { path, end_seq, bytes });
        }
    }

    /// Deletes the files all of whose rows are below `published_seq`. The current file stays.
    ///
    /// # Errors
    /// A file cannot be deleted; it will be tried again.
    pub(crate) fn prune(&mut self, published_seq: u64) -> io::Result<u64> {
        let mut deleted = 0;
        while let Some(oldest) = self.closed.front().filter(|_| self.current.is_some()) {
            if oldest.end_seq > published_seq {
                break;
            }
            match std::fs::remove_file(&oldest.path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            self.closed.pop_front();
            deleted += 1;
        }
        Ok(deleted)
    }

    pub(crate) fn stats(&self) -> LogStats {
        let current = self.current.as_ref().map_or(0, |open| open.bytes);
        LogStats {
            files: as_u64(self.closed.len()) + u64::from(self.current.is_some()),
            bytes: self.closed.iter().map(|closed| closed.bytes).sum::<u64>() + current,
            ..self.stats
        }
    }
}

/// Makes the names in a folder durable.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes a file that was never finished; where that fails too it is found and ignored at the next start.
fn forget(path: &Path) {
    drop(std::fs::remove_file(path));
}

fn json(record: &impl serde::Serialize) -> Vec<u8> {
    serde_json::to_vec(record).expect("records have text keys and finite numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The folder of a log, moved away: what is open can still be written, but no name be made durable.
    fn without_folder<T>(folder: &Path, act: impl FnOnce() -> T) -> T {
        let away = folder.with_extension("away");
        std::fs::rename(folder, &away).unwrap();
        let done = act();
        std::fs::rename(&away, folder).unwrap();
        done
    }

    #[test]
    fn the_name_of_a_new_file_is_durable_once_its_rows_are() {
        for (fsync, named_by_sync) in [(Fsync::Batch, false), (Fsync::Interval(Duration::from_secs(3_600)), true)] {
            let parent = tempfile::tempdir().unwrap();
            let folder = parent.path().join("log");
            std::fs::create_dir(&folder).unwrap();
            let mut wal = Wal::new(folder.clone(), Namer::new("relay".to_owned()), fsync, 1 << 20, Vec::new());
            let write = |wal: &mut Wal| {
                wal.put_losses("node-1", &[]);
                wal.commit(0, Timestamp(1), Some(StateRecord::default())).unwrap();
            };
            write(&mut wal);
            if named_by_sync {
                without_folder(&folder, || wal.sync()).expect_err("the folder has the file's name");
                wal.sync().unwrap();
            }
            // Once is enough.
            without_folder(&folder, || write(&mut wal));
            without_folder(&folder, || wal.sync()).unwrap();
        }
    }
}
