//! Looking after a store while no relay serves it, or beside one.

use std::io;
use std::path::{Path, PathBuf};

pub use flow::Timestamp;
use flow::{Clock as _, SystemClock};
pub use relay_index::{Archive, Imported, StoredFile};
use relay_index::{Index, OpenError};

use crate::Config;
pub use crate::causes::with_causes;

/// What could not be done to a store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Flows are kept in memory only.
    #[error("relay.store is `none`: name a folder or a URL")]
    None,
    /// It cannot be looked at.
    #[error("cannot read its catalogue")]
    Read(#[source] io::Error),
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// A file cannot be taken in.
    #[error("cannot take in {path:?}")]
    Import {
        /// File.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
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

/// Makes files fewer; gives how many became part of a larger one. `progress` is told how many did so far.
///
/// # Errors
/// A relay uses the store, or it cannot be read or written.
pub fn compact(config: &Config, progress: &mut dyn FnMut(u64)) -> Result<u64, StoreError> {
    let index = open_index(config)?;
    let mut files = 0;
    loop {
        let done = index.upkeep(SystemClock.now()).map_err(StoreError::Write)?;
        files += done.files_compacted;
        progress(files);
        if !done.more {
            index.close(SystemClock.now()).map_err(StoreError::Write)?;
            return Ok(files);
        }
    }
}

/// Takes in the flows of Parquet files. `progress` is told how many were taken in so far.
///
/// # Errors
/// A relay uses the store, a file cannot be read, or the store cannot be written.
pub fn import(config: &Config, files: &[PathBuf], progress: &mut dyn FnMut(u64)) -> Result<Imported, StoreError> {
    let index = open_index(config)?;
    let mut sum = Imported::default();
    for path in files {
        let before = sum.rows;
        let mut take = |path: &Path| index.import(path, SystemClock.now(), &mut |rows| progress(before + rows));
        let done = take(path).map_err(|source| StoreError::Import { path: path.clone(), source })?;
        sum.rows += done.rows;
        sum.batches_repeated += done.batches_repeated;
    }
    index.seal_all(SystemClock.now()).map_err(StoreError::Write)?;
    index.close(SystemClock.now()).map_err(StoreError::Write)?;
    Ok(sum)
}

fn open_index(config: &Config) -> Result<Index, StoreError> {
    let store = config.store.for_index().ok_or(StoreError::None)?;
    let (index, _) = Index::open(crate::relay::index_limits(config), store)?;
    Ok(index)
}
