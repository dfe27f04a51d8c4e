//! Looking after a store while no relay serves it, or beside one.

use std::io;
use std::path::PathBuf;

pub use flow::Timestamp;
use flow::{Clock as _, SystemClock};
pub use relay_index::{Archive, CheckedLog, DamageKind, Exported, ImportError, ReadError, StoredFile, Unread};
use relay_index::{Index, OpenError};

use crate::Config;
use crate::memory;
use crate::relay::{budget_of, index_limits};

/// What could not be done to a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Flows are kept in memory only.
    #[error("relay.store is `none`: name a folder or a URL")]
    None,
    /// It cannot be looked at.
    #[error("cannot read its catalogue")]
    Read(#[source] io::Error),
    /// A setting cannot be.
    #[error(transparent)]
    Config(#[from] crate::ConfigError),
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// It cannot be written.
    #[error("the store cannot be written")]
    Write(#[source] io::Error),
}

/// Opens the store of these settings to look at it; a relay may run meanwhile.
///
/// # Errors
/// There is none, or it cannot be read.
pub fn open(config: &Config) -> Result<Archive, StoreError> {
    let store = config.store.for_index().ok_or(StoreError::None)?;
    Archive::open(&store).map_err(StoreError::Read)
}

/// What a compaction did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Compacted {
    /// Files that became part of a larger one.
    pub files: u64,
    /// Files of the store before and after.
    pub files_of_store: (u64, u64),
    /// Bytes of those.
    pub bytes_of_store: (u64, u64),
    /// What is wrong with files that could not be read and stay as they are.
    pub not_compacted: Vec<String>,
}

/// Writes what is in the log to files, and makes files fewer and smaller. `progress` is told how many were worked on so
/// far.
///
/// # Errors
/// A relay uses the store, or it cannot be read or written.
pub fn compact(config: &Config, progress: &mut dyn FnMut(u64)) -> Result<Compacted, StoreError> {
    // What is in memory is not compacted, and what was in the log is in memory until the next start.
    let index = open_index(config)?;
    index.seal_all(SystemClock.now()).map_err(StoreError::Write)?;
    index.close(SystemClock.now()).map_err(StoreError::Write)?;
    drop(index);
    let index = open_index(config)?;
    let before = index.store_stats();
    let mut files = 0;
    loop {
        let done = index.upkeep_of_the_past(SystemClock.now()).map_err(StoreError::Write)?;
        files += done.files_compacted;
        progress(files);
        if !done.more {
            index.close(SystemClock.now()).map_err(StoreError::Write)?;
            let after = index.store_stats();
            return Ok(Compacted {
                files,
                files_of_store: (before.files, after.files),
                bytes_of_store: (before.file_bytes, after.file_bytes),
                not_compacted: index.not_compacted(),
            });
        }
    }
}

/// What an import did.
#[derive(Debug, Default)]
pub struct TakenIn {
    /// Flows taken in.
    pub flows: u64,
    /// Batches that had been taken in before.
    pub batches_repeated: u64,
    /// Files that could not be taken in, or not all of them, and why.
    pub not_taken: Vec<(PathBuf, ImportError)>,
}

/// Takes in the flows of Parquet files. One that cannot be read is passed over and named. `progress` is told how many
/// flows were taken in so far.
///
/// # Errors
/// A relay uses the store, or it cannot be written.
pub fn import(config: &Config, files: &[PathBuf], progress: &mut dyn FnMut(u64)) -> Result<TakenIn, StoreError> {
    let index = open_index(config)?;
    let mut sum = TakenIn::default();
    for path in files {
        let before = sum.flows;
        match index.import(path, SystemClock.now(), &mut |rows| progress(before + rows)) {
            Ok(done) => {
                sum.flows += done.rows;
                sum.batches_repeated += done.batches_repeated;
            }
            Err(ImportError::Store(source)) => return Err(StoreError::Write(source)),
            Err(error) => {
                if let ImportError::File { rows, .. } = &error {
                    sum.flows += rows;
                }
                sum.not_taken.push((path.clone(), error));
            }
        }
    }
    index.seal_all(SystemClock.now()).map_err(StoreError::Write)?;
    index.close(SystemClock.now()).map_err(StoreError::Write)?;
    Ok(sum)
}

fn open_index(config: &Config) -> Result<Index, StoreError> {
    let store = config.store.for_index().ok_or(StoreError::None)?;
    let budget = budget_of(config)?;
    memory::set_up(budget.total);
    let (index, _) = Index::open(index_limits(config, budget), budget.fit(store))?;
    Ok(index)
}
