//! Expressions of CEL.

use flow::FlowFilter;
use flow::filter::{FilterError, FilterSet};

use crate::filter;

/// True of every flow.
const TRUE: &[&str] = &[
    "Flow{}.time == timestamp(0)",
    "duration('9223372036.854775807s') > duration('-9223372036.854775808s')",
    "duration('.5h1.25m') == duration('31m15s')",
    "!(duration('9223372037s') > duration('0')) || true",
    "string(1e20) == '1e+20' && string(123456.5) == '123456.5' && string(1e6) == '1e+06'",
    "double('1_0') == 10.0 && double('0x1.8p1') == 3.0 && double('+Inf') > 1.0",
    "{0: 1}.all(k, k == 0) && {0: 1, 5: 2}.exists(k, k == 5)",
    "timestamp(0).getHours('-02:30') == 21",
    "{null: 1}.size() == 1 && null in {null: 1} && {1.5: 1, [1]: 2, [1]: 3, _flow: 4}.size() == 4",
    "{1: 1, 1u: 2, 1.0: 3, 1: 4}.size() == 3 && {1: 1, 1: 2}[1] == 2",
    "int(null) == 0 || true",
    "[1].exists(n, n < 2u) && 1 < 1.5 && 3u >= 2",
    "true ? true : _flow.is_reply",
    "bool([][0]) || true",
    "[][0] + 1 == 2 || true",
    "-[][0] == 1.5 || true",
    "dyn(1) + 1 < 3",
    "([true] + [_flow.is_reply])[0] && {'a': true, 'b': _flow.is_reply}['a']",
];

/// They have types, but no values.
const WITHOUT_VALUE: &[&str] = &[
    "{b'x': 1}.size() == 1",
    "int(null) == 0",
    "string(null) == ''",
    "null < null",
    "duration(1) < duration('1h')",
    "double('1e309') > 1.0",
    "double('1__0') > 1.0",
];

/// Neither.
const REFUSED: &[&str] = &[
    "observer.GetFlowsResponse{} == null",
    "",
    "(",
    "_flow",
    "_flow.verdict",
    "1",
    "_flow.nope == 1",
    "_flow.verdict == 'DROPPED'",
    "nope",
    "size(1) == 1",
    "1 < 2u && [1].exists(n, n < 2)",
    "[1].exists(n, n == 2u)",
    "true ? _flow.is_reply : true",
    "dyn(1) + 1 < 3.0",
    "-[][0] == 1",
    "(dyn([1]) + [1])[0] == 1u",
    "[_flow.is_reply, true][1]",
    "true ? null : _flow.is_reply",
    "null < _flow.source",
];

#[test]
fn expressions_are_true_of_flows_or_refused() {
    let compile = |text: &str| {
        let filter = FlowFilter { cel_expression: vec![text.to_owned()], ..Default::default() };
        FilterSet::compile_with(&[filter], &[], proto::cel::compile_for_filter)
    };
    let flows: Vec<flow::Flow> = include_str!("../../../tests/fixtures/hubble-flows-real.jsonl")
        .lines()
        .filter_map(|line| match proto::json::from_line(line).unwrap().response_types {
            Some(proto::observer::get_flows_response::ResponseTypes::Flow(flow)) => {
                Some(proto::convert::flow_from_wire(flow))
            }
            _ => None,
        })
        .collect();
    let count = |text: &str| {
        let set = compile(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        flows.iter().filter(|flow| set.matches(flow)).count()
    };
    let by_verdict = |verdict| flows.iter().filter(|flow| flow.verdict == verdict).count();
    assert_eq!(count("true"), flows.len());
    assert_eq!(count("_flow.verdict == Verdict.FORWARDED"), by_verdict(flow::Verdict::FORWARDED));
    assert_eq!(count("!(_flow.verdict in [Verdict.FORWARDED, flow.Verdict.DROPPED])"), {
        flows.len() - by_verdict(flow::Verdict::FORWARDED) - by_verdict(flow::Verdict::DROPPED)
    });
    assert_eq!(count("has(_flow.IP) || !has(_flow.IP)"), flows.len());
    assert_eq!(count("_flow.source.labels.exists(l, l.startsWith('k8s:')) && false"), 0);
    // What cannot be worked out is not true, unless the other side decides.
    assert_eq!(count("1 / 0 == 1"), 0);
    assert_eq!(count("1 / 0 == 1 || true"), flows.len());
    for text in TRUE {
        assert_eq!(count(text), flows.len(), "{text}");
    }
    for text in WITHOUT_VALUE {
        assert_eq!(count(text), 0, "{text}");
    }
    for text in REFUSED {
        let error = compile(text).expect_err(text).to_string();
        assert!(error.starts_with("error compiling CEL expression: "), "{text}: {error}");
    }
    let refused = FilterSet::compile(&[filter(r#"{"experimental":{"cel_expression":["true"]}}"#)], &[]);
    assert!(matches!(refused, Err(FilterError::Cel { .. })), "a crate without the language refuses expressions");
}
