//! IP headers of a captured packet, down to the transport header, as the programs in the kernel read them.
//!
//! Read by hand: every length comes from the packet and is checked against what was captured.

use std::net::{Ipv4Addr, Ipv6Addr};

use ebpf_abi::{fragment, protocol};

/// Most extension headers that are passed over, as in the kernel.
const EXTENSIONS_MAX: usize = 6;
const IPV4_BYTES: usize = 20;
const IPV6_BYTES: usize = 40;

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

/// What the IP header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Network {
    /// IPv4 addresses mapped into IPv6.
    pub(super) source_ip: [u8; 16],
    pub(super) destination_ip: [u8; 16],
    /// 4 or 6.
    pub(super) version: u8,
    /// Of what is behind all headers read here; of an extension header where that is cut off.
    pub(super) protocol: u8,
    pub(super) ttl: u8,
    pub(super) dscp: u8,
    /// One of [`fragment`].
    pub(super) fragment: u8,
    pub(super) fragment_id: u32,
    /// Bytes of the IP header with its extensions; may be more than were captured.
    pub(super) header_bytes: usize,
    /// Bytes there were behind it.
    pub(super) payload_bytes: usize,
}

impl Network {
    /// Reads the headers at the start of `ip`, of a packet that had `ip_bytes` bytes before it was captured; `None` where
    /// the IP header is cut off or is none.
    pub(super) fn read(ip: &[u8], ip_bytes: usize) -> Option<Self> {
        match ip.first()? >> 4 {
            4 => Self::v4(ip, ip_bytes),
            6 => Self::v6(ip, ip_bytes),
            _ => None,
        }
    }

    fn v4(ip: &[u8], ip_bytes: usize) -> Option<Self> {
        let header = ip.first_chunk::<IPV4_BYTES>()?;
        let header_bytes = usize::from(header[0] & 0x0f) * 4;
        if header_bytes < IPV4_BYTES || header_bytes > ip.len() {
            return None;
        }
        let address = |at: usize| {
            Ipv4Addr::new(header[at], header[at + 1], header[at + 2], header[at + 3]).to_ipv6_mapped().octets()
        };
        // Segmentation by hardware leaves the length to be filled in.
        let total = match usize::from(u16::from_be_bytes([header[2], header[3]])) {
            0 => ip_bytes,
            total => total,
        };
        let bits = u16::from_be_bytes([header[6], header[7]]);
        let mut network = Self {
            source_ip: address(12),
            destination_ip: address(16),
            version: 4,
            protocol: header[9],
            ttl: header[8],
            dscp: header[1] >> 2,
            fragment: kind_of(bits & 0x1fff, bits & 0x2000 != 0),
            fragment_id: u16::from_be_bytes([header[4], header[5]]).into(),
            header_bytes,
            payload_bytes: 0,
        };
        if network.protocol == AUTHENTICATION && network.fragment != fragment::LATER {
            network.pass_extension(ip);
        }
        Some(Self { payload_bytes: total.saturating_sub(network.header_bytes), ..network })
    }

    fn v6(ip: &[u8], ip_bytes: usize) -> Option<Self> {
        let header = ip.first_chunk::<IPV6_BYTES>()?;
        let address = |at: usize| header[at..].first_chunk::<16>().map_or([0; 16], |ip| Ipv6Addr::from(*ip).octets());
        let mut network = Self {
            source_ip: address(8),
            destination_ip: address(24),
            version: 6,
            protocol: header[6],
            ttl: header[7],
            dscp: (u16::from_be_bytes([header[0], header[1]]) >> 6) as u8 & 0x3f,
            fragment: fragment::NONE,
            fragment_id: 0,
            header_bytes: IPV6_BYTES,
            payload_bytes: 0,
        };
        for _ in 0..EXTENSIONS_MAX {
            if network.fragment == fragment::LATER || !is_extension(network.protocol) || !network.pass_extension(ip) {
                break;
            }
        }
        // A jumbogram has no length.
        let total = match usize::from(u16::from_be_bytes([header[4], header[5]])) {
            0 => ip_bytes,
            length => IPV6_BYTES + length,
        };
        Some(Self { payload_bytes: total.saturating_sub(network.header_bytes), ..network })
    }

    /// Steps over the extension header that comes next; false where it is cut off.
    fn pass_extension(&mut self, ip: &[u8]) -> bool {
        let Some(head) = ip.get(self.header_bytes..).and_then(<[u8]>::first_chunk::<8>) else { return false };
        let length = usize::from(head[1]);
        self.header_bytes += match self.protocol {
            FRAGMENT => {
                let bits = u16::from_be_bytes([head[2], head[3]]);
                self.fragment = kind_of(bits >> 3, bits & 1 != 0);
                self.fragment_id = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
                8
            }
            AUTHENTICATION => (length + 2) * 4,
            _ => (length + 1) * 8,
        };
        self.protocol = head[0];
        true
    }
}

