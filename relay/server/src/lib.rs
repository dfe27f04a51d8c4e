//! The relay: takes in flows of all nodes, keeps them in one ordered index, and answers Hubble clients, browsers,
//! scripts and Prometheus.
//!
//! [`start`] opens the doors and gives back a [`Running`] relay. Inside, flows go from `ingest` to the index (crate
//! `relay-index`) and out through `api`; SQL is the business of `relay-query`.

mod api;
mod assets;
mod config;
mod ingest;
mod listen;
mod losses;
mod memory;
mod metrics;
mod nodes;
mod rate;
mod relay;
mod start;
pub mod store;

pub use config::{
    Config, ConfigError, FlightSqlConfig, FsyncMode, GrpcConfig, HttpConfig, IndexConfig, IngestConfig, LiveConfig,
    MetricsConfig, PeerConfig, PeerPods, SqlConfig, StoreConfig,
};
pub use listen::ListenError;
pub use start::{RunError, Running, StartError, start};
