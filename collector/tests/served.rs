//! A collector that replays a file, asked through its public doors.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use collector::config::{ObserverConfig, SourceConfig, SourceKind};
use collector::{Config, Running, StartError, start};
use proto::observer::get_flows_response::ResponseTypes;
use proto::observer::observer_client::ObserverClient;
use proto::observer::{
    GetAgentEventsRequest, GetDebugEventsRequest, GetFlowsRequest, GetNamespacesRequest, GetNodesRequest,
    ServerStatusRequest, ServerStatusResponse,
};
use proto::peer::NotifyRequest;
use proto::peer::peer_client::PeerClient;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};

/// Flows in the file; the last ones are dropped.
const FLOWS: u64 = 20;
const DROPPED: u64 = 3;

/// A collector under test; stopped by [`Bed::stop`].
struct Bed {
    running: Running,
    shutdown: CancellationToken,
    client: ObserverClient<Channel>,
    channel: Channel,
    directory: tempfile::TempDir,
}

impl Bed {
    /// A collector that has read the whole file.
    async fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let config = config(&directory);
        let shutdown = CancellationToken::new();
        let running = start(config, shutdown.clone()).await.unwrap();
        let url = format!("http://{}", running.observer.unwrap());
        let channel = Channel::from_shared(url).unwrap().connect().await.unwrap();
        let mut bed = Self { running, shutdown, client: ObserverClient::new(channel.clone()), channel, directory };
        bed.wait_for_flows(FLOWS).await;
        bed
    }

    async fn status(&mut self) -> ServerStatusResponse {
        self.client.server_status(ServerStatusRequest {}).await.unwrap().into_inner()
    }

    async fn wait_for_flows(&mut self, seen: u64) {
        let deadline = Instant::now() + Duration::from_secs(30);
        while self.status().await.seen_flows < seen {
            assert!(Instant::now() < deadline, "the file is not read");
            tokio::task::yield_now().await;
        }
    }

    /// Source ports of the flows that come, which number the lines of the file; at most `limit`.
    async fn ports(&mut self, request: GetFlowsRequest, limit: usize) -> Result<Vec<u32>, Status> {
        let mut stream = self.client.get_flows(request).await?.into_inner();
        let mut ports = Vec::new();
        while ports.len() < limit {
            let Some(answer) = stream.message().await? else { break };
            if let Some(ResponseTypes::Flow(flow)) = answer.response_types {
                let l4 = flow.l4.and_then(|l4| l4.protocol);
                let Some(proto::flow::layer4::Protocol::Tcp(tcp)) = l4 else { panic!("{l4:?}") };
                ports.push(tcp.source_port);
            }
        }
        Ok(ports)
    }

    async fn stop(self) {
        self.shutdown.cancel();
        drop((self.client, self.channel));
        self.running.wait().await.unwrap();
        assert!(!self.directory.path().join("observer.sock").exists(), "the socket is left behind");
    }
}

fn config(directory: &tempfile::TempDir) -> Config {
    let file = directory.path().join("flows.jsonl");
    std::fs::write(&file, lines()).unwrap();
    Config {
        node_name: "node-1".to_owned(),
        source: SourceConfig { kind: SourceKind::Replay, file: Some(file), ..SourceConfig::default() },
        observer: ObserverConfig {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            socket: Some(directory.path().join("observer.sock")),
            ..ObserverConfig::default()
        },
        metrics: collector::config::MetricsConfig {
            listen: Some("127.0.0.1:0".parse().unwrap()),
            ..Default::default()
        },
        ..Config::default()
    }
}

/// One flow a second from 10:00:00 on; source ports 1 to 20.
fn lines() -> String {
    let mut text = String::new();
    for n in 1..=FLOWS {
        let dropped = n > FLOWS - DROPPED;
        let verdict = if dropped { "DROPPED" } else { "FORWARDED" };
        let event = match dropped {
            true => r#"{"type":1,"sub_type":133},"drop_reason_desc":"POLICY_DENIED""#,
            false => r#"{"type":4,"sub_type":5}"#,
        };
        let time = format!("2026-01-15T10:00:{:02}Z", n - 1);
        let pod = if n % 2 == 0 { "even" } else { "odd" };
        writeln!(
            text,
            r#"{{"flow":{{"time":"{time}","verdict":"{verdict}","IP":{{"source":"10.0.0.1","destination":"10.0.0.2","ipVersion":"IPv4"}},"l4":{{"TCP":{{"source_port":{n},"destination_port":80,"flags":{{"SYN":true}}}}}},"source":{{"namespace":"shop","pod_name":"{pod}-{n}"}},"destination":{{"namespace":"data","pod_name":"db"}},"Type":"L3_L4","node_name":"node-1","event_type":{event},"is_reply":false,"Summary":"TCP Flags: SYN"}},"node_name":"node-1","time":"{time}"}}"#
        )
        .unwrap();
    }
    text
}

