//! Whatever is asked of whatever flow, nothing panics.

use flow::filter::{FilterError, FilterSet};
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

/// An agent event is no flow either, and has a type.
#[test]
fn rules_pass_agent_events_as_hubble_passes_them() {
    let event: proto::flow::AgentEvent = from_json(r#"{"type":"AGENT_STARTED"}"#).unwrap();
    for (text, passes) in [
        ("{}", true),
        (r#"{"event_type":[{"type":130}]}"#, true),
        (r#"{"event_type":[{"type":130,"match_sub_type":true,"sub_type":2}]}"#, true),
        (r#"{"event_type":[{"type":130,"match_sub_type":true,"sub_type":3}]}"#, false),
        (r#"{"event_type":[{"type":4}]}"#, false),
        (r#"{"traffic_direction":["TRAFFIC_DIRECTION_UNKNOWN"]}"#, false),
        (r#"{"verdict":["VERDICT_UNKNOWN"]}"#, false),
        (r#"{"encrypted":[false]}"#, false),
        (r#"{"reply":[false]}"#, false),
        (r#"{"source_identity":[0]}"#, false),
        (r#"{"trace_id":[""]}"#, true),
    ] {
        let filter: proto::flow::FlowFilter = from_json(text).unwrap();
        let [allow, deny] = [(vec![filter.clone()], vec![]), (vec![], vec![filter])]
            .map(|(allow, deny)| proto::filter::WireFilterSet::compile(&allow, &deny).unwrap());
        assert_eq!(allow.matches_agent_event(&event), passes, "{text}");
        assert_eq!(deny.matches_agent_event(&event), !passes, "{text}");
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
fn expressions_that_grow_come_to_nothing() {
    let doubled = |first: &str, step: &str, times: usize| {
        let grown = (0..times).fold(first.to_owned(), |list, _| format!("[{list}].map(x, {step})[0]"));
        format!("size({grown}) > 0")
    };
    let ones = |count: usize| vec!["1"; count].join(",");
    // Lists of lists: to compare the innermost takes twenty times what the one before does.
    let nested = (1..8).fold(format!("[[{}]]", ones(20)), |list, level| {
        format!("{list}.map(a{level}, [{}])", vec![format!("a{level}"); 20].join(","))
    });
    let labels = format!("[{}].map(a, 'x'.matches('y') ? '' : '{}')", ones(100), "z".repeat(100));
    let endpoint =
        format!("[{labels}].all(l, [{}].all(a, Endpoint{{labels: l}} == Endpoint{{labels: l}}))", ones(1000));
    for text in [
        doubled("'aaaaaaaaaaaaaaaa'", "x + x", 15),
        doubled("[0]", "x + x", 15),
        format!("[{}].all(a, 'a'.matches('a{{900}}' + string(a)))", ones(500)),
        format!("{nested}.all(a, a == a)"),
        endpoint,
    ] {
        let set = compile_cel(std::slice::from_ref(&text)).unwrap();
        for _ in 0..10 {
            assert!(!set.matches(&flow::Flow::default()), "{text}");
        }
    }
    let error = proto::cel::compile(&" ".repeat(100_001)).unwrap_err().to_string();
    let expected =
        "error compiling CEL expression: expression code point size exceeds limit: size: 100001, limit 100000";
    assert_eq!(error, expected);
}

fn compile_cel(texts: &[String]) -> Result<FilterSet, FilterError> {
    let filter = flow::filter::FlowFilter { cel_expression: texts.to_vec(), ..Default::default() };
    FilterSet::compile_with(&[filter], &[], proto::cel::compile_for_filter)
}

/// Each level of `{a: a}` doubles what a type is made of.
#[test]
fn types_that_grow_are_refused() {
    let nested = |levels: usize| {
        let inner = (1..levels).rev().fold("true".to_owned(), |inner, level| {
            let before = level - 1;
            format!("[{{a{before}: a{before}}}].all(a{level}, {inner})")
        });
        format!("[{{1: 1}}].all(a0, {inner})")
    };
    assert!(compile_cel(&[nested(4)]).unwrap().matches(&flow::Flow::default()));
    let error = compile_cel(&[nested(20)]).unwrap_err().to_string();
    assert!(error.ends_with("a type is made of more than 64 types"), "{error}");
}

/// Many expressions may not take more of each flow than few.
#[test]
fn expressions_of_a_request_share_what_they_may_take() {
    let text = format!("[{}].all(a, a + a == 2)", vec!["1"; 1200].join(","));
    for (count, matches) in [(1, true), (3, true), (12, false)] {
        assert_eq!(
            compile_cel(&vec![text.clone(); count]).unwrap().matches(&flow::Flow::default()),
            matches,
            "{count}"
        );
    }
    let query = |count: usize| {
        let ones = vec!["1"; 13].join(",");
        let conditions = vec![format!("cel='[{ones}].all(a, [{ones}].all(b, a + b == 2))'"); count].join(" and ");
        flow::filter::Query::parse_with(&conditions, proto::cel::compile_for_filter).unwrap()
    };
    assert!(query(1).matches(&flow::Flow::default()));
    assert!(!query(60).matches(&flow::Flow::default()));
}

/// What all regular expressions of a request take is bounded, wherever they stand.
#[test]
fn regular_expressions_of_a_request_are_bounded_together() {
    let texts: Vec<String> = (0..100).map(|n| format!(r"'{n}'.matches(r'^x(\pL){{95}}{n}')")).collect();
    assert!(compile_cel(&texts[..2]).is_ok());
    assert!(matches!(compile_cel(&texts), Err(FilterError::TooManyExpressions)));
    let each: Vec<_> = texts
        .iter()
        .map(|text| flow::filter::FlowFilter { cel_expression: vec![text.clone()], ..Default::default() })
        .collect();
    let refused = FilterSet::compile_with(&each, &[], proto::cel::compile_for_filter);
    assert!(matches!(refused, Err(FilterError::TooManyExpressions)));
    let conditions = |count: usize| vec![r#"dns.query~"\pL{95}""#; count].join(" or ");
    let query = |count| flow::filter::Query::parse_with(&conditions(count), proto::cel::compile_for_filter);
    assert!(query(2).is_ok());
    let error = query(100).unwrap_err().to_string();
    assert!(error.starts_with("the expressions of all filters are too large together"), "{error}");
}

/// Of keys that are the same the last one counts, and many are no work.
#[test]
fn keys_of_maps_are_there_once() {
    let many = (0..9000).map(|n| format!("{n}: 1")).collect::<Vec<_>>().join(",");
    for text in [
        "{1: 1, 1: 2}[1] == 2 && size({1: 1, 1: 2, 1u: 3, 'a': 4, 'a': 5}) == 3",
        "size({0.0: 1, -0.0: 2}) == 1 && size({0.0 / 0.0: 1, 0.0 / 0.0: 2}) == 2",
        "size({true: 1, true: 2, null: 3, null: 4}) == 2",
        &format!("size({{{many}}}) == 9000"),
    ] {
        let matches = compile_cel(&[text.to_owned()]).unwrap().matches(&flow::Flow::default());
        assert!(matches, "{}", &text[..text.len().min(100)]);
    }
}
