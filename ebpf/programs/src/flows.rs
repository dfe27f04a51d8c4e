//! The flow map: exact totals for every packet, a record only for what is news.

use ebpf_abi::{FlowKey, FlowRecord, FlowVal, cause, counter, fragment, kind, tcp};

use crate::{
    atomic,
    context::{now_boot_ns, tick_boot_ns},
    maps::{CTRL, FLOWS, FRAGMENTS, count},
    packet::Packet,
    send::{self, Event},
    skb::Skb,
};

/// Where on the node a packet was seen.
#[derive(Clone, Copy)]
pub struct Link {
    /// Number of the link.
    pub ifindex: u32,
    /// VLAN id, 0 for none.
    pub vlan: u16,
    /// One of [`ebpf_abi::direction`].
    pub direction: u8,
}

/// What the fragments of one packet have in common at one point of observation.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct FragmentKey {
    source_ip: [u8; 16],
    destination_ip: [u8; 16],
    id: u32,
    ifindex: u32,
    protocol: u8,
    direction: u8,
    vlan: u16,
    reserved: u32,
}

/// Flags whose first appearance is news.
const TELLING: u8 = tcp::SYN | tcp::FIN | tcp::RST;
const CLOSING: u16 = (tcp::FIN | tcp::RST) as u16;

/// Counts a packet, and sends a record if it is the first of its flow or shows a new TCP flag.
#[inline(always)]
pub fn account(skb: Skb, packet: &mut Packet, link: Link) {
    if packet.fragment != fragment::NONE {
        ports_of_fragment(packet, link);
    }
    let key = FlowKey {
        source_ip: packet.source_ip,
        destination_ip: packet.destination_ip,
        source_port: packet.source_port,
        destination_port: packet.destination_port,
        protocol: packet.protocol,
        direction: link.direction,
        vlan: link.vlan,
        ifindex: link.ifindex,
        cause: 0,
        packet_flags: 0,
        fragment: 0,
        reserved: 0,
    };
    let packets = skb.segments(packet.transport + packet.transport_len);
    match FLOWS.get_ptr_mut(&key) {
        Some(val) => known(skb, packet, &key, val, packets),
        None => first(skb, packet, &key, packets),
    }
}

/// A packet of a flow that is in the map.
#[inline(always)]
fn known(skb: Skb, packet: &Packet, key: &FlowKey, val: *mut FlowVal, packets: u64) {
    // SAFETY: `val` is a value of the map, valid while the program runs. Counters are only ever added to atomically;
    // the time of the last packet may be off by the order of two CPUs, which is less than its resolution.
    unsafe {
        atomic::add(&raw mut (*val).bytes, skb.len().into());
        atomic::add(&raw mut (*val).packets, packets);
        (*val).last_boot_ns = tick_boot_ns();
        if packet.tcp_flags & !((*val).flags as u8) == 0 && !reopens(packet, (*val).flags) {
            return;
        }
    }
    let cause = take_flags(packet, val);
    if cause != cause::NONE {
        own(skb, packet, val);
        news(packet, key, val, cause);
    }
}

/// Enters the packet's flags; tells whether they are news. Of several CPUs at once, one gets to tell.
#[inline(always)]
fn take_flags(packet: &Packet, val: *mut FlowVal) -> u8 {
    // SAFETY: `val` is a value of the map; `isn`, `flags`, `dscp` and `ttl` are its last, 8-aligned word.
    unsafe {
        let word = (&raw mut (*val).isn).cast::<u64>();
        let old = word.read_volatile();
        let old_flags = (old >> 32) as u16;
        let (new, cause) = if reopens(packet, old_flags) {
            let kept = old & 0xffff_0000_0000_0000;
            (kept | u64::from(packet.tcp_flags) << 32 | u64::from(packet.sequence), cause::NEW)
        } else {
            (old | u64::from(packet.tcp_flags) << 32, cause_of(packet.tcp_flags, old_flags))
        };
        if atomic::replace(word, old, new) { cause } else { cause::NONE }
    }
}

/// Whether a closed conversation begins anew with the same ports.
#[inline(always)]
fn reopens(packet: &Packet, flags: u16) -> bool {
    packet.tcp_flags & tcp::SYN != 0 && flags & CLOSING != 0
}

