//! Clients that connect and then say little or nothing. The clock is one that jumps ahead where all wait for it.

use std::net::SocketAddr;
use std::time::Duration;

use proto::observer::GetFlowsRequest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::collector::TestCollector;
use crate::http::{request, send};
use crate::relay::{TestRelay, flows, get_flows, now, number, within};

/// Connections that the metrics port has at a time.
const METRICS_CONNECTIONS: usize = 64;

async fn say(to: SocketAddr, words: &[u8]) -> TcpStream {
    let mut connection = within(TcpStream::connect(to)).await.unwrap();
    connection.write_all(words).await.unwrap();
    connection
}

/// What comes back before the server closes the connection, which it must.
async fn answer(to: SocketAddr, words: &[u8]) -> String {
    let mut connection = say(to, words).await;
    let mut bytes = Vec::new();
    // A server may close in the midst of what a client says.
    drop(within(connection.read_to_end(&mut bytes)).await);
    String::from_utf8_lossy(&bytes).into_owned()
}

#[tokio::test(start_paused = true)]
async fn silent_connections_are_closed_on_all_ports() {
    let relay = TestRelay::start().await;
    let beginnings: [&[u8]; 3] = [b"", b"PRI * HTTP/2.0\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"];
    for port in [relay.grpc(), relay.http(), relay.flight_sql(), relay.metrics()] {
        for words in beginnings {
            answer(port, words).await;
        }
    }
    for port in [relay.http(), relay.metrics()] {
        answer(port, b"GET /healthz HT").await;
        answer(port, b"POST /metrics HTTP/1.1\r\nHost: localhost\r\nContent-Length: 10\r\n\r\n1").await;
    }
    relay.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stands_still_is_refused() {
    let relay = TestRelay::start().await;
    let head = format!("POST /api/v1/sql HTTP/1.1\r\nHost: {}\r\nContent-Type: application/json\r\n", relay.http());
    let told = answer(relay.http(), format!("{head}Content-Length: 100\r\n\r\n{{\"query\"").as_bytes()).await;
    assert!(told.starts_with("HTTP/1.1 400") && told.contains("it did not come in time"), "{told}");
    // Nor is one that comes byte by byte.
    let mut connection = say(relay.http(), format!("{head}Content-Length: 1000\r\n\r\n").as_bytes()).await;
    let begun = tokio::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(300) && connection.write_all(b" ").await.is_ok() {
        tokio::time::sleep(Duration::from_secs(5)).await;
    }
    assert!(begun.elapsed() < Duration::from_secs(90), "{:?}", begun.elapsed());
    relay.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn scrapes_go_on_beside_silent_connections() {
    let relay = TestRelay::start().await;
    let mut silent = Vec::new();
    let words = [&b""[..], b"PRI * HT", b"GET /metrics HTTP", b"GET /none HTTP/1.1\r\nHost: a\r\n\r\n"];
    for words in words.iter().cycle().take(METRICS_CONNECTIONS) {
        silent.push(say(relay.metrics(), words).await);
    }
    let answer = crate::http::get(relay.metrics(), "/metrics").await;
    assert!(answer.text().contains("weir_relay_"));
    drop(silent);
    relay.stop().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn long_silent_streams_go_on() {
    let relay = TestRelay::start().await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    collector.push(&flows(now(), 0..1)).await;
    let follow = GetFlowsRequest { follow: true, number: 1, ..Default::default() };
    let mut followed = relay.observer().await.get_flows(follow).await.unwrap().into_inner();
    while number(&within(followed.message()).await.unwrap().unwrap()) != Some(0) {}
    let mut live = send(relay.http(), request("GET", "/api/v1/flows/stream", &[], "")).await.into_body();

    tokio::time::sleep(Duration::from_secs(600)).await;
    collector.push(&flows(now(), 1..2)).await;
    while number(&within(followed.message()).await.unwrap().unwrap()) != Some(1) {}
    loop {
        let frame = within(http_body_util::BodyExt::frame(&mut live)).await.expect("it goes on").unwrap();
        if frame.data_ref().is_some_and(|data| data.windows(8).any(|bytes| bytes == b"number 1")) {
            break;
        }
    }
    assert_eq!(get_flows(&relay, GetFlowsRequest::default()).await.iter().filter_map(number).count(), 2);
    drop((collector, followed, live));
    relay.stop().await.unwrap();
}
