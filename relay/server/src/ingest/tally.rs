//! Counting the flows of a batch for Hubble's metrics, without reading its rows one by one.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, DictionaryArray};
use arrow::datatypes::{Int16Type, Int64Type};
use arrow::record_batch::RecordBatch;
use flow::{DropReason, Verdict, event_type};
use foldhash::fast::RandomState;
use table::Col;

use crate::metrics::{FlowLabels, Metrics};

mod http;

/// Columns whose values decide what a flow counts as.
const COLUMNS: [Col; 7] = [
    Col::Verdict,
    Col::EventType,
    Col::EventSubType,
    Col::L4Protocol,
    Col::L7Protocol,
    Col::DropReason,
    Col::KernelDropReason,
];
/// Key of a NULL.
const NULL: i16 = -1;
/// Names of trace points by sub type, as Cilium's monitor writes them.
const TRACE_POINTS: [&str; 14] = [
    "to-endpoint",
    "to-proxy",
    "to-host",
    "to-stack",
    "to-overlay",
    "from-endpoint",
    "from-proxy",
    "from-host",
    "from-stack",
    "from-overlay",
    "from-network",
    "to-network",
    "from-crypto",
    "to-crypto",
];

/// Values of [`COLUMNS`] of one kind of flow.
#[derive(Debug, Default, PartialEq, Eq)]
struct Kind<'a> {
    verdict: &'a str,
    event_type: Option<i64>,
    event_sub_type: i64,
    l4_protocol: &'a str,
    l7_protocol: &'a str,
    drop_reason: &'a str,
    kernel_reason: &'a str,
}

/// How much there is of one kind.
#[derive(Clone, Copy, Debug, Default)]
struct Count {
    keys: [i16; COLUMNS.len()],
    is_drop: bool,
    flows: u64,
    /// Of drops.
    packets: u64,
}

/// Adds the flows of a batch of the flow table to Hubble's metrics.
pub(super) fn count(metrics: &Metrics, batch: &RecordBatch) {
    let Some(columns) = Dictionaries::of(batch, COLUMNS) else { return };
    let Some(packets) = Dictionaries::of(batch, [Col::Packets]) else { return };
    let mut numbers: HashMap<[i16; COLUMNS.len()], usize, RandomState> = HashMap::default();
    let mut counts: Vec<Count> = Vec::new();
    let mut last = None;
    for row in 0..batch.num_rows() {
        let keys = columns.keys(row);
        // Neighbouring rows are often of one kind.
        let number = match last {
            Some((of, number)) if of == keys => number,
            _ => *numbers.entry(keys).or_insert_with(|| {
                let kind = kind_of(&columns, keys);
                counts.push(Count { is_drop: kind.is_drop(), keys, ..Count::default() });
                counts.len() - 1
            }),
        };
        last = Some((keys, number));
        let count = &mut counts[number];
        count.flows += 1;
        if count.is_drop {
            let packets = packets.number(packets.keys(row), 0).unwrap_or(0);
            // A flow that does not tell, as those of Hubble's agents, is one packet.
            count.packets += u64::try_from(packets).unwrap_or(0).max(1);
        }
    }
    for count in counts {
        let kind = kind_of(&columns, count.keys);
        metrics.hubble.count_flows(&kind.labels(), count.flows);
        if count.is_drop {
            metrics.hubble.count_drops(kind.reason(), kind.protocol(), count.packets);
        }
    }
    http::count(metrics, batch);
}

/// Columns of a batch that are dictionaries: a row is told by so many small keys.
struct Dictionaries<'a, const N: usize>([&'a DictionaryArray<Int16Type>; N]);

impl<'a, const N: usize> Dictionaries<'a, N> {
    /// `None` where one of them is none, which the flow table excludes.
    fn of(batch: &'a RecordBatch, columns: [Col; N]) -> Option<Self> {
        let columns = columns.iter().filter_map(|c| batch.column(c.index()).as_dictionary_opt::<Int16Type>());
        let columns = <[_; N]>::try_from(columns.collect::<Vec<_>>()).ok();
        debug_assert!(columns.is_some(), "these columns of the flow table are dictionaries");
        columns.map(Self)
    }

