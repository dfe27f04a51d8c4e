//! What the kernel says of a process.

use std::fmt;
use std::time::Duration;

use anyhow::{Context, Result};
use weir_tests::memory_of;

/// Ticks a second of the kernel's accounts (`getconf CLK_TCK`), the same on all Linux machines.
const TICKS_PER_SECOND: u32 = 100;

/// Processor time of a process so far, its own and the kernel's for it.
pub(crate) fn cpu(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces.
    let fields: Vec<&str> = stat.rsplit_once(')').context("a name is in parentheses")?.1.split_whitespace().collect();
    let ticks: u32 = fields[11].parse::<u32>()? + fields[12].parse::<u32>()?;
    Ok(Duration::from_secs(1) * ticks / TICKS_PER_SECOND)
}

/// Resident memory of a process in MiB.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Memory {
    /// With the pages of its program and libraries, which it shares with other processes of the same program.
    pub(crate) whole_mib: f64,
    /// Its own: heap, stacks, relocated data.
    pub(crate) anonymous_mib: f64,
}

impl fmt::Display for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.0} MiB ({:.0} anonymous)", self.whole_mib, self.anonymous_mib)
    }
}

/// Memory that a process has now.
pub(crate) fn memory(pid: u32) -> Result<Memory> {
    Ok(Memory { whole_mib: mib(pid, "VmRSS")?, anonymous_mib: mib(pid, "RssAnon")? })
}

/// The largest memory of a process from a moment on. The kernel keeps that of the whole; its own is what samples saw.
pub(crate) struct Peak {
    pid: u32,
    anonymous_mib: f64,
}

impl Peak {
    /// Begins now.
    pub(crate) fn begin(pid: u32) -> Result<Self> {
        /// Makes the kernel's mark of the largest memory what it is now (`proc_pid_clear_refs(5)`).
        const FORGET_PEAK: &str = "5";
        std::fs::write(format!("/proc/{pid}/clear_refs"), FORGET_PEAK)?;
        let mut peak = Self { pid, anonymous_mib: 0.0 };
        peak.sample()?;
        Ok(peak)
    }

    /// Looks at the process.
    pub(crate) fn sample(&mut self) -> Result<()> {
        self.anonymous_mib = self.anonymous_mib.max(mib(self.pid, "RssAnon")?);
        Ok(())
    }

    /// The largest memory since the begin.
    pub(crate) fn end(mut self) -> Result<Memory> {
        self.sample()?;
        Ok(Memory { whole_mib: mib(self.pid, "VmHWM")?, anonymous_mib: self.anonymous_mib })
    }
}

fn mib(pid: u32, name: &str) -> Result<f64> {
    #[expect(clippy::cast_precision_loss, reason = "far below 2^53")]
    Ok(memory_of(pid, name)? as f64 / f64::from(1 << 20))
}
