//! Flows into a relay, as collectors push them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use arrow::error::ArrowError;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::record_batch::RecordBatch;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, FlightDescriptor};
use bytes::Bytes;
use flow::{Clock as _, SystemClock};
use prost::Message as _;
use proto::observer::ServerStatusRequest;
use proto::observer::observer_client::ObserverClient;
use proto::weir::{BatchAck, BatchHeader};
use tokio::sync::{Semaphore, mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};
use traffic::Settings;

use super::generate::Batches;
use super::{GenerateArgs, say, speed};

/// Batches of one stream that wait for their acknowledgment.
const UNACKNOWLEDGED_MAX: usize = 16;
/// Messages that wait for the connection.
const MESSAGES_AHEAD: usize = 64;
/// Longest wait for an acknowledgment: a relay whose disk is slow is slow, not gone.
const ACK_TIMEOUT: Duration = Duration::from_secs(60);

/// Pushes flows on several streams, waits for all acknowledgments and compares with what the relay counts.
pub(super) async fn push(address: &str, settings: Settings, args: &GenerateArgs) -> Result<()> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .with_context(|| format!("{address:?} is not an address such as http://127.0.0.1:4245"))?;
    let channel = endpoint.connect().await.with_context(|| format!("cannot reach a relay at {address}"))?;
    let before = flows_seen(&channel).await?;
    let boot_id = SystemClock.now().0.cast_unsigned();
    let acknowledged = Arc::new(AtomicU64::new(0));
    let began = Instant::now();
    let mut streams = tokio::task::JoinSet::new();
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
        let stream = Stream {
            node: format!("bench-{number}"),
            boot_id,
            channel: channel.clone(),
            acknowledged: acknowledged.clone(),
        };
        streams.spawn(stream.run(Batches::new(settings, flows, args.batch_rows)));
    }
    while let Some(ended) = streams.join_next().await {
        ended.context("a stream panicked, which is a bug")??;
    }
    let elapsed = began.elapsed();
    let pushed = acknowledged.load(Ordering::Relaxed);
    ensure!(pushed == args.flows, "{pushed} of {} flows were acknowledged", args.flows);
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

/// One stream of batches.
struct Stream {
    node: String,
    boot_id: u64,
    channel: Channel,
    acknowledged: Arc<AtomicU64>,
}

impl Stream {
    async fn run(self, batches: Batches) -> Result<()> {
        let (messages, outgoing) = mpsc::channel::<FlightData>(MESSAGES_AHEAD);
        let places = Arc::new(Semaphore::new(UNACKNOWLEDGED_MAX));
        let maker = tokio::task::spawn_blocking({
            let (node, boot_id, places) = (self.node.clone(), self.boot_id, places.clone());
            let handle = tokio::runtime::Handle::current();
            move || make(&node, boot_id, batches, &messages, (&places, &handle))
        });
        let mut client = FlightServiceClient::new(self.channel.clone());
        let mut acks =
            client.do_put(ReceiverStream::new(outgoing)).await.context("the relay takes no flows")?.into_inner();
        let mut last = 0;
        while let Some(result) =
            tokio::time::timeout(ACK_TIMEOUT, acks.message()).await.context("the relay acknowledges nothing")??
        {
            let ack = BatchAck::decode(result.app_metadata).context("an acknowledgment cannot be read")?;
            if ack.repeated_batch || ack.boot_id != self.boot_id {
                bail!("the relay says that batch {} of {} is a repeat, which it is not", ack.sequence, self.node);
            }
            places.add_permits(usize::try_from(ack.sequence.saturating_sub(last)).unwrap_or_default());
            last = ack.sequence;
        }
        let (batches, rows) = maker.await.context("making flows panicked, which is a bug")??;
        ensure!(last == batches, "the relay acknowledged {last} of {batches} batches of {}", self.node);
        self.acknowledged.fetch_add(rows, Ordering::Relaxed);
        Ok(())
    }
}

/// Makes and sends batches; gives how many, and their rows.
fn make(
    node: &str,
    boot_id: u64,
    batches: Batches,
    messages: &mpsc::Sender<FlightData>,
    (places, runtime): (&Semaphore, &tokio::runtime::Handle),
) -> Result<(u64, u64)> {
    let gone = "the relay ended the stream";
    messages.blocking_send(opening()).context(gone)?;
    let (mut sequence, mut rows) = (0, 0);
    for batch in batches {
        sequence += 1;
        rows += batch.num_rows() as u64;
        let header = BatchHeader {
            node: node.to_owned(),
            boot_id,
            sequence,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            losses: Vec::new(),
            rows: batch.num_rows() as u64,
        };
        runtime.block_on(places.acquire()).context(gone)?.forget();
        for message in encode(&batch, &header)? {
            messages.blocking_send(message).context(gone)?;
        }
    }
    Ok((sequence, rows))
}

/// The message that opens a stream: what is pushed, and its schema.
fn opening() -> FlightData {
    let mut tracker = DictionaryTracker::new(false);
    let options = IpcWriteOptions::default();
    let encoder = IpcDataGenerator::default();
    let schema = encoder.schema_to_bytes_with_dictionary_tracker(&table::schema(), &mut tracker, &options);
    FlightData::from(schema).with_descriptor(FlightDescriptor::new_path(vec!["flows".to_owned()]))
}

/// Dictionaries, then the rows with their header.
fn encode(batch: &RecordBatch, header: &BatchHeader) -> Result<Vec<FlightData>, ArrowError> {
    let mut tracker = DictionaryTracker::new(false);
    let options = IpcWriteOptions::default();
    let encoder = IpcDataGenerator::default();
    // The tracker numbers the dictionaries while it reads the schema, always in the same order.
    encoder.schema_to_bytes_with_dictionary_tracker(&batch.schema(), &mut tracker, &options);
    let (dictionaries, rows) = encoder.encode(batch, &mut tracker, &options, &mut IpcWriteContext::default())?;
    let mut messages: Vec<FlightData> = dictionaries.into_iter().chain([rows]).map(FlightData::from).collect();
    if let Some(last) = messages.last_mut() {
        last.app_metadata = Bytes::from(header.encode_to_vec());
    }
    Ok(messages)
}
