//! Which requests: HTTP and DNS.

use flow::FlowFilter;
use flow::filter::{FilterError, FilterSet};

use crate::{filter, made, refused};

#[test]
fn http_statuses_methods_and_headers() {
    made(r#"{"http_status_code":["5+"]}"#, &[2]);
    made(r#"{"http_status_code":["40+","503"]}"#, &[2, 3]);
    made(r#"{"http_status_code":["500"]}"#, &[]);
    made(r#"{"http_method":["get"]}"#, &[1, 2]);
    made(r#"{"http_method":["POST"]}"#, &[3]);
    made(r#"{"http_method":[""]}"#, &[]);
    made(r#"{"http_header":[{"key":"X-B","value":"2"}]}"#, &[1]);
    made(r#"{"http_header":[{"key":"X-B","value":"1"},{"key":"x-b","value":"2"}]}"#, &[]);
    for bad in ["", "+", "600", "0+", "404+", "4++", "4", "40", "4040", "x", "-40", "4+0"] {
        let error = FilterSet::compile(&[FlowFilter { http_status_code: vec![bad.into()], ..Default::default() }], &[]);
        assert!(matches!(error, Err(FilterError::StatusCode { text }) if text == bad), "{bad}");
    }
}

#[test]
fn http_paths_are_expressions_on_the_path_alone() {
    made(r#"{"http_path":["^/cart/\\d+$"]}"#, &[1, 2]);
    made(r#"{"http_path":["page"]}"#, &[]);
    made(r#"{"http_url":["page"]}"#, &[1]);
    made(r#"{"http_url":["."]}"#, &[1, 2, 3]);
    made(r#"{"http_path":["."]}"#, &[1, 2]);
    let error = FilterSet::compile(&[filter(r#"{"http_path":["("]}"#)], &[]).expect_err("half a group");
    assert!(error.to_string().starts_with("invalid http path filter: failed to compile regexp"), "{error}");
    let huge = filter(r#"{"http_url":["((a{100}){100}){100}"]}"#);
    assert!(matches!(FilterSet::compile(&[huge], &[]), Err(FilterError::Re2 { of: "http url", .. })));
}

#[test]
fn http_fields_want_the_event_type_of_http() {
    for (json, field) in [
        (r#"{"http_status_code":["200"],"event_type":[{"type":1}]}"#, "status code"),
        (r#"{"http_method":["GET"],"event_type":[{"type":1}]}"#, "method"),
        (r#"{"http_path":["/"],"event_type":[{"type":1}]}"#, "path"),
        (r#"{"http_url":["/"],"event_type":[{"type":1}]}"#, "url"),
        (r#"{"http_header":[{"key":"a"}],"event_type":[{"type":1}]}"#, "headers"),
    ] {
        let expected = format!("filtering by http {field} requires the event type filter to only match 'l7' events");
        refused(json, &expected);
    }
    made(r#"{"http_method":["GET"],"event_type":[{"type":1},{"type":129}]}"#, &[1, 2]);
}

#[test]
fn dns_queries_are_expressions() {
    made(r#"{"dns_query":["cilium\\.io\\.$"]}"#, &[4]);
    made(r#"{"dns_query":["^cilium"]}"#, &[]);
    made(r#"{"dns_query":["\\Qcilium.io\\E"]}"#, &[4]);
    let error = FilterSet::compile(&[filter(r#"{"dns_query":["*"]}"#)], &[]).expect_err("nothing to repeat");
    assert!(error.to_string().starts_with("invalid DNS query filter: failed to compile regexp"), "{error}");
}
