//! What benchmarks and tests measure of a process: its time on a processor and its memory.

use std::io;
use std::time::Duration;

/// Processor time of the best of some rounds of work on this thread, which is the one with the least noise; zero of
/// none.
///
/// # Panics
/// The kernel keeps no accounts of threads.
pub fn best(rounds: usize, mut work: impl FnMut()) -> Duration {
    (0..rounds).map(|_| taken(&mut work)).min().unwrap_or_default()
}

/// Processor time that some work on this thread takes.
///
/// # Panics
/// The kernel keeps no accounts of threads.
pub fn taken(work: impl FnOnce()) -> Duration {
    let start = processor_time();
    work();
    processor_time() - start
}

/// Processor time of this thread so far.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").expect("the kernel keeps accounts");
    let nanos = stat.split(' ').next().and_then(|nanos| nanos.parse().ok()).expect("nanoseconds come first");
    Duration::from_nanos(nanos)
}

/// Bytes of memory of a process under this name of its `status`: `VmRSS`, `VmHWM`, `RssAnon`.
///
/// # Errors
/// It is gone, or this system does not tell.
pub fn memory_of(pid: u32, name: &str) -> io::Result<u64> {
    let path = format!("/proc/{pid}/status");
    let status = std::fs::read_to_string(&path)?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    kib.map(|kib| kib * 1_024).ok_or_else(|| io::Error::other(format!("{path} has no {name} in kB")))
}
