//! Reading what is not ours: kernel structures, the memory of a process.

use aya_ebpf::helpers::generated::{bpf_probe_read_kernel, bpf_probe_read_kernel_str, bpf_probe_read_user};

/// Values of which every bit pattern is valid.
///
/// # Safety
/// Implement it only for types that any bytes make a valid value of.
pub unsafe trait Plain: Copy {
    /// The value of zero bytes.
    const ZERO: Self;
}

macro_rules! plain_numbers {
    ($($type:ty)*) => { $(
        // SAFETY: a number has no invalid bit pattern.
        unsafe impl Plain for $type { const ZERO: Self = 0; }
    )* };
}
plain_numbers!(u8 u16 u32 u64 i32);

// SAFETY: an array of such values has no invalid bit pattern either.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {
    const ZERO: Self = [T::ZERO; N];
}

/// Reads a field of a kernel structure; `None` where the address is not readable.
#[inline(always)]
pub fn kernel<T: Plain>(base: u64, offset: u32) -> Option<T> {
    let mut value = T::ZERO;
    // SAFETY: the helper checks the source address itself and writes `size_of::<T>()` bytes into `value`, of which any
    // bytes make a valid T.
    let failed = unsafe {
        bpf_probe_read_kernel(
            (&raw mut value).cast(),
            size_of::<T>() as u32,
            base.wrapping_add(offset.into()) as *const _,
        )
    };
    (failed == 0).then_some(value)
}

/// As [`kernel`], with zero for what is not readable.
#[inline(always)]
pub fn kernel_or_zero<T: Plain>(base: u64, offset: u32) -> T {
    kernel(base, offset).unwrap_or(T::ZERO)
}

/// Copies as much of a kernel string as fits, with its terminating zero; what does not fit or is not readable is left out.
#[inline(always)]
pub fn kernel_text<const N: usize>(address: u64, into: &mut [u8; N]) {
    // SAFETY: the helper checks the source address itself and writes at most N bytes into `into`.
    let _length_or_error =
        unsafe { bpf_probe_read_kernel_str(into.as_mut_ptr().cast(), N as u32, address as *const _) };
}

/// Reads a value from the memory of the current process; `None` where it is not readable.
#[inline(always)]
pub fn user<T: Plain>(address: u64) -> Option<T> {
    let mut value = T::ZERO;
    // SAFETY: as in `kernel`, for the address space of the current process.
    let failed = unsafe { bpf_probe_read_user((&raw mut value).cast(), size_of::<T>() as u32, address as *const _) };
    (failed == 0).then_some(value)
}
