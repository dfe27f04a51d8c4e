//! What the relay says of itself, `weir_relay_*`, and of all flows, `hubble_*`. All names are here.

mod hubble;
mod rollups;
mod store;

use std::fmt;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use proto::Exposition;

pub(crate) use hubble::{ExchangeLabels, FlowLabels, HubbleMetrics};
pub(crate) use rollups::RollupGauges;

/// Seconds, from a hit in memory to a query at its deadline.
const DURATION_BUCKETS: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

/// Counters and gauges of one relay.
pub(crate) struct Metrics {
    registry: Registry,
    /// Batches taken in, by the way they came.
    pub(crate) batches: Family<FromLabels, Counter>,
    /// Rows taken in, by the way they came.
    pub(crate) rows: Family<FromLabels, Counter>,
    /// Batches a collector sent again although the relay had them.
    pub(crate) repeats: Counter,
    /// Batches refused, by cause.
    pub(crate) refused: Family<CauseLabels, Counter>,
    /// Flows lost, by stage, collectors' own reports included.
    pub(crate) lost: Family<StageLabels, Counter>,
    /// Collectors that are pushing.
    pub(crate) pushing: Gauge,
    /// Nodes by state.
    pub(crate) nodes: Family<StateLabels, Gauge>,
    /// Queries that ended, by kind and outcome.
    pub(crate) queries: Family<QueryLabels, Counter>,
    /// Time queries took, by kind.
    pub(crate) query_seconds: Family<KindLabels, Histogram, fn() -> Histogram>,
    /// `GetFlows` answers being streamed.
    pub(crate) streams: Gauge,
    /// Live streams of the web UI.
    pub(crate) live: Gauge,
    /// HTTP requests answered.
    pub(crate) http_requests: Family<HttpLabels, Counter>,
    /// Time to the head of an HTTP answer.
    pub(crate) http_seconds: Family<RouteLabels, Histogram, fn() -> Histogram>,
    /// State of the index.
    pub(crate) index: IndexGauges,
    /// Memory of the process.
    pub(crate) memory: MemoryGauges,
    /// Flows of all nodes.
    pub(crate) hubble: HubbleMetrics,
    /// State of the rollups.
    pub(crate) rollups: RollupGauges,
    /// The store.
    pub(crate) store: store::StoreMetrics,
}

/// State of the index.
#[derive(Default)]
pub(crate) struct IndexGauges {
    /// Rows held.
    pub(crate) rows: Gauge,
    /// Bytes occupied.
    pub(crate) bytes: Gauge,
    /// Bytes that may be occupied.
    pub(crate) bytes_max: Gauge,
    /// Rows that left to make room.
    pub(crate) evicted: Counter,
}

/// Memory of the process.
#[derive(Default)]
pub(crate) struct MemoryGauges {
    /// Bytes occupied.
    pub(crate) resident: Gauge,
    /// Bytes that may be occupied.
    pub(crate) limit: Gauge,
    /// Times that intake waited because memory was short.
    pub(crate) held: Counter,
}

/// How flows came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct FromLabels {
    pub(crate) from: &'static str,
}

