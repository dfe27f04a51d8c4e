//! Links of the namespace: which there are, and which of them are observed.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::config::CaptureConfig;
use super::rtnetlink::{LinkMessage, LinkSocket, Message, Received};

const IFF_UP: u32 = 0x1;
const IFF_LOOPBACK: u32 = 0x8;

const ARPHRD_ETHER: u16 = 1;
const ARPHRD_PPP: u16 = 512;
const ARPHRD_RAWIP: u16 = 519;
const ARPHRD_TUNNEL: u16 = 768;
const ARPHRD_TUNNEL6: u16 = 769;
const ARPHRD_LOOPBACK: u16 = 772;
const ARPHRD_SIT: u16 = 776;
const ARPHRD_IPGRE: u16 = 778;
const ARPHRD_IP6GRE: u16 = 823;
const ARPHRD_NONE: u16 = 0xfffe;

/// Links that carry another link's packets inside their own.
const TUNNELS: [&str; 14] = [
    "vxlan",
    "geneve",
    "gre",
    "gretap",
    "ip6gre",
    "ip6gretap",
    "ipip",
    "sit",
    "ip6tnl",
    "wireguard",
    "tun",
    "xfrm",
    "vti",
    "vti6",
];
/// Links whose packets are seen on the links below them, or that hold none.
const PASSED_OVER: [&str; 14] = [
    "bridge",
    "bond",
    "team",
    "vlan",
    "vrf",
    "dummy",
    "ifb",
    "macvlan",
    "macvtap",
    "ipvlan",
    "ipvtap",
    "nlmon",
    "openvswitch",
    "macsec",
];

/// Longest time the first list of links may take.
const LIST_DEADLINE: Duration = Duration::from_secs(5);

/// What a link is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LinkClass {
    /// Host's end of a pair that leads into another namespace: a pod or container is behind it.
    Endpoint,
    /// Network card, or what looks like one.
    Physical,
    /// Tunnel to other nodes.
    Tunnel,
    /// The loopback device.
    Loopback,
    /// Bridge, VLAN and the like: its packets are seen on the links below it.
    Other,
}

/// Whether packets of a link are seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Observation {
    /// They are.
    On,
    /// They are not, and need not be.
    NotWanted,
    /// They are not, because attaching failed for this reason.
    Failed(String),
}

/// A link of this namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// Its number; also in [`ebpf_abi::FlowKey`].
    pub ifindex: u32,
    /// Its name.
    pub name: String,
    /// What the kernel calls its kind, such as `veth`; empty for hardware.
    pub kind: String,
    /// What it is to us.
    pub class: LinkClass,
    /// Hardware address, `None` where it has none.
    pub mac: Option<[u8; 6]>,
    /// Largest packet in bytes.
    pub mtu: u32,
    /// Number of the other end of a pair, in the other end's namespace; of others the link below.
    pub peer_ifindex: Option<u32>,
    /// Id this namespace has for the namespace of the other end; `None` where that is this one.
    pub peer_netns_id: Option<u32>,
    /// Bridge or bond it belongs to.
    pub master: Option<u32>,
    /// Whether it is switched on.
    pub is_up: bool,
    /// Whether its packets are seen.
    pub observation: Observation,
}

/// Change of the links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    /// There is a new link.
    Added(Link),
    /// Something about a link is different.
    Changed(Link),
    /// A link is gone; this is what was known of it.
    Removed(Link),
}

/// Where the IP header of a link's packets is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// Behind an Ethernet header.
    Ethernet,
    /// At the very beginning.
    Raw,
}

/// Follows the links of a namespace.
#[derive(Debug)]
pub(super) struct Links {
    socket: LinkSocket,
    /// With the number of the dump that mentioned them last.
    known: BTreeMap<u32, (Link, u64)>,
    dump: Dump,
}

/// The dump that runs, or was the last. The kernel refuses to begin one while another runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Dump {
    /// Counts dumps; what one does not mention is gone.
    number: u64,
    is_running: bool,
    /// Whether it does not tell all: another has to follow.
    is_stale: bool,
}

impl Links {
    /// Opens in the namespace of the calling thread and reads the first list.
    pub(super) fn open(take: &mut dyn FnMut(&LinkMessage) -> Observation) -> io::Result<Self> {
        Self::begin(LinkSocket::open()?, take)
    }

    fn begin(socket: LinkSocket, take: &mut dyn FnMut(&LinkMessage) -> Observation) -> io::Result<Self> {
        let mut links = Self { socket, known: BTreeMap::new(), dump: Dump::default() };
        links.request()?;
        let deadline = Instant::now() + LIST_DEADLINE;
        let mut done = false;
        while !done {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            wait(links.socket.as_fd(), left)?;
            done = links.poll(take, &mut |_| {})?;
        }
        Ok(links)
    }

