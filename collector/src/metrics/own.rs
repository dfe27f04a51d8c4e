//! What the collector says of itself.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeCounterValue, EncodeGaugeValue, MetricEncoder, NoLabelSet};
use prometheus_client::metrics::MetricType;

use crate::export::FlowLogs;
use crate::ledger::Cause;
use crate::ring::{Event, Ring};
use crate::ship::ShipStats;
use crate::status::Status;

/// Reads the state of the collector when it is scraped.
#[derive(Debug)]
pub(crate) struct OwnMetrics {
    pub(crate) status: Arc<Status>,
    pub(crate) ring: Ring<Event>,
    pub(crate) ship: Arc<ShipStats>,
}

/// Writes one metric after the other.
struct Out<'a>(DescriptorEncoder<'a>);

impl Collector for OwnMetrics {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut out = Out(encoder);
        out.gauge(
            "weir_collector_build_info",
            "Version of the collector; the value is always 1",
            &[([("version", env!("CARGO_PKG_VERSION"))], 1)],
        )?;
        self.stages(&mut out)?;
        self.kernel(&mut out)?;
        self.tables(&mut out)?;
        self.ship(&mut out)?;
        self.flow_logs(&mut out)?;
        process(&mut out)
    }
}

impl OwnMetrics {
    fn stages(&self, out: &mut Out<'_>) -> fmt::Result {
        let status = &self.status;
        let by_cause = |pick: fn((u64, u64)) -> u64| {
            Cause::ALL.map(|cause| {
                ([("stage", cause.stage().name()), ("cause", cause.name())], pick(status.tallies.get(cause)))
            })
        };
        out.counter("weir_collector_events_seen", "Events that entered a stage", &by_cause(|(seen, _)| seen))?;
        out.counter("weir_collector_events_lost", "Events lost at a stage by cause", &by_cause(|(_, lost)| lost))?;
        out.counter("weir_collector_flows", "Flows put into the history", &[none(load(&status.flows))])?;
        out.counter(
            "weir_collector_agent_events",
            "Agent events put into their history",
            &[none(load(&status.agent_events))],
        )?;
        out.gauge("weir_collector_ring_flows", "Flows held in the history", &[none(self.ring.held())])?;
        let packed = self.ring.packed();
        out.gauge("weir_collector_ring_packed_flows", "Flows of the history that are kept as rows", &[none(packed)])?;
        let capacity = self.ring.capacity() as u64;
        out.gauge("weir_collector_ring_capacity_flows", "Flows the history can hold", &[none(capacity)])
    }

    fn kernel(&self, out: &mut Out<'_>) -> fmt::Result {
        let kernel = self.status.tables().kernel;
        let events = [
            ("flow_new", kernel.flows_new),
            ("flow_insert_failed", kernel.flow_insert_failed),
            ("drop_new", kernel.drops_new),
            ("drop_insert_failed", kernel.drop_insert_failed),
            ("packet_cut", kernel.packets_cut),
            ("packet_not_ip", kernel.packets_not_ip),
            ("fragment_unknown", kernel.fragments_unknown),
            ("payload_unreadable", kernel.payload_unreadable),
            ("sock_storage_failed", kernel.sock_storage_failed),
        ];
        let events = events.map(|(event, count)| ([("event", event)], count));
        out.counter("weir_collector_kernel_events", "What the programs in the kernel met, by event", &events)
    }

