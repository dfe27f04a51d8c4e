//! HTTP, DNS and Kafka.

use std::time::Duration;

use flow::text::{dns_rcode_label, dns_type_label, method_label};
use flow::{Dns, Flow, Http, Kafka, L7, L7FlowType, L7Record, TrafficDirection, Verdict};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use crate::config::HttpMetrics;
use crate::metrics::series::Series;

/// Requests, responses and how long they took.
#[derive(Debug)]
pub(super) struct Applications {
    dns_queries: Series<DnsKey, Counter, 3>,
    dns_responses: Series<DnsKey, Counter, 3>,
    dns_response_types: Series<(String, String), Counter, 2>,
    http: HttpCounters,
    http_durations: Series<(String, TrafficDirection), Histogram, 2>,
    kafka_requests: Series<(String, String, i32, TrafficDirection), Counter, 4>,
    kafka_durations: Series<(String, String, TrafficDirection), Histogram, 3>,
}

/// Response code, types asked for, number of addresses.
type DnsKey = (&'static str, String, usize);
/// Method, protocol, status, direction.
type HttpKey = (String, String, u32, TrafficDirection);

/// The two sets of counters of HTTP; Hubble has one or the other.
#[derive(Debug)]
enum HttpCounters {
    V1 { requests: Series<HttpKey, Counter, 3>, responses: Series<HttpKey, Counter, 4> },
    V2 { requests: Series<HttpKey, Counter, 4> },
}

impl Applications {
    pub(super) fn new(r: &mut Registry, http: HttpMetrics, max: usize) -> Self {
        let dns = ["rcode", "qtypes", "ips_returned"];
        let types = ["type", "qtypes"];
        let kafka = ["topic", "api_key", "error_code", "reporter"];
        Self {
            dns_queries: Series::counter(r, "hubble_dns_queries", "DNS queries observed", dns, max),
            dns_responses: Series::counter(r, "hubble_dns_responses", "DNS responses observed", dns, max),
            dns_response_types: Series::counter(
                r,
                "hubble_dns_response_types",
                "Records of DNS responses by type",
                types,
                max,
            ),
            http: HttpCounters::new(r, http, max),
            http_durations: Series::durations(
                r,
                "hubble_http_request_duration_seconds",
                "Time from HTTP request to response in seconds",
                ["method", "reporter"],
                max,
            ),
            kafka_requests: Series::counter(r, "hubble_kafka_requests", "Kafka requests by topic", kafka, max),
            kafka_durations: Series::durations(
                r,
                "hubble_kafka_request_duration_seconds",
                "Time from Kafka request to response in seconds",
                ["topic", "api_key", "reporter"],
                max,
            ),
        }
    }

    pub(super) fn count(&mut self, flow: &Flow, l7: &L7) {
        match &l7.record {
            L7Record::Dns(dns) => self.count_dns(flow, l7.kind, dns),
            L7Record::Http(http) => self.count_http(flow.traffic_direction, l7, http),
            L7Record::Kafka(kafka) => self.count_kafka(flow.traffic_direction, l7, kafka),
            L7Record::None => {}
        }
    }

    fn count_dns(&mut self, flow: &Flow, kind: L7FlowType, dns: &Dns) {
        let denied = flow.verdict == Verdict::DROPPED;
        let types = dns.qtypes.iter().map(|name| dns_type_label(name)).collect::<Vec<_>>().join(",");
        let rcode = match kind {
            _ if denied => "Policy denied",
            L7FlowType::RESPONSE => dns_rcode_label(dns.rcode),
            _ => "",
        };
        let labels = || [rcode.to_owned(), types.clone(), dns.ips.len().to_string()];
        let key = (rcode, types.clone(), dns.ips.len());
        if denied || kind == L7FlowType::REQUEST {
            self.dns_queries.of(key, labels).inc();
        } else if kind == L7FlowType::RESPONSE {
            self.dns_responses.of(key, labels).inc();
            for kind in dns.rrtypes.iter().map(|name| dns_type_label(name)) {
                let labels = || [kind.to_owned(), types.clone()];
                self.dns_response_types.of((kind.to_owned(), types.clone()), labels).inc();
            }
        }
    }

    fn count_http(&mut self, way: TrafficDirection, l7: &L7, http: &Http) {
        self.http.count(way, l7.kind, http);
        if l7.kind == L7FlowType::RESPONSE {
            let method = method_label(&http.method);
            let labels = || [method.to_owned(), reporter(way).to_owned()];
            self.http_durations.of((method.to_owned(), way), labels).observe(seconds(l7));
        }
    }

    /// Requests only, as Hubble does: its record of a request carries the answer's error and time.
    fn count_kafka(&mut self, way: TrafficDirection, l7: &L7, kafka: &Kafka) {
        if l7.kind != L7FlowType::REQUEST {
            return;
        }
        let (topic, api, error) = (&kafka.topic, &kafka.api_key, kafka.error_code);
        let labels = || [topic.clone(), api.clone(), error.to_string(), reporter(way).to_owned()];
        self.kafka_requests.of((topic.clone(), api.clone(), error, way), labels).inc();
        let labels = || [topic.clone(), api.clone(), reporter(way).to_owned()];
        self.kafka_durations.of((topic.clone(), api.clone(), way), labels).observe(seconds(l7));
    }
}

impl HttpCounters {
    fn new(r: &mut Registry, version: HttpMetrics, max: usize) -> Self {
        let (requests, help) = ("hubble_http_requests", "HTTP requests");
        let with_status = ["method", "protocol", "status", "reporter"];
        match version {
            HttpMetrics::V1 => Self::V1 {
                requests: Series::counter(r, requests, help, ["method", "protocol", "reporter"], max),
                responses: Series::counter(r, "hubble_http_responses", "HTTP responses", with_status, max),
            },
            HttpMetrics::V2 => Self::V2 { requests: Series::counter(r, requests, help, with_status, max) },
        }
    }

    fn count(&mut self, way: TrafficDirection, kind: L7FlowType, http: &Http) {
        let method = || method_label(&http.method).to_owned();
        let key = |code| (method(), http.protocol.clone(), code, way);
        let by = || reporter(way).to_owned();
        let with_status = || [method(), http.protocol.clone(), http.code.to_string(), by()];
        match (self, kind) {
            (Self::V1 { requests, .. }, L7FlowType::REQUEST) => {
                requests.of(key(0), || [method(), http.protocol.clone(), by()]).inc();
            }
            (Self::V1 { responses: counted, .. } | Self::V2 { requests: counted }, L7FlowType::RESPONSE) => {
                counted.of(key(http.code), with_status).inc();
            }
            _ => {}
        }
    }
}

fn seconds(l7: &L7) -> f64 {
    Duration::from_nanos(l7.latency_ns).as_secs_f64()
}

/// Side that observed an application record.
const fn reporter(direction: TrafficDirection) -> &'static str {
    match direction {
        TrafficDirection::EGRESS => "client",
        TrafficDirection::INGRESS => "server",
        _ => "unknown",
    }
}
