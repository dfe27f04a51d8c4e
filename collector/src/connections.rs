//! Accepting connections: a bounded number at a time, and none that says nothing.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures::Stream;
use nix::sys::socket::{setsockopt, sockopt};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, Sleep};
use tonic::transport::server::Connected;
use tracing::warn;

/// Rest after an error of `accept`: it is mostly a lack of file descriptors, which asking again at once cannot cure.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Least time between two messages about what keeps connections out.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Time a client has for its first bytes.
const FIRST_BYTES_TIME: Duration = Duration::from_secs(10);
/// Bytes that every client sends first: shorter than the preface of HTTP/2 (24 bytes) and any request of HTTP/1 with a
/// path.
const FIRST_BYTES: usize = 16;
/// Seconds of silence after which the kernel asks whether the client's machine is still there, and between its questions.
const KEEPALIVE_SECONDS: u32 = 60;

/// What is listened on.
pub(crate) trait Door: Send + 'static {
    /// A connection as it is accepted.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for a connection.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Door for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, peer) = Self::accept(self).await?;
        // Answers must not wait for the client's acknowledgments, and a machine that is gone must not keep its place.
        // Without either it merely comes later.
        let set = stream.set_nodelay(true).and_then(|()| keep_alive(&stream).map_err(io::Error::from));
        if let Err(error) = set {
            tracing::debug!(%peer, %error, "cannot set up a connection as wanted");
        }
        Ok(stream)
    }
}

fn keep_alive(stream: &TcpStream) -> nix::Result<()> {
    setsockopt(stream, sockopt::TcpKeepIdle, &KEEPALIVE_SECONDS)?;
    setsockopt(stream, sockopt::TcpKeepInterval, &KEEPALIVE_SECONDS)?;
    setsockopt(stream, sockopt::KeepAlive, &true)
}

impl Door for UnixListener {
    type Stream = UnixStream;

    async fn accept(&mut self) -> io::Result<UnixStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

/// The connections of a listener, at most `limit` open at a time; more wait in the kernel's queue.
pub(crate) struct Connections<D> {
    door: D,
    places: Arc<Semaphore>,
    limit: usize,
    /// What it is for, such as `observer API`.
    purpose: &'static str,
    /// When it was last told what keeps connections out.
    told: Option<Instant>,
}

impl<D: Door> Connections<D> {
    pub(crate) fn new(door: D, limit: usize, purpose: &'static str) -> Self {
        Self { door, places: Arc::new(Semaphore::new(limit)), limit, purpose, told: None }
    }

    /// Waits for a place, then for a connection.
    pub(crate) async fn next(&mut self) -> Connection<D::Stream> {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => {
                if self.may_tell() {
                    let (purpose, limit) = (self.purpose, self.limit);
                    warn!(purpose, limit, "as many connections as may be are open: further clients wait");
                }
                Arc::clone(&self.places).acquire_owned().await.expect("the semaphore is never closed")
            }
        };
        loop {
            match self.door.accept().await {
                Ok(stream) => return Connection::placed(stream, place),
                Err(error) => {
                    if self.may_tell() {
                        let purpose = self.purpose;
                        warn!(purpose, %error, "cannot accept connections (`ulimit -n` may be too low): trying again");
                    }
                    tokio::time::sleep(ACCEPT_RETRY).await;
                }
            }
        }
    }

    /// The connections, without end.
    pub(crate) fn into_stream(self) -> impl Stream<Item = io::Result<Connection<D::Stream>>> + Send {
        futures::stream::unfold(self, |mut all| async { Some((Ok(all.next().await), all)) })
    }

    fn may_tell(&mut self) -> bool {
        let now = Instant::now();
        let may = self.told.is_none_or(|told| now - told >= TELL_EVERY);
        if may {
            self.told = Some(now);
        }
        may
    }
}

impl axum::serve::Listener for Connections<TcpListener> {
    type Io = Connection<Connection<TcpStream>>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            let connection = self.next().await;
            // A client that is gone again has no address.
            if let Ok(peer) = connection.stream.peer_addr() {
                return (Connection::prompt(connection), peer);
            }
        }
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.door.local_addr()
    }
}