    fn tables(&self, out: &mut Out<'_>) -> fmt::Result {
        let tables = *self.status.tables();
        let (decode, enrich) = (tables.decode, tables.enrich);
        let sizes = [
            ("conversations", decode.conversations, decode.conversations_evicted),
            ("observations", decode.observations, decode.observations_evicted),
            ("sockets", decode.sockets, decode.sockets_evicted),
            ("endpoints", enrich.endpoints, enrich.endpoints_evicted),
            ("processes", enrich.processes, enrich.processes_evicted),
            ("units", enrich.units, enrich.units_evicted),
            ("dns_names", enrich.dns_names, enrich.dns_names_evicted),
        ];
        let entries = sizes.map(|(table, entries, _)| ([("table", table)], entries as u64));
        out.gauge("weir_collector_table_entries", "Entries of a table", &entries)?;
        let l7 = &tables.l7;
        let records = [
            ("http_request", l7.http_requests),
            ("http_response", l7.http_responses),
            ("dns_query", l7.dns_queries),
            ("dns_response", l7.dns_responses),
        ];
        let records = records.map(|(kind, count)| ([("kind", kind)], count));
        out.counter("weir_collector_l7_records", "Requests and responses read of payload", &records)?;
        let unpaired = [("http_response", l7.http_unpaired), ("dns_response", l7.dns_unpaired)];
        let unpaired = unpaired.map(|(kind, count)| ([("kind", kind)], count));
        out.counter("weir_collector_l7_unpaired", "Responses whose request was not seen", &unpaired)?;
        let l7 = tables.l7.losses().map(|(cause, lost)| ([("cause", cause)], lost));
        out.counter("weir_collector_l7_losses", "Payload that could not be followed by cause", &l7)?;
        let evicted = sizes.map(|(table, _, evicted)| ([("table", table)], evicted));
        out.counter("weir_collector_table_evictions", "Entries of a table that had to make room", &evicted)?;
        out.counter(
            "weir_collector_process_lookups_skipped",
            "Processes not looked up because there were too many in that second",
            &[none(enrich.lookups_skipped)],
        )
    }

    fn ship(&self, out: &mut Out<'_>) -> fmt::Result {
        let ship = &self.ship;
        let connected = u64::from(ship.connected.load(Ordering::Relaxed));
        out.gauge("weir_collector_relay_connected", "Whether the relay answers", &[none(connected)])?;
        out.counter(
            "weir_collector_relay_connections",
            "Connections made to the relay",
            &[none(load(&ship.connections))],
        )?;
        out.gauge(
            "weir_collector_spool_bytes",
            "Bytes of batches held for the relay",
            &[none(load(&ship.spool_bytes))],
        )?;
        out.gauge(
            "weir_collector_spool_disk_bytes",
            "Bytes of batches held for the relay on the disk",
            &[none(load(&ship.spool_disk_bytes))],
        )?;
        out.gauge("weir_collector_spool_batches", "Batches held for the relay", &[none(load(&ship.spool_batches))])?;
        out.gauge(
            "weir_collector_spool_later_batches",
            "Batches on the disk that only a later version of the collector can read",
            &[none(load(&ship.spool_later_batches))],
        )?;
        out.counter(
            "weir_collector_flows_acknowledged",
            "Flows the relay has acknowledged",
            &[none(load(&ship.rows_acknowledged))],
        )?;
        out.counter(
            "weir_collector_batches_acknowledged",
            "Batches the relay has acknowledged",
            &[none(load(&ship.batches_acknowledged))],
        )?;
        out.counter(
            "weir_collector_batches_repeated",
            "Batches the relay had already",
            &[none(load(&ship.batches_repeated))],
        )
    }
}

