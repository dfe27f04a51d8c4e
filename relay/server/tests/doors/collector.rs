//! A collector for tests: pushes batches over Arrow Flight and reads the acknowledgments.

use std::net::SocketAddr;

use arrow::record_batch::RecordBatch;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, FlightDescriptor, PutResult};
use flow::Flow;
use prost::Message as _;
use proto::weir::{BatchAck, BatchHeader, Loss};
use table::wire::{FLIGHT_PATH, batch_messages, schema_message};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use crate::relay::{channel, within};

/// One stream of batches.
pub(crate) struct TestCollector {
    node: String,
    boot_id: u64,
    sequence: u64,
    begun: bool,
    messages: mpsc::Sender<FlightData>,
    acks: Streaming<PutResult>,
}

impl TestCollector {
    pub(crate) async fn connect(relay: SocketAddr, node: &str, boot_id: u64) -> Self {
        let (messages, receiver) = mpsc::channel(4);
        let mut client = FlightServiceClient::new(channel(format!("http://{relay}")).await);
        let acks = client.do_put(ReceiverStream::new(receiver)).await.unwrap().into_inner();
        Self { node: node.to_owned(), boot_id, sequence: 0, begun: false, messages, acks }
    }

    /// Pushes flows as the next batch and waits until the relay owns it.
    pub(crate) async fn push(&mut self, flows: &[Flow]) -> BatchAck {
        self.sequence += 1;
        let header = self.header(flows.len(), Vec::new());
        self.push_with(header, flows).await.unwrap()
    }

    /// Pushes flows with losses.
    pub(crate) async fn push_losses(&mut self, flows: &[Flow], losses: Vec<Loss>) -> BatchAck {
        self.sequence += 1;
        let header = self.header(flows.len(), losses);
        self.push_with(header, flows).await.unwrap()
    }

    /// Begins again at a sequence number, as after a break of the connection.
    pub(crate) fn rewind(&mut self, sequence: u64) {
        self.sequence = sequence - 1;
    }

    pub(crate) fn header(&self, rows: usize, losses: Vec<Loss>) -> BatchHeader {
        BatchHeader {
            node: self.node.clone(),
            boot_id: self.boot_id,
            sequence: self.sequence,
            version: "test 1".to_owned(),
            losses,
            rows: rows as u64,
            ..BatchHeader::default()
        }
    }

    /// Pushes flows with this header.
    pub(crate) async fn push_with(&mut self, header: BatchHeader, flows: &[Flow]) -> Result<BatchAck, Status> {
        for message in encode(&batch(flows), header.encode_to_vec(), self.begun) {
            self.send(message).await;
        }
        self.begun = true;
        self.ack().await
    }

    /// Sends any message.
    pub(crate) async fn send(&self, message: FlightData) {
        // A relay that refused has closed the stream; the acknowledgment then says why.
        drop(within(self.messages.send(message)).await);
    }

    /// The next acknowledgment.
    pub(crate) async fn ack(&mut self) -> Result<BatchAck, Status> {
        let result = within(self.acks.message()).await?;
        let result = result.ok_or_else(|| Status::aborted("the relay ended the stream without a word"))?;
        Ok(BatchAck::decode(result.app_metadata).unwrap())
    }
}

/// Flows as a batch.
pub(crate) fn batch(flows: &[Flow]) -> RecordBatch {
    let mut builder = table::FlowBatchBuilder::new();
    for flow in flows {
        builder.push(flow).unwrap();
    }
    builder.finish()
}

/// Messages of a batch: the schema with its descriptor unless `begun`, dictionaries, then the rows with the header.
pub(crate) fn encode(batch: &RecordBatch, header: Vec<u8>, begun: bool) -> Vec<FlightData> {
    let mut messages: Vec<FlightData> = Vec::new();
    if !begun {
        let path = FlightDescriptor::new_path(vec![FLIGHT_PATH.to_owned()]);
        messages.push(FlightData::from(schema_message(&batch.schema())).with_descriptor(path));
    }
    messages.extend(batch_messages(batch).unwrap().into_iter().map(FlightData::from));
    messages.last_mut().unwrap().app_metadata = header.into();
    messages
}
