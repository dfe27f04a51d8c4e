//! Reading the log at a start.

use std::io;
use std::path::{Path, PathBuf};

use arrow::record_batch::RecordBatch;
use flow::LossRecord;
use table::schema::SCHEMA_VERSION;

use super::codec::{self, DecodeError};
use super::frame::{self, Frame, Kind};
use super::layout::Layout;
use super::records::{BatchRecord, FORMAT, Head, LossForm, LossesRecord, StateRecord};
use super::{Closed, EXTENSION, MAGIC};
use crate::BatchOrigin;
use crate::segment::as_u64;

/// Something in the log that could not be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// File.
    pub path: PathBuf,
    /// First byte.
    pub at: u64,
    /// Bytes passed over.
    pub bytes: u64,
    /// What it is.
    pub kind: DamageKind,
}

/// What is wrong with a part of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DamageKind {
    /// The file ends in a frame that was not written to its end. It was cut off; it was never acknowledged, unless the
    /// disk lost it.
    TornTail,
    /// Bytes that changed after they were written, with good frames behind them.
    Flipped,
    /// A frame whose checksum holds and that this version cannot read.
    Unreadable,
    /// No file of the log at all. It was left as it is.
    Foreign,
}

/// A file of the log that a later version wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Later {
    pub(crate) path: PathBuf,
    /// What is later, for people.
    pub(crate) what: String,
}

/// One thing the log says.
pub(crate) enum Entry<'a> {
    /// All that is known besides flows, at this point of the log.
    State(StateRecord),
    /// A batch.
    Batch(Logged<'a>),
    /// Losses of a node.
    Losses(String, Vec<LossRecord>),
}

/// A batch in the log.
pub(crate) struct Logged<'a> {
    record: BatchRecord,
    columns: &'a [u8],
    layout: &'a Layout,
}

impl Logged<'_> {
    pub(crate) const fn first_seq(&self) -> u64 {
        self.record.first_seq
    }

    pub(crate) const fn end_seq(&self) -> u64 {
        self.record.first_seq.saturating_add(self.record.rows)
    }

    pub(crate) fn origin(&self) -> BatchOrigin {
        self.record.origin()
    }

    /// Time of its newest row, where the log says it.
    pub(crate) fn newest(&self) -> Option<flow::Timestamp> {
        self.record.newest.map(flow::Timestamp)
    }

    pub(crate) fn losses(&self) -> Vec<LossRecord> {
        self.record.losses.iter().map(LossForm::record).collect()
    }

    /// Reads the flows.
    pub(crate) fn batch(&self) -> Result<RecordBatch, DecodeError> {
        codec::decode(self.columns, self.layout)
    }
}

/// What a replay found.
#[derive(Debug, Default)]
pub(crate) struct Replayed {
    pub(crate) files: Vec<Closed>,
    pub(crate) bytes: u64,
    pub(crate) damages: Vec<Damage>,
    /// The first file of a later version. Its rows and their numbers are not known, so nothing may be appended.
    pub(crate) later: Option<Later>,
}

