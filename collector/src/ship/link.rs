//! The connection to the relay: sends batches ahead of their acknowledgments, and again when it breaks.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, PutResult};
use prost::Message as _;
use proto::weir::BatchAck;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Status, Streaming};
use tracing::{error, info, warn};

use super::parcel::opening;
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
    #[error("cannot connect")]
    Connect(#[source] tonic::transport::Error),
    /// No connection over TLS.
    #[error("cannot connect")]
    Secure(#[source] tls::ConnectError),
    /// The relay refused or ended the stream.
    #[error("the relay ended the stream: {0}")]
    Refused(Box<Status>),
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
            let cause = std::error::Error::source(&broken).map(ToString::to_string);
            warn!(relay = self.address, ?pause, cause, error = %broken, "no connection to the relay; flows wait in the spool");
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
            Refusal::OfBatch((_, sequence), rows) => {
                warn!(
                    relay,
                    sequence,
                    rows,
                    "the relay refuses a batch: an empty one goes in its place, to see whether that is taken"
                );
            }
            Refusal::OfAll => error!(
                relay,
                refusal = status.message(),
                "the relay refuses even an empty batch of this collector: bring the relay to the collector's version"
            ),
            Refusal::OfNothing => {}
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
        let open = |address: String| {
            Endpoint::from_shared(address).map(|e| e.connect_timeout(CONNECT_TIMEOUT)).map_err(|_| no_address())
        };
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
        let mut acks = self.open(channel, outgoing).await?;
        self.shared.stats.connections.fetch_add(1, Ordering::Relaxed);
        self.shared.stats.connected.store(true, Ordering::Relaxed);
        info!(relay = self.address, "connected to the relay");
        for (number, parcel) in self.shared.with(|spool| spool.unacknowledged()) {
            self.shared.stats.batches_repeated.fetch_add(1, Ordering::Relaxed);
            self.send_while_reading(&messages, parcel.messages(&self.sender, number), &mut acks).await?;
        }
        loop {
            let filled = self.shared.filled.notified();
            let next = self.shared.with(|s| if s.in_flight() < self.window { s.next() } else { None });
            let in_flight = self.shared.with(|s| s.in_flight());
            match next {
                Some((number, parcel)) => {
                    self.send_while_reading(&messages, parcel.messages(&self.sender, number), &mut acks).await?;
                }
                None => tokio::select! {
                    ack = acks.message() => self.take(ack)?,
                    () = filled => {}
                    () = tokio::time::sleep(self.ack_timeout), if in_flight > 0 => {
                        return Err(Broken::Silent(self.ack_timeout));
                    }
                },
            }
        }
    }

    async fn open(
        &self,
        channel: Channel,
        outgoing: mpsc::Receiver<FlightData>,
    ) -> Result<Streaming<PutResult>, Broken> {
        let mut client = FlightServiceClient::new(channel);
        let answer = client.do_put(ReceiverStream::new(outgoing)).await.map_err(|s| Broken::Refused(Box::new(s)))?;
        Ok(answer.into_inner())
    }

    /// Sends messages and takes acknowledgments meanwhile, so that neither side waits for the other.
    async fn send_while_reading(
        &self,
        messages: &mpsc::Sender<FlightData>,
        parcel: Vec<FlightData>,
        acks: &mut Streaming<PutResult>,
    ) -> Result<(), Broken> {
        for message in parcel {
            let mut sending = std::pin::pin!(messages.send(message));
            loop {
                tokio::select! {
                    sent = &mut sending => match sent {
                        Ok(()) => break,
                        Err(_) => return Err(self.end_of(acks).await),
                    },
                    ack = acks.message() => self.take(ack)?,
                    () = tokio::time::sleep(self.ack_timeout) => return Err(Broken::Silent(self.ack_timeout)),
                }
            }
        }
        Ok(())
    }

    /// Reads the answers of a stream that takes no more messages, up to the one that tells why.
    async fn end_of(&self, acks: &mut Streaming<PutResult>) -> Broken {
        let rest = async {
            loop {
                if let Err(broken) = self.take(acks.message().await) {
                    return broken;
                }
            }
        };
        tokio::time::timeout(self.ack_timeout, rest).await.unwrap_or(Broken::Closed)
    }

    fn take(&self, ack: Result<Option<PutResult>, Status>) -> Result<(), Broken> {
        let result = ack.map_err(|status| Broken::Refused(Box::new(status)))?.ok_or(Broken::Closed)?;
        let ack = BatchAck::decode(result.app_metadata).map_err(Broken::Acknowledgment)?;
        let acknowledged = self.shared.with(|spool| spool.acknowledge((ack.boot_id, ack.sequence)));
        self.shared.stats.batches_acknowledged.fetch_add(acknowledged.batches, Ordering::Relaxed);
        self.shared.stats.rows_acknowledged.fetch_add(acknowledged.rows, Ordering::Relaxed);
        if let Some((rows, refusal)) = acknowledged.refused {
            self.shared.tallies.add(Cause::Refused, 0, rows);
            error!(
                relay = self.address,
                rows,
                refusal,
                "the relay refused a batch, its flows are lost: raise relay.ingest.batch_rows_max and \
                 relay.ingest.message_bytes_max there, or lower collector.relay.batch_rows_max"
            );
        }
        self.shared.emptied.notify_one();
        Ok(())
    }
}

/// Up to a quarter more, different for each node, so that a cluster does not come back all at once.
fn jittered(pause: Duration, sender: &Sender) -> Duration {
    let share = u32::try_from(sender.boot_id % 256).unwrap_or(0);
    pause + pause / 4 * share / 256
}
