//! Messages of a stream of batches become batches.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::ipc::reader::{RecordBatchDecoder, read_dictionary};
use arrow::ipc::{self, MessageHeader};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use table::wire::{UnpackError, Unpacker, check_unpacked};

use super::messages::Message;

/// Bytes that the packed buffers of one message may become: our collectors pack none, and what a batch may have of plain
/// traffic is a fraction of it.
const UNPACKED_BYTES_MAX: usize = 64 << 20;

/// Reads the messages of one stream, as `FlightDataDecoder` of `arrow-flight` does, but for two things: the bodies of
/// messages are not copied, and dictionaries that no later batch needs can be forgotten.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    schema: Option<SchemaRef>,
    /// Where batches come in the form for the wire.
    unpacker: Option<Unpacker>,
    /// Values by the number of the dictionary.
    dictionaries: HashMap<i64, ArrayRef>,
}

/// What a message was.
#[derive(Debug)]
pub(super) enum Decoded {
    /// Nothing to be had yet.
    Nothing,
    /// What later batches will look like.
    Schema(SchemaRef),
    /// Rows, and what was said of them.
    Batch { metadata: Bytes, batch: RecordBatch },
}

/// A message that is not understood.
#[derive(Debug, thiserror::Error)]
pub(super) enum DecodeError {
    /// Its header is none.
    #[error("its header cannot be read: {0}")]
    Header(String),
    /// It is of another kind than its header says.
    #[error("its header has no {0}")]
    Empty(&'static str),
    /// The schema has to come first.
    #[error("a {0} came before the schema")]
    NoSchema(&'static str),
    /// Flows do not come in these.
    #[error("a message of kind {0} is none of flows")]
    Unexpected(&'static str),
    /// What is in it does not fit together.
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    /// It would become too large.
    #[error("it is packed")]
    Unpack(#[from] UnpackError),
    /// It is not in the form that was told.
    #[error("it is not packed as its schema says")]
    Packed(#[source] table::SchemaError),
}

impl Decoder {
    /// Takes the next message.
    pub(super) fn take(&mut self, message: Message) -> Result<Decoded, DecodeError> {
        let Message { data, body } = message;
        let header = ipc::root_as_message(&data.data_header).map_err(|error| DecodeError::Header(error.to_string()))?;
        check_unpacked(&header, &body, UNPACKED_BYTES_MAX)?;
        match header.header_type() {
            MessageHeader::NONE => Ok(Decoded::Nothing),
            MessageHeader::Schema => {
                let schema = Arc::new(Schema::try_from(&data)?);
                self.dictionaries.clear();
                self.unpacker = Unpacker::of(&schema);
                let told = self.unpacker.as_ref().map_or(&schema, Unpacker::schema);
                let told = Decoded::Schema(Arc::clone(told));
                self.schema = Some(schema);
                Ok(told)
            }
            MessageHeader::DictionaryBatch => {
                let what = "dictionary";
                let schema = self.schema.as_ref().ok_or(DecodeError::NoSchema(what))?;
                let dictionary = header.header_as_dictionary_batch().ok_or(DecodeError::Empty(what))?;
                read_dictionary(&body, dictionary, schema, &mut self.dictionaries, &header.version())?;
                Ok(Decoded::Nothing)
            }
            MessageHeader::RecordBatch => {
                let what = "record batch";
                let schema = self.schema.clone().ok_or(DecodeError::NoSchema(what))?;
                let rows = header.header_as_record_batch().ok_or(DecodeError::Empty(what))?;
                let batch = RecordBatchDecoder::try_new(&body, rows, schema, &self.dictionaries, &header.version())?
                    .read_record_batch()?;
                let batch = match &self.unpacker {
                    Some(unpacker) => unpacker.unpack(&batch).map_err(DecodeError::Packed)?,
                    None => batch,
                };
                Ok(Decoded::Batch { metadata: data.app_metadata, batch })
            }
            other => Err(DecodeError::Unexpected(other.variant_name().unwrap_or("unknown"))),
        }
    }

    /// Forgets the dictionaries: the sender said that the next batch comes with its own. Else they stay, for a sender
    /// may leave out what has not changed.
    pub(super) fn forget_dictionaries(&mut self) {
        self.dictionaries = HashMap::new();
    }
}

#[cfg(test)]
mod tests {
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::IpcWriteOptions;
    use arrow_flight::FlightData;
    use arrow_flight::encode::{DictionaryHandling, FlightDataEncoderBuilder};
    use flow::Flow;
    use futures::{StreamExt as _, stream};
    use table::FlowBatchBuilder;
    use table::wire::{batch_messages, pack, schema_message};

    use super::*;

    fn batch() -> RecordBatch {
        let mut builder = FlowBatchBuilder::new();
        for n in 0..9 {
            builder.push(&Flow { summary: format!("flow {}", n % 4), socket_cookie: n, ..Flow::default() }).unwrap();
        }
        builder.finish()
    }

    /// Schema, dictionaries, and rows last.
    fn messages(batch: &RecordBatch) -> Vec<Message> {
        let messages = std::iter::once(schema_message(&batch.schema())).chain(batch_messages(batch).unwrap());
        messages.map(|message| Message::from(FlightData::from(message))).collect()
    }

    fn rows(decoded: Decoded) -> Option<RecordBatch> {
        if let Decoded::Batch { batch, .. } = decoded { Some(batch) } else { None }
    }

    fn take_all(decoder: &mut Decoder, messages: Vec<Message>) -> Option<RecordBatch> {
        let mut last = None;
        for message in messages {
            last = rows(decoder.take(message).unwrap());
        }
        last
    }

    #[test]
    fn plain_and_packed_batches_are_read_the_same() {
        let mut decoder = Decoder::default();
        for sent in [batch(), pack(&batch()).unwrap(), batch()] {
            assert_eq!(take_all(&mut decoder, messages(&sent)), Some(batch()));
        }
    }

    #[test]
    fn dictionaries_serve_later_batches_until_they_are_forgotten() {
        let mut decoder = Decoder::default();
        take_all(&mut decoder, messages(&batch())).unwrap();
        let alone = || messages(&batch()).pop().unwrap();
        assert_eq!(rows(decoder.take(alone()).unwrap()), Some(batch()));
        decoder.forget_dictionaries();
        assert!(matches!(decoder.take(alone()), Err(DecodeError::Arrow(_))));
        let with_its_own = messages(&batch()).split_off(1);
        assert_eq!(take_all(&mut decoder, with_its_own), Some(batch()));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_a_reason() {
        let mut all = messages(&batch());
        let (last, dictionary) = (all.pop().unwrap(), all.pop().unwrap());
        let refused = |message| Decoder::default().take(message).unwrap_err().to_string();
        assert_eq!(refused(last), "a record batch came before the schema");
        assert_eq!(refused(dictionary), "a dictionary came before the schema");
        let garbage = FlightData { data_header: vec![7; 40].into(), ..FlightData::default() };
        assert!(refused(garbage.into()).starts_with("its header cannot be read: "));
    }

    /// Arrow makes room for what a buffer claims, and where there is none the process ends.
    #[tokio::test]
    async fn packed_buffers_that_claim_too_much_are_refused() {
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
        let encoder = FlightDataEncoderBuilder::new().with_options(options).with_max_flight_data_size(usize::MAX);
        let encoder = encoder.with_dictionary_handling(DictionaryHandling::Resend);
        let mut sent: Vec<_> = encoder.build(stream::iter([Ok(batch())])).map(Result::unwrap).collect().await;
        let messages = |sent: &[FlightData]| sent.iter().cloned().map(Message::from).collect::<Vec<_>>();
        let mut decoder = Decoder::default();
        assert_eq!(take_all(&mut decoder, messages(&sent)).map(|batch| batch.num_rows()), Some(9));
        let last = sent.last_mut().unwrap();
        let header = ipc::root_as_message(&last.data_header).unwrap().header_as_record_batch().unwrap();
        let buffer = header.buffers().unwrap().iter().find(|buffer| buffer.length() >= 8).unwrap();
        let mut body = last.data_body.to_vec();
        let start = usize::try_from(buffer.offset()).unwrap();
        body[start..start + 8].copy_from_slice(&(1_i64 << 62).to_le_bytes());
        last.data_body = body.into();
        let error = decoder.take(messages(&sent).pop().unwrap()).unwrap_err();
        assert!(
            matches!(error, DecodeError::Unpack(UnpackError::TooLarge { bytes, .. }) if bytes == 1 << 62),
            "{error}"
        );
    }
}
