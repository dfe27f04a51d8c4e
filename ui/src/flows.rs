//! The table of flows: live, or of a range.

pub(crate) mod columns;
mod command;
mod details;
mod feed;
mod page;
mod ring;
mod table;
mod window;

pub(crate) use page::FlowsPage;
