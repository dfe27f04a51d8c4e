//! The kernel as a source: loads the programs, attaches them to every link, reads their rings and maps.
//!
//! [`Kernel::load`] starts capture in the network namespace of the calling thread and ends it when dropped; what it
//! attached are file descriptors of this process, so the kernel detaches it all when the process is killed. Features
//! are tried one by one: what the kernel lacks is reported ([`Kernel::features`], [`probe`]) and done without.
//!
//! Everything is pulled: [`Kernel::drain`] empties the rings, [`Kernel::sweep`] and [`Kernel::sweep_drops`] read the
//! maps with their exact totals, [`Kernel::poll_links`] follows links that come and go. Nothing here waits, but for
//! [`Kernel::wait`].

#![expect(unsafe_code, reason = "talking to bpf(2) where aya has no safe call; each block says why it is sound")]

mod attach;
pub mod bench;
mod btf;
mod clock;
mod config;
mod error;
mod feature;
mod hooks;
mod kernel;
mod link;
mod map;
mod names;
mod object;
mod offsets;
mod privilege;
mod ring;
mod rtnetlink;
mod stats;
mod sweep;
mod walk;

#[cfg(test)]
mod tests;

pub use btf::{Btf, BtfError};
pub use clock::BootClock;
pub use config::{AttachMode, CaptureConfig};
pub use error::CaptureError;
pub use feature::{Feature, Tier};
pub use kernel::{Drained, Kernel, probe};
pub use link::{Link, LinkClass, LinkEvent, Observation};
pub use map::MapError;
pub use names::KernelNumbers;
pub use stats::{KernelCounters, KernelStats, KindStats};
pub use sweep::SweepKind;
