//! The fields of a flow and of the messages in it.

use super::Keep;
use crate::flow::layer4::Protocol;
use crate::flow::layer7::Record;
use crate::flow::{
    Aggregate, CiliumEventType, Dns, Emitter, Endpoint, Ethernet, FileInfo, Flow, Http, IcmPv4, IcmPv6, Igmp, Ip,
    IpTraceId, Kafka, Layer4, Layer7, NetworkInterface, Sctp, Service, Tcp, TcpFlags, TraceContext, TraceParent,
    Tunnel, Udp, Vrrp,
};

/// A field a path may name.
pub(super) struct Field {
    pub(super) name: &'static str,
    /// Fields below it; none where it is kept or cleared as a whole.
    pub(super) fields: &'static [Field],
}

/// A message of which parts can be kept.
pub(super) trait Masked {
    /// Fields, in the order of the parts.
    const FIELDS: &'static [Field];

    /// Clears what is not kept; `parts` has one entry for each field.
    fn keep(&mut self, parts: &[Keep]);
}

/// Declares the fields of a message: `"name" => field` for a whole, `"name" => field: Type` for a message.
macro_rules! masked {
    (@fields) => { &[] };
    (@fields $nested:ty) => { <$nested>::FIELDS };
    (@keep $message:ident $field:ident $keep:ident) => {
        if *$keep == Keep::Nothing {
            $message.$field = Default::default();
        }
    };
    (@keep $message:ident $field:ident $keep:ident $nested:ty) => {
        match $keep {
            Keep::All => {}
            Keep::Nothing => $message.$field = None,
            // As with Hubble, a message of which a part is asked for is there, though the flow lacks it.
            Keep::Part(parts) => $message.$field.get_or_insert_default().keep(parts),
        }
    };
    ($message:ident { $($name:literal => $field:ident $(: $nested:ty)?,)+ }) => {
        impl Masked for $message {
            const FIELDS: &'static [Field] = &[$(Field { name: $name, fields: masked!(@fields $($nested)?) },)+];

            #[allow(deprecated, reason = "old clients ask for deprecated fields")]
            fn keep(&mut self, parts: &[Keep]) {
                let message = self;
                let mut parts = parts.iter();
                $(if let Some(keep) = parts.next() {
                    masked!(@keep message $field keep $($nested)?);
                })+
            }
        }
    };
}

/// Declares the alternatives of a message that is one of several.
macro_rules! masked_oneof {
    ($message:ident { $($whole_name:literal => $whole:ident,)* } $oneof:ident: $alternatives:ident {
        $($name:literal => $variant:ident: $nested:ty,)+
    }) => {
        impl Masked for $message {
            #[allow(deprecated, reason = "old clients ask for deprecated fields")]
            const FIELDS: &'static [Field] = &[
                $(Field { name: $whole_name, fields: &[] },)*
                $(Field { name: $name, fields: <$nested>::FIELDS },)+
            ];

            #[allow(deprecated, reason = "old clients ask for deprecated fields")]
            fn keep(&mut self, parts: &[Keep]) {
                let mut parts = parts.iter();
                $(if parts.next() == Some(&Keep::Nothing) {
                    self.$whole = Default::default();
                })*
                $(if let (Some(keep), Some($alternatives::$variant(inner))) = (parts.next(), &mut self.$oneof) {
                    match keep {
                        Keep::All => {}
                        Keep::Part(parts) => inner.keep(parts),
                        Keep::Nothing => self.$oneof = None,
                    }
                })+
            }
        }
    };
}

masked! { Flow {
    "time" => time,
    "uuid" => uuid,
    "emitter" => emitter: Emitter,
    "verdict" => verdict,
    "drop_reason" => drop_reason,
    "auth_type" => auth_type,
    "ethernet" => ethernet: Ethernet,
    "IP" => ip: Ip,
    "l4" => l4: Layer4,
    "tunnel" => tunnel: Tunnel,
    "source" => source: Endpoint,
    "destination" => destination: Endpoint,
    "Type" => r#type,
    "node_name" => node_name,
    "node_labels" => node_labels,
    "source_names" => source_names,
    "destination_names" => destination_names,
    "l7" => l7: Layer7,
    "reply" => reply,
    "event_type" => event_type: CiliumEventType,
    "source_service" => source_service: Service,
    "destination_service" => destination_service: Service,
    "traffic_direction" => traffic_direction,
    "policy_match_type" => policy_match_type,
    "trace_observation_point" => trace_observation_point,
    "trace_reason" => trace_reason,
    "file" => file: FileInfo,
    "ip_trace_id" => ip_trace_id: IpTraceId,
    "drop_reason_desc" => drop_reason_desc,
    "is_reply" => is_reply,
    "debug_capture_point" => debug_capture_point,
    "interface" => interface: NetworkInterface,
    "proxy_port" => proxy_port,
    "trace_context" => trace_context: TraceContext,
    "sock_xlate_point" => sock_xlate_point,
    "socket_cookie" => socket_cookie,
    "cgroup_id" => cgroup_id,
    "Summary" => summary,
    "extensions" => extensions,
    "egress_allowed_by" => egress_allowed_by,
    "ingress_allowed_by" => ingress_allowed_by,
    "egress_denied_by" => egress_denied_by,
    "ingress_denied_by" => ingress_denied_by,
    "policy_log" => policy_log,
    "aggregate" => aggregate: Aggregate,
} }

