//! Sockets of this node and the processes that own them.

use std::collections::VecDeque;
use std::time::Duration;

use ebpf_abi::{SockRecord, protocol, role, tcp_state};
use flow::Timestamp;

use super::pair::{End, Pair};
use crate::generations::Generations;

/// How long a closed socket is remembered: its last packets are reported by the sweep of the kernel's flow map.
const CLOSED_FOR: Duration = Duration::from_secs(40);
/// Closed sockets remembered at most; beyond that the oldest goes at once.
const CLOSED_MAX: usize = 32_768;

/// Process that owns a socket, as the kernel tells it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Owner {
    /// Process in the host's numbering; 0 where no process was seen using the socket.
    pub(crate) tgid: u32,
    pub(crate) uid: u32,
    /// Name the kernel keeps, zero-filled.
    pub(crate) comm: [u8; 16],
    /// Id of the cgroup, 0 where it is not known.
    pub(crate) cgroup: u64,
    /// Cookie of the network namespace, 0 where it is not known.
    pub(crate) netns: u64,
}

/// A socket of this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Socket {
    /// Local end first; the remote one is zero while it is not connected.
    pub(crate) pair: Pair,
    pub(crate) owner: Owner,
    pub(crate) role: Role,
    closed: bool,
}

/// Part a socket plays.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Role {
    #[default]
    Unknown,
    Client,
    Server,
    Listener,
}

/// Sockets by cookie, by their ends, and those that wait for peers by their local end.
#[derive(Debug)]
pub(crate) struct Sockets {
    by_cookie: Generations<u64, Socket>,
    by_pair: Generations<Pair, u64>,
    waiting: Generations<Waiting, u64>,
    closed: VecDeque<(Timestamp, u64)>,
}

/// A socket that takes packets of any peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Waiting {
    local: End,
    protocol: u8,
    netns: u64,
}

/// What a record changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// A connection is established.
    Opened,
    /// A connection is closed.
    Closed,
    /// Its owner became known, or something else that makes no difference to connections.
    Other,
}

impl Role {
    const fn of(number: u8) -> Self {
        match number {
            role::CLIENT => Self::Client,
            role::SERVER => Self::Server,
            role::LISTENER => Self::Listener,
            _ => Self::Unknown,
        }
    }
}

impl Sockets {
    /// No sockets yet, `capacity` at most.
    pub(crate) fn new(capacity: usize) -> Self {
        Self {
            by_cookie: Generations::new(capacity),
            by_pair: Generations::new(capacity),
            waiting: Generations::new(capacity / 4),
            closed: VecDeque::new(),
        }
    }

    /// Takes a record. What it does not tell is kept from earlier ones.
    pub(crate) fn learn(&mut self, record: &SockRecord, now: Timestamp) -> Change {
        let cookie = record.header.cookie;
        let pair = Pair::of_tuple(&record.tuple, record.netns);
        let owner =
            Owner { tgid: record.tgid, uid: record.uid, comm: record.comm, cgroup: record.cgroup, netns: record.netns };
        let made = Socket { pair, owner, role: Role::of(record.role), closed: false };
        let (socket, _) = self.by_cookie.get_or_insert_with(cookie, || made);
        if owner.tgid != 0 {
            socket.owner = owner;
        }
        if made.role != Role::Unknown {
            socket.role = made.role;
        }
        // At close the ports may be gone already.
        if pair.from.port != 0 && (pair.to.port != 0 || socket.pair.to.port == 0) {
            socket.pair = pair;
        }
        let changed = record.old_state != record.new_state;
        socket.closed = changed && record.new_state == tcp_state::CLOSE;
        let socket = *socket;
        self.index(cookie, &socket);
        match record.new_state {
            tcp_state::CLOSE if changed => {
                self.close(cookie, &socket, now);
                Change::Closed
            }
            tcp_state::ESTABLISHED if changed => Change::Opened,
            _ => Change::Other,
        }
    }

