//! The connection to the relay: sends batches ahead of their acknowledgments, and again when it breaks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, PutResult};
use connections::PING_EVERY;
use prost::Message as _;
use proto::status::with_causes;
use proto::weir::BatchAck;
use tokio::sync::mpsc;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tracing::{error, info, warn};

use super::disk::Number;
use super::parcel::{Parcel, opening};
use super::spool::Refusal;
use super::{Sender, Shared};
use crate::config::RelayConfig;
use crate::ledger::Cause;

/// Messages that wait for the connection to take them.
const MESSAGES_AHEAD: usize = 16;
/// Longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// Why a connection came to its end.
#[derive(Debug, thiserror::Error)]
enum Broken {
    /// The address is no URL.
    #[error("{0:?} is not an address such as http://relay:4245")]
    Address(String),
    /// No connection.
    #[error("cannot connect: a relay should listen at collector.relay.address, with its port for gRPC")]
    Connect(#[source] tonic::transport::Error),
    /// No connection over TLS.
    #[error("cannot connect as collector.relay.tls says")]
    Secure(#[source] tls::ConnectError),
    /// What listens there does not talk as a relay does.
    #[error("no stream: is collector.relay.address the relay's port for gRPC, and https:// where it has TLS?")]
    NoStream(#[source] Box<Status>),
    /// The relay refused or ended the stream.
    #[error("the relay ended the stream")]
    Refused(#[source] Box<Status>),
    /// The relay closed the stream without a word.
    #[error("the relay closed the stream")]
    Closed,
    /// An acknowledgment that cannot be read.
    #[error("the relay sent an acknowledgment that cannot be read")]
    Acknowledgment(#[source] prost::DecodeError),
    /// The relay stopped acknowledging.
    #[error("the relay has acknowledged nothing for {0:?}")]
    Silent(Duration),
}

/// Sends the spool to the relay.
pub(super) struct Link {
    address: String,
    tls: Option<tls::ClientTls>,
    sender: Sender,
    shared: Arc<Shared>,
    window: usize,
    ack_timeout: Duration,
    retry_min: Duration,
    retry_max: Duration,
}

impl Link {
    pub(super) fn new(address: String, config: &RelayConfig, sender: Sender, shared: Arc<Shared>) -> Self {
        Self {
            address,
            tls: config.tls.clone(),
            sender,
            shared,
            window: config.window_batches.max(1),
            ack_timeout: Duration::from_millis(config.ack_timeout_ms.max(1)),
            retry_min: Duration::from_millis(config.retry_ms_min.max(1)),
            retry_max: Duration::from_millis(config.retry_ms_max.max(config.retry_ms_min).max(1)),
        }
    }

    /// Connects, sends, connects again, until `stop`.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut pause = self.retry_min;
        loop {
            let before = self.progress();
            let Some(broken) = stop.run_until_cancelled(self.connection()).await else { return };
            self.shared.stats.connected.store(false, Ordering::Relaxed);
            self.shared.stats.failures.fetch_add(1, Ordering::Relaxed);
            if self.progress() > before {
                pause = self.retry_min;
            }
            let error = with_causes(&broken);
            warn!(relay = self.address, ?pause, error, "no connection to the relay; flows wait in the spool");
            if let Broken::Refused(status) = &broken {
                self.refused(status);
            }
            if stop.run_until_cancelled(tokio::time::sleep(jittered(pause, &self.sender))).await.is_none() {
                return;
            }
            pause = (pause * 2).min(self.retry_max);
        }
    }

    /// A number that grows with every batch that leaves the spool.
    fn progress(&self) -> u64 {
        self.shared.stats.batches_acknowledged.load(Ordering::Relaxed) + self.shared.tallies.get(Cause::Refused).1
    }

    /// Finds out whether a batch is to blame for the end of the stream.
    fn refused(&self, status: &Status) {
        // Only these say that what was sent is wrong, whenever it is sent. A relay that checks nothing itself but the
        // length of messages says the second.
        if !matches!(status.code(), Code::InvalidArgument | Code::OutOfRange) {
            return;
        }
        let relay = &self.address;
        match self.shared.with(|spool| spool.refuse(status.message())) {
            Refusal::Batch((_, sequence), rows) => {
                warn!(
                    relay,
                    sequence,
                    rows,
                    "the relay refuses a batch: an empty one goes in its place, to see whether that is taken"
                );
            }
            Refusal::Stream => error!(
                relay,
                refusal = status.message(),
                "the relay refuses even an empty batch of this collector: bring the relay to the collector's version"
            ),
            Refusal::Nothing => {}
        }
    }

    /// One connection, from its start to its end.
    async fn connection(&self) -> Broken {
        match self.talk().await {
            Ok(never) => match never {},
            Err(broken) => broken,
        }
    }

    async fn connect(&self) -> Result<Channel, Broken> {
        let no_address = || Broken::Address(self.address.clone());
        let open = |address: String| endpoint(address).map_err(|_| no_address());
        let (Some(tls), Some(authority)) = (&self.tls, self.address.strip_prefix("https://")) else {
            return open(self.address.clone())?.connect().await.map_err(Broken::Connect);
        };
        let endpoint = open(format!("http://{authority}"))?;
        let host = endpoint.uri().host().ok_or_else(no_address)?.trim_matches(['[', ']']).to_owned();
        let dial = tls::Dial { host, port: endpoint.uri().port_u16().unwrap_or(443), server_name: None };
        tls::connect(endpoint, dial, tls).await.map_err(Broken::Secure)
    }

    async fn talk(&self) -> Result<std::convert::Infallible, Broken> {
        let channel = self.connect().await?;
        let (messages, outgoing) = mpsc::channel::<FlightData>(MESSAGES_AHEAD);
        messages.send(opening()).await.map_err(|_| Broken::Closed)?;
        let opened = tokio::time::timeout(self.ack_timeout, open(channel, outgoing)).await;
        let acks = opened.map_err(|_| Broken::Silent(self.ack_timeout))??;
        self.shared.stats.connections.fetch_add(1, Ordering::Relaxed);
        self.shared.stats.connected.store(true, Ordering::Relaxed);
        info!(relay = self.address, "connected to the relay");
        Talk { link: self, messages, acks, owing_since: None }.run().await
    }
}

/// One stream to the relay.
struct Talk<'a> {
    link: &'a Link,
    messages: mpsc::Sender<FlightData>,
    acks: Streaming<PutResult>,
    /// Since when the relay owes an acknowledgment: since the last one, or since the oldest batch without one was sent.
    owing_since: Option<Instant>,
}

impl Talk<'_> {
    async fn run(mut self) -> Result<std::convert::Infallible, Broken> {
        let (shared, window) = (&*self.link.shared, self.link.window);
        for (number, parcel) in shared.with(|spool| spool.unacknowledged()) {
            self.send(number, &parcel).await?;
        }
        loop {
            let filled = shared.filled.notified();
            let next = shared.with(|spool| if spool.in_flight() < window { spool.next() } else { None });
            match next {
                Some((number, parcel)) => self.send(number, &parcel).await?,
                None => tokio::select! {
                    ack = self.acks.message() => self.take(ack)?,
                    () = filled => {}
                    broken = silence(self.owing_since, self.link.ack_timeout) => return Err(broken),
                },
            }
        }
    }

    /// Sends a batch and takes acknowledgments meanwhile, so that neither side waits for the other.
    async fn send(&mut self, number: Number, parcel: &Parcel) -> Result<(), Broken> {
        self.owing_since.get_or_insert_with(Instant::now);
        let messages = self.messages.clone();
        for message in parcel.messages(&self.link.sender, number) {
            let mut sending = std::pin::pin!(messages.send(message));
            loop {
                tokio::select! {
                    sent = &mut sending => match sent {
                        Ok(()) => break,
                        Err(_) => return Err(self.end().await),
                    },
                    ack = self.acks.message() => self.take(ack)?,
                    broken = silence(self.owing_since, self.link.ack_timeout) => return Err(broken),
                }
            }
        }
        Ok(())
    }

    /// Reads the answers of a stream that takes no more messages, up to the one that tells why.
    async fn end(&mut self) -> Broken {
        let ack_timeout = self.link.ack_timeout;
        let rest = async {
            loop {
                let ack = self.acks.message().await;
                if let Err(broken) = self.take(ack) {
                    return broken;
                }
            }
        };
        tokio::time::timeout(ack_timeout, rest).await.unwrap_or(Broken::Closed)
    }

    fn take(&mut self, ack: Result<Option<PutResult>, Status>) -> Result<(), Broken> {
        let result = ack.map_err(|status| Broken::Refused(Box::new(status)))?.ok_or(Broken::Closed)?;
        let ack = BatchAck::decode(result.app_metadata).map_err(Broken::Acknowledgment)?;
        let shared = &self.link.shared;
        let (acknowledged, in_flight) =
            shared.with(|spool| (spool.acknowledge((ack.boot_id, ack.sequence)), spool.in_flight()));
        self.owing_since = (in_flight > 0).then(Instant::now);
        shared.stats.batches_repeated.fetch_add(u64::from(ack.repeated_batch), Ordering::Relaxed);
        shared.stats.batches_acknowledged.fetch_add(acknowledged.batches, Ordering::Relaxed);
        shared.stats.rows_acknowledged.fetch_add(acknowledged.rows, Ordering::Relaxed);
        if let Some((rows, refusal)) = acknowledged.refused {
            shared.tallies.add(Cause::Refused, 0, rows);
            error!(
                relay = self.link.address,
                rows,
                refusal,
                "the relay refused a batch, its flows are lost: raise relay.ingest.batch_rows_max and \
                 relay.ingest.message_bytes_max there, or lower collector.relay.batch_rows_max"
            );
        }
        shared.emptied.notify_one();
        Ok(())
    }
}

/// Ends once a relay that owes an acknowledgment has been silent for so long.
async fn silence(owing_since: Option<Instant>, ack_timeout: Duration) -> Broken {
    match owing_since {
        Some(since) => tokio::time::sleep_until(since + ack_timeout).await,
        None => std::future::pending().await,
    }
    Broken::Silent(ack_timeout)
}

fn endpoint(address: String) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(address)?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_while_idle(true))
}