/// Reads the files of `relay` in the order they were written and gives each entry to `take`, which says whether it
/// could use it. Torn ends are cut off.
///
/// # Errors
/// The folder or a file cannot be read at all.
pub(crate) fn replay(folder: &Path, relay: &str, take: &mut impl FnMut(Entry<'_>) -> bool) -> io::Result<Replayed> {
    let replayed = look_through(folder, relay, take)?;
    for torn in replayed.damages.iter().filter(|damage| damage.kind == DamageKind::TornTail) {
        // A disk that cannot be written to will be told by what follows; the end is passed over all the same.
        let file = std::fs::File::options().write(true).open(&torn.path);
        drop(file.and_then(|file| file.set_len(torn.at)));
    }
    Ok(replayed)
}

/// The same, and nothing is changed.
///
/// # Errors
/// The folder or a file cannot be read at all.
pub(crate) fn look_through(
    folder: &Path,
    relay: &str,
    take: &mut impl FnMut(Entry<'_>) -> bool,
) -> io::Result<Replayed> {
    let mut replayed = Replayed::default();
    for path in files_of(folder, relay)? {
        let bytes = std::fs::read(&path)?;
        let mut reading =
            Reading { path: &path, layout: Layout::current(), end_seq: 0, damages: Vec::new(), later: None };
        let kept = reading.read(&bytes, take);
        if let Some(what) = reading.later {
            replayed.later = Some(Later { path, what });
            return Ok(replayed);
        }
        let last = reading.damages.last().map(|damage| damage.kind);
        replayed.bytes += as_u64(bytes.len());
        replayed.damages.append(&mut reading.damages);
        if last == Some(DamageKind::Foreign) {
            // Not one of ours, so it is never deleted.
            continue;
        }
        replayed.files.push(Closed { end_seq: reading.end_seq, bytes: kept, path });
    }
    Ok(replayed)
}

fn files_of(folder: &Path, relay: &str) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        let ours = path.file_name().and_then(|name| name.to_str()).is_some_and(|name| name.starts_with(relay));
        if ours && path.extension().is_some_and(|extension| extension == EXTENSION) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

/// One file being read.
struct Reading<'a> {
    path: &'a Path,
    layout: Layout,
    end_seq: u64,
    damages: Vec<Damage>,
    later: Option<String>,
}

impl Reading<'_> {
    /// Reads all frames; gives the length of the file without a torn end.
    fn read(&mut self, bytes: &[u8], take: &mut impl FnMut(Entry<'_>) -> bool) -> u64 {
        if bytes.len() > MAGIC.len() && !bytes.starts_with(MAGIC) && frame::next(bytes, 0).is_none() {
            self.damage(0, bytes.len(), DamageKind::Foreign);
            return as_u64(bytes.len());
        }
        let mut at = if bytes.starts_with(MAGIC) { MAGIC.len() } else { 0 };
        while at < bytes.len() {
            let Some(found) = Frame::read(&bytes[at..]) else {
                let Some(next) = frame::next(bytes, at + 1) else {
                    self.damage(at, bytes.len() - at, DamageKind::TornTail);
                    return as_u64(at);
                };
                self.damage(at, next - at, DamageKind::Flipped);
                at = next;
                continue;
            };
            match self.take(&found, take) {
                Taken::Yes => {}
                Taken::No => self.damage(at, found.bytes(), DamageKind::Unreadable),
                Taken::Later(what) => {
                    self.later = Some(what);
                    return as_u64(bytes.len());
                }
            }
            at += found.bytes();
        }
        as_u64(bytes.len())
    }

    fn damage(&mut self, at: usize, bytes: usize, kind: DamageKind) {
        self.damages.push(Damage { path: self.path.to_owned(), at: as_u64(at), bytes: as_u64(bytes), kind });
    }

    fn take(&mut self, frame: &Frame<'_>, take: &mut impl FnMut(Entry<'_>) -> bool) -> Taken {
        let Ok(payload) = frame.payload() else { return Taken::No };
        let taken = match frame.kind {
            Kind::Head => match serde_json::from_slice::<Head>(&payload) {
                Ok(head) => match layout_of(&head) {
                    Ok(layout) => {
                        self.layout = layout;
                        true
                    }
                    Err(what) => return Taken::Later(what),
                },
                Err(_) => false,
            },
            Kind::State => serde_json::from_slice::<StateRecord>(&payload).is_ok_and(|state| {
                self.end_seq = self.end_seq.max(state.end_seq);
                take(Entry::State(state))
            }),
            Kind::Batch => self.take_batch(&payload, take).unwrap_or_default(),
            Kind::Losses => serde_json::from_slice::<LossesRecord>(&payload).is_ok_and(|record| {
                take(Entry::Losses(record.node, record.losses.iter().map(LossForm::record).collect()))
            }),
            Kind::Unknown(_) => false,
        };
        if taken { Taken::Yes } else { Taken::No }
    }

    fn take_batch(&mut self, payload: &[u8], take: &mut impl FnMut(Entry<'_>) -> bool) -> Option<bool> {
        let (length, rest) = payload.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        let (head, columns) = rest.split_at_checked(length)?;
        let record: BatchRecord = serde_json::from_slice(head).ok()?;
        let logged = Logged { record, columns, layout: &self.layout };
        self.end_seq = self.end_seq.max(logged.end_seq());
        Some(take(Entry::Batch(logged)))
    }
}

/// The columns of a file's batches; what is later about it where this version would lose some of them.
fn layout_of(head: &Head) -> Result<Layout, String> {
    if head.format > FORMAT {
        return Err(format!("format {}", head.format));
    }
    if head.schema_version > SCHEMA_VERSION {
        return Err(format!("schema version {}", head.schema_version));
    }
    Layout::read(&head.columns).ok_or_else(|| "columns of an unknown kind".to_owned())
}

enum Taken {
    Yes,
    No,
    Later(String),
}