    /// All links.
    pub(super) fn all(&self) -> impl Iterator<Item = &Link> {
        self.known.values().map(|(link, _)| link)
    }

    /// Takes in what has changed. `observe` is asked about links that are new or not observed yet; `tell` hears of
    /// changes. True when a list was completed.
    pub(super) fn poll(
        &mut self,
        observe: &mut dyn FnMut(&LinkMessage) -> Observation,
        tell: &mut dyn FnMut(LinkEvent),
    ) -> io::Result<bool> {
        let mut messages = Vec::new();
        let mut completed = false;
        if self.dump.is_stale && !self.dump.is_running {
            // The last request failed.
            self.request()?;
        }
        loop {
            match self.socket.receive(&mut |message| messages.push(message))? {
                Received::Nothing => return Ok(completed),
                Received::Some => {}
                Received::Overrun => self.request()?,
            }
            let mut refused = None;
            for message in messages.drain(..) {
                match message {
                    Message::New(link) => self.learn(&link, observe, tell),
                    Message::Gone { ifindex } => self.forget(ifindex, tell),
                    Message::DumpDone { torn } if self.dump.end(torn) => {
                        self.forget_unmentioned(tell);
                        completed = true;
                    }
                    Message::DumpDone { .. } => self.request()?,
                    Message::Refused(errno) => {
                        self.dump.end(true);
                        refused = Some(io::Error::from_raw_os_error(errno));
                    }
                }
            }
            if let Some(error) = refused {
                return Err(error);
            }
        }
    }

    /// Asks for all links, now or once the dump that runs is done.
    fn request(&mut self) -> io::Result<()> {
        if self.dump.begin() {
            self.socket.request_dump().inspect_err(|_| {
                self.dump.end(true);
            })?;
        }
        Ok(())
    }

    fn learn(
        &mut self,
        message: &LinkMessage,
        observe: &mut dyn FnMut(&LinkMessage) -> Observation,
        tell: &mut dyn FnMut(LinkEvent),
    ) {
        let before = self.known.get(&message.ifindex).map(|(link, _)| link);
        let observation = match before {
            Some(Link { observation: Observation::On, .. }) => Observation::On,
            _ => observe(message),
        };
        let link = Link::new(message, observation);
        match before {
            Some(before) if *before == link => {}
            Some(_) => tell(LinkEvent::Changed(link.clone())),
            None => tell(LinkEvent::Added(link.clone())),
        }
        self.known.insert(message.ifindex, (link, self.dump.number));
    }

    fn forget(&mut self, ifindex: u32, tell: &mut dyn FnMut(LinkEvent)) {
        if let Some((link, _)) = self.known.remove(&ifindex) {
            tell(LinkEvent::Removed(link));
        }
    }

    fn forget_unmentioned(&mut self, tell: &mut dyn FnMut(LinkEvent)) {
        let dump = self.dump.number;
        let gone = self.known.iter().filter(|(_, (_, mentioned))| *mentioned < dump).map(|(ifindex, _)| *ifindex);
        for ifindex in gone.collect::<Vec<_>>() {
            self.forget(ifindex, tell);
        }
    }
}

impl Dump {
    /// Says whether to ask for one now.
    const fn begin(&mut self) -> bool {
        if self.is_running {
            self.is_stale = true;
            return false;
        }
        *self = Self { number: self.number + 1, is_running: true, is_stale: false };
        true
    }

    /// Takes its end; says whether it told all. If not, another is to begin.
    const fn end(&mut self, torn: bool) -> bool {
        self.is_running = false;
        self.is_stale |= torn;
        !self.is_stale
    }
}