#[inline(always)]
fn cause_of(flags: u8, before: u16) -> u8 {
    let new = flags & !(before as u8);
    if new & (tcp::FIN | tcp::RST) != 0 {
        cause::CLOSE
    } else if new & TELLING != 0 || (new & tcp::ACK != 0 && flags & tcp::SYN != 0) {
        cause::FLAGS
    } else {
        cause::NONE
    }
}

/// The first packet of a flow, here at least.
#[inline(always)]
fn first(skb: Skb, packet: &Packet, key: &FlowKey, packets: u64) {
    const ONLY_IF_ABSENT: u64 = 1;
    let now = now_boot_ns();
    let mut val = FlowVal {
        first_boot_ns: now,
        last_boot_ns: now,
        bytes: skb.len().into(),
        packets,
        cookie: 0,
        cgroup: 0,
        netns: 0,
        isn: packet.sequence,
        flags: packet.tcp_flags.into(),
        dscp: packet.dscp,
        ttl: packet.ttl,
    };
    own(skb, packet, &raw mut val);
    if FLOWS.insert(key, &val, ONLY_IF_ABSENT).is_ok() {
        count(counter::FLOWS_NEW);
    } else if let Some(other) = FLOWS.get_ptr_mut(key) {
        // Another CPU was faster and has told; this packet only counts.
        return known(skb, packet, key, other, packets);
    } else {
        count(counter::FLOW_INSERT_FAILED);
    }
    news(packet, key, &raw const val, cause::NEW);
}

/// Remembers the sending socket, where it is known and is the flow's own.
#[inline(always)]
fn own(skb: Skb, packet: &Packet, val: *mut FlowVal) {
    // A reset is often sent by the kernel through a socket of its own, in a namespace that is not the sender's.
    if packet.is_reset() {
        return;
    }
    // SAFETY: `val` is a value of the map or on the stack.
    unsafe {
        if (*val).cookie != 0 {
            return;
        }
        let cookie = skb.socket_cookie();
        if cookie != 0 {
            (*val).cgroup = skb.cgroup();
            (*val).netns = skb.netns_cookie();
            (*val).cookie = cookie;
        }
    }
}

#[inline(always)]
fn news(packet: &Packet, key: &FlowKey, val: *const FlowVal, cause: u8) {
    // SAFETY: `val` is a value of the map or on the stack; a counter may move on between two reads.
    let cookie = unsafe { (*val).cookie };
    send::record::<FlowRecord>(&CTRL, Event { kind: kind::FLOW, at_boot_ns: now_boot_ns(), cookie }, |record| {
        // SAFETY: the record has room for key and value; `val` as above.
        unsafe {
            (&raw mut (*record).key).write(FlowKey {
                cause,
                packet_flags: packet.tcp_flags,
                fragment: packet.fragment,
                ..*key
            });
            (&raw mut (*record).val).write(*val);
        }
    });
}

/// Only the first fragment has ports: remembers them, or takes them from there.
#[inline(always)]
fn ports_of_fragment(packet: &mut Packet, link: Link) {
    let key = FragmentKey {
        source_ip: packet.source_ip,
        destination_ip: packet.destination_ip,
        id: packet.fragment_id,
        ifindex: link.ifindex,
        protocol: packet.protocol,
        direction: link.direction,
        vlan: link.vlan,
        reserved: 0,
    };
    if packet.fragment == fragment::FIRST {
        let ports = u32::from(packet.source_port) << 16 | u32::from(packet.destination_port);
        // A full map makes room by itself; a failure is counted when the next fragment finds nothing.
        let _may_fail = FRAGMENTS.insert(&key, &ports, 0);
    } else if packet.fragment == fragment::LATER {
        match FRAGMENTS.get_ptr(&key) {
            // SAFETY: a value of the map, 4 bytes.
            Some(ports) => unsafe {
                packet.source_port = (*ports >> 16) as u16;
                packet.destination_port = *ports as u16;
            },
            None => count(counter::FRAGMENTS_UNKNOWN),
        }
    }
}
