//! The relay's hot index: the newest flows of all nodes in memory, bounded, searchable while they arrive.
//!
//! One writer appends batches; readers take an immutable [`Snapshot`] and never block it. Every row has a sequence
//! number in order of arrival, so that following after a snapshot has neither gap nor repeat. What does not fit is
//! evicted oldest first and counted.

mod archive;
mod config;
mod drops;
mod files;
mod follow;
mod home;
mod index;
mod ledger;
mod map;
mod names;
mod nodes;
mod rollup;
mod scan;
mod segment;
mod snapshot;
mod store;
mod wal;

pub use archive::{Archive, CheckedLog, Exported, StoredFile, Unread};
pub use config::{Config, ConfigError, StoreConfig};
pub use files::{Chunk, ReadError, ReadMark};
pub use follow::{Followed, Follower};
pub use home::HomeError;
pub use index::{
    AppendError, Appended, BatchOrigin, ImportError, Imported, Incoming, Index, OpenError, Recovery, Stats, StoreStats,
    Upkeep,
};
pub use ledger::LedgerLine;
pub use map::{MapBy, MapShape};
pub use nodes::Node;
pub use rollup::{
    Period, ROLLUP_VERSION, Rollup, RollupError, RollupFile, RollupKind, RollupLimits, RollupStats, RollupView,
    Rollups, Sketch, rollups_of,
};
pub use scan::{Asker, Hit, Order, Scan, Search};
pub use segment::Segment;
pub use snapshot::Snapshot;
pub use wal::{Damage, DamageKind, Fsync, LogStats};