    /// Keys of a row, [`NULL`] where it has no value.
    fn keys(&self, row: usize) -> [i16; N] {
        self.0.map(|column| if column.is_null(row) { NULL } else { column.keys().value(row) })
    }

    fn text(&self, keys: [i16; N], at: usize) -> &'a str {
        let values = self.0[at].values().as_string_opt::<i32>();
        usize::try_from(keys[at]).ok().zip(values).map_or("", |(key, values)| values.value(key))
    }

    fn number(&self, keys: [i16; N], at: usize) -> Option<i64> {
        let values = self.0[at].values().as_primitive_opt::<Int64Type>();
        usize::try_from(keys[at]).ok().zip(values).map(|(key, values)| values.value(key))
    }
}

fn kind_of<'a>(columns: &Dictionaries<'a, { COLUMNS.len() }>, keys: [i16; COLUMNS.len()]) -> Kind<'a> {
    Kind {
        verdict: columns.text(keys, 0),
        event_type: columns.number(keys, 1),
        event_sub_type: columns.number(keys, 2).unwrap_or(0),
        l4_protocol: columns.text(keys, 3),
        l7_protocol: columns.text(keys, 4),
        drop_reason: columns.text(keys, 5),
        kernel_reason: columns.text(keys, 6),
    }
}

