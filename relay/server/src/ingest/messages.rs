//! Messages of a stream of batches, each in memory of its own.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use arrow_flight::FlightData;
use bytes::{Buf as _, Bytes};
use futures::Stream;
use prost::Message as _;
use tonic::body::Body;
use tonic::codegen::Body as _;
use tonic::{Code, Status};

/// Bytes before each message of gRPC: whether it is compressed, and its length.
/// Source: `doc/PROTOCOL-HTTP2.md` of gRPC, Length-Prefixed-Message.
const PREFIX_BYTES: usize = 5;

/// The messages of a request.
///
/// tonic reads a request into one buffer, which grows to the largest message and stays until the next one comes;
/// dictionaries that belong to the stream are slices of it, too. A collector that has nothing to say at the moment would
/// keep a megabyte of the relay for it.
#[derive(Debug)]
pub(super) struct Messages {
    body: Body,
    assembler: Assembler,
    /// What has come and is in no message yet.
    rest: Bytes,
    ended: bool,
}

impl Messages {
    /// Messages of at most `bytes_max` bytes.
    pub(super) fn new(body: Body, bytes_max: usize) -> Self {
        Self { body, assembler: Assembler::new(bytes_max), rest: Bytes::new(), ended: false }
    }

    fn assemble(&mut self) -> Result<Option<FlightData>, Status> {
        while !self.rest.is_empty() {
            if let Some(message) = self.assembler.take(&mut self.rest)? {
                let decoded = FlightData::decode(message);
                return decoded.map(Some).map_err(|error| Status::internal(error.to_string()));
            }
        }
        // Not even an empty slice may keep the frame.
        self.rest = Bytes::new();
        Ok(None)
    }

    fn end(&mut self, error: Option<Status>) -> Poll<Option<Result<FlightData, Status>>> {
        self.ended = true;
        Poll::Ready(error.map(Err))
    }
}

impl Stream for Messages {
    type Item = Result<FlightData, Status>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        while !this.ended {
            match this.assemble() {
                Ok(Some(message)) => return Poll::Ready(Some(Ok(message))),
                Ok(None) => {}
                Err(status) => return this.end(Some(status)),
            }
            match ready!(Pin::new(&mut this.body).poll_frame(cx)) {
                // What is not data is trailers, which say nothing in a request.
                Some(Ok(frame)) => this.rest = frame.into_data().unwrap_or_default(),
                // The client went away.
                Some(Err(status)) if status.code() == Code::Cancelled => return this.end(None),
                Some(Err(status)) => return this.end(Some(status)),
                None if this.assembler.is_between() => return this.end(None),
                None => return this.end(Some(Status::internal("the stream ended within a message"))),
            }
        }
        Poll::Ready(None)
    }
}

/// Puts messages together from pieces of any length.
#[derive(Debug)]
struct Assembler {
    bytes_max: usize,
    prefix: [u8; PREFIX_BYTES],
    /// Bytes of the prefix that have come.
    prefix_len: usize,
    message: Vec<u8>,
    /// Bytes of the whole message, once its prefix has come.
    message_len: usize,
}

impl Assembler {
    const fn new(bytes_max: usize) -> Self {
        Self { bytes_max, prefix: [0; PREFIX_BYTES], prefix_len: 0, message: Vec::new(), message_len: 0 }
    }

    /// Whether no message is begun.
    const fn is_between(&self) -> bool {
        self.prefix_len == 0
    }

    /// Takes bytes; gives a message once it is complete.
    fn take(&mut self, input: &mut Bytes) -> Result<Option<Bytes>, Status> {
        if self.prefix_len < PREFIX_BYTES {
            let taken = input.len().min(PREFIX_BYTES - self.prefix_len);
            input.copy_to_slice(&mut self.prefix[self.prefix_len..][..taken]);
            self.prefix_len += taken;
            if self.prefix_len < PREFIX_BYTES {
                return Ok(None);
            }
            self.message_len = self.length()?;
            self.message = Vec::with_capacity(self.message_len);
        }
        let taken = input.len().min(self.message_len - self.message.len());
        self.message.extend_from_slice(&input[..taken]);
        input.advance(taken);
        if self.message.len() < self.message_len {
            return Ok(None);
        }
        self.prefix_len = 0;
        Ok(Some(std::mem::take(&mut self.message).into()))
    }

