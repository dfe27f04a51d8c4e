//! Looking at a store from outside, also while a relay uses it.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use flow::Timestamp;
use table::Col;

use crate::files::{Catalog, FileEntry, Files, Found, Place, ReadError, Remote};
use crate::home::Home;
use crate::wal::{Entry, look_through};
use crate::{Damage, RollupLimits, StoreConfig};

mod export;

pub use export::{Exported, Unread};

/// The files of a store, without its lock: nothing is changed.
#[derive(Debug)]
pub struct Archive {
    folder: PathBuf,
    files: Files,
    entries: Arc<Vec<Arc<FileEntry>>>,
}

/// The log of a store, as it was looked through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CheckedLog {
    /// Files.
    pub files: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// What cannot be read. While a relay writes, the end of the newest file may look torn.
    pub damages: Vec<Damage>,
    /// A file that a later version wrote, and what is later.
    pub later: Option<(PathBuf, String)>,
}

/// One file of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// Path below the root of the store.
    pub path: String,
    /// Whether it is a compacted one.
    pub compacted: bool,
    /// Rows.
    pub rows: u64,
    /// Bytes, without those of the counts beside it.
    pub bytes: u64,
    /// Bytes of the counts beside it, 0 where there are none yet.
    pub rollup_bytes: u64,
    /// Time of its oldest row.
    pub oldest: Timestamp,
    /// Time of its newest row.
    pub newest: Timestamp,
    /// Version of the flow table it was written with.
    pub schema_version: u32,
}

impl Archive {
    /// Opens a store to look at it.
    ///
    /// # Errors
    /// There is no store, or its catalogue cannot be read.
    pub fn open(config: &StoreConfig) -> io::Result<Self> {
        let place = match &config.url {
            Some(url) => Place::Store(Remote::open(url)?),
            None => Place::Folder(config.folder.clone()),
        };
        let entries = match Catalog::load(&config.folder.join("catalog.jsonl"))? {
            Found::Good(catalog) => catalog.entries().clone(),
            Found::Damaged if config.folder.join("relay.json").exists() => Arc::default(),
            Found::Damaged => {
                let text = format!("there is no store at {}", config.folder.display());
                return Err(io::Error::new(io::ErrorKind::NotFound, text));
            }
        };
        Ok(Self { folder: config.folder.clone(), files: Files::new(place, RollupLimits::default()), entries })
    }

    /// All files, the oldest first.
    #[must_use]
    pub fn files(&self) -> Vec<StoredFile> {
        let mut files: Vec<StoredFile> = self.entries.iter().map(|entry| stored(entry)).collect();
        files.sort_by(|a, b| (a.oldest, &a.path).cmp(&(b.oldest, &b.path)));
        files
    }

    /// Reads the whole log and checks every checksum; it is left as it is.
    ///
    /// # Errors
    /// A file cannot be read at all.
    pub fn check_log(&self) -> io::Result<CheckedLog> {
        let folder = self.folder.join("wal");
        let Some(relay) = Home::relay_of(&self.folder).filter(|_| folder.is_dir()) else {
            return Ok(CheckedLog::default());
        };
        let mut read = |entry: Entry<'_>| match entry {
            Entry::Batch(logged) => logged.batch().is_ok(),
            Entry::State(_) | Entry::Losses(..) => true,
        };
        let found = look_through(&folder, &relay, &mut read)?;
        let later = found.later.map(|later| (later.path, later.what));
        Ok(CheckedLog { files: found.files.len() as u64, bytes: found.bytes, damages: found.damages, later })
    }

    /// Reads the counts beside a file and checks every checksum.
    ///
    /// # Errors
    /// They are not there, damaged, or cannot be read.
    pub fn verify_rollups(&self, path: &str) -> Result<(), ReadError> {
        self.entry(path).map_or(Ok(()), |entry| self.files.verify_rollups(entry))
    }

    /// Reads all of a file and checks every checksum.
    ///
    /// # Errors
    /// It is damaged, or cannot be read. It is left where it is.
    pub fn verify(&self, path: &str) -> Result<(), ReadError> {
        let Some(entry) = self.entry(path) else { return Ok(()) };
        let footer = self.files.read_footer(entry)?;
        for group in 0..entry.groups.len() {
            footer.rows(self.files.place(), group, Col::ALL, None)?;
        }
        Ok(())
    }

    fn entry(&self, path: &str) -> Option<&Arc<FileEntry>> {
        self.entries.iter().find(|entry| entry.path == path)
    }
}

fn stored(entry: &FileEntry) -> StoredFile {
    let (oldest, newest) = entry.time_range();
    StoredFile {
        path: entry.path.clone(),
        compacted: entry.level > 0,
        rows: entry.rows,
        bytes: entry.bytes,
        rollup_bytes: entry.all_bytes() - entry.bytes,
        oldest,
        newest,
        schema_version: entry.schema_version,
    }
}