    /// Learns the ends of a socket from a packet it sent: while it connects, its own port is not told yet.
    pub(crate) fn learn_pair(&mut self, cookie: u64, pair: Pair) {
        let Some(socket) = self.by_cookie.get(&cookie) else { return };
        // A listener answers for connections that are not its own.
        if socket.role == Role::Listener {
            return;
        }
        if socket.pair.from.port == 0 {
            socket.pair = pair;
        }
        self.by_pair.insert(pair, cookie);
    }

    /// The socket with this cookie.
    pub(crate) fn find(&mut self, cookie: u64) -> Option<Socket> {
        if cookie == 0 { None } else { self.by_cookie.get(&cookie).copied() }
    }

    /// Owner of the socket with these ends, the local one being `pair.from`. `known` is that socket where it was found
    /// by its cookie, `netns` the namespace its address lives in, `None` for one that is not on this node.
    pub(crate) fn owner(&mut self, known: Option<Socket>, pair: &Pair, netns: Option<u64>) -> Option<Owner> {
        let direct = known.or_else(|| {
            let cookie = *self.by_pair.get(pair)?;
            self.find(cookie)
        });
        match direct {
            Some(socket) if socket.owner.tgid != 0 => Some(socket.owner),
            // Established by the kernel, but not yet accepted by anybody: it is the listener's.
            Some(socket) => self.waiting(pair, socket.owner.netns).or(Some(socket.owner)),
            None => self.waiting(pair, netns?),
        }
    }

    /// Forgets sockets that were closed for long.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        while self.closed.front().is_some_and(|(at, _)| now.since(*at) > CLOSED_FOR) {
            self.forget_oldest_closed();
        }
    }

    /// Ends a generation of all tables.
    pub(crate) fn turn(&mut self) {
        self.by_cookie.turn();
        self.by_pair.turn();
        self.waiting.turn();
    }

    /// Sockets known.
    pub(crate) fn len(&self) -> usize {
        self.by_cookie.len()
    }

    /// Sockets forgotten for lack of room.
    pub(crate) const fn evicted(&self) -> u64 {
        self.by_cookie.evicted()
    }

    fn index(&mut self, cookie: u64, socket: &Socket) {
        let pair = socket.pair;
        if pair.from.port == 0 {
            return;
        }
        if pair.to.port != 0 {
            self.by_pair.insert(pair, cookie);
        } else if socket.role == Role::Listener || pair.protocol != protocol::TCP {
            self.waiting.insert(waiting_key(&pair, socket.owner.netns), cookie);
        }
    }

    fn close(&mut self, cookie: u64, socket: &Socket, now: Timestamp) {
        if socket.role == Role::Listener {
            self.waiting.remove(&waiting_key(&socket.pair, socket.owner.netns));
        }
        if self.closed.len() >= CLOSED_MAX {
            self.forget_oldest_closed();
        }
        self.closed.push_back((now, cookie));
    }

    fn forget_oldest_closed(&mut self) {
        let Some((_, cookie)) = self.closed.pop_front() else { return };
        if !self.by_cookie.peek(&cookie).is_some_and(|socket| socket.closed) {
            return;
        }
        if let Some(socket) = self.by_cookie.remove(&cookie)
            && self.by_pair.peek(&socket.pair) == Some(&cookie)
        {
            self.by_pair.remove(&socket.pair);
        }
    }

    /// Owner of the socket that waits for packets to `pair.from`: bound to this address, else to all.
    fn waiting(&mut self, pair: &Pair, netns: u64) -> Option<Owner> {
        let all_v4 = End { ip: std::net::Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets(), port: pair.from.port };
        let all_v6 = End { ip: [0; 16], port: pair.from.port };
        [pair.from, all_v4, all_v6].into_iter().find_map(|local| {
            let cookie = *self.waiting.get(&Waiting { local, protocol: pair.protocol, netns })?;
            let socket = self.find(cookie)?;
            (socket.owner.tgid != 0).then_some(socket.owner)
        })
    }
}

