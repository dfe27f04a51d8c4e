//! The JSON API and the files of the web UI.

use std::net::SocketAddr;
use std::sync::Arc;

use flow::{DropReason, EventType, FlowDetails, KernelDrop, Verdict, event_type};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Bytes;
use hyper::{HeaderMap, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

use crate::collector::TestCollector;
use crate::relay::{TestRelay, flow, flows, now, within};

/// An answer as a whole.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
    /// Whether the body came to its end.
    pub(crate) is_whole: bool,
}

impl Answer {
    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.body.to_vec()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text());
        serde_json::from_slice(&self.body).unwrap()
    }

    /// The words of a refusal.
    pub(crate) fn error(&self) -> String {
        let problem: flow::view::Problem = serde_json::from_slice(&self.body).unwrap();
        problem.error
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", |v| v.to_str().unwrap())
    }
}

/// Sends a request; its body is still to come.
pub(crate) async fn send(to: SocketAddr, request: Request<Full<Bytes>>) -> Response<hyper::body::Incoming> {
    let stream = within(TcpStream::connect(to)).await.unwrap();
    let (mut sender, connection) = within(hyper::client::conn::http1::handshake(TokioIo::new(stream))).await.unwrap();
    tokio::spawn(connection);
    within(sender.send_request(request)).await.unwrap()
}

pub(crate) async fn ask(to: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let response = send(to, request).await;
    let (parts, mut body) = response.into_parts();
    let (mut bytes, mut is_whole) = (Vec::new(), true);
    while let Some(frame) = within(body.frame()).await {
        match frame {
            Ok(frame) => bytes.extend_from_slice(frame.data_ref().expect("there are no trailers")),
            Err(_) => is_whole = false,
        }
    }
    Answer { status: parts.status, headers: parts.headers, body: bytes.into(), is_whole }
}

pub(crate) fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Request<Full<Bytes>> {
    let mut builder = Request::builder().method(method).uri(path);
    if !headers.iter().any(|(name, _)| *name == "host") {
        builder = builder.header("host", "localhost");
    }
    for (name, value) in headers {
        builder = builder.header(*name, *value);
    }
    builder.body(Full::new(Bytes::from(body.to_owned()))).unwrap()
}

pub(crate) async fn get(to: SocketAddr, path: &str) -> Answer {
    ask(to, request("GET", path, &[], "")).await
}

