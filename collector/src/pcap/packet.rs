//! Headers of a captured packet, as the hooks on links read them.

use ebpf_abi::{fragment, protocol};

use super::file::Frame;
use super::network::Network;

/// Bytes of an Ethernet header, which stands on the link where a capture has its own header instead.
const ETHERNET_BYTES: usize = 14;
/// VLAN tags looked behind.
const TAGS_MAX: usize = 3;
/// Bytes of a TCP header up to its flags.
const TCP_START_BYTES: usize = 14;
const UDP_HEADER_BYTES: usize = 8;

/// What is read of a packet. Addresses and ports as in the records of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Packet<'a> {
    pub(super) source_ip: [u8; 16],
    pub(super) destination_ip: [u8; 16],
    pub(super) source_port: u16,
    pub(super) destination_port: u16,
    pub(super) protocol: u8,
    /// 4 or 6.
    pub(super) ip_version: u8,
    pub(super) vlan: u16,
    /// Device, where the capture has a number for it.
    pub(super) ifindex: u32,
    pub(super) outgoing: bool,
    /// Bytes on the link.
    pub(super) bytes: u64,
    /// One of [`fragment`].
    pub(super) fragment: u8,
    pub(super) fragment_id: u32,
    pub(super) ttl: u8,
    pub(super) dscp: u8,
    /// TCP flags, 0 for other protocols.
    pub(super) tcp_flags: u8,
    pub(super) sequence: u32,
    pub(super) acknowledgment: u32,
    /// Captured bytes behind the transport header of TCP and UDP.
    pub(super) payload: &'a [u8],
    /// Bytes there were behind it.
    pub(super) payload_bytes: u32,
}

/// Where a packet was captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Point {
    pub(super) ifindex: u32,
    pub(super) outgoing: bool,
}

/// Why a frame is no packet to look at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unread {
    /// Another network protocol, such as ARP.
    NotIp,
    /// A kind of link that is not known.
    UnknownLink,
    /// Cut off before, or wrong in, the IP header.
    Damaged,
}

/// What the link header tells.
struct Link<'a> {
    /// From the IP header on.
    ip: &'a [u8],
    /// Bytes of the link header in the file, and on the link.
    header_bytes: [usize; 2],
    vlan: u16,
    ifindex: Option<u32>,
    outgoing: bool,
}

impl<'a> Packet<'a> {
    /// Reads the headers of a frame.
    pub(super) fn read(frame: &'a Frame) -> Result<Self, Unread> {
        let link = Link::read(frame)?;
        let [in_file, on_link] = link.header_bytes;
        let wire_bytes = frame.wire_bytes as usize;
        let ip_bytes = wire_bytes.saturating_sub(in_file);
        let network = Network::read(link.ip, ip_bytes).ok_or(Unread::Damaged)?;
        let mut packet = Self {
            source_ip: network.source_ip,
            destination_ip: network.destination_ip,
            source_port: 0,
            destination_port: 0,
            protocol: network.protocol,
            ip_version: network.version,
            vlan: link.vlan,
            ifindex: link.ifindex.unwrap_or(frame.interface),
            outgoing: frame.outgoing || link.outgoing,
            bytes: (ip_bytes + on_link) as u64,
            fragment: network.fragment,
            fragment_id: network.fragment_id,
            ttl: network.ttl,
            dscp: network.dscp,
            tcp_flags: 0,
            sequence: 0,
            acknowledgment: 0,
            payload: &[],
            payload_bytes: 0,
        };
        if packet.fragment != fragment::LATER {
            let payload = link.ip.get(network.header_bytes..).unwrap_or_default();
            let payload = &payload[..payload.len().min(network.payload_bytes)];
            packet.read_transport(payload, network.payload_bytes);
        }
        Ok(packet)
    }

    pub(super) const fn point(&self) -> Point {
        Point { ifindex: self.ifindex, outgoing: self.outgoing }
    }

    fn read_transport(&mut self, bytes: &'a [u8], true_bytes: usize) {
        let known = match self.protocol {
            protocol::TCP => self.read_tcp(bytes, true_bytes),
            protocol::UDP => self.read_udp(bytes, true_bytes),
            protocol::SCTP => self.read_ports(bytes),
            protocol::ICMP | protocol::ICMPV6 => bytes.first_chunk::<2>().map(|[kind, code]| {
                (self.source_port, self.destination_port) = (u16::from(*kind), u16::from(*code));
            }),
            _ => Some(()),
        };
        if known.is_none() && self.fragment == fragment::NONE {
            self.fragment = fragment::CUT;
        }
    }

    fn read_ports(&mut self, bytes: &[u8]) -> Option<()> {
        let ports = bytes.first_chunk::<4>()?;
        self.source_port = u16::from_be_bytes([ports[0], ports[1]]);
        self.destination_port = u16::from_be_bytes([ports[2], ports[3]]);
        Some(())
    }

