//! Tests in the running kernel. Each says `SKIP ebpf: <why>` and passes where that cannot be done; with
//! `REQUIRE_EBPF=1` it fails instead.

mod helper;
mod lab;
mod loss;
mod packets;
mod plug;
mod sockets;
mod traffic;
mod trouble;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use ebpf_abi::{FlowKey, FlowVal, Record};

use super::{CaptureConfig, CaptureError, Kernel, privilege};

/// Programs on tracepoints see the whole machine: one test at a time keeps their counts readable.
static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Longest time a test waits for something that must happen.
const DEADLINE: Duration = Duration::from_secs(60);

/// The right to use the kernel, for one test; `None` where there is none.
fn require_ebpf() -> Option<MutexGuard<'static, ()>> {
    let why = match privilege::check() {
        Err(error) => error.to_string(),
        Ok(()) => match super::Btf::running() {
            Err(error) => CaptureError::NoBtf(error).to_string(),
            Ok(_) => return Some(ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner)),
        },
    };
    skip(&why);
    None
}

/// Tells why a test does nothing, or fails it.
fn skip(why: &str) {
    assert!(std::env::var_os("REQUIRE_EBPF").is_none_or(|it| it != "1"), "REQUIRE_EBPF=1 and {why}");
    eprintln!("SKIP ebpf: {why}");
}

/// Starts capture in the namespace of the calling thread; with small rings, so that memory is no question.
fn load(change: impl FnOnce(&mut CaptureConfig)) -> Kernel {
    let mut config = CaptureConfig { data_ring_bytes: 1 << 20, flows_max: 8_192, ..CaptureConfig::default() };
    change(&mut config);
    Kernel::load(&config).unwrap_or_else(|error| panic!("{error:?}"))
}

/// Does something until it yields, or the deadline is over.
fn wait_for<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = attempt() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited for {what}");
        // A test may not sleep: it waits for nothing on a descriptor.
        nix::poll::poll(&mut [], 5u16).unwrap();
    }
}

/// Copies of the records that are in the rings.
fn drain(kernel: &mut Kernel) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    while kernel.drain(&mut |record| records.push(record.to_vec())).more {}
    records
}

/// The records as such.
fn parsed(records: &[Vec<u8>]) -> Vec<Record<'_>> {
    records.iter().map(|record| Record::parse(record).unwrap_or_else(|error| panic!("{error}"))).collect()
}

/// Everything in the flow map.
fn flows(kernel: &mut Kernel) -> Vec<(FlowKey, FlowVal)> {
    let mut all = Vec::new();
    // Time stands still, so nothing is too old and everything has changed.
    kernel.flows.account = Default::default();
    kernel.sweep(0, &mut |key, val, _| all.push((key, val))).unwrap();
    all
}
