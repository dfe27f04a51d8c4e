//! A collector that keeps what is not acknowledged, and knows what was.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, FlightDescriptor};
use flow::{Flow, Timestamp};
use prost::Message as _;
use proto::weir::{BatchAck, BatchHeader};
use table::FlowBatchBuilder;
use table::wire::{FLIGHT_PATH, batch_messages, schema_message};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Endpoint;

/// Batches that are sent ahead of their acknowledgments.
const WINDOW: usize = 8;
/// Pause between two batches, so that a test makes thousands of flows a second and not millions.
const PACE: Duration = Duration::from_millis(10);
/// Pause before a broken connection is made again.
const RETRY: Duration = Duration::from_millis(20);

/// One collector. Its flows are numbered from 1 without gaps; the number is the socket cookie.
#[derive(Debug)]
pub struct Pusher {
    node: String,
    boot_id: u64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    sequence: u64,
    last: u64,
    acknowledged: u64,
    /// Sequence number, first and last flow of the batches that are not acknowledged.
    waiting: VecDeque<(u64, u64, u64)>,
    /// Last flow of every batch.
    ends: Vec<u64>,
    dice: u64,
    /// Why the last connection ended.
    trouble: String,
}

/// What the pushers are to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// Make batches and send them.
    Go,
    /// Make no more, only send what is not acknowledged.
    Finish,
    /// End.
    Stop,
}

impl Pusher {
    /// A collector of this node.
    #[must_use]
    pub fn new(node: &str, boot_id: u64) -> Self {
        let state = State { dice: boot_id | 1, ..State::default() };
        Self { node: node.to_owned(), boot_id, state: Mutex::new(state) }
    }

    /// Name of its node.
    #[must_use]
    pub fn node(&self) -> &str {
        &self.node
    }

    /// Number of the last flow that was acknowledged; all before were too.
    #[must_use]
    pub fn acknowledged(&self) -> u64 {
        self.state().acknowledged
    }

    /// Why its last connection ended.
    #[must_use]
    pub fn trouble(&self) -> String {
        self.state().trouble.clone()
    }

    /// Number of the last flow made.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.state().last
    }

    /// Whether a batch ends with this flow, or none was taken at all.
    #[must_use]
    pub fn is_end_of_batch(&self, flow: u64) -> bool {
        flow == 0 || self.state().ends.contains(&flow)
    }

    /// Pushes to the relay at this address, over and over, until told to stop or until everything is acknowledged.
    pub async fn run(self: Arc<Self>, address: String, mut order: watch::Receiver<Order>) {
        while *order.borrow() != Order::Stop {
            if *order.borrow() == Order::Finish && self.state().waiting.is_empty() {
                return;
            }
            // A relay that was killed is what the test is about: try again, and remember why for a test that fails.
            if let Err(error) = self.connection(&address, &mut order).await {
                self.state().trouble = format!("{error:#}");
            }
            tokio::time::sleep(RETRY).await;
        }
    }

    async fn connection(&self, address: &str, order: &mut watch::Receiver<Order>) -> Result<()> {
        let channel = Endpoint::from_shared(format!("http://{address}"))?.connect().await?;
        let mut client = FlightServiceClient::new(channel);
        let (messages, receiver) = mpsc::channel(64);
        let mut acks = client.do_put(ReceiverStream::new(receiver)).await?.into_inner();
        let mut begun = false;
        let again: Vec<_> = self.state().waiting.iter().copied().collect();
        for batch in again {
            self.send(batch, &messages, &mut begun).await?;
        }
        let mut pace = tokio::time::interval(PACE);
        loop {
            tokio::select! {
                ack = acks.message() => {
                    let ack = ack?.context("the relay ended the stream")?;
                    self.take(&BatchAck::decode(ack.app_metadata)?);
                }
                _ = pace.tick() => {
                    let (waiting, order) = (self.state().waiting.len(), *order.borrow());
                    if order == Order::Stop || (order == Order::Finish && waiting == 0) {
                        return Ok(());
                    }
                    if order == Order::Go && waiting < WINDOW {
                        let batch = self.make();
                        self.send(batch, &messages, &mut begun).await?;
                    }
                }
                changed = order.changed() => changed?,
            }
        }
    }

    fn make(&self) -> (u64, u64, u64) {
        let mut state = self.state();
        state.dice = state.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let rows = 1 + (state.dice >> 33) % 400;
        state.sequence += 1;
        let batch = (state.sequence, state.last + 1, state.last + rows);
        state.last = batch.2;
        state.ends.push(batch.2);
        state.waiting.push_back(batch);
        batch
    }

    fn take(&self, ack: &BatchAck) {
        let mut state = self.state();
        while let Some((_, _, last)) = state.waiting.pop_front_if(|(sequence, ..)| *sequence <= ack.sequence) {
            state.acknowledged = last;
        }
    }

    async fn send(
        &self,
        (sequence, first, last): (u64, u64, u64),
        messages: &mpsc::Sender<FlightData>,
        begun: &mut bool,
    ) -> Result<()> {
        let mut builder = FlowBatchBuilder::new();
        for number in first..=last {
            builder.push(&self.flow(number))?;
        }
        let batch = builder.finish();
        let header = BatchHeader {
            node: self.node.clone(),
            boot_id: self.boot_id,
            sequence,
            version: "test".to_owned(),
            losses: Vec::new(),
            rows: last - first + 1,
            ..BatchHeader::default()
        };
        let mut data: Vec<FlightData> = Vec::new();
        if !std::mem::replace(begun, true) {
            let path = FlightDescriptor::new_path(vec![FLIGHT_PATH.to_owned()]);
            data.push(FlightData::from(schema_message(&batch.schema())).with_descriptor(path));
        }
        data.extend(batch_messages(&batch)?.into_iter().map(FlightData::from));
        let rows = data.last_mut().context("a batch is a message at least")?;
        rows.app_metadata = header.encode_to_vec().into();
        for message in data {
            messages.send(message).await?;
        }
        Ok(())
    }

    fn flow(&self, number: u64) -> Flow {
        let time = Timestamp(1_790_000_000_000_000_000 + i64::try_from(number).unwrap_or_default() * 100_000);
        Flow { time, node_name: self.node.as_str().into(), socket_cookie: number, ..Flow::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