fn at(second: i64) -> Option<prost_types::Timestamp> {
    let start = flow::Timestamp::parse_rfc3339("2026-01-15T10:00:00Z").unwrap().parts().0;
    Some(prost_types::Timestamp { seconds: start + second, nanos: 0 })
}

fn pod(prefix: &str) -> proto::flow::FlowFilter {
    proto::flow::FlowFilter { source_pod: vec![format!("shop/{prefix}")], ..Default::default() }
}

#[tokio::test]
async fn positions_filters_and_errors_are_hubbles() {
    let mut bed = Bed::new().await;
    let request = GetFlowsRequest::default();
    let last = |number| GetFlowsRequest { number, ..GetFlowsRequest::default() };
    let all: Vec<u32> = (1..=20).collect();
    assert_eq!(bed.ports(request.clone(), 99).await.unwrap(), all);
    assert_eq!(bed.ports(last(3), 99).await.unwrap(), [18, 19, 20]);
    assert_eq!(bed.ports(last(500), 99).await.unwrap(), all);
    let even = GetFlowsRequest { whitelist: vec![pod("even")], ..last(3) };
    assert_eq!(bed.ports(even, 99).await.unwrap(), [16, 18, 20]);
    let odd = GetFlowsRequest { blacklist: vec![pod("even")], first: true, ..last(2) };
    assert_eq!(bed.ports(odd, 99).await.unwrap(), [1, 3]);
    let between = GetFlowsRequest { since: at(4), until: at(6), ..request.clone() };
    assert_eq!(bed.ports(between, 99).await.unwrap(), [5, 6, 7]);
    let from = GetFlowsRequest { since: at(4), ..last(2) };
    assert_eq!(bed.ports(from, 99).await.unwrap(), [5, 6]);
    let follow = GetFlowsRequest { follow: true, ..last(2) };
    assert_eq!(bed.ports(follow, 2).await.unwrap(), [19, 20]);
    let error = bed.ports(GetFlowsRequest { first: true, follow: true, ..last(2) }, 1).await.unwrap_err();
    assert_eq!((error.code(), error.message()), (Code::InvalidArgument, "first cannot be specified with follow"));
    let bad = proto::flow::FlowFilter { source_ip: vec!["10.0.0.999".to_owned()], ..Default::default() };
    let error = bed.ports(GetFlowsRequest { whitelist: vec![bad], ..request }, 1).await.unwrap_err();
    assert_eq!(error.code(), Code::Unknown);
    bed.stop().await;
}

#[tokio::test]
async fn masks_leave_out_what_was_not_asked_for() {
    let mut bed = Bed::new().await;
    let mask = prost_types::FieldMask { paths: ["source.pod_name", "verdict", "no.such"].map(str::to_owned).to_vec() };
    let request = GetFlowsRequest { number: 1, field_mask: Some(mask), ..GetFlowsRequest::default() };
    let answer = bed.client.get_flows(request).await.unwrap().into_inner().message().await.unwrap().unwrap();
    assert_eq!((answer.node_name.as_str(), answer.time), ("", None), "they come from the masked flow");
    let Some(ResponseTypes::Flow(flow)) = answer.response_types else { panic!() };
    let source = flow.source.unwrap();
    assert_eq!((source.pod_name.as_str(), source.namespace.as_str()), ("even-20", ""));
    assert_eq!((flow.verdict, flow.ip, flow.l4), (2, None, None));
    bed.stop().await;
}

