//! Addresses of gRPC servers, as people and peers write them.

use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

/// Port of a Hubble server where an address names none.
const DEFAULT_PORT: u16 = 4244;

/// An address that was understood.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A TCP port.
    Tcp {
        /// Name or address, the latter without brackets.
        host: String,
        /// The port.
        port: u16,
    },
}

impl Place {
    /// What to say of an address that was not understood.
    pub(crate) const NONE: &str = "no address such as node-1:4244, 10.0.0.1:4244, 10.0.0.1 (whose port is 4244), \
                                   unix:///run/observer.sock or /run/observer.sock";

    /// Understands an address as Hubble's relay does: `unix://…`, `/….sock`, `host:port`, or an IP address alone.
    pub(crate) fn of(address: &str) -> Option<Self> {
        if let Some(path) = address.strip_prefix("unix://").filter(|path| path.starts_with('/')) {
            return Some(Self::Unix(path.into()));
        }
        if address.starts_with('/') && address.ends_with(".sock") {
            return Some(Self::Unix(address.into()));
        }
        if let Ok(ip) = address.parse::<IpAddr>() {
            return Some(Self::Tcp { host: ip.to_string(), port: DEFAULT_PORT });
        }
        let (host, port) = address.rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        let plain = !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ', '[', ']']);
        let port = port.parse().ok().filter(|port| *port != 0)?;
        plain.then(|| Self::Tcp { host: host.to_owned(), port })
    }

    /// An address as it is shown: one without a port with the one it means.
    pub(crate) fn shown(address: &str) -> String {
        match address.parse() {
            Ok(ip) => SocketAddr::new(ip, DEFAULT_PORT).to_string(),
            Err(_) => address.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(Place::of(address), expected, "{address}");
        }
    }
}
