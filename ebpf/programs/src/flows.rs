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
pub fn account(skb: Skb, packet: &mut Packet) {
    if packet.fragment != fragment::NONE {
        ports_of_fragment(packet);
    }
    let packets = skb.segments(packet.transport + packet.transport_len);
    match FLOWS.get_ptr_mut(&packet.key) {
        Some(val) => {
            if known(skb, packet, val, packets) {
                take_flags(skb, packet, val);
            }
        }
        None => first(skb, packet, packets),
    }
}

/// Counts a packet of a flow that is in the map; true when its flags need a closer look.
#[inline(always)]
fn known(skb: Skb, packet: &Packet, val: *mut FlowVal, packets: u64) -> bool {
    // SAFETY: `val` is a value of the map, valid while the program runs. Counters are only ever added to atomically;
    // the time of the last packet may be off by the order of two CPUs, which is less than its resolution.
    unsafe {
        atomic::add(&raw mut (*val).bytes, skb.len().into());
        atomic::add(&raw mut (*val).packets, packets);
        (*val).last_boot_ns = tick_boot_ns();
        packet.tcp_flags & !((*val).flags as u8) != 0 || reopens(packet, (*val).flags)
    }
}

/// Enters the packet's flags and tells of them if they are news. Of several CPUs at once, one gets to tell.
#[inline(never)]
fn take_flags(skb: Skb, packet: &Packet, val: *mut FlowVal) {
    let cause = flags_into(packet, val);
    if cause != cause::NONE {
        own(skb, packet, val);
        news(packet, val, cause);
    }
}

/// Enters the packet's flags; answers why they are news, if they are.
#[inline(always)]
fn flags_into(packet: &Packet, val: *mut FlowVal) -> u8 {
    // SAFETY: `val` is a value of the map; `isn`, `flags`, `dscp` and `ttl` make up an 8-aligned word of it.
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
#[inline(never)]
fn first(skb: Skb, packet: &Packet, packets: u64) {
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
    if FLOWS.insert(&packet.key, &val, ONLY_IF_ABSENT).is_ok() {
        count(counter::FLOWS_NEW);
    } else if let Some(other) = FLOWS.get_ptr_mut(&packet.key) {
        // Another CPU was faster and has told; this packet only counts.
        known(skb, packet, other, packets);
        return;
    } else {
        count(counter::FLOW_INSERT_FAILED);
    }
    news(packet, &raw const val, cause::NEW);
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
fn news(packet: &Packet, val: *const FlowVal, cause: u8) {
    // SAFETY: `val` is a value of the map or on the stack; a counter may move on between two reads.
    let cookie = unsafe { (*val).cookie };
    send::record::<FlowRecord>(&CTRL, Event { kind: kind::FLOW, at_boot_ns: now_boot_ns(), cookie }, |record| {
        // SAFETY: the record has room for key and value; `val` as above.
        unsafe {
            (&raw mut (*record).key).write(FlowKey {
                cause,
                packet_flags: packet.tcp_flags,
                fragment: packet.fragment,
                ..packet.key
            });
            (&raw mut (*record).val).write(*val);
        }
    });
}

/// Only the first fragment has ports: remembers them, or takes them from there.
#[inline(never)]
fn ports_of_fragment(packet: &mut Packet) {
    let key = FragmentKey {
        source_ip: packet.key.source_ip,
        destination_ip: packet.key.destination_ip,
        id: packet.fragment_id,
        ifindex: packet.key.ifindex,
        protocol: packet.key.protocol,
        direction: packet.key.direction,
        vlan: packet.key.vlan,
        reserved: 0,
    };
    if packet.fragment == fragment::FIRST {
        let ports = u32::from(packet.key.source_port) << 16 | u32::from(packet.key.destination_port);
        // A full map makes room by itself; a failure is counted when the next fragment finds nothing.
        let _may_fail = FRAGMENTS.insert(&key, &ports, 0);
    } else if packet.fragment == fragment::LATER {
        match FRAGMENTS.get_ptr(&key) {
            // SAFETY: a value of the map, 4 bytes.
            Some(ports) => unsafe {
                packet.key.source_port = (*ports >> 16) as u16;
                packet.key.destination_port = *ports as u16;
            },
            None => count(counter::FRAGMENTS_UNKNOWN),
        }
    }
}