impl FromLabels {
    /// Pushed by a collector.
    pub(crate) const PUSH: Self = Self { from: "push" };
    /// Pulled from a Hubble observer.
    pub(crate) const PULL: Self = Self { from: "pull" };
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct CauseLabels {
    pub(crate) cause: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StageLabels {
    pub(crate) stage: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct StateLabels {
    pub(crate) state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct QueryLabels {
    pub(crate) kind: &'static str,
    pub(crate) outcome: &'static str,
}

/// How a query ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// With all of the answer.
    Ok,
    /// With an error.
    Failed,
    /// The client went.
    Cancelled,
    /// The client read nothing for too long.
    Stalled,
    /// The relay stopped.
    Stopped,
}

impl Outcome {
    const fn label(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
            Self::Stalled => "stalled",
            Self::Stopped => "stopped",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct KindLabels {
    pub(crate) kind: &'static str,
}

/// `route` is a pattern of the router, never a path as asked for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct HttpLabels {
    pub(crate) route: &'static str,
    pub(crate) code: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct RouteLabels {
    pub(crate) route: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct BuildLabels {
    version: &'static str,
}

impl Metrics {
    /// Metrics at zero.
    pub(crate) fn new() -> Self {
        let histograms: fn() -> Histogram = || Histogram::new(DURATION_BUCKETS);
        let mut registry = Registry::default();
        let hubble = HubbleMetrics::register(&mut registry);
        let mut metrics = Self {
            registry,
            batches: Family::default(),
            rows: Family::default(),
            repeats: Counter::default(),
            memory: MemoryGauges::default(),
            refused: Family::default(),
            lost: Family::default(),
            pushing: Gauge::default(),
            nodes: Family::default(),
            queries: Family::default(),
            query_seconds: Family::new_with_constructor(histograms),
            streams: Gauge::default(),
            live: Gauge::default(),
            http_requests: Family::default(),
            http_seconds: Family::new_with_constructor(histograms),
            index: IndexGauges::default(),
            hubble,
            rollups: RollupGauges::default(),
            store: store::StoreMetrics::default(),
        };
        metrics.register_own();
        metrics
    }

    fn register_own(&mut self) {
        let build = Family::<BuildLabels, Gauge>::default();
        build.get_or_create(&BuildLabels { version: env!("CARGO_PKG_VERSION") }).set(1);
        let own = self.registry.sub_registry_with_prefix("weir_relay");
        own.register("build_info", "Version of the relay", build);
        own.register("batches", "Batches of flows taken in", self.batches.clone());
        own.register("rows", "Flows taken in", self.rows.clone());
        own.register("repeated_batches", "Batches dropped because the relay had them", self.repeats.clone());
        own.register("refused_batches", "Batches refused", self.refused.clone());
        own.register("lost_flows", "Flows lost on the way, by stage", self.lost.clone());
        own.register("pushing_collectors", "Collectors connected to push", self.pushing.clone());
        own.register("nodes", "Nodes known, by state", self.nodes.clone());
        own.register("queries", "Queries that ended, by kind and outcome", self.queries.clone());
        own.register("query_duration_seconds", "Time queries took", self.query_seconds.clone());
        own.register("streams", "Streams of GetFlows open", self.streams.clone());
        own.register("live_streams", "Live streams of the web UI open", self.live.clone());
        own.register("http_requests", "HTTP requests answered", self.http_requests.clone());
        own.register("http_request_duration_seconds", "Time to the head of the answer", self.http_seconds.clone());
        own.register("index_rows", "Flows held in the index", self.index.rows.clone());
        own.register("index_bytes", "Memory the index occupies", self.index.bytes.clone());
        own.register("index_limit_bytes", "Memory the index may occupy", self.index.bytes_max.clone());
        own.register("memory_limit_bytes", "Memory the process may occupy", self.memory.limit.clone());
        own.register("memory_resident_bytes", "Memory the process occupies", self.memory.resident.clone());
        let held = "Times that intake waited because memory was short";
        own.register("memory_held", held, self.memory.held.clone());
        self.store.register(own);
        own.register("index_evicted_rows", "Flows that left the index to make room", self.index.evicted.clone());
        self.rollups.register(own);
    }

    /// Counts a query that ended.
    pub(crate) fn query_ended(&self, kind: &'static str, outcome: Outcome, took: Duration) {
        let outcome = outcome.label();
        self.queries.get_or_create(&QueryLabels { kind, outcome }).inc();
        self.query_seconds.get_or_create(&KindLabels { kind }).observe(took.as_secs_f64());
    }

    /// Writes all metrics in this form.
    pub(crate) fn write(&self, form: Exposition) -> Result<String, fmt::Error> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)?;
        Ok(form.of_open_metrics(text))
    }
}

/// A gauge that counts something for as long as this lives.
pub(crate) struct Counted(Gauge);

impl Counted {
    /// Counts one more.
    pub(crate) fn new(gauge: &Gauge) -> Self {
        gauge.inc();
        Self(gauge.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dec();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_beyond_the_bound_share_a_series() {
        let metrics = Metrics::new();
        for i in 0..hubble::SERIES_MAX + 10 {
            metrics.hubble.count_drops(&format!("R{i}"), "TCP", 1);
        }
        let text = metrics.write(Exposition::Text).unwrap();
        assert!(text.contains(r#"hubble_drop_total{reason="overflow",protocol="overflow"} 10"#), "{text}");
        assert!(text.contains(r#"hubble_drop_total{reason="R0",protocol="TCP"} 1"#));
    }
}