async fn open(channel: Channel, outgoing: mpsc::Receiver<FlightData>) -> Result<Streaming<PutResult>, Broken> {
    let mut client = FlightServiceClient::new(channel);
    // A status with a cause comes from this side: the other one does not speak gRPC.
    let refused = |status: Status| match std::error::Error::source(&status).is_some() {
        true => Broken::NoStream(Box::new(status)),
        false if status.code() == Code::Unimplemented => Broken::NoStream(Box::new(status)),
        false => Broken::Refused(Box::new(status)),
    };
    let answer = client.do_put(ReceiverStream::new(outgoing)).await.map_err(refused)?;
    Ok(answer.into_inner())
}

/// Up to a quarter more, different for each node, so that a cluster does not come back all at once.
fn jittered(pause: Duration, sender: &Sender) -> Duration {
    let share = u32::try_from(sender.boot_id % 256).unwrap_or(0);
    pause + pause / 4 * share / 256
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;
    use tokio::net::TcpListener;

    use super::super::spool::Spool;
    use super::*;
    use crate::config::Config;

    async fn reason(address: String) -> String {
        let tallies = Arc::<crate::ledger::Tallies>::default();
        let shared = Shared::new(Spool::new(7, 1 << 20, None), Arc::default(), Arc::clone(&tallies));
        let sender = Sender { node: "node-1".to_owned(), boot_id: 7, tallies, clock: Arc::new(flow::SystemClock) };
        let link = Link::new(address, &Config::default().relay, sender, Arc::new(shared));
        with_causes(&link.connection().await)
    }

    #[tokio::test]
    async fn why_there_is_no_connection_is_told_with_what_to_look_at() {
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let told = reason(format!("http://{nobody}")).await;
        assert!(told.contains("collector.relay.address") && told.contains("Connection refused"), "{told}");
        let told = reason("relay 4245".to_owned()).await;
        assert_eq!(told, "\"relay 4245\" is not an address such as http://relay:4245");
        // Another server, such as the relay's own for the UI.
        let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = other.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = other.accept().await.unwrap();
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.unwrap();
        });
        let told = reason(format!("http://{address}")).await;
        assert!(told.contains("the relay's port for gRPC") && told.contains("https://"), "{told}");
    }
}
