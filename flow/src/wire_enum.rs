//! The numbered enumerations of the Hubble API.
//!
//! Each is a number with a name, not a Rust `enum`: a newer peer may send a number this version does not know, and it
//! must pass through unharmed. Numbers and names are those of Hubble 1.19.

/// Declares a numbered enumeration with constants named as on the wire.
macro_rules! wire_enum {
    ($(#[$doc:meta])* $name:ident { $($number:literal $variant:ident,)+ }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub i32);

        #[allow(non_upper_case_globals, reason = "constants are named as on the wire")]
        impl $name {
            $(#[doc = concat!("`", stringify!($variant), "` (", stringify!($number), ").")]
            pub const $variant: Self = Self($number);)+

            /// Every value this version knows, in the order of the API.
            pub const ALL: &'static [Self] = &[$(Self($number),)+];

            /// Returns the name on the wire, or `None` for a number this version does not know.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($number => Some(stringify!($variant)),)+
                    _ => None,
                }
            }

            /// Finds the value with this exact name.
            #[must_use]
            pub fn from_name(name: &str) -> Option<Self> {
                match name {
                    $(stringify!($variant) => Some(Self($number)),)+
                    _ => None,
                }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                match self.name() {
                    Some(name) => f.pad(name),
                    None => write!(f, "{}", self.0),
                }
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                std::fmt::Display::fmt(self, f)
            }
        }
    };
}

wire_enum! {
    /// Layer a flow was seen at.
    FlowType {
        0 UNKNOWN_TYPE,
        1 L3_L4,
        2 L7,
        3 SOCK,
    }
}

wire_enum! {
    /// Kind of mutual authentication of a connection.
    AuthType {
        0 DISABLED,
        1 SPIRE,
        2 TEST_ALWAYS_FAIL,
    }
}

wire_enum! {
    /// Where in the datapath a packet was seen.
    TraceObservationPoint {
        0 UNKNOWN_POINT,
        1 TO_PROXY,
        2 TO_HOST,
        3 TO_STACK,
        4 TO_OVERLAY,
        101 TO_ENDPOINT,
        5 FROM_ENDPOINT,
        6 FROM_PROXY,
        7 FROM_HOST,
        8 FROM_STACK,
        9 FROM_OVERLAY,
        10 FROM_NETWORK,
        11 TO_NETWORK,
        12 FROM_CRYPTO,
        13 TO_CRYPTO,
    }
}

wire_enum! {
    /// Connection tracking state of a packet.
    TraceReason {
        0 TRACE_REASON_UNKNOWN,
        1 NEW,
        2 ESTABLISHED,
        3 REPLY,
        4 RELATED,
        5 REOPENED,
        6 SRV6_ENCAP,
        7 SRV6_DECAP,
        8 ENCRYPT_OVERLAY,
    }
}

wire_enum! {
    /// Whether an application record is a request, a response or a sample.
    L7FlowType {
        0 UNKNOWN_L7_TYPE,
        1 REQUEST,
        2 RESPONSE,
        3 SAMPLE,
    }
}

wire_enum! {
    /// IP protocol version of a flow.
    IpVersion {
        0 IP_NOT_USED,
        1 IPv4,
        2 IPv6,
    }
}

wire_enum! {
    /// What became of a packet or request.
    Verdict {
        0 VERDICT_UNKNOWN,
        1 FORWARDED,
        2 DROPPED,
        3 ERROR,
        4 AUDIT,
        5 REDIRECTED,
        6 TRACED,
        7 TRANSLATED,
    }
}

