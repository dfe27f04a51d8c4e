//! Streams and files of Arrow's IPC format, read front to back with bounds on what they may claim.

use std::io::Read;

use anyhow::{Context, Result, anyhow, bail, ensure};
use arrow::buffer::Buffer;
use arrow::ipc::reader::StreamDecoder;
use arrow::ipc::{Message, root_as_message};
use arrow::record_batch::RecordBatch;
use table::wire::check_unpacked;

use super::guard::guarded;

/// First bytes of a file; a stream begins with [`CONTINUATION`].
pub(crate) const FILE_MAGIC: &[u8] = b"ARROW1";
/// Bytes before a message.
pub(crate) const CONTINUATION: [u8; 4] = [0xff; 4];

/// Bytes of a message without its body: a schema with many columns has some tens of thousands.
const MESSAGE_BYTES_MAX: usize = 16 << 20;
/// Bytes of a body, packed or not: of all its buffers together.
const BODY_BYTES_MAX: usize = 1 << 30;

/// Batches of a stream or file.
pub(super) struct ArrowBatches<R> {
    input: R,
    decoder: StreamDecoder,
    /// Bytes read.
    at: u64,
}

impl<R: Read> ArrowBatches<R> {
    /// Begins at the start of a stream or a file.
    ///
    /// # Errors
    /// Reading failed.
    pub(super) fn open(mut input: R, is_file: bool) -> Result<Self> {
        let mut at = 0;
        if is_file {
            // The messages of a file are those of a stream after this.
            let mut magic = [0; 8];
            input.read_exact(&mut magic).context("cut off in its first bytes")?;
            at = magic.len() as u64;
        }
        Ok(Self { input, decoder: StreamDecoder::new(), at })
    }

    /// The next batch; `None` at the end.
    ///
    /// # Errors
    /// The bytes are damaged or end early; the message tells where.
    pub(super) fn next(&mut self) -> Result<Option<RecordBatch>> {
        loop {
            let place = self.at;
            let context = || format!("damaged or cut off in the message at byte {place}");
            let Some(message) = self.message().with_context(context)? else { return Ok(None) };
            let mut buffer = Buffer::from_vec(message);
            let batch = guarded(|| self.decoder.decode(&mut buffer)).with_context(context)?.with_context(context)?;
            if batch.is_some() {
                return Ok(batch);
            }
        }
    }

    /// The bytes of the next message with its length before it and its body after it.
    fn message(&mut self) -> Result<Option<Vec<u8>>> {
        let mut message = Vec::new();
        if self.take(4, &mut message)? == 0 {
            return Ok(None);
        }
        if message.get(..4) == Some(&CONTINUATION) {
            self.take(4, &mut message)?;
        }
        let size = message.last_chunk::<4>().filter(|_| message.len().is_multiple_of(4) && !message.is_empty());
        let size = u32::from_le_bytes(*size.context("the length of a message is cut off")?);
        if size == 0 {
            return Ok(None);
        }
        let size = usize::try_from(size)?;
        ensure!(size <= MESSAGE_BYTES_MAX, "a message claims {size} bytes");
        let head = message.len();
        ensure!(self.take(size, &mut message)? == size, "a message is cut off");
        let parsed = parse(&message[head..])?;
        let body = usize::try_from(parsed.bodyLength()).ok().filter(|body| *body <= BODY_BYTES_MAX);
        let Some(body) = body else { bail!("a body claims {} bytes", parsed.bodyLength()) };
        let start = message.len();
        ensure!(self.take(body, &mut message)? == body, "the body of a message is cut off");
        check_unpacked(&parse(&message[head..start])?, &message[start..], BODY_BYTES_MAX)?;
        Ok(Some(message))
    }

    /// Appends so many bytes, or as many as there are; no more memory is taken than bytes come.
    fn take(&mut self, bytes: usize, message: &mut Vec<u8>) -> Result<usize> {
        let read = (&mut self.input).take(bytes as u64).read_to_end(message)?;
        self.at += read as u64;
        Ok(read)
    }
}

fn parse(message: &[u8]) -> Result<Message<'_>> {
    root_as_message(message).map_err(|error| anyhow!("not a message of Arrow: {error}"))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{ArrayRef, UInt64Array};
    use arrow::ipc::CompressionType;
    use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};

    use super::*;

    fn packed() -> Vec<u8> {
        let column = || Arc::new(UInt64Array::from(vec![7; 4096])) as ArrayRef;
        let columns: Vec<(String, ArrayRef)> = (0..12).map(|at| (format!("c{at}"), column())).collect();
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME)).unwrap();
        let mut writer = StreamWriter::try_new_with_options(Vec::new(), &batch.schema(), options).unwrap();
        writer.write(&batch).unwrap();
        writer.into_inner().unwrap()
    }

    /// The stream with so many bytes claimed by each packed buffer.
    fn claiming(bytes: i64) -> Vec<u8> {
        let mut stream = packed();
        let mut batches = ArrowBatches::open(stream.as_slice(), false).unwrap();
        batches.message().unwrap();
        let start = usize::try_from(batches.at).unwrap();
        batches.message().unwrap();
        let end = usize::try_from(batches.at).unwrap();
        let size = u32::from_le_bytes(stream[start + 4..start + 8].try_into().unwrap());
        let head = start + 8..start + 8 + usize::try_from(size).unwrap();
        let message = parse(&stream[head.clone()]).unwrap();
        let buffers = message.header_as_record_batch().unwrap().buffers().unwrap();
        let places: Vec<usize> = buffers
            .iter()
            .filter(|buffer| buffer.length() >= 8)
            .map(|buffer| head.end + usize::try_from(buffer.offset()).unwrap())
            .collect();
        assert!(places.len() >= 12 && places.iter().all(|place| *place < end), "{places:?}");
        for place in places {
            stream[place..place + 8].copy_from_slice(&bytes.to_le_bytes());
        }
        stream
    }

    #[test]
    fn buffers_may_not_claim_too_much_together() {
        assert_eq!(ArrowBatches::open(packed().as_slice(), false).unwrap().next().unwrap().unwrap().num_rows(), 4096);
        for (bytes, left) in [(300 << 20, 124 << 20), (2 << 30, 1 << 30), (-2, 1 << 30)] {
            let error = ArrowBatches::open(claiming(bytes).as_slice(), false).unwrap().next().unwrap_err();
            let expected = format!("a buffer claims to unpack to {bytes} bytes, where {left} are left");
            assert_eq!(error.root_cause().to_string(), expected);
        }
    }
}
