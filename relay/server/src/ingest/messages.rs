//! Messages of a stream of batches, each in memory of its own.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use arrow::buffer::{Buffer, MutableBuffer};
use arrow_flight::FlightData;
use bytes::{Buf as _, Bytes};
use futures::Stream;
use prost::Message as _;
use prost::encoding::{WireType, decode_key, decode_varint};
use tonic::body::Body;
use tonic::codegen::Body as _;
use tonic::{Code, Status};

/// Bytes before each message of gRPC: whether it is compressed, and its length.
/// Source: `doc/PROTOCOL-HTTP2.md` of gRPC, Length-Prefixed-Message.
const PREFIX_BYTES: usize = 5;

/// Number of `data_body` in `FlightData`, which is written last. Source: `Flight.proto`.
const BODY_TAG: u32 = 1_000;

/// A message, its body apart and where Arrow wants it.
#[derive(Debug)]
pub(super) struct Message {
    /// All but the body.
    pub(super) data: FlightData,
    /// `data_body`, aligned, so that arrays can be slices of it.
    pub(super) body: Buffer,
}

impl From<FlightData> for Message {
    fn from(mut data: FlightData) -> Self {
        let body = Buffer::from(std::mem::take(&mut data.data_body).as_ref());
        Self { data, body }
    }
}

/// The messages of a request.
///
/// tonic reads a request into one buffer, which grows to the largest message and stays until the next one comes;
/// dictionaries that belong to the stream are slices of it, too. A collector that has nothing to say at the moment would
/// keep a megabyte of the relay for it. Arrow's decoder copies bodies that lie where they happen to be in a message, which
/// is most; here they are put where they can stay.
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

    fn assemble(&mut self) -> Result<Option<Message>, Status> {
        while !self.rest.is_empty() {
            if let Some(message) = self.assembler.take(&mut self.rest)? {
                return Ok(Some(message));
            }
        }
        // Not even an empty slice may keep the frame.
        self.rest = Bytes::new();
        Ok(None)
    }

    fn end(&mut self, error: Option<Status>) -> Poll<Option<Result<Message, Status>>> {
        self.ended = true;
        Poll::Ready(error.map(Err))
    }
}

impl Stream for Messages {
    type Item = Result<Message, Status>;

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
    /// Bytes of the message before its body.
    head: Vec<u8>,
    /// What has come of the body, once it has begun.
    body: Option<MutableBuffer>,
    /// Bytes of the whole message, once its prefix has come.
    message_len: usize,
    /// Bytes of it that have come.
    message_got: usize,
}

