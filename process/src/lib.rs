//! The memory of this process: what it occupies, what it may, and giving back what is free.

use std::path::{Path, PathBuf};

mod trimmed;

pub use trimmed::Trimmed;

/// Bytes from which on an allocation is given back to the system as soon as it is free. glibc raises its own limit to the
/// largest that was freed, 32 MiB at most, so that the columns of queries and files that are being written end up between
/// what stays: a tenth more memory for a hundredth of processor time.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GIVEN_BACK_FROM: usize = 1 << 20;
/// The same of a small budget, as a share of it: batches on their way are below the other, and it has no room for what
/// they leave behind.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GIVEN_BACK_SHARE: usize = 1_024;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GIVEN_BACK_FROM_MIN: usize = 128 << 10;

/// Heaps that threads share. glibc makes eight for each processor, each of which keeps what is free in it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS_MIN: usize = 2;
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ARENAS_MAX: usize = 16;

/// Bytes of an allocation that is given back at once, within a budget of so many.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn given_back_from(budget: usize) -> usize {
    (budget / GIVEN_BACK_SHARE).clamp(GIVEN_BACK_FROM_MIN, GIVEN_BACK_FROM)
}

/// Sets the allocator up for a budget of so many bytes. To be called before much is allocated.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "the allocator's settings have no safe form")]
pub fn set_up(budget: usize) {
    let processors = std::thread::available_parallelism().map_or(ARENAS_MIN, std::num::NonZero::get);
    let arenas = libc::c_int::try_from(processors.clamp(ARENAS_MIN, ARENAS_MAX)).unwrap_or(libc::c_int::MAX);
    let given_back_from = libc::c_int::try_from(given_back_from(budget)).unwrap_or(libc::c_int::MAX);
    for (setting, value) in [(libc::M_MMAP_THRESHOLD, given_back_from), (libc::M_ARENA_MAX, arenas)] {
        // SAFETY: `mallopt` takes two numbers and may be called at any time; it says so where it does not know them,
        // which leaves things as they were.
        unsafe { libc::mallopt(setting, value) };
    }
}

/// Gives the pages that are free back to the system. Takes some milliseconds: call it from a thread that may block.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[expect(unsafe_code, reason = "trimming has no safe form")]
fn trim() {
    // SAFETY: `malloc_trim` takes the allocator's own locks and touches only pages that nobody has.
    unsafe { libc::malloc_trim(0) };
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
/// Other allocators are left as they are.
pub const fn set_up(_budget: usize) {}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
/// Other allocators are left to themselves.
const fn trim() {}

/// Bytes of memory the process occupies; `None` where the system does not tell.
#[must_use]
pub fn resident() -> Option<usize> {
    // In kB, unlike `statm`, whose pages have sizes of their own on some machines.
    kilobytes(&std::fs::read_to_string("/proc/self/status").ok()?, "VmRSS:")
}

/// Bytes of memory the process may have at most: those of its control group, else those of the machine; `None` where
/// neither is known.
#[must_use]
pub fn limit() -> Option<usize> {
    let machine = std::fs::read_to_string("/proc/meminfo").ok().and_then(|text| kilobytes(&text, "MemTotal:"));
    let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    let group = group_limit(Path::new("/sys/fs/cgroup"), &groups);
    [machine, group].into_iter().flatten().min()
}

/// The least limit of the control groups (both versions) that the process is in, named as `/proc/self/cgroup` does.
fn group_limit(root: &Path, groups: &str) -> Option<usize> {
    let limits = groups.lines().filter_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, group) = (parts.next()?, parts.next()?);
        let (folder, file) = match controllers {
            "" => (root.to_owned(), "memory.max"),
            _ if controllers.split(',').any(|name| name == "memory") => (root.join("memory"), "memory.limit_in_bytes"),
            _ => return None,
        };
        least_of(&folder, group.trim_start_matches('/'), file)
    });
    limits.min()
}

/// The least of the numbers in files of this name, from a folder below `root` up to `root` itself: each group is bound by
/// those it is in, and inside of a container its own group may be the root.
fn least_of(root: &Path, below: &str, file: &str) -> Option<usize> {
    let folder: PathBuf = root.join(below);
    let folders = folder.ancestors().take_while(|folder| folder.starts_with(root));
    // Where there is no limit the file says `max`, or a number that no machine has.
    folders.filter_map(|folder| std::fs::read_to_string(folder.join(file)).ok()?.trim().parse().ok()).min()
}

fn kilobytes(text: &str, key: &str) -> Option<usize> {
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().strip_suffix("kB")?.trim().parse::<usize>().ok()?.checked_mul(1_024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    #[test]
    fn small_budgets_give_back_sooner() {
        assert_eq!([128, 256, 1_024, 65_536].map(|mib| given_back_from(mib << 20) >> 10), [128, 256, 1_024, 1_024]);
    }

    #[test]
    fn the_process_occupies_something_and_less_than_it_may() {
        let (resident, limit) = (resident().unwrap(), limit().unwrap());
        assert!(resident > 1 << 20 && resident < limit, "{resident} {limit}");
    }

    #[test]
    fn the_least_limit_of_the_groups_counts() {
        let root = tempfile::tempdir().unwrap();
        let limit = |path: &str, text: &str| {
            let file = root.path().join(path);
            std::fs::create_dir_all(file.parent().unwrap()).unwrap();
            std::fs::write(file, text).unwrap();
        };
        assert_eq!(group_limit(root.path(), "0::/pods/one\n"), None);
        limit("pods/one/memory.max", "max\n");
        assert_eq!(group_limit(root.path(), "0::/pods/one\n"), None);
        limit("pods/memory.max", "4096\n");
        limit("memory/jobs/memory.limit_in_bytes", "1000\n");
        assert_eq!(group_limit(root.path(), "0::/pods/one\n"), Some(4_096));
        assert_eq!(group_limit(root.path(), "5:cpu,memory:/jobs/a\n0::/pods/one\n"), Some(1_000));
        limit("memory.max", "10\n");
        assert_eq!(group_limit(root.path(), "0::/\n"), Some(10));
        assert_eq!(group_limit(root.path(), "nonsense\n7:cpu:/\n"), None);
    }
}
