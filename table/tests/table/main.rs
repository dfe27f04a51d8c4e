//! The flow table through its public doors.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod documented;
mod filter;
mod merge;
mod random;
mod round_trip;
mod versions;
mod wire;
