//! A collector through its doors: gRPC clients and flow logs, on a collector in this process.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod bed;
mod export;
mod observer;
mod peers;
