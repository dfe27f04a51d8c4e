//! Encoded responses of `GetFlows`, written straight from the vocabulary.
//!
//! The bytes are those that `prost` makes of [`crate::convert::flow_to_wire`], without the copy of every text in
//! between, and endpoints that many flows share are encoded once.

use std::collections::HashMap;
use std::sync::Arc;

use flow::{Endpoint, Flow, Ip, L4, Policy, TcpFlags, Timestamp, Tunnel};
use prost::Message as _;

use self::writer::Writer;
use crate::convert::{Details, extension_to_wire};
use crate::residue;

mod application;
mod writer;

/// Endpoints whose encoded form is kept. Beyond it all are forgotten, and encoded anew when they turn up again.
const ENDPOINTS_MAX: usize = 4096;

/// Encodes flows one after the other.
#[derive(Debug, Default)]
pub struct FlowEncoder {
    /// By address. The endpoint is held, so that no other can get the address.
    endpoints: HashMap<usize, (Arc<Endpoint>, Box<[u8]>)>,
}

impl FlowEncoder {
    /// Appends the encoded `observer.GetFlowsResponse` of a flow.
    pub fn response(&mut self, flow: &Flow, details: Details, out: &mut Vec<u8>) {
        let mut writer = Writer { out };
        writer.message(1, |w| self.flow(flow, details, w));
        writer.text(1000, &flow.node_name);
        writer.message(1001, |w| time(flow.time, w));
    }

    /// Fields in the order of their numbers.
    fn flow(&mut self, flow: &Flow, details: Details, w: &mut Writer<'_>) {
        let start = w.out.len();
        w.message(1, |w| time(flow.time, w));
        w.int32(2, flow.verdict.0);
        w.uint32(3, u32::try_from(flow.drop_reason.0).unwrap_or(0));
        if let Some(ethernet) = &flow.ethernet {
            w.message(4, |w| {
                w.display(1, &ethernet.source);
                w.display(2, &ethernet.destination);
            });
        }
        w.optional(5, flow.ip.as_ref(), ip);
        w.optional(6, flow.l4.as_ref(), l4);
        self.endpoint(8, flow.source.as_ref(), w);
        self.endpoint(9, flow.destination.as_ref(), w);
        w.int32(10, flow.kind.0);
        w.text(11, &flow.node_name);
        w.texts(13, &flow.source_names);
        w.texts(14, &flow.destination_names);
        w.optional(15, flow.l7.as_deref(), application::l7);
        w.bool(16, flow.is_reply == Some(true));
        if let Some(event) = flow.event_type {
            w.message(19, |w| {
                w.int32(1, event.kind);
                w.int32(2, event.sub_kind);
            });
        }
        for (number, service) in [(20, &flow.source_service), (21, &flow.destination_service)] {
            w.optional(number, service.as_deref(), |service, w| {
                w.text(1, &service.name);
                w.text(2, &service.namespace);
            });
        }
        w.int32(22, flow.traffic_direction.0);
        w.uint32(23, flow.policy_match_type);
        w.int32(24, flow.trace_point.0);
        w.int32(25, flow.drop_reason.0);
        if let Some(is_reply) = flow.is_reply {
            w.message(26, |w| w.bool(1, is_reply));
        }
        w.int32(27, flow.debug_capture_point.0);
        w.optional(28, flow.interface.as_ref(), |interface, w| {
            w.uint32(1, interface.index);
            w.text(2, &interface.name);
        });
        w.uint32(29, flow.proxy_port);
        if !flow.trace_id.is_empty() {
            w.message(30, |w| w.message(1, |w| w.text(1, &flow.trace_id)));
        }
        w.int32(31, flow.sock_xlate_point.0);
        w.uint64(32, flow.socket_cookie);
        w.uint64(33, flow.cgroup_id);
        rare(flow, w);
        w.text(100_000, &flow.summary);
        if let Some(any) = extension_to_wire(flow, details) {
            w.bytes(150_000, &any.encode_to_vec());
        }
        // Fields that came from a newer API.
        if let Some(unknown) = flow.extension.as_deref().and_then(residue::unknown_fields_of) {
            residue::graft(&unknown, start, w.out);
        }
    }

    fn endpoint(&mut self, number: u32, endpoint: Option<&Arc<Endpoint>>, w: &mut Writer<'_>) {
        let Some(endpoint) = endpoint else { return };
        let address = Arc::as_ptr(endpoint) as usize;
        if let Some((_, encoded)) = self.endpoints.get(&address) {
            w.bytes(number, encoded);
            return;
        }
        let mut encoded = Vec::new();
        write_endpoint(endpoint, &mut Writer { out: &mut encoded });
        w.bytes(number, &encoded);
        if self.endpoints.len() >= ENDPOINTS_MAX {
            self.endpoints.clear();
        }
        self.endpoints.insert(address, (Arc::clone(endpoint), encoded.into()));
    }
}

