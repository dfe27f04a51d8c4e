//! The two ends of a packet or socket, as keys of tables.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use ebpf_abi::{DropKey, FlowKey, Tuple, protocol};

/// An address and a port as the kernel writes them: IPv4 as `::ffff:a.b.c.d`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct End {
    pub(crate) ip: [u8; 16],
    pub(crate) port: u16,
}

/// From one end to the other.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Pair {
    pub(crate) from: End,
    pub(crate) to: End,
    pub(crate) protocol: u8,
    /// Cookie of the network namespace for loopback addresses, which every namespace has; 0 for all others, so that the
    /// packet is the same wherever on the node it is seen.
    pub(crate) scope: u64,
}

impl End {
    pub(crate) fn address(&self) -> IpAddr {
        Ipv6Addr::from(self.ip).to_canonical()
    }

    pub(crate) fn socket_address(&self) -> SocketAddr {
        SocketAddr::new(self.address(), self.port)
    }
}

impl From<SocketAddr> for End {
    fn from(address: SocketAddr) -> Self {
        let ip = match address.ip() {
            IpAddr::V4(v4) => v4.to_ipv6_mapped(),
            IpAddr::V6(v6) => v6,
        };
        Self { ip: ip.octets(), port: address.port() }
    }
}

impl Pair {
    pub(crate) fn new(from: End, to: End, protocol: u8, netns: u64) -> Self {
        let loopback = from.address().is_loopback() || to.address().is_loopback();
        Self { from, to, protocol, scope: if loopback { netns } else { 0 } }
    }

    /// Ends of the packets of a flow.
    pub(crate) fn of_flow(key: &FlowKey, netns: u64) -> Self {
        let from = End { ip: key.source_ip, port: key.source_port };
        let to = End { ip: key.destination_ip, port: key.destination_port };
        Self::new(from, to, key.protocol, netns)
    }

    /// Ends of dropped packets.
    pub(crate) fn of_drop(key: &DropKey) -> Self {
        let from = End { ip: key.source_ip, port: key.source_port };
        let to = End { ip: key.destination_ip, port: key.destination_port };
        Self::new(from, to, key.protocol, key.netns)
    }

    /// Ends of a socket, the local one first, or of a packet.
    pub(crate) fn of_tuple(tuple: &Tuple, netns: u64) -> Self {
        let from = End { ip: tuple.source_ip, port: tuple.source_port };
        let to = End { ip: tuple.destination_ip, port: tuple.destination_port };
        Self::new(from, to, tuple.protocol, netns)
    }

    /// The same the other way.
    pub(crate) const fn reversed(self) -> Self {
        Self { from: self.to, to: self.from, ..self }
    }

    /// Both directions under one key, and whether this one had to be turned for it. ICMP has no ports: what stands in
    /// their place differs between a request and its reply, so it is left out.
    pub(crate) fn undirected(mut self) -> (Self, bool) {
        if self.is_icmp() {
            self.from.port = 0;
            self.to.port = 0;
        }
        if self.from <= self.to { (self, false) } else { (self.reversed(), true) }
    }

    pub(crate) const fn is_icmp(&self) -> bool {
        matches!(self.protocol, protocol::ICMP | protocol::ICMPV6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn end(text: &str) -> End {
        text.parse::<SocketAddr>().unwrap().into()
    }

    #[test]
    fn both_directions_have_one_key() {
        let pair = Pair::new(end("10.0.0.2:40000"), end("10.0.0.3:80"), 6, 30);
        assert_eq!(pair.scope, 0);
        assert_eq!(pair.undirected().0, pair.reversed().undirected().0);
        assert_ne!(pair.undirected().1, pair.reversed().undirected().1);
        assert_eq!(pair.from.socket_address().to_string(), "10.0.0.2:40000");
        let echo = Pair::new(end("10.0.0.2:8"), end("10.0.0.3:0"), 1, 0);
        let reply = Pair::new(end("10.0.0.3:0"), end("10.0.0.2:0"), 1, 0);
        assert_eq!(echo.undirected().0, reply.undirected().0);
    }

    #[test]
    fn loopback_is_another_in_each_namespace() {
        let pair = |netns| Pair::new(end("[::1]:40000"), end("[::1]:80"), 6, netns);
        assert_ne!(pair(30), pair(31));
    }
}
