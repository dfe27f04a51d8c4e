//! Where a peer is, and connecting to it.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use proto::peer::ChangeNotification;
use tls::{ClientTls, ConnectError, Dial};
use tonic::transport::{Channel, Endpoint};

/// Port of a Hubble server where an address names none.
const DEFAULT_PORT: u16 = 4244;
/// Time to reach a peer.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence after which a peer is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(30);
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
    #[error("{0:?} is no address such as 10.0.0.1:4244 or unix:///run/observer.sock")]
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

/// An address that was understood.
#[derive(Debug, PartialEq, Eq)]
enum Place {
    Unix(PathBuf),
    Tcp { host: String, port: u16 },
}

impl Target {
    /// The peer of a notification. An address without a port is shown with the one it means.
    pub(super) fn of(change: ChangeNotification) -> Self {
        let ip = change.address.parse().ok();
        let address = ip.map_or(change.address, |ip| SocketAddr::new(ip, DEFAULT_PORT).to_string());
        Self { name: change.name, address, tls: change.tls.map(|tls| tls.server_name) }
    }

    /// Connects.
    ///
    /// # Errors
    /// The address is none, nobody answers, or the peer is not trusted.
    pub(super) async fn connect(&self, tls: Option<&ClientTls>) -> Result<Channel, TargetError> {
        let no_address = || TargetError::Address(self.address.clone());
        match (place(&self.address).ok_or_else(no_address)?, &self.tls) {
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

/// Understands an address as Hubble's relay does: `unix://…`, `/….sock`, `host:port`, or an IP address alone.
fn place(address: &str) -> Option<Place> {
    if let Some(path) = address.strip_prefix("unix://").filter(|path| path.starts_with('/')) {
        return Some(Place::Unix(path.into()));
    }
    if address.starts_with('/') && address.ends_with(".sock") {
        return Some(Place::Unix(address.into()));
    }
    if let Ok(ip) = address.parse::<std::net::IpAddr>() {
        return Some(Place::Tcp { host: ip.to_string(), port: DEFAULT_PORT });
    }
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    let plain = !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ', '[', ']']);
    let port = port.parse().ok().filter(|port| *port != 0)?;
    plain.then(|| Place::Tcp { host: host.to_owned(), port })
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

    #[test]
    fn addresses_are_understood_as_by_hubbles_relay() {
        let tcp = |host: &str, port| Some(Place::Tcp { host: host.to_owned(), port });
        for (address, expected) in [
            ("192.0.2.1", tcp("192.0.2.1", 4244)),
            ("192.0.2.1:4000", tcp("192.0.2.1", 4000)),
            ("2001:db8::68", tcp("2001:db8::68", 4244)),
            ("[2001:db8::68]:4000", tcp("2001:db8::68", 4000)),
            ("node-1.example:4244", tcp("node-1.example", 4244)),
            ("unix:///var/run/cilium/hubble.sock", Some(Place::Unix("/var/run/cilium/hubble.sock".into()))),
            ("/var/run/cilium/hubble.sock", Some(Place::Unix("/var/run/cilium/hubble.sock".into()))),
            ("", None),
            ("node-1", None),
            ("node-1:0", None),
            ("http://node-1:4244", None),
        ] {
            assert_eq!(place(address), expected, "{address}");
        }
    }
}
