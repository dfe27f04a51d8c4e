//! Pulling flows from Hubble observers: Cilium agents, other relays, collectors that do not push.
//!
//! Peers are told of by the settings, by a `peer.Peer` service, by DNS, or by Kubernetes;
//! each is pulled from by a task of its own.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::fleet::{CHANGES_MAX, Change};
use self::notify::Service;
use self::pods::Pods;
use self::target::Target;
use crate::config::{PeerConfig, Place};
use crate::relay::Relay;

mod delivery;
mod fleet;
mod names;
mod notify;
mod pods;
mod pull;
mod recent;
mod target;

/// First wait after a failure; doubled each time up to [`RETRY_MAX`], as `hubble-relay` does.
const RETRY_MIN: Duration = Duration::from_secs(1);
/// Longest wait after a failure.
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Waits between tries, each twice as long as the one before.
#[derive(Debug)]
struct Pauses(Duration);

impl Pauses {
    const fn new() -> Self {
        Self(RETRY_MIN)
    }

    /// The wait after the next failure.
    const fn next(&self) -> Duration {
        self.0
    }

    /// A try went well.
    const fn begin_again(&mut self) {
        self.0 = RETRY_MIN;
    }

    /// Waits; whether there is to be another try.
    async fn wait(&mut self, stop: &CancellationToken) -> bool {
        let waited = stop.run_until_cancelled(tokio::time::sleep(self.0)).await.is_some();
        self.0 = (self.0 * 2).min(RETRY_MAX);
        waited
    }
}

/// Starts pulling from all peers that the settings tell of in some way; it ends when the relay's sources stop.
pub(crate) fn open_peers(relay: &Arc<Relay>) {
    let config = &relay.config;
    let told = config.peers.len() + config.peer_services.len() + config.peer_names.len() + config.peer_pods.len();
    if told == 0 {
        return;
    }
    let tasks = &relay.stages.sources.tasks;
    let (changes, receiver) = mpsc::channel(CHANGES_MAX);
    tasks.spawn(fleet::run(Arc::clone(relay), receiver));
    let (relay_for_static, fixed) = (Arc::clone(relay), changes.clone());
    tasks.spawn(async move {
        for peer in &relay_for_static.config.peers {
            if fixed.send(Change::Upsert(0, target_of(peer))).await.is_err() {
                return;
            }
        }
        // The fleet goes on for as long as somebody could tell it of a change.
        relay_for_static.stages.sources.stop.cancelled().await;
    });
    for (i, service) in config.peer_services.iter().enumerate() {
        let service = Service {
            relay: Arc::clone(relay),
            target: target_of(service),
            source: 1 + i,
            changes: changes.clone(),
            known: HashSet::new(),
        };
        tasks.spawn(service.run());
    }
    for (i, name) in config.peer_names.iter().enumerate() {
        let source = 1 + config.peer_services.len() + i;
        tasks.spawn(names::follow(Arc::clone(relay), name.clone(), source, changes.clone()));
    }
    for (i, pods) in config.peer_pods.iter().enumerate() {
        let pods = Pods {
            relay: Arc::clone(relay),
            config: pods.clone(),
            source: 1 + config.peer_services.len() + config.peer_names.len() + i,
            changes: changes.clone(),
            told: BTreeMap::new(),
        };
        tasks.spawn(pods.run());
    }
}

fn target_of(config: &PeerConfig) -> Target {
    Target {
        name: config.display_name().to_owned(),
        address: Place::shown(&config.address),
        tls: config.tls.then(|| config.tls_server_name.clone().unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn pauses_grow_up_to_a_minute_and_begin_again() {
        let (mut pauses, stop) = (Pauses::new(), CancellationToken::new());
        let begun = tokio::time::Instant::now();
        for _ in 0..8 {
            assert!(pauses.wait(&stop).await);
        }
        assert_eq!(begun.elapsed(), Duration::from_secs(1 + 2 + 4 + 8 + 16 + 32 + 60 + 60));
        pauses.begin_again();
        assert_eq!(pauses.next(), RETRY_MIN);
        stop.cancel();
        assert!(!pauses.wait(&stop).await);
    }
}
