//! Cgroups: which systemd unit or container a cgroup belongs to, and which path a kernel id stands for.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

/// Most directories looked at in one walk; more than any node has, and a bound on its time (about 10 ms a thousand).
const DIRECTORIES_MAX: usize = 32_768;
/// Digits of a container id that are kept, as container tools show them.
const CONTAINER_ID_DIGITS: usize = 12;

/// What starts and stops a group of processes.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Unit {
    pub(crate) kind: UnitKind,
    /// Name of a systemd unit or LXC container, else the first digits of the container's id.
    pub(crate) name: Arc<str>,
}

/// Kinds of units.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum UnitKind {
    Docker,
    Containerd,
    Podman,
    Crio,
    Lxc,
    /// A container whose runtime the path does not tell.
    Container,
    SystemdService,
    SystemdScope,
}

impl UnitKind {
    /// Kind of the workload of such a unit.
    pub(crate) const fn workload_kind(self) -> &'static str {
        match self {
            Self::SystemdService => "SystemdUnit",
            Self::SystemdScope => "SystemdScope",
            Self::Docker => "DockerContainer",
            Self::Containerd => "ContainerdContainer",
            Self::Podman => "PodmanContainer",
            Self::Crio => "CrioContainer",
            Self::Lxc => "LxcContainer",
            Self::Container => "Container",
        }
    }

    /// Whether a unit of this kind is a container.
    pub(crate) const fn is_container(self) -> bool {
        !matches!(self, Self::SystemdService | Self::SystemdScope)
    }
}

/// Unit of a cgroup path such as `/system.slice/nginx.service`: the innermost container, else the innermost systemd
/// service or scope.
pub(crate) fn unit_of_path(path: &str) -> Option<Unit> {
    let parts = || path.split('/').filter(|part| !part.is_empty());
    let mut before = "";
    let mut container = None;
    for part in parts() {
        container = container_of(before, part, path).or(container);
        before = part;
    }
    container.or_else(|| {
        let service = |part: &&str| part.ends_with(".service") && !part.starts_with("user@");
        let scope = |part: &&str| part.ends_with(".scope") && *part != "init.scope";
        let unit = |kind, name: &str| Unit { kind, name: unescape(name).into() };
        parts()
            .rfind(service)
            .map(|name| unit(UnitKind::SystemdService, name))
            .or_else(|| parts().rfind(scope).map(|name| unit(UnitKind::SystemdScope, name)))
    })
}

/// The container that one component of a path names, `before` being the component in front of it.
fn container_of(before: &str, part: &str, path: &str) -> Option<Unit> {
    let unit = |kind, name: &str| Some(Unit { kind, name: name.into() });
    let name = part.strip_suffix(".scope").unwrap_or(part);
    if let Some(lxc) = name.strip_prefix("lxc.payload.") {
        return unit(UnitKind::Lxc, lxc);
    }
    if before == "lxc" || before == "lxc.payload" {
        return unit(UnitKind::Lxc, name);
    }
    let (runtime, id) = match name.rsplit_once(['-', ':']) {
        Some((runtime, id)) => (runtime, id),
        None => ("", name),
    };
    if id.len() != 64 || !id.bytes().all(|c| c.is_ascii_hexdigit()) || runtime.ends_with("conmon") {
        return None;
    }
    let kind = match runtime {
        "docker" => UnitKind::Docker,
        "cri-containerd" | "containerd" | "nerdctl" => UnitKind::Containerd,
        "libpod" => UnitKind::Podman,
        "crio" => UnitKind::Crio,
        _ if before == "docker" => UnitKind::Docker,
        _ if path.contains("containerd") || runtime.ends_with("cri-containerd") => UnitKind::Containerd,
        _ => UnitKind::Container,
    };
    unit(kind, &id[..CONTAINER_ID_DIGITS])
}

/// Undoes systemd's `\x2d`.
fn unescape(name: &str) -> String {
    let mut text = String::with_capacity(name.len());
    let mut rest = name;
    while let Some(at) = rest.find("\\x") {
        let (before, escape) = rest.split_at(at);
        text.push_str(before);
        match escape.get(2..4).and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(u8::is_ascii) {
            Some(byte) => {
                text.push(char::from(byte));
                rest = &escape[4..];
            }
            None => {
                text.push_str("\\x");
                rest = &escape[2..];
            }
        }
    }
    text.push_str(rest);
    text
}

/// The most telling path in the text of `/proc/<pid>/cgroup`: that of the unified tree, unless it is the root while an
/// older tree knows a unit.
pub(crate) fn path_of_process(text: &str) -> Option<&str> {
    let lines = || text.lines().filter_map(|line| Some((line, line.trim_end().splitn(3, ':').nth(2)?)));
    let unified = lines().find(|(line, _)| line.starts_with("0::")).map(|(_, path)| path);
    if unified.is_some_and(|path| path != "/") {
        return unified;
    }
    lines().map(|(_, path)| path).find(|path| unit_of_path(path).is_some()).or(unified)
}

/// A cgroup that the kernel names by a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cgroup {
    /// Path below the root of the tree, such as `/system.slice/nginx.service`.
    pub(crate) path: Arc<str>,
    pub(crate) unit: Option<Unit>,
}

