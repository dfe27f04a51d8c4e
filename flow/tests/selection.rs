//! Named conditions give the filters that Hubble's CLI gives for its flags of the same names.

use flow::filter::{FilterSet, Selection, SelectionError};
use flow::{DropReason, FlowFilter, Identity, Interface, IpVersion, TcpFlags, TrafficDirection, Verdict, Workload};
use proptest::prelude::*;

/// Adds conditions as typed: `--pod a --not --namespace b`; switches stand alone.
fn select(flags: &str) -> Result<(Vec<FlowFilter>, Vec<FlowFilter>), SelectionError> {
    let mut selection = Selection::new();
    let mut negated = false;
    let mut words = flags.split(' ').filter(|w| !w.is_empty()).peekable();
    while let Some(word) = words.next() {
        let name = word.strip_prefix("--").expect("a flag");
        if name == "not" {
            negated = true;
            continue;
        }
        let values: Vec<&str> = words.next_if(|w| !w.starts_with("--")).into_iter().collect();
        selection.add(name, &values, negated)?;
        negated = false;
    }
    selection.finish()
}

#[track_caller]
fn check(flags: &str, expected: &[FlowFilter]) {
    assert_eq!(select(flags), Ok((expected.to_vec(), vec![])), "{flags}");
}

#[track_caller]
fn refused(flags: &str, expected: &str) {
    assert_eq!(select(flags).map_err(|e| e.to_string()), Err(expected.to_owned()), "{flags}");
}

/// A filter with some fields set.
fn filter(set: impl FnOnce(&mut FlowFilter)) -> FlowFilter {
    let mut filter = FlowFilter::default();
    set(&mut filter);
    filter
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().map(|v| (*v).to_owned()).collect()
}

fn pods(source: &[&str], destination: &[&str]) -> FlowFilter {
    filter(|f| {
        f.source_pod = texts(source);
        f.destination_pod = texts(destination);
    })
}

fn services(source: &[&str], destination: &[&str]) -> FlowFilter {
    filter(|f| {
        f.source_service = texts(source);
        f.destination_service = texts(destination);
    })
}

/// Printed by the stock CLI with `--print-raw-filters`.
#[test]
fn the_recorded_results_of_the_stock_client() {
    check("", &[]);
    check("--pod xwing", &[pods(&["xwing"], &[]), pods(&[], &["xwing"])]);
    check("--namespace foo", &[pods(&["foo/"], &[]), pods(&[], &["foo/"])]);
    check("--all-namespaces --service bar", &[services(&["/bar"], &[]), services(&[], &["/bar"])]);
    check("--type trace:to-endpoint --type drop", &[filter(|f| f.event_type = vec![(4, Some(0)), (1, None)])]);
    check(
        "--tcp-flags syn,ack --tcp-flags fin",
        &[filter(|f| f.tcp_flags = vec![TcpFlags::SYN.union(TcpFlags::ACK), TcpFlags::FIN])],
    );
    let kube_system = vec![pods(&["kube-system/"], &[]), pods(&[], &["kube-system/"])];
    assert_eq!(select("--not --namespace kube-system").unwrap(), (vec![], kube_system));
    check("--cel-expression E", &[filter(|f| f.cel_expression = texts(&["E"]))]);
    check(
        "--namespace kube-system --pod coredns",
        &[pods(&["kube-system/coredns"], &[]), pods(&[], &["kube-system/coredns"])],
    );
}

#[test]
fn either_side_makes_two_filters_and_the_rest_goes_into_both() {
    let sided = |source: bool| {
        filter(|f| {
            let side = if source { &mut f.source_ip } else { &mut f.destination_ip };
            *side = texts(&["10.0.0.1", "10.0.0.2"]);
            f.verdict = vec![Verdict::DROPPED];
        })
    };
    check("--ip 10.0.0.1 --verdict DROPPED --ip 10.0.0.2", &[sided(true), sided(false)]);
    check("--verdict DROPPED", &[filter(|f| f.verdict = vec![Verdict::DROPPED])]);
}

