//! What is where on this node: namespaces, their addresses, the links that lead to them, the cgroups. An immutable
//! snapshot, made anew when something changes.

use std::net::IpAddr;
use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::cgroup::{Cgroup, Cgroups, Unit};
use super::netns::Netns;

/// Number of the host's own place.
pub(crate) const HOST: u32 = 0;

/// Kinds of devices whose packets are, or become, the inside of a tunnel.
const TUNNEL_KINDS: [&str; 12] = [
    "vxlan",
    "geneve",
    "gre",
    "gretap",
    "ip6gre",
    "ip6gretap",
    "ipip",
    "ip6tnl",
    "sit",
    "erspan",
    "wireguard",
    "bareudp",
];

/// What is where on this node.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct World {
    places: Vec<Place>,
    by_address: HashMap<IpAddr, u32, RandomState>,
    by_cookie: HashMap<u64, u32, RandomState>,
    links: HashMap<u32, Link, RandomState>,
    cgroups: Cgroups,
}

/// A network namespace with what lives in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// Name: of the node, the namespace or the container.
    pub(crate) name: Arc<str>,
    /// Name of the namespace's file, empty for none.
    pub(crate) netns: Arc<str>,
    /// Cookie of the namespace, 0 where it is not known.
    pub(crate) cookie: u64,
    /// Container or service whose processes live in it; never for the host.
    pub(crate) unit: Option<Unit>,
    /// What the container runtime knows.
    pub(crate) container: Option<Arc<Container>>,
    /// Sorted.
    addresses: Vec<IpAddr>,
}

/// What a container runtime knows of a container.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Container {
    pub(crate) name: String,
    /// Compose project.
    pub(crate) project: String,
    /// Compose service.
    pub(crate) service: String,
}

/// A device of the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Link {
    pub(crate) name: Arc<str>,
    pub(crate) role: LinkRole,
}

/// What a device leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum LinkRole {
    /// A namespace of this node.
    Endpoint,
    /// The network outside.
    Network,
    /// A tunnel.
    Overlay,
}

impl World {
    /// Puts the facts together. `namespaces` has the host's first; `container` is asked for containers by the first
    /// digits of their id.
    pub(crate) fn assemble(
        node_name: &str,
        namespaces: &[Netns],
        cgroups: Cgroups,
        container: &mut dyn FnMut(&Unit) -> Option<Arc<Container>>,
    ) -> Self {
        let mut world = Self { cgroups, ..Self::default() };
        for (number, netns) in (0..).zip(namespaces) {
            let place = if number == HOST { host_place(node_name, netns) } else { place(netns, container) };
            for address in place.addresses.iter().filter(|a| !a.is_loopback()) {
                // The host comes first, so an address that a namespace shares with it is the host's.
                world.by_address.entry(*address).or_insert(number);
            }
            if place.cookie != 0 {
                world.by_cookie.insert(place.cookie, number);
            }
            world.places.push(place);
        }
        if let Some(host) = namespaces.first() {
            world.links = links(host);
        }
        world
    }

    /// All places, the host first.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// The place with this number.
    pub(crate) fn place(&self, number: u32) -> Option<&Place> {
        self.places.get(number as usize)
    }

    /// Where an address lives. `cookie` is that of the namespace its socket is in, where that is known: it tells apart
    /// namespaces that use the same address.
    pub(crate) fn locate(&self, address: IpAddr, cookie: u64) -> Option<u32> {
        let by_cookie = self.by_cookie.get(&cookie).copied();
        if address.is_loopback() {
            return by_cookie.or(Some(HOST));
        }
        let by_address = self.by_address.get(&address).copied();
        match by_cookie {
            Some(number) if by_address.is_none() || self.has_address(number, address) => Some(number),
            // In a namespace younger than the snapshot: the address was another's before.
            None if cookie != 0 => by_address.filter(|number| self.may_be(*number, cookie)),
            _ => by_address,
        }
    }

    /// Number of the place with this cookie.
    pub(crate) fn place_of_cookie(&self, cookie: u64) -> Option<u32> {
        self.by_cookie.get(&cookie).copied()
    }

    /// The host's device with this index.
    pub(crate) fn link(&self, index: u32) -> Option<&Link> {
        self.links.get(&index)
    }

    /// Whether cgroups have ids: where no unified tree is mounted they have none.
    pub(crate) fn has_cgroups(&self) -> bool {
        !self.cgroups.is_empty()
    }

    /// The cgroup with this id.
    pub(crate) fn cgroup(&self, id: u64) -> Option<&Cgroup> {
        self.cgroups.get(&id)
    }

    /// Whether an address of this place may be in the namespace of this cookie, which is that of no place. The host gives
    /// none of its own away.
    fn may_be(&self, number: u32, cookie: u64) -> bool {
        number == HOST || self.place(number).is_none_or(|place| place.cookie == 0 || place.cookie == cookie)
    }

    fn has_address(&self, number: u32, address: IpAddr) -> bool {
        self.place(number).is_some_and(|place| place.addresses.binary_search(&address).is_ok())
    }
}

fn host_place(node_name: &str, netns: &Netns) -> Place {
    let addresses = netns.devices.addresses.clone();
    Place { name: node_name.into(), netns: "".into(), cookie: netns.cookie, unit: None, container: None, addresses }
}