/// Fields 34 to 21007, which few flows have.
fn rare(flow: &Flow, w: &mut Writer<'_>) {
    match &flow.id {
        flow::FlowId::None => {}
        flow::FlowId::Uuid(bytes) => w.uuid(34, bytes),
        flow::FlowId::Text(text) => w.text(34, text),
    }
    w.int32(35, flow.auth_type.0);
    w.int32(36, flow.trace_reason.0);
    w.texts(37, &flow.node_labels);
    w.optional(38, flow.file.as_deref(), |file, w| {
        w.text(1, &file.name);
        w.uint32(2, file.line);
    });
    w.optional(39, flow.tunnel.as_deref(), tunnel);
    if let Some(id) = flow.ip_trace_id {
        w.message(40, |w| {
            w.uint64(1, id.trace_id);
            w.uint32(2, id.option_type);
        });
    }
    w.optional(41, flow.emitter.as_deref(), |emitter, w| {
        w.text(1, &emitter.name);
        w.text(2, &emitter.version);
    });
    for (number, policies) in [
        (21_001, &flow.egress_allowed_by),
        (21_002, &flow.ingress_allowed_by),
        (21_004, &flow.egress_denied_by),
        (21_005, &flow.ingress_denied_by),
    ] {
        for item in policies {
            w.message(number, |w| policy(item, w));
        }
    }
    w.texts(21_006, &flow.policy_log);
    if let Some([ingress, egress, unknown]) = flow.aggregate {
        w.message(21_007, |w| {
            w.uint32(1, ingress);
            w.uint32(2, egress);
            w.uint32(3, unknown);
        });
    }
}

fn time(time: Timestamp, w: &mut Writer<'_>) {
    let (seconds, nanos) = time.parts();
    w.int64(1, seconds);
    w.int32(2, nanos);
}

fn ip(ip: &Ip, w: &mut Writer<'_>) {
    w.address(1, ip.source);
    w.address(2, ip.destination);
    w.int32(3, ip.version().0);
    w.bool(4, ip.encrypted);
    if let Some(address) = ip.source_xlated {
        w.address(5, address);
    }
}

fn l4(l4: &L4, w: &mut Writer<'_>) {
    let ports = |w: &mut Writer<'_>, source: u16, destination: u16| {
        w.uint32(1, source.into());
        w.uint32(2, destination.into());
    };
    match *l4 {
        L4::Tcp { source_port, destination_port, flags } => w.message(1, |w| {
            ports(w, source_port, destination_port);
            if let Some(flags) = flags {
                w.message(3, |w| tcp_flags(flags, w));
            }
        }),
        L4::Udp { source_port, destination_port } => w.message(2, |w| ports(w, source_port, destination_port)),
        L4::Icmpv4 { kind, code } => w.message(3, |w| ports(w, kind.into(), code.into())),
        L4::Icmpv6 { kind, code } => w.message(4, |w| ports(w, kind.into(), code.into())),
        L4::Sctp { source_port, destination_port } => w.message(5, |w| ports(w, source_port, destination_port)),
        L4::Vrrp { kind, vrid, priority } => w.message(6, |w| {
            w.uint32(1, kind);
            w.uint32(2, vrid);
            w.uint32(3, priority);
        }),
        L4::Igmp { kind, group } => w.message(7, |w| {
            w.uint32(1, kind);
            w.address(2, group);
        }),
    }
}

fn tcp_flags(flags: TcpFlags, w: &mut Writer<'_>) {
    // In the order of the message's numbers, from 1.
    const FLAGS: [TcpFlags; 9] = [
        TcpFlags::FIN,
        TcpFlags::SYN,
        TcpFlags::RST,
        TcpFlags::PSH,
        TcpFlags::ACK,
        TcpFlags::URG,
        TcpFlags::ECE,
        TcpFlags::CWR,
        TcpFlags::NS,
    ];
    for (number, flag) in (1..).zip(FLAGS) {
        w.bool(number, flags.contains(flag));
    }
}

fn tunnel(tunnel: &Tunnel, w: &mut Writer<'_>) {
    w.int32(1, tunnel.protocol.0);
    w.optional(2, tunnel.ip.as_ref(), ip);
    w.optional(3, tunnel.l4.as_ref(), l4);
    w.uint32(4, tunnel.vni);
}

fn write_endpoint(endpoint: &Endpoint, w: &mut Writer<'_>) {
    w.uint32(1, endpoint.id);
    w.uint32(2, endpoint.identity.0);
    w.text(3, &endpoint.namespace);
    w.texts(4, &endpoint.labels);
    w.text(5, &endpoint.pod_name);
    for workload in &endpoint.workloads {
        w.message(6, |w| {
            w.text(1, &workload.name);
            w.text(2, &workload.kind);
        });
    }
    w.text(7, &endpoint.cluster_name);
}

fn policy(policy: &Policy, w: &mut Writer<'_>) {
    w.text(1, &policy.name);
    w.text(2, &policy.namespace);
    w.texts(3, &policy.labels);
    w.uint64(4, policy.revision);
    w.text(5, &policy.kind);
}
