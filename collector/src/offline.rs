//! The path from records to the history, driven by hand: for benchmarks, and for tools that have records of their own.

use std::sync::Arc;

use flow::SystemClock;

use crate::config::Config;
use crate::decode::Decoder;
use crate::enrich::{Enricher, Names};
use crate::history;
use crate::l7::Engine;
use crate::metrics::{Metrics, OwnMetrics};
use crate::pipeline::{Scratch, Stages};
use crate::ring::{Event, Ring, ring};
use crate::running::{StartError, node_facts};
use crate::ship::ShipStats;
use crate::source::{Captured, SourceStats};
use crate::status::Status;

/// Decoding, application parsers, enrichment, metrics and history, without a source, threads or sockets. Addresses are
/// named by the names file and by DNS answers alone.
pub struct Offline {
    stages: Stages,
    flows: Ring<Event>,
}

impl Offline {
    /// Makes the stages as `config` says.
    ///
    /// # Errors
    /// A setting or the names file is wrong.
    pub fn new(config: &Config) -> Result<Self, StartError> {
        config.check()?;
        let names = config.enrich.names_file.as_deref().map(Names::read).transpose()?.unwrap_or_default();
        let clock = Arc::new(SystemClock);
        let (writer, flows) = ring(config.ring.flows_max);
        let (agent_writer, _) = ring(config.ring.agent_events_max);
        let status = Arc::new(Status::default());
        let own = OwnMetrics { status: status.clone(), ring: flows.clone(), ship: Arc::new(ShipStats::default()) };
        let (_, metrics) = Metrics::new(own, &config.metrics);
        let stages = Stages {
            decoder: Decoder::new(&config.decode, node_facts(config, &*clock), None),
            engine: Engine::new(config.l7.clone()).with_passwords(!config.redact.hides_passwords()),
            enricher: Enricher::new(&config.enrich, config.decode.processes_max, Arc::new(names), None),
            redact: config.redact.clone(),
            policy: None,
            metrics,
            flows: writer,
            agent_events: agent_writer,
            status,
            clock,
            scratch: Scratch::default(),
        };
        Ok(Self { stages, flows })
    }

    /// Takes one thing, as a source hands it over.
    pub fn take(&mut self, captured: Captured<'_>) {
        self.stages.take(captured);
    }

    /// Shows readers of the history what was taken, and lets tables forget.
    pub fn publish(&mut self) {
        self.stages.every_second(SourceStats::default());
        self.stages.publish();
        self.stages.end_connections(u64::MAX);
    }

    /// Makes rows of older flows while the stages are there, which the collector does beside its pipeline. To be called
    /// once.
    pub fn keep_history(&self) -> impl Future<Output = ()> + Send + use<> {
        history::keep(self.flows.archivist())
    }

    /// The history.
    #[must_use]
    pub fn flows(&self) -> &Ring<Event> {
        &self.flows
    }
}

impl std::fmt::Debug for Offline {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Offline").field("flows", &self.flows.head()).finish_non_exhaustive()
    }
}
