//! Addresses of servers that have to be told where to listen, or have to come back there.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::{Context, Result};

/// A free port of an address of this machine that no other test and no client has: what listens there may end and come
/// back without another program taking its place.
///
/// # Errors
/// There is no port left.
pub fn own_address() -> Result<SocketAddr> {
    static CALLS: AtomicU8 = AtomicU8::new(0);
    // Clients on the loopback, and servers that take any port, are at 127.0.0.1.
    let [_, _, high, low] = std::process::id().to_be_bytes();
    let call = 1 + CALLS.fetch_add(1, Ordering::Relaxed) % 254;
    let listener = TcpListener::bind((Ipv4Addr::new(127, call, high, low), 0)).context("no port is left")?;
    Ok(listener.local_addr()?)
}
