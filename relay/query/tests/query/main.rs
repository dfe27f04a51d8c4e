//! SQL through the engine's public door.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

mod blocking;
mod cases;
mod documented;
mod limits;
mod rollups;
#[path = "../../../index/tests/index/shop.rs"]
mod shop;
