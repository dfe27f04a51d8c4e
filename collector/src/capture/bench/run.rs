//! `bpf(2)` for what aya has no call for: a program of two instructions, and test runs on a borrowed descriptor.

use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;
use std::{io, mem};

/// `BPF_PROG_LOAD`.
const PROG_LOAD: libc::c_long = 5;
/// `BPF_PROG_TEST_RUN`.
const PROG_TEST_RUN: libc::c_long = 10;
const PROG_TYPE_SCHED_CLS: u32 = 3;

/// The part of `union bpf_attr` for loading.
#[repr(C)]
struct LoadRequest {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

/// A program that only answers "next".
pub(super) fn empty_program() -> io::Result<OwnedFd> {
    // r0 = -1; exit
    let instructions: [u64; 2] = [0xffff_ffff_0000_00b7, 0x95];
    let request = LoadRequest {
        prog_type: PROG_TYPE_SCHED_CLS,
        insn_cnt: 2,
        insns: instructions.as_ptr() as u64,
        license: c"GPL".as_ptr() as u64,
        log_level: 0,
        log_size: 0,
        log_buf: 0,
        kern_version: 0,
        prog_flags: 0,
    };
    // SAFETY: the request and what it points to outlive the call; there is no log to write to.
    let fd = unsafe { libc::syscall(libc::SYS_bpf, PROG_LOAD, &raw const request, mem::size_of_val(&request)) };
    let fd = i32::try_from(fd).map_err(io::Error::other)?;
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just opened it for us, nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The part of `union bpf_attr` for test runs.
#[repr(C)]
#[derive(Default)]
struct RunRequest {
    prog_fd: u32,
    retval: u32,
    data_size_in: u32,
    data_size_out: u32,
    data_in: u64,
    data_out: u64,
    repeat: u32,
    duration: u32,
    ctx_size_in: u32,
    ctx_size_out: u32,
    ctx_in: u64,
    ctx_out: u64,
    flags: u32,
    cpu: u32,
    batch_size: u32,
    _pad: u32,
}

/// Runs a program on a packet; returns the mean time.
pub(super) fn test_run(program: BorrowedFd<'_>, packet: &[u8], repeat: u32) -> io::Result<Duration> {
    let mut request = RunRequest {
        prog_fd: program.as_raw_fd().cast_unsigned(),
        data_size_in: u32::try_from(packet.len()).map_err(io::Error::other)?,
        data_in: packet.as_ptr() as u64,
        repeat,
        ..RunRequest::default()
    };
    // SAFETY: the request and the packet outlive the call; no output buffers are given.
    let result = unsafe { libc::syscall(libc::SYS_bpf, PROG_TEST_RUN, &raw mut request, mem::size_of_val(&request)) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(Duration::from_nanos(request.duration.into())) }
}
