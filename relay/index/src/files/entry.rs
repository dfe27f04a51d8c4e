//! What the catalogue knows of a file.

use std::sync::Arc;

use flow::Timestamp;
use serde::{Deserialize, Serialize};

/// Folder of the files and version of their layout.
pub(crate) const FLOWS: &str = "flows/v1";

/// One file, as the catalogue and its own footer describe it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FileEntry {
    /// Path below the root.
    pub(crate) path: String,
    /// Bytes of the file; 0 in its footer, which does not know.
    #[serde(default)]
    pub(crate) bytes: u64,
    pub(crate) rows: u64,
    /// Run of sequence numbers its rows are of. Several files may share a run.
    pub(crate) first_seq: u64,
    pub(crate) end_seq: u64,
    /// Which of how many files of the run.
    pub(crate) part: u32,
    pub(crate) parts: u32,
    /// 0 as it was sealed, 1 compacted.
    pub(crate) level: u32,
    /// Version of the flow table.
    pub(crate) schema_version: u32,
    /// When it was written, in nanoseconds since the Unix epoch.
    pub(crate) written: i64,
    /// Row groups.
    pub(crate) groups: Arc<[GroupEntry]>,
    /// Files that this one stands for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) inputs: Vec<String>,
    /// What is known of the counts beside it; `None` in stores of earlier versions.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) rollup: Option<RollupEntry>,
}

/// The counts of a file's rows, in a file of their own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RollupEntry {
    pub(crate) bytes: u64,
    /// Bytes of its footer, with which it ends, and their CRC-32C. The footer has those of the rest.
    pub(crate) footer: u64,
    pub(crate) sum: u32,
    /// Rows of its tables of edges, by minute and by hour.
    pub(crate) edges: [u64; 2],
}

/// One row group: rows, time of the oldest and of the newest row in nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupEntry(pub(crate) u32, pub(crate) i64, pub(crate) i64);

impl GroupEntry {
    pub(crate) const fn rows(self) -> u32 {
        self.0
    }

    pub(crate) const fn time_range(self) -> (Timestamp, Timestamp) {
        (Timestamp(self.1), Timestamp(self.2))
    }
}

impl FileEntry {
    /// A file of which only the name is known.
    pub(crate) fn unknown(path: &str, bytes: u64) -> Self {
        Self {
            path: path.to_owned(),
            bytes,
            rows: 0,
            first_seq: 0,
            end_seq: 0,
            part: 0,
            parts: 1,
            level: 0,
            schema_version: 0,
            written: 0,
            groups: Arc::default(),
            inputs: Vec::new(),
            rollup: None,
        }
    }

    /// Bytes of the file and of the counts beside it.
    pub(crate) fn all_bytes(&self) -> u64 {
        self.bytes.saturating_add(self.rollup.map_or(0, |rollup| rollup.bytes))
    }

    /// Time of the oldest and of the newest row.
    pub(crate) fn time_range(&self) -> (Timestamp, Timestamp) {
        let oldest = self.groups.iter().map(|group| group.1).min().unwrap_or_default();
        let newest = self.groups.iter().map(|group| group.2).max().unwrap_or_default();
        (Timestamp(oldest), Timestamp(newest))
    }

    /// Number of the first row of a row group, counted from the first row of the run.
    pub(crate) fn first_row(&self, group: usize) -> u64 {
        self.groups.iter().take(group).map(|group| u64::from(group.rows())).sum()
    }
}

/// Folder for flows of an hour.
pub(crate) fn folder_of(time: Timestamp) -> String {
    format!("{FLOWS}/{}", time.format("date=%Y-%m-%d/hour=%H"))
}
