//! Network namespaces with one host-side bridge, as a node and its pods.

use std::ffi::OsStr;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// Longest wait for a process to end after it was asked to.
const STOP_DEADLINE: Duration = Duration::from_secs(3);
/// Pause between two looks at a state that is waited for.
const POLL: Duration = Duration::from_millis(20);

/// Hosts (network namespaces) on one bridge; removed with everything that runs in them when dropped.
///
/// All names begin with the prefix, so that a later run can remove what a killed one left: see [`Topology::clean`].
#[derive(Debug)]
pub struct Topology {
    prefix: String,
    subnet: u8,
    node: Option<String>,
    hosts: Vec<Host>,
    cgroup_root: Option<PathBuf>,
}

/// One namespace: its names and addresses.
#[derive(Clone, Debug)]
pub struct Host {
    /// Short name, such as `web`.
    pub name: String,
    /// Name of the network namespace, prefix and name.
    pub netns: String,
    /// Host-side end of its link.
    pub link: String,
    /// Its IPv4 address.
    pub ip4: Ipv4Addr,
    /// Its IPv6 address.
    pub ip6: Ipv6Addr,
    /// Directory of its cgroup; `None` without a cgroup v2 hierarchy.
    pub cgroup: Option<PathBuf>,
    resolver: Option<PathBuf>,
}

impl Topology {
    /// Makes an empty bridge for subnet `10.<subnet>.0.0/24` and `fd00:<subnet>::/64`, in the namespace of the caller.
    ///
    /// # Errors
    /// Not root, `ip` is missing, or the prefix (at most 8 letters) is in use.
    pub fn new(prefix: &str, subnet: u8) -> Result<Self> {
        Self::build(prefix, subnet, false)
    }

    /// Like [`Topology::new`], with the bridge in a namespace of its own (`<prefix>-node`), so that a collector can be
    /// run there and sees nothing else.
    ///
    /// # Errors
    /// As [`Topology::new`].
    pub fn with_node(prefix: &str, subnet: u8) -> Result<Self> {
        Self::build(prefix, subnet, true)
    }

    fn build(prefix: &str, subnet: u8, own_node: bool) -> Result<Self> {
        if prefix.is_empty() || prefix.len() > 8 {
            bail!("the prefix {prefix:?} must have 1 to 8 letters, because device names have at most 15");
        }
        Self::clean(prefix);
        let node = own_node.then(|| format!("{prefix}-node"));
        let topology =
            Self { prefix: prefix.to_owned(), subnet, node, hosts: Vec::new(), cgroup_root: cgroup_root(prefix) };
        if let Some(node) = &topology.node {
            run("ip", ["netns", "add", node])?;
            topology.node_ip(&["link", "set", "lo", "up"])?;
        }
        let bridge = topology.bridge();
        topology.node_ip(&["link", "add", &bridge, "type", "bridge"])?;
        topology.node_ip(&["addr", "add", &format!("10.{subnet}.0.1/24"), "dev", &bridge])?;
        topology.node_ip(&["-6", "addr", "add", &format!("fd00:{subnet}::1/64"), "dev", &bridge, "nodad"])?;
        topology.node_ip(&["link", "set", &bridge, "up"])?;
        Ok(topology)
    }

    /// Removes what a killed run with this prefix left behind.
    pub fn clean(prefix: &str) {
        let listed = Command::new("ip").args(["netns", "list"]).output().map(|o| o.stdout).unwrap_or_default();
        for line in String::from_utf8_lossy(&listed).lines() {
            let Some(name) = line.split_whitespace().next() else { continue };
            if name.starts_with(&format!("{prefix}-")) {
                quiet("ip", &["netns", "del", name]);
            }
        }
        quiet("ip", &["link", "del", &format!("{prefix}-br")]);
        if let Some(root) = cgroup_root_path(prefix) {
            remove_cgroups(&root);
        }
    }

