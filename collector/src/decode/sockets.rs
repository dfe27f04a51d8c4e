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
/// Sockets that wait at one local end and are told apart: those that share a port are alike, and one that closes leaves
/// others.
const WAITERS_MAX: usize = 4;

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
    /// When its owner was told last, in nanoseconds since boot.
    owned_ns: u64,
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
    waiting: Generations<Waiting, Waiters>,
    closed: VecDeque<(Timestamp, u64)>,
    /// Processes that used datagram sockets, and when they ended, in nanoseconds since boot.
    holders: Generations<u32, Option<u64>>,
}

/// A socket that takes packets of any peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Waiting {
    local: End,
    protocol: u8,
    netns: u64,
}

/// Cookies of sockets that wait at the same local end, the newest first; 0 where there is none.
#[derive(Clone, Copy, Debug, Default)]
struct Waiters([u64; WAITERS_MAX]);

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
            holders: Generations::new(capacity / 8),
        }
    }

    /// Takes a record. What it does not tell is kept from earlier ones. `now` is that of [`Sockets::expire`].
    pub(crate) fn learn(&mut self, record: &SockRecord, now: Timestamp) -> Change {
        let cookie = record.header.cookie;
        let pair = Pair::of_tuple(&record.tuple, record.netns);
        let owner =
            Owner { tgid: record.tgid, uid: record.uid, comm: record.comm, cgroup: record.cgroup, netns: record.netns };
        let owned_ns = record.header.at_boot_ns;
        let made = Socket { pair, owner, role: Role::of(record.role), closed: false, owned_ns };
        let (socket, _) = self.by_cookie.get_or_insert_with(cookie, || made);
        if owner.tgid != 0 {
            socket.owner = owner;
            socket.owned_ns = owned_ns;
            if pair.protocol != protocol::TCP {
                self.holders.get_or_insert_with(owner.tgid, || None);
            }
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

    /// Learns the ends of a socket from a packet it sent: while it connects, its own port is not told yet, and of a
    /// datagram socket nothing is told before its first packet.
    pub(crate) fn learn_pair(&mut self, cookie: u64, pair: Pair) {
        match self.by_cookie.get(&cookie) {
            // A listener answers for connections that are not its own.
            Some(socket) if socket.role == Role::Listener => return,
            Some(socket) if socket.pair.from.port == 0 => socket.pair = pair,
            // The kernel answers through sockets of its own.
            None if pair.is_icmp() => return,
            Some(_) | None => {}
        }
        // Whatever socket had these ends before is gone.
        self.by_pair.insert(pair, cookie);
    }

    /// Takes the end of a process.
    pub(crate) fn process_ended(&mut self, tgid: u32, at_ns: u64) {
        if let Some(ended) = self.holders.get(&tgid) {
            *ended = Some(at_ns);
        }
    }

    /// The socket with this cookie.
    pub(crate) fn find(&mut self, cookie: u64) -> Option<Socket> {
        if cookie == 0 { None } else { self.by_cookie.get(&cookie).copied() }
    }

    /// Owner of the socket with these ends, the local one being `pair.from`, at a time in nanoseconds since boot.
    /// `cookie` is the socket's own where a packet tells it, else 0; `netns` the namespace its address lives in, `None`
    /// for one that is not on this node.
    pub(crate) fn owner(&mut self, cookie: u64, pair: &Pair, netns: Option<u64>, at_ns: u64) -> Option<Owner> {
        let by_pair = if cookie == 0 { self.by_pair.get(pair).copied() } else { None };
        let found = self.find(by_pair.unwrap_or(cookie));
        match found.filter(|socket| cookie != 0 || !self.is_over(socket, at_ns)) {
            Some(socket) if socket.owner.tgid != 0 => Some(socket.owner),
            // Established by the kernel, but not yet accepted by anybody: it is the listener's.
            Some(socket) => self.waiting(pair, socket.owner.netns, at_ns).or(Some(socket.owner)),
            // Its record comes behind its first packet. Who had the port before may be another.
            None if found.is_none() && by_pair.unwrap_or(cookie) != 0 && pair.protocol != protocol::TCP => None,
            None => self.waiting(pair, netns?, at_ns),
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
        self.holders.turn();
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
            let key = waiting_key(&pair, socket.owner.netns);
            self.waiting.get_or_insert_with(key, Waiters::default).0.add(cookie);
        }
    }

    fn close(&mut self, cookie: u64, socket: &Socket, now: Timestamp) {
        if socket.role == Role::Listener {
            let key = waiting_key(&socket.pair, socket.owner.netns);
            if self.waiting.get(&key).is_some_and(|waiters| !waiters.remove(cookie)) {
                self.waiting.remove(&key);
            }
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
    fn waiting(&mut self, pair: &Pair, netns: u64, at_ns: u64) -> Option<Owner> {
        let all_v4 = End { ip: std::net::Ipv4Addr::UNSPECIFIED.to_ipv6_mapped().octets(), port: pair.from.port };
        let all_v6 = End { ip: [0; 16], port: pair.from.port };
        [pair.from, all_v4, all_v6].into_iter().find_map(|local| {
            let Waiters(cookies) = *self.waiting.get(&Waiting { local, protocol: pair.protocol, netns })?;
            cookies.into_iter().find_map(|cookie| {
                let socket = self.find(cookie)?;
                (socket.owner.tgid != 0 && !self.is_over(&socket, at_ns)).then_some(socket.owner)
            })
        })
    }

    /// Whether a datagram socket went with its process before this time. Nothing else tells of its end.
    fn is_over(&mut self, socket: &Socket, at_ns: u64) -> bool {
        if socket.pair.protocol == protocol::TCP {
            return false;
        }
        let ended = self.holders.get(&socket.owner.tgid).copied().flatten();
        // The number may have been given to another process since.
        ended.is_some_and(|ended| socket.owned_ns <= ended && ended < at_ns)
    }
}

impl Waiters {
    /// Puts a socket in front; the last makes room.
    fn add(&mut self, cookie: u64) {
        let at = self.0.iter().position(|known| *known == cookie).unwrap_or(WAITERS_MAX - 1);
        self.0[..=at].rotate_right(1);
        self.0[0] = cookie;
    }

    /// Takes a socket out; says whether any is left.
    fn remove(&mut self, cookie: u64) -> bool {
        if let Some(at) = self.0.iter().position(|known| *known == cookie) {
            self.0[at..].rotate_left(1);
            self.0[WAITERS_MAX - 1] = 0;
        }
        self.0[0] != 0
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

    /// A record of a datagram socket whose process is seen using it at a time.
    fn datagram_record(cookie: u64, local: &str, remote: &str, tgid: u32, at_boot_ns: u64) -> SockRecord {
        let record = record(cookie, local, remote, tgid);
        let tuple = Tuple { protocol: protocol::UDP, ..record.tuple };
        SockRecord { header: Header { at_boot_ns, ..record.header }, tuple, new_state: 7, old_state: 7, ..record }
    }

    fn datagram(local: &str, remote: &str) -> Pair {
        Pair { protocol: protocol::UDP, ..pair(local, remote) }
    }

    fn listener(cookie: u64, tgid: u32) -> SockRecord {
        let record = record(cookie, "0.0.0.0:80", "0.0.0.0:0", tgid);
        SockRecord { role: role::LISTENER, new_state: tcp_state::LISTEN, ..record }
    }

    fn closed(record: SockRecord) -> SockRecord {
        SockRecord { old_state: record.new_state, new_state: tcp_state::CLOSE, ..record }
    }

    impl Sockets {
        /// Process of the owner, at a time.
        fn tgid(&mut self, cookie: u64, pair: &Pair, netns: Option<u64>, at_ns: u64) -> Option<u32> {
            self.owner(cookie, pair, netns, at_ns).map(|owner| owner.tgid)
        }
    }

    #[test]
    fn a_connecting_socket_is_joined_by_the_first_packet() {
        let mut sockets = Sockets::new(64);
        sockets.learn(&SockRecord { role: role::CLIENT, ..record(7, "10.0.0.2:0", "10.0.0.3:80", 100) }, NOW);
        let packet = pair("10.0.0.2:40000", "10.0.0.3:80");
        assert_eq!(sockets.tgid(0, &packet, None, 1), None);
        assert_eq!(sockets.tgid(7, &packet, None, 1), Some(100));
        sockets.learn_pair(7, packet);
        assert_eq!(sockets.tgid(0, &packet, None, 1), Some(100), "also where the packet has lost its socket");
    }

    #[test]
    fn what_nobody_accepted_yet_is_the_listeners() {
        let mut sockets = Sockets::new(64);
        sockets.learn(&listener(1, 200), NOW);
        let to_server = pair("10.0.0.3:80", "10.0.0.2:40000");
        assert_eq!(sockets.tgid(0, &to_server, Some(30), 1), Some(200));
        assert_eq!(sockets.tgid(8, &to_server, Some(30), 1), Some(200), "its answer, before it is established");
        assert_eq!(sockets.tgid(0, &to_server, Some(31), 1), None, "another namespace has its own port 80");
        let child = SockRecord { role: role::SERVER, ..record(8, "10.0.0.3:80", "10.0.0.2:40000", 0) };
        sockets.learn(&child, NOW);
        assert_eq!(sockets.tgid(8, &to_server, None, 1), Some(200));
        sockets.learn(&SockRecord { tgid: 201, role: role::UNKNOWN, ..child }, NOW);
        assert_eq!(sockets.tgid(0, &to_server, None, 1), Some(201));
        assert_eq!(sockets.find(8).unwrap().role, Role::Server);
        assert_eq!(sockets.learn(&closed(listener(1, 200)), NOW), Change::Closed);
        assert_eq!(sockets.tgid(0, &pair("10.0.0.3:80", "10.0.0.9:1"), Some(30), 1), None);
    }

    #[test]
    fn a_listener_that_closes_leaves_those_that_share_its_port() {
        let to_server = pair("10.0.0.3:80", "10.0.0.2:40000");
        for (gone, left) in [(1, 202), (2, 201)] {
            let mut sockets = Sockets::new(64);
            sockets.learn(&listener(1, 201), NOW);
            sockets.learn(&listener(2, 202), NOW);
            assert_eq!(sockets.tgid(0, &to_server, Some(30), 1), Some(202), "the newest");
            sockets.learn(&closed(listener(gone, 200 + u32::try_from(gone).unwrap())), NOW);
            assert_eq!(sockets.tgid(0, &to_server, Some(30), 1), Some(left));
        }
    }

    #[test]
    fn more_listeners_than_are_told_apart() {
        let mut waiters = Waiters::default();
        (1..=6).for_each(|cookie| waiters.add(cookie));
        assert_eq!(waiters.0, [6, 5, 4, 3]);
        waiters.add(4);
        assert_eq!(waiters.0, [4, 6, 5, 3]);
        assert!(waiters.remove(6) && waiters.remove(1));
        assert_eq!(waiters.0, [4, 5, 3, 0]);
        assert!(waiters.remove(4) && waiters.remove(3) && !waiters.remove(5));
    }

    /// A datagram socket is told of behind its first packet, and nothing tells of its end.
    #[test]
    fn a_port_used_again_is_not_its_earlier_owners() {
        let mut sockets = Sockets::new(64);
        let (asks, answers) = (datagram("10.0.0.2:40000", "10.0.0.3:53"), datagram("10.0.0.3:53", "10.0.0.2:40000"));
        sockets.learn_pair(7, asks);
        assert_eq!(sockets.tgid(7, &asks, Some(30), 1), None, "not told yet");
        sockets.learn(&datagram_record(7, "10.0.0.2:40000", "10.0.0.3:53", 100, 2), NOW);
        assert_eq!([7, 0].map(|cookie| sockets.tgid(cookie, &asks, Some(30), 3)), [Some(100); 2]);
        // Another process asks from the same port.
        sockets.learn_pair(8, asks);
        assert_eq!([8, 0].map(|cookie| sockets.tgid(cookie, &asks, Some(30), 5)), [None; 2]);
        assert_eq!(sockets.tgid(7, &asks, Some(30), 5), Some(100), "totals of the first are told later");
        // An unconnected one, as its record has no other end.
        sockets.learn(&datagram_record(8, "0.0.0.0:40000", "0.0.0.0:0", 101, 6), NOW);
        assert_eq!([8, 0].map(|cookie| sockets.tgid(cookie, &asks, Some(30), 7)), [Some(101); 2]);
        // Whoever answers is in the same case.
        sockets.learn(&datagram_record(9, "0.0.0.0:53", "0.0.0.0:0", 200, 6), NOW);
        assert_eq!(sockets.tgid(0, &answers, Some(30), 7), Some(200));
        assert_eq!(sockets.tgid(10, &answers, Some(30), 7), None);
    }

    #[test]
    fn a_datagram_socket_ends_with_its_process() {
        let mut sockets = Sockets::new(64);
        let answers = datagram("10.0.0.3:53", "10.0.0.2:40000");
        sockets.learn(&datagram_record(9, "0.0.0.0:53", "0.0.0.0:0", 200, 6), NOW);
        sockets.process_ended(200, 10);
        sockets.process_ended(201, 10);
        assert_eq!(sockets.tgid(0, &answers, Some(30), 10), Some(200), "a packet from before");
        assert_eq!(sockets.tgid(0, &answers, Some(30), 11), None, "not yet told who has the port now");
        assert_eq!(sockets.tgid(9, &answers, Some(30), 11), Some(200), "the socket itself says so");
        // The number of the process is given to another, which takes the port.
        sockets.learn(&datagram_record(10, "0.0.0.0:53", "0.0.0.0:0", 200, 12), NOW);
        assert_eq!(sockets.tgid(0, &answers, Some(30), 13), Some(200));
        assert_eq!(sockets.find(10).unwrap().owner.tgid, 200);
    }

    #[test]
    fn a_closed_socket_is_forgotten_later() {
        let mut sockets = Sockets::new(64);
        let open = record(7, "10.0.0.2:40000", "10.0.0.3:80", 100);
        let state = |old_state, new_state| SockRecord { old_state, new_state, ..open };
        assert_eq!(sockets.learn(&state(tcp_state::SYN_SENT, tcp_state::ESTABLISHED), NOW), Change::Opened);
        assert_eq!(sockets.learn(&state(4, tcp_state::CLOSE), NOW), Change::Closed);
        assert!(sockets.owner(0, &pair("10.0.0.2:40000", "10.0.0.3:80"), None, 1).is_some());
        sockets.expire(NOW.after(CLOSED_FOR));
        assert_eq!(sockets.len(), 1);
        sockets.expire(NOW.after(CLOSED_FOR * 2));
        assert_eq!(sockets.len(), 0);
        assert!(sockets.owner(0, &pair("10.0.0.2:40000", "10.0.0.3:80"), None, 1).is_none());
    }
}
