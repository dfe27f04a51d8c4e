//! Flows as rows of an Arrow table: its columns, the ways in and out, and filters on whole batches.
//!
//! [`schema`] says what the columns are and is the only place that names them. [`FlowBatchBuilder`] turns flows into
//! record batches, [`RowReader`] turns rows back into flows with nothing lost, [`BatchFilter`] selects rows as
//! [`flow::filter::FilterSet`] selects flows, [`merge`] joins small batches into one compact one.

mod builder;
pub mod column;
pub mod filter;
mod json;
mod merge;
mod reader;
pub mod schema;
pub mod wire;
mod zeros;

pub use builder::{BatchFull, FlowBatchBuilder, PiecesRefused, Understood};
pub use filter::BatchFilter;
pub use json::read_list;
pub use merge::{memory_bytes, merge, tidy};
pub use reader::RowReader;
pub use schema::{Col, MAX_BATCH_ROWS, SchemaError, check_schema, conform, schema};