    fn read_tcp(&mut self, bytes: &'a [u8], true_bytes: usize) -> Option<()> {
        let start = bytes.first_chunk::<TCP_START_BYTES>()?;
        self.read_ports(bytes)?;
        let [_, sequence, acknowledgment] =
            [0, 4, 8].map(|at| u32::from_be_bytes([start[at], start[at + 1], start[at + 2], start[at + 3]]));
        (self.sequence, self.acknowledgment) = (sequence, acknowledgment);
        self.tcp_flags = start[13];
        let header = usize::from(start[12] >> 4) * 4;
        self.set_payload(bytes.get(header..).unwrap_or_default(), true_bytes.saturating_sub(header));
        Some(())
    }

    fn read_udp(&mut self, bytes: &'a [u8], true_bytes: usize) -> Option<()> {
        self.read_ports(bytes)?;
        let length = bytes.get(4..6).map_or(0, |l| usize::from(u16::from_be_bytes([l[0], l[1]])));
        // A length of 0 stands for a jumbogram, or for a checksum that hardware was to fill in.
        let length = if length < UDP_HEADER_BYTES { true_bytes } else { length };
        let payload = bytes.get(UDP_HEADER_BYTES..).unwrap_or_default();
        self.set_payload(payload, length.saturating_sub(UDP_HEADER_BYTES));
        Some(())
    }

    fn set_payload(&mut self, payload: &'a [u8], true_bytes: usize) {
        self.payload = &payload[..payload.len().min(true_bytes)];
        self.payload_bytes = u32::try_from(true_bytes).unwrap_or(u32::MAX);
    }
}

impl<'a> Link<'a> {
    /// Reads the link header of a frame; numbers of link types from <https://www.tcpdump.org/linktypes.html>.
    fn read(frame: &'a Frame) -> Result<Self, Unread> {
        match frame.link_type {
            1 => Self::ethernet(&frame.data),
            // BSD loopback: the address family, in the byte order of the machine.
            0 | 108 => Self::behind(&frame.data, 4, 0),
            // Raw IP, by several numbers.
            12 | 101 | 228 | 229 => Self::behind(&frame.data, 0, 0),
            113 => {
                let kind = word(&frame.data, 0)?;
                let link = Self::after_type(&frame.data, word(&frame.data, 14)?, 16)?;
                Ok(Self { outgoing: kind == 4, ..link })
            }
            276 => {
                let index = frame.data.get(4..8).and_then(<[u8]>::first_chunk::<4>).ok_or(Unread::Damaged)?;
                let link = Self::after_type(&frame.data, word(&frame.data, 0)?, 20)?;
                let outgoing = frame.data.get(10) == Some(&4);
                Ok(Self { ifindex: Some(u32::from_be_bytes(*index)), outgoing, ..link })
            }
            _ => Err(Unread::UnknownLink),
        }
    }

    fn ethernet(data: &'a [u8]) -> Result<Self, Unread> {
        let link = Self::after_type(data, word(data, 12)?, ETHERNET_BYTES)?;
        let [in_file, _] = link.header_bytes;
        Ok(Self { header_bytes: [in_file, in_file], ..link })
    }

    /// Looks behind VLAN tags. `at` is where the payload of the protocol `kind` begins.
    fn after_type(data: &'a [u8], mut kind: u16, mut at: usize) -> Result<Self, Unread> {
        let start = at;
        let mut vlan = 0;
        for _ in 0..TAGS_MAX {
            if !matches!(kind, 0x8100 | 0x88a8 | 0x9100) {
                break;
            }
            let id = word(data, at)? & 0xFFF;
            vlan = if vlan == 0 { id } else { vlan };
            kind = word(data, at + 2)?;
            at += 4;
        }
        if !matches!(kind, 0x0800 | 0x86dd) {
            return Err(Unread::NotIp);
        }
        // A capture with headers of its own stands for an Ethernet link, as a loopback device is one too.
        Self::behind(data, at, ETHERNET_BYTES + at - start).map(|link| Self { vlan, ..link })
    }

    fn behind(data: &'a [u8], in_file: usize, on_link: usize) -> Result<Self, Unread> {
        let ip = data.get(in_file..).ok_or(Unread::Damaged)?;
        Ok(Self { ip, header_bytes: [in_file, on_link], vlan: 0, ifindex: None, outgoing: false })
    }
}

fn word(bytes: &[u8], at: usize) -> Result<u16, Unread> {
    match bytes.get(at..at + 2) {
        Some(&[high, low]) => Ok(u16::from_be_bytes([high, low])),
        _ => Err(Unread::Damaged),
    }
}