    /// Length that the prefix tells.
    fn length(&self) -> Result<usize, Status> {
        let [compressed, length @ ..] = self.prefix;
        if compressed != 0 {
            let problem = format!("a message has the compression flag {compressed}, but no compression was agreed on");
            return Err(Status::internal(problem));
        }
        let (length, limit) = (u32::from_be_bytes(length) as usize, self.bytes_max);
        if length > limit {
            return Err(Status::out_of_range(format!("a message has {length} bytes where {limit} are allowed")));
        }
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    fn framed(messages: &[FlightData]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for message in messages {
            bytes.push(0);
            bytes.extend(u32::try_from(message.encoded_len()).unwrap().to_be_bytes());
            message.encode(&mut bytes).unwrap();
        }
        bytes
    }

    fn message(body_bytes: usize) -> FlightData {
        FlightData { data_body: vec![7; body_bytes].into(), ..FlightData::default() }
    }

    /// Feeds the bytes in pieces of `piece` bytes; gives the messages and how it ended.
    fn assemble(bytes: &[u8], piece: usize, bytes_max: usize) -> (Vec<FlightData>, Option<Code>) {
        let mut assembler = Assembler::new(bytes_max);
        let mut messages = Vec::new();
        for piece in bytes.chunks(piece) {
            let mut piece = Bytes::copy_from_slice(piece);
            while !piece.is_empty() {
                match assembler.take(&mut piece) {
                    Ok(Some(message)) => messages.push(FlightData::decode(message).unwrap()),
                    Ok(None) => {}
                    Err(status) => return (messages, Some(status.code())),
                }
            }
        }
        assert_eq!(assembler.is_between(), bytes.len() == framed(&messages).len());
        (messages, None)
    }

    #[test]
    fn pieces_of_any_length_make_the_same_messages() {
        let messages = [message(0), message(1), message(300), FlightData::default(), message(70_000)];
        let bytes = framed(&messages);
        for piece in [1, 2, 3, 4, 5, 6, 7, 299, 4_096, bytes.len()] {
            assert_eq!(assemble(&bytes, piece, 1 << 20), (messages.to_vec(), None), "pieces of {piece}");
        }
        let cut = assemble(&bytes[..bytes.len() - 1], 16, 1 << 20);
        assert_eq!(cut, (messages[..4].to_vec(), None), "the last message is not complete");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let too_long = framed(&[message(1), message(2_000)]);
        assert_eq!(assemble(&too_long, 64, 1_000), (vec![message(1)], Some(Code::OutOfRange)));
        let mut compressed = framed(&[message(1)]);
        compressed[0] = 1;
        assert_eq!(assemble(&compressed, 64, 1_000), (vec![], Some(Code::Internal)));
    }

    #[tokio::test]
    async fn a_stream_that_ends_within_a_message_is_an_error() {
        let whole = framed(&[message(10), message(20)]);
        for (bytes, ends_well) in [(whole.len(), true), (whole.len() - 1, false), (3, false), (0, true)] {
            let body = Body::new(axum::body::Body::from(whole[..bytes].to_vec()));
            let read: Vec<_> = Messages::new(body, 1_000).collect().await;
            assert_eq!(read.last().is_none_or(Result::is_ok), ends_well, "{bytes} bytes: {read:?}");
        }
    }

    /// Only the message itself may stay in memory after it was read.
    #[tokio::test]
    async fn a_message_is_alone_in_its_memory() {
        let body = Body::new(axum::body::Body::from(framed(&[message(100_000), message(10)])));
        let mut messages = Messages::new(body, 1 << 20);
        let large = messages.next().await.unwrap().unwrap();
        let small = messages.next().await.unwrap().unwrap();
        drop(large);
        assert!(small.data_body.is_unique());
    }
}
