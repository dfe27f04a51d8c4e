//! What the store says of itself, `weir_relay_store_*`.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use relay_index::StoreStats;

/// Counters and gauges of the store, brought up to date when they are read.
#[derive(Default)]
pub(crate) struct StoreMetrics {
    counters: [Counter; COUNTERS.len()],
    gauges: [Gauge; GAUGES.len()],
}

type Read = fn(&StoreStats) -> u64;

/// What only grows: name, meaning, value.
const COUNTERS: [(&str, &str, Read); 18] = [
    ("log_written_bytes", "Bytes written to the log", |s| s.log.bytes_written),
    ("log_batches", "Batches written to the log", |s| s.log.batches),
    ("log_syncs", "Calls that forced the log to the disk", |s| s.log.syncs),
    ("log_failures", "Writes to the log that failed; their batches were refused", |s| s.log.failures),
    ("sealed_rows", "Flows written to files", |s| s.rows_sealed),
    ("sealed_files", "Files written", |s| s.files_sealed),
    ("compacted_files", "Files that became part of a larger one", |s| s.files_compacted),
    ("expired_files", "Files deleted for their age or for the budget", |s| s.files_expired),
    ("expired_rows", "Flows in files deleted for their age or for the budget", |s| s.rows_expired),
    ("upkeep_failures", "Rounds of upkeep that failed", |s| s.failures),
    ("damaged_files", "Files set aside because they are damaged", |s| s.files_set_aside),
    ("read_failures", "Reads of files that failed", |s| s.read_failures),
    ("read_groups", "Row groups read from files", |s| s.groups_read),
    ("skipped_groups", "Row groups that need not be read because of what the file says of them", |s| s.groups_skipped),
    ("rollups_read", "Counts of a file by minute or hour that were not in memory", |s| s.rollups_read),
    ("rollups_counted", "Those of them that had to be counted from the file's flows", |s| s.rollups_counted),
    ("rollups_made", "Files whose counts by minute and hour were made again", |s| s.rollups_made),
    ("refused_batches_full", "Batches refused because the memory is full of flows that are in no file", |s| {
        s.refused_full
    }),
];

/// What goes up and down.
const GAUGES: [(&str, &str, Read); 8] = [
    ("log_files", "Files of the log", |s| s.log.files),
    ("log_bytes", "Bytes of the log", |s| s.log.bytes),
    ("files", "Files of flows", |s| s.files),
    ("file_rows", "Flows in files", |s| s.file_rows),
    ("file_bytes", "Bytes of the files of flows", |s| s.file_bytes),
    ("rollup_memory_bytes", "Memory of the counts beside files that were asked for lately", |s| s.rollup_memory_bytes),
    ("rollups_later", "Files whose counts a later version made; their flows are counted instead", |s| s.rollups_later),
    ("rollup_bytes", "Bytes of the counts by minute and hour beside the files", |s| s.rollup_bytes),
];

impl StoreMetrics {
    pub(crate) fn register(&self, registry: &mut Registry) {
        let store = registry.sub_registry_with_prefix("store");
        for ((name, help, _), counter) in COUNTERS.iter().zip(&self.counters) {
            store.register(*name, *help, counter.clone());
        }
        for ((name, help, _), gauge) in GAUGES.iter().zip(&self.gauges) {
            store.register(*name, *help, gauge.clone());
        }
    }

    pub(crate) fn refresh(&self, stats: &StoreStats) {
        for ((_, _, read), counter) in COUNTERS.iter().zip(&self.counters) {
            counter.inc_by(read(stats).saturating_sub(counter.get()));
        }
        for ((_, _, read), gauge) in GAUGES.iter().zip(&self.gauges) {
            gauge.set(i64::try_from(read(stats)).unwrap_or(i64::MAX));
        }
    }
}
