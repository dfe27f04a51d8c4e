//! DNS datagrams on their way through a link.

use ebpf_abi::{DNS_PAYLOAD_BYTES, DnsHead, feature, fragment, kind, protocol};

use crate::{
    context::now_boot_ns,
    maps::{self, CTRL},
    packet::Packet,
    send::{self, Event},
    skb::Skb,
};

const DNS_PORT: u16 = 53;

#[repr(C)]
struct DnsRecord {
    head: DnsHead,
    data: [u8; DNS_PAYLOAD_BYTES],
}

/// Whether a packet is a DNS datagram that is to be sent.
#[inline(always)]
pub fn is_dns(packet: &Packet) -> bool {
    packet.key.protocol == protocol::UDP
        && (packet.key.destination_port == DNS_PORT || packet.key.source_port == DNS_PORT)
        && matches!(packet.fragment, fragment::NONE | fragment::FIRST)
        && packet.datagram_len != 0
        && maps::feature(feature::DNS)
}

/// Sends the datagram.
#[inline(never)]
pub fn send(skb: Skb, packet: &Packet) {
    let start = packet.transport + packet.transport_len;
    let present = skb.len().saturating_sub(start).min(packet.datagram_len).min(DNS_PAYLOAD_BYTES as u32);
    if present == 0 {
        return;
    }
    let cookie = skb.socket_cookie();
    let event = Event { kind: kind::DNS, at_boot_ns: now_boot_ns(), cookie };
    send::record::<DnsRecord>(&CTRL, event, |record| {
        // The verifier does not follow `present` from its comparison to the call: a mask proves 1 to 512.
        let bytes = (core::hint::black_box(present - 1) & (DNS_PAYLOAD_BYTES as u32 - 1)) + 1;
        // SAFETY: the record has room for the head and for `bytes` bytes behind it; `copy` fills all of them or none.
        let copied = unsafe { skb.copy(start, (&raw mut (*record).data).cast(), bytes) };
        // SAFETY: the record has room for the tuple.
        unsafe { (&raw mut (*record).head.tuple).write(packet.tuple()) };
        // SAFETY: as above; these are the rest of the head.
        unsafe {
            (*record).head.netns = if cookie == 0 { 0 } else { skb.netns_cookie() };
            (*record).head.ifindex = packet.key.ifindex;
            (*record).head.direction = packet.key.direction;
            (*record).head.reserved = 0;
            (*record).head.len = packet.datagram_len as u16;
            (*record).head.header.len = (size_of::<DnsHead>() as u32 + if copied { present } else { 0 }) as u16;
        }
    });
}
