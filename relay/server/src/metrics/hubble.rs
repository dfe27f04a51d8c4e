//! Hubble's metrics over the flows of all nodes: names and labels are those of Hubble 1.19.

use std::hash::Hash;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::{Family, MetricConstructor};
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

/// Series one metric of flows may have: a collector may send any text as reason or verdict.
pub(super) const SERIES_MAX: usize = 2000;
/// Label value of the series that counts what did not get its own.
const OVERFLOW: &str = "overflow";
/// Buckets of durations in seconds: those of Prometheus' own clients, as Hubble has them.
const DURATION_BUCKETS: [f64; 11] = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0];

/// Counters of the flows of all nodes.
pub(crate) struct HubbleMetrics {
    flows: Capped<FlowLabels, Counter>,
    drops: Capped<DropLabels, Counter>,
    http_requests: Capped<RequestLabels, Counter>,
    http_responses: Capped<ResponseLabels, Counter>,
    http_durations: Capped<DurationLabels, Histogram, fn() -> Histogram>,
}

/// Labels of Hubble's `flows_processed_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(crate) struct FlowLabels {
    pub(crate) protocol: String,
    pub(crate) r#type: &'static str,
    pub(crate) subtype: String,
    pub(crate) verdict: String,
}

/// Labels of Hubble's `drop_total`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    reason: String,
    protocol: String,
}

/// What the labels of Hubble's `http_*` are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ExchangeLabels {
    pub(crate) method: String,
    pub(crate) protocol: String,
    /// Response code, 0 on requests.
    pub(crate) status: i64,
    /// `client`, `server` or `unknown`.
    pub(crate) reporter: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    protocol: String,
    reporter: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResponseLabels {
    method: String,
    protocol: String,
    status: String,
    reporter: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DurationLabels {
    method: String,
    reporter: &'static str,
}

impl HubbleMetrics {
    /// Registers all of them, at zero.
    pub(super) fn register(registry: &mut Registry) -> Self {
        let durations: fn() -> Histogram = || Histogram::new(DURATION_BUCKETS);
        let metrics = Self {
            flows: Capped::of(Family::default()),
            drops: Capped::of(Family::default()),
            http_requests: Capped::of(Family::default()),
            http_responses: Capped::of(Family::default()),
            http_durations: Capped::of(Family::new_with_constructor(durations)),
        };
        let hubble = registry.sub_registry_with_prefix("hubble");
        hubble.register("flows_processed", "Flows of all nodes", metrics.flows.family.clone());
        hubble.register("drop", "Dropped packets of all nodes", metrics.drops.family.clone());
        hubble.register("http_requests", "HTTP requests of all nodes", metrics.http_requests.family.clone());
        hubble.register("http_responses", "HTTP responses of all nodes", metrics.http_responses.family.clone());
        hubble.register(
            "http_request_duration_seconds",
            "Time from HTTP request to response in seconds, of all nodes",
            metrics.http_durations.family.clone(),
        );
        metrics
    }

    /// Counts flows of one kind; kinds beyond [`SERIES_MAX`] share one series, as for all of these.
    pub(crate) fn count_flows(&self, labels: &FlowLabels, flows: u64) {
        self.flows.with(
            labels,
            || {
                let [protocol, subtype, verdict] = overflow();
                FlowLabels { protocol, r#type: OVERFLOW, subtype, verdict }
            },
            |counter| {
                counter.inc_by(flows);
            },
        );
    }

    /// Counts dropped packets of one kind: a flow may stand for several.
    pub(crate) fn count_drops(&self, reason: &str, protocol: &str, packets: u64) {
        let labels = DropLabels { reason: reason.to_owned(), protocol: protocol.to_owned() };
        self.drops.with(
            &labels,
            || {
                let [reason, protocol] = overflow();
                DropLabels { reason, protocol }
            },
            |counter| {
                counter.inc_by(packets);
            },
        );
    }

    /// Counts HTTP requests of one kind.
    pub(crate) fn count_requests(&self, labels: &ExchangeLabels, requests: u64) {
        let ExchangeLabels { method, protocol, reporter, .. } = labels.clone();
        self.http_requests.with(
            &RequestLabels { method, protocol, reporter },
            || {
                let [method, protocol] = overflow();
                RequestLabels { method, protocol, reporter: OVERFLOW }
            },
            |counter| {
                counter.inc_by(requests);
            },
        );
    }

    /// Counts HTTP responses of one kind, and the time each took.
    pub(crate) fn count_responses(&self, labels: &ExchangeLabels, responses: u64, times: &[Duration]) {
        let ExchangeLabels { method, protocol, status, reporter } = labels.clone();
        let took = DurationLabels { method: method.clone(), reporter };
        self.http_responses.with(
            &ResponseLabels { method, protocol, status: status.to_string(), reporter },
            || {
                let [method, protocol, status] = overflow();
                ResponseLabels { method, protocol, status, reporter: OVERFLOW }
            },
            |counter| {
                counter.inc_by(responses);
            },
        );
        self.http_durations.with(
            &took,
            || {
                let [method] = overflow();
                DurationLabels { method, reporter: OVERFLOW }
            },
            |histogram| times.iter().for_each(|time| histogram.observe(time.as_secs_f64())),
        );
    }
}

fn overflow<const N: usize>() -> [String; N] {
    [(); N].map(|()| OVERFLOW.to_owned())
}

/// Series whose labels come from outside: the first [`SERIES_MAX`] kinds have one of their own.
struct Capped<L, M, C = fn() -> M> {
    family: Family<L, M, C>,
    series: AtomicUsize,
}

impl<L: Clone + Eq + Hash, M, C: MetricConstructor<M>> Capped<L, M, C> {
    fn of(family: Family<L, M, C>) -> Self {
        Self { family, series: AtomicUsize::new(0) }
    }

    fn with(&self, labels: &L, overflow: impl FnOnce() -> L, work: impl FnOnce(&M)) {
        if let Some(metric) = self.family.get(labels) {
            work(&metric);
        } else if self.series.fetch_add(1, Ordering::Relaxed) < SERIES_MAX {
            work(&self.family.get_or_create(labels));
        } else {
            work(&self.family.get_or_create(&overflow()));
        }
    }
}
