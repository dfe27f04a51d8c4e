//! The peers that are pulled from, whoever told of them.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::pull::pull;
use super::recent::Recent;
use super::target::Target;
use crate::relay::Relay;

/// Changes that wait; who tells of more waits too.
pub(super) const CHANGES_MAX: usize = 64;

/// Where a peer is known from, by its place among the sources.
pub(super) type SourceId = usize;

/// A change of the peers.
#[derive(Debug)]
pub(super) enum Change {
    /// A peer is there, or is elsewhere now.
    Upsert(SourceId, Target),
    /// A peer is gone.
    Remove(SourceId, String),
}

/// What a source has to tell, by the names of its peers, after it told of others.
pub(super) fn difference(
    source: SourceId,
    told: &BTreeMap<String, Target>,
    wanted: &BTreeMap<String, Target>,
) -> Vec<Change> {
    let gone = told.keys().filter(|name| !wanted.contains_key(*name)).map(|name| Change::Remove(source, name.clone()));
    let new = wanted.iter().filter(|(name, target)| told.get(*name) != Some(target));
    gone.chain(new.map(|(_, target)| Change::Upsert(source, target.clone()))).collect()
}

/// A peer that is pulled from.
struct Member {
    source: SourceId,
    target: Target,
    stop: CancellationToken,
    task: JoinHandle<Recent>,
}

/// Pulls from the peers that `changes` tell of until the relay stops.
///
/// A name belongs to the source that told of it first. At most as many peers are pulled from as nodes are remembered.
pub(super) async fn run(relay: Arc<Relay>, mut changes: mpsc::Receiver<Change>) {
    let stop = relay.stages.sources.stop.clone();
    let mut members: HashMap<String, Member> = HashMap::new();
    while let Some(Some(change)) = stop.run_until_cancelled(changes.recv()).await {
        match change {
            Change::Upsert(source, target) => upsert(&relay, &mut members, source, target).await,
            Change::Remove(source, name) => {
                if members.get(&name).is_some_and(|member| member.source == source)
                    && let Some(member) = members.remove(&name)
                {
                    info!(peer = name, "a peer is gone");
                    end(member).await;
                    relay.presence.forget(&name);
                }
            }
        }
    }
    for (_, member) in members {
        end(member).await;
    }
}

async fn upsert(relay: &Arc<Relay>, members: &mut HashMap<String, Member>, source: SourceId, target: Target) {
    match members.get(&target.name) {
        Some(member) if member.source != source || member.target == target => return,
        None if members.len() >= relay.config.index.nodes_max => {
            warn!(peer = target.name, "too many peers: raise relay.index.nodes_max to pull from this one too");
            return;
        }
        _ => {}
    }
    // What the peer sent from its old address is not taken again from its new one.
    let recent = match members.remove(&target.name) {
        Some(member) => Some(end(member).await),
        None => None,
    };
    info!(peer = target.name, address = target.address, "pulling from a peer");
    let stop = relay.stages.sources.stop.child_token();
    let task = tokio::spawn(pull(Arc::clone(relay), target.clone(), recent, stop.clone()));
    members.insert(target.name.clone(), Member { source, target, stop, task });
}

/// Ends a pull; gives what it remembers.
async fn end(member: Member) -> Recent {
    member.stop.cancel();
    member.task.await.unwrap_or_else(|error| {
        warn!(peer = member.target.name, %error, "pulling from a peer panicked");
        Recent::default()
    })
}
