//! SQL over the hot index. The only crate that names DataFusion.
//!
//! An [`Engine`] answers read-only queries over a snapshot of the index, with tables `flows`, `edges_1m`, `drops_1m`,
//! `dns_1m` (and by the hour), `losses` and `nodes` and views `edges` and `drops`. Each query is bounded in memory, time and rows, and stops when its [`Answer`] is dropped.

mod answer;
mod blocking;
mod engine;
mod error;
mod flows;
mod functions;
mod limits;
mod prepared;
mod rollups;
mod run;
mod session;
mod side_tables;
mod statement;
mod views;
mod yielding;

pub use answer::Answer;
pub use engine::Engine;
pub use error::{Position, QueryError};
pub use limits::{Limits, LimitsError};
pub use prepared::{CATALOG, Prepared, SCHEMA, TableInfo};