wire_enum! {
    /// Why a packet was dropped, in Hubble's numbering.
    DropReason {
        0 DROP_REASON_UNKNOWN,
        130 INVALID_SOURCE_MAC,
        131 INVALID_DESTINATION_MAC,
        132 INVALID_SOURCE_IP,
        133 POLICY_DENIED,
        134 INVALID_PACKET_DROPPED,
        135 CT_TRUNCATED_OR_INVALID_HEADER,
        136 CT_MISSING_TCP_ACK_FLAG,
        137 CT_UNKNOWN_L4_PROTOCOL,
        138 CT_CANNOT_CREATE_ENTRY_FROM_PACKET,
        139 UNSUPPORTED_L3_PROTOCOL,
        140 MISSED_TAIL_CALL,
        141 ERROR_WRITING_TO_PACKET,
        142 UNKNOWN_L4_PROTOCOL,
        143 UNKNOWN_ICMPV4_CODE,
        144 UNKNOWN_ICMPV4_TYPE,
        145 UNKNOWN_ICMPV6_CODE,
        146 UNKNOWN_ICMPV6_TYPE,
        147 ERROR_RETRIEVING_TUNNEL_KEY,
        148 ERROR_RETRIEVING_TUNNEL_OPTIONS,
        149 INVALID_GENEVE_OPTION,
        150 UNKNOWN_L3_TARGET_ADDRESS,
        151 STALE_OR_UNROUTABLE_IP,
        152 NO_MATCHING_LOCAL_CONTAINER_FOUND,
        153 ERROR_WHILE_CORRECTING_L3_CHECKSUM,
        154 ERROR_WHILE_CORRECTING_L4_CHECKSUM,
        155 CT_MAP_INSERTION_FAILED,
        156 INVALID_IPV6_EXTENSION_HEADER,
        157 IP_FRAGMENTATION_NOT_SUPPORTED,
        158 SERVICE_BACKEND_NOT_FOUND,
        160 NO_TUNNEL_OR_ENCAPSULATION_ENDPOINT,
        161 FAILED_TO_INSERT_INTO_PROXYMAP,
        162 REACHED_EDT_RATE_LIMITING_DROP_HORIZON,
        163 UNKNOWN_CONNECTION_TRACKING_STATE,
        164 LOCAL_HOST_IS_UNREACHABLE,
        165 NO_CONFIGURATION_AVAILABLE_TO_PERFORM_POLICY_DECISION,
        166 UNSUPPORTED_L2_PROTOCOL,
        167 NO_MAPPING_FOR_NAT_MASQUERADE,
        168 UNSUPPORTED_PROTOCOL_FOR_NAT_MASQUERADE,
        169 FIB_LOOKUP_FAILED,
        170 ENCAPSULATION_TRAFFIC_IS_PROHIBITED,
        171 INVALID_IDENTITY,
        172 UNKNOWN_SENDER,
        173 NAT_NOT_NEEDED,
        174 IS_A_CLUSTERIP,
        175 FIRST_LOGICAL_DATAGRAM_FRAGMENT_NOT_FOUND,
        176 FORBIDDEN_ICMPV6_MESSAGE,
        177 DENIED_BY_LB_SRC_RANGE_CHECK,
        178 SOCKET_LOOKUP_FAILED,
        179 SOCKET_ASSIGN_FAILED,
        180 PROXY_REDIRECTION_NOT_SUPPORTED_FOR_PROTOCOL,
        181 POLICY_DENY,
        182 VLAN_FILTERED,
        183 INVALID_VNI,
        184 INVALID_TC_BUFFER,
        185 NO_SID,
        186 MISSING_SRV6_STATE,
        187 NAT46,
        188 NAT64,
        189 AUTH_REQUIRED,
        190 CT_NO_MAP_FOUND,
        191 SNAT_NO_MAP_FOUND,
        192 INVALID_CLUSTER_ID,
        193 UNSUPPORTED_PROTOCOL_FOR_DSR_ENCAP,
        194 NO_EGRESS_GATEWAY,
        195 UNENCRYPTED_TRAFFIC,
        196 TTL_EXCEEDED,
        197 NO_NODE_ID,
        198 DROP_RATE_LIMITED,
        199 IGMP_HANDLED,
        200 IGMP_SUBSCRIBED,
        201 MULTICAST_HANDLED,
        202 DROP_HOST_NOT_READY,
        203 DROP_EP_NOT_READY,
        204 DROP_NO_EGRESS_IP,
        205 DROP_PUNT_PROXY,
    }
}

wire_enum! {
    /// Direction of the connection as seen from the observing endpoint.
    TrafficDirection {
        0 TRAFFIC_DIRECTION_UNKNOWN,
        1 INGRESS,
        2 EGRESS,
    }
}

wire_enum! {
    /// Where a debug capture was taken.
    DebugCapturePoint {
        0 DBG_CAPTURE_POINT_UNKNOWN,
        4 DBG_CAPTURE_DELIVERY,
        5 DBG_CAPTURE_FROM_LB,
        6 DBG_CAPTURE_AFTER_V46,
        7 DBG_CAPTURE_AFTER_V64,
        8 DBG_CAPTURE_PROXY_PRE,
        9 DBG_CAPTURE_PROXY_POST,
        10 DBG_CAPTURE_SNAT_PRE,
        11 DBG_CAPTURE_SNAT_POST,
    }
}

wire_enum! {
    /// Queue that overflowed.
    LostEventSource {
        0 UNKNOWN_LOST_EVENT_SOURCE,
        1 PERF_EVENT_RING_BUFFER,
        2 OBSERVER_EVENTS_QUEUE,
        3 HUBBLE_RING_BUFFER,
    }
}

wire_enum! {
    /// Kind of agent event.
    AgentEventType {
        0 AGENT_EVENT_UNKNOWN,
        2 AGENT_STARTED,
        3 POLICY_UPDATED,
        4 POLICY_DELETED,
        5 ENDPOINT_REGENERATE_SUCCESS,
        6 ENDPOINT_REGENERATE_FAILURE,
        7 ENDPOINT_CREATED,
        8 ENDPOINT_DELETED,
        9 IPCACHE_UPSERTED,
        10 IPCACHE_DELETED,
        11 SERVICE_UPSERTED,
        12 SERVICE_DELETED,
    }
}

