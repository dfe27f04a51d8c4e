//! A connection that frees its place, and must begin to speak in time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Sleep, sleep};
use tonic::transport::server::Connected;

/// Time from the start of a connection until it has said which protocol it speaks: a client does so with its first
/// packet.
const OPENING_TIME: Duration = Duration::from_secs(10);
/// What a connection of HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes that every client of another protocol sends first: less than any request of HTTP/1 with a path.
const OTHER_BYTES: usize = 16;

/// A connection. One that was accepted frees its place when dropped; one that is [`Connection::prompt`] ends where its
/// other side says nothing at first, or no more than a part of the beginning of HTTP/2: the servers wait for that without
/// a limit. After it, silence is for them to judge, as HTTP/2 does by pings.
#[derive(Debug)]
pub struct Connection<S> {
    stream: S,
    _place: Option<OwnedSemaphorePermit>,
    /// `None` once it is known what is spoken.
    opening: Option<Opening>,
    write_time: Option<Duration>,
    /// Runs while what is written is not taken.
    stalled: Option<Pin<Box<Sleep>>>,
}

#[derive(Debug)]
struct Opening {
    said: usize,
    /// Whether all that was said is of the preface.
    is_preface: bool,
    due: Pin<Box<Sleep>>,
}

impl<S> Connection<S> {
    /// A connection that holds a place.
    pub(crate) const fn placed(stream: S, place: OwnedSemaphorePermit) -> Self {
        Self { stream, _place: Some(place), opening: None, write_time: None, stalled: None }
    }

    /// A connection, after its handshake of TLS where it has one, whose client has to say soon what it speaks.
    pub fn prompt(stream: S) -> Self {
        let opening = Some(Opening { said: 0, is_preface: true, due: Box::pin(sleep(OPENING_TIME)) });
        Self { stream, _place: None, opening, write_time: None, stalled: None }
    }

    /// Ends the connection also where its other side takes nothing of what is written for so long.
    #[must_use]
    pub fn with_write_time(self, time: Duration) -> Self {
        Self { write_time: Some(time), ..self }
    }

    /// What it is made of.
    pub const fn stream(&self) -> &S {
        &self.stream
    }

    fn hear(&mut self, bytes: &[u8]) {
        let Some(opening) = &mut self.opening else { return };
        let length = bytes.len().min(PREFACE.len() - opening.said);
        opening.is_preface &= bytes[..length] == PREFACE[opening.said..opening.said + length];
        opening.said += length;
        // What begins otherwise is HTTP/1, or is refused.
        if opening.said >= if opening.is_preface { PREFACE.len() } else { OTHER_BYTES } {
            self.opening = None;
        }
    }

    fn judge_write<T>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        let (Poll::Pending, Some(time)) = (&written, self.write_time) else {
            self.stalled = None;
            return written;
        };
        let due = self.stalled.get_or_insert_with(|| Box::pin(sleep(time)));
        due.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<S: Connected> Connected for Connection<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(cx, buf);
        self.hear(&buf.filled()[before..]);
        match (&read, &mut self.opening) {
            (Poll::Pending, Some(opening)) => {
                opening.due.as_mut().poll(cx).map(|()| Err(io::ErrorKind::TimedOut.into()))
            }
            _ => read,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.judge_write(cx, written)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(cx, parts);
        self.judge_write(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};
    use tokio::time::Instant;

    use super::*;

    /// Seconds after which a connection ends that said these parts, a second apart; `None` where it outlasts an hour.
    async fn ends_after(parts: &[&[u8]]) -> Option<u64> {
        let (mut client, server) = duplex(1_024);
        let mut server = Connection::prompt(server);
        let begun = Instant::now();
        let reading = tokio::spawn(async move {
            let mut bytes = Vec::new();
            let hour = Duration::from_secs(3_600);
            let read = tokio::time::timeout(hour, server.read_to_end(&mut bytes)).await;
            read.ok().map(|read| read.unwrap_err().kind())
        });
        for part in parts {
            tokio::time::sleep(Duration::from_secs(1)).await;
            // It may have ended by then.
            drop(client.write_all(part).await);
        }
        let ended = reading.await.unwrap();
        assert!(ended.is_none_or(|kind| kind == io::ErrorKind::TimedOut));
        ended.map(|_| begun.elapsed().as_secs().max(parts.len() as u64))
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_says_soon_what_it_speaks() {
        assert_eq!(ends_after(&[]).await, Some(10), "nothing");
        assert_eq!(ends_after(&[b"PRI * HTTP/2.0\r\n"]).await, Some(10), "a part of the preface");
        let slowly: Vec<&[u8]> = PREFACE.chunks(1).collect();
        assert_eq!(ends_after(&slowly[..9]).await, Some(10), "byte by byte");
        assert_eq!(ends_after(&[PREFACE]).await, None, "HTTP/2");
        assert_eq!(ends_after(&[&PREFACE[..5], &[&PREFACE[5..], b"more"].concat()]).await, None, "in two parts");
        assert_eq!(ends_after(&[b"PRI", b"NT / HTTP/1.1\r\n"]).await, None, "what is no HTTP/2");
        assert_eq!(ends_after(&[b"GET"]).await, Some(10), "a part of a request");
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_written_is_taken_in_time() {
        let time = Duration::from_secs(30);
        let (_client, server) = duplex(10);
        let mut server = Connection::prompt(server).with_write_time(time);
        server.write_all(&[0; 10]).await.unwrap();
        let begun = Instant::now();
        assert_eq!(server.write_all(b"more").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), time);

        // One that reads slowly is no trouble.
        let (mut client, server) = duplex(10);
        let mut server = Connection::prompt(server).with_write_time(time);
        let reading = tokio::spawn(async move {
            let mut byte = [0];
            while client.read_exact(&mut byte).await.is_ok() {
                tokio::time::sleep(time / 2).await;
            }
        });
        server.write_all(&[0; 100]).await.unwrap();
        assert!(begun.elapsed() > 40 * time / 2);
        reading.abort();
    }
}
