//! Opening an index with a store, and finding again what was in it.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use table::tidy;
use tokio::sync::watch;

use super::{Incoming, Index, Writer};
use crate::files::{Catalog, Files, Place, Remote};
use crate::home::{Home, HomeError};
use crate::names::Namer;
use crate::wal::{Damage, Entry, Later, Logged, Wal, replay};
use crate::{Config, ConfigError, Rollups, Segment, StoreConfig};

/// A store that cannot be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A limit is too small.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The folder cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The log cannot be read.
    #[error("cannot read the log in {folder:?}")]
    Log {
        /// Folder of the log.
        folder: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A later version wrote a part of the log.
    #[error(
        "{path:?} was written by a later version of weir ({what}): start that version, or move the file away and miss the \
         flows in it"
    )]
    LaterLog {
        /// File of the log; it is as it was.
        path: PathBuf,
        /// What is later.
        what: String,
    },
    /// The files or their catalogue cannot be read.
    #[error("cannot read the files of the store at {place}")]
    Files {
        /// Folder or URL.
        place: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
}

/// What a start found in a store.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recovery {
    /// Bytes of the log that were read.
    pub log_bytes: u64,
    /// Rows taken from the log.
    pub rows: u64,
    /// Batches of the log whose rows were in files already.
    pub batches_published: u64,
    /// Parts of the log that could not be read.
    pub damages: Vec<Damage>,
    /// Files there are.
    pub files: u64,
    /// Rows in them.
    pub file_rows: u64,
    /// Whether the catalogue was made again from the footers of the files.
    pub catalog_rebuilt: bool,
    /// Files of steps that a crash cut short, deleted.
    pub files_deleted: u64,
    /// What is wrong with files, for people.
    pub troubles: Vec<String>,
}

/// What an index with a store has besides its log.
#[derive(Debug)]
pub(super) struct Durable {
    pub(super) config: StoreConfig,
    /// Held for its lock.
    pub(super) _home: Home,
    pub(super) files: Arc<Files>,
    /// Changed by upkeep only.
    pub(super) keeping: Mutex<Keeping>,
    /// Counts as they were when upkeep was last at rest.
    pub(super) last_stats: Mutex<super::StoreStats>,
}

/// What upkeep works with.
#[derive(Debug)]
pub(super) struct Keeping {
    pub(super) catalog: Catalog,
    pub(super) namer: Namer,
    pub(super) stats: super::StoreStats,
    /// Files that are in no catalogue any more, until they are deleted.
    pub(super) leaving: Vec<super::retain::Leaving>,
    /// Files that compaction passed over lately.
    pub(super) passed_over: Vec<super::compact::PassedOver>,
}

impl Index {
    /// Opens an index with a store, with what it held before.
    ///
    /// # Errors
    /// A limit is too small, the folder cannot be used, or what is in it cannot be read.
    pub fn open(config: Config, store: StoreConfig) -> Result<(Self, Recovery), OpenError> {
        let place = match &store.url {
            Some(url) => {
                let files_error = |source| OpenError::Files { place: url.clone(), source };
                Place::Store(Remote::open(url).map_err(files_error)?)
            }
            None => Place::Folder(store.folder.clone()),
        };
        Self::open_at(config, store, place)
    }

    /// The same with the files at this place.
    pub(super) fn open_at(config: Config, store: StoreConfig, place: Place) -> Result<(Self, Recovery), OpenError> {
        config.check()?;
        let home = Home::open(&store.folder)?;
        let place_name = store.url.clone().unwrap_or_else(|| store.folder.display().to_string());
        let files_error = |source| OpenError::Files { place: place_name.clone(), source };
        let files = Arc::new(Files::new(place, config.rollups.clone()));
        let (catalog, recovered) = files.recover(home.root(), home.relay()).map_err(files_error)?;
        let rollups = Rollups::new(config.rollups.clone());
        let mut writer = Writer::new(config);
        writer.store.go_on_after(catalog.published());
        writer.files = catalog.entries().clone();
        writer.reader = Some(files.clone());
        let mut recovery = Recovery {
            files: catalog.entries().len() as u64,
            file_rows: catalog.entries().iter().map(|entry| entry.rows).sum(),
            catalog_rebuilt: recovered.rebuilt,
            files_deleted: recovered.deleted,
            ..Recovery::default()
        };
        let log_folder = home.log();
        let log_error = |source| OpenError::Log { folder: log_folder.clone(), source };
        let published = catalog.published();
        let mut take = |entry: Entry<'_>| writer.replay(entry, published, &mut recovery);
        let replayed = replay(&log_folder, home.relay(), &mut take).map_err(log_error)?;
        if let Some(Later { path, what }) = replayed.later {
            return Err(OpenError::LaterLog { path, what });
        }
        writer.nodes.begin_run();
        recovery.log_bytes = replayed.bytes;
        recovery.damages = replayed.damages;
        recovery.troubles = files.troubles().into_iter().map(|trouble| trouble.problem).collect();
        let mut namer = Namer::new(home.relay().to_owned());
        for name in replayed.files.iter().filter_map(|file| file.path.file_name()?.to_str()) {
            namer.met(name);
        }
        let log_namer = namer.clone();
        let log = Wal::new(log_folder, log_namer, store.fsync, store.log_file_bytes, replayed.files);
        let stats = super::StoreStats::default();
        let keeping = Keeping { catalog, namer, stats, leaving: Vec::new(), passed_over: Vec::new() };
        let durable =
            Durable { config: store, _home: home, files, keeping: Mutex::new(keeping), last_stats: Mutex::default() };
        let index = Self {
            snapshots: watch::Sender::new(Arc::default()),
            log_stats: Mutex::new(log.stats()),
            log: Mutex::new(Some(log)),
            durable: Some(durable),
            rollups,
            writer: Mutex::new(writer),
        };
        index.show(&index.writer());
        Ok((index, recovery))
    }
}

impl Writer {
    /// Takes what the log says; gives whether it could be used.
    fn replay(&mut self, entry: Entry<'_>, published: u64, recovery: &mut Recovery) -> bool {
        match entry {
            Entry::State(state) => {
                self.nodes.restore(&state.nodes);
                self.ledger.restore(&state.lines, &state.folded);
                // What is beyond it was written by a call that failed, and was never acknowledged.
                self.store.truncate_to(state.end_seq.max(published));
                self.store.skip_to(state.end_seq);
                true
            }
            Entry::Losses(node, losses) => {
                self.record_losses(&node, &losses);
                true
            }
            Entry::Batch(logged) => self.replay_batch(&logged, published, recovery),
        }
    }

    fn replay_batch(&mut self, logged: &Logged<'_>, published: u64, recovery: &mut Recovery) -> bool {
        let origin = logged.origin();
        if self.nodes.is_repeated(&origin) {
            return true;
        }
        let rows = logged.end_seq() - logged.first_seq();
        if rows == 0 || logged.end_seq() <= published {
            recovery.batches_published += u64::from(rows > 0);
            self.nodes.took(&origin, rows, logged.newest());
            self.record_losses(&origin.node, &logged.losses());
            return true;
        }
        let batch = logged.batch().and_then(|batch| Ok(tidy(&batch)?));
        let Ok(batch) = batch.inspect_err(|_| self.store.skip_to(logged.end_seq())) else { return false };
        self.store.skip_to(logged.first_seq());
        let Ok(segment) = Segment::new(batch.clone(), self.store.end_seq()) else { return false };
        recovery.rows += rows;
        self.take(&Incoming { origin, batch, losses: logged.losses() }, Some(segment));
        true
    }
}