impl Assembler {
    const fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            prefix: [0; PREFIX_BYTES],
            prefix_len: 0,
            head: Vec::new(),
            body: None,
            message_len: 0,
            message_got: 0,
        }
    }

    /// Whether no message is begun.
    const fn is_between(&self) -> bool {
        self.prefix_len == 0
    }

    /// Takes bytes; gives a message once it is complete.
    fn take(&mut self, input: &mut Bytes) -> Result<Option<Message>, Status> {
        if self.prefix_len < PREFIX_BYTES {
            let taken = input.len().min(PREFIX_BYTES - self.prefix_len);
            input.copy_to_slice(&mut self.prefix[self.prefix_len..][..taken]);
            self.prefix_len += taken;
            if self.prefix_len < PREFIX_BYTES {
                return Ok(None);
            }
            (self.message_len, self.message_got) = (self.length()?, 0);
        }
        let piece = input.split_to(input.len().min(self.message_len - self.message_got));
        self.message_got += piece.len();
        if let Some(body) = &mut self.body {
            body.extend_from_slice(&piece);
        } else {
            self.head.extend_from_slice(&piece);
            self.begin_body();
        }
        if self.message_got < self.message_len {
            return Ok(None);
        }
        self.prefix_len = 0;
        let data = FlightData::decode(Bytes::from(std::mem::take(&mut self.head)));
        let message = Message::from(data.map_err(|error| Status::internal(error.to_string()))?);
        Ok(Some(match self.body.take() {
            Some(body) => Message { body: body.into(), ..message },
            // None, or where no writer of Flight puts it.
            None => message,
        }))
    }

    /// Goes on with the body where it is all that is left of the message.
    fn begin_body(&mut self) {
        let Some((field, start)) = body_of(&self.head, self.message_len) else { return };
        let mut body = MutableBuffer::with_capacity(self.message_len - start);
        body.extend_from_slice(&self.head[start..]);
        self.head.truncate(field);
        self.body = Some(body);
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

/// Where the field of the body begins in the message and where its bytes do, if it is the last field and so much of the
/// message has come.
fn body_of(head: &[u8], message_len: usize) -> Option<(usize, usize)> {
    let mut rest = head;
    loop {
        let field = head.len() - rest.len();
        let (tag, kind) = decode_key(&mut rest).ok()?;
        if kind != WireType::LengthDelimited {
            return None;
        }
        let len = usize::try_from(decode_varint(&mut rest).ok()?).ok()?;
        let start = head.len() - rest.len();
        if tag == BODY_TAG {
            return (start.checked_add(len)? == message_len).then_some((field, start));
        }
        rest = rest.get(len..)?;
    }
}

#[cfg(test)]
mod tests {
    use futures::StreamExt as _;

    use super::*;

    /// As it was sent.
    fn whole(message: Message) -> FlightData {
        FlightData { data_body: Bytes::copy_from_slice(&message.body), ..message.data }
    }

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
        let [header, metadata] = [1, 2].map(|byte| vec![byte; body_bytes / 10].into());
        let body = (0..body_bytes).map(|n| n.to_le_bytes()[0]).collect::<Vec<_>>().into();
        FlightData { data_header: header, app_metadata: metadata, data_body: body, ..FlightData::default() }
    }

    /// Feeds the bytes in pieces of `piece` bytes; gives the messages and how it ended.
    fn assemble(bytes: &[u8], piece: usize, bytes_max: usize) -> (Vec<FlightData>, Option<Code>) {
        let mut assembler = Assembler::new(bytes_max);
        let mut messages = Vec::new();
        for piece in bytes.chunks(piece) {
            let mut piece = Bytes::copy_from_slice(piece);
            while !piece.is_empty() {
                match assembler.take(&mut piece) {
                    Ok(Some(message)) => messages.push(whole(message)),
                    Ok(None) => {}
                    Err(status) => return (messages, Some(status.code())),
                }
            }
        }
        let complete: usize = messages.iter().map(|message| PREFIX_BYTES + message.encoded_len()).sum();
        // Messages that are not written as usual are longer than what they say.
        assert!(assembler.is_between() || bytes.len() > complete);
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

    /// Bytes that no writer of Flight makes are read as protobuf reads them.
    #[test]
    fn the_body_may_be_anywhere() {
        let [first, second] = [message(3_000), message(500)].map(|message| message.encode_to_vec());
        let mut body_first = FlightData { data_body: first.clone().into(), ..FlightData::default() }.encode_to_vec();
        body_first.extend(FlightData { app_metadata: second.clone().into(), ..FlightData::default() }.encode_to_vec());
        let twice = [&first[..], &second].concat();
        let unknown_field = [&[0x78, 0x01][..], &first].concat();
        for bytes in [body_first, twice, unknown_field] {
            let wanted = FlightData::decode(bytes.as_slice()).unwrap();
            let framed = [&[0][..], &u32::try_from(bytes.len()).unwrap().to_be_bytes(), &bytes].concat();
            for piece in [1, 7, 1_000, framed.len()] {
                let (mut messages, ended) = assemble(&framed, piece, 1 << 20);
                assert_eq!((messages.pop(), ended), (Some(wanted.clone()), None), "pieces of {piece}");
            }
        }
        let cut = [&[0, 0, 0, 0, 2][..], &[0x12, 0x05]].concat();
        assert_eq!(assemble(&cut, 16, 1 << 20), (vec![], Some(Code::Internal)));
    }

    /// Only the message itself may stay in memory after it was read, and arrays may be slices of it.
    #[tokio::test]
    async fn a_body_is_aligned_and_alone_in_its_memory() {
        let body = Body::new(axum::body::Body::from(framed(&[message(100_000), message(10), message(999)])));
        let messages: Vec<_> = Messages::new(body, 1 << 20).map(Result::unwrap).collect().await;
        for Message { body, .. } in messages {
            assert_eq!(body.as_ptr().addr() % 64, 0);
            assert!(body.into_mutable().is_ok(), "nobody else has it");
        }
    }
}
