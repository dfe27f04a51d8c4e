//! A small shop whose flows the tests make by hand.

use std::sync::Arc;

use arrow::record_batch::RecordBatch;
use flow::{
    Dns, Endpoint, EventType, Flow, FlowDetails, FlowType, Http, Identity, Ip, KernelDrop, L4, L7, L7FlowType,
    L7Record, Timestamp, TraceObservationPoint, TrafficDirection, Verdict, Workload, event_type,
};
use relay_index::{BatchOrigin, Config, Index};
use table::FlowBatchBuilder;

/// A batch of flows.
pub(crate) fn batch(flows: &[Flow]) -> RecordBatch {
    let mut builder = FlowBatchBuilder::new();
    for flow in flows {
        builder.push(flow).unwrap();
    }
    builder.finish()
}

pub(crate) fn index() -> Index {
    Index::new(Config::default()).unwrap()
}

/// Appends flows as a source that does not number its batches.
pub(crate) fn append(index: &Index, flows: &[Flow]) {
    let origin = BatchOrigin { node: "n1".to_owned(), ..BatchOrigin::default() };
    index.append(&origin, &batch(flows)).unwrap();
}

pub(crate) fn second(n: i64) -> Timestamp {
    Timestamp::from_parts(1_768_471_872 + n, 0)
}

/// A flow of a node at a second, told apart by its cookie.
pub(crate) fn tick(node: &str, time: Timestamp, cookie: u64) -> Flow {
    Flow { time, node_name: node.into(), socket_cookie: cookie, ..Flow::default() }
}

/// A pod of the shop with its address.
pub(crate) fn pod(workload: &str, number: u8) -> (Endpoint, [u8; 4]) {
    let endpoint = Endpoint {
        identity: Identity(1_000 + u32::from(workload.as_bytes()[0])),
        namespace: "shop".to_owned(),
        pod_name: format!("{workload}-{number}"),
        workloads: vec![Workload { name: workload.to_owned(), kind: "Deployment".to_owned() }],
        labels: vec![format!("k8s:app={workload}")],
        ..Endpoint::default()
    };
    (endpoint, [10, 0, workload.as_bytes()[0], number])
}

/// Someone outside of the cluster.
pub(crate) fn world(last: u8) -> (Endpoint, [u8; 4]) {
    (Endpoint { identity: Identity::WORLD, ..Endpoint::default() }, [203, 0, 113, last])
}

/// From where a packet is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Seen {
    AtClient,
    AtServer,
}

/// One report of a connection from a client to port 80 of a server.
#[derive(Clone, Debug)]
pub(crate) struct Talk {
    pub(crate) client: (Endpoint, [u8; 4]),
    pub(crate) server: (Endpoint, [u8; 4]),
    pub(crate) seen: Seen,
    pub(crate) is_reply: bool,
    pub(crate) bytes: u64,
    pub(crate) packets: u64,
}

impl Talk {
    pub(crate) fn new(client: (Endpoint, [u8; 4]), server: (Endpoint, [u8; 4])) -> Self {
        Self { client, server, seen: Seen::AtClient, is_reply: false, bytes: 100, packets: 1 }
    }

    pub(crate) fn seen(self, seen: Seen) -> Self {
        Self { seen, ..self }
    }

    pub(crate) fn reply(self) -> Self {
        Self { is_reply: true, ..self }
    }

    pub(crate) fn bytes(self, bytes: u64) -> Self {
        Self { bytes, ..self }
    }

    /// The flow, as the collector of the client or of the server reports it.
    pub(crate) fn flow(&self, time: Timestamp) -> Flow {
        let mut ends = [(&self.client, 40_000), (&self.server, 80)];
        if self.is_reply {
            ends.reverse();
        }
        let [((source, source_ip), source_port), ((destination, destination_ip), destination_port)] = ends;
        let leaves = (self.seen == Seen::AtClient) != self.is_reply;
        let trace_point =
            if leaves { TraceObservationPoint::FROM_ENDPOINT } else { TraceObservationPoint::TO_ENDPOINT };
        Flow {
            time,
            node_name: if self.seen == Seen::AtClient { "n1" } else { "n2" }.into(),
            verdict: Verdict::FORWARDED,
            kind: FlowType::L3_L4,
            ip: Some(Ip::new((*source_ip).into(), (*destination_ip).into())),
            l4: Some(L4::Tcp { source_port, destination_port, flags: None }),
            source: Some(Arc::new(source.clone())),
            destination: Some(Arc::new(destination.clone())),
            event_type: Some(EventType { kind: event_type::TRACE, sub_kind: trace_point.0 }),
            trace_point,
            traffic_direction: match self.seen {
                Seen::AtClient => TrafficDirection::EGRESS,
                Seen::AtServer => TrafficDirection::INGRESS,
            },
            is_reply: Some(self.is_reply),
            details: Some(Box::new(FlowDetails { bytes: self.bytes, packets: self.packets, ..FlowDetails::default() })),
            ..Flow::default()
        }
    }

    /// The same connection's packet, dropped by the kernel.
    pub(crate) fn drop(&self, time: Timestamp, reason: &str) -> Flow {
        let mut flow = self.flow(time);
        flow.verdict = Verdict::DROPPED;
        flow.drop_reason = flow::DropReason::POLICY_DENIED;
        flow.is_reply = None;
        flow.event_type = Some(EventType { kind: event_type::DROP, sub_kind: 133 });
        let drop =
            KernelDrop { reason: reason.to_owned(), function: "nf_hook_slow".to_owned(), netns: "client".to_owned() };
        flow.details.as_mut().unwrap().kernel_drop = Some(Arc::new(drop));
        flow
    }

    fn record(&self, time: Timestamp, kind: L7FlowType, latency_ns: u64, record: L7Record) -> Flow {
        let talk = Self { is_reply: kind == L7FlowType::RESPONSE, ..self.clone() };
        let mut flow = talk.flow(time);
        flow.kind = FlowType::L7;
        flow.event_type = Some(EventType { kind: event_type::L7, sub_kind: 0 });
        flow.l7 = Some(Box::new(L7 { kind, latency_ns, record }));
        flow.details = None;
        flow
    }

    pub(crate) fn http_request(&self, time: Timestamp) -> Flow {
        let http = Http { method: "GET".to_owned(), url: "/cart".to_owned(), ..Http::default() };
        self.record(time, L7FlowType::REQUEST, 0, L7Record::Http(http))
    }

    pub(crate) fn http_response(&self, time: Timestamp, code: u32, latency_ns: u64) -> Flow {
        let http = Http { code, method: "GET".to_owned(), url: "/cart".to_owned(), ..Http::default() };
        self.record(time, L7FlowType::RESPONSE, latency_ns, L7Record::Http(http))
    }

    pub(crate) fn dns_response(&self, time: Timestamp, rcode: u32) -> Flow {
        let dns = Dns { query: "api.".to_owned(), rcode, ..Dns::default() };
        self.record(time, L7FlowType::RESPONSE, 1_000, L7Record::Dns(dns))
    }
}
