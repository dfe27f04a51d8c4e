//! Real traffic on one machine: network namespaces joined by a bridge, real servers in them, and clients whose every
//! request is counted.
//!
//! `./dev up --demo` runs the shop of [`shop`]; the whole-system tests build their own topologies from [`topology`] and
//! send exact numbers of requests with [`traffic`]. Everything lives in namespaces and cgroups of its own and goes away
//! with the value that made it.

pub mod api;
pub mod shop;
pub mod topology;
pub mod traffic;
