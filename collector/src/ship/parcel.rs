//! One record batch, encoded once for however often it is sent.

use arrow::error::ArrowError;
use arrow::ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::record_batch::RecordBatch;
use arrow_flight::{FlightData, FlightDescriptor};
use bytes::Bytes;
use flow::LossRecord;
use prost::Message as _;
use proto::convert::time_to_wire;
use proto::weir::{BatchHeader, Loss};

use super::Sender;

/// Path of the descriptor under which flows are pushed.
const FLOWS_PATH: &str = "flows";

/// An encoded record batch and what is told with it.
#[derive(Clone, Debug)]
pub(super) struct Parcel {
    /// Dictionaries, then the batch; without a header yet.
    messages: Vec<FlightData>,
    losses: Vec<LossRecord>,
    rows: u64,
    bytes: usize,
}

impl Parcel {
    /// Encodes a batch.
    pub(super) fn encode(batch: &RecordBatch, losses: Vec<LossRecord>) -> Result<Self, ArrowError> {
        let options = IpcWriteOptions::default();
        let mut tracker = DictionaryTracker::new(false);
        // The tracker numbers the dictionaries while it reads the schema, always in the same order.
        let encoder = IpcDataGenerator::default();
        encoder.schema_to_bytes_with_dictionary_tracker(&batch.schema(), &mut tracker, &options);
        let (dictionaries, rows) = encoder.encode(batch, &mut tracker, &options, &mut IpcWriteContext::default())?;
        let messages: Vec<FlightData> = dictionaries.into_iter().chain([rows]).map(FlightData::from).collect();
        let bytes = messages.iter().map(|m| m.data_header.len() + m.data_body.len()).sum();
        Ok(Self { messages, losses, rows: batch.num_rows() as u64, bytes })
    }

    /// Rows of the batch.
    pub(super) const fn rows(&self) -> u64 {
        self.rows
    }

    /// What was to be told with it.
    pub(super) fn into_losses(self) -> Vec<LossRecord> {
        self.losses
    }

    /// Bytes it occupies.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The messages to send, the last with the header of the batch.
    pub(super) fn messages(&self, sender: &Sender, sequence: u64) -> Vec<FlightData> {
        let header = BatchHeader {
            node: sender.node.clone(),
            boot_id: sender.boot_id,
            sequence,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            losses: self.losses.iter().map(loss_to_wire).collect(),
            rows: self.rows,
        };
        let mut messages = self.messages.clone();
        if let Some(last) = messages.last_mut() {
            last.app_metadata = Bytes::from(header.encode_to_vec());
        }
        messages
    }

    #[cfg(test)]
    pub(super) const fn for_test(rows: u64, bytes: usize) -> Self {
        Self { messages: Vec::new(), losses: Vec::new(), rows, bytes }
    }
}

/// The message that opens a stream: what is pushed, and its schema.
pub(super) fn opening() -> FlightData {
    let options = IpcWriteOptions::default();
    let mut tracker = DictionaryTracker::new(false);
    let schema =
        IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(&table::schema(), &mut tracker, &options);
    FlightData::from(schema).with_descriptor(FlightDescriptor::new_path(vec![FLOWS_PATH.to_owned()]))
}

fn loss_to_wire(loss: &LossRecord) -> Loss {
    Loss {
        window: Some(time_to_wire(loss.window)),
        stage: loss.stage.name().to_owned(),
        cause: loss.cause.clone(),
        seen: loss.seen,
        lost: loss.lost,
    }
}
