//! Messages that claim to become huge.

use arrow::ipc::{Message, MessageHeader};

/// A message whose buffers are packed, and not as they may be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum UnpackError {
    /// A buffer lies elsewhere.
    #[error("a buffer outside of the body")]
    Outside,
    /// They would take too much.
    #[error("a buffer claims to unpack to {bytes} bytes, where {room} are left")]
    TooLarge {
        /// As it claims.
        bytes: i64,
        /// What the ones before left of what all may take.
        room: usize,
    },
}

/// Refuses a message whose packed buffers claim to become more than `room` bytes together. Arrow makes room for what they
/// claim before it looks at them, and a program that asks for too much is ended.
///
/// # Errors
/// A buffer claims too much, or lies outside of the body.
pub fn check_unpacked(message: &Message<'_>, body: &[u8], mut room: usize) -> Result<(), UnpackError> {
    let batch = match message.header_type() {
        MessageHeader::RecordBatch => message.header_as_record_batch(),
        MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|batch| batch.data()),
        _ => None,
    };
    let Some(batch) = batch.filter(|batch| batch.compression().is_some()) else { return Ok(()) };
    for buffer in batch.buffers().iter().flatten().filter(|buffer| buffer.length() >= 8) {
        let start = usize::try_from(buffer.offset()).ok();
        let prefix = start.and_then(|start| body.get(start..)?.first_chunk::<8>()).ok_or(UnpackError::Outside)?;
        let bytes = i64::from_le_bytes(*prefix);
        // A buffer that is not packed takes no more than it has.
        if bytes == -1 {
            continue;
        }
        let left = usize::try_from(bytes).ok().and_then(|bytes| room.checked_sub(bytes));
        room = left.ok_or(UnpackError::TooLarge { bytes, room })?;
    }
    Ok(())
}