#[test]
fn each_side_apart_makes_one_filter() {
    check("--from-pod a --to-pod b/c", &[pods(&["a"], &["b/c"])]);
    check("--from-namespace a --to-pod b/c", &[pods(&["a/"], &["b/c"])]);
    check("--from-service a --to-all-namespaces --to-service b", &[services(&["a"], &["/b"])]);
    check(
        "--from-fqdn *.io --to-port 53 --from-identity world --to-label a=b --from-workload Deployment/web --to-cluster x",
        &[filter(|f| {
            f.source_fqdn = texts(&["*.io"]);
            f.destination_port = texts(&["53"]);
            f.source_identity = vec![Identity::WORLD];
            f.destination_label = texts(&["a=b"]);
            f.source_workload = vec![Workload { name: "web".into(), kind: "Deployment".into() }];
            f.destination_cluster_name = texts(&["x"]);
        })],
    );
}

#[test]
fn namespaces_go_before_pods_and_services_without_one() {
    check(
        "--namespace a --namespace b --pod x --pod y",
        &[pods(&["a/x", "b/x", "a/y", "b/y"], &[]), pods(&[], &["a/x", "b/x", "a/y", "b/y"])],
    );
    check("--from-namespace a --from-pod a/x --from-pod y", &[pods(&["a/x", "a/y"], &[])]);
    // Namespaces on either side and one side each.
    check("--all-namespaces", &[pods(&["/"], &[]), pods(&[], &["/"])]);
}

#[test]
fn conditions_on_the_flow_itself() {
    check(
        "--node-name a --node-label b --interface eth0 --protocol tcp --traffic-direction INGRESS --ip-version v4 --ipv6",
        &[filter(|f| {
            f.node_name = texts(&["a"]);
            f.node_labels = texts(&["b"]);
            f.interface = vec![Interface { index: 0, name: "eth0".into() }];
            f.protocol = texts(&["tcp"]);
            f.traffic_direction = vec![TrafficDirection::INGRESS];
            f.ip_version = vec![IpVersion::IPv4, IpVersion::IPv6];
        })],
    );
    check(
        "--http-status 5+ --http-method get --http-path /a --http-url b --http-header a:b:c --dns-query d --reply true",
        &[filter(|f| {
            f.http_status_code = texts(&["5+"]);
            f.http_method = texts(&["get"]);
            f.http_path = texts(&["/a"]);
            f.http_url = texts(&["b"]);
            f.http_header = vec![("a".into(), "b:c".into())];
            f.dns_query = texts(&["d"]);
            f.reply = vec![true];
        })],
    );
    check(
        "--trace-id t --ip-trace-id 9 --unencrypted --uuid u --snat-ip 10.0.0.1 --drop-reason-desc POLICY_DENIED",
        &[filter(|f| {
            f.trace_id = texts(&["t"]);
            f.ip_trace_id = vec![9];
            f.encrypted = vec![false];
            f.uuid = texts(&["u"]);
            f.source_ip_xlated = texts(&["10.0.0.1"]);
            f.drop_reason = vec![DropReason::POLICY_DENIED];
        })],
    );
}

#[test]
fn event_types_by_name_and_number() {
    let types = |flags: &str, expected: &[(i32, Option<i32>)]| {
        check(flags, &[filter(|f| f.event_type = expected.to_vec())]);
    };
    types("--type capture --type l7 --type policy-verdict", &[(3, None), (129, None), (5, None)]);
    types("--type trace-sock --type trace:from-network --type trace:13", &[(7, None), (4, Some(10)), (4, Some(13))]);
    types("--type 1:133 --type agent:policy-updated", &[(1, Some(133)), (130, Some(5))]);
    refused("--type lost", "unable to parse type 'lost', not a known type name and unable to parse as numeric value");
    refused(
        "--type drop:to-endpoint",
        "unable to parse event sub-type 'to-endpoint', not a known sub-type name and unable to parse as numeric value",
    );
}

