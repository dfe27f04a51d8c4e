//! The list of columns.

use super::{Column, ColumnKind};

/// Declares the columns: position, name, kind, nullability, unit and meaning.
macro_rules! columns {
    ($($col:ident $name:literal $kind:ident $null:ident $unit:literal $meaning:literal;)+) => {
        /// A column of the flow table, in the order of the table.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Col {
            $(#[doc = concat!("`", $name, "`: ", $meaning)] $col,)+
        }

        /// All columns in the order of the table.
        pub static COLUMNS: &[Column] = &[
            $(Column {
                name: $name,
                kind: ColumnKind::$kind,
                nullable: columns!(@ $null),
                unit: $unit,
                meaning: $meaning,
            },)+
        ];

        impl Col {
            /// All columns in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$col,)+];
        }
    };
    (@ nullable) => { true };
    (@ required) => { false };
}

columns! {
    Time "time" Time required "µs" "When it happened, by the clock of the observing node.";
    TimeNs "time_ns" Small required "ns" "Nanoseconds beyond the microsecond of `time`, 0 to 999.";
    Uuid "uuid" Uuid nullable "" "Id of the flow; NULL where it has none or one that is no UUID.";
    IdText "id_text" Text required "" "Id of the flow where it is no UUID.";
    NodeName "node_name" Text required "" "Observing node, `cluster/node` outside the default cluster.";
    NodeLabels "node_labels" List required "" "Labels of the observing node.";
    EmitterName "emitter_name" Text nullable "" "Program that produced the flow.";
    EmitterVersion "emitter_version" Text required "" "Version of the program that produced the flow.";

    Verdict "verdict" Text required "" "What became of it, such as `FORWARDED` or `DROPPED`.";
    DropReason "drop_reason" Text required "" "Hubble's drop reason; meaningful where `verdict` is `DROPPED`.";
    AuthType "auth_type" Text required "" "Mutual authentication of the connection.";
    FlowType "flow_type" Text required "" "Layer the flow was seen at: `L3_L4`, `L7` or `SOCK`.";
    TrafficDirection "traffic_direction" Text required "" "`INGRESS` or `EGRESS` as seen from the observing endpoint.";
    TracePoint "trace_point" Text required "" "Where in the datapath it was seen, such as `TO_ENDPOINT`.";
    TraceReason "trace_reason" Text required "" "Connection tracking state, such as `ESTABLISHED`.";
    DebugCapturePoint "debug_capture_point" Text required "" "Where a debug capture was taken.";
    SockXlatePoint "sock_xlate_point" Text required "" "Stage of socket load balancing.";
    EventType "event_type" Number nullable "" "Monitor event: 1 drop, 4 trace, 5 policy verdict, 7 socket, 129 application.";
    EventSubType "event_sub_type" Number required "" "Observation point of a trace, reason of a drop.";
    PolicyMatchType "policy_match_type" Number required "" "How a policy matched: 0 none, 1 L3, 2 L3 and L4, 3 L4, 4 all.";
    ProxyPort "proxy_port" Number required "" "Port of the proxy it was sent to.";
    IsReply "is_reply" Flag nullable "" "Whether it travels from server to client; NULL where that is not known.";

    EthSrc "eth_src" Text nullable "" "Sender's MAC address; NULL without link header.";
    EthDst "eth_dst" Text required "" "Receiver's MAC address.";
    IpSrc "ip_src" Text nullable "" "Source address; NULL for what is not IP.";
    IpDst "ip_dst" Text required "" "Destination address.";
    IpSrcXlated "ip_src_xlated" Text required "" "Source address after translation.";
    Encrypted "encrypted" Flag required "" "Whether the packet was encrypted in transit.";
    L4Protocol "l4_protocol" Text required "" "`TCP`, `UDP`, `SCTP`, `ICMPv4`, `ICMPv6`, `VRRP` or `IGMP`.";
    SrcPort "src_port" Integer required "" "Source port.";
    DstPort "dst_port" Integer required "" "Destination port.";
    TcpFlags "tcp_flags" Number nullable "" "TCP flags: 1 FIN, 2 SYN, 4 RST, 8 PSH, 16 ACK, 32 URG, 64 ECE, 128 CWR, 256 NS.";
    IcmpType "icmp_type" Number required "" "ICMP message type.";
    IcmpCode "icmp_code" Number required "" "ICMP message code.";
    L4Extra "l4_extra" Json required "" "Header of VRRP and IGMP.";
    Tunnel "tunnel" Json required "" "Outer headers of an encapsulated packet.";
    Vlan "vlan" Number required "" "VLAN id.";

    SrcIdentity "src_identity" Number nullable "" "Security identity of the source; NULL where nothing is known of it.";
    SrcEndpointId "src_endpoint_id" Number required "" "Number of the source's endpoint on its node.";
    SrcCluster "src_cluster" Text required "" "Cluster of the source, empty for the local one.";
    SrcNamespace "src_namespace" Text required "" "Namespace of the source.";
    SrcPod "src_pod" Text required "" "Pod, container or network namespace of the source.";
    SrcWorkload "src_workload" Text required "" "Nearest workload that owns the source.";
    SrcWorkloadKind "src_workload_kind" Text required "" "Kind of that workload, such as `Deployment`.";
    SrcMoreWorkloads "src_more_workloads" Json required "" "All workloads of the source where it has more than one.";
    SrcLabels "src_labels" List required "" "Labels of the source as `source:key=value`.";
    SrcNames "src_names" List required "" "DNS names of the source address.";
    SrcService "src_service" Text nullable "" "Service of the source address; NULL for none.";
    SrcServiceNamespace "src_service_namespace" Text required "" "Namespace of that service.";

    DstIdentity "dst_identity" Number nullable "" "Security identity of the destination; NULL where nothing is known of it.";
    DstEndpointId "dst_endpoint_id" Number required "" "Number of the destination's endpoint on its node.";
    DstCluster "dst_cluster" Text required "" "Cluster of the destination, empty for the local one.";
    DstNamespace "dst_namespace" Text required "" "Namespace of the destination.";
    DstPod "dst_pod" Text required "" "Pod, container or network namespace of the destination.";
    DstWorkload "dst_workload" Text required "" "Nearest workload that owns the destination.";
    DstWorkloadKind "dst_workload_kind" Text required "" "Kind of that workload, such as `Deployment`.";
    DstMoreWorkloads "dst_more_workloads" Json required "" "All workloads of the destination where it has more than one.";
    DstLabels "dst_labels" List required "" "Labels of the destination as `source:key=value`.";
    DstNames "dst_names" List required "" "DNS names of the destination address.";
    DstService "dst_service" Text nullable "" "Service of the destination address; NULL for none.";
    DstServiceNamespace "dst_service_namespace" Text required "" "Namespace of that service.";

    Interface "interface" Text nullable "" "Network device it was seen on; NULL where that is not known.";
    InterfaceIndex "interface_index" Number required "" "Index of the device in its network namespace.";
    FileName "file_name" Text nullable "" "File of the datapath source that dropped it; NULL where not known.";
    FileLine "file_line" Number required "" "Line in that file.";

    L7Protocol "l7_protocol" Text required "" "Application protocol: `HTTP`, `DNS` or `KAFKA`.";
    L7Type "l7_type" Text nullable "" "`REQUEST`, `RESPONSE` or `SAMPLE`; NULL for what is no application record.";
    L7LatencyNs "l7_latency_ns" Number required "ns" "Time from request to response; 0 on requests and where it is not known.";
    HttpCode "http_code" Number required "" "HTTP status code; 0 on requests.";
    HttpMethod "http_method" Text required "" "HTTP method.";
    HttpUrl "http_url" Text required "" "URL of the HTTP request.";
    HttpProtocol "http_protocol" Text required "" "HTTP version, such as `HTTP/1.1`.";
    HttpHeaders "http_headers" Json required "" "HTTP headers kept by the allow-list, as pairs of name and value.";
    DnsQuery "dns_query" Text required "" "Name asked for, with its trailing dot.";
    DnsIps "dns_ips" List required "" "Addresses of the DNS answer.";
    DnsTtl "dns_ttl" Number required "s" "Smallest time to live of the DNS answer.";
    DnsRcode "dns_rcode" Number required "" "DNS response code, 0 for success and for queries.";
    DnsCnames "dns_cnames" List required "" "Canonical names of the DNS answer.";
    DnsSource "dns_source" Text required "" "Who observed the DNS message.";
    DnsQtypes "dns_qtypes" List required "" "Record types asked for.";
    DnsRrtypes "dns_rrtypes" List required "" "Record types of the DNS answer.";
    Kafka "kafka" Json required "" "Kafka request or response.";

    TraceId "trace_id" Text required "" "Distributed tracing id of the request.";
    IpTraceId "ip_trace_id" Number nullable "" "Trace id carried in an IP option.";
    IpTraceOption "ip_trace_option" Number required "" "Type of that IP option.";
    SocketCookie "socket_cookie" Number required "" "Kernel cookie of the local socket.";
    CgroupId "cgroup_id" Number required "" "Kernel id of the local socket's cgroup.";

    EgressAllowedBy "egress_allowed_by" Json required "" "Policies that let it leave the source.";
    IngressAllowedBy "ingress_allowed_by" Json required "" "Policies that let it reach the destination.";
    EgressDeniedBy "egress_denied_by" Json required "" "Policies that kept it from leaving the source.";
    IngressDeniedBy "ingress_denied_by" Json required "" "Policies that kept it from reaching the destination.";
    PolicyLog "policy_log" List required "" "Text that policies asked to be logged.";
    AggregateIngress "aggregate_ingress" Number nullable "" "Incoming flows this one stands for; NULL where it stands for itself.";
    AggregateEgress "aggregate_egress" Number required "" "Outgoing flows this one stands for.";
    AggregateUnknown "aggregate_unknown" Number required "" "Flows of unknown direction this one stands for.";
    Summary "summary" Text required "" "Text that clients print.";

    Phase "phase" Text nullable "" "`NEW`, `UPDATE`, `CLOSE` or `UNKNOWN`; NULL where the observer gave no details.";
    Bytes "bytes" Number required "B" "Bytes on the link since the last report of the same observation point.";
    Packets "packets" Number required "" "Packets since the last report of the same observation point.";
    Conversation "conversation" Number required "" "Number shared by all flows of one connection on one node; 0 for none.";
    RttUs "rtt_us" Number required "µs" "Smoothed round-trip time; 0 where it is not known.";
    Retransmits "retransmits" Number required "" "Segments sent again since the connection began.";
    SrcPid "src_pid" Number nullable "" "Process behind the source; NULL where it is not known.";
    SrcUid "src_uid" Number required "" "Owner of that process.";
    SrcComm "src_comm" Text required "" "Name of that process.";
    SrcExe "src_exe" Text required "" "Executable of that process.";
    SrcCgroup "src_cgroup" Text required "" "Cgroup path of that process.";
    SrcUnit "src_unit" Text required "" "systemd unit or container of that process.";
    SrcNetns "src_netns" Text required "" "Network namespace of that process.";
    DstPid "dst_pid" Number nullable "" "Process behind the destination; NULL where it is not known.";
    DstUid "dst_uid" Number required "" "Owner of that process.";
    DstComm "dst_comm" Text required "" "Name of that process.";
    DstExe "dst_exe" Text required "" "Executable of that process.";
    DstCgroup "dst_cgroup" Text required "" "Cgroup path of that process.";
    DstUnit "dst_unit" Text required "" "systemd unit or container of that process.";
    DstNetns "dst_netns" Text required "" "Network namespace of that process.";
    KernelDropReason "kernel_drop_reason" Text nullable "" "The kernel's drop reason, such as `NETFILTER_DROP`; NULL where it gave none.";
    KernelDropFunction "kernel_drop_function" Text required "" "Kernel function that freed the packet.";
    KernelDropNetns "kernel_drop_netns" Text required "" "Network namespace that dropped it.";
    ExtensionType "extension_type" Text nullable "" "Type URL of an extension of another program; NULL for none.";
    ExtensionValue "extension_value" Text required "" "Value of that extension in hexadecimal.";
}
