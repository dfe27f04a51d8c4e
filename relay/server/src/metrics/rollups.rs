//! State of the counts by the minute and by the hour.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;
use relay_index::RollupStats;

/// State of the rollups as last seen.
#[derive(Default)]
pub(crate) struct RollupGauges {
    rows: Gauge,
    bytes: Gauge,
    flows: Counter,
    overflowed: Counter,
    missed: Counter,
    evicted: Counter,
}

impl RollupGauges {
    pub(super) fn register(&self, own: &mut Registry) {
        own.register("rollup_rows", "Rows of the counts by minute and hour", self.rows.clone());
        own.register("rollup_bytes", "Memory the counts occupy", self.bytes.clone());
        own.register("rollup_flows", "Flows counted by minute and hour", self.flows.clone());
        own.register("rollup_overflowed_flows", "Flows whose keys were too many for a slice", self.overflowed.clone());
        own.register("rollup_missed_flows", "Flows that left the index before they were counted", self.missed.clone());
        own.register("rollup_evicted_slices", "Minutes and hours that left to make room", self.evicted.clone());
    }

    /// Shows what the rollups hold and have seen.
    pub(crate) fn set(&self, stats: &RollupStats) {
        for (gauge, value) in [(&self.rows, stats.rows), (&self.bytes, stats.bytes)] {
            gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
        }
        let counters = [
            (&self.flows, stats.flows_seen),
            (&self.overflowed, stats.flows_overflowed),
            (&self.missed, stats.flows_missed),
            (&self.evicted, stats.evicted),
        ];
        for (counter, value) in counters {
            counter.inc_by(value.saturating_sub(counter.get()));
        }
    }
}
