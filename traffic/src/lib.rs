//! The traffic of a cluster that does not exist, from a seed: what benchmarks measure and tests compare.
//!
//! 2,000 pods of 400 workloads in 40 namespaces on 100 nodes. Workloads talk in 4,000 pairs drawn by Zipf's law; each
//! connection gives several flows, seen by the client's node or the server's. 20 % of the flows are DNS, 25 % HTTP
//! over 80 routes, 5 % go to named addresses outside, 3 % are drops for 12 reasons. Pods are replaced all the time and
//! their addresses used again. The same settings always give the same flows.

mod cluster;
mod connection;
mod dice;
pub mod measure;
mod record;

use std::sync::Arc;

use flow::{Emitter, Flow, KernelDrop, Timestamp};

pub use cluster::{NAMESPACES, NODES, PODS, ROUTES, WORKLOADS};
pub use record::DROP_REASONS;

use cluster::Cluster;
use connection::{Connection, Kind};
use dice::{Dice, Zipf};
use record::Ids;

/// What traffic to make.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Any number; another one gives other flows of the same kind.
    pub seed: u64,
    /// Time of the first flow.
    pub start: Timestamp,
    /// Nanoseconds from one flow to the next.
    pub interval_ns: i64,
}

impl Default for Settings {
    /// Seed 1, from 2026-01-15 10:11:12 UTC on, 10,000 flows a second.
    fn default() -> Self {
        Self { seed: 1, start: Timestamp(1_768_471_872_000_000_000), interval_ns: 100_000 }
    }
}

/// An endless stream of flows, in order of arrival: up to 20 ms out of order by time.
#[derive(Debug)]
pub struct Traffic {
    dice: Dice,
    now: i64,
    interval_ns: i64,
    made: u64,
    cluster: Cluster,
    ids: Ids,
    emitter: Arc<Emitter>,
    drops: Vec<Arc<KernelDrop>>,
    drop_ranks: Zipf,
    /// Connections that live, by [`Kind`].
    open: [Vec<Connection>; Kind::COUNT],
}

/// Connections of each kind that live at one time.
const OPEN: usize = 1_024;

/// Flows between two replacements of a pod: five thousand pods come and go in ten million flows.
const FLOWS_PER_REPLACEMENT: u64 = 2_000;

/// Nodes report at different moments.
const DISORDER_NS: u64 = 20_000_000;

impl Traffic {
    /// Traffic by these settings.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let mut dice = Dice::new(settings.seed);
        let cluster = Cluster::new(&mut dice);
        let open = Kind::ALL.map(|kind| (0..OPEN).map(|_| Connection::open(kind, &cluster, &mut dice)).collect());
        Self {
            dice,
            now: settings.start.0,
            interval_ns: settings.interval_ns,
            made: 0,
            cluster,
            ids: Ids::new(settings.seed),
            emitter: Arc::new(Emitter { name: "Weir".to_owned(), version: "0.1.0".to_owned() }),
            drops: record::kernel_drops(),
            drop_ranks: Zipf::new(DROP_REASONS, 1.0),
            open,
        }
    }

    /// Traffic of the default settings with this seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Self {
        Self::new(Settings { seed, ..Settings::default() })
    }

    /// The next flow.
    pub fn flow(&mut self) -> Flow {
        self.now += self.interval_ns;
        self.made += 1;
        if self.made.is_multiple_of(FLOWS_PER_REPLACEMENT) {
            self.cluster.replace_a_pod(&mut self.dice);
        }
        let kind = Kind::of_percent(self.dice.below(100));
        let slot = self.dice.below(OPEN);
        let connections = &mut self.open[kind as usize];
        let step = connections[slot].step(&mut self.dice);
        let connection = connections[slot].clone();
        if step.last {
            connections[slot] = Connection::open(kind, &self.cluster, &mut self.dice);
        }
        let time = Timestamp(self.now - self.dice.wide(DISORDER_NS).cast_signed());
        let mut flow = record::packet(&connection, &step, &mut self.dice);
        flow.time = time;
        flow.id = self.ids.next(time, connection.observer(step.at_client));
        flow.emitter = Some(self.emitter.clone());
        match kind {
            Kind::Plain | Kind::Outside => {}
            Kind::Dns => record::dns(&mut flow, &connection, &step, &mut self.dice),
            Kind::Http => record::http(&mut flow, &connection, &step, &mut self.dice),
            Kind::Drop => {
                let rank = self.drop_ranks.roll(&mut self.dice);
                record::drop(&mut flow, rank, &self.drops[rank]);
            }
        }
        flow.summary = flow::text::summary(&flow);
        flow
    }

    /// Names (`namespace/pod`) of a pod that talks much, one that talks some, and one that talks rarely.
    #[must_use]
    pub fn pods_by_traffic(&self) -> [String; 3] {
        self.cluster.clients_by_traffic().map(|pod| format!("{}/{}", pod.endpoint.namespace, pod.endpoint.pod_name))
    }

    /// Namespace and name of the workload that talks most.
    #[must_use]
    pub fn busiest_workload(&self) -> (String, String) {
        let [pod, ..] = self.cluster.clients_by_traffic();
        (pod.endpoint.namespace.clone(), pod.endpoint.workload_name().to_owned())
    }
}
