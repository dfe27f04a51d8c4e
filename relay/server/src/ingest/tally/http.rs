//! HTTP requests, responses and how long they took.

use std::collections::HashMap;
use std::time::Duration;

use arrow::array::AsArray;
use arrow::datatypes::Int16Type;
use arrow::record_batch::RecordBatch;
use flow::text::method_label;
use flow::{L7FlowType, TrafficDirection};
use table::Col;

use super::Dictionaries;
use crate::metrics::{ExchangeLabels, Metrics};

const COLUMNS: [Col; 6] =
    [Col::L7Protocol, Col::L7Type, Col::HttpMethod, Col::HttpProtocol, Col::HttpCode, Col::TrafficDirection];

/// Adds the HTTP flows of a batch to `hubble_http_*`.
pub(super) fn count(metrics: &Metrics, batch: &RecordBatch) {
    // Most batches of most nodes have none, and their dictionary says so at once.
    let protocols = batch.column(Col::L7Protocol.index()).as_dictionary_opt::<Int16Type>();
    let names = protocols.and_then(|column| column.values().as_string_opt::<i32>());
    if !names.is_some_and(|names| names.iter().flatten().any(|name| name == "HTTP")) {
        return;
    }
    let Some(columns) = Dictionaries::of(batch, COLUMNS) else { return };
    let Some(latencies) = Dictionaries::of(batch, [Col::L7LatencyNs]) else { return };
    let mut counts: HashMap<_, (u64, Vec<Duration>)> = HashMap::new();
    for row in 0..batch.num_rows() {
        let keys = columns.keys(row);
        if columns.text(keys, 0) != "HTTP" {
            continue;
        }
        let (count, times) = counts.entry(keys).or_default();
        *count += 1;
        if columns.text(keys, 1) == L7FlowType::RESPONSE.name().unwrap_or_default() {
            let nanos = latencies.number(latencies.keys(row), 0).and_then(|nanos| u64::try_from(nanos).ok());
            times.push(Duration::from_nanos(nanos.unwrap_or(0)));
        }
    }
    for (keys, (count, times)) in counts {
        let labels = ExchangeLabels {
            method: method_label(columns.text(keys, 2)).to_owned(),
            protocol: columns.text(keys, 3).to_owned(),
            status: columns.number(keys, 4).unwrap_or(0),
            reporter: reporter(columns.text(keys, 5)),
        };
        match L7FlowType::from_name(columns.text(keys, 1)) {
            Some(L7FlowType::REQUEST) => metrics.hubble.count_requests(&labels, count),
            Some(L7FlowType::RESPONSE) => metrics.hubble.count_responses(&labels, count, &times),
            _ => {}
        }
    }
}

/// Side that observed an exchange: a client sees it leave, a server sees it come.
fn reporter(direction: &str) -> &'static str {
    match TrafficDirection::from_name(direction) {
        Some(TrafficDirection::EGRESS) => "client",
        Some(TrafficDirection::INGRESS) => "server",
        _ => "unknown",
    }
}
