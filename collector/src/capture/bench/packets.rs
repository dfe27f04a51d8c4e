//! Packets for test runs.

const ETHERNET: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];

/// An acknowledgement, with options.
const TCP: [u8; 32] =
    [0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x80, 0x10, 1, 0, 0, 0, 0, 0, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1];

/// An acknowledgement over IPv4, 66 bytes.
pub(super) fn tcp_v4() -> Vec<u8> {
    [&ETHERNET[..], &[8, 0], &ipv4(52, 6), &TCP].concat()
}

/// An acknowledgement over IPv6, 86 bytes.
pub(super) fn tcp_v6() -> Vec<u8> {
    let ip = [0x60, 0, 0, 0, 0, 32, 6, 64];
    [&ETHERNET[..], &[0x86, 0xdd], &ip, &[0xfd; 16], &[0xfc; 16], &TCP].concat()
}

/// A DNS query of 40 bytes over IPv4.
pub(super) fn dns() -> Vec<u8> {
    let udp = [0x9c, 0x40, 0, 53, 0, 48, 0, 0];
    [&ETHERNET[..], &[8, 0], &ipv4(68, 17), &udp, &[7; 40]].concat()
}

fn ipv4(len: u8, protocol: u8) -> [u8; 20] {
    [0x45, 0, 0, len, 0, 1, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]
}