    /// Adds a namespace with address `.number` on the bridge.
    ///
    /// # Errors
    /// `ip` refused.
    pub fn add(&mut self, name: &str, number: u8) -> Result<Host> {
        let subnet = self.subnet;
        let host = Host {
            name: name.to_owned(),
            netns: format!("{}-{name}", self.prefix),
            link: format!("{}-{name}", self.prefix).chars().take(15).collect(),
            ip4: Ipv4Addr::new(10, subnet, 0, number),
            ip6: format!("fd00:{subnet}::{number}").parse().context("the address is built from numbers")?,
            cgroup: self.cgroup_root.as_ref().and_then(|root| {
                let path = root.join(name);
                std::fs::create_dir_all(&path).ok().map(|()| path)
            }),
            resolver: None,
        };
        run("ip", ["netns", "add", &host.netns])?;
        let peer = ["peer", "name", "eth0", "netns", &host.netns];
        let bridge = self.bridge();
        self.node_ip(&[["link", "add", &host.link, "type", "veth"].as_slice(), &peer].concat())?;
        self.node_ip(&["link", "set", &host.link, "master", &bridge, "up"])?;
        for args in [
            vec!["link".to_owned(), "set".into(), "lo".into(), "up".into()],
            vec!["addr".to_owned(), "add".into(), format!("{}/24", host.ip4), "dev".into(), "eth0".into()],
            vec![
                "-6".into(),
                "addr".into(),
                "add".into(),
                format!("{}/64", host.ip6),
                "dev".into(),
                "eth0".into(),
                "nodad".into(),
            ],
            vec!["link".into(), "set".into(), "eth0".into(), "up".into()],
            vec!["route".into(), "add".into(), "default".into(), "via".into(), format!("10.{subnet}.0.1")],
        ] {
            let mut all = vec!["-n".to_owned(), host.netns.clone()];
            all.extend(args);
            run("ip", &all)?;
        }
        self.hosts.push(host.clone());
        Ok(host)
    }

    /// Name of the node's own namespace; `None` where the bridge is in the namespace of the caller.
    #[must_use]
    pub fn node(&self) -> Option<&str> {
        self.node.as_deref()
    }

    /// Host-side device names of all hosts.
    #[must_use]
    pub fn links(&self) -> Vec<String> {
        self.hosts.iter().map(|h| h.link.clone()).collect()
    }

    /// A command that runs where the bridge is.
    #[must_use]
    pub fn node_command(&self, program: impl AsRef<OsStr>) -> Command {
        match &self.node {
            None => Command::new(program),
            Some(node) => {
                let mut command = Command::new("nsenter");
                command.arg(format!("--net=/run/netns/{node}")).arg("--").arg(program);
                command
            }
        }
    }

    fn bridge(&self) -> String {
        format!("{}-br", self.prefix)
    }

    fn node_ip(&self, args: &[&str]) -> Result<()> {
        match &self.node {
            None => run("ip", args),
            Some(node) => run("ip", [&["-n", node.as_str()], args].concat()),
        }
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        for host in &self.hosts {
            kill_members(host);
        }
        Self::clean(&self.prefix);
    }
}

impl Host {
    /// Makes programs started in this host ask `server` for names.
    ///
    /// # Errors
    /// The resolver file cannot be written below the temporary directory.
    pub fn set_resolver(&mut self, server: Ipv4Addr, search: &str) -> Result<()> {
        let path = std::env::temp_dir().join(format!("{}.resolv.conf", self.netns));
        std::fs::write(&path, format!("nameserver {server}\nsearch {search}\noptions timeout:2 attempts:1 ndots:1\n"))
            .with_context(|| format!("cannot write {}", path.display()))?;
        self.resolver = Some(path);
        Ok(())
    }

    /// A command that runs in this host: in its namespace, in its cgroup, with its resolver, and that dies with the
    /// caller.
    #[must_use]
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        self.command_as(program, None)
    }

    /// Like [`Host::command`], as another user.
    #[must_use]
    pub fn command_as(&self, program: impl AsRef<OsStr>, user: Option<&str>) -> Command {
        // One shell that becomes the program: it joins the cgroup, then the mount and network namespaces, then execs.
        let mut script = String::new();
        if let Some(cgroup) = &self.cgroup {
            script.push_str(&format!("echo $$ > '{}/cgroup.procs'; ", cgroup.display()));
        }
        let inner = match &self.resolver {
            Some(file) => format!("mount --bind '{}' /etc/resolv.conf && exec \"$@\"", file.display()),
            None => "exec \"$@\"".to_owned(),
        };
        let user = user.map_or(String::new(), |u| format!("--reuid={u} --regid={u} --init-groups "));
        script.push_str(&format!(
            "exec nsenter --net=/run/netns/{} unshare --mount sh -c '{}' sh setpriv {user}--pdeathsig KILL -- \"$@\"",
            self.netns,
            inner.replace('\'', "'\\''")
        ));
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh"]).arg(program);
        command
    }

    /// Runs nft in this host with this rule set.
    ///
    /// # Errors
    /// nft refused the rules.
    pub fn nft(&self, rules: &str) -> Result<()> {
        let mut child = Command::new("nsenter")
            .args([&format!("--net=/run/netns/{}", self.netns), "--", "nft", "-f", "-"])
            .stdin(Stdio::piped())
            .spawn()
            .context("cannot start nft")?;
        std::io::Write::write_all(&mut child.stdin.take().context("nft has no standard input")?, rules.as_bytes())?;
        if child.wait()?.success() { Ok(()) } else { bail!("nft refused the rules of {}:\n{rules}", self.name) }
    }
}

