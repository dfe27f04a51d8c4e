//! Places the services of a map: callers left, callees right, namespaces as islands.
//!
//! Plain functions of numbers: no browser, no clock, no randomness, so the same graph gives the same picture, and
//! everything is tested natively. The method: [`trophic`] levels give each node how far right it belongs; islands are
//! laid out inside by those levels, then placed as boxes by the same method; barycentre sweeps choose the order from
//! top to bottom; [`isotonic`] regression pulls neighbours level without changing that order.
//!
//! A picture that is refreshed must not jump. [`Options::sticky_level`] keeps a node in its column while its level
//! moves little, and the heights of an earlier [`Placement`] seed the order.

mod arrange;
mod geometry;
mod inside;
pub mod isotonic;
mod place;
mod sorting;
pub mod trophic;
mod units;

pub use geometry::{Placement, Rect, Spot};
pub use place::{Edge, Node, Options, place};
pub use sorting::{order, sort_by};
