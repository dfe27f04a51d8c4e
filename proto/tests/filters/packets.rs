//! Which packets: ports, protocols, verdicts, event types, flags.

use crate::{made, recorded, refused};

#[test]
fn ports_are_those_of_tcp_udp_and_sctp() {
    recorded(r#"{"destination_port":["80","9922"]}"#, &[3, 6]);
    recorded(r#"{"source_port":["08080"]}"#, &[1, 2]);
    made(r#"{"destination_port":["53","2"]}"#, &[4, 9]);
    made(r#"{"destination_port":["0"]}"#, &[]);
    refused(r#"{"source_port":["65536"]}"#, r#"invalid source port filter: invalid port "65536""#);
    refused(r#"{"destination_port":["+80"]}"#, r#"invalid destination port filter: invalid port "+80""#);
    refused(r#"{"destination_port":[""]}"#, r#"invalid destination port filter: invalid port """#);
}

#[test]
fn protocols_are_named_in_any_case() {
    recorded(r#"{"protocol":["TCP"]}"#, &[1, 2, 3, 4, 6, 7]);
    made(r#"{"protocol":["icmp"]}"#, &[6, 7]);
    made(r#"{"protocol":["ICMPv4"]}"#, &[7]);
    made(r#"{"protocol":["icmpv6","sctp"]}"#, &[6, 9]);
    made(r#"{"protocol":["vrrp","igmp","udp"]}"#, &[4, 10, 11]);
    made(r#"{"protocol":["http","kafka"]}"#, &[1, 2, 3, 5]);
    made(r#"{"protocol":["dns","tcp"]}"#, &[1, 2, 4]);
    refused(r#"{"protocol":["tcp","ftp"]}"#, r#"invalid protocol filter: unknown protocol: "ftp""#);
}

#[test]
fn verdicts_reasons_and_directions() {
    recorded(r#"{"verdict":["DROPPED"]}"#, &[5, 6, 7]);
    recorded(r#"{"drop_reason_desc":["POLICY_DENIED"]}"#, &[6, 7]);
    // A reason without a drop is none.
    made(r#"{"drop_reason_desc":["POLICY_DENIED","INVALID_PACKET_DROPPED"]}"#, &[8]);
    recorded(r#"{"traffic_direction":["EGRESS"]}"#, &[1, 2, 3, 4, 7]);
    recorded(r#"{"traffic_direction":["TRAFFIC_DIRECTION_UNKNOWN","INGRESS"]}"#, &[5, 6]);
}

#[test]
fn a_drop_of_unknown_direction_counts_as_a_request() {
    recorded(r#"{"reply":[true]}"#, &[1, 2, 4]);
    recorded(r#"{"reply":[false]}"#, &[3, 5, 6, 7]);
    made(r#"{"reply":[true,false]}"#, &[1, 2, 3, 4, 6, 7, 8]);
}

#[test]
fn event_types_and_sub_types() {
    recorded(r#"{"event_type":[{"type":4}]}"#, &[1, 2, 3, 4]);
    recorded(r#"{"event_type":[{"type":4,"match_sub_type":true}]}"#, &[1, 2, 4]);
    recorded(r#"{"event_type":[{"type":4,"sub_type":11}]}"#, &[1, 2, 3, 4]);
    recorded(r#"{"event_type":[{"match_sub_type":true,"sub_type":11}]}"#, &[3]);
    made(r#"{"event_type":[{"type":1},{"type":7}]}"#, &[8, 9]);
    made(r#"{"event_type":[{}]}"#, &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
}

#[test]
fn tcp_flags_may_be_accompanied_by_others() {
    recorded(r#"{"tcp_flags":[{"SYN":true}]}"#, &[3, 6, 7]);
    recorded(r#"{"tcp_flags":[{"PSH":true,"ACK":true}]}"#, &[1, 4]);
    recorded(r#"{"tcp_flags":[{"ACK":true}]}"#, &[1, 2, 4]);
    recorded(r#"{"tcp_flags":[{"SYN":true,"ACK":true},{"FIN":true}]}"#, &[2]);
    recorded(r#"{"tcp_flags":[{}]}"#, &[1, 2, 3, 4, 6, 7]);
    made(r#"{"tcp_flags":[{}]}"#, &[]);
}

#[test]
fn what_else_can_be_asked() {
    recorded(r#"{"uuid":["d54c1e24-8985-4710-b275-b19b15aed350"]}"#, &[3]);
    recorded(r#"{"uuid":["D54C1E24-8985-4710-B275-B19B15AED350"]}"#, &[]);
    recorded(r#"{"uuid":[""]}"#, &[5, 6]);
    recorded(r#"{"ip_version":["IPv6"]}"#, &[5]);
    made(r#"{"ip_version":["IP_NOT_USED"]}"#, &[1, 2, 3, 4, 5, 8, 9, 10, 11]);
    made(r#"{"trace_id":["abc"]}"#, &[1]);
    made(r#"{"trace_id":["","x"]}"#, &[2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    made(r#"{"ip_trace_id":["9"]}"#, &[6]);
    made(r#"{"ip_trace_id":["0"]}"#, &[1, 2, 3, 4, 5, 7, 8, 9, 10, 11]);
    made(r#"{"encrypted":[true]}"#, &[6]);
    made(r#"{"encrypted":[false]}"#, &[1, 2, 3, 4, 5, 7, 8, 9, 10, 11]);
    recorded(r#"{"interface":[{"name":"eth0"}]}"#, &[3]);
    recorded(r#"{"interface":[{"index":6}]}"#, &[4]);
    recorded(r#"{"interface":[{"index":6,"name":"eth0"}]}"#, &[]);
    recorded(r#"{"interface":[{}]}"#, &[1, 2, 3, 4]);
}
