//! What is dropped, why, and by whom.

mod chart;
mod groups;
mod page;
mod stack;

pub(crate) use page::DropsPage;