/// A connection that frees its place when dropped, or fails unless its first bytes come in time.
#[derive(Debug)]
pub(crate) struct Connection<S> {
    stream: S,
    _place: Option<OwnedSemaphorePermit>,
    /// Bytes that are still to come by a time; `None` once they have.
    wanted: Option<(usize, Pin<Box<Sleep>>)>,
}

impl<S> Connection<S> {
    const fn placed(stream: S, place: OwnedSemaphorePermit) -> Self {
        Self { stream, _place: Some(place), wanted: None }
    }

    /// A connection, after its handshake of TLS where it has one, whose client has to say something soon. Afterwards it
    /// may be silent, as the streams of clients that follow are: HTTP/2 asks by pings whether these are still there.
    pub(crate) fn prompt(stream: S) -> Self {
        let time = Box::pin(tokio::time::sleep(FIRST_BYTES_TIME));
        Self { stream, _place: None, wanted: Some((FIRST_BYTES, time)) }
    }
}

impl<S: Connected> Connected for Connection<S> {
    type ConnectInfo = S::ConnectInfo;

    fn connect_info(&self) -> S::ConnectInfo {
        self.stream.connect_info()
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Connection<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buf.filled().len();
        let read = Pin::new(&mut this.stream).poll_read(cx, buf);
        let Some((bytes, time)) = &mut this.wanted else { return read };
        *bytes = bytes.saturating_sub(buf.filled().len() - before);
        if *bytes == 0 {
            this.wanted = None;
        } else if read.is_pending() && time.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Connection<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
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
        Pin::new(&mut self.stream).poll_write_vectored(cx, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};

    use super::*;

    /// A door without file descriptors for a while.
    struct Exhausted {
        errors: u32,
    }

    impl Door for Exhausted {
        type Stream = DuplexStream;

        async fn accept(&mut self) -> io::Result<DuplexStream> {
            if self.errors == 0 {
                return Ok(tokio::io::duplex(64).0);
            }
            self.errors -= 1;
            Err(io::Error::from_raw_os_error(libc::EMFILE))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_lack_of_file_descriptors_is_waited_for() {
        let begin = Instant::now();
        let mut connections = Connections::new(Exhausted { errors: 250 }, 2, "test");
        connections.next().await;
        assert!(begin.elapsed() >= 250 * ACCEPT_RETRY, "it asked again at once: {:?}", begin.elapsed());
        assert!(!connections.may_tell(), "it was told within the last {TELL_EVERY:?}");
    }

    #[tokio::test]
    async fn so_many_connections_are_open_at_a_time() {
        let mut connections = Connections::new(Exhausted { errors: 0 }, 2, "test");
        let (first, _second) = (connections.next().await, connections.next().await);
        assert!(connections.next().now_or_never().is_none());
        drop(first);
        assert!(connections.next().now_or_never().is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_left_and_who_said_something_may_be_silent() {
        let (mut client, server) = tokio::io::duplex(64);
        let mut server = Connection::prompt(server);
        client.write_all(b"GET").await.unwrap();
        let mut bytes = Vec::new();
        let begin = Instant::now();
        let error = server.read_to_end(&mut bytes).await.unwrap_err();
        assert_eq!((error.kind(), begin.elapsed()), (io::ErrorKind::TimedOut, FIRST_BYTES_TIME));

        let (mut client, server) = tokio::io::duplex(64);
        let mut server = Connection::prompt(server);
        client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        let mut bytes = [0; 24];
        server.read_exact(&mut bytes).await.unwrap();
        let silent = tokio::time::timeout(20 * FIRST_BYTES_TIME, server.read_u8()).await;
        assert!(silent.is_err(), "{silent:?}");
    }

    #[tokio::test]
    async fn the_kernel_watches_over_silent_clients() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let connection = Connections::new(listener, 1, "test").next().await;
        let option = nix::sys::socket::getsockopt(&connection.stream, sockopt::TcpKeepIdle).unwrap();
        assert_eq!(option, KEEPALIVE_SECONDS);
        assert!(nix::sys::socket::getsockopt(&connection.stream, sockopt::KeepAlive).unwrap());
    }
}
