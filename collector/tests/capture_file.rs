//! A collector that reads a packet capture, asked through its public door: what it tells must add up to the file.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use collector::config::{MetricsConfig, ObserverConfig, SourceConfig, SourceKind, Timing};
use collector::{Config, start};
use flow::{Flow, FlowPhase, FlowType, L4, L7Record, TrafficDirection, Verdict};
use prost::Message as _;
use proto::observer::get_flows_response::ResponseTypes;
use proto::observer::observer_client::ObserverClient;
use proto::observer::{GetFlowsRequest, ServerStatusRequest};
use tokio_util::sync::CancellationToken;

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/capture").join(name)
}

/// IP packets of a classic capture with Ethernet or Linux' own headers, and the bytes of the frames.
fn packets_and_bytes(path: &Path) -> (u64, u64) {
    let bytes = std::fs::read(path).unwrap();
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let ethertype = 16 + if word(20) == 1 { 12 } else { 0 };
    let (mut at, mut packets, mut total) = (24, 0, 0);
    while at < bytes.len() {
        if matches!(bytes[at + ethertype..at + ethertype + 2], [0x08, 0x00] | [0x86, 0xdd]) {
            packets += 1;
            total += u64::from(word(at + 12));
        }
        at += 16 + word(at + 8) as usize;
    }
    (packets, total)
}

/// All flows of a collector that has read a file to its end.
async fn flows(path: &Path, timing: Timing) -> Vec<Flow> {
    let listen = Some("127.0.0.1:0".parse().unwrap());
    let config = Config {
        source: SourceConfig { kind: SourceKind::Pcap, file: Some(path.to_owned()), timing, ..SourceConfig::default() },
        observer: ObserverConfig { listen, socket: None, ..ObserverConfig::default() },
        metrics: MetricsConfig { listen, ..MetricsConfig::default() },
        ..Config::default()
    };
    let shutdown = CancellationToken::new();
    let running = start(config, shutdown.clone()).await.unwrap();
    let url = format!("http://{}", running.observer.unwrap());
    let mut client = ObserverClient::connect(url).await.unwrap();
    let (packets, _) = packets_and_bytes(path);
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let flows = all(&mut client).await;
        if flows.iter().map(Flow::packets).sum::<u64>() >= packets {
            shutdown.cancel();
            drop(client);
            running.wait().await.unwrap();
            return flows;
        }
        assert!(Instant::now() < deadline, "the file is not read; so far {} flows", flows.len());
        tokio::task::yield_now().await;
    }
}

async fn all(client: &mut ObserverClient<tonic::transport::Channel>) -> Vec<Flow> {
    client.server_status(ServerStatusRequest {}).await.unwrap();
    let details = prost_types::Any {
        type_url: "type.googleapis.com/weir.v1.GetFlowsOptions".to_owned(),
        value: proto::weir::GetFlowsOptions { details: true }.encode_to_vec(),
    };
    let request = GetFlowsRequest { number: 10_000, extensions: Some(details), ..GetFlowsRequest::default() };
    let mut stream = client.get_flows(request).await.unwrap().into_inner();
    let mut flows = Vec::new();
    while let Some(answer) = stream.message().await.unwrap() {
        if let Some(ResponseTypes::Flow(flow)) = answer.response_types {
            flows.push(proto::convert::flow_from_wire(flow));
        }
    }
    flows
}

#[tokio::test]
async fn a_capture_adds_up() {
    let path = fixture("shop.pcap");
    let flows = flows(&path, Timing::default()).await;
    let sum = |of: fn(&Flow) -> u64| flows.iter().map(of).sum::<u64>();
    assert_eq!((sum(Flow::packets), sum(Flow::bytes)), packets_and_bytes(&path));
    assert!(flows.iter().all(|f| f.verdict == Verdict::FORWARDED));
    // Ten TCP connections, each begun by one SYN.
    let begins = flows.iter().filter(|f| f.kind == FlowType::L3_L4 && f.is_reply == Some(false));
    let tcp = |f: &&Flow| matches!(f.l4, Some(L4::Tcp { .. }));
    let new = |f: &&Flow| f.details.as_ref().is_some_and(|d| d.phase == FlowPhase::New);
    assert_eq!(begins.filter(tcp).filter(new).count(), 10);
}

#[tokio::test]
async fn requests_of_a_capture_read_as_hubble_writes_them() {
    for (name, shift_to_now) in [("shop.pcap", false), ("shop-any.pcap", false), ("shop.pcap", true)] {
        let flows = flows(&fixture(name), Timing { shift_to_now, ..Timing::default() }).await;
        let (mut http, mut dns) = (Vec::new(), Vec::new());
        for flow in &flows {
            match flow.l7.as_ref().map(|l7| &l7.record) {
                Some(L7Record::Http(_)) => http.push(flow),
                Some(L7Record::Dns(_)) => dns.push(flow),
                _ => {}
            }
        }
        assert_eq!((http.len(), dns.len()), (18, 12), "{name}");
        assert_eq!(http[0].summary, "HTTP/1.1 GET http://10.99.0.1/hello.txt");
        assert!(http[3].summary.starts_with("HTTP/1.1 404 "), "{}", http[3].summary);
        assert!(http[3].summary.ends_with("ms (GET http://10.99.0.1/nothing)"), "{}", http[3].summary);
        assert_eq!(dns[0].summary, "DNS Query shop.wl. A");
        assert!(dns[7].summary.starts_with("DNS Answer RCode: Non-Existent Domain"), "{}", dns[7].summary);
        let [request, response] = [http[0], http[1]];
        assert_eq!([request.is_reply, response.is_reply], [Some(false), Some(true)]);
        assert_eq!(request.traffic_direction, TrafficDirection::INGRESS);
        assert_eq!(request.ip.as_ref().map(|ip| ip.destination), response.ip.as_ref().map(|ip| ip.source));
        let conversation = |f: &Flow| f.details.as_ref().map_or(0, |d| d.conversation);
        assert_ne!(conversation(request), 0);
        let same = flows.iter().filter(|f| conversation(f) == conversation(request));
        assert!(same.filter(|f| f.l7.is_none()).count() >= 2, "packets and requests share a conversation");
    }
}
