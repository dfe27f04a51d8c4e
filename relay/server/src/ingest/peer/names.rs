//! Learning of peers from DNS: each address of a name is one.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::warn;

use super::fleet::{Change, SourceId, difference};
use super::target::Target;
use crate::config::PeerConfig;
use crate::relay::Relay;

/// How often a name is looked up.
const LOOK_UP_EVERY: Duration = Duration::from_secs(30);

/// Looks a name up until the relay stops. Where that fails, the peers stay as they were.
pub(super) async fn follow(relay: Arc<Relay>, name: PeerConfig, source: SourceId, changes: mpsc::Sender<Change>) {
    let stop = relay.stages.sources.stop.clone();
    let mut told = BTreeMap::new();
    loop {
        // A resolver without an answer takes long to say so.
        let Some(found) = stop.run_until_cancelled(tokio::net::lookup_host(name.address.as_str())).await else {
            return;
        };
        match found {
            Ok(found) => {
                let wanted = targets(&name, found);
                for change in difference(source, &told, &wanted) {
                    if changes.send(change).await.is_err() {
                        return;
                    }
                }
                told = wanted;
            }
            Err(error) => warn!(name = name.address, %error, "cannot look up the peers of a name"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(LOOK_UP_EVERY)).await.is_none() {
            return;
        }
    }
}

/// One peer for each address.
fn targets(name: &PeerConfig, found: impl Iterator<Item = SocketAddr>) -> BTreeMap<String, Target> {
    let host = name.address.rsplit_once(':').map_or("", |(host, _)| host);
    let target = |address: SocketAddr| {
        // All addresses of a name have one certificate: that of the name.
        let tls = name.tls.then(|| name.tls_server_name.clone().unwrap_or_else(|| host.to_owned()));
        let address = address.to_string();
        (address.clone(), Target { name: address.clone(), address, tls })
    };
    found.map(target).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_and_go() {
        let name = PeerConfig { address: "agents.example:4244".to_owned(), tls: true, ..PeerConfig::default() };
        let set = |list: &[&str]| targets(&name, list.iter().map(|address| address.parse().unwrap()));
        let (before, after) = (set(&["10.0.0.1:4244", "10.0.0.2:4244"]), set(&["10.0.0.2:4244", "10.0.0.3:4244"]));
        let changes = difference(7, &before, &after);
        let [Change::Remove(7, gone), Change::Upsert(7, new)] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!((gone.as_str(), new.name.as_str()), ("10.0.0.1:4244", "10.0.0.3:4244"));
        assert_eq!(new.tls.as_deref(), Some("agents.example"));
        assert!(difference(7, &after, &after).is_empty());
    }
}
