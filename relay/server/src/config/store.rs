//! Settings of the store.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use relay_index::Fsync;
use serde::de::value::MapAccessDeserializer;
use serde::de::{MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};

/// Place that keeps nothing.
const NONE: &str = "none";
const GIB: u64 = 1 << 30;

/// Where flows are kept so that they survive, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct StoreConfig {
    /// Folder on a local disk, or the URL of an object store such as `s3://bucket/prefix`; `none` keeps flows in memory
    /// only. Default of `weir relay` and `weir up`: `/var/lib/weir` for root, else `$XDG_STATE_HOME/weir`.
    pub place: String,
    /// Folder on a local disk for the log and the catalogue where `place` is an object store. No default.
    pub log_dir: Option<PathBuf>,
    /// When an acknowledged batch is forced to the disk: `batch` (default) before it is acknowledged, all that wait by
    /// one call; `interval` once in `fsync_ms`; `off` when the system sees fit.
    pub fsync: FsyncMode,
    /// Milliseconds between two calls with `fsync: interval`. Default 200: what a machine that loses power loses.
    pub fsync_ms: u64,
    /// Bytes after which the log begins a new file. Default 64 MiB.
    pub log_file_bytes: u64,
    /// Flows that become one run of files. Default 524,288: about 20 MB. Fewer where the memory budget is below 2 GiB.
    pub file_flows: usize,
    /// Milliseconds after which flows become a file though they are fewer. Default 300,000: a file for each five
    /// minutes of a quiet relay.
    pub file_age_ms: u64,
    /// Hours after which files are deleted. Default 168, a week.
    pub keep_hours: u64,
    /// Bytes all files may have; the oldest hours are deleted first. Default 20 GiB, half a billion flows.
    pub bytes_max: u64,
    /// Whether the files of an hour become one, sorted by workloads, pods, node and connection, once the hour is over.
    /// Default true: a third fewer bytes.
    pub compact: bool,
}

/// When an acknowledged batch is forced to the disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FsyncMode {
    /// Before it is acknowledged.
    #[default]
    Batch,
    /// Now and then.
    Interval,
    /// When the system sees fit.
    Off,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            place: NONE.to_owned(),
            log_dir: None,
            fsync: FsyncMode::Batch,
            fsync_ms: 200,
            log_file_bytes: 64 << 20,
            file_flows: 524_288,
            file_age_ms: 300_000,
            keep_hours: 168,
            bytes_max: 20 * GIB,
            compact: true,
        }
    }
}

impl StoreConfig {
    /// What the index takes; `None` keeps flows in memory only.
    pub(crate) fn for_index(&self) -> Option<relay_index::StoreConfig> {
        if self.place == NONE {
            return None;
        }
        let url = self.is_url().then(|| self.place.clone());
        let folder = match (&url, &self.log_dir) {
            (Some(_), Some(folder)) => folder.clone(),
            _ => PathBuf::from(&self.place),
        };
        let fsync = match self.fsync {
            FsyncMode::Batch => Fsync::Batch,
            FsyncMode::Interval => Fsync::Interval(Duration::from_millis(self.fsync_ms)),
            FsyncMode::Off => Fsync::Off,
        };
        Some(relay_index::StoreConfig {
            url,
            fsync,
            log_file_bytes: self.log_file_bytes,
            file_rows: self.file_flows,
            file_age: Duration::from_millis(self.file_age_ms),
            keep: Duration::from_secs(self.keep_hours.saturating_mul(3_600)),
            bytes_max: self.bytes_max,
            compact: self.compact,
            ..relay_index::StoreConfig::new(folder)
        })
    }

    fn is_url(&self) -> bool {
        self.place.contains("://")
    }

    /// What is wrong with the place.
    pub(super) fn problem(&self) -> Option<(&'static str, String)> {
        if self.place.is_empty() {
            return Some(("store.place", "must be a folder, a URL, or `none`".to_owned()));
        }
        if self.is_url() && self.log_dir.is_none() {
            let problem = "is needed where store.place is an object store: a folder on a local disk for the log";
            return Some(("store.log_dir", problem.to_owned()));
        }
        None
    }
}

/// Reads the settings by name, or the place alone.
///
/// # Errors
/// They are neither.
pub(super) fn place_or_settings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<StoreConfig, D::Error> {
    struct Either;

    impl<'de> Visitor<'de> for Either {
        type Value = StoreConfig;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a folder, a URL, `none`, or the settings of the store by name")
        }

        fn visit_str<E>(self, place: &str) -> Result<StoreConfig, E> {
            Ok(StoreConfig { place: place.to_owned(), ..StoreConfig::default() })
        }

        fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<StoreConfig, A::Error> {
            StoreConfig::deserialize(MapAccessDeserializer::new(map))
        }
    }

    deserializer.deserialize_any(Either)
}
