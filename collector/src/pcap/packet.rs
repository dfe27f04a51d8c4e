//! Headers of a captured packet, as the hooks on links read them.

use std::net::IpAddr;

use ebpf_abi::{fragment, protocol};
use etherparse::{IpNumber, Ipv6ExtensionSlice, LaxIpSlice};

use super::file::Frame;

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
        let (ip, _stopped_early) = LaxIpSlice::from_slice(link.ip).map_err(|_| Unread::Damaged)?;
        let network = Network::read(&ip, ip_bytes);
        let mut packet = Self {
            source_ip: mapped(ip.source_addr()),
            destination_ip: mapped(ip.destination_addr()),
            source_port: 0,
            destination_port: 0,
            protocol: ip.payload_ip_number().0,
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
            // The slice borrows from the frame, not from `ip`.
            let payload = link.ip.get(network.header_bytes..).unwrap_or_default();
            let payload = &payload[..payload.len().min(network.payload_bytes)];
            packet.read_transport(payload, network.payload_bytes);
        }
        Ok(packet)
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

/// What the IP header tells.
struct Network {
    version: u8,
    ttl: u8,
    dscp: u8,
    fragment: u8,
    fragment_id: u32,
    /// Bytes of the IP header with its extensions.
    header_bytes: usize,
    /// Bytes there were behind it.
    payload_bytes: usize,
}

impl Network {
    /// `ip_bytes` is the size of the packet before it was captured.
    fn read(ip: &LaxIpSlice<'_>, ip_bytes: usize) -> Self {
        match ip {
            LaxIpSlice::Ipv4(ip) => {
                let header = ip.header();
                let header_bytes = header.slice().len() + ip.extensions().auth.map_or(0, |auth| auth.slice().len());
                // Segmentation by hardware leaves the length to be filled in.
                let total = match usize::from(header.total_len()) {
                    0 => ip_bytes,
                    total => total,
                };
                Self {
                    version: 4,
                    ttl: header.ttl(),
                    dscp: header.dcp().value(),
                    fragment: kind_of(header.fragments_offset().value(), header.more_fragments()),
                    fragment_id: header.identification().into(),
                    header_bytes,
                    payload_bytes: total.saturating_sub(header_bytes),
                }
            }
            LaxIpSlice::Ipv6(ip) => {
                let header = ip.header();
                let header_bytes = header.slice().len() + ip.extensions().slice().len();
                let total = match usize::from(header.payload_length()) {
                    0 => ip_bytes,
                    length => header.slice().len() + length,
                };
                let part = ip.extensions().clone().into_iter().find_map(|extension| match extension {
                    Ipv6ExtensionSlice::Fragment(part) => Some(part),
                    _ => None,
                });
                let (kind, id) = part.map_or((fragment::NONE, 0), |part| {
                    (kind_of(part.fragment_offset().value(), part.more_fragments()), part.identification())
                });
                Self {
                    version: 6,
                    ttl: header.hop_limit(),
                    dscp: header.traffic_class() >> 2,
                    fragment: kind,
                    fragment_id: id,
                    header_bytes,
                    payload_bytes: total.saturating_sub(header_bytes),
                }
            }
        }
    }
}

const fn kind_of(offset: u16, more: bool) -> u8 {
    match (offset, more) {
        (0, false) => fragment::NONE,
        (0, true) => fragment::FIRST,
        _ => fragment::LATER,
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

fn mapped(ip: IpAddr) -> [u8; 16] {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().octets(),
        IpAddr::V6(ip) => ip.octets(),
    }
}

const _: () = assert!(IpNumber::TCP.0 == protocol::TCP && IpNumber::UDP.0 == protocol::UDP);