const fn is_extension(next: u8) -> bool {
    matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS)
}

const fn kind_of(offset: u16, more: bool) -> u8 {
    match (offset, more) {
        (0, false) => fragment::NONE,
        (0, true) => fragment::FIRST,
        _ => fragment::LATER,
    }
}

// What is an extension is no transport that is read.
const _: () = assert!(!is_extension(protocol::TCP) && !is_extension(protocol::UDP) && !is_extension(protocol::ICMPV6));

#[cfg(test)]
mod tests {
    use super::*;

    fn v6(next: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x6a, 0xc0, 0, 0];
        bytes.extend((payload.len() as u16).to_be_bytes());
        bytes.extend([next, 61]);
        bytes.extend([0xfd; 32]);
        bytes.extend(payload);
        bytes
    }

    /// Protocol, kind of fragment, its id, bytes of headers, bytes behind.
    type Told = (u8, u8, u32, usize, usize);

    fn check(ip: &[u8], expected: Option<Told>) {
        let read = Network::read(ip, ip.len());
        let told = read.map(|n| (n.protocol, n.fragment, n.fragment_id, n.header_bytes, n.payload_bytes));
        assert_eq!(told, expected, "{ip:02x?}");
    }

    #[test]
    fn extension_headers_are_passed_over_and_bounded() {
        let options = [6, 0, 0, 0, 0, 0, 0, 0];
        let fragment = |offset_and_more: u16| {
            let [a, b] = offset_and_more.to_be_bytes();
            [17, 0, a, b, 0, 0, 1, 2]
        };
        check(&v6(6, &[0; 20]), Some((6, fragment::NONE, 0, 40, 20)));
        check(&v6(HOP_BY_HOP, &options), Some((6, fragment::NONE, 0, 48, 0)));
        check(&v6(DESTINATION_OPTIONS, &[[60, 0, 0, 0, 0, 0, 0, 0], options].concat()), Some((6, 0, 0, 56, 0)));
        check(&v6(FRAGMENT, &fragment(1)), Some((17, fragment::FIRST, 0x102, 48, 0)));
        check(&v6(FRAGMENT, &fragment(9 << 3)), Some((17, fragment::LATER, 0x102, 48, 0)));
        check(&v6(AUTHENTICATION, &[[6, 4, 0, 0, 0, 0, 0, 0]; 3].concat()), Some((6, fragment::NONE, 0, 64, 0)));
        // Longer than the packet, cut off, and without end.
        check(&v6(HOP_BY_HOP, &[6, 255, 0, 0, 0, 0, 0, 0]), Some((6, fragment::NONE, 0, 2_088, 0)));
        check(&v6(HOP_BY_HOP, &[6, 0, 0, 0]), Some((HOP_BY_HOP, fragment::NONE, 0, 40, 4)));
        check(&v6(HOP_BY_HOP, &[0; 80]), Some((HOP_BY_HOP, fragment::NONE, 0, 88, 32)));
        check(&v6(6, &[])[..39], None);
        let read = Network::read(&v6(6, &[]), 40).unwrap();
        assert_eq!((read.dscp, read.ttl, read.version, read.source_ip), (0x2b, 61, 6, [0xfd; 16]));
    }

    #[test]
    fn the_header_of_ipv4_must_be_whole() {
        let ip = |first: u8, bits: u16, protocol| {
            let mut bytes = vec![first, 0xb8, 0, 60, 0, 7];
            bytes.extend(bits.to_be_bytes());
            bytes.extend([64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            bytes
        };
        check(&ip(0x45, 0x4000, 6), Some((6, fragment::NONE, 7, 20, 40)));
        check(&ip(0x45, 0x2000, 17), Some((17, fragment::FIRST, 7, 20, 40)));
        check(&ip(0x45, 0x0003, 17), Some((17, fragment::LATER, 7, 20, 40)));
        check(&[ip(0x46, 0, 6), vec![0; 4]].concat(), Some((6, fragment::NONE, 7, 24, 36)));
        check(&[ip(0x45, 0, AUTHENTICATION), vec![6, 1, 0, 0, 0, 0, 0, 0]].concat(), Some((6, 0, 7, 32, 28)));
        for bad in [ip(0x46, 0, 6), ip(0x44, 0, 6), ip(0x75, 0, 6), ip(0x45, 0, 6)[..19].to_vec(), Vec::new()] {
            check(&bad, None);
        }
        let read = Network::read(&ip(0x45, 0, 6), 20).unwrap();
        assert_eq!((read.dscp, read.ttl), (46, 64));
        assert_eq!(read.destination_ip, Ipv4Addr::new(10, 0, 0, 2).to_ipv6_mapped().octets());
    }
}
