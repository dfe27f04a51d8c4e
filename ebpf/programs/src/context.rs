//! Arguments of tracing programs, and the clock.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::{bpf_ktime_get_boot_ns, bpf_ktime_get_coarse_ns};
use ebpf_abi::feature;

use crate::maps;

/// What the kernel calls a tracing program with: an array of 8-byte arguments.
#[derive(Clone, Copy)]
pub struct Arguments(*mut c_void);

impl Arguments {
    /// Wraps the context of a program.
    ///
    /// # Safety
    /// `context` is what the kernel passed to the running program.
    #[inline(always)]
    pub unsafe fn new(context: *mut c_void) -> Self {
        Self(context)
    }

    /// Argument by number; the verifier refuses one the hook does not have.
    #[inline(always)]
    pub fn get(self, number: usize) -> u64 {
        // SAFETY: the context is an array of arguments, and the verifier checks the number against the hook.
        unsafe { *self.0.cast::<u64>().add(number) }
    }
}

/// Nanoseconds of `CLOCK_BOOTTIME`.
#[inline(always)]
pub fn now_boot_ns() -> u64 {
    // SAFETY: the helper has no conditions.
    unsafe { bpf_ktime_get_boot_ns() }
}

/// As [`now_boot_ns`], to the kernel's tick: a third of the cost, for every packet.
#[inline(always)]
pub fn tick_boot_ns() -> u64 {
    if !maps::feature(feature::COARSE_CLOCK) {
        return now_boot_ns();
    }
    // SAFETY: the helper has no conditions.
    unsafe { bpf_ktime_get_coarse_ns() }.wrapping_add(maps::live().monotonic_to_boot_ns)
}
