//! Pulling flows from Hubble observers: Cilium agents, other relays, collectors that do not push.

use std::sync::Arc;
use std::time::Duration;

use flow::{Flow, LossRecord};
use proto::convert::{flow_from_wire, lost_from_wire, time_from_wire};
use proto::observer::get_flows_response::ResponseTypes;
use proto::observer::observer_client::ObserverClient;
use proto::observer::{GetFlowsRequest, GetFlowsResponse, ServerStatusRequest};
use proto::weir::GetFlowsOptions;
use relay_index::BatchOrigin;
use table::FlowBatchBuilder;
use tokio::time::Instant;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tracing::{debug, info, warn};

use self::recent::Recent;
use super::{Job, Rejected, record_losses};
use crate::causes::with_causes;
use crate::config::PeerConfig;
use crate::losses::{WINDOW, stage_of};
use crate::metrics::FromLabels;
use crate::relay::Relay;

mod recent;

/// Flows of the past asked for when a peer is met for the first time.
const HISTORY_FLOWS: u64 = 5_000;
/// Part of the past asked for again after a break; what was there before is recognised by its id.
const OVERLAP: Duration = Duration::from_secs(1);
/// Time to reach a peer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for an answer that is no stream.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// First wait after a failure; doubled each time up to [`RETRY_MAX`], as `hubble-relay` does.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest wait after a failure.
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Silence after which a peer is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(30);
/// Bytes of one response; a flow has some hundred.
const RESPONSE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a pull ended.
#[derive(Debug, thiserror::Error)]
enum PullError {
    #[error("cannot connect")]
    Connect(#[source] tonic::transport::Error),
    #[error("the peer refused")]
    Call(#[source] Box<Status>),
    #[error("the stream broke")]
    Stream(#[source] Box<Status>),
    #[error("the stream ended")]
    Ended,
    #[error("the index did not take the flows")]
    Rejected(#[from] Rejected),
}

/// One peer, over all its connections.
struct Pull {
    relay: Arc<Relay>,
    name: String,
    address: String,
    version: String,
    builder: FlowBatchBuilder,
    recent: Recent,
}

/// Pulls from a peer until the relay stops; reconnects with growing pauses.
pub(crate) async fn pull(relay: Arc<Relay>, config: PeerConfig) {
    let stop = relay.stages.sources.stop.clone();
    let Some(endpoint) = config.endpoint() else {
        debug_assert!(false, "the settings were checked");
        return;
    };
    let name = config.display_name().to_owned();
    relay.presence.unreachable(&name, &config.address, "not connected yet", relay.now());
    let mut pull = Pull {
        relay,
        name,
        address: config.address,
        version: String::new(),
        builder: FlowBatchBuilder::new(),
        recent: Recent::default(),
    };
    let mut pause = RETRY_MIN;
    loop {
        let Some(error) = stop.run_until_cancelled(pull.connect_and_read(&endpoint, &mut pause)).await else { break };
        warn!(peer = pull.name, retry_in = ?pause, error = with_causes(&error), "a peer gives no flows");
        pull.relay.presence.unreachable(&pull.name, &pull.address, &with_causes(&error), pull.relay.now());
        if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
            break;
        }
        pause = (pause * 2).min(RETRY_MAX);
    }
    if let Err(error) = pull.flush().await {
        warn!(peer = pull.name, error = with_causes(&error), "the last flows of a peer were not taken");
    }
}

impl Pull {
    async fn connect_and_read(&mut self, endpoint: &str, pause: &mut Duration) -> PullError {
        let mut stream = match self.open(endpoint).await {
            Ok(stream) => stream,
            Err(error) => return error,
        };
        *pause = RETRY_MIN;
        info!(peer = self.name, version = self.version, "connected to a peer");
        let _connected = Connected::new(&self.relay, &self.name, &self.address);
        let error = match self.read(&mut stream).await {
            Ok(()) => PullError::Ended,
            Err(error) => error,
        };
        match self.flush().await {
            Ok(()) => error,
            Err(rejected) => rejected.into(),
        }
    }

    async fn open(&mut self, endpoint: &str) -> Result<Streaming<GetFlowsResponse>, PullError> {
        let endpoint = Endpoint::from_shared(endpoint.to_owned()).map_err(PullError::Connect)?;
        let channel: Channel = endpoint
            .connect_timeout(CONNECT_TIMEOUT)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_while_idle(true)
            .connect()
            .await
            .map_err(PullError::Connect)?;
        let mut client = ObserverClient::new(channel).max_decoding_message_size(RESPONSE_BYTES_MAX);
        let refused = |status: Status| PullError::Call(Box::new(status));
        let mut request = tonic::Request::new(ServerStatusRequest {});
        request.set_timeout(CALL_TIMEOUT);
        match client.server_status(request).await {
            Ok(status) => self.version = status.into_inner().version,
            // A server that has flows but no status is still good enough.
            Err(status) if status.code() == Code::Unimplemented => {}
            Err(status) => return Err(refused(status)),
        }
        Ok(client.get_flows(self.request()).await.map_err(refused)?.into_inner())
    }

    fn request(&self) -> GetFlowsRequest {
        // A Weir server knows the options, a Hubble server ignores them.
        let extensions = prost_types::Any::from_msg(&GetFlowsOptions { details: true });
        let since = self.recent.newest().map(|newest| proto::convert::time_to_wire(newest.before(OVERLAP)));
        GetFlowsRequest {
            number: if since.is_some() { 0 } else { HISTORY_FLOWS },
            since,
            follow: true,
            extensions: extensions.ok(),
            ..GetFlowsRequest::default()
        }
    }

    /// Reads responses and makes batches of them: when there are enough rows, or the first has waited long enough.
    async fn read(&mut self, stream: &mut Streaming<GetFlowsResponse>) -> Result<(), PullError> {
        let wait = Duration::from_millis(self.relay.config.ingest.peer_batch_ms);
        let rows_max = self.relay.config.ingest.peer_batch_rows;
        let mut due = Instant::now();
        loop {
            let message = tokio::select! {
                message = stream.message() => message.map_err(|status| PullError::Stream(Box::new(status)))?,
                () = tokio::time::sleep_until(due), if !self.builder.is_empty() => {
                    self.flush().await?;
                    continue;
                }
            };
            let Some(response) = message else { return Ok(()) };
            if self.builder.is_empty() {
                due = Instant::now() + wait;
            }
            self.take(response);
            if self.builder.len() >= rows_max {
                self.flush().await?;
            }
        }
    }

    fn take(&mut self, response: GetFlowsResponse) {
        match response.response_types {
            Some(ResponseTypes::Flow(wire)) => self.take_flow(flow_from_wire(wire)),
            Some(ResponseTypes::LostEvents(lost)) => {
                let lost = lost_from_wire(&lost);
                let time = response.time.map_or_else(|| self.relay.now(), time_from_wire);
                let record = LossRecord {
                    window: time.window(WINDOW),
                    stage: stage_of(lost.source),
                    cause: lost.source.to_string().to_lowercase(),
                    seen: 0,
                    lost: lost.count,
                };
                record_losses(&self.relay, &self.name, &[record]);
            }
            Some(ResponseTypes::NodeStatus(status)) => debug!(peer = self.name, ?status, "status of a peer's nodes"),
            None => {}
        }
    }

    fn take_flow(&mut self, mut flow: Flow) {
        if !self.recent.is_new(&flow) {
            return;
        }
        if flow.node_name.is_empty() {
            flow.node_name = self.name.as_str().into();
        }
        if self.builder.push(&flow).is_err() {
            debug_assert!(false, "a batch is flushed before it is full");
        }
    }

    async fn flush(&mut self) -> Result<(), Rejected> {
        if self.builder.is_empty() {
            return Ok(());
        }
        let origin = BatchOrigin {
            node: self.name.clone(),
            version: self.version.clone(),
            address: self.address.clone(),
            received: self.relay.now(),
            ..BatchOrigin::default()
        };
        let job = Job { from: FromLabels::PULL, origin, batch: self.builder.finish(), losses: Vec::new() };
        self.relay.ingest.take(job).await.map(|_| ())
    }
}

/// Notes that a peer is connected, for as long as it lives.
struct Connected {
    relay: Arc<Relay>,
    name: String,
}

impl Connected {
    fn new(relay: &Arc<Relay>, name: &str, address: &str) -> Self {
        relay.presence.connected(name, address, relay.now());
        Self { relay: Arc::clone(relay), name: name.to_owned() }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.relay.presence.disconnected(&self.name, "", self.relay.now());
    }
}
