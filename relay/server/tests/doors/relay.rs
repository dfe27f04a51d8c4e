//! A relay for one test, and flows to feed it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use flow::{
    Clock as _, Endpoint, EventType, Flow, FlowDetails, FlowId, FlowType, Ip, L4, SystemClock, TcpFlags, Timestamp,
    TrafficDirection, Verdict, Workload, event_type,
};
use proto::observer::observer_client::ObserverClient;
use proto::observer::{GetFlowsRequest, GetFlowsResponse};
use relay_server::{Config, RunError, Running};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// Time any wait of a test may take before it has failed, on a machine that has other things to do.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A running relay.
pub(crate) struct TestRelay {
    running: Running,
    shutdown: CancellationToken,
}

impl TestRelay {
    pub(crate) async fn start() -> Self {
        Self::start_with(|_| {}).await
    }

    pub(crate) async fn start_with(change: impl FnOnce(&mut Config)) -> Self {
        let shutdown = CancellationToken::new();
        let running = relay_server::start(config(change), shutdown.clone()).await.unwrap();
        Self { running, shutdown }
    }

    pub(crate) fn grpc(&self) -> SocketAddr {
        self.running.grpc_addr()
    }

    pub(crate) fn http(&self) -> SocketAddr {
        self.running.http_addr()
    }

    pub(crate) fn flight_sql(&self) -> SocketAddr {
        self.running.flight_sql_addr().unwrap()
    }

    pub(crate) fn metrics(&self) -> SocketAddr {
        self.running.metrics_addr().unwrap()
    }

    pub(crate) async fn observer(&self) -> ObserverClient<Channel> {
        ObserverClient::connect(format!("http://{}", self.grpc())).await.unwrap()
    }

    /// Value of one series, 0 where it is not there.
    pub(crate) async fn metric(&self, series: &str) -> u64 {
        let text = crate::http::get(self.metrics(), "/metrics").await.text();
        let line = text.lines().find(|l| l.strip_prefix(series).is_some_and(|rest| rest.starts_with(' ')));
        line.map_or(0, |l| l.rsplit(' ').next().unwrap().parse().unwrap())
    }

    /// Asks it to stop without waiting.
    pub(crate) fn begin_stop(&self) {
        self.shutdown.cancel();
    }

    pub(crate) async fn stop(self) -> Result<(), RunError> {
        self.shutdown.cancel();
        within(self.running.wait()).await
    }
}

/// Settings of a test: ports that the kernel picks.
pub(crate) fn config(change: impl FnOnce(&mut Config)) -> Config {
    let any = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    let mut config = Config::default();
    config.grpc.listen = any;
    config.http.listen = any;
    config.flight_sql.listen = Some(any);
    config.metrics.listen = Some(any);
    change(&mut config);
    config
}

/// Fails the test when `future` takes too long.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(DEADLINE, future).await.expect("it takes too long")
}

/// Waits until `condition` holds.
pub(crate) async fn wait_until(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition().await {
        assert!(Instant::now() < deadline, "{what} did not come true");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// A TCP flow from `web` to `api`; `number` makes it one of a kind and later than smaller ones.
pub(crate) fn flow(base: Timestamp, number: u32) -> Flow {
    let side = |name: &str, namespace: &str| {
        Arc::new(Endpoint {
            namespace: namespace.to_owned(),
            pod_name: name.to_owned(),
            workloads: vec![Workload { name: name.to_owned(), kind: "Deployment".to_owned() }],
            ..Endpoint::default()
        })
    };
    let ip = |last| IpAddr::V4(Ipv4Addr::new(10, 0, 0, last));
    Flow {
        time: base.after(Duration::from_micros(u64::from(number))),
        id: FlowId::Uuid(uuid(number)),
        verdict: Verdict::FORWARDED,
        ip: Some(Ip::new(ip(1), ip(2))),
        l4: Some(L4::Tcp { source_port: 40_000, destination_port: 8080, flags: Some(TcpFlags::SYN) }),
        source: Some(side("web", "shop")),
        destination: Some(side("api", "bank")),
        kind: FlowType::L3_L4,
        node_name: "node-1".into(),
        event_type: Some(EventType { kind: event_type::TRACE, sub_kind: 0 }),
        traffic_direction: TrafficDirection::EGRESS,
        is_reply: Some(false),
        summary: format!("number {number}"),
        details: Some(Box::new(FlowDetails { bytes: 100, packets: 2, ..FlowDetails::default() })),
        ..Flow::default()
    }
}

pub(crate) fn flows(base: Timestamp, numbers: std::ops::Range<u32>) -> Vec<Flow> {
    numbers.map(|n| flow(base, n)).collect()
}

fn uuid(number: u32) -> [u8; 16] {
    let mut bytes = [7; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    bytes
}

/// Numbers of the flows among responses, by their summaries.
pub(crate) fn numbers(responses: &[GetFlowsResponse]) -> Vec<u32> {
    responses.iter().filter_map(number).collect()
}

/// Number of a flow; `None` for other responses.
pub(crate) fn number(response: &GetFlowsResponse) -> Option<u32> {
    use proto::observer::get_flows_response::ResponseTypes;
    match &response.response_types {
        #[expect(deprecated, reason = "clients print this field")]
        Some(ResponseTypes::Flow(flow)) => flow.summary.strip_prefix("number ").map(|n| n.parse().unwrap()),
        _ => None,
    }
}

/// All responses to a request that ends by itself.
pub(crate) async fn get_flows(relay: &TestRelay, request: GetFlowsRequest) -> Vec<GetFlowsResponse> {
    let mut stream = relay.observer().await.get_flows(request).await.unwrap().into_inner();
    let mut responses = Vec::new();
    while let Some(response) = within(stream.message()).await.unwrap() {
        responses.push(response);
    }
    responses
}

/// A connection to a gRPC port.
pub(crate) async fn channel(url: String) -> tonic::transport::Channel {
    tonic::transport::Endpoint::from_shared(url).unwrap().connect().await.unwrap()
}
