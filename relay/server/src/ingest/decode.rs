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
use table::wire::Unpacker;

use super::messages::Message;

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
    /// It is not in the form that was told.
    #[error("it is not packed as its schema says")]
    Packed(#[source] table::SchemaError),
}

impl Decoder {
    /// Takes the next message.
    pub(super) fn take(&mut self, message: Message) -> Result<Decoded, DecodeError> {
        let Message { data, body } = message;
        let header = ipc::root_as_message(&data.data_header).map_err(|error| DecodeError::Header(error.to_string()))?;
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
    use arrow_flight::FlightData;
    use flow::Flow;
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
}