fn summaries(answer: &Value) -> Vec<&str> {
    answer["flows"].as_array().unwrap().iter().map(|f| f["summary"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn flows_by_count_range_and_condition() {
    let relay = TestRelay::start().await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    let base = now().before(std::time::Duration::from_secs(600));
    let mut all = flows(base, 0..300);
    all[250].verdict = Verdict::DROPPED;
    collector.push(&all).await;
    collector.push(&flows(now(), 300..310)).await;

    let ask = async |query: &str| get(relay.http(), &format!("/api/v1/flows{query}")).await.json();
    assert_eq!(summaries(&ask("").await).len(), 100);
    assert_eq!(summaries(&ask("?last=2").await), ["number 308", "number 309"]);
    assert_eq!(summaries(&ask("?first=2").await), ["number 0", "number 1"]);
    assert_eq!(summaries(&ask("?since=5m").await).len(), 10);
    assert_eq!(summaries(&ask("?until=5m&last=1").await), ["number 299"]);
    assert_eq!(summaries(&ask("?verdict=DROPPED").await), ["number 250"]);
    assert_eq!(summaries(&ask("?not-verdict=DROPPED&first=251").await).last(), Some(&"number 251"));
    assert_eq!(summaries(&ask("?from-pod=shop/web&to-port=8080&protocol=tcp,udp&last=1").await), ["number 309"]);
    assert!(summaries(&ask("?pod=shop/nobody").await).is_empty());
    assert_eq!(summaries(&ask("?where=verdict%3Ddropped%20and%20dst.port%3D8080").await), ["number 250"]);
    assert_eq!(summaries(&ask("?verdict=DROPPED&where=not%20bytes%3E10GB").await), ["number 250"]);
    assert!(summaries(&ask("?verdict=DROPPED&where=bytes%3E10GB").await).is_empty());
    let bad = get(relay.http(), "/api/v1/flows?where=verdikt%3Ddropped").await;
    assert_eq!(bad.status, StatusCode::BAD_REQUEST);
    assert!(bad.text().contains("did you mean verdict"), "{}", bad.text());
    let row = &ask("?last=1").await["flows"][0];
    assert_eq!((row["source"]["name"].as_str(), row["destination"]["namespace"].as_str()), (Some("web"), Some("bank")));
    assert_eq!((row["bytes"].as_u64(), row["packets"].as_u64()), (Some(100), Some(2)));
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_parameters_are_explained() {
    let relay = TestRelay::start_with(|config| config.http.answer_flows_max = 50).await;
    for (path, words) in [
        ("/api/v1/flows?last=51", "last is \"51\""),
        ("/api/v1/flows?last=many", "last is \"many\""),
        ("/api/v1/flows?last=1&first=1", "contradict"),
        ("/api/v1/flows?since=soon", "no moment"),
        ("/api/v1/flows?colour=red", "colour"),
        ("/api/v1/flows?port=99999", "99999"),
        ("/api/v1/flows?by=pod", "means nothing here"),
        ("/api/v1/map?by=colour", "by is \"colour\""),
        ("/api/v1/flows/stream?since=1m", "means nothing here"),
        ("/api/v1/flows?http-path=(", "("),
    ] {
        let answer = get(relay.http(), path).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{path}");
        assert!(answer.error().contains(words), "{path}: {}", answer.error());
    }
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn status_nodes_map_and_drops() {
    let relay = TestRelay::start().await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    let base = now();
    let mut all = flows(base, 0..10);
    let drop = KernelDrop { reason: "NETFILTER_DROP".to_owned(), ..KernelDrop::default() };
    all[9].verdict = Verdict::DROPPED;
    all[9].drop_reason = DropReason::POLICY_DENIED;
    all[9].event_type = Some(EventType { kind: event_type::DROP, sub_kind: DropReason::POLICY_DENIED.0 });
    all[9].details =
        Some(Box::new(FlowDetails { packets: 1, kernel_drop: Some(Arc::new(drop)), ..FlowDetails::default() }));
    collector.push(&all).await;

    let status = get(relay.http(), "/api/v1/status").await.json();
    assert_eq!((status["flows"].as_u64(), status["flows_seen"].as_u64()), (Some(10), Some(10)));
    assert_eq!(status["nodes"][0]["name"], "node-1");
    let [memory, budget] = ["memory_bytes", "memory_bytes_max"].map(|name| status[name].as_u64().unwrap());
    assert!(memory > 1_000_000 && budget >= 128 << 20, "{memory} of {budget}");
    let nodes = get(relay.http(), "/api/v1/nodes").await.json();
    assert_eq!((nodes[0]["state"].as_str(), nodes[0]["flows_seen"].as_u64()), (Some("connected"), Some(10)));

    let map = get(relay.http(), "/api/v1/map?since=5m").await.json();
    let edge = &map["edges"][0];
    assert_eq!((edge["source"].as_str(), edge["destination"].as_str()), (Some("shop/web"), Some("bank/api")));
    assert_eq!((edge["port"].as_u64(), edge["dropped"].as_u64()), (Some(8080), Some(1)));
    assert_eq!(get(relay.http(), "/api/v1/map?namespace=nowhere").await.json()["edges"], serde_json::json!([]));
    let by_namespace = get(relay.http(), "/api/v1/map?by=namespace").await.json();
    assert_eq!(by_namespace["nodes"].as_array().unwrap().len(), 2);

    let drops = get(relay.http(), "/api/v1/drops?since=5m").await.json();
    assert_eq!((drops["total"].as_u64(), drops["groups"][0]["reason"].as_str()), (Some(1), Some("NETFILTER_DROP")));
    let denied = r#"hubble_drop_total{reason="POLICY_DENIED",protocol="TCP"}"#;
    assert_eq!(relay.metric(denied).await, 1);
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_documented_route_answers() {
    let relay = TestRelay::start().await;
    let document = get(relay.http(), "/api/openapi.json").await.json();
    let paths = document["paths"].as_object().unwrap();
    assert!(paths.len() >= 10);
    for (path, methods) in paths {
        for method in methods.as_object().unwrap().keys() {
            let body = if path == "/api/v1/sql" { r#"{"query":"SELECT 1"}"# } else { "" };
            let json = [("content-type", "application/json")];
            let response = send(relay.http(), request(&method.to_uppercase(), path, &json, body)).await;
            assert_eq!(response.status(), StatusCode::OK, "{method} {path}");
        }
    }
    let answer = ask(relay.http(), request("POST", "/api/v1/map", &[], "")).await;
    assert_eq!(answer.status, StatusCode::METHOD_NOT_ALLOWED);
    assert!(answer.error().contains("POST"));
    let answer = get(relay.http(), "/api/v2/everything").await;
    assert_eq!((answer.status, answer.error().as_str()), (StatusCode::NOT_FOUND, "there is no /api/v2/everything"));
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn every_answer_carries_security_headers() {
    let relay = TestRelay::start().await;
    for path in ["/", "/flows", "/api/v1/status", "/api/v2", "/assets/gone.js", "/healthz"] {
        let answer = get(relay.http(), path).await;
        let policy = answer.header("content-security-policy");
        assert!(policy.starts_with("default-src 'none'; script-src 'self' 'wasm-unsafe-eval'"), "{path}");
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
        assert_eq!(answer.header("referrer-policy"), "same-origin");
    }
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sites_are_kept_out() {
    let relay = TestRelay::start_with(|config| config.http.hosts = vec!["weir.example".to_owned()]).await;
    let ask = async |host: &str| ask(relay.http(), request("GET", "/api/v1/status", &[("host", host)], "")).await;
    assert_eq!(ask("localhost:12000").await.status, StatusCode::OK);
    assert_eq!(ask("weir.example").await.status, StatusCode::OK);
    let answer = ask("rebound.example").await;
    assert_eq!(answer.status, StatusCode::MISDIRECTED_REQUEST);
    assert!(answer.error().contains("rebound.example"));
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("assets")).unwrap();
    std::fs::write(folder.path().join("index.html"), "<title>page</title>").unwrap();
    std::fs::write(folder.path().join("assets/app-0123456789abcdef.js"), "1").unwrap();
    let dir = folder.path().to_owned();
    let relay = TestRelay::start_with(|config| config.http.ui_dir = Some(dir)).await;
    for path in ["/", "/flows?live=1", "/w/default/shop/Deployment/web.v2"] {
        let answer = get(relay.http(), path).await;
        assert_eq!((answer.status, answer.text().as_str()), (StatusCode::OK, "<title>page</title>"), "{path}");
        assert_eq!(answer.header("cache-control"), "no-cache");
    }
    let script = get(relay.http(), "/assets/app-0123456789abcdef.js").await;
    assert_eq!(script.header("content-type"), "text/javascript; charset=utf-8");
    assert_eq!(script.header("cache-control"), "public, max-age=31536000, immutable");
    assert_eq!(get(relay.http(), "/assets/app-fedcba9876543210.js").await.status, StatusCode::NOT_FOUND);
    let posted = ask(relay.http(), request("POST", "/flows", &[], "")).await;
    assert_eq!((posted.status, posted.header("allow")), (StatusCode::METHOD_NOT_ALLOWED, "GET, HEAD"));
    let metrics = get(relay.http(), "/metrics").await;
    assert_eq!(metrics.status, StatusCode::NOT_FOUND);
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relay_without_ui_dir_has_a_page() {
    let relay = TestRelay::start().await;
    let answer = get(relay.http(), "/").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.text().contains("<title>"), "{}", answer.text());
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn long_answers_are_compressed_for_those_who_can() {
    let relay = TestRelay::start().await;
    TestCollector::connect(relay.grpc(), "node-1", 1).await.push(&[flow(now(), 0)]).await;
    let gzip = [("accept-encoding", "gzip")];
    let answer = ask(relay.http(), request("GET", "/api/openapi.json", &gzip, "")).await;
    assert_eq!(answer.header("content-encoding"), "gzip");
    assert!(answer.body.starts_with(&[0x1f, 0x8b]));
    assert_eq!(get(relay.http(), "/api/openapi.json").await.header("content-encoding"), "");
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_in_both_forms() {
    let relay = TestRelay::start().await;
    TestCollector::connect(relay.grpc(), "node-1", 1).await.push(&flows(now(), 0..10)).await;
    let plain = get(relay.metrics(), "/metrics").await;
    assert_eq!(plain.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    let expected =
        r#"hubble_flows_processed_total{protocol="TCP",type="Trace",subtype="to-endpoint",verdict="FORWARDED"} 10"#;
    assert!(plain.text().contains(expected), "{}", plain.text());
    assert!(plain.text().contains("weir_relay_index_rows 10\n"));
    assert!(plain.text().contains("# TYPE weir_relay_rows_total counter\n"));
    let accept = [("accept", "application/openmetrics-text;version=1.0.0,text/plain;q=0.5")];
    let open = ask(relay.metrics(), request("GET", "/metrics", &accept, "")).await;
    assert_eq!(open.header("content-type"), "application/openmetrics-text; version=1.0.0; charset=utf-8");
    assert!(open.text().ends_with("# EOF\n"));
    relay.stop().await.unwrap();
}
