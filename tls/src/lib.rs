//! TLS at the gRPC doors of collector and relay, and on the way to those of others; and whom clients trust.
//!
//! A crate of its own because collector and relay, which do not know each other, and `flowctl` need it. Files are PEM. They are
//! read again when they change, so certificates may be renewed while the process runs.

mod client;
mod files;
mod server;
mod stream;
mod trust;

pub use client::{ClientTls, ConnectError, Dial, connect, rehearse};
pub use files::TlsError;
pub use server::{Acceptor, ServerTls, secured};
pub use stream::Secured;
pub use trust::{Judge, server_name};
