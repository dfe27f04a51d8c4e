//! The hot index through its public doors.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod age;
mod archive;
mod damage;
mod drops;
mod eviction;
mod follow;
mod ingest;
mod kept_rollups;
mod map;
mod rollup;
mod search;
mod shop;
mod store;
mod upkeep;
mod versions;
