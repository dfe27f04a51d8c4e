//! What the user looks at. The address bar is its only store: a link is a view, and Back undoes.

pub(crate) mod conditions;
pub(crate) mod escape;
pub(crate) mod questions;
pub(crate) mod range;
pub(crate) mod route;
pub(crate) mod view;

pub(crate) use conditions::{Condition, Conditions};
pub(crate) use range::Range;
pub(crate) use route::{Nav, Page, use_nav};
pub(crate) use view::{Form, Grouping, Metric, ViewState};
