//! The flow table through its public doors.

mod documented;
mod filter;
mod merge;
mod random;
mod round_trip;
mod versions;
