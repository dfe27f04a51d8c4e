//! The drop map: exact totals per tuple and reason, a record for the first.

use ebpf_abi::{DropKey, DropRecord, DropVal, Tuple, counter, fragment, kind};

use crate::{
    atomic,
    context::now_boot_ns,
    maps::{CTRL, DROPS, count, offset},
    memory::{Plain, kernel, kernel_or_zero},
    packet::{self, Bytes, ethertype},
    send::{self, Event},
    socket::Socket,
};

/// What befell a packet or a socket.
#[derive(Clone, Copy)]
pub struct Trouble {
    /// One of [`ebpf_abi::drop_source`].
    pub source: u8,
    /// Meaning depends on the source.
    pub aux: u8,
    /// Why, in the numbers of the source.
    pub reason: u32,
    /// Address of the instruction that freed the packet, 0 for other sources.
    pub location: u64,
}

/// Who it befell.
#[derive(Clone, Copy)]
pub struct Victim {
    tuple: Tuple,
    netns: u64,
    cookie: u64,
    ifindex: u32,
    bytes: u32,
    ethertype: u16,
    /// One of [`ebpf_abi::fragment`].
    pub fragment: u8,
}

impl Victim {
    /// A `struct sk_buff` by address; `None` where it is no IP packet or its headers are gone.
    #[inline(always)]
    pub fn packet(skb: u64) -> Option<Self> {
        let head: u64 = kernel(skb, offset!(skb_head))?;
        let at: u16 = kernel(skb, offset!(skb_network_header))?;
        let first: u8 = kernel(head, at.into())?;
        // Not the packet's own ethertype: on its way out it may not have one yet.
        let kind = match first >> 4 {
            4 => ethertype::IPV4,
            6 => ethertype::IPV6,
            _ => return None,
        };
        let packet = packet::parse(&Memory { base: head }, at.into(), kind)?;
        let socket: u64 = kernel_or_zero(skb, offset!(skb_sk));
        let place = Place::of(skb, socket);
        Some(Self {
            tuple: packet.tuple(),
            netns: place.netns,
            cookie: if socket == 0 { 0 } else { Socket(socket).cookie_if_any() },
            ifindex: place.ifindex,
            bytes: kernel_or_zero(skb, offset!(skb_len)),
            ethertype: kind,
            fragment: packet.fragment,
        })
    }

    /// A socket; `None` where it is not one of IP.
    #[inline(always)]
    pub fn socket(socket: Socket) -> Option<Self> {
        if !socket.is_ip() {
            return None;
        }
        let tuple = socket.tuple();
        Some(Self {
            netns: socket.netns(),
            cookie: socket.cookie_if_any(),
            ifindex: 0,
            bytes: 0,
            ethertype: if tuple.ip_version == 4 { ethertype::IPV4 } else { ethertype::IPV6 },
            fragment: fragment::NONE,
            tuple,
        })
    }
}

/// Where on the node a packet was.
struct Place {
    netns: u64,
    ifindex: u32,
}

impl Place {
    /// The device's word is taken first: a packet that crossed into another namespace may still carry the socket of
    /// the one it came from. While a packet waits in a socket's queue its device pointer is used for other things, so
    /// what does not look like a device is not one.
    #[inline(always)]
    fn of(skb: u64, socket: u64) -> Self {
        const IFINDEX_MAX: u32 = 1 << 24;
        const COOKIE_MAX: u64 = 1 << 48;
        if let Some(device) = kernel::<u64>(skb, offset!(skb_dev)).filter(|device| *device != 0) {
            let ifindex: u32 = kernel_or_zero(device, offset!(dev_ifindex));
            let net: u64 = kernel_or_zero(device, offset!(dev_net));
            let netns: u64 = if net == 0 { 0 } else { kernel_or_zero(net, offset!(net_cookie)) };
            if ifindex != 0 && ifindex < IFINDEX_MAX && netns != 0 && netns < COOKIE_MAX {
                return Self { netns, ifindex };
            }
        }
        Self { netns: if socket == 0 { 0 } else { Socket(socket).netns() }, ifindex: 0 }
    }
}

/// Kernel memory, read with checks.
struct Memory {
    base: u64,
}

impl Bytes for Memory {
    const COMPLETE: bool = true;

    #[inline(always)]
    fn read<T: Plain>(&self, offset: u32) -> Option<T> {
        kernel(self.base, offset)
    }
}

/// Counts a trouble, and sends a record if it is the first of its kind on its tuple.
#[inline(always)]
pub fn account(victim: &Victim, trouble: Trouble) {
    const ONLY_IF_ABSENT: u64 = 1;
    let now = now_boot_ns();
    let key = DropKey {
        source_ip: victim.tuple.source_ip,
        destination_ip: victim.tuple.destination_ip,
        source_port: victim.tuple.source_port,
        destination_port: victim.tuple.destination_port,
        protocol: victim.tuple.protocol,
        ip_version: victim.tuple.ip_version,
        source: trouble.source,
        aux: trouble.aux,
        netns: victim.netns,
        reason: trouble.reason,
        ifindex: victim.ifindex,
    };
    if let Some(val) = DROPS.get_ptr_mut(&key) {
        return again(val, victim, now);
    }
    let val = DropVal {
        packets: 1,
        bytes: victim.bytes.into(),
        first_boot_ns: now,
        last_boot_ns: now,
        location: trouble.location,
        cookie: victim.cookie,
        cgroup: 0,
        first_bytes: victim.bytes,
        ethertype: victim.ethertype,
        tcp_flags: victim.tuple.tcp_flags,
        ttl: victim.tuple.ttl,
    };
    if DROPS.insert(&key, &val, ONLY_IF_ABSENT).is_ok() {
        count(counter::DROPS_NEW);
    } else if let Some(other) = DROPS.get_ptr_mut(&key) {
        return again(other, victim, now);
    } else {
        count(counter::DROP_INSERT_FAILED);
    }
    tell(victim, trouble, now);
}

#[inline(always)]
fn again(val: *mut DropVal, victim: &Victim, now: u64) {
    // SAFETY: `val` is a value of the map; counters are added to atomically, the time may be off by a race.
    unsafe {
        atomic::add(&raw mut (*val).packets, 1);
        atomic::add(&raw mut (*val).bytes, victim.bytes.into());
        (*val).last_boot_ns = now;
    }
}

#[inline(always)]
fn tell(victim: &Victim, trouble: Trouble, now: u64) {
    let event = Event { kind: kind::DROP, at_boot_ns: now, cookie: victim.cookie };
    send::record::<DropRecord>(&CTRL, event, |record| {
        // SAFETY: the record has room for all of these, and together they are all of it behind the header.
        unsafe {
            (&raw mut (*record).tuple).write(victim.tuple);
            (*record).reason = trouble.reason;
            (*record).ifindex = victim.ifindex;
            (*record).netns = victim.netns;
            (*record).location = trouble.location;
            (*record).bytes = victim.bytes;
            (*record).ethertype = victim.ethertype;
            (*record).source = trouble.source;
            (*record).aux = trouble.aux;
        }
    });
}
