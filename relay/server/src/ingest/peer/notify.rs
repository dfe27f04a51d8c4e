//! Learning of peers from Hubble's `peer.Peer`.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use proto::peer::peer_client::PeerClient;
use proto::peer::{ChangeNotification, ChangeNotificationType, NotifyRequest};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tonic::Status;
use tracing::{info, warn};

use super::Pauses;
use super::fleet::{Change, SourceId};
use super::target::{Target, TargetError};
use crate::relay::Relay;
use proto::status::with_causes;

/// Time after a new connection in which a peer that was known before must be told of again. Then it is gone: its
/// deletion fell into the time without a connection.
const CONFIRM_WITHIN: Duration = Duration::from_secs(10);

/// Why a stream of notifications ended.
#[derive(Debug, thiserror::Error)]
enum NotifyError {
    #[error(transparent)]
    Connect(#[from] TargetError),
    #[error("the peer service refused")]
    Call(#[source] Box<Status>),
    #[error("the stream broke")]
    Stream(#[source] Box<Status>),
    #[error("the stream ended")]
    Ended,
    #[error("the relay is stopping")]
    Stopping,
}

/// One peer service, over all its connections.
pub(super) struct Service {
    pub(super) relay: Arc<Relay>,
    pub(super) target: Target,
    pub(super) source: SourceId,
    pub(super) changes: mpsc::Sender<Change>,
    /// Names it told of.
    pub(super) known: HashSet<String>,
}

impl Service {
    /// Follows the notifications until the relay stops; connects again with growing pauses.
    pub(super) async fn run(mut self) {
        let stop = self.relay.stages.sources.stop.clone();
        let mut pauses = Pauses::new();
        while let Some(error) = stop.run_until_cancelled(self.follow(&mut pauses)).await {
            let service = &self.target.address;
            warn!(service, retry_in = ?pauses.next(), error = with_causes(&error), "no news of peers; those known stay");
            if !pauses.wait(&stop).await {
                return;
            }
        }
    }

    async fn follow(&mut self, pauses: &mut Pauses) -> NotifyError {
        match self.read(pauses).await {
            Ok(()) => NotifyError::Ended,
            Err(error) => error,
        }
    }

    async fn read(&mut self, pauses: &mut Pauses) -> Result<(), NotifyError> {
        let channel = self.target.connect(self.relay.config.peer_tls.as_ref()).await?;
        let answer = PeerClient::new(channel).notify(NotifyRequest {}).await;
        let mut stream = answer.map_err(|status| NotifyError::Call(Box::new(status)))?.into_inner();
        info!(service = self.target.address, "connected to a peer service");
        let mut unconfirmed = self.known.clone();
        let confirm_at = Instant::now() + CONFIRM_WITHIN;
        loop {
            let change = tokio::select! {
                change = stream.message() => change.map_err(|status| NotifyError::Stream(Box::new(status)))?,
                () = tokio::time::sleep_until(confirm_at), if !unconfirmed.is_empty() => {
                    for name in std::mem::take(&mut unconfirmed) {
                        self.remove(name).await?;
                    }
                    continue;
                }
            };
            let Some(change) = change else { return Ok(()) };
            pauses.begin_again();
            unconfirmed.remove(&change.name);
            self.take(change).await?;
        }
    }

    async fn take(&mut self, change: ChangeNotification) -> Result<(), NotifyError> {
        match change.r#type() {
            ChangeNotificationType::PeerDeleted => self.remove(change.name).await,
            ChangeNotificationType::PeerAdded | ChangeNotificationType::PeerUpdated => {
                self.known.insert(change.name.clone());
                self.tell(Change::Upsert(self.source, Target::of(change))).await
            }
            ChangeNotificationType::Unknown => Ok(()),
        }
    }

    async fn remove(&mut self, name: String) -> Result<(), NotifyError> {
        self.known.remove(&name);
        self.tell(Change::Remove(self.source, name)).await
    }

    async fn tell(&self, change: Change) -> Result<(), NotifyError> {
        self.changes.send(change).await.map_err(|_| NotifyError::Stopping)
    }
}
