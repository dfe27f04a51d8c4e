//! Learning of peers from Kubernetes: each pod that a selector names is one.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, WatchEvent, WatchParams};
use kube::config::{InferConfigError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Api, Client};
use tokio::sync::mpsc;
use tracing::{info, warn};

use super::Pauses;
use super::fleet::{Change, SourceId, difference};
use super::target::Target;
use crate::config::PeerPods;
use crate::relay::Relay;
use proto::status::with_causes;

/// Stands for the name of the pod's node in the name of its certificate.
const NODE: &str = "{node}";

/// Why there is no news of pods.
#[derive(Debug, thiserror::Error)]
enum PodsError {
    #[error("there is no access to a cluster: set kubeconfig, or run in a pod with a service account")]
    Infer(#[source] Box<InferConfigError>),
    #[error("the kubeconfig cannot be used")]
    Kubeconfig(#[source] Box<KubeconfigError>),
    #[error("the cluster's API server refused: the relay may have to be allowed to list and watch pods")]
    Api(#[source] Box<kube::Error>),
    #[error("the API server ended the watch: {0}")]
    Ended(String),
    #[error("the relay is stopping")]
    Stopping,
}

/// The pods of one selector.
pub(super) struct Pods {
    pub(super) relay: Arc<Relay>,
    pub(super) config: PeerPods,
    pub(super) source: SourceId,
    pub(super) changes: mpsc::Sender<Change>,
    /// Peers told of, by name.
    pub(super) told: BTreeMap<String, Target>,
}

/// What matters of a pod.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Agent {
    /// Name of its node, else its own: what the peer is called.
    name: String,
    address: SocketAddr,
    /// Seconds since the epoch. While a pod is replaced there are two on a node.
    created: i64,
}

impl Pods {
    /// Follows the pods until the relay stops; asks again with growing pauses. What is known stays meanwhile.
    pub(super) async fn run(mut self) {
        let stop = self.relay.stages.sources.stop.clone();
        let mut pauses = Pauses::new();
        while let Some(error) = stop.run_until_cancelled(self.follow(&mut pauses)).await {
            let PeerPods { namespace, selector, .. } = &self.config;
            if !matches!(error, PodsError::Ended(_)) {
                warn!(namespace, selector, retry_in = ?pauses.next(), error = with_causes(&error), "no news of pods");
            }
            if !pauses.wait(&stop).await {
                return;
            }
        }
    }

    async fn follow(&mut self, pauses: &mut Pauses) -> PodsError {
        match self.watch(pauses).await {
            Ok(()) => PodsError::Ended("its time was over".to_owned()),
            Err(error) => error,
        }
    }

    async fn watch(&mut self, pauses: &mut Pauses) -> Result<(), PodsError> {
        let refused = |error| PodsError::Api(Box::new(error));
        let pods: Api<Pod> = Api::namespaced(self.client().await?, &self.config.namespace);
        let listed = pods.list(&ListParams::default().labels(&self.config.selector)).await.map_err(refused)?;
        let named = listed.items.into_iter().filter_map(|pod| Some((pod.metadata.name.clone()?, self.agent(&pod)?)));
        let mut agents: BTreeMap<String, Agent> = named.collect();
        info!(namespace = self.config.namespace, pods = agents.len(), "listed the pods to pull from");
        self.tell(&agents).await?;
        pauses.begin_again();
        let version = listed.metadata.resource_version.unwrap_or_default();
        let watching = pods.watch(&WatchParams::default().labels(&self.config.selector), &version).await;
        let mut events = watching.map_err(refused)?.boxed();
        while let Some(event) = events.try_next().await.map_err(refused)? {
            let (pod, gone) = match event {
                WatchEvent::Added(pod) | WatchEvent::Modified(pod) => (pod, false),
                WatchEvent::Deleted(pod) => (pod, true),
                WatchEvent::Bookmark(_) => continue,
                // Most often the version has become too old: then the pods are listed anew.
                WatchEvent::Error(status) => return Err(PodsError::Ended(status.message.clone())),
            };
            let Some(name) = pod.metadata.name.clone() else { continue };
            match self.agent(&pod).filter(|_| !gone) {
                Some(agent) => agents.insert(name, agent),
                None => agents.remove(&name),
            };
            self.tell(&agents).await?;
        }
        Ok(())
    }

    async fn client(&self) -> Result<Client, PodsError> {
        // The library takes the process's own choice of cryptography, and fails where there is none; one that was made
        // before stays.
        drop(rustls::crypto::ring::default_provider().install_default());
        let config = match &self.config.kubeconfig {
            None => kube::Config::infer().await.map_err(|error| PodsError::Infer(Box::new(error)))?,
            Some(path) => {
                let unusable = |error| PodsError::Kubeconfig(Box::new(error));
                let file = Kubeconfig::read_from(path).map_err(unusable)?;
                kube::Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(unusable)?
            }
        };
        Client::try_from(config).map_err(|error| PodsError::Api(Box::new(error)))
    }

    /// `None` for a pod that does not run, or not for long.
    fn agent(&self, pod: &Pod) -> Option<Agent> {
        let status = pod.status.as_ref().filter(|status| status.phase.as_deref() == Some("Running"))?;
        if pod.metadata.deletion_timestamp.is_some() {
            return None;
        }
        let ip: IpAddr = status.pod_ip.as_ref()?.parse().ok()?;
        let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
        let created = pod.metadata.creation_timestamp.as_ref().map_or(0, |time| time.0.as_second());
        let name = node.or_else(|| pod.metadata.name.clone())?;
        Some(Agent { name, address: SocketAddr::new(ip, self.config.port), created })
    }

    /// Tells of what has changed since it was told last.
    async fn tell(&mut self, agents: &BTreeMap<String, Agent>) -> Result<(), PodsError> {
        let wanted = targets(&self.config, agents.values());
        for change in difference(self.source, &self.told, &wanted) {
            self.changes.send(change).await.map_err(|_| PodsError::Stopping)?;
        }
        self.told = wanted;
        Ok(())
    }
}

/// One peer for each name: of two pods the younger.
fn targets<'a>(config: &PeerPods, agents: impl Iterator<Item = &'a Agent>) -> BTreeMap<String, Target> {
    let mut youngest: BTreeMap<&str, &Agent> = BTreeMap::new();
    for agent in agents {
        let known = youngest.entry(&agent.name).or_insert(agent);
        if agent.created > known.created {
            *known = agent;
        }
    }
    let target = |agent: &Agent| {
        // Cilium's certificates have the node's name as one label.
        let server_name = config.tls_server_name.replace(NODE, &agent.name.replace('.', "-"));
        let tls = config.tls.then_some(server_name);
        (agent.name.clone(), Target { name: agent.name.clone(), address: agent.address.to_string(), tls })
    };
    youngest.into_values().map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agent(name: &str, address: &str, created: i64) -> Agent {
        Agent { name: name.to_owned(), address: address.parse().unwrap(), created }
    }

    #[test]
    fn a_node_is_one_peer_and_the_younger_pod_speaks_for_it() {
        let config = PeerPods { tls: true, ..PeerPods::default() };
        let agents = [
            agent("node.1", "10.0.0.1:4244", 5),
            agent("node.1", "10.0.0.9:4244", 7),
            agent("node.1", "10.0.0.8:4244", 6),
            agent("node.2", "[fd00::2]:4244", 1),
        ];
        let targets = targets(&config, agents.iter());
        assert_eq!(targets.keys().collect::<Vec<_>>(), ["node.1", "node.2"]);
        assert_eq!(targets["node.1"].address, "10.0.0.9:4244");
        assert_eq!(targets["node.1"].tls.as_deref(), Some("node-1.default.hubble-grpc.cilium.io"));
        assert_eq!(targets["node.2"].address, "[fd00::2]:4244");
    }

    #[test]
    fn only_what_has_changed_is_told() {
        let config = PeerPods::default();
        let set = |agents: &[Agent]| targets(&config, agents.iter());
        let before = set(&[agent("a", "10.0.0.1:1", 1), agent("b", "10.0.0.2:1", 1), agent("c", "10.0.0.3:1", 1)]);
        let after = set(&[agent("b", "10.0.0.2:1", 2), agent("c", "10.0.0.4:1", 2)]);
        let changes = difference(3, &before, &after);
        let [Change::Remove(3, gone), Change::Upsert(3, moved)] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!((gone.as_str(), moved.name.as_str(), moved.address.as_str()), ("a", "c", "10.0.0.4:1"));
    }
}
