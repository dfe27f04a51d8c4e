//! What every door of the relay works on.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::available_parallelism;
use std::time::Duration;

use flow::view::Completeness;
use flow::{Clock, NodeState, SystemClock, Timestamp};
use relay_index::{Asker, DamageKind, Index, ReadMark, Recovery};
use relay_query::{Engine, Limits};
use tokio::sync::Semaphore;
use tokio::task::JoinError;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::config::{Config, ConfigError};
use crate::ingest::{Ingest, Queue};
use crate::losses::Losses;
use crate::memory::{self, Budget, Pressure};
use crate::metrics::{Metrics, StateLabels};
use crate::nodes::{Node, Presence};
use crate::rate::Rate;
use crate::start::StartError;

/// Version that the relay says of itself.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");
/// Version of the Hubble API that is spoken; stock clients warn where it is newer than their own.
pub(crate) const HUBBLE_API_VERSION: &str = "1.19.4";
/// Longest wait of a query for another one to end.
const SQL_WAIT: Duration = Duration::from_secs(2);

/// State shared by the doors.
pub(crate) struct Relay {
    /// Settings, valid.
    pub(crate) config: Config,
    /// Memory that its parts may have.
    pub(crate) budget: Budget,
    /// Whether memory is short.
    pub(crate) pressure: Pressure,
    /// When the relay started.
    pub(crate) started: Timestamp,
    /// Address of the HTTP port.
    pub(crate) http_addr: SocketAddr,
    /// The flows.
    pub(crate) index: Index,
    /// SQL over the flows.
    pub(crate) engine: Engine,
    /// Way into the index.
    pub(crate) ingest: Ingest,
    /// Who is connected.
    pub(crate) presence: Presence,
    /// Losses for followers.
    pub(crate) losses: Losses,
    /// Counters.
    pub(crate) metrics: Metrics,
    /// What ends, in the order it ends.
    pub(crate) stages: Stages,
    /// Places for live streams of the web UI.
    pub(crate) live_places: Arc<Semaphore>,
    clock: Box<dyn Clock>,
    rate: Mutex<Rate>,
    /// Held while gauges and counters are brought up to date.
    refreshing: Mutex<()>,
    workers: Arc<Semaphore>,
}

/// The parts of a relay in the order they stop.
#[derive(Default)]
pub(crate) struct Stages {
    /// What takes in: streams of collectors, connections to peers.
    pub(crate) sources: Stage,
    /// The writer of the index.
    pub(crate) writer: Stage,
    /// What looks after the store.
    pub(crate) upkeep: Stage,
    /// What gives out: streams of clients.
    pub(crate) streams: Stage,
    /// The ports.
    pub(crate) doors: Stage,
}

/// Tasks that stop together.
#[derive(Default)]
pub(crate) struct Stage {
    /// Told to stop by this.
    pub(crate) stop: CancellationToken,
    /// The tasks.
    pub(crate) tasks: TaskTracker,
}

impl Stage {
    /// Tells the tasks to stop and waits until they have.
    pub(crate) async fn end(&self) {
        self.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Relay {
    /// A relay with what its store held before, and the queue that its writer is to read.
    ///
    /// Reads what the store held before, which may take seconds: call it from a thread that may block.
    pub(crate) fn new(config: Config, http_addr: SocketAddr) -> Result<(Arc<Self>, Queue), StartError> {
        let budget = budget_of(&config)?;
        memory::set_up(budget.total);
        let clock = Box::new(SystemClock);
        let (ingest, queue) = Ingest::new(config.ingest.queue_batches, budget.waiting());
        let gone_after = Duration::from_millis(config.ingest.node_gone_ms);
        let relay = Self {
            started: clock.now(),
            index: open_index(&config, budget)?,
            engine: Engine::new(query_limits(&config, budget))?,
            budget,
            pressure: Pressure::default(),
            ingest,
            presence: Presence::new(config.index.nodes_max, gone_after),
            losses: Losses::new(),
            metrics: Metrics::new(),
            stages: Stages::default(),
            live_places: Arc::new(Semaphore::new(config.live.streams_max)),
            rate: Mutex::default(),
            refreshing: Mutex::default(),
            workers: Arc::new(Semaphore::new(budget.questions(available_parallelism().map_or(2, |n| n.get())))),
            clock,
            http_addr,
            config,
        };
        Ok((Arc::new(relay), queue))
    }

    /// The present moment.
    pub(crate) fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// All nodes by name.
    pub(crate) fn nodes(&self) -> Vec<Node> {
        self.presence.list(&self.index, self.now())
    }

    /// Tells the index the states of the nodes, for what it answers itself.
    pub(crate) fn tell_node_states(&self) {
        let nodes = self.nodes();
        self.index.set_node_states(nodes.iter().map(|node| (node.name.as_str(), node.state)), self.now());
    }

    /// How complete an answer about a range is that was begun at a mark.
    pub(crate) fn completeness(
        &self,
        mark: ReadMark,
        since: Option<Timestamp>,
        until: Option<Timestamp>,
    ) -> Completeness {
        self.tell_node_states();
        self.index.completeness_since(mark, since, until)
    }

    /// Flows a second over the last minute.
    pub(crate) fn flows_per_second(&self) -> f64 {
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).per_second()
    }

    /// Notes how many flows there have been; called about once a second.
    pub(crate) fn sample_rate(&self, now: Timestamp) {
        let seen = self.index.stats().rows_seen;
        self.rate.lock().unwrap_or_else(PoisonError::into_inner).sample(now, seen);
    }

    /// Runs `work` on a thread that may block, at most one per processor at a time; the others wait their turn. It keeps
    /// its turn until it ends, also where nobody waits for it any more.
    ///
    /// # Errors
    /// The work panicked.
    pub(crate) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        let turn = Arc::clone(&self.workers).acquire_owned().await.expect("the semaphore is never closed");
        tokio::task::spawn_blocking(move || {
            let _turn = turn;
            work()
        })
        .await
    }

