//! Clients that send an exact number of requests, datagrams or connections and say what came of each.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use anyhow::{Context, Result};

/// Longest wait for one answer.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// What a client sent and got back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests, datagrams or connections attempted.
    pub sent: u64,
    /// Those that were answered.
    pub answered: u64,
    /// Those that were refused or timed out.
    pub failed: u64,
}

/// Sends `count` GET requests for `url`; the answer may have any status. A new connection each unless `keep_alive`.
///
/// # Errors
/// The URL is not one.
pub fn http_get(url: &str, count: u64, keep_alive: bool) -> Result<Tally> {
    let shared = agent();
    let mut tally = Tally::default();
    for _ in 0..count {
        tally.sent += 1;
        let answer =
            if keep_alive { shared.get(url).call() } else { agent().get(url).header("Connection", "close").call() };
        match answer.map(|mut a| a.body_mut().read_to_vec()) {
            Ok(Ok(_)) => tally.answered += 1,
            Ok(Err(_)) | Err(_) => tally.failed += 1,
        }
    }
    Ok(tally)
}

/// POSTs a body of `bytes` bytes to `url`, `count` times over one connection.
///
/// # Errors
/// The URL is not one.
pub fn http_post(url: &str, count: u64, bytes: usize) -> Result<Tally> {
    let (agent, body) = (agent(), vec![b'w'; bytes]);
    let mut tally = Tally::default();
    for _ in 0..count {
        tally.sent += 1;
        match agent.post(url).send(body.as_slice()).map(|mut a| a.body_mut().read_to_vec()) {
            Ok(Ok(_)) => tally.answered += 1,
            Ok(Err(_)) | Err(_) => tally.failed += 1,
        }
    }
    Ok(tally)
}

fn agent() -> ureq::Agent {
    ureq::Agent::new_with_config(
        ureq::Agent::config_builder().timeout_global(Some(ANSWER_DEADLINE)).http_status_as_error(false).build(),
    )
}

/// Opens `count` connections, closes each at once.
///
/// # Errors
/// None today; the signature leaves room for a bad address.
pub fn tcp_connect(address: SocketAddr, count: u64, deadline: Duration) -> Result<Tally> {
    let mut tally = Tally::default();
    for _ in 0..count {
        tally.sent += 1;
        match TcpStream::connect_timeout(&address, deadline) {
            Ok(_) => tally.answered += 1,
            Err(_) => tally.failed += 1,
        }
    }
    Ok(tally)
}

/// Sends `count` datagrams of `bytes` bytes from one socket and counts the echoes.
///
/// # Errors
/// The socket cannot be made.
pub fn udp_echo(address: SocketAddr, count: u64, bytes: usize) -> Result<Tally> {
    let local = if address.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
    let socket = UdpSocket::bind(local).context("cannot make a UDP socket")?;
    socket.set_read_timeout(Some(ANSWER_DEADLINE))?;
    socket.connect(address).with_context(|| format!("cannot use {address}"))?;
    let (payload, mut buffer) = (vec![b'w'; bytes], vec![0; bytes.max(1)]);
    let mut tally = Tally::default();
    for _ in 0..count {
        tally.sent += 1;
        match socket.send(&payload).and_then(|_| socket.recv(&mut buffer)) {
            Ok(_) => tally.answered += 1,
            Err(_) => tally.failed += 1,
        }
    }
    Ok(tally)
}

/// Answers UDP datagrams with themselves until it is killed.
///
/// # Errors
/// The address is in use.
pub fn serve_udp_echo(address: SocketAddr) -> Result<()> {
    let socket = UdpSocket::bind(address).with_context(|| format!("cannot listen on {address}/udp"))?;
    let mut buffer = vec![0; 65_536];
    loop {
        let (length, peer) = socket.recv_from(&mut buffer)?;
        socket.send_to(&buffer[..length], peer)?;
    }
}

/// Accepts connections and reads each to its end, one at a time, until it is killed.
///
/// # Errors
/// The address is in use.
pub fn serve_tcp_sink(address: SocketAddr) -> Result<()> {
    let listener = TcpListener::bind(address).with_context(|| format!("cannot listen on {address}/tcp"))?;
    let mut buffer = vec![0; 65_536];
    for connection in listener.incoming() {
        let mut connection = connection?;
        while matches!(connection.read(&mut buffer), Ok(n) if n > 0) {}
    }
    Ok(())
}

/// Sends `bytes` bytes over one connection and closes it.
///
/// # Errors
/// The connection failed.
pub fn tcp_send(address: SocketAddr, bytes: usize) -> Result<Tally> {
    let mut connection = TcpStream::connect_timeout(&address, ANSWER_DEADLINE)?;
    let block = vec![b'w'; 16_384];
    let mut left = bytes;
    while left > 0 {
        let n = left.min(block.len());
        connection.write_all(&block[..n])?;
        left -= n;
    }
    Ok(Tally { sent: 1, answered: 1, failed: 0 })
}
