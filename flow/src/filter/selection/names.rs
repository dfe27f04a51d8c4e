//! The conditions by name.

/// Names and help, in the order to show them.
pub(super) const NAMES: &[(&str, &str)] = &[
    ("pod", "flows of pods whose name begins so, as [namespace/]prefix; namespace `default` where none is given"),
    ("from-pod", "flows that come from such pods"),
    ("to-pod", "flows that go to such pods"),
    ("namespace", "flows of this namespace; combines with pod and service"),
    ("from-namespace", "flows that come from this namespace"),
    ("to-namespace", "flows that go to this namespace"),
    ("all-namespaces", "pods and services of any namespace"),
    ("from-all-namespaces", "sources in any namespace"),
    ("to-all-namespaces", "destinations in any namespace"),
    ("workload", "flows of this workload, as [Kind/]name"),
    ("from-workload", "flows that come from this workload"),
    ("to-workload", "flows that go to this workload"),
    ("service", "flows of services whose name begins so, as [namespace/]prefix"),
    ("from-service", "flows that come from such services"),
    ("to-service", "flows that go to such services"),
    ("label", "flows of endpoints with these labels, such as app=web or `tier in (a,b)` or reserved:world"),
    ("from-label", "flows that come from such endpoints"),
    ("to-label", "flows that go to such endpoints"),
    ("identity", "flows of this identity, a number or a reserved name such as world"),
    ("from-identity", "flows that come from this identity"),
    ("to-identity", "flows that go to this identity"),
    ("ip", "flows of this address or range, such as 10.0.0.1 or 10.0.0.0/8"),
    ("from-ip", "flows that come from this address or range"),
    ("to-ip", "flows that go to this address or range"),
    ("snat-ip", "flows whose source was translated to this address or range"),
    ("fqdn", "flows of this DNS name; * is a wildcard"),
    ("from-fqdn", "flows that come from this DNS name"),
    ("to-fqdn", "flows that go to this DNS name"),
    ("port", "flows of this port"),
    ("from-port", "flows that come from this port"),
    ("to-port", "flows that go to this port"),
    ("cluster", "flows of this cluster"),
    ("from-cluster", "flows that come from this cluster"),
    ("to-cluster", "flows that go to this cluster"),
    ("node-name", "flows seen on this node, as [cluster/]node; * is a wildcard"),
    ("node-label", "flows seen on nodes with these labels"),
    ("interface", "flows seen on this network device"),
    ("protocol", "flows of this protocol: icmp, icmpv4, icmpv6, sctp, tcp, udp, vrrp, igmp, dns, http, kafka"),
    ("tcp-flags", "flows with all of these TCP flags, such as syn,ack"),
    ("type", "flows of this event type: capture, drop, l7, policy-verdict, trace[:point], trace-sock, or a number"),
    ("verdict", "flows with this verdict: FORWARDED, DROPPED, AUDIT, REDIRECTED, ERROR, TRACED, TRANSLATED"),
    ("drop-reason-desc", "flows dropped for this reason, such as POLICY_DENIED"),
    ("traffic-direction", "flows in this direction: ingress or egress"),
    ("reply", "true: flows from server to client; false: from client to server"),
    ("http-status", "responses with this status, such as 404 or 5+"),
    ("http-method", "requests with this method, in any case"),
    ("http-path", "requests whose path matches this regular expression"),
    ("http-url", "requests whose URL matches this regular expression"),
    ("http-header", "requests with this header, as name:value"),
    ("dns-query", "DNS records whose name matches this regular expression"),
    ("trace-id", "flows of this distributed trace"),
    ("ip-trace-id", "flows of this trace in IP options"),
    ("ip-version", "flows of this IP version: none, v4, v6"),
    ("ipv4", "IPv4 flows"),
    ("ipv6", "IPv6 flows"),
    ("encrypted", "encrypted flows"),
    ("unencrypted", "flows that are not encrypted"),
    ("uuid", "the flow with this id"),
    ("cel-expression", "flows for which this CEL expression is true"),
];

/// Whether the condition has no value of its own.
pub(super) fn is_switch(name: &str) -> bool {
    matches!(
        name,
        "ipv4" | "ipv6" | "encrypted" | "unencrypted" | "all-namespaces" | "from-all-namespaces" | "to-all-namespaces"
    )
}

/// Whether a comma may be part of one value, so that it cannot separate values.
pub(super) fn may_hold_commas(name: &str) -> bool {
    matches!(
        name,
        "label"
            | "from-label"
            | "to-label"
            | "node-label"
            | "tcp-flags"
            | "http-path"
            | "http-url"
            | "http-header"
            | "dns-query"
            | "trace-id"
            | "uuid"
            | "cel-expression"
    )
}
