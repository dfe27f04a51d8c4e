//! Accepting connections, for the doors of collector and relay: a bounded number at a time, and none that says nothing;
//! and serving HTTP on them.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tracing::{debug, warn};

mod connection;
pub mod http;

pub use connection::Connection;

/// Rest after an error of `accept`: it is mostly a lack of file descriptors, which asking again at once cannot cure.
const ACCEPT_RETRY: Duration = Duration::from_millis(100);
/// Least time between two messages about what keeps connections out.
const TELL_EVERY: Duration = Duration::from_secs(10);
/// Silence after which the kernel asks whether a client is still there. Streams may be silent for as long as they like.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);
/// Time between two such questions.
const KEEPALIVE_EVERY: Duration = Duration::from_secs(15);
/// Questions without an answer after which the connection ends.
const KEEPALIVE_TRIES: u32 = 4;

/// Silence after which the other side of a connection of HTTP/2 is asked whether it is still there.
pub const PING_EVERY: Duration = Duration::from_secs(30);
/// Time it has to answer.
pub const PING_TIMEOUT: Duration = Duration::from_secs(20);

/// What is listened on.
pub trait Door: Send + 'static {
    /// A connection as it is accepted.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    /// Waits for a connection.
    ///
    /// # Errors
    /// Those of the system's `accept`.
    fn accept(&mut self) -> impl Future<Output = io::Result<Self::Stream>> + Send;
}

impl Door for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<TcpStream> {
        let (stream, peer) = Self::accept(self).await?;
        let keepalive =
            TcpKeepalive::new().with_time(KEEPALIVE_AFTER).with_interval(KEEPALIVE_EVERY).with_retries(KEEPALIVE_TRIES);
        // Answers must not wait for the client's acknowledgments, and a machine that is gone must not keep its place.
        // Without either it merely comes later.
        let set = stream.set_nodelay(true).and_then(|()| SockRef::from(&stream).set_tcp_keepalive(&keepalive));
        if let Err(error) = set {
            debug!(%peer, %error, "cannot set up a connection as wanted");
        }
        Ok(stream)
    }
}

impl Door for UnixListener {
    type Stream = UnixStream;

    async fn accept(&mut self) -> io::Result<UnixStream> {
        Self::accept(self).await.map(|(stream, _)| stream)
    }
}

/// The connections of a listener, at most `limit` open at a time; more wait in the kernel's queue.
#[derive(Debug)]
pub struct Connections<D> {
    door: D,
    places: Arc<Semaphore>,
    limit: usize,
    /// What it is for, such as `observer API`.
    purpose: &'static str,
    /// When it was last told what keeps connections out.
    told: Option<Instant>,
}

impl<D: Door> Connections<D> {
    /// Those of `door`, which is for `purpose`.
    pub fn new(door: D, limit: usize, purpose: &'static str) -> Self {
        Self { door, places: Arc::new(Semaphore::new(limit)), limit, purpose, told: None }
    }

    /// What is listened on.
    pub const fn door(&self) -> &D {
        &self.door
    }

    /// Waits for a place, then for a connection.
    ///
    /// # Cancel safety
    /// No connection is lost when the call is dropped.
    pub async fn next(&mut self) -> Connection<D::Stream> {
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
    pub fn into_stream(self) -> impl Stream<Item = io::Result<Connection<D::Stream>>> + Send {
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

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;
    use tokio::io::DuplexStream;

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

    #[tokio::test]
    async fn the_kernel_looks_after_connections() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let _client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let connection = Connections::new(listener, 1, "test").next().await;
        let socket = SockRef::from(connection.stream());
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap(), KEEPALIVE_AFTER);
        assert_eq!(socket.tcp_keepalive_interval().unwrap(), KEEPALIVE_EVERY);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), KEEPALIVE_TRIES);
    }
}