#[test]
fn identities_by_name_and_number() {
    let both = |identity| {
        [
            filter(|f| f.source_identity = vec![Identity(identity)]),
            filter(|f| f.destination_identity = vec![Identity(identity)]),
        ]
    };
    check("--identity kube-apiserver", &both(7));
    check("--identity 4711", &both(4711));
    check("--identity 0x10", &both(16));
    let error = select("--identity nobody").unwrap_err().to_string();
    assert!(
        error.contains("expected one of [host world unmanaged") && error.ends_with("or a numeric value"),
        "{error}"
    );
}

#[test]
fn workloads_with_and_without_a_kind() {
    let both = |name: &str, kind: &str| {
        let workload = Workload { name: name.into(), kind: kind.into() };
        [
            filter(|f| f.source_workload = vec![workload.clone()]),
            filter(|f| f.destination_workload = vec![workload.clone()]),
        ]
    };
    check("--workload web", &both("web", ""));
    check("--workload Deployment/web", &both("web", "Deployment"));
    check("--workload Deployment/", &both("", "Deployment"));
    check("--workload Deployment/a/b/", &both("a/b/", "Deployment"));
}

#[test]
fn contradictions_are_refused() {
    for (flags, first, second) in [
        ("--to-identity 1 --identity 2", "identity", "to-identity"),
        ("--from-ip 1.2.3.4 --from-fqdn a", "from-fqdn", "from-ip"),
        ("--from-service foo --service bar", "service", "from-service"),
        ("--ip 10.0.0.1 --pod a", "ip", "pod"),
        ("--ip 10.0.0.1 --fqdn a", "ip", "fqdn"),
        ("--to-fqdn a --namespace b", "to-fqdn", "namespace"),
        ("--all-namespaces --to-pod a", "to-pod", "all-namespaces"),
        ("--namespace a --from-namespace b", "from-namespace", "namespace"),
        ("--port 1 --to-port 2", "port", "to-port"),
        ("--label a --from-label b", "label", "from-label"),
        ("--workload a --to-workload b", "workload", "to-workload"),
        ("--encrypted --unencrypted", "encrypted", "unencrypted"),
        ("--not --to-identity 1 --not --identity 2", "identity", "to-identity"),
    ] {
        refused(flags, &format!("filters --{first} and --{second} cannot be combined"));
    }
    // The two lists do not see each other.
    assert!(select("--to-identity 1 --not --identity 2").is_ok());
    for fine in [
        "--to-service foo --from-service bar --from-identity world --to-ip 1.2.3.4 --from-pod b --workload w",
        "--service bar --pod blib --namespace test --from-port 1172 --to-port 11245",
        "--to-fqdn example.com --from-pod blib --from-namespace test",
    ] {
        assert!(select(fine).is_ok(), "{fine}");
    }
}

