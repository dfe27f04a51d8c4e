//! What the programs cost, measured by the kernel itself: `BPF_PROG_TEST_RUN` on packets made here.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::time::Duration;
use std::{io, mem};

use aya::programs::SchedClassifier;

use super::config::CaptureConfig;
use super::error::CaptureError;
use super::kernel::Prepared;

/// `BPF_PROG_LOAD`.
const PROG_LOAD: libc::c_long = 5;
/// `BPF_PROG_TEST_RUN`.
const PROG_TEST_RUN: libc::c_long = 10;
const PROG_TYPE_SCHED_CLS: u32 = 3;

/// Nanoseconds a packet costs.
#[derive(Clone, Debug, PartialEq)]
pub struct PacketCost {
    /// What was measured.
    pub case: String,
    /// Nanoseconds of a program that does nothing, measured the same way.
    pub empty_ns: f64,
    /// Nanoseconds of the program.
    pub program_ns: f64,
}

/// Why nothing was measured.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The programs could not be loaded.
    #[error("loading the programs failed")]
    Load(#[from] CaptureError),
    /// The kernel refused to run them.
    #[error("running a program on a packet failed")]
    Run(#[source] io::Error),
}

/// Measures what an established packet costs while as many flows are live as each mask has values (`0` is one flow,
/// `0x3fff` 16,384). `repeat` packets make a round; of five rounds the best counts, because whatever else the machine
/// does only ever adds.
///
/// # Errors
/// The programs cannot be loaded or run here.
pub fn packet_costs(port_masks: &[u16], repeat: u32) -> Result<Vec<PacketCost>, BenchError> {
    let empty = empty_program().map_err(BenchError::Run)?;
    let mut costs = Vec::new();
    for mask in port_masks {
        let mut prepared = Prepared::with_bench_port_mask(&CaptureConfig::default(), false, (*mask).into())?;
        for (version, packet) in [(4, tcp_v4()), (6, tcp_v6())] {
            let program: &mut SchedClassifier = prepared
                .ebpf
                .program_mut("link_in")
                .and_then(|program| program.try_into().ok())
                .ok_or_else(|| BenchError::Run(io::ErrorKind::NotFound.into()))?;
            let fd = program.fd().map_err(|error| BenchError::Run(io::Error::other(error)))?;
            costs.push(PacketCost {
                case: format!("link_in, TCP over IPv{version}, {} flows", u32::from(*mask) + 1),
                empty_ns: best_of_five(empty.as_fd(), &packet, repeat).map_err(BenchError::Run)?,
                program_ns: best_of_five(fd.as_fd(), &packet, repeat).map_err(BenchError::Run)?,
            });
        }
    }
    Ok(costs)
}

fn best_of_five(program: BorrowedFd<'_>, packet: &[u8], repeat: u32) -> io::Result<f64> {
    let rounds = (0..5).map(|_| test_run(program, packet, repeat));
    rounds.collect::<io::Result<Vec<_>>>().map(|all| all.into_iter().min().unwrap_or_default().as_secs_f64() * 1e9)
}

fn tcp_v4() -> Vec<u8> {
    let ip = [0x45, 0, 0, 52, 0, 1, 0x40, 0, 64, 6, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    [&ETHERNET[..], &[8, 0], &ip, &TCP].concat()
}

fn tcp_v6() -> Vec<u8> {
    let ip = [0x60, 0, 0, 0, 0, 32, 6, 64];
    [&ETHERNET[..], &[0x86, 0xdd], &ip, &[0xfd; 16], &[0xfc; 16], &TCP].concat()
}

const ETHERNET: [u8; 12] = [2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
/// An acknowledgement, with options.
const TCP: [u8; 32] =
    [0x9c, 0x40, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x80, 0x10, 1, 0, 0, 0, 0, 0, 1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 1];

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
fn empty_program() -> io::Result<OwnedFd> {
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
fn test_run(program: BorrowedFd<'_>, packet: &[u8], repeat: u32) -> io::Result<Duration> {
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