impl Kind<'_> {
    fn is_drop(&self) -> bool {
        Verdict::from_name(self.verdict) == Some(Verdict::DROPPED)
    }

    /// Hubble's reason where there is one, else the kernel's.
    fn reason(&self) -> &str {
        let unknown = DropReason::from_name(self.drop_reason) == Some(DropReason::DROP_REASON_UNKNOWN);
        if unknown && !self.kernel_reason.is_empty() { self.kernel_reason } else { self.drop_reason }
    }

    fn event_type(&self) -> i32 {
        self.event_type.and_then(|t| i32::try_from(t).ok()).unwrap_or(0)
    }

    fn l7_name(&self) -> &str {
        if self.l7_protocol == "KAFKA" { "Kafka" } else { self.l7_protocol }
    }

    /// The protocol as Hubble's metrics name it.
    fn protocol(&self) -> &str {
        match self.event_type() {
            event_type::L7 if self.l7_protocol.is_empty() => "Unknown L7",
            event_type::L7 => self.l7_name(),
            event_type::DROP | event_type::TRACE | event_type::POLICY_VERDICT | event_type::CAPTURE => {
                if self.l4_protocol.is_empty() { "Unknown L4" } else { self.l4_protocol }
            }
            _ => "Unknown flow",
        }
    }

    fn labels(&self) -> FlowLabels {
        let trace_point = usize::try_from(self.event_sub_type).ok().and_then(|i| TRACE_POINTS.get(i));
        let (r#type, subtype) = match self.event_type() {
            event_type::L7 => ("L7", self.l7_name().to_owned()),
            event_type::DROP => ("Drop", String::new()),
            event_type::CAPTURE => ("Capture", String::new()),
            event_type::TRACE => ("Trace", trace_point.copied().unwrap_or_default().to_owned()),
            event_type::POLICY_VERDICT => ("PolicyVerdict", String::new()),
            other => ("Unknown", other.to_string()),
        };
        FlowLabels { protocol: self.protocol().to_owned(), r#type, subtype, verdict: self.verdict.to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flow::{
        EventType, Flow, FlowDetails, Http, KernelDrop, L4, L7, L7FlowType, L7Record, TcpFlags, TrafficDirection,
    };
    use proto::Exposition;
    use std::sync::Arc;

    fn check(flow: &Flow, expected: &[&str]) {
        let text = text_of(flow);
        let found: Vec<_> = text.lines().filter(|l| l.starts_with("hubble_")).collect();
        assert_eq!(found, expected);
    }

    /// The metrics after a batch that holds this flow three times.
    fn text_of(flow: &Flow) -> String {
        let mut builder = table::FlowBatchBuilder::new();
        for _ in 0..3 {
            builder.push(flow).unwrap();
        }
        let metrics = Metrics::new();
        count(&metrics, &builder.finish());
        metrics.write(Exposition::Text).unwrap()
    }

    fn tcp() -> Flow {
        Flow {
            verdict: Verdict::FORWARDED,
            l4: Some(L4::Tcp { source_port: 1, destination_port: 80, flags: Some(TcpFlags::SYN) }),
            event_type: Some(EventType { kind: event_type::TRACE, sub_kind: 0 }),
            ..Flow::default()
        }
    }

    #[test]
    fn a_trace() {
        let expected =
            r#"hubble_flows_processed_total{protocol="TCP",type="Trace",subtype="to-endpoint",verdict="FORWARDED"} 3"#;
        check(&tcp(), &[expected]);
    }

    #[test]
    fn http_by_the_side_that_reports() {
        let event = EventType { kind: event_type::L7, sub_kind: 0 };
        let flow = |kind, code, direction| {
            let http = Http { code, method: "GET".to_owned(), protocol: "HTTP/1.1".to_owned(), ..Http::default() };
            let l7 = L7 { kind, latency_ns: 20_000_000, record: L7Record::Http(http) };
            Flow { l7: Some(Box::new(l7)), event_type: Some(event), traffic_direction: direction, ..tcp() }
        };
        let sides = [
            (TrafficDirection::EGRESS, "client"),
            (TrafficDirection::INGRESS, "server"),
            (TrafficDirection::default(), "unknown"),
        ];
        let flows = r#"hubble_flows_processed_total{protocol="HTTP",type="L7",subtype="HTTP",verdict="FORWARDED"} 3"#;
        for (direction, by) in sides {
            let request =
                format!(r#"hubble_http_requests_total{{method="GET",protocol="HTTP/1.1",reporter="{by}"}} 3"#);
            check(&flow(L7FlowType::REQUEST, 0, direction), &[flows, &request]);
            let response = format!(
                r#"hubble_http_responses_total{{method="GET",protocol="HTTP/1.1",status="404",reporter="{by}"}} 3"#
            );
            let took = |what: &str, le: &str| {
                format!(r#"hubble_http_request_duration_seconds_{what}{{{le}method="GET",reporter="{by}"}} "#)
            };
            let text = text_of(&flow(L7FlowType::RESPONSE, 404, direction));
            assert!(text.contains(&response), "{text}");
            for (le, count) in [("0.01", 0), ("0.025", 3), ("+Inf", 3)] {
                let line = format!("{}{count}\n", took("bucket", &format!(r#"le="{le}","#)));
                assert!(text.contains(&line), "{line} in {text}");
            }
        }
    }

    #[test]
    fn a_drop_has_hubbles_reason_or_the_kernels() {
        let dropped = |reason, kernel: &str, packets| {
            let drop = KernelDrop { reason: kernel.to_owned(), ..KernelDrop::default() };
            Flow {
                verdict: Verdict::DROPPED,
                drop_reason: reason,
                event_type: Some(EventType { kind: event_type::DROP, sub_kind: reason.0 }),
                details: Some(Box::new(FlowDetails {
                    packets,
                    kernel_drop: Some(Arc::new(drop)),
                    ..FlowDetails::default()
                })),
                ..tcp()
            }
        };
        let flows = r#"hubble_flows_processed_total{protocol="TCP",type="Drop",subtype="",verdict="DROPPED"} 3"#;
        let denied = r#"hubble_drop_total{reason="POLICY_DENIED",protocol="TCP"} 3"#;
        check(&dropped(DropReason::POLICY_DENIED, "NETFILTER_DROP", 0), &[flows, denied]);
        // Three flows of five packets each.
        let kernel = r#"hubble_drop_total{reason="SOCKET_RCVBUFF",protocol="TCP"} 15"#;
        check(&dropped(DropReason::DROP_REASON_UNKNOWN, "SOCKET_RCVBUFF", 5), &[flows, kernel]);
    }
}