    /// The same for a search, which ends once nobody waits for it any more: that is what it is given to look at. It must
    /// have read all by then.
    ///
    /// # Errors
    /// The search panicked.
    pub(crate) async fn search<T: Send + 'static>(
        &self,
        search: impl FnOnce(Asker) -> T + Send + 'static,
    ) -> Result<T, JoinError> {
        // Whoever gives this future up lets go of it, too.
        let presence = Arc::new(());
        let asker = Asker::of(&presence);
        let found = self.work(move || search(asker)).await;
        drop(presence);
        found
    }

    /// Brings gauges and counters up to date that nothing else keeps.
    pub(crate) fn refresh_gauges(&self) {
        // Counters are brought to their value by what is missing, which two at once would both add.
        let _alone = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        let stats = self.index.stats();
        let gauges = &self.metrics.index;
        gauges.rows.set(signed(stats.rows));
        gauges.bytes.set(signed(stats.bytes));
        gauges.bytes_max.set(signed(stats.bytes_max));
        self.metrics.memory.limit.set(signed(self.budget.total as u64));
        self.metrics.memory.resident.set(memory::resident().map_or(0, |bytes| signed(bytes as u64)));
        gauges.evicted.inc_by(stats.rows_evicted.saturating_sub(gauges.evicted.get()));
        self.metrics.rollups.set(&self.index.rollups().stats());
        self.metrics.store.refresh(&self.index.store_stats());
        let nodes = self.nodes();
        for (state, label) in NODE_STATES {
            let count = nodes.iter().filter(|n| n.state == state).count();
            self.metrics.nodes.get_or_create(&StateLabels { state: label }).set(signed(count as u64));
        }
    }
}

/// States of nodes and their names in JSON and metrics.
pub(crate) const NODE_STATES: [(NodeState, &str); 4] = [
    (NodeState::NODE_CONNECTED, "connected"),
    (NodeState::NODE_UNAVAILABLE, "unavailable"),
    (NodeState::NODE_GONE, "gone"),
    (NodeState::NODE_ERROR, "error"),
];

/// Opens the index and says what was found.
fn open_index(config: &Config, budget: Budget) -> Result<Index, StartError> {
    let limits = index_limits(config, budget);
    let Some(store) = config.store.for_index() else {
        info!("flows are kept in memory only");
        return Ok(Index::new(limits)?);
    };
    let (index, found) = Index::open(limits, budget.fit(store))?;
    tell_recovery(&config.store.place, &found);
    Ok(index)
}

/// Says what was found in the store at this place, and what of it is damaged.
fn tell_recovery(place: &str, found: &Recovery) {
    for damage in &found.damages {
        let (file, at, bytes) = (damage.path.display(), damage.at, damage.bytes);
        match damage.kind {
            DamageKind::TornTail => warn!(%file, at, bytes, "the log ended in an unfinished batch, which was cut off"),
            kind => error!(%file, at, bytes, ?kind, "a part of the log cannot be read, its flows are missing"),
        }
    }
    for problem in &found.troubles {
        error!(problem, "a file of the store cannot be read, its flows are missing");
    }
    if found.catalog_rebuilt {
        warn!(place, files = found.files, "the catalogue of the store was made again from its files");
    }
    info!(
        place,
        files = found.files,
        flows_in_files = found.file_rows,
        flows_in_log = found.rows,
        log_bytes = found.log_bytes,
        "opened the store"
    );
}

/// What the settings give on this machine.
pub(crate) fn budget_of(config: &Config) -> Result<Budget, ConfigError> {
    let machine = memory::limit();
    let budget = Budget::of(config, machine)?;
    if let Some(machine) = machine.filter(|machine| *machine < budget.total) {
        let budget = budget.total;
        warn!(budget, machine, "the memory budget is more than there is: lower relay.memory_bytes_max");
    }
    Ok(budget)
}

pub(crate) fn index_limits(config: &Config, budget: Budget) -> relay_index::Config {
    relay_index::Config {
        rows_max: config.index.flows_max,
        bytes_max: budget.flows,
        ledger_lines_max: config.index.losses_max,
        nodes_max: config.index.nodes_max,
        rollups: relay_index::RollupLimits { bytes_max: budget.counts, ..relay_index::RollupLimits::default() },
        ..relay_index::Config::default()
    }
}

fn query_limits(config: &Config, budget: Budget) -> Limits {
    Limits {
        memory_bytes: budget.sql,
        spill_bytes: Limits::default().spill_bytes,
        concurrent: budget.questions(config.sql.queries_max),
        wait: SQL_WAIT,
        deadline: Duration::from_millis(config.sql.deadline_ms),
        rows_max: config.sql.rows_max,
    }
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
