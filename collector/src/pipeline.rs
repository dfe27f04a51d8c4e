//! The one thread that owns the path from the source to the history.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use ebpf_abi::{ProcRecord, Record, process_event};
use flow::{Clock, Flow, LostEvent, LostEventSource, Timestamp};
use tokio_util::sync::CancellationToken;

use crate::decode::{Decoded, Decoder, Opened};
use crate::enrich::{Enricher, World};
use crate::l7::{Engine, Interest, L7Event};
use crate::ledger::Cause;
use crate::metrics::FlowMetrics;
use crate::namespaces::Seen;
use crate::policy::PolicyWatch;
use crate::redact::RedactConfig;
use crate::ring::{AgentEvent, AgentNews, Event, Writer};
use crate::source::{Captured, Progress, Source, SourceError, SourceStats};
use crate::status::{Status, Tables};

/// How long to wait for records at most. The kernel does not wake us for each, so this is the delay of a flow.
const POLL: Duration = Duration::from_millis(10);
/// Connections that wait for their end at most; beyond that the oldest ends at once.
const CLOSING_MAX: usize = 65_536;
/// How long to wait at a time once the source has ended.
const ENDED_POLL: Duration = Duration::from_millis(100);

/// Everything between the source and the history.
pub(crate) struct Stages {
    pub(crate) decoder: Decoder,
    pub(crate) engine: Engine,
    pub(crate) enricher: Enricher,
    pub(crate) redact: RedactConfig,
    /// Tells of changes of the packet policy; `None` where the flows are not this machine's.
    pub(crate) policy: Option<PolicyWatch>,
    pub(crate) metrics: FlowMetrics,
    pub(crate) flows: Writer<Event>,
    pub(crate) agent_events: Writer<AgentEvent>,
    pub(crate) status: Arc<Status>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) scratch: Scratch,
}

/// What is gathered in a batch and in a second.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    uptime: Uptime,
    world: Arc<World>,
    now: Timestamp,
    events: Vec<L7Event>,
    /// What goes into the history at the end of the batch.
    batch: Vec<(Timestamp, Event)>,
    /// Connections that were closed in this batch.
    closed: Vec<u64>,
    /// Connections that were closed, and the last round of the source in which that can have been told. The parsers go
    /// on with them until their last payload has come.
    closing: VecDeque<(u64, u64)>,
    /// Sockets whose payload is of no more use.
    stop_payload: Vec<u64>,
    /// Namespaces of the flows.
    seen: Seen,
    records: u64,
    malformed: u64,
    told: SourceStats,
    malformed_told: u64,
}

/// A clock that nobody sets.
#[derive(Debug)]
struct Uptime(Instant);

impl Default for Uptime {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Uptime {
    /// Time since it was made. Not the time since boot, which goes on while the machine sleeps: what is silent is what
    /// could have spoken.
    fn now(&self) -> Timestamp {
        Timestamp(0).after(self.0.elapsed())
    }
}

/// Runs until `shutdown`, then takes what the source still holds, publishes it and ends the history.
///
/// # Errors
/// The source failed for good.
pub(crate) fn run(
    mut source: Box<dyn Source>,
    mut stages: Stages,
    shutdown: &CancellationToken,
) -> Result<(), SourceError> {
    tracing::info!(source = source.name(), "observing");
    stages.start();
    // Not by the wall clock: set back by an hour, it would stop all upkeep for as long.
    let mut next_second = Instant::now();
    let mut ended = false;
    while !shutdown.is_cancelled() {
        stages.begin(&*source);
        if ended {
            std::thread::park_timeout(ENDED_POLL);
        } else {
            let progress = source.poll(POLL, &mut |captured| stages.take(captured))?;
            if progress == Progress::Finished {
                tracing::info!(source = source.name(), "the source has ended; its flows stay available");
                ended = true;
            }
        }
        stages.end(&*source);
        for cookie in stages.scratch.stop_payload.drain(..) {
            source.stop_payload(cookie);
        }
        let now = Instant::now();
        if now >= next_second {
            next_second = now + Duration::from_secs(1);
            stages.every_second(source.stats());
        }
    }
    stages.begin(&*source);
    source.drain(&mut |captured| stages.take(captured))?;
    stages.every_second(source.stats());
    stages.end(&*source);
    Ok(())
}

impl Stages {
    fn start(&mut self) {
        let now = self.clock.now();
        self.agent_event(now, AgentNews::Started);
    }

