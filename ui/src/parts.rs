//! Small things every page is made of.

pub(crate) mod choices;
pub(crate) mod clock;
pub(crate) mod copy;
pub(crate) mod drawer;
pub(crate) mod icon;
pub(crate) mod shell;
pub(crate) mod states;
pub(crate) mod units;
pub(crate) mod verdict;
