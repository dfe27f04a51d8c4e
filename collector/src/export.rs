//! Flow logs: what this node observes, as lines of Hubble's JSON in files that people and log shippers read.
//!
//! They are readers of the history like every client: a disk that is too slow holds up nobody, and what a log missed
//! stands in it as a lost event.

mod config;
mod document;
mod exporter;
mod file;
mod rotate;
mod status;

use std::sync::Arc;
use std::time::Duration;

use flow::{Clock, LostEvent, LostEventSource, Timestamp};
use tracing::{error, info};

pub use self::config::{ExportConfig, ExportError};
use self::config::{FlowLog, Plan};
use self::exporter::Exporter;
use self::file::{LogFile, Reading};
use self::status::Change;
pub(crate) use self::status::{FlowLogStatus, FlowLogs};
use crate::api::agent_event_to_wire;
use crate::ledger::Cause;
use crate::ring::{AgentEvent, Ended, Event, Read, Reader};
use crate::status::Status;

/// How often the file of flow logs is read.
const READ_EVERY: Duration = Duration::from_secs(5);
/// Longest time that lines wait to be handed to the system.
const TICK: Duration = Duration::from_secs(1);
/// Values taken before the logs are looked after.
const VALUES_PER_TURN: usize = 1024;

/// What the flow logs are written from.
pub(crate) struct Sources {
    pub(crate) flows: Reader<Event>,
    pub(crate) agent_events: Reader<AgentEvent>,
    /// Name of this node, without its cluster.
    pub(crate) node: Arc<str>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) status: Arc<Status>,
}

/// The flow logs of this node.
pub(crate) struct Export {
    sources: Sources,
    /// That of the settings.
    own: Option<Exporter>,
    file: Option<LogFile>,
    /// Those of the file.
    logs: Vec<(FlowLog, Exporter)>,
    /// Failed writes that are in the tallies.
    failures_told: u64,
    next_read: Timestamp,
}

impl Export {
    /// Opens the flow logs of the settings; `None` where there are none.
    ///
    /// What is wrong with the file of logs is logged, and the file is read again soon: others write it, at their own
    /// pace.
    ///
    /// # Errors
    /// The log of the settings cannot be used.
    pub(crate) fn open(config: &ExportConfig, sources: Sources) -> Result<Option<Self>, ExportError> {
        if config.file_path.is_none() && config.flow_logs_file.is_none() {
            return Ok(None);
        }
        let now = sources.clock.now();
        let open = |log: &FlowLog| log.plan().and_then(|plan| Exporter::open(plan, sources.node.clone(), now));
        let own = config.own()?.map(|log| open(&log)).transpose()?;
        let file = config.flow_logs_file.clone().map(LogFile::new);
        let mut export =
            Self { sources, own, file, logs: Vec::new(), failures_told: 0, next_read: now.after(READ_EVERY) };
        export.reload(now);
        export.tell(now);
        Ok(Some(export))
    }

    /// Tells which logs of the file there are.
    fn tell(&self, now: Timestamp) {
        let logs = self.logs.iter().map(|(log, exporter)| (log.name.clone(), exporter.is_active(now)));
        self.sources.status.flow_logs.set_logs(logs.collect());
    }

    /// Writes until the history ends. Runs on a thread that may block.
    pub(crate) async fn run(mut self) {
        loop {
            self.take_flows();
            self.take_agent_events();
            self.look_after();
            // Either there is something to read, or it is time to look after the logs.
            if let Ok(Err(Ended)) = tokio::time::timeout(TICK, self.sources.flows.wait()).await {
                break;
            }
        }
        self.take_flows();
        self.take_agent_events();
        let now = self.sources.clock.now();
        for exporter in self.own.take().into_iter().chain(self.logs.drain(..).map(|(_, exporter)| exporter)) {
            exporter.end(now);
        }
    }

    fn take_flows(&mut self) {
        for turn in 1.. {
            let now = self.sources.clock.now();
            match self.sources.flows.read() {
                Read::Value(Event::Flow(flow)) => self.each(|exporter| exporter.flow(&flow, now)),
                Read::Value(Event::Lost(lost)) => self.each(|exporter| exporter.lost(&lost.1, lost.0, now)),
                Read::Lost(count) => {
                    self.sources.status.tallies.add(Cause::ExporterOvertaken, count, count);
                    let (source, time) = (LostEventSource::HUBBLE_RING_BUFFER, Some(now));
                    let lost = LostEvent { source, count, first: time, last: time, ..LostEvent::default() };
                    self.each(|exporter| exporter.lost(&lost, now, now));
                }
                Read::Passed => {}
                Read::Empty => return,
            }
            if turn % VALUES_PER_TURN == 0 {
                self.look_after();
            }
        }
    }