impl OwnMetrics {
    /// Hubble's metrics of its dynamic exporter, where flow logs come from a file that may change. The hash is a
    /// checksum of the file: it tells changes, its value is not Hubble's.
    fn flow_logs(&self, out: &mut Out<'_>) -> fmt::Result {
        let FlowLogs { applied, changes, logs } = self.status.flow_logs.get();
        if applied.is_none() && changes == <[u64; 4]>::default() {
            return Ok(());
        }
        let active = logs.iter().filter(|(_, is_active)| *is_active).count() as u64;
        let states = [("active", active), ("inactive", logs.len() as u64 - active)];
        let states = states.map(|(status, count)| ([("status", status)], count));
        out.gauge(
            "hubble_dynamic_exporter_exporters_total",
            "Flow logs of the file that may change, by status",
            &states,
        )?;
        let up: Vec<_> = logs.iter().map(|(name, up)| ([("name", name.as_str())], u64::from(*up))).collect();
        out.gauge("hubble_dynamic_exporter_up", "Whether a flow log is written", &up)?;
        let changes = [0, 1, 2, 3].map(|at| ([("op", FlowLogs::CHANGES[at])], changes[at]));
        let changes: Vec<_> = changes.into_iter().filter(|(_, count)| *count > 0).collect();
        out.counter("hubble_dynamic_exporter_reconfigurations", "Changes of flow logs", &changes)?;
        let Some((checksum, at)) = applied else { return Ok(()) };
        out.gauge(
            "hubble_dynamic_exporter_config_hash",
            "Checksum of the file of flow logs",
            &[none(u64::from(checksum))],
        )?;
        let (seconds, _) = at.parts();
        out.gauge(
            "hubble_dynamic_exporter_config_last_applied",
            "Time at which the file of flow logs was last applied, in seconds since 1970",
            &[none(seconds.unsigned_abs())],
        )
    }
}

/// The usual metrics of a process, from `/proc`.
fn process(out: &mut Out<'_>) -> fmt::Result {
    let Some(usage) = Usage::read() else { return Ok(()) };
    out.write("process_cpu_seconds", "Processor time used", MetricType::Counter, &[none(usage.cpu_seconds)])?;
    out.gauge("process_resident_memory_bytes", "Memory in use", &[none(usage.resident_bytes)])?;
    out.gauge("process_open_fds", "Files and sockets open", &[none(usage.open_files)])
}

struct Usage {
    cpu_seconds: f64,
    resident_bytes: u64,
    open_files: u64,
}

impl Usage {
    fn read() -> Option<Self> {
        let ticks = nix::unistd::sysconf(nix::unistd::SysconfVar::CLK_TCK).ok()??;
        let page = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE).ok()??;
        let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
        // The name in parentheses may hold spaces.
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| fields.get(at)?.parse::<u32>().ok();
        let ticks = u32::try_from(ticks).ok().filter(|ticks| *ticks > 0)?;
        Some(Self {
            cpu_seconds: (f64::from(number(11)?) + f64::from(number(12)?)) / f64::from(ticks),
            resident_bytes: u64::from(number(21)?) * u64::try_from(page).ok()?,
            open_files: std::fs::read_dir("/proc/self/fd").ok()?.count() as u64,
        })
    }
}

impl Out<'_> {
    fn counter<const N: usize>(&mut self, name: &str, help: &str, series: &[([(&str, &str); N], u64)]) -> fmt::Result {
        self.write(name, help, MetricType::Counter, series)
    }

    fn gauge<const N: usize>(&mut self, name: &str, help: &str, series: &[([(&str, &str); N], u64)]) -> fmt::Result {
        self.write(name, help, MetricType::Gauge, series)
    }

    fn write<const N: usize, V: Value>(
        &mut self,
        name: &str,
        help: &str,
        kind: MetricType,
        series: &[([(&str, &str); N], V)],
    ) -> fmt::Result {
        let help = format!("{help}.");
        let mut encoder = self.0.encode_descriptor(name, &help, None, kind)?;
        for (labels, value) in series {
            if N == 0 {
                value.encode(&mut encoder, kind)?;
            } else {
                value.encode(&mut encoder.encode_family(labels)?, kind)?;
            }
        }
        Ok(())
    }
}

/// A number in either kind of metric.
trait Value {
    fn encode(&self, encoder: &mut MetricEncoder<'_>, kind: MetricType) -> fmt::Result;
}

impl<T: EncodeCounterValue + EncodeGaugeValue> Value for T {
    fn encode(&self, encoder: &mut MetricEncoder<'_>, kind: MetricType) -> fmt::Result {
        match kind {
            MetricType::Counter => encoder.encode_counter::<NoLabelSet, _, u64>(self, None),
            _ => encoder.encode_gauge(self),
        }
    }
}

/// A series without labels.
const fn none<V>(value: V) -> ([(&'static str, &'static str); 0], V) {
    ([], value)
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}
