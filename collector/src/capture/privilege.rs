//! Whether this process may capture at all, found out before the kernel says a bare EPERM.

use aya::util::KernelVersion;

use super::error::CaptureError;

const NET_ADMIN: u32 = 12;
const SYS_ADMIN: u32 = 21;
const PERFMON: u32 = 38;
const BPF: u32 = 39;

/// Capabilities that are enough without `CAP_SYS_ADMIN`, since Linux 5.8.
const NEEDED: [(u32, &str); 3] = [(BPF, "CAP_BPF"), (PERFMON, "CAP_PERFMON"), (NET_ADMIN, "CAP_NET_ADMIN")];

/// Checks rights and kernel version.
///
/// # Errors
/// [`CaptureError::NotPermitted`] and [`CaptureError::OldKernel`].
pub(super) fn check() -> Result<(), CaptureError> {
    if let Ok(version) = KernelVersion::current()
        && version < KernelVersion::new(5, 15, 0)
    {
        return Err(CaptureError::OldKernel { release: release() });
    }
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let missing = missing_in(&status);
    if missing.is_empty() { Ok(()) } else { Err(CaptureError::NotPermitted { missing: missing.join(", ") }) }
}

/// What `uname -r` says.
pub(super) fn release() -> String {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    release.trim().to_owned()
}

/// Names of needed capabilities that are not effective. A status without the line lacks none: then the kernel decides.
fn missing_in(status: &str) -> Vec<&'static str> {
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let Some(effective) = line.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()) else { return Vec::new() };
    let has = |capability: u32| effective >> capability & 1 == 1;
    NEEDED
        .into_iter()
        .filter(|(capability, _)| {
            let implied = has(SYS_ADMIN) && *capability != NET_ADMIN;
            !has(*capability) && !implied
        })
        .map(|(_, name)| name)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_what_is_missing() {
        let check = |mask: u64| missing_in(&format!("Name:\tx\nCapEff:\t{mask:016x}\n"));
        assert_eq!(check(0), ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"]);
        assert_eq!(check(1 << SYS_ADMIN), ["CAP_NET_ADMIN"]);
        assert_eq!(check(1 << BPF | 1 << PERFMON), ["CAP_NET_ADMIN"]);
        assert!(check(1 << BPF | 1 << PERFMON | 1 << NET_ADMIN).is_empty());
        assert!(check(u64::MAX).is_empty());
        assert!(missing_in("no such line").is_empty());
    }
}