#[test]
fn contradicting_namespaces_are_refused() {
    refused("--namespace foo --pod bar/x", r#"namespace conflict: "foo" does not contain "bar/x""#);
    refused("--pod bar/x --namespace foo", r#"namespace conflict: "foo" does not contain "bar/x""#);
    refused("--to-namespace foo --to-service bar/x", r#"namespace conflict: "foo" does not contain "bar/x""#);
    refused("--pod a/x --service b/y", r#"namespace of service "b/y" conflict with pod "a""#);
    refused("--pod a/x --service y", r#"namespace of service "y" conflict with pod "a""#);
    // All contradictions are told, one a line.
    let both =
        "namespace conflict: \"n\" does not contain \"a/b\"\nnamespace of service \"/c\" conflict with pod \"a\"";
    refused("--service /c --from-namespace n --from-pod a/b", both);
    assert!(select("--pod a/x --service a/y").is_ok());
    assert!(select("--from-namespace foo --to-pod bar/x").is_ok());
}

#[test]
fn bad_values_are_refused() {
    refused("--verdict dropped", "invalid --verdict value: dropped");
    refused("--drop-reason-desc NONE", "invalid --drop-reason-desc value: NONE");
    refused("--ip-trace-id 0", "invalid --ip-trace-id value; must be greater than 0");
    refused("--ip-trace-id x", "invalid --ip-trace-id value: x");
    refused("--http-header a", r#"invalid http-header value "a", expected name:value"#);
    refused("--tcp-flags syn,xyz", "unknown tcp flag: xyz");
    refused("--traffic-direction up", "up: invalid traffic direction, expected ingress or egress");
    refused("--ip-version 5", "invalid --ip-version value: 5");
    refused("--reply maybe", "invalid --reply value: maybe");
    refused("--ipv4 yes", "invalid --ipv4 value: yes");
    refused("--pods a", r#"no condition is called "pods""#);
}

#[test]
fn parameters_may_hold_several_values_and_negate() {
    let mut selection = Selection::new();
    selection.add_parameter("pod", "a,b/c,").unwrap();
    selection.add_parameter("label", "x in (y,z)").unwrap();
    selection.add_parameter("not-verdict", "DROPPED,ERROR").unwrap();
    selection.add_parameter("ipv4", "").unwrap();
    selection.add_parameter("ipv6", "false").unwrap();
    let (whitelist, blacklist) = selection.finish().unwrap();
    assert_eq!(whitelist.len(), 2);
    assert_eq!(whitelist[0].source_pod, texts(&["a", "b/c"]));
    assert_eq!(whitelist[1].destination_label, texts(&["x in (y,z)"]));
    assert_eq!(whitelist[0].ip_version, [IpVersion::IPv4]);
    assert_eq!(blacklist, [filter(|f| f.verdict = vec![Verdict::DROPPED, Verdict::ERROR])]);
    assert_eq!(
        Selection::new().add_parameter("not-such", "a").unwrap_err(),
        SelectionError::UnknownName { name: "such".into() }
    );
    assert!(Selection::new().add_parameter("verdict", "").is_err());
}

#[test]
fn every_name_can_be_used() {
    for (name, help) in Selection::NAMES {
        assert!(!help.is_empty() && !help.ends_with('.'), "{name}");
        let values = ["1", "true", "v4", "DROPPED", "POLICY_DENIED", "ingress", "syn", "a:b"];
        let used = values.iter().any(|value| {
            let mut selection = Selection::new();
            selection.add(name, &[*value], false).is_ok() && !selection.finish().unwrap().0.is_empty()
        });
        assert!(used, "{name}");
    }
}

proptest! {
    #[test]
    fn no_condition_makes_a_panic(
        conditions in proptest::collection::vec((0..Selection::NAMES.len(), "\\PC{0,8}", any::<bool>()), 0..6)
    ) {
        let mut selection = Selection::new();
        for (name, value, negated) in conditions {
            let _outcome = selection.add(Selection::NAMES[name].0, &[value], negated);
        }
        let (whitelist, blacklist) = selection.finish().unwrap();
        let _set = FilterSet::compile(&whitelist, &blacklist);
    }
}

#[test]
fn what_clashes_is_what_is_refused_together() {
    let value = |name: &str| match name {
        name if Selection::is_switch(name) => "true",
        name if name.ends_with("port") || name.ends_with("identity") || name == "ip-trace-id" => "7",
        "tcp-flags" => "syn",
        "type" => "drop",
        "verdict" => "DROPPED",
        "drop-reason-desc" => "POLICY_DENIED",
        "traffic-direction" => "ingress",
        "reply" => "true",
        "http-header" => "a:b",
        "ip-version" => "v4",
        _ => "shop",
    };
    let mut conditions: Vec<(&str, &str)> = Selection::NAMES.iter().map(|(name, _)| (*name, value(name))).collect();
    for name in ["pod", "from-pod", "to-pod", "service", "from-service", "to-service"] {
        conditions.extend([(name, "shop/x"), (name, "bank/x"), (name, "/x")]);
    }
    for one in &conditions {
        for other in &conditions {
            let mut selection = Selection::new();
            selection.add(one.0, &[one.1], false).unwrap();
            let refused = selection.add(other.0, &[other.1], false).is_err();
            assert_eq!(Selection::clash(*one, *other), refused, "{one:?} {other:?}");
        }
    }
}
