//! A packet as a link program gets it.

use core::arch::asm;

use aya_ebpf::{
    bindings::__sk_buff,
    helpers::generated::{bpf_get_netns_cookie, bpf_get_socket_cookie, bpf_skb_cgroup_id, bpf_skb_load_bytes},
};
use ebpf_abi::feature;

use crate::{maps, memory::Plain, packet::Bytes};

/// The packet a link program was called for.
#[derive(Clone, Copy)]
pub struct Skb(*mut __sk_buff);

impl Skb {
    /// Wraps the context of a link program.
    ///
    /// # Safety
    /// `context` is what the kernel passed to the running program.
    #[inline(always)]
    pub unsafe fn new(context: *mut __sk_buff) -> Self {
        Self(context)
    }

    /// Bytes of the packet, link header included; of a super-packet all of it.
    #[inline(always)]
    pub fn len(self) -> u32 {
        // SAFETY: the context is valid while the program runs, and the verifier checks the field.
        unsafe { (*self.0).len }
    }

    /// Link it is on.
    #[inline(always)]
    pub fn ifindex(self) -> u32 {
        // SAFETY: as in `len`.
        unsafe { (*self.0).ifindex }
    }

    /// Ethernet type, in host byte order.
    #[inline(always)]
    pub fn ethertype(self) -> u16 {
        // SAFETY: as in `len`.
        u16::from_be(unsafe { (*self.0).protocol } as u16)
    }

    /// VLAN id that the kernel took out of the packet, 0 for none.
    #[inline(always)]
    pub fn vlan(self) -> u16 {
        // SAFETY: as in `len`.
        unsafe { if (*self.0).vlan_present == 0 { 0 } else { (*self.0).vlan_tci as u16 & 0xfff } }
    }

    /// Packets on the wire; `headers` are the bytes each of them repeats.
    #[inline(always)]
    pub fn segments(self, headers: u32) -> u64 {
        // SAFETY: as in `len`.
        let (segments, size) = unsafe { ((*self.0).gso_segs, (*self.0).gso_size) };
        if segments != 0 {
            return segments.into();
        }
        // A virtual machine or a tunnel may hand over a super-packet without counting its segments.
        let payload = self.len().saturating_sub(headers);
        if size == 0 || payload <= size { 1 } else { u64::from(payload.div_ceil(size)) }
    }

    /// Cookie of the socket that sent the packet, where the packet still knows it.
    #[inline(always)]
    pub fn socket_cookie(self) -> u64 {
        // SAFETY: the helper takes the context of the program.
        unsafe { bpf_get_socket_cookie(self.0.cast()) }
    }

    /// Cookie of that socket's network namespace. Without a socket it is the host's and means nothing.
    #[inline(always)]
    pub fn netns_cookie(self) -> u64 {
        if !maps::feature(feature::NETNS_COOKIE) {
            return 0;
        }
        // SAFETY: the helper takes the context of the program.
        unsafe { bpf_get_netns_cookie(self.0.cast()) }
    }

    /// Id of that socket's cgroup.
    #[inline(always)]
    pub fn cgroup(self) -> u64 {
        // SAFETY: the helper takes the context of the program.
        unsafe { bpf_skb_cgroup_id(self.0) }
    }

    /// Copies bytes of the packet, also from its page fragments; `len` is at least 1. False where it has fewer.
    ///
    /// # Safety
    /// `into` has room for `len` bytes.
    #[inline(always)]
    pub unsafe fn copy(self, offset: u32, into: *mut u8, len: u32) -> bool {
        // SAFETY: the helper checks offset and length against the packet, the caller vouches for the destination.
        unsafe { bpf_skb_load_bytes(self.0.cast_const().cast(), offset, into.cast(), len) == 0 }
    }

    /// The packet's linear part, read in place.
    #[inline(always)]
    pub fn linear(self) -> Linear {
        // SAFETY: as in `len`.
        unsafe { Linear { data: (*self.0).data as usize, end: (*self.0).data_end as usize } }
    }
}

/// Reading in place: fast, and blind to what is not in the linear part.
#[derive(Clone, Copy)]
pub struct Linear {
    data: usize,
    end: usize,
}

impl Bytes for Linear {
    const COMPLETE: bool = false;

    #[inline(always)]
    fn read<T: Plain>(&self, offset: u32) -> Option<T> {
        let start = self.data + offset as usize;
        if start + size_of::<T>() > self.end {
            return None;
        }
        // SAFETY: the bytes are within the packet, as was just checked (and the verifier checks that we checked).
        Some(unsafe { load(start) })
    }
}

/// Reads a header of at most 40 bytes word by word.
///
/// A header in a packet is aligned to two bytes at best. For the compiler that means byte by byte, while every machine
/// BPF runs fast on reads words from anywhere: so the words are read by instructions the compiler does not choose.
///
/// # Safety
/// `start` is the address of `size_of::<T>()` readable bytes of a packet.
#[inline(always)]
unsafe fn load<T: Plain>(start: usize) -> T {
    const { assert!(size_of::<T>() <= 40 && size_of::<T>() % 2 == 0) }
    let mut words = [0u32; 10];
    macro_rules! word {
        ($($number:literal)*) => { $(
            if size_of::<T>() >= $number * 4 + 4 {
                // SAFETY: the caller vouches for the bytes, and this word is among them.
                unsafe {
                    asm!("{word} = *(u32 *)({at} + {offset})", word = out(reg) words[$number], at = in(reg) start,
                        offset = const $number * 4, options(pure, readonly, nostack));
                }
            }
        )* };
    }
    word!(0 1 2 3 4 5 6 7 8 9);
    if size_of::<T>() == 2 {
        // SAFETY: as above.
        unsafe {
            asm!("{half} = *(u16 *)({at} + 0)", half = out(reg) words[0], at = in(reg) start, options(pure, readonly, nostack));
        }
    }
    // SAFETY: T is no larger than the words, of which any bytes are a valid T.
    unsafe { core::mem::transmute_copy(&words) }
}

impl Bytes for Skb {
    const COMPLETE: bool = true;

    #[inline(always)]
    fn read<T: Plain>(&self, offset: u32) -> Option<T> {
        let mut value = T::ZERO;
        // SAFETY: `value` has room for its own size, and any bytes make a valid T.
        unsafe { self.copy(offset, (&raw mut value).cast(), size_of::<T>() as u32) }.then_some(value)
    }
}