    /// Prepares for a batch: newest snapshot of the node, newest offset of the clock.
    pub(crate) fn begin(&mut self, source: &dyn Source) {
        self.scratch.now = self.clock.now();
        self.decoder.set_clock_offset(source.wall_clock_offset_ns());
        for news in self.enricher.refresh() {
            let what = AgentNews::Endpoint { created: news.created, endpoint: news.endpoint };
            self.agent_event(self.scratch.now, what);
        }
        self.scratch.world = self.enricher.world();
    }

    /// Ends a batch: publishes it, and ends the connections of which nothing more can come.
    pub(crate) fn end(&mut self, source: &dyn Source) {
        self.publish();
        let Some(completed) = source.rounds() else { return self.end_connections(u64::MAX) };
        // Told of in one round, the last payload came in that one or the next.
        let closed = self.scratch.closed.drain(..).map(|cookie| (completed, cookie));
        self.scratch.closing.extend(closed);
        if let Some(settled) = completed.checked_sub(2) {
            self.end_connections(settled);
        }
    }

    /// Publishes what was gathered, in the order of time: processors and parsers hand over what they have at their own
    /// pace.
    pub(crate) fn publish(&mut self) {
        let batch = &mut self.scratch.batch;
        if !batch.is_sorted_by_key(|(time, _)| *time) {
            batch.sort_by_key(|(time, _)| *time);
        }
        for (_, event) in batch.drain(..) {
            self.flows.push(event);
        }
        self.scratch.seen.tell_new(&self.status.namespaces);
        self.flows.publish();
        self.agent_events.publish();
    }

    /// Ends connections whose end was told up to a round, and more while there are too many; with `u64::MAX` all.
    pub(crate) fn end_connections(&mut self, settled: u64) {
        let closing = &mut self.scratch.closing;
        while let Some((round, cookie)) = closing.front().copied()
            && (round <= settled || closing.len() > CLOSING_MAX)
        {
            closing.pop_front();
            self.engine.close(cookie);
        }
        if settled == u64::MAX {
            self.scratch.closed.drain(..).for_each(|cookie| self.engine.close(cookie));
        }
    }

    /// Takes one thing from the source.
    pub(crate) fn take(&mut self, captured: Captured<'_>) {
        match captured {
            Captured::Record(bytes) => {
                self.scratch.records += 1;
                match Record::parse(bytes) {
                    Ok(record) => self.record(&record),
                    Err(_) => self.scratch.malformed += 1,
                }
            }
            Captured::FlowTotals { key, val, gone } => {
                let decoded = self.decoder.flow_totals(&key, &val, gone, &self.scratch.world);
                self.decoded(decoded);
            }
            Captured::DropTotals { key, val, .. } => {
                let decoded = self.decoder.drop_totals(&key, &val, &self.scratch.world);
                self.decoded(decoded);
            }
            // A recording has its own order.
            Captured::Flow(flow) => {
                let flow = self.count(*flow);
                self.flows.push(flow);
            }
            Captured::Lost(lost) => self.lost(&lost),
        }
    }

    fn record(&mut self, record: &Record<'_>) {
        match record {
            Record::Flow(record) => {
                let decoded = self.decoder.flow(record, &self.scratch.world);
                self.decoded(Some(decoded));
            }
            Record::Drop(record) => {
                let decoded = self.decoder.dropped(record, &self.scratch.world);
                self.decoded(decoded);
            }
            Record::Sock(record) => self.socket(record),
            Record::Proc(record) => self.process(record),
            Record::Data(head, data) => {
                let Some(chunk) = self.decoder.chunk(head, data) else { return };
                let events = &mut self.scratch.events;
                if self.engine.chunk(chunk, &mut |event| events.push(event)) == Interest::Done {
                    self.scratch.stop_payload.push(head.header.cookie);
                }
                self.application();
            }
            Record::Dns(head, data) => {
                let events = &mut self.scratch.events;
                self.engine.datagram(Decoder::datagram(head, data), &mut |event| events.push(event));
                self.application();
            }
        }
    }

    fn socket(&mut self, record: &ebpf_abi::SockRecord) {
        let time = Decoder::source_time(record.header.at_boot_ns);
        match self.decoder.socket(record) {
            Opened::Nothing => {}
            Opened::Connection { cookie, pair, is_server } => self.engine.open(cookie, pair, is_server, time),
            Opened::Closed(cookie) => self.scratch.closed.push(cookie),
        }
    }

