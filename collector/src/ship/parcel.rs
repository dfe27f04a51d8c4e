//! One record batch, encoded once for however often it is sent.

use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use arrow_flight::decode::FlightRecordBatchStream;
use arrow_flight::{FlightData, FlightDescriptor};
use bytes::Bytes;
use flow::LossRecord;
use futures::{FutureExt as _, StreamExt as _, stream};
use prost::Message as _;
use proto::convert::{loss_from_wire, loss_to_wire};
use proto::weir::BatchHeader;
use table::wire::{FLIGHT_PATH, batch_messages, pack, packed_schema, schema_message};
use table::{FlowBatchBuilder, SchemaError};

use super::Sender;
use super::disk::Number;

/// First bytes of a batch in a file; the last tells the form of the file.
const FILE_MARK: &[u8; 8] = b"WEIRSPL2";
/// The same of one that was not packed, as earlier versions left them.
const PLAIN_FILE_MARK: &[u8; 8] = b"WEIRSPL1";
/// Bytes of a file that tell its version: the mark, and the version of the table.
pub(super) const FILE_HEAD_BYTES: usize = FILE_MARK.len() + 4;

/// A batch cannot be sent.
#[derive(Debug, thiserror::Error)]
pub(super) enum EncodeError {
    /// It is none of flows.
    #[error("the batch cannot be packed")]
    Pack(#[from] SchemaError),
    /// Arrow cannot write it.
    #[error("the batch cannot be written")]
    Write(#[from] ArrowError),
}

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
    /// Encodes a batch in the form for the wire.
    pub(super) fn encode(batch: &RecordBatch, losses: Vec<LossRecord>) -> Result<Self, EncodeError> {
        let batch = pack(batch)?;
        let messages: Vec<FlightData> = batch_messages(&batch)?.into_iter().map(FlightData::from).collect();
        let bytes = messages.iter().map(|m| m.data_header.len() + m.data_body.len()).sum();
        Ok(Self { messages, losses, rows: batch.num_rows() as u64, bytes })
    }

    /// Encodes a batch as one parcel, or where that has more than `bytes_max` bytes as several with parts of the rows.
    /// Only a row that is larger by itself makes a larger one. The losses go with the first.
    pub(super) fn encode_within(
        batch: &RecordBatch,
        losses: Vec<LossRecord>,
        bytes_max: usize,
    ) -> Result<Vec<Self>, EncodeError> {
        let whole = Self::encode(batch, losses)?;
        let (rows, bytes) = (batch.num_rows(), whole.bytes);
        if bytes <= bytes_max || rows < 2 {
            return Ok(vec![whole]);
        }
        let mut losses = whole.into_losses();
        let rows_each = (rows / (bytes / bytes_max.max(1) + 1)).max(1);
        let mut parcels = Vec::new();
        for start in (0..rows).step_by(rows_each) {
            // A slice would bring the texts of all rows.
            let part = table::merge(&[batch.slice(start, rows_each.min(rows - start))])?;
            parcels.extend(Self::encode_within(&part, std::mem::take(&mut losses), bytes_max)?);
        }
        Ok(parcels)
    }

    /// What is sent in the place of one that the relay refuses: no rows, and what was to be told with them.
    pub(super) fn emptied(&self) -> Self {
        let nothing = FlowBatchBuilder::new().finish();
        Self::encode(&nothing, self.losses.clone()).expect("a batch of the builder has the columns of the table")
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
    pub(super) fn messages(&self, sender: &Sender, (boot_id, sequence): Number) -> Vec<FlightData> {
        let header = BatchHeader { node: sender.node.clone(), boot_id, sequence, ..self.header() };
        let mut messages = self.messages.clone();
        if let Some(last) = messages.last_mut() {
            last.app_metadata = Bytes::from(header.encode_to_vec());
        }
        messages
    }

    fn header(&self) -> BatchHeader {
        BatchHeader {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            losses: self.losses.iter().map(loss_to_wire).collect(),
            rows: self.rows,
            own_dictionaries: true,
            ..BatchHeader::default()
        }
    }

    /// The batch as a file holds it: a mark, the version of the table, a CRC-32C of what follows, then messages with
    /// their lengths before them, the header first.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        let mut body = self.header().encode_length_delimited_to_vec();
        for message in &self.messages {
            body.extend(message.encode_length_delimited_to_vec());
        }
        let mut bytes = FILE_MARK.to_vec();
        bytes.extend_from_slice(&table::schema::SCHEMA_VERSION.to_le_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
        bytes.append(&mut body);
        bytes
    }

    /// Whether a file that begins so was written by a later version.
    pub(super) fn is_later(head: &[u8; FILE_HEAD_BYTES]) -> bool {
        let (mark, version) = head.split_first_chunk::<8>().expect("the head is longer than the mark");
        let (form, name) = (mark[7], &mark[..7]);
        let version = version.try_into().map_or(0, u32::from_le_bytes);
        name == &FILE_MARK[..7] && (form > FILE_MARK[7] || version > table::schema::SCHEMA_VERSION)
    }

    /// Reads a file; `None` where it is damaged or of another version of the table.
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let is_packed = bytes.starts_with(FILE_MARK);
        let bytes = bytes.strip_prefix(if is_packed { &FILE_MARK[..] } else { &PLAIN_FILE_MARK[..] })?;
        let (version, bytes) = bytes.split_first_chunk::<4>()?;
        let (sum, body) = bytes.split_first_chunk::<4>()?;
        let fits = u32::from_le_bytes(*version) == table::schema::SCHEMA_VERSION;
        if !fits || u32::from_le_bytes(*sum) != crc32c::crc32c(body) {
            return None;
        }
        let mut body = Bytes::copy_from_slice(body);
        let header = BatchHeader::decode_length_delimited(&mut body).ok()?;
        let mut messages = Vec::new();
        while !body.is_empty() {
            messages.push(FlightData::decode_length_delimited(&mut body).ok()?);
        }
        let losses = header.losses.into_iter().map(loss_from_wire).collect();
        if !is_packed {
            return Self::encode(&plain_batch(messages)?, losses).ok();
        }
        let bytes = messages.iter().map(|m| m.data_header.len() + m.data_body.len()).sum();
        Some(Self { messages, losses, rows: header.rows, bytes })
    }

    #[cfg(test)]
    pub(super) fn for_test(rows: u64, bytes: usize) -> Self {
        let message = FlightData { data_body: vec![0; bytes].into(), ..FlightData::default() };
        Self { messages: vec![message], losses: Vec::new(), rows, bytes }
    }
}

/// The message that opens a stream: what is pushed, and its schema.
pub(super) fn opening() -> FlightData {
    let path = FlightDescriptor::new_path(vec![FLIGHT_PATH.to_owned()]);
    FlightData::from(schema_message(&packed_schema())).with_descriptor(path)
}

/// The batch of messages that were written before batches were packed.
fn plain_batch(messages: Vec<FlightData>) -> Option<RecordBatch> {
    let messages = std::iter::once(schema_message(&table::schema()).into()).chain(messages);
    let mut batches = FlightRecordBatchStream::new_from_flight_data(stream::iter(messages.map(Ok)));
    batches.next().now_or_never()??.ok()
}

#[cfg(test)]
mod tests {
    use flow::{Flow, L7Record, LossStage};
    use table::wire::Unpacker;

