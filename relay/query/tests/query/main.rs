//! SQL through the engine's public door.

mod cases;
mod limits;
#[path = "../../../index/tests/index/shop.rs"]
mod shop;
