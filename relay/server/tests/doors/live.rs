//! The live stream of the web UI.

use std::net::SocketAddr;

use http_body_util::BodyExt as _;
use hyper::StatusCode;
use hyper::body::Incoming;
use serde_json::Value;

use crate::collector::TestCollector;
use crate::http::{ask, request, send};
use crate::relay::{TestRelay, flows, now, wait_until, within};

/// One server-sent event.
#[derive(Debug, Default)]
struct Event {
    name: String,
    id: String,
    data: Value,
}

/// An open stream.
struct Events {
    body: Incoming,
    text: String,
}

impl Events {
    async fn open(relay: SocketAddr, query: &str, headers: &[(&str, &str)]) -> Self {
        let response = send(relay, request("GET", &format!("/api/v1/flows/stream{query}"), headers, "")).await;
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Self { body: response.into_body(), text: String::new() }
    }

    /// The next event; `None` when the stream has ended.
    async fn next(&mut self) -> Option<Event> {
        loop {
            if let Some(end) = self.text.find("\n\n") {
                let event: String = self.text.drain(..end + 2).collect();
                return Some(parse(&event));
            }
            let frame = within(self.body.frame()).await?.unwrap();
            if let Ok(data) = frame.into_data() {
                self.text.push_str(std::str::from_utf8(&data).unwrap());
            }
        }
    }

    /// The next event of this name.
    async fn next_of(&mut self, name: &str) -> Event {
        loop {
            let event = self.next().await.expect("the stream goes on");
            if event.name == name {
                return event;
            }
        }
    }

    /// Reads until flows and losses add up to `count`: numbers of the flows, sum of the losses, id of the last batch.
    async fn read(&mut self, count: u64) -> (Vec<u32>, u64, String) {
        let (mut numbers, mut lost, mut id) = (Vec::new(), 0, String::new());
        while (numbers.len() as u64) + lost < count {
            let event = self.next().await.expect("the stream goes on");
            match event.name.as_str() {
                "flows" => {
                    let rows = event.data.as_array().unwrap();
                    numbers.extend(rows.iter().map(|r| {
                        let summary = r["summary"].as_str().unwrap();
                        summary.strip_prefix("number ").unwrap().parse::<u32>().unwrap()
                    }));
                    id = event.id;
                }
                "lost" => lost += event.data["count"].as_u64().unwrap(),
                _ => {}
            }
        }
        (numbers, lost, id)
    }
}

fn parse(text: &str) -> Event {
    let mut event = Event::default();
    for line in text.lines() {
        match line.split_once(": ") {
            Some(("event", name)) => name.clone_into(&mut event.name),
            Some(("id", id)) => id.clone_into(&mut event.id),
            Some(("data", data)) => event.data = serde_json::from_str(data).unwrap(),
            _ => {}
        }
    }
    event
}

#[tokio::test(flavor = "multi_thread")]
async fn flows_come_in_batches_and_resume_after_a_break() {
    let relay = TestRelay::start().await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    let base = now();
    collector.push(&flows(base, 0..10)).await;
    let mut events = Events::open(relay.http(), "?last=3", &[]).await;
    assert_eq!(events.next_of("flows").await.data.as_array().unwrap().len(), 3);
    let status = events.next_of("status").await.data;
    assert_eq!((status["flows"].as_u64(), status["nodes"][0]["name"].as_str()), (Some(10), Some("node-1")));
    collector.push(&flows(base, 10..30)).await;
    let (numbers, lost, id) = events.read(20).await;
    assert_eq!((numbers, lost), ((10..30).collect(), 0));

    drop(events);
    collector.push(&flows(base, 30..40)).await;
    let mut events = Events::open(relay.http(), "?last=3", &[("last-event-id", &id)]).await;
    assert_eq!(events.read(10).await.0, (30..40).collect::<Vec<_>>(), "exactly what came during the break");

    // An id of an earlier run of the relay means nothing any more: begin as if there were none.
    let mut events = Events::open(relay.http(), "?last=2", &[("last-event-id", "1-5")]).await;
    assert_eq!(events.read(2).await.0, [38, 39]);
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn conditions_select() {
    let relay = TestRelay::start().await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    let mut events = Events::open(relay.http(), "?verdict=DROPPED", &[]).await;
    events.next_of("status").await;
    let mut all = flows(now(), 0..10);
    all[4].verdict = flow::Verdict::DROPPED;
    collector.push(&all).await;
    assert_eq!(events.read(1).await.0, [4]);
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_matches_resumes_where_it_looked_last() {
    let relay = TestRelay::start_with(|config| {
        config.live.heartbeat_ms = 20;
        config.live.lag_flows_max = 1000;
    })
    .await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    let mut events = Events::open(relay.http(), "?verdict=DROPPED", &[]).await;
    events.next_of("status").await;
    let base = now();
    for begin in (0..3000).step_by(500) {
        collector.push(&flows(base, begin..begin + 500)).await;
    }
    // Two heartbeats: the later was made after all of them had been looked at.
    events.next_of("status").await;
    let status = loop {
        let status = events.next_of("status").await;
        if status.data["flows"] == 3000 {
            break events.next_of("status").await;
        }
    };
    drop(events);
    let mut dropped = flows(base, 3000..3001);
    dropped[0].verdict = flow::Verdict::DROPPED;
    collector.push(&dropped).await;
    let resume = [("last-event-id", status.id.as_str())];
    let mut events = Events::open(relay.http(), "?verdict=DROPPED", &resume).await;
    let (numbers, lost, _) = events.read(1).await;
    assert_eq!((numbers.as_slice(), lost), (&[3000][..], 0));
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_told_exactly_what_it_lost() {
    const FLOWS: u32 = 60_000;
    let relay = TestRelay::start_with(|config| {
        config.live.batch_ms = 5;
        config.live.lag_flows_max = 2000;
    })
    .await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 1).await;
    let mut events = Events::open(relay.http(), "", &[]).await;
    events.next_of("status").await;
    let base = now();
    for begin in (0..FLOWS).step_by(1000) {
        collector.push(&flows(base, begin..begin + 1000)).await;
    }
    let (numbers, lost, _) = events.read(u64::from(FLOWS)).await;
    assert!(lost > 0, "the test pushes more than all buffers hold");
    assert_eq!(numbers.len() as u64 + lost, u64::from(FLOWS), "seen = delivered + lost");
    assert!(numbers.is_sorted());
    assert_eq!(numbers.last(), Some(&(FLOWS - 1)), "it is up to date again");
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn streams_beyond_the_limit_are_refused_until_one_closes() {
    let relay = TestRelay::start_with(|config| {
        config.live.streams_max = 1;
        config.live.heartbeat_ms = 20;
    })
    .await;
    let mut first = Events::open(relay.http(), "", &[]).await;
    first.next_of("status").await;
    first.next_of("status").await;
    let refused = ask(relay.http(), request("GET", "/api/v1/flows/stream", &[], "")).await;
    assert_eq!(refused.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(refused.error().contains("1 live streams"), "{}", refused.error());
    assert_eq!(refused.header("retry-after"), "1");
    drop(first);
    wait_until("there is room again", async || relay.metric("weir_relay_live_streams").await == 0).await;
    Events::open(relay.http(), "", &[]).await;
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn it_ends_when_the_relay_stops() {
    let relay = TestRelay::start().await;
    let mut events = Events::open(relay.http(), "", &[]).await;
    events.next_of("status").await;
    relay.begin_stop();
    while events.next().await.is_some() {}
    relay.stop().await.unwrap();
}
