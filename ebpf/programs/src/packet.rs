//! Reading the headers of a packet, wherever its bytes are.

use ebpf_abi::{FlowKey, Tuple, fragment, protocol, tcp};

use crate::memory::Plain;

/// Ethernet types.
pub mod ethertype {
    /// IPv4.
    pub const IPV4: u16 = 0x0800;
    /// IPv6.
    pub const IPV6: u16 = 0x86dd;
    /// VLAN tag.
    pub const VLAN: u16 = 0x8100;
    /// Outer VLAN tag.
    pub const VLAN_OUTER: u16 = 0x88a8;
}

/// Most extension headers of an IPv6 packet that are passed over; a packet with more has no transport header for us.
const EXTENSION_HEADERS_MAX: u32 = 6;

/// Bytes of a packet by offset.
pub trait Bytes {
    /// Whether [`Bytes::read`] finds everything the packet has. Where it does not, a failed read says nothing.
    const COMPLETE: bool;

    /// Reads a header; `None` where the bytes are not there.
    fn read<T: Plain>(&self, offset: u32) -> Option<T>;
}

/// What the headers say.
#[derive(Clone, Copy)]
pub struct Packet {
    /// Addresses, ports and protocol; the place where the packet was seen is for the caller to fill in. A key of the
    /// flow map from the start, because copying it would cost more than all the rest of reading a packet.
    pub key: FlowKey,
    /// TCP sequence number.
    pub sequence: u32,
    /// What the fragments of one packet share.
    pub fragment_id: u32,
    /// Offset of the transport header.
    pub transport: u32,
    /// Bytes of the transport header, 0 where there is none.
    pub transport_len: u32,
    /// Bytes a UDP header says it carries.
    pub datagram_len: u32,
    /// 4 or 6.
    pub ip_version: u8,
    /// Flags of a TCP header.
    pub tcp_flags: u8,
    /// Time to live or hop limit.
    pub ttl: u8,
    /// Differentiated services code point.
    pub dscp: u8,
    /// One of [`fragment`].
    pub fragment: u8,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Ipv4 {
    version_and_len: u8,
    service: u8,
    total_len_be: u16,
    id_be: u16,
    fragment_be: u16,
    ttl: u8,
    protocol: u8,
    checksum: u16,
    source: u32,
    destination: u32,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Ipv6 {
    version_class_label_be: u32,
    payload_len_be: u16,
    next: u8,
    hop_limit: u8,
    source: [u64; 2],
    destination: [u64; 2],
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Tcp {
    source_be: u16,
    destination_be: u16,
    sequence_be: u32,
    acknowledged_be: u32,
    data_offset: u8,
    flags: u8,
    window_be: u16,
}

#[repr(C)]
#[derive(Clone, Copy)]
struct Udp {
    source_be: u16,
    destination_be: u16,
    len_be: u16,
    checksum: u16,
}

macro_rules! plain_headers {
    ($($type:ident { $($field:ident: $zero:expr),* })*) => { $(
        // SAFETY: made of numbers only, without padding.
        unsafe impl Plain for $type { const ZERO: Self = Self { $($field: $zero),* }; }
    )* };
}
plain_headers! {
    Ipv4 { version_and_len: 0, service: 0, total_len_be: 0, id_be: 0, fragment_be: 0, ttl: 0, protocol: 0, checksum: 0, source: 0, destination: 0 }
    Ipv6 { version_class_label_be: 0, payload_len_be: 0, next: 0, hop_limit: 0, source: [0; 2], destination: [0; 2] }
    Tcp { source_be: 0, destination_be: 0, sequence_be: 0, acknowledged_be: 0, data_offset: 0, flags: 0, window_be: 0 }
    Udp { source_be: 0, destination_be: 0, len_be: 0, checksum: 0 }
}
const _: () = assert!(size_of::<Ipv4>() == 20 && size_of::<Ipv6>() == 40 && size_of::<Tcp>() == 16);

/// Reads an IPv4 or IPv6 packet whose IP header is at `at`; `None` where the IP header is cut off, or where the bytes
/// are not [`Bytes::COMPLETE`] and something is missing.
#[inline(always)]
pub fn parse<B: Bytes>(bytes: &B, at: u32, ethertype: u16) -> Option<Packet> {
    let mut packet = match ethertype {
        ethertype::IPV4 => ipv4(bytes, at)?,
        ethertype::IPV6 => ipv6(bytes, at)?,
        _ => return None,
    };
    if packet.fragment != fragment::LATER && transport(bytes, &mut packet).is_none() {
        if !B::COMPLETE {
            return None;
        }
        packet.fragment = fragment::CUT;
    }
    Some(packet)
}

#[inline(always)]
fn ipv4<B: Bytes>(bytes: &B, at: u32) -> Option<Packet> {
    let header: Ipv4 = bytes.read(at)?;
    let header_len = u32::from(header.version_and_len & 0x0f) * 4;
    if header_len < 20 {
        return None;
    }
    let fragment_bits = u16::from_be(header.fragment_be);
    Some(Packet {
        key: FlowKey {
            source_ip: mapped(header.source),
            destination_ip: mapped(header.destination),
            protocol: header.protocol,
            ..FlowKey::ZERO
        },
        ip_version: 4,
        ttl: header.ttl,
        dscp: header.service >> 2,
        fragment: fragment_mark(fragment_bits & 0x1fff != 0, fragment_bits & 0x2000 != 0),
        fragment_id: header.id_be.into(),
        transport: at + header_len,
        ..Packet::NOTHING
    })
}

#[inline(always)]
fn ipv6<B: Bytes>(bytes: &B, at: u32) -> Option<Packet> {
    let header: Ipv6 = bytes.read(at)?;
    let mut packet = Packet {
        key: FlowKey {
            source_ip: both(header.source),
            destination_ip: both(header.destination),
            protocol: header.next,
            ..FlowKey::ZERO
        },
        ip_version: 6,
        ttl: header.hop_limit,
        dscp: (u32::from_be(header.version_class_label_be) >> 22) as u8 & 0x3f,
        transport: at + 40,
        ..Packet::NOTHING
    };
    if is_extension(packet.key.protocol) {
        // Walking costs the verifier a branch per header and byte position: only where nothing is hidden anyway.
        if !B::COMPLETE {
            return None;
        }
        pass_extensions(bytes, &mut packet);
    }
    Some(packet)
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const AUTHENTICATION: u8 = 51;
const DESTINATION_OPTIONS: u8 = 60;

#[inline(always)]
fn is_extension(next: u8) -> bool {
    matches!(next, HOP_BY_HOP | ROUTING | FRAGMENT | AUTHENTICATION | DESTINATION_OPTIONS)
}

/// Steps over extension headers; what ends early keeps the protocol number it came to.
#[inline(always)]
fn pass_extensions<B: Bytes>(bytes: &B, packet: &mut Packet) {
    for _ in 0..EXTENSION_HEADERS_MAX {
        if !is_extension(packet.key.protocol) {
            return;
        }
        let Some(head) = bytes.read::<[u8; 8]>(packet.transport) else { return };
        let len = match packet.key.protocol {
            FRAGMENT => {
                let offset_and_more = u16::from_be_bytes([head[2], head[3]]);
                packet.fragment = fragment_mark(offset_and_more & 0xfff8 != 0, offset_and_more & 1 != 0);
                packet.fragment_id = u32::from_be_bytes([head[4], head[5], head[6], head[7]]);
                8
            }
            AUTHENTICATION => (u32::from(head[1]) + 2) * 4,
            _ => (u32::from(head[1]) + 1) * 8,
        };
        packet.key.protocol = head[0];
        packet.transport += len;
        if packet.fragment == fragment::LATER {
            return;
        }
    }
}

#[inline(always)]
fn transport<B: Bytes>(bytes: &B, packet: &mut Packet) -> Option<()> {
    match packet.key.protocol {
        protocol::TCP => {
            let header: Tcp = bytes.read(packet.transport)?;
            packet.key.source_port = u16::from_be(header.source_be);
            packet.key.destination_port = u16::from_be(header.destination_be);
            packet.sequence = u32::from_be(header.sequence_be);
            packet.tcp_flags = header.flags;
            packet.transport_len = u32::from(header.data_offset >> 4) * 4;
        }
        protocol::UDP => {
            let header: Udp = bytes.read(packet.transport)?;
            packet.key.source_port = u16::from_be(header.source_be);
            packet.key.destination_port = u16::from_be(header.destination_be);
            packet.transport_len = 8;
            packet.datagram_len = u32::from(u16::from_be(header.len_be)).saturating_sub(8);
        }
        protocol::ICMP | protocol::ICMPV6 => {
            let [kind, code]: [u8; 2] = bytes.read(packet.transport)?;
            packet.key.source_port = kind.into();
            packet.key.destination_port = code.into();
        }
        protocol::SCTP => {
            let [source_be, destination_be]: [u16; 2] = bytes.read(packet.transport)?;
            packet.key.source_port = u16::from_be(source_be);
            packet.key.destination_port = u16::from_be(destination_be);
        }
        _ => {}
    }
    Some(())
}

impl Packet {
    const NOTHING: Self = Self {
        key: FlowKey::ZERO,
        sequence: 0,
        fragment_id: 0,
        transport: 0,
        transport_len: 0,
        datagram_len: 0,
        ip_version: 0,
        tcp_flags: 0,
        ttl: 0,
        dscp: 0,
        fragment: fragment::NONE,
    };

    /// Both ends.
    #[inline(always)]
    pub fn tuple(&self) -> Tuple {
        Tuple {
            source_ip: self.key.source_ip,
            destination_ip: self.key.destination_ip,
            source_port: self.key.source_port,
            destination_port: self.key.destination_port,
            protocol: self.key.protocol,
            ip_version: self.ip_version,
            tcp_flags: self.tcp_flags,
            ttl: self.ttl,
        }
    }

    /// Whether it only resets a connection: the kernel sends such a packet without the connection's socket.
    #[inline(always)]
    pub fn is_reset(&self) -> bool {
        self.tcp_flags & tcp::RST != 0
    }
}

#[inline(always)]
fn fragment_mark(has_offset: bool, has_more: bool) -> u8 {
    if has_offset {
        fragment::LATER
    } else if has_more {
        fragment::FIRST
    } else {
        fragment::NONE
    }
}

/// `::ffff:a.b.c.d` of an IPv4 address in network byte order.
#[inline(always)]
pub fn mapped(address: u32) -> [u8; 16] {
    both([0, u64::from(address) << 32 | 0xffff_0000])
}

/// The 16 bytes of two words as they stand in memory.
#[inline(always)]
pub fn both(words: [u64; 2]) -> [u8; 16] {
    (u128::from(words[1]) << 64 | u128::from(words[0])).to_le_bytes()
}
