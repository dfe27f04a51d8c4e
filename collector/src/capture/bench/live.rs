//! Traffic over the loopback device of a namespace of its own.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};

use nix::sched::{CloneFlags, unshare};

/// Moves the calling thread into a new network namespace whose loopback device is up.
pub(super) fn enter_empty_namespace() -> io::Result<()> {
    const LOOPBACK: i32 = 1;
    unshare(CloneFlags::CLONE_NEWNET)?;
    // SAFETY: the number is that of the loopback device, which every namespace begins with.
    unsafe { aya::netlink_set_link_up(LOOPBACK) }.map_err(io::Error::other)
}

/// Small requests and answers over TCP: HTTP in the form of its first bytes.
pub(super) fn requests(count: usize) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    let (request, answer) =
        (*b"GET / HTTP/1.1\r\nHost: bench\r\n\r\n", *b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
    let (mut asked, mut answered) = (request, answer);
    let mut client = TcpStream::connect(address)?;
    client.set_nodelay(true)?;
    let (mut server, _) = listener.accept()?;
    server.set_nodelay(true)?;
    // In turn, on one thread: each read finds what it waits for, so that nothing but the packets is measured.
    for _ in 0..count {
        client.write_all(&request)?;
        server.read_exact(&mut asked)?;
        server.write_all(&answer)?;
        client.read_exact(&mut answered)?;
    }
    Ok(())
}

/// Connections that are opened and closed without a byte.
pub(super) fn connections(count: usize) -> io::Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    for _ in 0..count {
        let client = TcpStream::connect(address)?;
        let (server, _) = listener.accept()?;
        drop((client, server));
    }
    Ok(())
}

/// Datagrams to a port nobody listens on: each is dropped and answered by ICMP.
pub(super) fn refused(count: usize) -> io::Result<()> {
    let sender = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    for _ in 0..count {
        sender.send_to(b"knock", (Ipv4Addr::LOCALHOST, 9))?;
    }
    Ok(())
}
