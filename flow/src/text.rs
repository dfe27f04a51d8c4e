//! The text forms of a flow that people and stock clients read.