    use super::*;

    fn flows() -> Vec<Flow> {
        (0..20).map(|n| Flow { summary: format!("flow {}", n % 7), socket_cookie: n, ..Flow::default() }).collect()
    }

    fn batch() -> RecordBatch {
        let mut builder = FlowBatchBuilder::new();
        for flow in flows() {
            builder.push(&flow).unwrap();
        }
        builder.finish()
    }

    /// The flows that a relay reads of a parcel.
    fn sent(parcel: &Parcel) -> Vec<Flow> {
        let messages = std::iter::once(opening()).chain(parcel.messages.clone());
        let mut batches = FlightRecordBatchStream::new_from_flight_data(stream::iter(messages.map(Ok)));
        let packed = batches.next().now_or_never().unwrap().unwrap().unwrap();
        let batch = Unpacker::of(&packed.schema()).unwrap().unpack(&packed).unwrap();
        let reader = table::RowReader::new(&batch).unwrap();
        (0..reader.len()).map(|row| reader.flow(row)).collect()
    }

    #[test]
    fn a_parcel_comes_back_from_its_file() {
        let parcel = Parcel::encode(&batch(), Vec::new()).unwrap();
        let read = Parcel::from_bytes(&parcel.to_bytes()).unwrap();
        assert_eq!((read.rows, read.bytes), (parcel.rows, parcel.bytes));
        assert_eq!(sent(&read), flows());
    }

    /// Long texts make a batch large long before it has many rows.
    #[test]
    fn a_large_batch_becomes_several_that_are_not() {
        let bytes_max = 1 << 20;
        let url = |n: u64| format!("http://shop/{n}?{}", "q".repeat(5 << 10));
        let flows: Vec<Flow> = (0..1_500)
            .map(|n| {
                let http = flow::Http { url: url(n), ..flow::Http::default() };
                let l7 = flow::L7 { record: L7Record::Http(http), ..flow::L7::default() };
                Flow { socket_cookie: n, summary: (n % 7).to_string(), l7: Some(Box::new(l7)), ..Flow::default() }
            })
            .collect();
        let mut builder = FlowBatchBuilder::new();
        flows.iter().for_each(|flow| builder.push(flow).unwrap());
        let window = flow::Timestamp(0);
        let loss = LossRecord { window, stage: LossStage::Ring, cause: "x".to_owned(), seen: 2, lost: 1 };
        let parcels = Parcel::encode_within(&builder.finish(), vec![loss], bytes_max).unwrap();
        assert!((8..20).contains(&parcels.len()), "{}", parcels.len());
        for parcel in &parcels {
            let largest = parcel.messages.iter().map(|m| m.data_body.len()).max().unwrap();
            assert!(parcel.bytes <= bytes_max && largest < bytes_max, "{} {largest}", parcel.bytes);
        }
        assert_eq!(parcels.iter().map(|parcel| parcel.losses.len()).collect::<Vec<_>>()[..2], [1, 0]);
        assert!(parcels.iter().flat_map(sent).eq(flows), "the flows are the same in the same order");
    }

    /// A collector that is replaced by a later version leaves a spool.
    #[test]
    fn a_file_of_an_earlier_version_is_sent_too() {
        let messages = batch_messages(&batch()).unwrap().into_iter().map(FlightData::from).collect();
        let plain = Parcel { messages, losses: Vec::new(), rows: 20, bytes: 0 };
        let mut bytes = plain.to_bytes();
        bytes[..FILE_MARK.len()].copy_from_slice(PLAIN_FILE_MARK);
        let read = Parcel::from_bytes(&bytes).unwrap();
        assert_eq!(read.rows, 20);
        assert_eq!(sent(&read), flows());
    }
}
