//! The filter language: what it selects, what it hands to servers, and how it refuses.

use std::sync::Arc;

use flow::filter::{CompileExpression, Completion, FilterSet, GroupKey, Query, Wanted};
use flow::{Endpoint, Flow, FlowDetails, FlowFilter, Http, Ip, L4, L7, L7Record, TrafficDirection, Verdict};
use proptest::prelude::*;

fn endpoint(namespace: &str, pod: &str, app: &str) -> Arc<Endpoint> {
    Arc::new(Endpoint {
        namespace: namespace.to_owned(),
        pod_name: pod.to_owned(),
        labels: vec![format!("k8s:app={app}")],
        ..Endpoint::default()
    })
}

/// A flow from the shop's web to a database, dropped or not.
fn flow(verdict: Verdict, namespace: &str, port: u16, code: u32) -> Flow {
    let http = Http { code, method: "GET".to_owned(), url: "http://shop/cart?a=1".to_owned(), ..Http::default() };
    Flow {
        verdict,
        ip: Some(Ip::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into())),
        l4: Some(L4::Tcp { source_port: 40_000, destination_port: port, flags: None }),
        source: Some(endpoint("shop", "web-1", "web")),
        destination: Some(endpoint(namespace, "db-0", "db")),
        traffic_direction: TrafficDirection::EGRESS,
        l7: (code > 0).then(|| {
            Box::new(L7 { latency_ns: u64::from(code) * 1_000_000, record: L7Record::Http(http), ..L7::default() })
        }),
        details: Some(Box::new(FlowDetails { bytes: u64::from(port) * 10, ..FlowDetails::default() })),
        ..Flow::default()
    }
}

#[track_caller]
fn check(text: &str, selected: bool) {
    let query = Query::parse(text).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(query.matches(&flow(Verdict::DROPPED, "data", 5432, 503)), selected, "{text}");
}

#[test]
fn expressions_select() {
    for text in [
        "",
        "verdict=dropped and dst.port=5432",
        "verdict == DROPPED && dst.port in (5432, 6379)",
        "src.ns in (shop, cart) and not dst.ns = shop",
        "ns=data",
        "dst.ns not in (shop, cart)",
        "(verdict=forwarded or verdict=dropped) and src.pod=shop/web",
        "src.label.app=web and dst.label.app in (db, cache)",
        "label=\"app in (db)\"",
        "http.status >= 500",
        "http.status = 5+ and http.method=get",
        "http.path ~ '^/ca' and path != /",
        "http.url = 'http://shop/cart?a=1'",
        "latency > 500ms and latency < 1s and bytes > 50kB",
        "src.ip=10.0.0.0/8 and proto=tcp and direction=egress",
        "!(verdict=forwarded) and not not port=5432",
        "NOT verdict=forwarded AND PORT=5432",
    ] {
        check(text, true);
    }
    for text in [
        "verdict=forwarded",
        "dst.port=80 or src.port=80",
        "src.ns=data",
        "dst.ns not in (data)",
        "http.status < 500",
        "http.path ~ '^/api'",
        "http.url = 'http://shop'",
        "rtt > 1ms",
        "rtt < 1h",
        "bytes >= 1MiB",
        "not (verdict=dropped and dst.port=5432)",
        "http.path !~ cart",
    ] {
        check(text, false);
    }
}

/// What is not equal to a number is a number; names are not equal where there is none as well.
#[test]
fn comparisons_select_no_flow_without_the_number() {
    let (answered, other) = (flow(Verdict::DROPPED, "data", 5432, 503), flow(Verdict::DROPPED, "data", 5432, 0));
    for (text, of_answered, of_other) in [
        ("http.status != 404", true, false),
        ("status != 503", false, false),
        ("http.status != 5+", false, false),
        ("http.status != 4+", true, false),
        ("http.status not in (404, 4+)", true, false),
        ("http.status not in (404, 503)", false, false),
        ("http.status < 600 and http.status != 404", true, false),
        ("latency != 1ms", true, false),
        ("rtt != 1ms", false, false),
        ("bytes != 1", true, true),
        ("not http.status != 404", false, true),
        ("not http.status = 404", true, true),
        ("not http.status in (404, 503)", false, true),
        ("http.method != post", true, true),
        ("http.path !~ '^/api'", true, true),
        ("src.cluster != east", true, true),
    ] {
        let query = Query::parse(text).unwrap_or_else(|error| panic!("{error}"));
        assert_eq!((query.matches(&answered), query.matches(&other)), (of_answered, of_other), "{text}");
    }
}

