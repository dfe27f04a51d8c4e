//! The hot index through its public doors.

mod drops;
mod eviction;
mod follow;
mod ingest;
mod map;
mod search;
mod shop;
