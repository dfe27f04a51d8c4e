//! Putting records into a ring, with the account of what did not fit.

use aya_ebpf::{helpers::generated::bpf_get_smp_processor_id, maps::RingBuf};
use ebpf_abi::{ABI_VERSION, Header, Stat};

use crate::{atomic, maps::STATS};

/// Do not wake the reader: it comes by a timer. A wakeup costs ten times what the record does.
const NO_WAKEUP: u64 = 1;

/// What an event knows before its record exists.
#[derive(Clone, Copy)]
pub struct Event {
    /// One of [`ebpf_abi::kind`].
    pub kind: u8,
    /// Time of the event.
    pub at_boot_ns: u64,
    /// Cookie of the socket, 0 for none.
    pub cookie: u64,
}

/// Makes a record of `T` in place and hands it over; false when the ring is full, which is counted.
///
/// `fill` gets the uninitialised record and must write everything behind the header.
#[inline(always)]
pub fn record<T: 'static>(ring: &RingBuf, event: Event, fill: impl FnOnce(*mut T)) -> bool {
    let Some(stat) = STATS.get_ptr_mut(event.kind.into()) else { return false };
    // SAFETY: `stat` is the value of a map, four 8-byte counters.
    unsafe { atomic::add(&raw mut (*stat).seen, 1) };
    let Some(mut entry) = ring.reserve::<T>(0) else {
        // SAFETY: as above.
        unsafe {
            atomic::add(&raw mut (*stat).lost, 1);
            atomic::add(&raw mut (*stat).untold, 1);
        }
        return false;
    };
    let place = entry.as_mut_ptr();
    // SAFETY: every record begins with a header, and the entry has room for a T.
    unsafe { place.cast::<Header>().write(header::<T>(event, stat)) };
    fill(place);
    entry.submit(NO_WAKEUP);
    // SAFETY: as above.
    unsafe { atomic::add(&raw mut (*stat).sent, 1) };
    true
}

#[inline(always)]
fn header<T>(event: Event, stat: *mut Stat) -> Header {
    // SAFETY: `stat` is the value of a map, four 8-byte counters.
    let untold = unsafe { if (*stat).untold == 0 { 0 } else { atomic::swap(&raw mut (*stat).untold, 0) } };
    Header {
        kind: event.kind,
        version: ABI_VERSION,
        // SAFETY: the helper has no conditions.
        cpu: unsafe { bpf_get_smp_processor_id() } as u16,
        len: size_of::<T>() as u16,
        lost: if untold > u64::from(u16::MAX) { u16::MAX } else { untold as u16 },
        at_boot_ns: event.at_boot_ns,
        cookie: event.cookie,
    }
}
