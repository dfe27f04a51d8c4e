//! Checking what types cannot express.

use std::net::IpAddr;

use super::{Config, Place};
use crate::memory::Budget;

/// Bytes without which the index cannot work.
const INDEX_BYTES_MIN: usize = 1 << 20;

/// A value that cannot be.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("relay setting {key}: {problem}")]
pub struct ConfigError {
    /// Key with its section, such as `sql.rows_max`.
    pub key: String,
    /// What is wrong with the value, and what would be right.
    pub problem: String,
}

impl Config {
    /// Checks the values.
    ///
    /// # Errors
    /// Names the first key whose value cannot work, with what would.
    pub fn validate(&self) -> Result<(), ConfigError> {
        self.validate_limits()?;
        if self.ingest.batch_rows_max > table::MAX_BATCH_ROWS {
            let problem =
                format!("must be at most {}, which a batch of the flow table can hold", table::MAX_BATCH_ROWS);
            return Err(ConfigError { key: "ingest.batch_rows_max".to_owned(), problem });
        }
        if self.ingest.peer_batch_rows > self.ingest.batch_rows_max {
            let problem = "must not be above ingest.batch_rows_max".to_owned();
            return Err(ConfigError { key: "ingest.peer_batch_rows".to_owned(), problem });
        }
        if self.index.memory_bytes_max.is_some_and(|bytes| bytes < INDEX_BYTES_MIN) {
            let problem = format!("must be at least {INDEX_BYTES_MIN}");
            return Err(ConfigError { key: "index.memory_bytes_max".to_owned(), problem });
        }
        Budget::of(self, None)?;
        if let Some((key, problem)) = self.store.problem() {
            return Err(ConfigError { key: key.to_owned(), problem });
        }
        self.validate_peers()
    }

    fn validate_limits(&self) -> Result<(), ConfigError> {
        let (grpc, http, live, ingest, sql) = (&self.grpc, &self.http, &self.live, &self.ingest, &self.sql);
        let limits = [
            ("grpc.connections_max", grpc.connections_max),
            ("grpc.streams_max", grpc.streams_max),
            ("grpc.stream_buffer_flows", grpc.stream_buffer_flows),
            ("http.connections_max", http.connections_max),
            ("http.request_bytes_max", http.request_bytes_max),
            ("http.answer_flows_max", http.answer_flows_max),
            ("flight_sql.connections_max", self.flight_sql.connections_max),
            ("flight_sql.prepared_max", self.flight_sql.prepared_max),
            ("live.streams_max", live.streams_max),
            ("live.batch_flows", live.batch_flows),
            ("ingest.collectors_max", ingest.collectors_max),
            ("ingest.batch_rows_max", ingest.batch_rows_max),
            ("ingest.message_bytes_max", ingest.message_bytes_max),
            ("ingest.queue_batches", ingest.queue_batches),
            ("ingest.peer_batch_rows", ingest.peer_batch_rows),
            ("index.flows_max", self.index.flows_max),
            ("index.losses_max", self.index.losses_max),
            ("index.nodes_max", self.index.nodes_max),
            ("sql.memory_bytes_max", sql.memory_bytes_max.unwrap_or(1)),
            ("store.file_flows", self.store.file_flows),
            ("sql.queries_max", sql.queries_max),
            ("sql.rows_max", sql.rows_max),
            ("sql.json_rows_max", sql.json_rows_max),
        ];
        let times = [
            ("live.batch_ms", live.batch_ms),
            ("live.lag_flows_max", live.lag_flows_max),
            ("live.heartbeat_ms", live.heartbeat_ms),
            ("ingest.node_gone_ms", ingest.node_gone_ms),
            ("ingest.peer_batch_ms", ingest.peer_batch_ms),
            ("ingest.peer_history_flows", ingest.peer_history_flows),
            ("grpc.lag_flows_max", grpc.lag_flows_max),
            ("grpc.stall_ms", grpc.stall_ms),
            ("store.fsync_ms", self.store.fsync_ms),
            ("store.log_file_bytes", self.store.log_file_bytes),
            ("store.file_age_ms", self.store.file_age_ms),
            ("store.keep_hours", self.store.keep_hours),
            ("store.bytes_max", self.store.bytes_max),
            ("sql.deadline_ms", sql.deadline_ms),
            ("shutdown_deadline_ms", self.shutdown_deadline_ms),
        ];
        let zero = limits.iter().filter(|(_, v)| *v == 0).map(|(k, _)| *k);
        let zero = zero.chain(times.iter().filter(|(_, v)| *v == 0).map(|(k, _)| *k)).next();
        zero.map_or(Ok(()), |key| Err(ConfigError { key: key.to_owned(), problem: "must be at least 1".to_owned() }))
    }