    fn take_agent_events(&mut self) {
        // What the small history of agent events lost is no flow, and has no event of its own.
        while let Read::Value(event) = self.sources.agent_events.read() {
            let now = self.sources.clock.now();
            self.each(|exporter| exporter.agent_event(agent_event_to_wire(&event), event.time, now));
        }
    }

    fn look_after(&mut self) {
        let now = self.sources.clock.now();
        self.each(|exporter| exporter.tick(now));
        let failures: u64 = self.exporters().map(|exporter| exporter.failures()).sum();
        let new = failures.saturating_sub(self.failures_told);
        self.sources.status.tallies.add(Cause::ExportFailed, new, new);
        self.failures_told = failures;
        if now >= self.next_read {
            self.next_read = now.after(READ_EVERY);
            self.reload(now);
            self.tell(now);
        }
    }

    /// Takes up changes of the file: logs that stay as they were go on undisturbed.
    fn reload(&mut self, now: Timestamp) {
        let Some(mut file) = self.file.take() else { return };
        match file.read() {
            Reading::Bad(news) => {
                self.sources.status.flow_logs.changed(Change::Failure);
                if let Some(error) = news {
                    let error: &dyn std::error::Error = &error;
                    error!(error, "the flow logs stay as they were");
                }
            }
            Reading::Same { checksum } => self.sources.status.flow_logs.applied(checksum, now),
            Reading::Listed { checksum, logs } => {
                let refused = self.take_up(logs, now);
                for error in file.taken(checksum, refused) {
                    let error: &dyn std::error::Error = &error;
                    error!(error, "a flow log cannot be as its settings say");
                }
                // As Hubble's metrics have it, also where a log was refused.
                self.sources.status.flow_logs.applied(checksum, now);
            }
        }
        self.file = Some(file);
    }

    /// Puts these logs in the place of the others. Gives those that cannot be.
    fn take_up(&mut self, listed: Vec<FlowLog>, now: Timestamp) -> Vec<(FlowLog, ExportError)> {
        let (mut new, mut refused) = (Vec::new(), Vec::new());
        let mut old = std::mem::take(&mut self.logs);
        for log in listed {
            let before = old.iter().position(|(known, _)| known.name == log.name).map(|at| old.swap_remove(at));
            match before {
                Some((known, exporter)) if known == log => self.logs.push((known, exporter)),
                before => match log.plan() {
                    Ok(plan) => new.push((before, log, plan)),
                    Err(error) => {
                        self.logs.extend(before);
                        refused.push((log, error));
                    }
                },
            }
        }
        for (log, exporter) in old {
            info!(log = log.name, "a flow log has ended");
            exporter.end(now);
            self.sources.status.flow_logs.changed(Change::Remove);
        }
        // Writing what is still counted may set a file aside, which a new log must not have opened by then: logs may
        // take over the files of others.
        for (_, exporter) in new.iter_mut().filter_map(|(before, ..)| before.as_mut()) {
            exporter.write_out(now);
        }
        for (before, log, plan) in new {
            refused.extend(self.replace(before, log, plan, now));
        }
        self.failures_told = self.exporters().map(|exporter| exporter.failures()).sum();
        refused
    }

    /// Puts a new log in the place of an old one; where that cannot be, gives it back, and the old one goes on.
    fn replace(
        &mut self,
        before: Option<(FlowLog, Exporter)>,
        log: FlowLog,
        plan: Plan,
        now: Timestamp,
    ) -> Option<(FlowLog, ExportError)> {
        match Exporter::open(plan, self.sources.node.clone(), now) {
            Ok(exporter) => {
                info!(log = log.name, path = log.file_path, "a flow log begins");
                self.sources.status.flow_logs.changed(if before.is_some() { Change::Update } else { Change::Add });
                self.logs.push((log, exporter));
                None
            }
            Err(error) => {
                self.logs.extend(before);
                Some((log, error))
            }
        }
    }

    fn exporters(&self) -> impl Iterator<Item = &Exporter> {
        self.own.iter().chain(self.logs.iter().map(|(_, exporter)| exporter))
    }

    fn each(&mut self, mut act: impl FnMut(&mut Exporter)) {
        self.own.iter_mut().chain(self.logs.iter_mut().map(|(_, exporter)| exporter)).for_each(&mut act);
    }
}
