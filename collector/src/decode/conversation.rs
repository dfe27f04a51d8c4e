//! Conversations: both directions of a connection, at all points it is seen, under one number, and who began it.

use ebpf_abi::{protocol, tcp};

use super::pair::Pair;
use crate::generations::Generations;

/// Ports below this one belong to services.
const SERVICE_PORTS_END: u16 = 1024;
/// Ports from this one on are given to clients: Linux's default, and above what most services listen on.
const CLIENT_PORTS_START: u16 = 32_768;

/// ICMP types that ask and those that answer, of IPv4 and IPv6.
const ICMP_REQUESTS: [(u8, u16); 4] =
    [(protocol::ICMP, 8), (protocol::ICMP, 13), (protocol::ICMPV6, 128), (protocol::ICMPV6, 135)];
const ICMP_REPLIES: [(u8, u16); 4] =
    [(protocol::ICMP, 0), (protocol::ICMP, 14), (protocol::ICMPV6, 129), (protocol::ICMPV6, 136)];

/// A connection or its like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Conversation {
    /// Number that both directions share on this node; never 0.
    pub(crate) id: u64,
    /// Smoothed round-trip time in microseconds; 0 where it is not known.
    pub(crate) rtt_us: u32,
    /// Segments sent again.
    pub(crate) retransmits: u32,
    client: Option<Side>,
    evidence: Evidence,
    /// FIN seen from the lower and the upper end, or RST seen.
    fins: [bool; 2],
    reset: bool,
}

/// Which end of the undirected pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Lower,
    Upper,
}

/// Why an end is held to be the client's, the weakest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Evidence {
    None,
    /// It sent the first packet that was seen, which need not have been the first.
    FirstPacket,
    /// The ports are as usual.
    Ports,
    /// Its socket says so.
    Socket,
    /// It sent the SYN, or got the SYN with ACK.
    Handshake,
}

/// What is known of a packet when its conversation is looked up.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Seen {
    /// TCP flags of the packet; 0 where only totals are known.
    pub(crate) tcp_flags: u8,
    /// Whether it is the first of its direction.
    pub(crate) first: bool,
    /// Whether the sender's socket is known to be the client's.
    pub(crate) from_client: Option<bool>,
}

/// Conversations by their ends.
#[derive(Debug)]
pub(crate) struct Conversations {
    table: Generations<Pair, Conversation>,
    salt: u64,
    made: u64,
}

impl Conversations {
    /// No conversations yet, `capacity` at most. `salt` makes their numbers differ from those of other runs and nodes.
    pub(crate) fn new(capacity: usize, salt: u64) -> Self {
        Self { table: Generations::new(capacity), salt, made: 0 }
    }

    /// Finds or makes the conversation a packet belongs to, learns from the packet, and says whether it is a reply, and
    /// whether the conversation was made.
    pub(crate) fn observe(&mut self, pair: Pair, seen: Seen) -> (Conversation, Option<bool>, bool) {
        let (key, turned) = pair.undirected();
        let sender = if turned { Side::Upper } else { Side::Lower };
        let opening = pair.protocol == protocol::TCP && seen.tcp_flags & (tcp::SYN | tcp::ACK) == tcp::SYN;
        let number = self.salt.wrapping_add(self.made);
        let (conversation, made) = self.table.get_or_insert_with(key, || Conversation::new(number));
        self.made += u64::from(made);
        if opening && !made && conversation.is_over() {
            *conversation = Conversation::new(self.salt.wrapping_add(self.made));
            self.made += 1;
        }
        conversation.learn(&pair, sender, seen);
        let reply = if pair.is_icmp() { icmp_reply(&pair) } else { conversation.client.map(|client| client != sender) };
        (*conversation, reply, made)
    }

    /// Takes what a socket knows at its end. `pair` has the socket's own end first.
    pub(crate) fn measured(&mut self, pair: Pair, rtt_us: u32, retransmits: u32) {
        if let Some(conversation) = self.table.get(&pair.undirected().0) {
            // Both ends may be on this node: the one that waited for answers has a round-trip time.
            conversation.rtt_us = if rtt_us == 0 { conversation.rtt_us } else { rtt_us };
            conversation.retransmits = conversation.retransmits.max(retransmits);
        }
    }

