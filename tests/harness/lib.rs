//! Whole-system tests through public doors: the built programs, real namespaces, real servers, real clients.
//!
//! A test starts [`Weir`] as a user would, sends traffic from a [`demo::topology::Topology`], and asks `flowctl`, SQL,
//! the stock client or Prometheus what happened.

mod address;
mod golden;
mod lines;
mod programs;
pub mod pusher;
mod relay;
mod require;
mod weir;

pub use address::own_address;
pub use golden::compare_golden;
pub use lines::without_deprecated;
pub use programs::{Collector, Program, StockAgent, relay, stock_relay};
pub use relay::Relay;
pub use require::{hubble, installed, python, root, stock_tool};
pub use traffic::measure::memory_of;
pub use weir::{Place, Weir, binary, fixture};

use std::time::Duration;

/// Longest wait for something that usually takes well under a second, on a machine that has other things to do.
pub const SOON: Duration = Duration::from_secs(60);

/// Rules of nftables for a server: connections to PostgreSQL's port are dropped.
pub const DENY_POSTGRES: &str = "
table inet deny {
  chain input {
    type filter hook input priority 0; policy accept;
    tcp dport 5432 drop
  }
}
";
