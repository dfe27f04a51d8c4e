//! Flows as rows of the flow table, in the formats that other programs read: CSV, flat JSON lines, Arrow and Parquet.

mod arrow;
mod cell;
mod csv;
mod guard;
mod ndjson;
mod parquet;
mod read;
mod text;
mod write;

pub(crate) use read::{Found, detect, read_flows};
pub(crate) use write::{RowFormat, RowWriter};