    /// Number of a conversation that is known, else 0; learns nothing.
    pub(crate) fn id_of(&self, pair: &Pair) -> u64 {
        self.table.peek(&pair.undirected().0).map_or(0, |conversation| conversation.id)
    }

    /// Ends a generation.
    pub(crate) fn turn(&mut self) {
        self.table.turn();
    }

    /// Conversations known.
    pub(crate) fn len(&self) -> usize {
        self.table.len()
    }

    /// Conversations forgotten for lack of room.
    pub(crate) const fn evicted(&self) -> u64 {
        self.table.evicted()
    }
}

impl Conversation {
    fn new(number: u64) -> Self {
        Self {
            id: mix(number).max(1),
            rtt_us: 0,
            retransmits: 0,
            client: None,
            evidence: Evidence::None,
            fins: [false; 2],
            reset: false,
        }
    }

    /// Whether both ends have said goodbye, or one has slammed the door.
    pub(crate) const fn is_over(&self) -> bool {
        self.reset || (self.fins[0] && self.fins[1])
    }

    fn learn(&mut self, pair: &Pair, sender: Side, seen: Seen) {
        if pair.protocol == protocol::TCP {
            self.fins[sender as usize] |= seen.tcp_flags & tcp::FIN != 0;
            self.reset |= seen.tcp_flags & tcp::RST != 0;
            match seen.tcp_flags & (tcp::SYN | tcp::ACK) {
                tcp::SYN => self.conclude(sender, Evidence::Handshake),
                flags if flags & tcp::SYN != 0 => self.conclude(sender.other(), Evidence::Handshake),
                _ => {}
            }
        }
        if let Some(from_client) = seen.from_client {
            self.conclude(if from_client { sender } else { sender.other() }, Evidence::Socket);
        }
        if self.evidence == Evidence::None && !pair.is_icmp() {
            match client_by_ports(pair.from.port, pair.to.port) {
                Some(true) => self.conclude(sender, Evidence::Ports),
                Some(false) => self.conclude(sender.other(), Evidence::Ports),
                // The first TCP packet seen of a connection without a SYN is just any packet of it.
                None if seen.first && pair.protocol != protocol::TCP => self.conclude(sender, Evidence::FirstPacket),
                None => {}
            }
        }
    }

    fn conclude(&mut self, client: Side, evidence: Evidence) {
        if evidence > self.evidence {
            self.client = Some(client);
            self.evidence = evidence;
        }
    }
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Lower => Self::Upper,
            Self::Upper => Self::Lower,
        }
    }
}

/// Whether the sender is the client, as far as ports tell.
const fn client_by_ports(from: u16, to: u16) -> Option<bool> {
    match (from < SERVICE_PORTS_END, to < SERVICE_PORTS_END) {
        (true, false) => return Some(false),
        (false, true) => return Some(true),
        _ => {}
    }
    match (from >= CLIENT_PORTS_START, to >= CLIENT_PORTS_START) {
        (true, false) => Some(true),
        (false, true) => Some(false),
        _ => None,
    }
}

/// Errors answer another conversation, so they are neither.
fn icmp_reply(pair: &Pair) -> Option<bool> {
    let kind = (pair.protocol, pair.from.port);
    if ICMP_REQUESTS.contains(&kind) {
        Some(false)
    } else if ICMP_REPLIES.contains(&kind) {
        Some(true)
    } else {
        None
    }
}

