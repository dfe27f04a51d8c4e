//! `watch peers`: the peers of a collector or agent, and each change of them.

use std::io::Write;
use std::pin::pin;

use anyhow::Result;
use proto::peer::peer_client::PeerClient;
use proto::peer::{ChangeNotification, ChangeNotificationType, NotifyRequest};
use tonic::{Code, Status};

use crate::connect::{Connection, Failure};
use crate::print::put;
use crate::settings::Settings;
use crate::stop;

/// Prints changes until the server ends the stream or the user stops it.
///
/// # Errors
/// The server cannot be reached or has no peers to tell of.
pub(crate) fn peers(settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let server = settings.server()?;
    crate::runtime()?.block_on(async {
        let connection = Connection::open(&server).await?;
        let mut client = PeerClient::new(connection.channel.clone());
        let mut stream =
            client.notify(NotifyRequest {}).await.map_err(|status| explain(&connection, &status))?.into_inner();
        let mut stop = pin!(stop::requested());
        loop {
            let message = tokio::select! {
                biased;
                () = &mut stop => return Ok(()),
                message = stream.message() => message,
            };
            match message {
                Ok(Some(change)) => {
                    let mut line = Vec::new();
                    write_change(&mut line, &change);
                    out.write_all(&line)?;
                    out.flush()?;
                }
                Ok(None) => return Ok(()),
                Err(status) if status.code() == Code::Cancelled => return Ok(()),
                Err(status) => return Err(explain(&connection, &status)),
            }
        }
    })
}

/// What went wrong, in words: relays, where people ask for all else, know of no peers.
fn explain(connection: &Connection, status: &Status) -> anyhow::Error {
    match status.code() {
        Code::Unimplemented => {
            let (message, target) = (status.message(), &connection.target);
            Failure::of(status.code(), format!("{message}; {target} tells of no peers, ask a collector or agent"))
        }
        _ => connection.explain(status),
    }
}

fn write_change(out: &mut Vec<u8>, change: &ChangeNotification) {
    let kind = ChangeNotificationType::try_from(change.r#type)
        .map_or_else(|_| change.r#type.to_string(), |kind| kind.as_str_name().to_owned());
    put(out, &format!("{kind:<12} {} {}", change.address, change.name));
    if let Some(tls) = &change.tls {
        put(out, &format!(" (TLS.ServerName: {})", tls.server_name));
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use proto::peer::Tls;

    use super::*;

    #[test]
    fn a_change_is_a_line() {
        let mut change = ChangeNotification {
            name: "k1".to_owned(),
            address: "10.0.0.1:4244".to_owned(),
            r#type: ChangeNotificationType::PeerAdded.into(),
            tls: None,
        };
        let line = |change: &ChangeNotification| {
            let mut out = Vec::new();
            write_change(&mut out, change);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(line(&change), "PEER_ADDED   10.0.0.1:4244 k1\n");
        change.tls = Some(Tls { server_name: "k1.default.hubble-grpc.cilium.io".to_owned() });
        assert_eq!(line(&change), "PEER_ADDED   10.0.0.1:4244 k1 (TLS.ServerName: k1.default.hubble-grpc.cilium.io)\n");
    }
}
