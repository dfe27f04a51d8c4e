//! The life of a connection.

use std::sync::Arc;

use flow::{FlowPhase, TcpFlags};

use crate::cluster::{Cluster, Node, Pod, server_port};
use crate::dice::Dice;

/// What a connection is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// TCP between pods.
    Plain,
    /// A name looked up.
    Dns,
    /// HTTP requests.
    Http,
    /// An attempt that is dropped.
    Drop,
    /// TCP to a named address outside.
    Outside,
}

impl Kind {
    pub(crate) const COUNT: usize = 5;
    pub(crate) const ALL: [Self; Self::COUNT] = [Self::Plain, Self::Dns, Self::Http, Self::Drop, Self::Outside];

    /// Share of the flows of each kind, in percent.
    pub(crate) const fn of_percent(percent: usize) -> Self {
        match percent {
            0..20 => Self::Dns,
            20..45 => Self::Http,
            45..48 => Self::Drop,
            48..53 => Self::Outside,
            _ => Self::Plain,
        }
    }
}

/// A connection that lives.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) kind: Kind,
    pub(crate) client: Arc<Pod>,
    pub(crate) server: Arc<Pod>,
    pub(crate) client_port: u16,
    pub(crate) server_port: u16,
    /// Tells connections apart.
    pub(crate) number: u64,
    /// Number of the request that is answered next, or of the name that is looked up.
    pub(crate) subject: usize,
    step: usize,
    steps: usize,
}

/// One flow of a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Step {
    pub(crate) is_reply: bool,
    /// Whether the client's node sees it, else the server's.
    pub(crate) at_client: bool,
    pub(crate) phase: FlowPhase,
    pub(crate) flags: TcpFlags,
    pub(crate) last: bool,
}

impl Connection {
    pub(crate) fn open(kind: Kind, cluster: &Cluster, dice: &mut Dice) -> Self {
        let (client, server) = match kind {
            Kind::Outside => cluster.pair_outside(dice),
            Kind::Dns => cluster.pair_dns(dice),
            Kind::Plain | Kind::Http | Kind::Drop => cluster.pair(dice),
        };
        let (server_port, steps) = match kind {
            Kind::Dns => (53, 2),
            Kind::Outside => (443, 8),
            Kind::Drop => (server_port(server.workload), 1 + dice.below(3)),
            // An even number: requests come with their responses.
            Kind::Http => (8_080, 2 * (1 + dice.below(6))),
            Kind::Plain => (server_port(server.workload), 4 + dice.below(9)),
        };
        Self {
            kind,
            client,
            server,
            client_port: 32_768 + u16::try_from(dice.below(28_000)).expect("below 28,000"),
            server_port,
            number: dice.any(),
            subject: dice.below(1_000_000),
            step: 0,
            steps,
        }
    }

    /// What happens next.
    pub(crate) fn step(&mut self, dice: &mut Dice) -> Step {
        let step = self.step;
        self.step += 1;
        let last = self.step >= self.steps;
        let is_reply = self.kind != Kind::Drop && step % 2 == 1;
        if !is_reply && step > 0 {
            self.subject = dice.below(1_000_000);
        }
        let (phase, flags) = match step {
            0 => (FlowPhase::New, TcpFlags::SYN),
            1 => (FlowPhase::New, TcpFlags::SYN.union(TcpFlags::ACK)),
            _ if step + 2 >= self.steps => (FlowPhase::Close, TcpFlags::FIN.union(TcpFlags::ACK)),
            _ if dice.below(3) == 0 => (FlowPhase::Update, TcpFlags::PSH.union(TcpFlags::ACK)),
            _ => (FlowPhase::Update, TcpFlags::ACK),
        };
        let at_client = self.kind == Kind::Outside || dice.below(2) == 0;
        Step { is_reply, at_client, phase, flags, last }
    }

    /// The node that sees it.
    pub(crate) fn observer(&self, at_client: bool) -> &Node {
        if at_client { &self.client.node } else { &self.server.node }
    }
}