    fn validate_peers(&self) -> Result<(), ConfigError> {
        let lists = [("peers", &self.peers), ("peer_services", &self.peer_services), ("peer_names", &self.peer_names)];
        for (list, peers) in lists {
            for (i, peer) in peers.iter().enumerate() {
                // A name is looked up with its port.
                let is_name = list == "peer_names";
                let understood = match Place::of(&peer.address) {
                    Some(Place::Tcp { .. }) => !is_name || peer.address.parse::<IpAddr>().is_err(),
                    Some(Place::Unix(_)) => !is_name,
                    None => false,
                };
                if !understood {
                    let form = if is_name { "not name:port" } else { Place::NONE };
                    let problem = format!("{:?} is {form}", peer.address);
                    return Err(ConfigError { key: format!("{list}[{i}].address"), problem });
                }
                if peer.tls && self.peer_tls.is_none() {
                    let problem = "needs peer_tls, with the authority of the peer's certificate".to_owned();
                    return Err(ConfigError { key: format!("{list}[{i}].tls"), problem });
                }
            }
        }
        for (i, pods) in self.peer_pods.iter().enumerate() {
            if pods.port == 0 {
                let problem = "must be the port of the pods' gRPC server, such as 4244".to_owned();
                return Err(ConfigError { key: format!("peer_pods[{i}].port"), problem });
            }
            if pods.tls && self.peer_tls.is_none() {
                let problem = "needs peer_tls, with the authority of the pods' certificates".to_owned();
                return Err(ConfigError { key: format!("peer_pods[{i}].tls"), problem });
            }
        }
        for (i, peer) in self.peers.iter().enumerate() {
            if let Some(first) = self.peers[..i].iter().position(|p| p.display_name() == peer.display_name()) {
                return Err(ConfigError {
                    key: format!("peers[{i}].name"),
                    problem: format!("{:?} is the name of peers[{first}] too; give each its own", peer.display_name()),
                });
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::PeerConfig;

    #[test]
    fn defaults_are_valid_and_survive_the_file() {
        let config = Config::default();
        config.validate().unwrap();
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<Config>(&text).unwrap(), config);
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), config);
    }

    #[test]
    fn an_unknown_key_is_named() {
        let error = serde_json::from_str::<Config>(r#"{"sql":{"rows":1}}"#).unwrap_err().to_string();
        assert!(error.contains("unknown field `rows`") && error.contains("rows_max"), "{error}");
    }

    #[test]
    fn a_bad_value_names_its_key() {
        let mut config = Config::default();
        config.sql.rows_max = 0;
        assert_eq!(config.validate().unwrap_err().to_string(), "relay setting sql.rows_max: must be at least 1");
        let mut config = Config::default();
        config.ingest.batch_rows_max = 1 << 20;
        assert_eq!(config.validate().unwrap_err().key, "ingest.batch_rows_max");
    }

    #[test]
    fn addresses_of_peers_are_checked() {
        // As a peer, and as a name of which each address is one.
        for (address, peer, name) in [
            ("10.0.0.5:4244", true, true),
            ("[fd00::5]:4244", true, true),
            ("node-1.example:4244", true, true),
            ("unix:///run/weir/observer.sock", true, false),
            ("/run/weir/observer.sock", true, false),
            ("10.0.0.5", true, false),
            ("fd00::5", true, false),
            ("node-1", false, false),
            ("http://node-1:4244", false, false),
            (":4244", false, false),
            ("node-1:0", false, false),
            ("", false, false),
        ] {
            let list = vec![PeerConfig { address: address.to_owned(), ..PeerConfig::default() }];
            let peers = Config { peers: list.clone(), ..Config::default() };
            let services = Config { peer_services: list.clone(), ..Config::default() };
            let names = Config { peer_names: list, ..Config::default() };
            let valid = [peers, services, names].map(|config| config.validate().is_ok());
            assert_eq!(valid, [peer, peer, name], "{address}");
        }
        let peers = vec![PeerConfig { address: "node-1".to_owned(), ..PeerConfig::default() }];
        let error = Config { peers, ..Config::default() }.validate().unwrap_err().to_string();
        assert!(error.starts_with("relay setting peers[0].address: \"node-1\" is no address such as"), "{error}");
    }

    #[test]
    fn two_peers_of_one_name_are_refused() {
        let peer = PeerConfig { name: "a".to_owned(), address: "h:1".to_owned(), ..PeerConfig::default() };
        let config = Config { peers: vec![peer.clone(), peer], ..Config::default() };
        assert!(config.validate().unwrap_err().problem.contains("peers[0]"));
    }
}
