//! Batches as messages of Arrow's IPC format, which Arrow Flight carries.

use arrow::datatypes::Schema;
use arrow::error::ArrowError;
use arrow::ipc::writer::{DictionaryTracker, EncodedData, IpcDataGenerator, IpcWriteContext, IpcWriteOptions};
use arrow::record_batch::RecordBatch;

/// Path of the Flight descriptor under which collectors push flows.
pub const FLIGHT_PATH: &str = "flows";

/// The message that opens a stream of batches of this schema.
#[must_use]
pub fn schema_message(schema: &Schema) -> EncodedData {
    let mut tracker = DictionaryTracker::new(false);
    IpcDataGenerator::default().schema_to_bytes_with_dictionary_tracker(
        schema,
        &mut tracker,
        &IpcWriteOptions::default(),
    )
}

/// A batch as messages: all its dictionaries, then its rows. They need nothing of the batches before them.
///
/// # Errors
/// Arrow cannot write the batch.
pub fn batch_messages(batch: &RecordBatch) -> Result<Vec<EncodedData>, ArrowError> {
    let (encoder, options) = (IpcDataGenerator::default(), IpcWriteOptions::default());
    let mut tracker = DictionaryTracker::new(false);
    // The tracker numbers the dictionaries while it reads the schema, always in the same order.
    encoder.schema_to_bytes_with_dictionary_tracker(&batch.schema(), &mut tracker, &options);
    let (mut messages, rows) = encoder.encode(batch, &mut tracker, &options, &mut IpcWriteContext::default())?;
    messages.push(rows);
    Ok(messages)
}
