//! Records of the kernel become flows. Pure: records, a snapshot of the node and its clock come in, values come out.
//! No input panics.

mod application;
mod conversation;
mod drops;
mod ids;
mod packet;
mod pair;
mod sockets;
mod totals;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use ebpf_abi::{DropKey, FlowKey, SockRecord};
use flow::{Emitter, Flow, Timestamp};

use crate::config::DecodeConfig;
use crate::enrich::World;
use crate::source::KernelNames;
pub(crate) use application::Opened;
use conversation::Conversations;
use ids::FlowIds;
use pair::Pair;
pub(crate) use sockets::Owner;
use sockets::{Change, Role, Sockets};
use totals::Totals;

/// A flow without names, and what is known to find them.
#[derive(Debug)]
pub(crate) struct Decoded {
    pub(crate) flow: Flow,
    pub(crate) source: Party,
    pub(crate) destination: Party,
}

/// What is known of one side of a flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Party {
    /// Process of its socket.
    pub(crate) owner: Option<Owner>,
    /// Cookie of the namespace it is in, 0 where only its address tells.
    pub(crate) netns: u64,
}

/// What every flow of this node carries.
#[derive(Clone, Debug)]
pub(crate) struct NodeFacts {
    /// `cluster/node` outside the default cluster.
    pub(crate) name: Arc<str>,
    pub(crate) labels: Arc<[String]>,
    pub(crate) emitter: Arc<Emitter>,
    /// A number that other nodes and other runs do not have.
    pub(crate) run: u64,
}

/// Sizes of the tables, and what had to make room in them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TableStats {
    pub(crate) conversations: usize,
    pub(crate) conversations_evicted: u64,
    pub(crate) observations: usize,
    pub(crate) observations_evicted: u64,
    pub(crate) sockets: usize,
    pub(crate) sockets_evicted: u64,
    /// Chunks of payload whose socket was never told, so that nobody knows whose they are.
    pub(crate) chunks_without_socket: u64,
}

/// Makes flows of records.
pub(crate) struct Decoder {
    node: NodeFacts,
    ids: FlowIds,
    observations: Totals<FlowKey>,
    drops: Totals<DropKey>,
    conversations: Conversations,
    sockets: Sockets,
    names: Option<Arc<dyn KernelNames>>,
    clock_offset_ns: i64,
    /// Time of the newest record, in nanoseconds since boot: the wall clock may be set back.
    latest_ns: u64,
    /// Time of the last call of [`Decoder::expire`].
    now: Timestamp,
    chunks_without_socket: u64,
    turns: Turns,
}

/// When tables forget what was silent.
#[derive(Debug)]
struct Turns {
    idle: Duration,
    socket_idle: Duration,
    last: Timestamp,
    last_sockets: Timestamp,
}

impl Decoder {
    /// A decoder that has seen nothing. `names` is the source's, where it is a kernel.
    pub(crate) fn new(config: &DecodeConfig, node: NodeFacts, names: Option<Arc<dyn KernelNames>>) -> Self {
        Self {
            ids: FlowIds::new(node.run),
            observations: Totals::new(config.observations_max),
            drops: Totals::new(config.observations_max / 8),
            conversations: Conversations::new(config.conversations_max, node.run),
            sockets: Sockets::new(config.sockets_max),
            node,
            names,
            clock_offset_ns: 0,
            latest_ns: 0,
            now: Timestamp(0),
            chunks_without_socket: 0,
            turns: Turns {
                // A generation lasts half the time, because an entry survives one turn after its last use.
                idle: Duration::from_secs(config.idle_seconds.max(2)) / 2,
                socket_idle: Duration::from_secs(config.socket_idle_seconds.max(2)) / 2,
                last: Timestamp(0),
                last_sockets: Timestamp(0),
            },
        }
    }

    /// Sets what to add to the time of records for wall-clock time.
    pub(crate) const fn set_clock_offset(&mut self, offset_ns: i64) {
        self.clock_offset_ns = offset_ns;
    }

    /// Time of a record for the application parsers, which must not see the wall clock set back: that since boot.
    pub(crate) fn source_time(boot_ns: u64) -> Timestamp {
        Timestamp(i64::try_from(boot_ns).unwrap_or(i64::MAX))
    }

