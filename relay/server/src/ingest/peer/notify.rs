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

use super::fleet::{Change, SourceId};
use super::target::{Target, TargetError};
use super::{RETRY_MAX, RETRY_MIN};
use crate::causes::with_causes;
use crate::relay::Relay;

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
        let mut pause = RETRY_MIN;
        while let Some(error) = stop.run_until_cancelled(self.follow(&mut pause)).await {
            let service = &self.target.address;
            warn!(service, retry_in = ?pause, error = with_causes(&error), "no news of peers; those known stay");
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return;
            }
            pause = (pause * 2).min(RETRY_MAX);
        }
    }

    async fn follow(&mut self, pause: &mut Duration) -> NotifyError {
        match self.read(pause).await {
            Ok(()) => NotifyError::Ended,
            Err(error) => error,
        }
    }

    async fn read(&mut self, pause: &mut Duration) -> Result<(), NotifyError> {
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
            *pause = RETRY_MIN;
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