fn place(netns: &Netns, container: &mut dyn FnMut(&Unit) -> Option<Arc<Container>>) -> Place {
    let unit = netns.unit.clone().filter(|unit| unit.kind.is_container());
    let container = unit.as_ref().and_then(container);
    // Container engines give their namespace files names that nobody chose.
    let chosen = !netns.name.is_empty() && !netns.name.starts_with("netns-") && !netns.name.starts_with("cni-");
    let name: Arc<str> = match (&unit, &container) {
        _ if chosen => netns.name.as_str().into(),
        (_, Some(container)) if !container.name.is_empty() => container.name.as_str().into(),
        (Some(unit), _) => unit.name.clone(),
        _ if !netns.name.is_empty() => netns.name.as_str().into(),
        _ => format!("netns-{}", netns.inode).into(),
    };
    let addresses = netns.devices.addresses.clone();
    Place { name, netns: netns.name.as_str().into(), cookie: netns.cookie, unit, container, addresses }
}

fn links(host: &Netns) -> HashMap<u32, Link, RandomState> {
    let link = |device: &super::netlink::Device| {
        let role = match device.kind.as_str() {
            // With both ends on the host, as between two bridges, nobody lives behind it.
            "veth" | "netkit" if device.peer_elsewhere => LinkRole::Endpoint,
            kind if TUNNEL_KINDS.contains(&kind) => LinkRole::Overlay,
            // A tap device leads to a virtual machine, which is no namespace; its packets are another machine's.
            _ => LinkRole::Network,
        };
        (device.index, Link { name: device.name.as_str().into(), role })
    };
    host.devices.devices.iter().map(link).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::super::netlink::{Device, Devices};
    use super::*;

    /// A namespace for tests.
    pub(crate) fn netns(name: &str, cookie: u64, addresses: &[&str], devices: &[(u32, &str, &str)]) -> Netns {
        let devices = devices.iter().map(|(index, name, kind)| Device {
            index: *index,
            name: (*name).to_owned(),
            kind: (*kind).to_owned(),
            peer_elsewhere: *kind == "veth",
            ..Device::default()
        });
        let mut addresses: Vec<IpAddr> = addresses.iter().map(|a| a.parse().unwrap()).collect();
        addresses.sort_unstable();
        let devices = Devices { devices: devices.collect(), addresses };
        Netns { name: name.to_owned(), inode: cookie, cookie, devices, unit: None }
    }

    /// A node with the namespaces `web` (10.0.0.2) and `db` (10.0.0.3).
    pub(crate) fn small_world() -> World {
        let host = netns(
            "",
            1,
            &["127.0.0.1", "10.0.0.1", "192.0.2.7"],
            &[(2, "eth0", ""), (5, "vweb", "veth"), (6, "vdb", "veth"), (7, "vx0", "vxlan")],
        );
        let web = netns("web", 30, &["127.0.0.1", "10.0.0.2"], &[]);
        let db = netns("db", 31, &["127.0.0.1", "10.0.0.3"], &[]);
        World::assemble("node-1", &[host, web, db], Cgroups::default(), &mut |_| None)
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn addresses_are_located_with_the_cookie_as_a_hint() {
        let world = small_world();
        assert_eq!(world.locate(ip("10.0.0.2"), 0), Some(1));
        assert_eq!(world.locate(ip("10.0.0.2"), 31), Some(1), "a cookie does not overrule a known address");
        assert_eq!(world.locate(ip("10.0.0.99"), 31), Some(2), "an address not read yet is where its socket is");
        assert_eq!(world.locate(ip("10.0.0.99"), 0), None);
        assert_eq!(world.locate(ip("10.0.0.2"), 32), None, "the address was given to another namespace");
        assert_eq!(world.locate(ip("10.0.0.1"), 32), Some(HOST));
        assert_eq!(world.locate(ip("127.0.0.1"), 31), Some(2));
        assert_eq!(world.locate(ip("::1"), 0), Some(HOST));
    }

    #[test]
    fn overlapping_addresses_are_told_apart_by_the_cookie() {
        let host = netns("", 1, &["10.0.0.1"], &[]);
        let (a, b) = (netns("a", 30, &["10.0.0.2"], &[]), netns("b", 31, &["10.0.0.2"], &[]));
        let world = World::assemble("n", &[host, a, b], Cgroups::default(), &mut |_| None);
        assert_eq!(world.locate(ip("10.0.0.2"), 30), Some(1));
        assert_eq!(world.locate(ip("10.0.0.2"), 31), Some(2));
    }

    #[test]
    fn links_have_roles() {
        let world = small_world();
        let role = |index| world.link(index).map(|l| l.role);
        assert_eq!(role(2), Some(LinkRole::Network));
        assert_eq!(role(5), Some(LinkRole::Endpoint));
        assert_eq!(role(7), Some(LinkRole::Overlay));
        assert_eq!(role(9), None);
    }

    #[test]
    fn a_pair_between_bridges_leads_to_nobody() {
        let mut host = netns("", 1, &[], &[(8, "fwpr100p0", "veth")]);
        host.devices.devices[0].peer_elsewhere = false;
        let world = World::assemble("n", &[host], Cgroups::default(), &mut |_| None);
        assert_eq!(world.link(8).unwrap().role, LinkRole::Network);
    }

    #[test]
    fn a_container_names_its_namespace() {
        use super::super::cgroup::UnitKind;
        let mut docker = netns("", 40, &["172.17.0.2"], &[]);
        docker.unit = Some(Unit { kind: UnitKind::Docker, name: "4f1c2d3e5a6b".into() });
        let host = netns("", 1, &[], &[]);
        let known = Arc::new(Container { name: "web".into(), ..Container::default() });
        let name = |netns: &Netns, known: Option<Arc<Container>>| {
            let world =
                World::assemble("n", &[host.clone(), netns.clone()], Cgroups::default(), &mut |_| known.clone());
            world.place(1).unwrap().name.to_string()
        };
        assert_eq!(name(&docker, Some(known)), "web");
        assert_eq!(name(&docker, None), "4f1c2d3e5a6b");
        docker.unit = None;
        assert_eq!(name(&docker, None), "netns-40");
    }
}