    /// Wall-clock time of what happened at a time of [`Decoder::source_time`].
    const fn wall_time(&self, source_time: Timestamp) -> Timestamp {
        Timestamp(source_time.0.saturating_add(self.clock_offset_ns))
    }

    /// Time of a flow that a record with news of this time makes.
    fn news_time(&mut self, boot_ns: u64) -> Timestamp {
        self.latest_ns = self.latest_ns.max(boot_ns);
        self.wall_time(Self::source_time(boot_ns))
    }

    /// Time of a flow made of totals whose last packet came then. Totals are read seconds later, and readers of the
    /// history count on its order, so they are as new as the newest record.
    fn totals_time(&mut self, boot_ns: u64) -> Timestamp {
        self.news_time(self.latest_ns.max(boot_ns))
    }

    /// Takes what is told of a socket; says what it means for the connection's payload.
    pub(crate) fn socket(&mut self, record: &SockRecord) -> Opened {
        let change = self.sockets.learn(record, self.now);
        let Some(socket) = self.sockets.find(record.header.cookie) else { return Opened::Nothing };
        let from_client = match socket.role {
            Role::Client => Some(true),
            Role::Server => Some(false),
            Role::Unknown | Role::Listener => None,
        };
        if change == Change::Closed {
            self.conversations.measured(socket.pair, record.srtt_us, record.retransmits);
        }
        application::opened(change, record.header.cookie, socket.pair, from_client)
    }

    /// Takes the end of a process.
    pub(crate) fn process_ended(&mut self, tgid: u32, boot_ns: u64) {
        self.sockets.process_ended(tgid, boot_ns);
    }

    /// Forgets what was silent for too long. Call it about once a second. `now` is of a clock that nobody sets.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.now = now;
        self.sockets.expire(now);
        if self.turns.last.0 == 0 {
            self.turns.last = now;
            self.turns.last_sockets = now;
        }
        if now.since(self.turns.last) >= self.turns.idle {
            self.turns.last = now;
            self.observations.turn();
            self.drops.turn();
            self.conversations.turn();
        }
        if now.since(self.turns.last_sockets) >= self.turns.socket_idle {
            self.turns.last_sockets = now;
            self.sockets.turn();
        }
    }

    /// Sizes of the tables, and what had to make room in them.
    pub(crate) fn stats(&self) -> TableStats {
        TableStats {
            conversations: self.conversations.len(),
            conversations_evicted: self.conversations.evicted(),
            observations: self.observations.len() + self.drops.len(),
            observations_evicted: self.observations.evicted() + self.drops.evicted(),
            sockets: self.sockets.len(),
            sockets_evicted: self.sockets.evicted(),
            chunks_without_socket: self.chunks_without_socket,
        }
    }

    /// A flow with what all flows of this node have.
    fn blank(&mut self, time: Timestamp) -> Flow {
        Flow {
            time,
            id: self.ids.next(time),
            emitter: Some(self.node.emitter.clone()),
            node_name: self.node.name.clone(),
            node_labels: self.node.labels.clone(),
            ..Flow::default()
        }
    }

    /// Owners of the sockets at both ends of a packet of this time. `cookie` is that of the sender's socket, 0 where the
    /// packet does not tell it.
    fn parties(&mut self, pair: &Pair, cookie: u64, boot_ns: u64, world: &World) -> (Party, Party) {
        let netns = |address| match pair.scope {
            0 => world.locate(address, 0).map(|number| world.place(number).map_or(0, |place| place.cookie)),
            loopback => Some(loopback),
        };
        let party = |owner: Option<Owner>, netns: Option<u64>| {
            let told = owner.map(|owner| owner.netns).filter(|cookie| *cookie != 0);
            Party { owner: owner.filter(|owner| owner.tgid != 0), netns: told.or(netns).unwrap_or(0) }
        };
        let (from, to) = (netns(pair.from.address()), netns(pair.to.address()));
        let source = party(self.sockets.owner(cookie, pair, from, boot_ns), from);
        let destination = party(self.sockets.owner(0, &pair.reversed(), to, boot_ns), to);
        (source, destination)
    }
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