const fn waiting_key(pair: &Pair, netns: u64) -> Waiting {
    Waiting { local: pair.from, protocol: pair.protocol, netns }
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use ebpf_abi::{Header, Tuple};

    use super::*;

    const NOW: Timestamp = Timestamp(0);

    fn pair(local: &str, remote: &str) -> Pair {
        let end = |text: &str| End::from(text.parse::<SocketAddr>().unwrap());
        Pair::new(end(local), end(remote), protocol::TCP, 30)
    }

    fn record(cookie: u64, local: &str, remote: &str, tgid: u32) -> SockRecord {
        let pair = pair(local, remote);
        let tuple = Tuple {
            source_ip: pair.from.ip,
            destination_ip: pair.to.ip,
            source_port: pair.from.port,
            destination_port: pair.to.port,
            protocol: protocol::TCP,
            ip_version: 4,
            ..Tuple::ZERO
        };
        let header = Header { cookie, ..Header::ZERO };
        SockRecord { header, tuple, netns: 30, tgid, ..SockRecord::ZERO }
    }

    fn owner_by_cookie(sockets: &mut Sockets, cookie: u64, pair: &Pair) -> Option<Owner> {
        let known = sockets.find(cookie);
        sockets.owner(known, pair, None)
    }

    #[test]
    fn a_connecting_socket_is_joined_by_the_first_packet() {
        let mut sockets = Sockets::new(64);
        sockets.learn(&SockRecord { role: role::CLIENT, ..record(7, "10.0.0.2:0", "10.0.0.3:80", 100) }, NOW);
        let packet = pair("10.0.0.2:40000", "10.0.0.3:80");
        assert_eq!(sockets.owner(None, &packet, None), None);
        assert_eq!(owner_by_cookie(&mut sockets, 7, &packet).unwrap().tgid, 100);
        sockets.learn_pair(7, packet);
        assert_eq!(sockets.owner(None, &packet, None).unwrap().tgid, 100, "also where the packet has lost its socket");
    }

    #[test]
    fn what_nobody_accepted_yet_is_the_listeners() {
        let mut sockets = Sockets::new(64);
        let listener = SockRecord {
            role: role::LISTENER,
            new_state: tcp_state::LISTEN,
            ..record(1, "0.0.0.0:80", "0.0.0.0:0", 200)
        };
        sockets.learn(&listener, NOW);
        let to_server = pair("10.0.0.3:80", "10.0.0.2:40000");
        assert_eq!(sockets.owner(None, &to_server, Some(30)).unwrap().tgid, 200);
        assert_eq!(sockets.owner(None, &to_server, Some(31)), None, "another namespace has its own port 80");
        let child = SockRecord { role: role::SERVER, ..record(8, "10.0.0.3:80", "10.0.0.2:40000", 0) };
        sockets.learn(&child, NOW);
        assert_eq!(owner_by_cookie(&mut sockets, 8, &to_server).unwrap().tgid, 200);
        sockets.learn(&SockRecord { tgid: 201, role: role::UNKNOWN, ..child }, NOW);
        assert_eq!(sockets.owner(None, &to_server, None).unwrap().tgid, 201);
        assert_eq!(sockets.find(8).unwrap().role, Role::Server);
        let closed = SockRecord { old_state: tcp_state::LISTEN, new_state: tcp_state::CLOSE, ..listener };
        assert_eq!(sockets.learn(&closed, NOW), Change::Closed);
        assert_eq!(sockets.owner(None, &pair("10.0.0.3:80", "10.0.0.9:1"), Some(30)), None);
    }

    #[test]
    fn a_closed_socket_is_forgotten_later() {
        let mut sockets = Sockets::new(64);
        let open = record(7, "10.0.0.2:40000", "10.0.0.3:80", 100);
        let state = |old_state, new_state| SockRecord { old_state, new_state, ..open };
        assert_eq!(sockets.learn(&state(tcp_state::SYN_SENT, tcp_state::ESTABLISHED), NOW), Change::Opened);
        assert_eq!(sockets.learn(&state(4, tcp_state::CLOSE), NOW), Change::Closed);
        assert!(sockets.owner(None, &pair("10.0.0.2:40000", "10.0.0.3:80"), None).is_some());
        sockets.expire(NOW.after(CLOSED_FOR));
        assert_eq!(sockets.len(), 1);
        sockets.expire(NOW.after(CLOSED_FOR * 2));
        assert_eq!(sockets.len(), 0);
        assert!(sockets.owner(None, &pair("10.0.0.2:40000", "10.0.0.3:80"), None).is_none());
    }
}
