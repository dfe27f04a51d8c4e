//! Atomic operations on map values.
//!
//! The BPF target of rustc has no atomic types, the instruction set does (`fetch` forms since kernel 5.12).

use core::arch::asm;

/// Adds to a counter other CPUs add to as well.
///
/// # Safety
/// `counter` points to 8 writable, 8-aligned bytes of a map value.
#[inline(always)]
pub unsafe fn add(counter: *mut u64, value: u64) {
    // SAFETY: the caller vouches for the pointer; the instruction touches nothing else.
    unsafe { asm!("lock *(u64 *)({p} + 0) += {v}", p = in(reg) counter, v = in(reg) value, options(nostack)) }
}

/// Adds to a counter and returns what it was before.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn fetch_add(counter: *mut u64, value: u64) -> u64 {
    let mut word = value;
    // SAFETY: as in `add`.
    unsafe {
        asm!("{v} = atomic_fetch_add((u64 *)({p} + 0), {v})", p = in(reg) counter, v = inout(reg) word, options(nostack));
    }
    word
}

/// Puts a value into place and returns what was there.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn swap(place: *mut u64, value: u64) -> u64 {
    let mut word = value;
    // SAFETY: as in `add`.
    unsafe {
        asm!("{v} = xchg_64({p} + 0, {v})", p = in(reg) place, v = inout(reg) word, options(nostack));
    }
    word
}

/// Replaces `old` by `new`; true when the place held `old`.
///
/// # Safety
/// As [`add`].
#[inline(always)]
pub unsafe fn replace(place: *mut u64, old: u64, new: u64) -> bool {
    let mut found = old;
    // SAFETY: as in `add`.
    unsafe {
        asm!("r0 = cmpxchg_64({p} + 0, r0, {n})", p = in(reg) place, n = in(reg) new, inout("r0") found, options(nostack));
    }
    found == old
}
