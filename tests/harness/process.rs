//! What the kernel says of a process.

use anyhow::{Context, Result};

/// Bytes of memory of a process under this name of its `status`: `VmRSS`, `VmHWM`, `RssAnon`.
///
/// # Errors
/// It is gone, or this system does not tell.
pub fn memory_of(pid: u32, name: &str) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).with_context(|| format!("a process has {name}"))?;
    Ok(kib.parse::<u64>()? * 1_024)
}