#[tokio::test]
async fn status_namespaces_peers_and_events() {
    let mut bed = Bed::new().await;
    let status = bed.client.server_status(ServerStatusRequest {}).await.unwrap();
    assert_eq!(status.metadata().get("hubble-server-version").unwrap().to_str().unwrap().split('.').count(), 3);
    let status = status.into_inner();
    assert_eq!((status.num_flows, status.max_flows, status.seen_flows), (FLOWS, 65_535, FLOWS));
    assert!(status.version.starts_with("weir v") && status.uptime_ns > 0);
    // The flows are older than an hour.
    let seen = bed.client.get_namespaces(GetNamespacesRequest {}).await.unwrap().into_inner();
    assert_eq!(seen.namespaces, []);
    let error = bed.client.get_nodes(GetNodesRequest {}).await.unwrap_err();
    assert_eq!(error.code(), Code::Unimplemented);

    let mut peers = PeerClient::new(bed.channel.clone()).notify(NotifyRequest {}).await.unwrap().into_inner();
    let own = peers.message().await.unwrap().unwrap();
    assert_eq!((own.name.as_str(), own.r#type), ("node-1", 1));
    assert_eq!(own.address, bed.running.observer.unwrap().to_string());

    let events = GetAgentEventsRequest { number: 10, ..Default::default() };
    let mut events = bed.client.get_agent_events(events).await.unwrap().into_inner();
    let event = events.message().await.unwrap().unwrap().agent_event.unwrap();
    assert_eq!(event.r#type, 2, "agent started");
    let mut debug = bed.client.get_debug_events(GetDebugEventsRequest::default()).await.unwrap().into_inner();
    assert!(debug.message().await.unwrap().is_none());
    bed.stop().await;
}

#[tokio::test]
async fn the_unix_socket_and_health_answer_too() {
    let bed = Bed::new().await;
    let path: PathBuf = bed.running.socket.clone().unwrap();
    let url = format!("unix://{}", path.display());
    let channel = Endpoint::from_shared(url).unwrap().connect().await.unwrap();
    let status = ObserverClient::new(channel.clone()).server_status(ServerStatusRequest {}).await.unwrap();
    assert_eq!(status.into_inner().seen_flows, FLOWS);
    let mut health = tonic_health::pb::health_client::HealthClient::new(channel);
    for service in [proto::HEALTH_SERVICE, ""] {
        let request = tonic_health::pb::HealthCheckRequest { service: service.to_owned() };
        assert_eq!(health.check(request).await.unwrap().into_inner().status, 1, "{service:?}");
    }
    drop(health);
    bed.stop().await;
}

#[tokio::test]
async fn a_stream_that_follows_ends_when_the_collector_stops() {
    let mut bed = Bed::new().await;
    let request = GetFlowsRequest { follow: true, ..GetFlowsRequest::default() };
    let mut stream = bed.client.get_flows(request).await.unwrap().into_inner();
    bed.shutdown.cancel();
    assert_eq!(stream.message().await.unwrap(), None, "the stream ends in order");
    drop(stream);
    bed.stop().await;
}

#[tokio::test]
async fn metrics_are_hubbles() {
    let bed = Bed::new().await;
    let text = scrape(bed.running.metrics.unwrap()).await;
    for line in [
        r#"hubble_flows_processed_total{protocol="TCP",type="Trace",subtype="from-endpoint",verdict="FORWARDED"} 17"#,
        r#"hubble_flows_processed_total{protocol="TCP",type="Drop",subtype="",verdict="DROPPED"} 3"#,
        r#"hubble_drop_total{reason="POLICY_DENIED",protocol="TCP"} 3"#,
        r#"hubble_tcp_flags_total{flag="SYN",family="IPv4"} 17"#,
        r#"hubble_port_distribution_total{protocol="TCP",port="80"} 17"#,
        "# TYPE weir_collector_flows_total counter",
        "weir_collector_flows_total 20",
        "weir_collector_ring_flows 20",
        r#"weir_collector_kernel_events_total{event="packet_cut"} 0"#,
        r#"weir_collector_events_lost_total{stage="kernel",cause="packets_cut"} 0"#,
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    bed.stop().await;
}

/// Body of `GET /metrics`, asked as `curl` does.
async fn scrape(address: std::net::SocketAddr) -> String {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\nAccept: */*\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    assert!(text.contains("content-type: text/plain; version=0.0.4"), "{text}");
    text
}

#[tokio::test]
async fn what_is_wrong_at_the_start_is_told_with_its_remedy() {
    let directory = tempfile::tempdir().unwrap();
    let mut missing = config(&directory);
    missing.source.file = Some(directory.path().join("none.jsonl"));
    let error = start(missing, CancellationToken::new()).await.unwrap_err();
    assert!(matches!(error, StartError::Source(_)), "{error:?}");
    assert!(!directory.path().join("observer.sock").exists(), "nothing is left behind");

    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut in_use = config(&directory);
    in_use.observer.listen = Some(taken.local_addr().unwrap());
    let error = start(in_use, CancellationToken::new()).await.unwrap_err().to_string();
    assert!(error.contains("is in use by another program") && error.contains("collector.observer.listen"), "{error}");

    let mut wrong = config(&directory);
    let names = directory.path().join("names.yaml");
    std::fs::write(&names, "names:\n  - addresses: nonsense\n    name: x\n").unwrap();
    wrong.enrich.names_file = Some(names);
    let error = anyhow::Error::new(start(wrong, CancellationToken::new()).await.unwrap_err());
    assert!(format!("{error:#}").contains("line 2"), "{error:#}");
}

/// Names of the files of a spool end with the rows of their batch.
fn rows_of_spool(folder: &std::path::Path) -> u64 {
    let names = std::fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    let batches = names.filter_map(|name| name.strip_suffix(".batch").map(str::to_owned));
    batches.map(|name| name.rsplit('-').next().unwrap().parse::<u64>().unwrap()).sum()
}

#[tokio::test]
async fn flows_that_no_relay_takes_are_on_the_disk_when_the_collector_ends() {
    // A relay that lets in and says nothing, and none at all.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for relay in [silent.local_addr().unwrap(), nobody] {
        let directory = tempfile::tempdir().unwrap();
        let spool = directory.path().join("spool");
        let mut config = config(&directory);
        config.shutdown_deadline_ms = 1_000;
        config.relay.address = Some(format!("http://{relay}"));
        config.relay.spool_dir = Some(spool.clone());
        let shutdown = CancellationToken::new();
        let running = start(config, shutdown.clone()).await.unwrap();
        let metrics = running.metrics.unwrap();
        let deadline = Instant::now() + Duration::from_secs(30);
        while !scrape(metrics).await.contains("weir_collector_flows_total 20") {
            assert!(Instant::now() < deadline, "the file is not read");
        }
        shutdown.cancel();
        running.wait().await.unwrap();
        assert_eq!(rows_of_spool(&spool), FLOWS);
    }
}

#[tokio::test]
async fn clients_that_say_nothing_are_cut_off_and_those_that_wait_are_not() {
    use tokio::io::AsyncReadExt as _;
    let directory = tempfile::tempdir().unwrap();
    let mut config = config(&directory);
    config.observer.connections_max = 2;
    let shutdown = CancellationToken::new();
    let running = start(config, shutdown.clone()).await.unwrap();
    let address = running.observer.unwrap();
    let url = format!("http://{address}");
    let channel = Channel::from_shared(url.clone()).unwrap().connect().await.unwrap();
    let mut peers = PeerClient::new(channel).notify(NotifyRequest {}).await.unwrap().into_inner();
    peers.message().await.unwrap().unwrap();
    let mut silent = tokio::net::TcpStream::connect(address).await.unwrap();
    // There is no third place: a client is served once the silent one has lost its own.
    let channel = Channel::from_shared(url).unwrap().connect_lazy();
    let mut client = ObserverClient::new(channel);
    let served = tokio::time::timeout(Duration::from_secs(30), client.server_status(ServerStatusRequest {})).await;
    assert!(served.unwrap().is_ok());
    // It was told the settings of the connection, as everybody is.
    let mut told = Vec::new();
    let end = tokio::time::timeout(Duration::from_secs(1), silent.read_to_end(&mut told)).await;
    assert!(end.is_ok(), "the silent one is closed");
    let still = tokio::time::timeout(Duration::from_millis(100), peers.message()).await;
    assert!(still.is_err(), "the stream goes on: {still:?}");
    shutdown.cancel();
    assert_eq!(peers.message().await.unwrap(), None, "it ends in order");
    drop((peers, client));
    running.wait().await.unwrap();
}