    fn process(&mut self, record: &ProcRecord) {
        match record.event {
            process_event::EXEC => self.enricher.executed(record),
            process_event::EXIT => self.decoder.process_ended(record.tgid, record.header.at_boot_ns),
            _ => {}
        }
    }

    /// Makes flows of what the parsers gave out.
    fn application(&mut self) {
        let mut events = std::mem::take(&mut self.scratch.events);
        for event in events.drain(..) {
            let decoded = self.decoder.application(event, &self.scratch.world);
            self.decoded(Some(decoded));
        }
        // Given back for its room.
        self.scratch.events = events;
    }

    fn decoded(&mut self, decoded: Option<Decoded>) {
        if let Some(decoded) = decoded {
            let flow = self.enricher.name(decoded);
            let time = flow.time;
            let event = self.count(flow);
            self.scratch.batch.push((time, event));
        }
    }

    /// Takes out of a flow what may not be told, and counts it, on its way into the history.
    fn count(&mut self, mut flow: Flow) -> Event {
        self.redact.apply(&mut flow);
        self.metrics.count(&flow);
        self.scratch.seen.note(&flow);
        self.status.flows.fetch_add(1, Ordering::Relaxed);
        Event::Flow(Arc::new(flow))
    }

    fn lost(&mut self, lost: &LostEvent) {
        self.metrics.count_lost(lost);
        self.status.losses.fetch_add(1, Ordering::Relaxed);
        self.flows.push(Event::Lost(Arc::new((self.scratch.now, *lost))));
    }

    fn agent_event(&mut self, time: Timestamp, what: AgentNews) {
        self.agent_events.push(AgentEvent { time, what });
        self.status.agent_events.fetch_add(1, Ordering::Relaxed);
    }

    /// Tells of losses and of changes of the policy, lets tables forget, shows their sizes.
    pub(crate) fn every_second(&mut self, source: SourceStats) {
        let now = self.clock.now();
        self.tell_policy(now);
        let uptime = self.scratch.uptime.now();
        self.decoder.expire(uptime);
        self.engine.expire(uptime);
        self.scratch.seen.expire(now, &self.status.namespaces);
        self.tell_losses(source);
        let tables = Tables {
            kernel: source.kernel,
            decode: self.decoder.stats(),
            enrich: self.enricher.stats(),
            l7: self.engine.stats(),
        };
        self.tally(source, &tables);
        *self.status.tables() = tables;
    }

    fn tell_policy(&mut self, now: Timestamp) {
        let changes = self.policy.as_mut().map(PolicyWatch::changes).unwrap_or_default();
        for change in changes {
            self.agent_event(now, AgentNews::Policy(Arc::new(change)));
        }
    }

    /// Puts a line into the stream for what was lost since the last second.
    fn tell_losses(&mut self, source: SourceStats) {
        let kernel = (source.lost_ring_full + source.lost_map_full)
            .saturating_sub(self.scratch.told.lost_ring_full + self.scratch.told.lost_map_full);
        let decode = (source.lost_unreadable + self.scratch.malformed)
            .saturating_sub(self.scratch.told.lost_unreadable + self.scratch.malformed_told);
        self.scratch.told = source;
        self.scratch.malformed_told = self.scratch.malformed;
        for (count, queue) in
            [(kernel, LostEventSource::PERF_EVENT_RING_BUFFER), (decode, LostEventSource::OBSERVER_EVENTS_QUEUE)]
        {
            if count > 0 {
                self.lost(&LostEvent { source: queue, count, ..LostEvent::default() });
            }
        }
    }

    fn tally(&self, source: SourceStats, tables: &Tables) {
        let tallies = &self.status.tallies;
        tallies.set(Cause::RingFull, source.seen, source.lost_ring_full);
        tallies.set(Cause::MapFull, source.seen, source.lost_map_full);
        // What is cut wanted no record yet.
        let cut = source.kernel.packets_cut;
        tallies.set(Cause::PacketsCut, source.seen + cut, cut);
        tallies.set(Cause::Unreadable, source.seen, source.lost_unreadable);
        tallies.set(Cause::Malformed, self.scratch.records, self.scratch.malformed);
        let l7 = &tables.l7;
        let taken = l7.chunks + l7.datagrams + tables.decode.chunks_without_socket;
        tallies.set(Cause::NoSocket, taken, tables.decode.chunks_without_socket);
        tallies.set(Cause::Payload, l7.chunks + l7.datagrams, l7.losses().iter().map(|(_, lost)| lost).sum());
    }
}
