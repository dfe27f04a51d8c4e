//! Addresses of servers as people give them.

use std::path::PathBuf;

use anyhow::{Result, bail};

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    /// Host (a name, or an address without brackets) and port.
    Tcp { host: String, port: u16 },
    /// Unix socket.
    Unix(PathBuf),
}

/// Prefixes that only say what is understood anyway.
const PREFIXES: [&str; 7] = ["tls://", "dns:///", "dns:", "passthrough:///", "passthrough:", "http://", "https://"];

impl Target {
    /// Reads `host:port`, `host` (with the default port), `[::1]:port`, `unix:///path` and the like.
    ///
    /// # Errors
    /// There is no host or the port is no number.
    pub(crate) fn parse(address: &str, default_port: u16) -> Result<Self> {
        if let Some(path) = address.strip_prefix("unix:") {
            let path = path.strip_prefix("//").unwrap_or(path);
            if path.is_empty() {
                bail!("{address:?} names no socket: give a path such as unix:///var/run/weir/observer.sock");
            }
            return Ok(Self::Unix(path.into()));
        }
        let rest = PREFIXES.iter().find_map(|prefix| address.strip_prefix(prefix)).unwrap_or(address);
        let rest = rest.trim_end_matches('/');
        let (host, port) = match rest.strip_prefix('[').and_then(|inner| inner.split_once(']')) {
            Some((host, "")) => (host, None),
            Some((host, port)) => (host, port.strip_prefix(':')),
            // More than one colon without brackets is an IPv6 address without a port.
            None if rest.matches(':').count() > 1 => (rest, None),
            None => rest.split_once(':').map_or((rest, None), |(host, port)| (host, Some(port))),
        };
        let Ok(port) = port.map_or(Ok(default_port), str::parse) else {
            bail!("{address:?} has no port that can be understood: give an address such as localhost:{default_port}");
        };
        if host.contains('/') {
            bail!("{address:?} is not an address: give a host and a port, such as localhost:{default_port}");
        }
        // As in Go, `:4245` is this machine.
        let host = if host.is_empty() { "localhost" } else { host };
        Ok(Self::Tcp { host: host.to_owned(), port })
    }

    /// Host to check a certificate against.
    pub(crate) fn host(&self) -> &str {
        match self {
            Self::Tcp { host, .. } => host,
            Self::Unix(_) => "localhost",
        }
    }

    /// Authority of requests.
    pub(crate) fn authority(&self) -> String {
        match self {
            Self::Tcp { .. } => self.to_string(),
            Self::Unix(_) => "localhost".to_owned(),
        }
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp { host, port } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port } => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_in_every_form() {
        for (address, expected) in [
            ("localhost:4245", "localhost:4245"),
            ("relay", "relay:4245"),
            (":4000", "localhost:4000"),
            ("tls://relay.example:443", "relay.example:443"),
            ("http://relay:80/", "relay:80"),
            ("dns:///relay:1", "relay:1"),
            ("dns:relay:1", "relay:1"),
            ("passthrough:relay:1", "relay:1"),
            ("[::1]:4244", "[::1]:4244"),
            ("::1", "[::1]:4245"),
            ("unix:///var/run/x.sock", "unix:///var/run/x.sock"),
            ("unix:x.sock", "unix://x.sock"),
        ] {
            assert_eq!(Target::parse(address, 4245).unwrap().to_string(), expected, "{address}");
        }
        for address in ["unix:", "relay:port", "relay:99999", "a/b"] {
            assert!(Target::parse(address, 4245).is_err(), "{address}");
        }
    }
}
