//! The per-node agent: takes what the kernel (or a file) says about traffic and makes named flows of it.

pub mod l7;
