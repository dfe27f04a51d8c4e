//! Which observers this node tells relays of: itself, those of its settings, and those of a file that may change.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::text_file::{self, TextFileError};

/// How often the file is read.
const READ_EVERY: Duration = Duration::from_secs(5);
/// Bytes of the file; some hundred thousand peers.
const FILE_BYTES_MAX: u64 = 16 << 20;
/// Name of a cluster where none was given.
const DEFAULT_CLUSTER: &str = "default";
/// What Hubble appends to node and cluster in the names of certificates.
const TLS_DOMAIN: &str = "hubble-grpc.cilium.io";

/// An observer that relays are told of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PeerEntry {
    /// Name of its node, `cluster/node` outside the default cluster.
    pub name: String,
    /// Where it listens: `host:port`, or an address alone for port 4244.
    pub address: String,
    /// Name in its certificate. By default the one Hubble gives a node, where this node serves TLS, else none.
    #[serde(default)]
    pub tls_server_name: Option<String>,
}

/// The peers by name; what was told and what is to be told are compared by it.
pub(crate) type PeerMap = BTreeMap<String, PeerEntry>;

/// The peers as they are, and news of changes.
pub(crate) type Peers = watch::Receiver<Arc<PeerMap>>;

/// A file of peers that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PeersError {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] TextFileError),
    /// It is no list of peers.
    #[error("{path} is no YAML list of peers (name, address, tls_server_name)")]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        cause: serde_norway::Error,
    },
}

/// The peers that never change, and the file of those that do.
pub(crate) struct Source {
    /// This node and those of the settings. They win over the file.
    pub(crate) fixed: Vec<PeerEntry>,
    /// The file.
    pub(crate) file: Option<PathBuf>,
    /// Whether peers serve TLS, as this node does.
    pub(crate) tls: bool,
}

impl Source {
    /// All peers now.
    ///
    /// # Errors
    /// The file cannot be read.
    fn read(&self) -> Result<PeerMap, PeersError> {
        let listed = self.file.as_deref().map(read_file).transpose()?.unwrap_or_default();
        let all = listed.into_iter().chain(self.fixed.iter().cloned());
        Ok(all.map(|peer| (peer.name.clone(), self.with_server_name(peer))).collect())
    }

    fn with_server_name(&self, mut peer: PeerEntry) -> PeerEntry {
        if self.tls && peer.tls_server_name.is_none() {
            peer.tls_server_name = Some(tls_server_name(&peer.name));
        }
        peer
    }

    /// Reads the peers and goes on watching the file until `stop`.
    ///
    /// # Errors
    /// The file cannot be read. Later the peers stay as they were then, with a warning.
    pub(crate) fn watch(self, stop: CancellationToken) -> Result<Peers, PeersError> {
        let (sender, peers) = watch::channel(Arc::new(self.read()?));
        // Without a file the set never changes. The sender is held, because its end would look like one of the node.
        tokio::spawn(async move {
            while stop.run_until_cancelled(tokio::time::sleep(READ_EVERY)).await.is_some() {
                if self.file.is_some() {
                    self.refresh(&sender);
                }
            }
        });
        Ok(peers)
    }

    fn refresh(&self, sender: &watch::Sender<Arc<PeerMap>>) {
        match self.read() {
            Ok(read) => {
                sender.send_if_modified(|peers| {
                    let changed = **peers != read;
                    if changed {
                        info!(peers = read.len(), "the peers have changed");
                        *peers = Arc::new(read);
                    }
                    changed
                });
            }
            Err(error) => {
                let error: &dyn std::error::Error = &error;
                warn!(error, "the peers stay as they were");
            }
        }
    }
}

fn read_file(path: &Path) -> Result<Vec<PeerEntry>, PeersError> {
    let text = text_file::read(path, FILE_BYTES_MAX)?;
    if text.trim().is_empty() {
        return Ok(Vec::new());
    }
    serde_norway::from_str(&text).map_err(|cause| PeersError::Syntax { path: path.to_owned(), cause })
}

/// Name in the certificate of a node, as Hubble builds it of `node` or `cluster/node`; empty for an empty name.
pub(crate) fn tls_server_name(name: &str) -> String {
    let (cluster, node) = name.split_once('/').unwrap_or((DEFAULT_CLUSTER, name));
    if node.is_empty() {
        return String::new();
    }
    // A dot in a name would put the certificate at another level of the domain.
    let label = |text: &str| text.replace('.', "-");
    let cluster = if cluster.is_empty() { DEFAULT_CLUSTER } else { cluster };
    format!("{}.{}.{TLS_DOMAIN}", label(node), label(cluster))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(name: &str, address: &str) -> PeerEntry {
        PeerEntry { name: name.to_owned(), address: address.to_owned(), tls_server_name: None }
    }

    #[test]
    fn server_names_are_hubbles() {
        for (name, expected) in [
            ("moseisley", "moseisley.default.hubble-grpc.cilium.io"),
            ("tatooine/moseisley", "moseisley.tatooine.hubble-grpc.cilium.io"),
            ("my.cluster/node.example.com", "node-example-com.my-cluster.hubble-grpc.cilium.io"),
            ("/node", "node.default.hubble-grpc.cilium.io"),
            ("", ""),
        ] {
            assert_eq!(tls_server_name(name), expected, "{name}");
        }
    }

    #[tokio::test]
    async fn a_file_adds_to_the_settings_and_a_bad_one_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("peers.yaml");
        std::fs::write(&file, "- {name: b, address: '10.0.0.2'}\n- {name: a, address: elsewhere}\n").unwrap();
        let source = Source { fixed: vec![peer("a", "10.0.0.1:4244")], file: Some(file.clone()), tls: true };
        let read = source.read().unwrap();
        let told: Vec<_> = read.values().map(|p| (p.address.as_str(), p.tls_server_name.as_deref())).collect();
        let name = |node: &str| format!("{node}.default.hubble-grpc.cilium.io");
        assert_eq!(told, [("10.0.0.1:4244", Some(name("a").as_str())), ("10.0.0.2", Some(name("b").as_str()))]);

        let (sender, mut peers) = watch::channel(Arc::new(read));
        std::fs::write(&file, "nonsense: true").unwrap();
        source.refresh(&sender);
        assert!(!peers.has_changed().unwrap());
        std::fs::write(&file, "").unwrap();
        source.refresh(&sender);
        assert_eq!(peers.borrow_and_update().keys().collect::<Vec<_>>(), ["a"]);
    }
}
