//! A collector that replays lines, and the ways to ask it.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use collector::config::{MetricsConfig, ObserverConfig, SourceConfig, SourceKind};
use collector::{Config, Running, start};
use proto::observer::get_flows_response::ResponseTypes;
use proto::observer::observer_client::ObserverClient;
use proto::observer::{GetFlowsRequest, ServerStatusRequest};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::transport::Channel;

/// A collector under test; stopped by [`Bed::stop`].
pub(crate) struct Bed {
    pub(crate) running: Running,
    pub(crate) client: ObserverClient<Channel>,
    pub(crate) channel: Channel,
    _directory: tempfile::TempDir,
    shutdown: CancellationToken,
}

impl Bed {
    /// A collector that has read all `lines`, of which `flows` are flows.
    pub(crate) async fn start(lines: &str, flows: u64, change: impl FnOnce(&mut Config)) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("flows.jsonl");
        std::fs::write(&file, lines).unwrap();
        let mut config = config(file);
        change(&mut config);
        let shutdown = CancellationToken::new();
        let running = start(config, shutdown.clone()).await.unwrap();
        let url = format!("http://{}", running.observer.unwrap());
        let channel = Channel::from_shared(url).unwrap().connect_lazy();
        let client = ObserverClient::new(channel.clone());
        let mut bed = Self { running, client, channel, shutdown, _directory: directory };
        if flows > 0 {
            bed.wait_for_flows(flows).await;
        }
        bed
    }

    async fn wait_for_flows(&mut self, flows: u64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        loop {
            let status = self.client.server_status(ServerStatusRequest {}).await.unwrap().into_inner();
            if status.seen_flows >= flows {
                return;
            }
            assert!(Instant::now() < deadline, "the file is not read");
            tokio::task::yield_now().await;
        }
    }

    /// What an answer holds: numbers of flows (their source ports), `L3` for three lost events; at most `limit` of them.
    pub(crate) async fn ask(&mut self, request: GetFlowsRequest, limit: usize) -> Result<String, Status> {
        let mut stream = self.client.get_flows(request).await?.into_inner();
        let mut told = Vec::new();
        while told.len() < limit {
            let Some(answer) = stream.message().await? else { break };
            match answer.response_types.unwrap() {
                ResponseTypes::Flow(flow) => told.push(port(&flow).to_string()),
                ResponseTypes::LostEvents(lost) => told.push(format!("L{}", lost.num_events_lost)),
                ResponseTypes::NodeStatus(status) => panic!("a node knows of no others: {status:?}"),
            }
        }
        Ok(told.join(" "))
    }

    pub(crate) async fn stop(self) {
        self.shutdown.cancel();
        drop((self.client, self.channel));
        self.running.wait().await.unwrap();
    }
}

fn config(file: std::path::PathBuf) -> Config {
    let any = Some("127.0.0.1:0".parse().unwrap());
    Config {
        node_name: "node-1".to_owned(),
        source: SourceConfig { kind: SourceKind::Replay, file: Some(file), ..SourceConfig::default() },
        observer: ObserverConfig { listen: any, socket: None, ..ObserverConfig::default() },
        metrics: MetricsConfig { listen: any, ..MetricsConfig::default() },
        ..Config::default()
    }
}

fn port(flow: &proto::flow::Flow) -> u32 {
    let Some(proto::flow::layer4::Protocol::Tcp(tcp)) = flow.l4.as_ref().and_then(|l4| l4.protocol.clone()) else {
        panic!("{flow:?}")
    };
    tcp.source_port
}

/// Flows `numbers`, one a second from 10:00:00 on for number 1; the pods are `shop/even-2`, `shop/odd-3`.
pub(crate) fn lines(numbers: std::ops::RangeInclusive<u32>) -> String {
    let mut text = String::new();
    for n in numbers {
        let time = format!("2026-01-15T10:00:{:02}Z", n - 1);
        let pod = if n % 2 == 0 { "even" } else { "odd" };
        writeln!(
            text,
            r#"{{"flow":{{"time":"{time}","verdict":"FORWARDED","IP":{{"source":"10.0.0.1","destination":"10.0.0.2","ipVersion":"IPv4"}},"l4":{{"TCP":{{"source_port":{n},"destination_port":80,"flags":{{"SYN":true}}}}}},"source":{{"namespace":"shop","pod_name":"{pod}-{n}"}},"destination":{{"namespace":"data","pod_name":"db"}},"Type":"L3_L4","node_name":"node-1","event_type":{{"type":4,"sub_type":5}},"traffic_direction":"EGRESS","is_reply":false,"Summary":"TCP Flags: SYN"}},"node_name":"node-1","time":"{time}"}}"#
        )
        .unwrap();
    }
    text
}

/// A loss of so many events.
pub(crate) fn lost(count: u64) -> String {
    format!(
        "{{\"lost_events\":{{\"source\":\"PERF_EVENT_RING_BUFFER\",\"num_events_lost\":\"{count}\"}},\"node_name\":\
         \"node-1\",\"time\":\"2026-01-15T10:00:09Z\"}}\n"
    )
}

/// So many seconds after the first flow.
pub(crate) fn at(second: i64) -> Option<prost_types::Timestamp> {
    let start = flow::Timestamp::parse_rfc3339("2026-01-15T10:00:00Z").unwrap().parts().0;
    Some(prost_types::Timestamp { seconds: start + second, nanos: 0 })
}

/// Body of `GET /metrics`.
pub(crate) async fn scrape(address: SocketAddr) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\nAccept: */*\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    text
}

/// Writes a file that a collector reads now and then, in one step: it never finds a half of it.
pub(crate) fn write(path: &std::path::Path, text: &str) {
    let whole = path.with_extension("whole");
    std::fs::write(&whole, text).unwrap();
    std::fs::rename(&whole, path).unwrap();
}
