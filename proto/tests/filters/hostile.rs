//! Whatever is asked of whatever flow, nothing panics.

use flow::filter::FilterSet;
use proptest::prelude::*;
use proto::json::from_json;

use crate::{MADE, RECORDED};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn whatever_is_asked_of_whatever_flow(filter in crate::any_flow::filter(), flow in crate::any_flow::flow()) {
        // The whole is mostly refused for one bad value; so each field is tried alone, too.
        let wire = proto::convert::filter_to_wire(&filter);
        let json: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&proto::json::to_json(&wire)).unwrap();
        for (name, value) in json {
            let one = crate::filter(&serde_json::json!({ name: value }).to_string());
            if let Ok(set) = FilterSet::compile(&[one], &[]) {
                let _matches = set.matches(&flow);
            }
        }
        let _whole = FilterSet::compile(&[filter], &[]);
    }

    #[test]
    fn whatever_is_read(text in "\\PC{0,40}") {
        let _line = proto::json::from_line(&text);
        let _filters = proto::json::filters_from_text(&text);
    }

    /// What is left out of a line is nothing that decides, and what is told of the line is true.
    #[test]
    fn a_part_of_a_line_is_enough_to_judge_it(
        filter in crate::any_flow::filter(),
        flow in crate::any_flow::flow(),
        at in any::<prop::sample::Index>(),
        put in prop::sample::select(vec!["", " ", "0", "\"", "null", ",", "\\u003c", "<", "\u{e9}"]),
    ) {
        use proto::filter::WireFilterSet;
        use proto::json::{FlowFields, line_from_bytes, line_with_fields};
        let wire = proto::convert::flow_to_wire(&flow, proto::convert::Details::Send);
        let mut line = proto::json::to_line(&proto::convert::flow_response(wire));
        let mut place = at.index(line.len());
        while !line.is_char_boundary(place) {
            place -= 1;
        }
        line.insert_str(place, put);
        let whole = line_from_bytes(line.as_bytes());
        if let Ok(whole) = &whole && whole.is_as_written {
            prop_assert_eq!(&proto::json::to_line(&whole.response), &line);
        }
        let asked = proto::convert::filter_to_wire(&filter);
        let json: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&proto::json::to_json(&asked)).unwrap();
        for (name, value) in json {
            let one = from_json(&serde_json::json!({ name: value }).to_string()).unwrap();
            let Ok(set) = WireFilterSet::compile(&[one], &[]) else { continue };
            let fields = set.fields().map_or(FlowFields::ALL, FlowFields::of);
            match (&whole, line_with_fields(line.as_bytes(), &fields)) {
                (Ok(whole), Ok(part)) => {
                    prop_assert_eq!(set.matches(&whole.response), set.matches(&part.response), "{}", &line);
                    prop_assert_eq!(whole.is_as_written, part.is_as_written);
                }
                (Err(whole), Err(part)) => prop_assert_eq!(whole.to_string(), part.to_string()),
                (whole, part) => prop_assert!(false, "{:?} and {:?}", whole, part),
            }
        }
    }

    #[test]
    fn whatever_json_is_read(text in json_text()) {
        if let Ok(read) = proto::json::line_from_bytes(text.as_bytes()) && read.is_as_written {
            prop_assert_eq!(proto::json::to_line(&read.response), text.as_str());
        }
        if let Ok(response) = proto::json::from_line(&text) {
            let line = proto::json::to_line(&response);
            prop_assert_eq!(proto::json::from_line(&line).unwrap(), response);
        }
    }
}

/// Expressions come from clients: a chain is refused before it is too deep for the stack of a thread.
#[test]
fn long_chains_of_an_expression_are_refused() {
    let work = || {
        let compile = |text: &str| proto::cel::compile(text);
        for link in ["+1", "-1", "*1", "==1", ".a", "[0]", " in [1]", "+(1)", "<1"] {
            for times in [300, 14_000] {
                let error = compile(&format!("1{}", link.repeat(times))).expect_err(link).to_string();
                assert_eq!(error, "error compiling CEL expression: max recursion depth exceeded", "{link}");
            }
        }
        let deepest = format!("1{} == 250 && {}true{}", "+1".repeat(248), "(".repeat(45), ")".repeat(45));
        let expression = compile(&deepest).unwrap();
        assert!(!proto::cel::any_is_true(&[expression], None));
        let wide = format!("1 in [{}1]", "2, ".repeat(10_000));
        assert!(proto::cel::any_is_true(&[compile(&wide).unwrap()], None));
        let many = format!("{}true", "_flow.uuid == 'x' || ".repeat(2_000));
        assert!(proto::cel::any_is_true(&[compile(&many).unwrap()], None));
    };
    // As the threads of a server have it.
    std::thread::Builder::new().stack_size(2 << 20).spawn(work).unwrap().join().unwrap();
}

