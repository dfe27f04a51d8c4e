//! Where a peer is, and connecting to it.

use std::time::Duration;

use connections::PING_EVERY;
use proto::peer::ChangeNotification;
use tls::{ClientTls, ConnectError, Dial};
use tonic::transport::{Channel, Endpoint};

use crate::config::Place;

/// Time to reach a peer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Bytes that a peer may send ahead, so that it does not wait for acknowledgments of packets.
const WINDOW_BYTES: u32 = 4 << 20;

/// A server to talk to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    /// Name shown for it.
    pub(crate) name: String,
    /// Where it is, as people write it.
    pub(crate) address: String,
    /// Whether it serves TLS, and the name in its certificate; an empty one stands for its host.
    pub(crate) tls: Option<String>,
}

/// No connection.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TargetError {
    /// The address is none.
    #[error("{0:?} is {no_place}", no_place = Place::NONE)]
    Address(String),
    /// The peer wants TLS, and nothing says whom to trust.
    #[error("the peer wants TLS: set relay.peer_tls with the authority of its certificate")]
    NoTls,
    /// Nobody answers.
    #[error("cannot connect")]
    Connect(#[source] tonic::transport::Error),
    /// No connection over TLS.
    #[error("cannot connect")]
    Secure(#[source] ConnectError),
}

impl Target {
    /// The peer of a notification. An address without a port is shown with the one it means.
    pub(super) fn of(change: ChangeNotification) -> Self {
        let tls = change.tls.map(|tls| tls.server_name);
        Self { name: change.name, address: Place::shown(&change.address), tls }
    }

    /// Connects.
    ///
    /// # Errors
    /// The address is none, nobody answers, or the peer is not trusted.
    pub(super) async fn connect(&self, tls: Option<&ClientTls>) -> Result<Channel, TargetError> {
        let no_address = || TargetError::Address(self.address.clone());
        match (Place::of(&self.address).ok_or_else(no_address)?, &self.tls) {
            (Place::Unix(path), _) => {
                let endpoint = endpoint(format!("unix://{}", path.display())).map_err(|_| no_address())?;
                endpoint.connect().await.map_err(TargetError::Connect)
            }
            (Place::Tcp { host, port }, None) => {
                let endpoint = endpoint(url(&host, port)).map_err(|_| no_address())?;
                endpoint.connect().await.map_err(TargetError::Connect)
            }
            (Place::Tcp { host, port }, Some(server_name)) => {
                let settings = tls.ok_or(TargetError::NoTls)?;
                let endpoint = endpoint(url(&host, port)).map_err(|_| no_address())?;
                let server_name = Some(server_name.clone()).filter(|name| !name.is_empty());
                tls::connect(endpoint, Dial { host, port, server_name }, settings).await.map_err(TargetError::Secure)
            }
        }
    }
}

fn url(host: &str, port: u16) -> String {
    if host.contains(':') { format!("http://[{host}]:{port}") } else { format!("http://{host}:{port}") }
}

fn endpoint(url: String) -> Result<Endpoint, tonic::transport::Error> {
    Ok(Endpoint::from_shared(url)?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(PING_EVERY)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_are_shown_with_their_port() {
        for (told, expected) in [
            ("10.0.0.9", "10.0.0.9:4244"),
            ("fd00::1", "[fd00::1]:4244"),
            ("10.0.0.9:1", "10.0.0.9:1"),
            ("node-1.example:4244", "node-1.example:4244"),
        ] {
            let change = ChangeNotification { address: told.to_owned(), ..ChangeNotification::default() };
            assert_eq!(Target::of(change).address, expected);
        }
    }
}