wire_enum! {
    /// Stage of socket load balancing.
    SocketTranslationPoint {
        0 SOCK_XLATE_POINT_UNKNOWN,
        1 SOCK_XLATE_POINT_PRE_DIRECTION_FWD,
        2 SOCK_XLATE_POINT_POST_DIRECTION_FWD,
        3 SOCK_XLATE_POINT_PRE_DIRECTION_REV,
        4 SOCK_XLATE_POINT_POST_DIRECTION_REV,
    }
}

wire_enum! {
    /// Kind of datapath debug message.
    DebugEventType {
        0 DBG_EVENT_UNKNOWN,
        1 DBG_GENERIC,
        2 DBG_LOCAL_DELIVERY,
        3 DBG_ENCAP,
        4 DBG_LXC_FOUND,
        5 DBG_POLICY_DENIED,
        6 DBG_CT_LOOKUP,
        7 DBG_CT_LOOKUP_REV,
        8 DBG_CT_MATCH,
        9 DBG_CT_CREATED,
        10 DBG_CT_CREATED2,
        11 DBG_ICMP6_HANDLE,
        12 DBG_ICMP6_REQUEST,
        13 DBG_ICMP6_NS,
        14 DBG_ICMP6_TIME_EXCEEDED,
        15 DBG_CT_VERDICT,
        16 DBG_DECAP,
        17 DBG_PORT_MAP,
        18 DBG_ERROR_RET,
        19 DBG_TO_HOST,
        20 DBG_TO_STACK,
        21 DBG_PKT_HASH,
        22 DBG_LB6_LOOKUP_FRONTEND,
        23 DBG_LB6_LOOKUP_FRONTEND_FAIL,
        24 DBG_LB6_LOOKUP_BACKEND_SLOT,
        25 DBG_LB6_LOOKUP_BACKEND_SLOT_SUCCESS,
        26 DBG_LB6_LOOKUP_BACKEND_SLOT_V2_FAIL,
        27 DBG_LB6_LOOKUP_BACKEND_FAIL,
        28 DBG_LB6_REVERSE_NAT_LOOKUP,
        29 DBG_LB6_REVERSE_NAT,
        30 DBG_LB4_LOOKUP_FRONTEND,
        31 DBG_LB4_LOOKUP_FRONTEND_FAIL,
        32 DBG_LB4_LOOKUP_BACKEND_SLOT,
        33 DBG_LB4_LOOKUP_BACKEND_SLOT_SUCCESS,
        34 DBG_LB4_LOOKUP_BACKEND_SLOT_V2_FAIL,
        35 DBG_LB4_LOOKUP_BACKEND_FAIL,
        36 DBG_LB4_REVERSE_NAT_LOOKUP,
        37 DBG_LB4_REVERSE_NAT,
        38 DBG_LB4_LOOPBACK_SNAT,
        39 DBG_LB4_LOOPBACK_SNAT_REV,
        40 DBG_CT_LOOKUP4,
        41 DBG_RR_BACKEND_SLOT_SEL,
        42 DBG_REV_PROXY_LOOKUP,
        43 DBG_REV_PROXY_FOUND,
        44 DBG_REV_PROXY_UPDATE,
        45 DBG_L4_POLICY,
        46 DBG_NETDEV_IN_CLUSTER,
        47 DBG_NETDEV_ENCAP4,
        48 DBG_CT_LOOKUP4_1,
        49 DBG_CT_LOOKUP4_2,
        50 DBG_CT_CREATED4,
        51 DBG_CT_LOOKUP6_1,
        52 DBG_CT_LOOKUP6_2,
        53 DBG_CT_CREATED6,
        54 DBG_SKIP_PROXY,
        55 DBG_L4_CREATE,
        56 DBG_IP_ID_MAP_FAILED4,
        57 DBG_IP_ID_MAP_FAILED6,
        58 DBG_IP_ID_MAP_SUCCEED4,
        59 DBG_IP_ID_MAP_SUCCEED6,
        60 DBG_LB_STALE_CT,
        61 DBG_INHERIT_IDENTITY,
        62 DBG_SK_LOOKUP4,
        63 DBG_SK_LOOKUP6,
        64 DBG_SK_ASSIGN,
        65 DBG_L7_LB,
        66 DBG_SKIP_POLICY,
        67 DBG_LB6_LOOPBACK_SNAT,
        68 DBG_LB6_LOOPBACK_SNAT_REV,
    }
}

wire_enum! {
    /// Encapsulation of a tunnel.
    TunnelProtocol {
        0 UNKNOWN,
        1 VXLAN,
        2 GENEVE,
    }
}

wire_enum! {
    /// State of a node as a relay sees it.
    NodeState {
        0 UNKNOWN_NODE_STATE,
        1 NODE_CONNECTED,
        2 NODE_UNAVAILABLE,
        3 NODE_GONE,
        4 NODE_ERROR,
    }
}
