//! Network namespaces for a test: a node, and pods behind veth pairs that the node routes between.

use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sched::{CloneFlags, setns};

/// Namespaces that end with the value.
pub(super) struct Lab {
    tag: String,
    namespaces: Vec<String>,
}

/// A pod: its number decides its addresses.
#[derive(Clone, Copy)]
pub(super) struct Pod(pub(super) u8);

impl Pod {
    pub(super) fn v4(self) -> Ipv4Addr {
        Ipv4Addr::new(10, 91, self.0, 2)
    }

    pub(super) fn v6(self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd91, 0, 0, self.0.into(), 0, 0, 0, 2)
    }

    /// Name of the host's end of its veth pair.
    pub(super) fn link(self) -> String {
        format!("v{}", self.0)
    }
}

impl Lab {
    /// Makes a node with pods; addresses, routes and neighbours are set, so that nothing but the test's own packets and
    /// IPv6's housekeeping is on the links.
    pub(super) fn new(pods: &[Pod]) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let tag = format!("wk{}x{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let mut lab = Self { tag, namespaces: Vec::new() };
        lab.add_namespace("n");
        let node = lab.name("n");
        lab.shell("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
        for pod in pods {
            lab.add_pod(*pod, &node);
        }
        lab
    }

    fn add_namespace(&mut self, short: &str) {
        let name = self.name(short);
        ip(&format!("netns add {name}"));
        self.namespaces.push(name.clone());
        ip(&format!("-n {name} link set lo up"));
        // No packets but the test's own, as far as that can be had.
        let quiet = "net.ipv6.conf.default.router_solicitations=0 net.ipv6.conf.default.accept_ra=0";
        run(Command::new("nsenter").arg(format!("--net=/run/netns/{name}")).args([
            "sh",
            "-c",
            &format!("sysctl -qw {quiet}"),
        ]));
    }

    fn add_pod(&mut self, pod: Pod, node: &str) {
        let short = format!("p{}", pod.0);
        self.add_namespace(&short);
        let (inside, outside, number) = (self.name(&short), pod.link(), pod.0);
        let (near, far) = (format!("02:00:00:00:{number:02x}:01"), format!("02:00:00:00:{number:02x}:02"));
        ip(&format!(
            "-n {node} link add {outside} address {near} type veth peer name eth0 address {far} netns {inside}"
        ));
        for (ns, link, host, neighbour, mac) in [(node, outside.as_str(), 1, 2, &far), (&inside, "eth0", 2, 1, &near)] {
            ip(&format!("-n {ns} addr add 10.91.{number}.{host}/24 dev {link}"));
            ip(&format!("-n {ns} addr add fd91:0:0:{number}::{host}/64 dev {link} nodad"));
            ip(&format!("-n {ns} link set {link} up"));
            ip(&format!("-n {ns} neigh replace 10.91.{number}.{neighbour} lladdr {mac} dev {link} nud permanent"));
            ip(&format!("-n {ns} neigh replace fd91:0:0:{number}::{neighbour} lladdr {mac} dev {link} nud permanent"));
        }
        ip(&format!("-n {inside} route add default via 10.91.{number}.1"));
        ip(&format!("-n {inside} route add default via fd91:0:0:{number}::1"));
    }

    /// Full name of a namespace of this lab; the node's is `n`.
    pub(super) fn name(&self, short: &str) -> String {
        format!("{}{short}", self.tag)
    }

    /// Name of a pod's namespace.
    pub(super) fn namespace(&self, pod: Pod) -> String {
        self.name(&format!("p{}", pod.0))
    }

    /// Runs a shell command in the node's namespace.
    pub(super) fn shell(&self, command: &str) -> String {
        run(Command::new("nsenter").arg(format!("--net=/run/netns/{}", self.name("n"))).args(["sh", "-c", command]))
    }

    /// Moves the calling thread into the node's namespace.
    pub(super) fn enter_node(&self) {
        enter(&self.name("n"));
    }

    /// Does something in a pod's namespace, on a thread of its own.
    pub(super) fn within<T: Send>(&self, pod: Pod, work: impl FnOnce() -> T + Send) -> T {
        let namespace = self.namespace(pod);
        std::thread::scope(|scope| {
            let thread = scope.spawn(|| {
                enter(&namespace);
                work()
            });
            thread.join().unwrap()
        })
    }

    /// A counter of a link of the node, such as `rx_bytes`.
    pub(super) fn counter(&self, link: &str, name: &str) -> u64 {
        let json = self.shell(&format!("ip -s -j link show dev {link}"));
        let (direction, field) = name.split_once('_').unwrap();
        let stats = json.split_once(&format!("\"{direction}\":")).unwrap().1;
        let value = stats.split_once(&format!("\"{field}\":")).unwrap().1;
        value.chars().take_while(char::is_ascii_digit).collect::<String>().parse().unwrap()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for name in &self.namespaces {
            // The others must go too, whatever happens to one.
            let _gone_already = Command::new("ip").args(["netns", "del", name]).status();
        }
    }
}

/// Moves the calling thread into a named namespace.
pub(super) fn enter(namespace: &str) {
    let file = File::open(format!("/run/netns/{namespace}")).unwrap();
    setns(file, CloneFlags::CLONE_NEWNET).unwrap();
}

fn ip(arguments: &str) {
    run(Command::new("ip").args(arguments.split_ascii_whitespace()));
}

fn run(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}