#[test]
fn several_values_need_a_list() {
    refused(
        "src.ns=shop,cart",
        r#"= takes one value: write src.ns in (shop, cart), or quotes around a value that has a comma at character 12 of "src.ns=shop,cart""#,
    );
    refused(
        "port!=80, 443 and pod=a",
        r#"!= takes one value: write port not in (80, 443), or quotes around a value that has a comma at character 9 of "port!=80, 443 and pod=a""#,
    );
    refused(
        "src.label.app='a b',web",
        r#"= takes one value: write src.label.app in ("a b", web), or quotes around a value that has a comma at character 20 of "src.label.app='a b',web""#,
    );
    refused("ns=shop,", r#"expected "and", "or" or the end, found "," at character 8 of "ns=shop,""#);
    refused(
        "bytes > 1,000",
        r#""1,000" is no quantity of bytes: write a number with one of B, kB, MB, GB, KiB, MiB, GiB at character 9 of "bytes > 1,000""#,
    );
    for text in ["node=a,b", "uuid=a,b", "status=404,500", "verdict=dropped,audit", "http.method=get,put"] {
        let error = Query::parse(text).unwrap_err().to_string();
        assert!(error.starts_with("= takes one value: write "), "{error}");
        let remedy = error.split_once("write ").unwrap().1.split_once(", or quotes").unwrap().0;
        Query::parse(remedy).unwrap_or_else(|error| panic!("{error}"));
    }
    for text in ["src.ns='shop,cart'", "tcp.flags=syn,ack", "label=app,tier", "label='app in (a, b)'", "path=/a,b"] {
        Query::parse(text).unwrap_or_else(|error| panic!("{error}"));
    }
}

#[track_caller]
fn refused(text: &str, expected: &str) {
    assert_eq!(Query::parse(text).map_err(|error| error.to_string()).err().as_deref(), Some(expected));
}

#[test]
fn refusals_name_the_place_and_the_remedy() {
    refused("verdict", r#"expected an operator such as = or in, found the end at character 8 of "verdict""#);
    refused("verdict=", r#"expected a value, found the end at character 9 of "verdict=""#);
    refused(
        "verdict=dropped port=80",
        r#"expected "and", "or" or the end, found "port" at character 17 of "verdict=dropped port=80""#,
    );
    refused("(port=80", r#"expected ")", "and" or "or", found the end at character 9 of "(port=80""#);
    refused("prot=tcp", r#"no key is called "prot", did you mean protocol, pod, port? at character 1 of "prot=tcp""#);
    refused(
        "src.verdict=dropped",
        r#"no key is called "src.verdict", did you mean src.service, verdict, src.port? at character 1 of "src.verdict=dropped""#,
    );
    refused("verdict ~ d", r#"verdict cannot be compared by ~ at character 9 of "verdict ~ d""#);
    refused("verdict=lost", r#"invalid --verdict value: LOST at character 9 of "verdict=lost""#);
    refused(
        "bytes > many",
        r#""many" is no quantity of bytes: write a number with one of B, kB, MB, GB, KiB, MiB, GiB at character 9 of "bytes > many""#,
    );
    refused("pod='a", r#"the quoted text has no end at character 5 of "pod='a""#);
    refused("é=1", r#"no key is called "é", did you mean ip, ns, cel? at character 1 of "é=1""#);
    assert!(Query::parse(&"not ".repeat(70)).unwrap_err().to_string().contains("too deep"));
    assert!(Query::parse(&"a".repeat(10_000)).unwrap_err().to_string().contains("too long"));
}

#[test]
fn hubble_filters_say_what_they_can() {
    let pushed = Query::parse("verdict=dropped and dst.port=5432 and not src.ns=kube-system").unwrap().push();
    let verdict = vec![Verdict::DROPPED];
    let wanted = FlowFilter { verdict, destination_port: vec!["5432".to_owned()], ..FlowFilter::default() };
    let system = FlowFilter { source_pod: vec!["kube-system/".to_owned()], ..FlowFilter::default() };
    assert_eq!((pushed.whitelist, pushed.blacklist, pushed.exact), (vec![wanted.clone()], vec![system], true));
    let pushed = Query::parse("verdict=dropped and dst.port=5432 and latency > 1s").unwrap().push();
    assert_eq!((pushed.whitelist, pushed.exact), (vec![wanted.clone()], false));
    let pushed = Query::parse("verdict=dropped and dst.port=5432 and http.status != 404").unwrap().push();
    let missing = FlowFilter { http_status_code: vec!["404".to_owned()], ..FlowFilter::default() };
    assert_eq!((pushed.whitelist, pushed.blacklist, pushed.exact), (vec![wanted], vec![missing], false));
}

#[test]
fn keys_name_groups() {
    let flow = flow(Verdict::DROPPED, "data", 5432, 503);
    for (key, value) in [
        ("src.ns", "shop"),
        ("dst.namespace", "data"),
        ("dst.pod", "data/db-0"),
        ("src", "shop/web-1"),
        ("to", "data/db-0"),
        ("src.workload", ""),
        ("src.label.app", "web"),
        ("dst.label", "k8s:app=db"),
        ("src.ip", "10.0.0.1"),
        ("dst.port", "5432"),
        ("verdict", "DROPPED"),
        ("drop.reason", "DROP_REASON_UNKNOWN"),
        ("proto", "http"),
        ("direction", "egress"),
        ("reply", ""),
        ("http.status", "503"),
        ("method", "GET"),
        ("http.path", "/cart"),
        ("dns.query", ""),
        ("ip.version", "v4"),
    ] {
        assert_eq!(GroupKey::parse(key).unwrap().value(&flow), value, "{key}");
    }
    for (key, problem) in [
        ("ns", "ns is of either side: say src.ns or dst.ns"),
        ("label.app", "label.app is of either side: say src.label.app or dst.label.app"),
        ("src.verdict", "no key is called \"src.verdict\", did you mean src.service, verdict, src.port?"),
    ] {
        assert_eq!(GroupKey::parse(key).unwrap_err().to_string(), problem);
    }
    for key in ["latency", "bytes", "cel"] {
        assert!(GroupKey::parse(key).unwrap_err().to_string().contains("does not name them"), "{key}");
    }
}

/// What a group is called selects the flows of that group again.
#[test]
fn names_of_groups_are_values_of_the_language() {
    for code in [0, 200] {
        let flow = flow(Verdict::DROPPED, "data", 53, code);
        for (name, _) in GroupKey::names() {
            let value = GroupKey::parse(&name).unwrap().value(&flow).into_owned();
            // The best name of a side is no condition; labels together are one selector.
            if value.is_empty() || matches!(name.as_str(), "src" | "dst" | "uuid") || name.ends_with("label") {
                continue;
            }
            let query = Query::parse(&format!("{name}={value:?}")).unwrap_or_else(|error| panic!("{error}"));
            assert!(query.matches(&flow), "{}", query.text());
        }
    }
}

#[test]
fn what_may_follow() {
    let value = |condition: &str| Wanted::Value { condition: condition.to_owned(), label: None, listed: false };
    let listed = |condition: &str| Wanted::Value { condition: condition.to_owned(), label: None, listed: true };
    for (text, start, typed, wanted) in [
        ("", 0, "", Wanted::Key),
        ("src.n", 0, "src.n", Wanted::Key),
        ("not (ver", 5, "ver", Wanted::Key),
        ("verdict", 0, "verdict", Wanted::Key),
        ("verdict ", 8, "", Wanted::Operator),
        ("verdict=", 8, "", value("verdict")),
        ("verdict=dro", 8, "dro", value("verdict")),
        ("src.ns in", 7, "in", Wanted::Operator),
        ("src.ns in ", 10, "", Wanted::List),
        ("src.ns not in (shop, ca", 21, "ca", listed("from-namespace")),
        ("dst.pod='shop/w", 8, "shop/w", value("to-pod")),
        ("latency > 2", 10, "2", value("latency")),
        ("pod=a ", 6, "", Wanted::Join),
        ("(pod=a or ns in (b)) a", 21, "a", Wanted::Join),
        ("pod=a and ", 10, "", Wanted::Key),
    ] {
        let typed = typed.to_owned();
        assert_eq!(Query::complete(text), Some(Completion { start, typed, wanted }), "{text}");
    }
    let (condition, label) = ("from-label".to_owned(), Some("app".to_owned()));
    let label = Wanted::Value { condition, label, listed: false };
    assert_eq!(Query::complete("src.label.app=").map(|completion| completion.wanted), Some(label));
    for text in ["= ", "verdict verdict ", "pod=a pod=b ", "& "] {
        assert_eq!(Query::complete(text), None, "{text}");
    }
}

/// Expressions over few values, so that they often match.
fn expressions() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("verdict=dropped".to_owned()),
        Just("verdict in (forwarded, audit)".to_owned()),
        Just("dst.port=80".to_owned()),
        Just("port in (80, 5432)".to_owned()),
        Just("ns=data".to_owned()),
        Just("src.ns=shop".to_owned()),
        Just("dst.ns!=shop".to_owned()),
        Just("http.status=5+".to_owned()),
        Just("http.status!=404".to_owned()),
        Just("http.status not in (4+, 200)".to_owned()),
        Just("http.status>=400".to_owned()),
        Just("src.label.app=web".to_owned()),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" and "))),
            proptest::collection::vec(inner.clone(), 2..4).prop_map(|parts| format!("({})", parts.join(" or "))),
            inner.prop_map(|part| format!("not {part}")),
        ]
    })
}

fn flows() -> Vec<Flow> {
    let mut flows = Vec::new();
    for verdict in [Verdict::FORWARDED, Verdict::DROPPED, Verdict::AUDIT] {
        for namespace in ["shop", "data"] {
            for port in [80, 5432, 53] {
                for code in [0, 200, 404, 503] {
                    flows.push(flow(verdict, namespace, port, code));
                }
            }
        }
    }
    flows
}

proptest! {
    #[test]
    fn what_is_pushed_never_hides_a_flow(text in expressions()) {
        let query = Query::parse(&text).unwrap();
        let pushed = query.push();
        let set = FilterSet::compile(&pushed.whitelist, &pushed.blacklist).unwrap();
        for flow in flows() {
            let (selected, passes) = (query.matches(&flow), set.matches(&flow));
            prop_assert!(passes || !selected, "{text}: hidden");
            prop_assert!(!pushed.exact || passes == selected, "{text}: said to be exact");
        }
    }

    #[test]
    fn a_compiled_query_selects_the_same_within_other_filters(text in expressions(), other in expressions()) {
        let (query, given) = (Query::parse(&text).unwrap(), Query::parse(&other).unwrap().push());
        let outer = FilterSet::compile(&given.whitelist, &given.blacklist).unwrap();
        let refuse: CompileExpression = |_| unreachable!("no filter has an expression");
        let set = query.compile_with(given.whitelist, given.blacklist, refuse).unwrap();
        for flow in flows() {
            prop_assert_eq!(set.matches(&flow), query.matches(&flow) && outer.matches(&flow), "{} within {}", text, other);
        }
    }

    #[test]
    fn no_text_panics(text in ".{0,80}") {
        drop(Query::parse(&text));
        drop(Query::complete(&text));
    }

    #[test]
    fn no_words_panic(words in proptest::collection::vec(prop_oneof![
        Just("("), Just(")"), Just("and"), Just("or"), Just("not"), Just("in"), Just(","), Just("="), Just("!="),
        Just("~"), Just(">="), Just("pod"), Just("src.port"), Just("80"), Just("'"), Just("\""), Just("\\"), Just("bytes"),
        Just("label.app"), Just("é"), Just("&"), Just("!"),
    ], 0..20)) {
        let text = words.join(" ");
        drop(Query::parse(&text));
        drop(Query::complete(&text));
    }
}