/// A process that is stopped when dropped.
#[derive(Debug)]
pub struct Running {
    /// What it is, for messages.
    pub name: String,
    child: Child,
}

impl Running {
    /// Starts the command.
    ///
    /// # Errors
    /// The program cannot be started.
    pub fn start(name: &str, command: &mut Command) -> Result<Self> {
        let child =
            command.stdin(Stdio::null()).spawn().with_context(|| format!("cannot start {name}: {command:?}"))?;
        Ok(Self { name: name.to_owned(), child })
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Asks it to stop by SIGTERM and waits for its end.
    ///
    /// # Errors
    /// It did not end within the deadline and was killed.
    pub fn stop(&mut self, deadline: Duration) -> Result<std::process::ExitStatus> {
        quiet("kill", &["-TERM", &self.child.id().to_string()]);
        let end = Instant::now() + deadline;
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if Instant::now() >= end {
                self.child.kill()?;
                self.child.wait()?;
                bail!("{} did not end within {deadline:?} of SIGTERM and was killed", self.name);
            }
            pause();
        }
    }

    /// Kills it at once, as a crash would.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.has_ended() && self.stop(STOP_DEADLINE).is_err() {
            // `stop` killed it already; there is nobody to tell from a drop.
        }
    }
}

/// Waits until `check` gives a value, looking every 20 ms.
///
/// # Errors
/// The deadline passed; the text says what was waited for.
pub fn wait_until<T>(what: &str, deadline: Duration, mut check: impl FnMut() -> Option<T>) -> Result<T> {
    let end = Instant::now() + deadline;
    loop {
        if let Some(value) = check() {
            return Ok(value);
        }
        if Instant::now() >= end {
            bail!("waited {deadline:?} in vain until {what}");
        }
        pause();
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place that polls the state of foreign processes")]
fn pause() {
    std::thread::sleep(POLL);
}

/// Runs a command to its end.
///
/// # Errors
/// It cannot be started or fails; the text holds its standard error.
pub fn run<A: AsRef<OsStr>>(program: &str, args: impl IntoIterator<Item = A>) -> Result<()> {
    let mut command = Command::new(program);
    command.args(args);
    output(&mut command).map(|_| ())
}

/// Runs a command to its end and returns its standard output.
///
/// # Errors
/// It cannot be started or fails; the text holds its standard error.
pub fn output(command: &mut Command) -> Result<String> {
    let out = command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {command:?}"))?;
    if !out.status.success() {
        bail!("{command:?} failed ({}): {}", out.status, String::from_utf8_lossy(&out.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&out.stdout).into_owned())
}

/// Runs a command whose failure does not matter.
fn quiet(program: &str, args: &[&str]) {
    let status =
        Command::new(program).args(args).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
    drop(status);
}

/// Root of the cgroup v2 hierarchy.
#[must_use]
pub fn cgroup2() -> Option<PathBuf> {
    let mounts = std::fs::read_to_string("/proc/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (path, kind) = (fields.next()?, fields.next()?);
        (kind == "cgroup2").then(|| PathBuf::from(path))
    })
}

fn cgroup_root_path(prefix: &str) -> Option<PathBuf> {
    cgroup2().map(|root| root.join(format!("{prefix}.slice")))
}

fn cgroup_root(prefix: &str) -> Option<PathBuf> {
    let path = cgroup_root_path(prefix)?;
    std::fs::create_dir_all(&path).ok().map(|()| path)
}

fn kill_members(host: &Host) {
    let Some(cgroup) = &host.cgroup else { return };
    let members = || std::fs::read_to_string(cgroup.join("cgroup.procs")).unwrap_or_default();
    for pid in members().split_whitespace() {
        quiet("kill", &["-KILL", pid]);
    }
    drop(wait_until("the processes of a host are gone", STOP_DEADLINE, || members().is_empty().then_some(())));
}

fn remove_cgroups(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        if entry.path().is_dir() {
            drop(std::fs::remove_dir(entry.path()));
        }
    }
    drop(std::fs::remove_dir(root));
}
