//! Connections that must begin to speak in time.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};
use tonic::transport::server::Connected;

/// Time from the start of a connection until it has said which protocol it speaks: a client does so with its first
/// packet.
const OPENING_TIME: Duration = Duration::from_secs(10);
/// What a connection of HTTP/2 begins with (RFC 9113, 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that ends where its other side says nothing at first, or no more than a part of the beginning of HTTP/2:
/// the servers wait for that without a limit. After it, silence is for them to judge.
pub(crate) struct Timed<S> {
    stream: S,
    /// `None` once it is known what is spoken.
    opening: Option<Opening>,
    write_time: Option<Duration>,
    /// Runs while what is written is not taken.
    stalled: Option<Pin<Box<Sleep>>>,
}

struct Opening {
    /// Bytes of the preface that were said.
    said: usize,
    due: Pin<Box<Sleep>>,
}

impl<S> Timed<S> {
    /// A connection that begins now.
    pub(crate) fn new(stream: S) -> Self {
        let opening = Some(Opening { said: 0, due: Box::pin(sleep(OPENING_TIME)) });
        Self { stream, opening, write_time: None, stalled: None }
    }

    /// Ends the connection also where its other side takes nothing of what is written for so long.
    pub(crate) fn with_write_time(self, time: Duration) -> Self {
        Self { write_time: Some(time), ..self }
    }

    fn hear(&mut self, bytes: &[u8]) {
        let Some(opening) = &mut self.opening else { return };
        let length = bytes.len().min(PREFACE.len() - opening.said);
        let is_preface = bytes[..length] == PREFACE[opening.said..opening.said + length];
        opening.said += length;
        // What begins otherwise is HTTP/1, whose server has a limit for its head, or is refused.
        if !is_preface || opening.said == PREFACE.len() {
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

impl<S: Connected> Connected for Timed<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Timed<S> {
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

impl<S: AsyncWrite + Unpin> AsyncWrite for Timed<S> {
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
        let mut server = Timed::new(server);
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
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_written_is_taken_in_time() {
        let time = Duration::from_secs(30);
        let (_client, server) = duplex(10);
        let mut server = Timed::new(server).with_write_time(time);
        server.write_all(&[0; 10]).await.unwrap();
        let begun = Instant::now();
        assert_eq!(server.write_all(b"more").await.unwrap_err().kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed(), time);

        // One that reads slowly is no trouble.
        let (mut client, server) = duplex(10);
        let mut server = Timed::new(server).with_write_time(time);
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