/// Spreads a counter over all 64 bits without two inputs meeting (the finaliser of `SplitMix64`).
const fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::super::pair::End;
    use super::*;

    fn pair(from: &str, to: &str, protocol: u8) -> Pair {
        let end = |text: &str| End::from(text.parse::<SocketAddr>().unwrap());
        Pair::new(end(from), end(to), protocol, 0)
    }

    fn flags(tcp_flags: u8) -> Seen {
        Seen { tcp_flags, ..Seen::default() }
    }

    #[test]
    fn the_handshake_tells_the_client_whatever_the_ports() {
        let mut all = Conversations::new(64, 1);
        // The client has the service's kind of port.
        let request = pair("10.0.0.2:80", "10.0.0.3:40000", protocol::TCP);
        assert_eq!(all.observe(request, flags(tcp::SYN)).1, Some(false));
        assert_eq!(all.observe(request.reversed(), flags(tcp::SYN | tcp::ACK)).1, Some(true));
        let mut late = Conversations::new(64, 1);
        assert_eq!(late.observe(request, flags(tcp::ACK)).1, Some(true), "ports are all there is");
        assert_eq!(late.observe(request.reversed(), flags(tcp::SYN | tcp::ACK)).1, Some(true));
        assert_eq!(late.observe(request, flags(tcp::ACK)).1, Some(false));
    }

    #[test]
    fn the_same_ends_make_a_new_conversation_after_a_close() {
        let mut all = Conversations::new(64, 1);
        let request = pair("10.0.0.2:40000", "10.0.0.3:80", protocol::TCP);
        let first = all.observe(request, flags(tcp::SYN)).0.id;
        assert_eq!(all.observe(request, flags(tcp::SYN)).0.id, first, "seen again at the next device");
        all.observe(request, flags(tcp::FIN | tcp::ACK));
        assert_eq!(all.observe(request, flags(tcp::SYN)).0.id, first, "half closed is not closed");
        all.observe(request.reversed(), flags(tcp::FIN | tcp::ACK));
        assert_eq!(all.observe(request, flags(tcp::ACK)).0.id, first, "the last packets belong to it");
        let second = all.observe(request, flags(tcp::SYN)).0.id;
        assert_ne!(second, first);
        all.observe(request.reversed(), flags(tcp::RST | tcp::ACK));
        assert_ne!(all.observe(request, flags(tcp::SYN)).0.id, second);
    }

    #[test]
    fn without_a_handshake_ports_or_sockets_decide() {
        #[track_caller]
        fn check(from: u16, to: u16, protocol: u8, first: bool, expected: Option<bool>) {
            let pair = pair(&format!("10.0.0.2:{from}"), &format!("10.0.0.3:{to}"), protocol);
            let seen = Seen { first, ..Seen::default() };
            assert_eq!(Conversations::new(64, 1).observe(pair, seen).1, expected, "{from} {to} {protocol}");
        }
        check(40_000, 443, protocol::TCP, false, Some(false));
        check(443, 40_000, protocol::TCP, false, Some(true));
        check(8080, 40_000, protocol::TCP, false, Some(true));
        check(40_000, 40_001, protocol::TCP, true, None);
        check(8080, 9090, protocol::TCP, true, None);
        check(53, 40_000, protocol::UDP, true, Some(true));
        check(123, 123, protocol::UDP, true, Some(false));
        check(123, 123, protocol::UDP, false, None);
        let pair = pair("10.0.0.2:40000", "10.0.0.3:40001", protocol::TCP);
        let seen = Seen { from_client: Some(false), ..Seen::default() };
        assert_eq!(Conversations::new(64, 1).observe(pair, seen).1, Some(true));
    }

    #[test]
    fn icmp_requests_and_replies_share_a_conversation() {
        let mut all = Conversations::new(64, 1);
        let (request, is_reply, _) = all.observe(pair("10.0.0.2:8", "10.0.0.3:0", protocol::ICMP), Seen::default());
        assert_eq!(is_reply, Some(false));
        let (reply, is_reply, _) = all.observe(pair("10.0.0.3:0", "10.0.0.2:0", protocol::ICMP), Seen::default());
        assert_eq!((reply.id, is_reply), (request.id, Some(true)));
        let unreachable = pair("10.0.0.3:3", "10.0.0.2:1", protocol::ICMP);
        assert_eq!(all.observe(unreachable, Seen::default()).1, None);
    }

    #[test]
    fn numbers_of_conversations_differ() {
        let mut all = Conversations::new(1 << 16, 42);
        let ids: std::collections::HashSet<u64> = (1..10_000u16)
            .map(|port| {
                all.observe(pair(&format!("10.0.0.2:{port}"), "10.0.0.3:80", protocol::TCP), flags(tcp::SYN)).0.id
            })
            .collect();
        assert_eq!(ids.len(), 9_999);
    }
}
