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
    told: Told,
    target: Target,
    stop: CancellationToken,
    task: JoinHandle<Recent>,
}

/// Where a peer is, as each source tells. Of several the first counts, until it takes the peer back.
#[derive(Debug)]
struct Told {
    first: SourceId,
    targets: BTreeMap<SourceId, Target>,
}

impl Told {
    fn by(source: SourceId, target: Target) -> Self {
        Self { first: source, targets: BTreeMap::from([(source, target)]) }
    }

    /// Takes a source's word; gives what counts now.
    fn add(&mut self, source: SourceId, target: Target) -> &Target {
        self.targets.insert(source, target);
        &self.targets[&self.first]
    }

    /// A source knows of the peer no more; gives what counts now, `None` where nobody knows of it.
    fn remove(&mut self, source: SourceId) -> Option<&Target> {
        self.targets.remove(&source);
        if source == self.first {
            self.first = *self.targets.first_key_value()?.0;
        }
        self.targets.get(&self.first)
    }
}

/// Pulls from the peers that `changes` tell of until the relay stops.
///
/// At most as many peers are pulled from as nodes are remembered.
pub(super) async fn run(relay: Arc<Relay>, mut changes: mpsc::Receiver<Change>) {
    let stop = relay.stages.sources.stop.clone();
    let mut members: HashMap<String, Member> = HashMap::new();
    while let Some(Some(change)) = stop.run_until_cancelled(changes.recv()).await {
        match change {
            Change::Upsert(source, target) => upsert(&relay, &mut members, source, target),
            Change::Remove(source, name) => remove(&relay, &mut members, source, &name).await,
        }
    }
    for (_, member) in members {
        member.stop.cancel();
        ended(member.task, &member.target.name).await;
    }
}

fn upsert(relay: &Arc<Relay>, members: &mut HashMap<String, Member>, source: SourceId, target: Target) {
    if let Some(mut member) = members.remove(&target.name) {
        let counts = member.told.add(source, target).clone();
        members.insert(counts.name.clone(), member.moved_to(relay, counts));
        return;
    }
    if members.len() >= relay.config.index.nodes_max {
        warn!(peer = target.name, "too many peers: raise relay.index.nodes_max to pull from this one too");
        return;
    }
    let (stop, task) = begin(relay, &target, None);
    let member = Member { told: Told::by(source, target.clone()), target, stop, task };
    members.insert(member.target.name.clone(), member);
}

async fn remove(relay: &Arc<Relay>, members: &mut HashMap<String, Member>, source: SourceId, name: &str) {
    let Some(mut member) = members.remove(name) else { return };
    if let Some(counts) = member.told.remove(source).cloned() {
        members.insert(name.to_owned(), member.moved_to(relay, counts));
        return;
    }
    info!(peer = name, "a peer is gone");
    member.stop.cancel();
    ended(member.task, name).await;
    relay.presence.forget(name);
}

impl Member {
    /// Pulls from where the peer is now. What it sent from its old address is not taken again from its new one, so the
    /// new pull waits for the end of the old one.
    fn moved_to(self, relay: &Arc<Relay>, target: Target) -> Self {
        if self.target == target {
            return self;
        }
        self.stop.cancel();
        let (stop, task) = begin(relay, &target, Some(self.task));
        Self { target, stop, task, ..self }
    }
}

/// Begins to pull from a peer, after the end of the pull that was there before.
fn begin(
    relay: &Arc<Relay>,
    target: &Target,
    former: Option<JoinHandle<Recent>>,
) -> (CancellationToken, JoinHandle<Recent>) {
    info!(peer = target.name, address = target.address, "pulling from a peer");
    let stop = relay.stages.sources.stop.child_token();
    let (relay, target, its_stop) = (Arc::clone(relay), target.clone(), stop.clone());
    let task = tokio::spawn(async move {
        let recent = match former {
            Some(former) => Some(ended(former, &target.name).await),
            None => None,
        };
        pull(relay, target, recent, its_stop).await
    });
    (stop, task)
}

/// Waits for the end of a pull; gives what it remembers.
async fn ended(task: JoinHandle<Recent>, peer: &str) -> Recent {
    task.await.unwrap_or_else(|error| {
        warn!(peer, %error, "pulling from a peer panicked");
        Recent::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_stays_while_any_source_tells_of_it() {
        let at = |address: &str| Target { name: "node-1".to_owned(), address: address.to_owned(), tls: None };
        let mut told = Told::by(3, at("a"));
        assert_eq!(told.add(1, at("b")), &at("a"), "the first that told of it");
        assert_eq!(told.add(3, at("c")), &at("c"), "it may be elsewhere now");
        assert_eq!(told.add(7, at("d")), &at("c"));
        assert_eq!(told.remove(7), Some(&at("c")));
        assert_eq!(told.remove(3), Some(&at("b")), "another knows of it still");
        assert_eq!(told.add(3, at("e")), &at("b"));
        assert_eq!(told.remove(9), Some(&at("b")));
        assert_eq!(told.remove(1), Some(&at("e")));
        assert_eq!(told.remove(3), None);
    }
}
