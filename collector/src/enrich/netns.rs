//! Network namespaces: which there are, what they are called, and which addresses and devices they have.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use foldhash::fast::RandomState;
use hashbrown::HashMap;
use nix::sched::{CloneFlags, setns};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, getsockopt, socket};

use super::cgroup::{Unit, path_of_process, unit_of_path};
use super::netlink::{Devices, read_devices};

/// Namespaces looked at in one go; more are left out with a warning.
const NAMESPACES_MAX: usize = 4_096;
/// `SO_NETNS_COOKIE` of `asm-generic/socket.h`, Linux 5.14.
const SO_NETNS_COOKIE: libc::c_int = 71;

nix::getsockopt_impl!(NetnsCookie, libc::SOL_SOCKET, SO_NETNS_COOKIE, u64, nix::sys::socket::sockopt::GetStruct<u64>);

/// The option that asks a socket for the cookie of its namespace.
#[derive(Clone, Copy, Debug)]
struct NetnsCookie;

/// What is known of a network namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Netns {
    /// Name of its file, empty for one without a name.
    pub(crate) name: String,
    /// Kernel's number of the namespace, as `ls -l /proc/<pid>/ns/net` shows it.
    pub(crate) inode: u64,
    /// Cookie the kernel puts into records; 0 on kernels that do not tell it.
    pub(crate) cookie: u64,
    pub(crate) devices: Devices,
    /// Unit of a process that lives in it.
    pub(crate) unit: Option<Unit>,
}

/// All namespaces of the machine, the one of this process first.
///
/// # Errors
/// The namespace of this process cannot be read; others that fail are left out, because they may vanish at any time.
pub(crate) fn read_all(directories: &[PathBuf], proc: &Path) -> io::Result<Vec<Netns>> {
    let own = read_own(proc)?;
    let residents = residents(proc);
    let mut all = vec![own];
    for (path, name) in named_files(directories) {
        add(&mut all, &path, name, &residents);
    }
    for (inode, resident) in &residents {
        if !all.iter().any(|known| known.inode == *inode) {
            add(&mut all, &resident.ns_file, String::new(), &residents);
        }
    }
    Ok(all)
}

fn add(all: &mut Vec<Netns>, path: &Path, name: String, residents: &Residents) {
    if all.len() >= NAMESPACES_MAX {
        tracing::warn!(limit = NAMESPACES_MAX, "more network namespaces than are looked at");
        return;
    }
    match read_at(path, name) {
        Ok(mut found) if !all.iter().any(|known| known.inode == found.inode) => {
            found.unit = residents.get(&found.inode).and_then(|r| r.unit.clone());
            all.push(found);
        }
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            static TOLD: std::sync::Once = std::sync::Once::new();
            TOLD.call_once(|| {
                tracing::warn!(
                    "network namespaces other than the own are not looked into, so what lives in them has no name: it \
                     takes root or CAP_SYS_ADMIN"
                );
            });
        }
        Err(error) => tracing::debug!(path = %path.display(), %error, "network namespace not read"),
    }
}

fn named_files(directories: &[PathBuf]) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for directory in directories {
        // The directory is made with the first namespace, so its absence is the usual case.
        let Ok(entries) = std::fs::read_dir(directory) else { continue };
        files.extend(entries.filter_map(Result::ok).map(|entry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            (entry.path(), name)
        }));
    }
    files.sort();
    files
}

/// Reads the namespace this thread is in, which takes no right.
fn read_own(proc: &Path) -> io::Result<Netns> {
    let inode = std::fs::metadata(proc.join("self/ns/net"))?.ino();
    let mut devices = read_devices()?;
    devices.addresses.sort_unstable();
    Ok(Netns { name: String::new(), inode, cookie: own_cookie(), devices, unit: None })
}

/// Reads the namespace behind a file. Entering it happens on a thread of its own, which ends there: a thread that could
/// not go back would watch the wrong namespace from then on.
fn read_at(path: &Path, name: String) -> io::Result<Netns> {
    let file = File::open(path)?;
    let inode = file.metadata()?.ino();
    let reading = std::thread::Builder::new().name("weir-netns".to_owned()).spawn(move || {
        setns(&file, CloneFlags::CLONE_NEWNET)?;
        let devices = read_devices()?;
        Ok::<_, nix::errno::Errno>((devices, own_cookie()))
    })?;
    let (mut devices, cookie) =
        reading.join().map_err(|_| io::Error::other("the thread that read a network namespace panicked"))??;
    devices.addresses.sort_unstable();
    Ok(Netns { name, inode, cookie, devices, unit: None })
}

/// Cookie of the namespace the calling thread is in; 0 where the kernel is too old to tell.
fn own_cookie() -> u64 {
    let socket = socket(AddressFamily::Inet, SockType::Datagram, SockFlag::SOCK_CLOEXEC, None);
    socket.and_then(|socket| getsockopt(&socket, NetnsCookie)).unwrap_or(0)
}

/// One process for each namespace that has any.
type Residents = HashMap<u64, Resident, RandomState>;

struct Resident {
    ns_file: PathBuf,
    unit: Option<Unit>,
}

fn residents(proc: &Path) -> Residents {
    let mut found = Residents::default();
    let Ok(entries) = std::fs::read_dir(proc) else { return found };
    for entry in entries.filter_map(Result::ok) {
        if !entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit) {
            continue;
        }
        let ns_file = entry.path().join("ns/net");
        // Processes end while the list is read.
        let Ok(facts) = std::fs::metadata(&ns_file) else { continue };
        found.entry(facts.ino()).or_insert_with(|| {
            let cgroup = std::fs::read_to_string(entry.path().join("cgroup")).unwrap_or_default();
            Resident { ns_file, unit: path_of_process(&cgroup).and_then(unit_of_path) }
        });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_own_namespace_comes_first_and_has_the_loopback_device() {
        let all = read_all(&[PathBuf::from("/nonexistent")], Path::new("/proc")).unwrap();
        assert!(all[0].devices.devices.iter().any(|d| d.name == "lo"));
        assert_eq!(all[0].inode, std::fs::metadata("/proc/self/ns/net").unwrap().ino());
    }
}