masked! { Emitter { "name" => name, "version" => version, } }
masked! { Ethernet { "source" => source, "destination" => destination, } }
masked! { FileInfo { "name" => name, "line" => line, } }
masked! { IpTraceId { "trace_id" => trace_id, "ip_option_type" => ip_option_type, } }
masked! { NetworkInterface { "index" => index, "name" => name, } }
masked! { Service { "name" => name, "namespace" => namespace, } }
masked! { TraceContext { "parent" => parent: TraceParent, } }
masked! { TraceParent { "trace_id" => trace_id, } }
masked! { CiliumEventType { "type" => r#type, "sub_type" => sub_type, } }
masked! { Aggregate {
    "ingress_flow_count" => ingress_flow_count,
    "egress_flow_count" => egress_flow_count,
    "unknown_direction_flow_count" => unknown_direction_flow_count,
} }
masked! { Ip {
    "source" => source,
    "source_xlated" => source_xlated,
    "destination" => destination,
    "ipVersion" => ip_version,
    "encrypted" => encrypted,
} }
masked! { Tunnel { "protocol" => protocol, "IP" => ip: Ip, "l4" => l4: Layer4, "vni" => vni, } }
masked! { Endpoint {
    "ID" => id,
    "identity" => identity,
    "cluster_name" => cluster_name,
    "namespace" => namespace,
    "labels" => labels,
    "pod_name" => pod_name,
    "workloads" => workloads,
} }

masked_oneof! { Layer4 {} protocol: Protocol {
    "TCP" => Tcp: Tcp,
    "UDP" => Udp: Udp,
    "ICMPv4" => IcmPv4: IcmPv4,
    "ICMPv6" => IcmPv6: IcmPv6,
    "SCTP" => Sctp: Sctp,
    "VRRP" => Vrrp: Vrrp,
    "IGMP" => Igmp: Igmp,
} }
masked! { Tcp { "source_port" => source_port, "destination_port" => destination_port, "flags" => flags: TcpFlags, } }
masked! { TcpFlags {
    "FIN" => fin,
    "SYN" => syn,
    "RST" => rst,
    "PSH" => psh,
    "ACK" => ack,
    "URG" => urg,
    "ECE" => ece,
    "CWR" => cwr,
    "NS" => ns,
} }
masked! { Udp { "source_port" => source_port, "destination_port" => destination_port, } }
masked! { Sctp { "source_port" => source_port, "destination_port" => destination_port, } }
masked! { IcmPv4 { "type" => r#type, "code" => code, } }
masked! { IcmPv6 { "type" => r#type, "code" => code, } }
masked! { Vrrp { "type" => r#type, "vrid" => vrid, "priority" => priority, } }
masked! { Igmp { "type" => r#type, "group_address" => group_address, } }

masked_oneof! { Layer7 { "type" => r#type, "latency_ns" => latency_ns, } record: Record {
    "dns" => Dns: Dns,
    "http" => Http: Http,
    "kafka" => Kafka: Kafka,
} }
masked! { Dns {
    "query" => query,
    "ips" => ips,
    "ttl" => ttl,
    "cnames" => cnames,
    "observation_source" => observation_source,
    "rcode" => rcode,
    "qtypes" => qtypes,
    "rrtypes" => rrtypes,
} }
masked! { Http {
    "code" => code,
    "method" => method,
    "url" => url,
    "protocol" => protocol,
    "headers" => headers,
} }
masked! { Kafka {
    "error_code" => error_code,
    "api_version" => api_version,
    "api_key" => api_key,
    "correlation_id" => correlation_id,
    "topic" => topic,
} }