/// All cgroups of the unified tree by id, the id being the inode of the directory.
pub(crate) type Cgroups = HashMap<u64, Cgroup, RandomState>;

/// Finds the root of the unified tree, `None` on a machine without one.
pub(crate) fn unified_root() -> Option<PathBuf> {
    ["/sys/fs/cgroup", "/sys/fs/cgroup/unified"]
        .into_iter()
        .map(PathBuf::from)
        .find(|root| root.join("cgroup.controllers").exists())
}

/// Walks the tree below `root`. Directories that vanish meanwhile are left out.
pub(crate) fn walk(root: &Path) -> Cgroups {
    let mut found = Cgroups::default();
    let mut pending = vec![root.to_owned()];
    while let Some(directory) = pending.pop() {
        if found.len() >= DIRECTORIES_MAX {
            tracing::warn!(limit = DIRECTORIES_MAX, "more cgroups than are looked at");
            break;
        }
        let below = directory.strip_prefix(root).unwrap_or(&directory).to_string_lossy();
        if let Ok(facts) = directory.metadata() {
            found.insert(facts.ino(), cgroup_of(&format!("/{below}")));
        }
        pending.extend(subdirectories(&directory).unwrap_or_default());
    }
    found
}

/// The cgroup with this path.
pub(crate) fn cgroup_of(path: &str) -> Cgroup {
    Cgroup { path: path.into(), unit: unit_of_path(path) }
}

fn subdirectories(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            all.push(entry.path());
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "4f1c2d3e5a6b7c8d9e0f4f1c2d3e5a6b7c8d9e0f4f1c2d3e5a6b7c8d9e0f4f1c";

    #[track_caller]
    fn check(path: &str, expected: Option<(UnitKind, &str)>) {
        let path = path.replace("ID", ID);
        assert_eq!(unit_of_path(&path), expected.map(|(kind, name)| Unit { kind, name: name.into() }), "{path}");
    }

    #[test]
    fn systemd_units() {
        check("/", None);
        check("/user.slice", None);
        check("/init.scope", None);
        check("/system.slice/nginx.service", Some((UnitKind::SystemdService, "nginx.service")));
        check(
            "/system.slice/system-getty.slice/getty@tty1.service",
            Some((UnitKind::SystemdService, "getty@tty1.service")),
        );
        check("/system.slice/my\\x2dapp.service/worker", Some((UnitKind::SystemdService, "my-app.service")));
        check("/user.slice/user-1000.slice/session-3.scope", Some((UnitKind::SystemdScope, "session-3.scope")));
        check(
            "/user.slice/user-1000.slice/user@1000.service/app.slice/firefox.service",
            Some((UnitKind::SystemdService, "firefox.service")),
        );
        check("/system.slice/bad\\xzz.service", Some((UnitKind::SystemdService, "bad\\xzz.service")));
    }

    #[test]
    fn containers() {
        check("/system.slice/docker-ID.scope", Some((UnitKind::Docker, "4f1c2d3e5a6b")));
        check("/docker/ID", Some((UnitKind::Docker, "4f1c2d3e5a6b")));
        check("/docker/ID/system.slice/cron.service", Some((UnitKind::Docker, "4f1c2d3e5a6b")));
        check(
            "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod1.slice/cri-containerd-ID.scope",
            Some((UnitKind::Containerd, "4f1c2d3e5a6b")),
        );
        check(
            "/system.slice/containerd.service/kubepods-pod1.slice:cri-containerd:ID",
            Some((UnitKind::Containerd, "4f1c2d3e5a6b")),
        );
        check("/kubepods/burstable/pod1/ID", Some((UnitKind::Container, "4f1c2d3e5a6b")));
        check("/machine.slice/libpod-ID.scope/container", Some((UnitKind::Podman, "4f1c2d3e5a6b")));
        check("/kubepods.slice/crio-ID.scope", Some((UnitKind::Crio, "4f1c2d3e5a6b")));
        check(
            "/kubepods.slice/crio-conmon-ID.scope",
            Some((UnitKind::SystemdScope, &format!("crio-conmon-{ID}.scope"))),
        );
        check("/lxc.payload.web", Some((UnitKind::Lxc, "web")));
        check("/lxc/web/init.scope", Some((UnitKind::Lxc, "web")));
    }

    #[test]
    fn the_path_of_a_process_prefers_the_unified_tree() {
        assert_eq!(path_of_process("0::/system.slice/a.service\n"), Some("/system.slice/a.service"));
        assert_eq!(path_of_process("9:name=systemd:/\n0::/\n"), Some("/"));
        let docker = format!("4:memory:/docker/{ID}\n0::/\n");
        assert_eq!(path_of_process(&docker), Some(&docker[9..9 + 8 + 64]));
        assert_eq!(path_of_process(""), None);
        assert_eq!(path_of_process("nonsense"), None);
    }

    #[test]
    fn a_walk_finds_directories_by_inode() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("system.slice/a.service")).unwrap();
        let found = walk(root.path());
        let inode = root.path().join("system.slice/a.service").metadata().unwrap().ino();
        assert_eq!(&*found[&inode].path, "/system.slice/a.service");
        assert_eq!(found[&root.path().metadata().unwrap().ino()].path.as_ref(), "/");
        assert_eq!(found.len(), 3);
    }
}
