//! Flows into a relay, as collectors push them.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, FlightDescriptor};
use bytes::Bytes;
use flow::{Clock as _, SystemClock};
use prost::Message as _;
use proto::observer::ServerStatusRequest;
use proto::observer::observer_client::ObserverClient;
use proto::weir::{BatchAck, BatchHeader};
use table::wire::{FLIGHT_PATH, batch_messages, pack, packed_schema, schema_message};
use tokio::sync::mpsc::{self, OwnedPermit};
use tokio::task::JoinSet;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status};
use traffic::Settings;

use super::generate::Batches;
use super::{GenerateArgs, say, speed};

/// Batches of one stream that wait for their acknowledgment.
const UNACKNOWLEDGED_MAX: usize = 16;
/// Messages that wait for the connection.
const MESSAGES_AHEAD: usize = 64;
/// Batches that are made before they can be sent.
const BATCHES_AHEAD: usize = 4;
/// Wait before another try when the relay cannot take flows now, and tries in a row after which it is given up.
const RETRY_WAIT: Duration = Duration::from_secs(1);
const FAILURES_MAX: u32 = 30;
/// Longest wait for an acknowledgment: a relay whose disk is slow is slow, not gone.
const ACK_TIMEOUT: Duration = Duration::from_secs(60);

/// Pushes flows on several streams, waits for all acknowledgments and compares with what the relay counts.
pub(super) async fn push(address: &str, settings: Settings, args: &GenerateArgs) -> Result<()> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .with_context(|| format!("{address:?} is not an address such as http://127.0.0.1:4245"))?;
    let channel = endpoint.connect().await.with_context(|| format!("cannot reach a relay at {address}"))?;
    let before = flows_seen(&channel).await?;
    let boot_id = SystemClock.now().0.cast_unsigned();
    let began = Instant::now();
    let (mut streams, mut makers) = (JoinSet::new(), JoinSet::new());
    let count = u64::from(args.streams);
    for number in 0..count {
        // Each stream makes flows of its own, spread over the same time.
        let flows = args.flows / count + u64::from(number < args.flows % count);
        let spread = i64::from(args.streams);
        let settings = Settings {
            seed: settings.seed.wrapping_add(number),
            interval_ns: settings.interval_ns.saturating_mul(spread),
            ..settings
        };
        let (sender, made) = mpsc::channel(BATCHES_AHEAD);
        let node = format!("bench-{number}");
        let stream = Stream {
            node: node.clone(),
            boot_id,
            channel: channel.clone(),
            made,
            ended: false,
            unacknowledged: VecDeque::new(),
            acknowledged: Acknowledged::default(),
        };
        streams.spawn(stream.run());
        let batches = Batches::new(settings, flows, args.batch_rows);
        makers.spawn_blocking(move || make(&node, boot_id, batches, &sender));
    }
    let (mut pushed, mut made) = (0, 0);
    while let Some(ended) = streams.join_next().await {
        pushed += ended.context("a stream panicked, which is a bug")??.rows;
    }
    let elapsed = began.elapsed();
    while let Some(ended) = makers.join_next().await {
        made += ended.context("making flows panicked, which is a bug")??.rows;
    }
    ensure!(pushed == args.flows && made == pushed, "{pushed} of {} flows were acknowledged", args.flows);
    let counted = flows_seen(&channel).await?.saturating_sub(before);
    say(&format!("pushed {}, all acknowledged", speed(pushed, elapsed)));
    ensure!(counted >= pushed, "the relay counts {counted} flows more than before, {pushed} were pushed");
    say(&format!("the relay counts {counted} flows more than before"));
    Ok(())
}

async fn flows_seen(channel: &Channel) -> Result<u64> {
    let mut client = ObserverClient::new(channel.clone());
    let status = client.server_status(ServerStatusRequest {}).await.context("the relay does not tell its status")?;
    Ok(status.into_inner().seen_flows)
}

/// A batch as messages of a stream.
struct Made {
    sequence: u64,
    rows: u64,
    messages: Vec<FlightData>,
}

/// One stream of batches. Like a collector it keeps what is not acknowledged, and sends it again when the relay cannot
/// take flows for a while.
struct Stream {
    node: String,
    boot_id: u64,
    channel: Channel,
    made: mpsc::Receiver<Made>,
    /// Whether all batches were made.
    ended: bool,
    unacknowledged: VecDeque<Made>,
    acknowledged: Acknowledged,
}

/// What the relay has said is durable.
#[derive(Clone, Copy, Default)]
struct Acknowledged {
    batches: u64,
    rows: u64,
}

