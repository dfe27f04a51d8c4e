//! Limits of the index.

use std::path::PathBuf;
use std::time::Duration;

use crate::Fsync;
use crate::RollupLimits;

/// How much the index may hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Rows held at most; the oldest are evicted. 10 million are 17 minutes of 10,000 flows a second.
    pub rows_max: usize,
    /// Bytes held at most; the oldest rows are evicted. 2 GiB hold the rows of the default above.
    pub bytes_max: usize,
    /// Age at which a segment that is not full is sealed all the same, so that quiet relays become compact too.
    pub segment_age: Duration,
    /// Lines the loss ledger keeps; the oldest windows are folded into one line per node, stage and cause.
    pub ledger_lines_max: usize,
    /// Nodes remembered; the one that was silent for longest is forgotten first.
    pub nodes_max: usize,
    /// Limits of the rollups.
    pub rollups: RollupLimits,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            rows_max: 10_000_000,
            bytes_max: 2 << 30,
            segment_age: Duration::from_secs(60),
            ledger_lines_max: 100_000,
            nodes_max: 10_000,
            rollups: RollupLimits::default(),
        }
    }
}

/// Where flows are kept so that they survive, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoreConfig {
    /// Folder on a local disk: the log, the catalogue and, without `url`, the files.
    pub folder: PathBuf,
    /// Object store that has the files instead, such as `s3://bucket/prefix`.
    pub url: Option<String>,
    /// When the log is forced to the disk.
    pub fsync: Fsync,
    /// Bytes after which the log begins a new file. 64 MiB: some seconds of a busy relay, so that little is read twice
    /// after a crash.
    pub log_file_bytes: u64,
    /// Rows that become one run of files. 524,288: about 20 MB, worth a request to an object store.
    pub file_rows: usize,
    /// Age at which rows become files though they are fewer.
    pub file_age: Duration,
    /// Age at which files are deleted.
    pub keep: Duration,
    /// Bytes all files may have together; the oldest hours are deleted first.
    pub bytes_max: u64,
    /// Time that files which were replaced stay, for queries that began before.
    pub grace: Duration,
    /// Whether the files of an hour that is over become one.
    pub compact: bool,
    /// Rows that are compacted at a time. 1,048,576, which takes some 400 MiB of memory.
    pub compact_rows: u64,
}

impl StoreConfig {
    /// The defaults, in this folder.
    #[must_use]
    pub const fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            url: None,
            fsync: Fsync::Batch,
            log_file_bytes: 64 << 20,
            file_rows: 524_288,
            file_age: Duration::from_secs(300),
            keep: Duration::from_secs(7 * 86_400),
            bytes_max: 20 << 30,
            grace: Duration::from_secs(900),
            compact: true,
            compact_rows: 1 << 20,
        }
    }
}

/// The limits make no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// A limit is too small to work with.
    #[error("{name} is {value}, it must be at least {min}")]
    TooSmall {
        /// Name of the setting.
        name: &'static str,
        /// Its value.
        value: usize,
        /// Smallest value allowed.
        min: usize,
    },
}

impl Config {
    /// Checks the limits.
    ///
    /// # Errors
    /// A limit is too small.
    pub fn check(&self) -> Result<(), ConfigError> {
        let limits = [
            ("rows_max", self.rows_max, 1),
            ("bytes_max", self.bytes_max, 1 << 20),
            ("ledger_lines_max", self.ledger_lines_max, 1),
            ("nodes_max", self.nodes_max, 1),
        ];
        for (name, value, min) in limits {
            if value < min {
                return Err(ConfigError::TooSmall { name, value, min });
            }
        }
        Ok(())
    }
}
