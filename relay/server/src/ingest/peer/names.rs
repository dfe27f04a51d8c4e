//! Learning of peers from DNS: each address of a name is one.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tracing::warn;

use super::fleet::{Change, SourceId};
use super::target::Target;
use crate::config::PeerConfig;
use crate::relay::Relay;

/// How often a name is looked up.
const LOOK_UP_EVERY: Duration = Duration::from_secs(30);

/// Looks a name up until the relay stops. Where that fails, the peers stay as they were.
pub(super) async fn follow(relay: Arc<Relay>, name: PeerConfig, source: SourceId, changes: mpsc::Sender<Change>) {
    let stop = relay.stages.sources.stop.clone();
    let mut known = BTreeSet::new();
    loop {
        match tokio::net::lookup_host(name.address.as_str()).await {
            Ok(found) => {
                let found: BTreeSet<SocketAddr> = found.collect();
                for change in difference(&name, source, &known, &found) {
                    if changes.send(change).await.is_err() {
                        return;
                    }
                }
                known = found;
            }
            Err(error) => warn!(name = name.address, %error, "cannot look up the peers of a name"),
        }
        if stop.run_until_cancelled(tokio::time::sleep(LOOK_UP_EVERY)).await.is_none() {
            return;
        }
    }
}

fn difference(
    name: &PeerConfig,
    source: SourceId,
    known: &BTreeSet<SocketAddr>,
    found: &BTreeSet<SocketAddr>,
) -> Vec<Change> {
    let gone = known.difference(found).map(|address| Change::Remove(source, address.to_string()));
    let host = name.address.rsplit_once(':').map_or("", |(host, _)| host);
    let new = found.difference(known).map(|address| {
        // All addresses of a name have one certificate: that of the name.
        let tls = name.tls.then(|| name.tls_server_name.clone().unwrap_or_else(|| host.to_owned()));
        Change::Upsert(source, Target { name: address.to_string(), address: address.to_string(), tls })
    });
    gone.chain(new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_come_and_go() {
        let set = |list: &[&str]| list.iter().map(|a| a.parse().unwrap()).collect::<BTreeSet<SocketAddr>>();
        let name = PeerConfig { address: "agents.example:4244".to_owned(), tls: true, ..PeerConfig::default() };
        let (before, after) = (set(&["10.0.0.1:4244", "10.0.0.2:4244"]), set(&["10.0.0.2:4244", "10.0.0.3:4244"]));
        let changes = difference(&name, 7, &before, &after);
        let [Change::Remove(7, gone), Change::Upsert(7, new)] = changes.as_slice() else { panic!("{changes:?}") };
        assert_eq!((gone.as_str(), new.name.as_str()), ("10.0.0.1:4244", "10.0.0.3:4244"));
        assert_eq!(new.tls.as_deref(), Some("agents.example"));
        assert!(difference(&name, 7, &after, &after).is_empty());
    }
}