impl Stream {
    /// Sends everything; gives what was acknowledged.
    async fn run(mut self) -> Result<Acknowledged> {
        let mut failures = 0;
        loop {
            let before = self.acknowledged.batches;
            let Err(status) = self.send().await else { return Ok(self.acknowledged) };
            failures = if self.acknowledged.batches > before { 1 } else { failures + 1 };
            if status.code() != Code::Unavailable || failures > FAILURES_MAX {
                return Err(status).with_context(|| format!("the relay takes no more flows of {}", self.node));
            }
            tokio::time::sleep(RETRY_WAIT).await;
        }
    }

    /// Sends over one call until all is acknowledged or the relay ends it.
    async fn send(&mut self) -> Result<(), Status> {
        let (messages, outgoing) = mpsc::channel::<FlightData>(MESSAGES_AHEAD);
        let mut messages = Some(messages);
        let mut waiting: VecDeque<FlightData> = [opening()].into();
        waiting.extend(self.unacknowledged.iter().flat_map(|made| made.messages.iter().cloned()));
        let mut client = FlightServiceClient::new(self.channel.clone());
        let mut acks = client.do_put(ReceiverStream::new(outgoing)).await?.into_inner();
        loop {
            if self.ended && waiting.is_empty() {
                // The relay ends the call once it has acknowledged what came before.
                messages = None;
            }
            let has_room = waiting.is_empty() && self.unacknowledged.len() < UNACKNOWLEDGED_MAX;
            tokio::select! {
                place = reserve(messages.clone()), if messages.is_some() && !waiting.is_empty() => match place {
                    Some(place) => if let Some(message) = waiting.pop_front() { drop(place.send(message)) },
                    // The relay reads no more, and says why where it acknowledges.
                    None => messages = None,
                },
                made = self.made.recv(), if has_room && !self.ended => match made {
                    Some(made) => {
                        waiting.extend(made.messages.iter().cloned());
                        self.unacknowledged.push_back(made);
                    }
                    None => self.ended = true,
                },
                answer = tokio::time::timeout(ACK_TIMEOUT, acks.message()) => {
                    let answer = answer.map_err(|_| Status::deadline_exceeded("the relay acknowledges nothing"))?;
                    let Some(answer) = answer? else { break };
                    self.take_ack(&answer.app_metadata)?;
                },
            }
        }
        let all = self.ended && self.unacknowledged.is_empty();
        if all { Ok(()) } else { Err(Status::unavailable("the relay ended the stream")) }
    }

    fn take_ack(&mut self, ack: &Bytes) -> Result<(), Status> {
        let ack = BatchAck::decode(ack.clone()).map_err(|e| Status::internal(format!("an acknowledgment: {e}")))?;
        if ack.boot_id != self.boot_id {
            return Err(Status::internal("the relay acknowledges batches that were not sent"));
        }
        while let Some(made) = self.unacknowledged.pop_front_if(|made| made.sequence <= ack.sequence) {
            self.acknowledged.batches += 1;
            self.acknowledged.rows += made.rows;
        }
        Ok(())
    }
}

/// Waits for a place for a message; `None` where nobody reads them any more.
async fn reserve(messages: Option<mpsc::Sender<FlightData>>) -> Option<OwnedPermit<FlightData>> {
    messages?.reserve_owned().await.ok()
}

/// Makes batches until nobody takes them any more; gives how many, and their rows.
fn make(node: &str, boot_id: u64, batches: Batches, made: &mpsc::Sender<Made>) -> Result<Acknowledged> {
    let mut all = Acknowledged::default();
    for batch in batches {
        all.batches += 1;
        let rows = batch.num_rows() as u64;
        all.rows += rows;
        let header = BatchHeader {
            node: node.to_owned(),
            boot_id,
            sequence: all.batches,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            losses: Vec::new(),
            rows,
            own_dictionaries: true,
        };
        let messages = encode(&pack(&batch)?, &header)?;
        if made.blocking_send(Made { sequence: all.batches, rows, messages }).is_err() {
            break;
        }
    }
    Ok(all)
}

/// The message that opens a stream: what is pushed, and its schema.
fn opening() -> FlightData {
    let path = FlightDescriptor::new_path(vec![FLIGHT_PATH.to_owned()]);
    FlightData::from(schema_message(&packed_schema())).with_descriptor(path)
}

/// Dictionaries, then the rows with their header.
fn encode(batch: &RecordBatch, header: &BatchHeader) -> Result<Vec<FlightData>, ArrowError> {
    let mut messages: Vec<FlightData> = batch_messages(batch)?.into_iter().map(FlightData::from).collect();
    if let Some(last) = messages.last_mut() {
        last.app_metadata = Bytes::from(header.encode_to_vec());
    }
    Ok(messages)
}
