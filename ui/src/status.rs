//! Whether the data is complete: nodes, what is held, what was lost.

mod page;
mod tables;

pub(crate) use page::StatusPage;