/// A loss is no flow: some rules look at the defaults of one that is not there, others pass none.
#[test]
fn rules_pass_losses_as_they_pass_no_flow() {
    let loss: proto::observer::GetFlowsResponse = from_json(r#"{"lost_events":{"num_events_lost":"3"}}"#).unwrap();
    for (text, passes) in [
        (r#"{"traffic_direction":["TRAFFIC_DIRECTION_UNKNOWN"]}"#, false),
        (r#"{"verdict":["VERDICT_UNKNOWN"]}"#, false),
        (r#"{"encrypted":[false]}"#, true),
        (r#"{"trace_id":[""]}"#, true),
        (r#"{"experimental":{"cel_expression":["_flow.verdict == 0 && _flow.time == timestamp(0)"]}}"#, true),
        (r#"{"experimental":{"cel_expression":["_flow == Flow{}"]}}"#, false),
    ] {
        let set = proto::filter::WireFilterSet::compile(&[from_json(text).unwrap()], &[]).unwrap();
        assert_eq!(set.matches(&loss), passes, "{text}");
    }
}

/// Each rule of the table above, whole and in part.
#[test]
fn the_fields_of_a_filter_are_those_it_looks_at() {
    use proto::filter::WireFilterSet;
    use proto::json::{FlowFields, line_from_bytes, line_with_fields};
    let filters = [
        r#"{"verdict":["DROPPED"]}"#,
        r#"{"drop_reason_desc":["INVALID_PACKET_DROPPED"]}"#,
        r#"{"reply":[false]}"#,
        r#"{"encrypted":[true]}"#,
        r#"{"protocol":["tcp"]}"#,
        r#"{"protocol":["dns"]}"#,
        r#"{"source_ip":["10.0.0.0/8"]}"#,
        r#"{"source_ip_xlated":["192.168.1.7"]}"#,
        r#"{"node_labels":["zone=3"]}"#,
        r#"{"tcp_flags":[{"PSH":true}]}"#,
        r#"{"node_name":["prod/"]}"#,
        r#"{"ip_version":["IPv6"]}"#,
        r#"{"trace_id":["abc"]}"#,
        r#"{"traffic_direction":["EGRESS"]}"#,
        r#"{"interface":[{"name":"eth0"}]}"#,
        r#"{"ip_trace_id":["9"]}"#,
        r#"{"source_service":["kube-system/"]}"#,
        r#"{"destination_fqdn":["*.cilium.io"]}"#,
        r#"{"destination_port":["80"]}"#,
        r#"{"source_label":["app=web"]}"#,
        r#"{"source_identity":[0,1]}"#,
        r#"{"source_pod":["kube-system/"]}"#,
        r#"{"source_workload":[{"name":"web"}]}"#,
        r#"{"source_cluster_name":["prod"]}"#,
        r#"{"event_type":[{"type":129}]}"#,
        r#"{"event_type":[{"type":129}],"http_status_code":["5+"]}"#,
        r#"{"event_type":[{"type":129}],"http_method":["GET"]}"#,
        r#"{"dns_query":["cilium"]}"#,
        r#"{"uuid":["60e8fedd-6d98-49d8-b7f6-cb84455757ab"]}"#,
    ];
    let lines = RECORDED.lines().map(str::to_owned);
    let made = MADE.lines().filter(|line| !line.is_empty()).map(|line| format!("{{\"flow\":{line}}}"));
    let lines: Vec<String> = lines.chain(made).collect();
    for text in filters {
        let set = WireFilterSet::compile(&[from_json(text).unwrap()], &[]).unwrap();
        let fields = FlowFields::of(set.fields().expect("a filter without expressions names its fields"));
        let mut passed = 0;
        for line in &lines {
            let whole = set.matches(&line_from_bytes(line.as_bytes()).unwrap().response);
            let part = set.matches(&line_with_fields(line.as_bytes(), &fields).unwrap().response);
            assert_eq!(part, whole, "{text} on {line}");
            passed += usize::from(whole);
        }
        assert!(passed > 0 && passed < lines.len(), "{text} tells no flow from another");
    }
}

/// JSON with the names of the API and values of any kind.
fn json_text() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("null".to_owned()),
        any::<bool>().prop_map(|b| b.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>().prop_map(|n| format!("{n:e}")),
        "\"[ -!#-\\[\\]-~]{0,8}\"",
        Just("\"2026-01-15T10:11:12Z\"".to_owned()),
    ];
    let name = prop::sample::select(vec![
        "flow",
        "time",
        "verdict",
        "IP",
        "source",
        "labels",
        "l4",
        "TCP",
        "flags",
        "SYN",
        "l7",
        "dns",
        "http",
        "headers",
        "extensions",
        "@type",
        "value",
        "lost_events",
        "cpu",
        "is_reply",
        "node_status",
        "node_names",
        "socket_cookie",
        "uuid",
        "Summary",
        "ttl",
        "file",
        "line",
        "type",
    ]);
    leaf.prop_recursive(5, 40, 5, move |inner| {
        let member = (name.clone(), inner.clone()).prop_map(|(name, value)| format!("\"{name}\":{value}"));
        prop_oneof![
            prop::collection::vec(member, 0..5).prop_map(|members| format!("{{{}}}", members.join(","))),
            prop::collection::vec(inner, 0..3).prop_map(|values| format!("[{}]", values.join(","))),
        ]
    })
}

/// What grows with every step is bounded as well as the steps.
#[test]
fn expressions_that_grow_come_to_nothing_at_once() {
    let doubled = |first: &str, step: &str, times: usize| {
        let grown = (0..times).fold(first.to_owned(), |list, _| format!("[{list}].map(x, {step})[0]"));
        format!("size({grown}) > 0")
    };
    let flow = flow::Flow::default();
    let begun = std::time::Instant::now();
    for text in [
        doubled("'aaaaaaaaaaaaaaaa'", "x + x", 15),
        doubled("[0]", "x + x", 15),
        format!("[{}].all(a, 'a'.matches('a{{900}}' + string(a)))", vec!["1"; 500].join(",")),
    ] {
        let filter = flow::filter::FlowFilter { cel_expression: vec![text.clone()], ..Default::default() };
        let set = FilterSet::compile_with(&[filter], &[], proto::cel::compile_for_filter).unwrap();
        for _ in 0..1000 {
            assert!(!set.matches(&flow), "{text}");
        }
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(60), "an expression that is given up costs nothing");
    let error = proto::cel::compile(&" ".repeat(100_001)).unwrap_err().to_string();
    let expected =
        "error compiling CEL expression: expression code point size exceeds limit: size: 100001, limit 100000";
    assert_eq!(error, expected);
}