impl AsFd for Links {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Link {
    fn new(message: &LinkMessage, observation: Observation) -> Self {
        Self {
            ifindex: message.ifindex,
            name: message.name.clone(),
            kind: message.kind.clone(),
            class: class(message),
            mac: message.mac.filter(|mac| *mac != [0; 6]),
            mtu: message.mtu,
            peer_ifindex: message.peer_ifindex,
            peer_netns_id: message.peer_netns_id,
            master: message.master,
            is_up: message.flags & IFF_UP != 0,
            observation,
        }
    }
}

/// Waits until there is something to read, or the time is up.
pub(super) fn wait(fd: BorrowedFd<'_>, timeout: Duration) -> io::Result<()> {
    let milliseconds = u16::try_from(timeout.as_millis().max(1)).unwrap_or(u16::MAX);
    match poll(&mut [PollFd::new(fd, PollFlags::POLLIN)], PollTimeout::from(milliseconds)) {
        Ok(_) | Err(nix::errno::Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// What a link is to us.
fn class(message: &LinkMessage) -> LinkClass {
    if message.flags & IFF_LOOPBACK != 0 || message.hardware == ARPHRD_LOOPBACK {
        LinkClass::Loopback
    } else if matches!(message.kind.as_str(), "veth" | "netkit") {
        LinkClass::Endpoint
    } else if TUNNELS.contains(&message.kind.as_str()) {
        LinkClass::Tunnel
    } else if PASSED_OVER.contains(&message.kind.as_str()) || shape(message).is_none() {
        LinkClass::Other
    } else {
        LinkClass::Physical
    }
}

/// Where the IP header is; `None` for links whose packets we cannot read.
pub(super) fn shape(message: &LinkMessage) -> Option<Shape> {
    match message.hardware {
        ARPHRD_ETHER | ARPHRD_LOOPBACK => Some(Shape::Ethernet),
        ARPHRD_NONE | ARPHRD_RAWIP | ARPHRD_PPP | ARPHRD_TUNNEL | ARPHRD_TUNNEL6 | ARPHRD_SIT | ARPHRD_IPGRE
        | ARPHRD_IP6GRE => Some(Shape::Raw),
        _ => None,
    }
}

/// Whether a link is to be observed.
pub(super) fn is_wanted(message: &LinkMessage, config: &CaptureConfig) -> bool {
    let wanted = match class(message) {
        LinkClass::Endpoint | LinkClass::Physical | LinkClass::Tunnel => true,
        LinkClass::Loopback => config.loopback,
        LinkClass::Other => false,
    };
    wanted && !config.exclude_links.iter().any(|pattern| matches_pattern(pattern, &message.name))
}

/// Whether a name fits a pattern in which `*` stands for any text.
fn matches_pattern(pattern: &str, name: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == name,
        Some((head, rest)) => name.strip_prefix(head).is_some_and(|name| {
            (0..=name.len()).filter_map(|at| name.get(at..)).any(|tail| matches_pattern(rest, tail))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(name: &str, kind: &str, hardware: u16) -> LinkMessage {
        LinkMessage { ifindex: 9, name: name.to_owned(), kind: kind.to_owned(), hardware, ..LinkMessage::default() }
    }

    #[test]
    fn links_that_carry_packets_first_hand_are_wanted() {
        let config = CaptureConfig { exclude_links: vec!["cali*x".to_owned()], ..CaptureConfig::default() };
        let check = |name, kind, hardware| is_wanted(&message(name, kind, hardware), &config);
        assert!(check("eth0", "", ARPHRD_ETHER));
        assert!(check("vethab", "veth", ARPHRD_ETHER));
        assert!(check("vx0", "vxlan", ARPHRD_ETHER));
        assert!(check("wg0", "wireguard", ARPHRD_NONE));
        assert!(check("tunl0", "ipip", ARPHRD_TUNNEL));
        assert!(!check("lo", "", ARPHRD_LOOPBACK));
        assert!(!check("br0", "bridge", ARPHRD_ETHER));
        assert!(!check("eth0.5", "vlan", ARPHRD_ETHER));
        assert!(!check("can0", "vcan", 280));
        assert!(!check("cali12x", "veth", ARPHRD_ETHER));
        assert!(check("cali12y", "veth", ARPHRD_ETHER));
        assert_eq!(shape(&message("wg0", "wireguard", ARPHRD_NONE)), Some(Shape::Raw));
        assert_eq!(shape(&message("vx0", "vxlan", ARPHRD_ETHER)), Some(Shape::Ethernet));
    }

    #[test]
    fn patterns() {
        for (pattern, name, expected) in [
            ("a*", "abc", true),
            ("*c", "abc", true),
            ("a*c", "abc", true),
            ("*", "", true),
            ("ab", "abc", false),
            ("*b", "abc", false),
            ("a*b*d", "acbd", true),
        ] {
            assert_eq!(matches_pattern(pattern, name), expected, "{pattern} {name}");
        }
    }

    #[test]
    fn one_dump_follows_the_other() {
        let mut dump = Dump::default();
        assert!(dump.begin());
        assert!(dump.end(false));
        assert!(dump.begin());
        // Messages were lost while it runs.
        assert!(!dump.begin());
        assert_eq!(dump.number, 2, "what it has mentioned is not gone when it ends");
        assert!(!dump.end(false), "another has to follow");
        assert!(dump.begin());
        assert!(!dump.end(true));
        assert!(dump.begin());
        assert_eq!(dump, Dump { number: 4, is_running: true, is_stale: false });
        assert!(dump.end(false));
    }

    #[test]
    fn the_running_kernel_has_a_loopback_device() {
        let links = Links::open(&mut |_| Observation::NotWanted).unwrap();
        assert!(links.all().any(|link| link.class == LinkClass::Loopback));
    }
}
