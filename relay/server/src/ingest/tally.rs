//! Counting the flows of a batch for Hubble's metrics, without reading its rows one by one.

use std::collections::HashMap;

use arrow::array::{Array, AsArray, DictionaryArray};
use arrow::datatypes::{Int16Type, Int64Type};
use arrow::record_batch::RecordBatch;
use flow::{DropReason, Verdict, event_type};
use table::Col;

use crate::metrics::{FlowLabels, Metrics};

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

/// Adds the flows of a batch of the flow table to `hubble_flows_processed_total` and `hubble_drop_total`.
pub(super) fn count(metrics: &Metrics, batch: &RecordBatch) {
    let columns: Vec<&DictionaryArray<Int16Type>> =
        COLUMNS.iter().filter_map(|c| batch.column(c.index()).as_dictionary_opt::<Int16Type>()).collect();
    let Ok(columns) = <[_; COLUMNS.len()]>::try_from(columns) else {
        debug_assert!(false, "these columns of the flow table are dictionaries");
        return;
    };
    let mut counts: HashMap<[i16; COLUMNS.len()], u64> = HashMap::new();
    for row in 0..batch.num_rows() {
        let keys = columns.map(|c| if c.is_null(row) { NULL } else { c.keys().value(row) });
        *counts.entry(keys).or_default() += 1;
    }
    for (keys, flows) in counts {
        let kind = kind_of(&columns, keys);
        metrics.count_flows(&kind.labels(), flows);
        if kind.is_drop() {
            metrics.count_drops(kind.reason(), kind.protocol(), flows);
        }
    }
}

fn kind_of<'a>(columns: &[&'a DictionaryArray<Int16Type>], keys: [i16; COLUMNS.len()]) -> Kind<'a> {
    let index = |at: usize| usize::try_from(keys[at]).ok();
    let text = |at: usize| {
        index(at).zip(columns[at].values().as_string_opt::<i32>()).map_or("", |(key, values)| values.value(key))
    };
    let number = |at: usize| {
        index(at).zip(columns[at].values().as_primitive_opt::<Int64Type>()).map(|(key, values)| values.value(key))
    };
    Kind {
        verdict: text(0),
        event_type: number(1),
        event_sub_type: number(2).unwrap_or(0),
        l4_protocol: text(3),
        l7_protocol: text(4),
        drop_reason: text(5),
        kernel_reason: text(6),
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
    use crate::metrics::Format;
    use flow::{EventType, Flow, FlowDetails, Http, KernelDrop, L4, L7, L7Record, TcpFlags};
    use std::sync::Arc;

    fn check(flow: &Flow, expected: &[&str]) {
        let mut builder = table::FlowBatchBuilder::new();
        for _ in 0..3 {
            builder.push(flow).unwrap();
        }
        let metrics = Metrics::new();
        count(&metrics, &builder.finish());
        let text = metrics.write(Format::Text).unwrap();
        let found: Vec<_> = text.lines().filter(|l| l.starts_with("hubble_")).collect();
        assert_eq!(found, expected);
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
    fn an_http_request() {
        let l7 = L7 { record: L7Record::Http(Http::default()), ..L7::default() };
        let event = EventType { kind: event_type::L7, sub_kind: 0 };
        let flow = Flow { l7: Some(Box::new(l7)), event_type: Some(event), ..tcp() };
        let expected =
            r#"hubble_flows_processed_total{protocol="HTTP",type="L7",subtype="HTTP",verdict="FORWARDED"} 3"#;
        check(&flow, &[expected]);
    }

    #[test]
    fn a_drop_has_hubbles_reason_or_the_kernels() {
        let dropped = |reason, kernel: &str| {
            let drop = KernelDrop { reason: kernel.to_owned(), ..KernelDrop::default() };
            Flow {
                verdict: Verdict::DROPPED,
                drop_reason: reason,
                event_type: Some(EventType { kind: event_type::DROP, sub_kind: reason.0 }),
                details: Some(Box::new(FlowDetails { kernel_drop: Some(Arc::new(drop)), ..FlowDetails::default() })),
                ..tcp()
            }
        };
        let flows = r#"hubble_flows_processed_total{protocol="TCP",type="Drop",subtype="",verdict="DROPPED"} 3"#;
        let denied = r#"hubble_drop_total{reason="POLICY_DENIED",protocol="TCP"} 3"#;
        check(&dropped(DropReason::POLICY_DENIED, "NETFILTER_DROP"), &[flows, denied]);
        let kernel = r#"hubble_drop_total{reason="SOCKET_RCVBUFF",protocol="TCP"} 3"#;
        check(&dropped(DropReason::DROP_REASON_UNKNOWN, "SOCKET_RCVBUFF"), &[flows, kernel]);
    }
}
