//! How the collector of `weir up` reaches the relay of the same process.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context, Result, bail};

use crate::settings::Settings;

/// What to set where the relay speaks TLS.
const REMEDY: &str = "set collector.relay.tls.ca_files to the authority of relay.grpc.tls.cert_file, \
    collector.relay.tls.server_name to a name in that certificate unless it has the address, and where \
    relay.grpc.tls.client_ca_files is set collector.relay.tls.cert_file and key_file to a certificate of these; or set \
    collector.relay.address to where the collector is to send flows";

/// The way to the relay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// The address is the user's.
    Given,
    /// Without TLS.
    Plain,
    /// As `collector.relay.tls` says.
    Secured,
}

impl Way {
    /// The way that the settings lead.
    ///
    /// # Errors
    /// The relay speaks TLS, and nothing says how the collector is to trust it; names the settings.
    pub(crate) fn of(settings: &Settings) -> Result<Self> {
        let relay = &settings.collector.relay;
        Ok(match (&relay.address, &settings.relay.grpc.tls, &relay.tls) {
            (Some(_), _, _) => Self::Given,
            (None, None, _) => Self::Plain,
            (None, Some(_), Some(_)) => Self::Secured,
            (None, Some(_), None) => bail!(
                "relay.grpc.tls is set, and collector.relay.tls does not say how the collector of the same process is to \
                 trust the relay: {REMEDY}"
            ),
        })
    }

    /// Does the handshake that the collector will have with the relay, so that a mistake is an error at the start.
    ///
    /// # Errors
    /// One would not trust the other; names the settings.
    pub(crate) async fn rehearse(self, settings: &Settings) -> Result<()> {
        let (Self::Secured, Some(server), Some(client)) =
            (self, &settings.relay.grpc.tls, &settings.collector.relay.tls)
        else {
            return Ok(());
        };
        let host = reachable(settings.relay.grpc.listen).ip().to_string();
        let rehearsed = tls::rehearse(server, client, &host).await;
        rehearsed
            .with_context(|| format!("the collector cannot reach the relay of the same process at {host}: {REMEDY}"))
    }

    /// Address for the collector to send to, where the user gave none.
    pub(crate) fn address(self, relay: SocketAddr) -> Option<String> {
        match self {
            Self::Given => None,
            Self::Plain => Some(format!("http://{}", reachable(relay))),
            Self::Secured => Some(format!("https://{}", reachable(relay))),
        }
    }
}

/// An address that can be called: a listener on all addresses is reached over loopback.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        IpAddr::V6(ip) if ip.is_unspecified() => SocketAddr::new(Ipv6Addr::LOCALHOST.into(), address.port()),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use tls::{ClientTls, ServerTls};

    use super::*;

    fn file(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../tls/tests/certificates").join(name)
    }

    fn settings(server: bool, ca: Option<&str>, address: Option<&str>) -> Settings {
        let mut settings = Settings::default();
        settings.relay.grpc.tls = server.then(|| ServerTls {
            cert_file: file("server.pem"),
            key_file: file("server-key.pem"),
            client_ca_files: Vec::new(),
        });
        settings.collector.relay.tls = ca.map(|ca| ClientTls { ca_files: vec![file(ca)], ..ClientTls::default() });
        settings.collector.relay.address = address.map(str::to_owned);
        settings
    }

    #[test]
    fn the_relay_is_reached_as_the_settings_say() {
        let at = "0.0.0.0:4245".parse().unwrap();
        for (settings, expected) in [
            (settings(false, None, None), Some("http://127.0.0.1:4245")),
            (settings(false, Some("ca.pem"), None), Some("http://127.0.0.1:4245")),
            (settings(true, Some("ca.pem"), None), Some("https://127.0.0.1:4245")),
            (settings(true, None, Some("https://relay.example:4245")), None),
            (settings(false, None, Some("http://relay.example:4245")), None),
        ] {
            assert_eq!(Way::of(&settings).unwrap().address(at).as_deref(), expected);
        }
        let error = Way::of(&settings(true, None, None)).unwrap_err().to_string();
        for key in ["relay.grpc.tls", "collector.relay.tls.ca_files", "server_name", "collector.relay.address"] {
            assert!(error.contains(key), "{key} in {error}");
        }
    }

    #[tokio::test]
    async fn sides_that_would_not_trust_each_other_are_refused() {
        for (ca, server_name, trusted) in
            [("ca.pem", None, true), ("ca.pem", Some("relay.example"), false), ("other-ca.pem", None, false)]
        {
            let mut settings = settings(true, Some(ca), None);
            settings.collector.relay.tls.as_mut().unwrap().server_name = server_name.map(str::to_owned);
            let rehearsed = Way::of(&settings).unwrap().rehearse(&settings).await;
            assert_eq!(rehearsed.is_ok(), trusted, "{ca} {server_name:?}");
            assert!(rehearsed.is_ok() || rehearsed.unwrap_err().to_string().contains("collector.relay.tls.ca_files"));
        }
    }
}
