//! Handshakes between our two sides over real sockets.
#![expect(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::StreamExt as _;
use tls::{Acceptor, ClientTls, ConnectError, Dial, ServerTls, TlsError, connect, rehearse, secured};
use tokio::net::TcpListener;
use tonic::transport::Endpoint;

fn file(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/certificates").join(name)
}

fn server(client_ca: &[&str]) -> ServerTls {
    let client_ca_files = client_ca.iter().map(|name| file(name)).collect();
    ServerTls { client_ca_files, ..server_as("server") }
}

/// A server with the certificate of this name, open to all.
fn server_as(name: &str) -> ServerTls {
    let (cert_file, key_file) = (file(&format!("{name}.pem")), file(&format!("{name}-key.pem")));
    ServerTls { cert_file, key_file, client_ca_files: Vec::new() }
}

fn client(ca: &str, shows_certificate: bool) -> ClientTls {
    let shown = |name| shows_certificate.then(|| file(name));
    ClientTls {
        ca_files: vec![file(ca)],
        cert_file: shown("client.pem"),
        key_file: shown("client-key.pem"),
        server_name: None,
    }
}

/// Tries to connect; the server takes connections of one handshake after the other.
async fn handshake(server: ServerTls, client: ClientTls, server_name: Option<&str>) -> Result<(), ConnectError> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let incoming = futures::stream::unfold(listener, |listener| async move {
        let accepted = listener.accept().await.map(|(stream, _)| stream);
        Some((accepted, listener))
    });
    let acceptor = Arc::new(Acceptor::load(server).unwrap());
    let serving = tokio::spawn(async move {
        let mut connections = Box::pin(secured(incoming, Some(acceptor)));
        // Held, so that the client sees an open connection.
        let mut open = Vec::new();
        while let Some(connection) = connections.next().await {
            let mut connection = connection.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut connection, SETTINGS).await.unwrap();
            open.push(connection);
        }
    });
    let dial = Dial { host: "127.0.0.1".to_owned(), port, server_name: server_name.map(str::to_owned) };
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
    let connected = connect(endpoint, dial, &client).await.map(|_| ());
    serving.abort();
    connected
}

/// An empty SETTINGS frame of HTTP/2.
const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];

#[tokio::test]
async fn names_and_authorities_are_checked() {
    for (ca, server_name, trusted) in [
        ("ca.pem", None, true),
        ("ca.pem", Some("localhost"), true),
        ("ca.pem", Some("node-1.default.hubble-grpc.cilium.io"), true),
        ("ca.pem", Some("node-1.other.hubble-grpc.cilium.io"), false),
        ("other-ca.pem", None, false),
    ] {
        let connected = handshake(server(&[]), client(ca, false), server_name).await;
        assert_eq!(connected.is_ok(), trusted, "{ca} {server_name:?}: {connected:?}");
    }
}

/// As Go's TLS does, and so `hubble-relay`.
#[tokio::test]
async fn a_server_that_signs_for_itself_is_trusted_where_it_is_named() {
    for (ca, server_name, trusted) in [
        ("self.pem", None, true),
        ("self.pem", Some("node-1.nodes.example"), true),
        ("self.pem", Some("*.nodes.example"), true),
        ("self.pem", Some("node-1.other.example"), false),
        ("self.pem", Some("*.other.example"), false),
        ("ca.pem", None, false),
    ] {
        let connected = handshake(server_as("self"), client(ca, false), server_name).await;
        assert_eq!(connected.is_ok(), trusted, "{ca} {server_name:?}: {connected:?}");
    }
    let nobody = ClientTls { ca_files: Vec::new(), ..client("ca.pem", false) };
    let error = handshake(server(&[]), nobody, None).await.unwrap_err();
    assert!(matches!(error, ConnectError::Tls(TlsError::ServerAuthorities(_))), "{error:?}");
}

#[tokio::test]
async fn a_client_shows_its_certificate() {
    assert!(handshake(server(&["ca.pem"]), client("ca.pem", true), None).await.is_ok());
    // TLS 1.3 refuses a client after its handshake, so that it learns of it when it reads.
    let acceptor = Acceptor::load(server(&["other-ca.pem"])).unwrap();
    let refused = accept_from(&acceptor, client("ca.pem", true)).await;
    assert!(refused.is_err(), "a certificate of another authority");
    let acceptor = Acceptor::load(server(&["ca.pem"])).unwrap();
    assert!(accept_from(&acceptor, client("ca.pem", false)).await.is_err(), "no certificate");
}

#[tokio::test]
async fn a_rehearsal_comes_to_what_a_connection_does() {
    let named = |name: &str| ClientTls { server_name: Some(name.to_owned()), ..client("ca.pem", false) };
    for (client_ca, client, trusted) in [
        (None, client("ca.pem", false), true),
        (None, named("node-1.default.hubble-grpc.cilium.io"), true),
        (None, named("relay.example"), false),
        (None, client("other-ca.pem", false), false),
        (Some("ca.pem"), client("ca.pem", true), true),
        (Some("ca.pem"), client("ca.pem", false), false),
        (Some("other-ca.pem"), client("ca.pem", true), false),
    ] {
        let rehearsed = rehearse(&server(client_ca.as_slice()), &client, "127.0.0.1").await;
        assert_eq!(rehearsed.is_ok(), trusted, "{client_ca:?} {client:?}: {rehearsed:?}");
    }
    assert!(rehearse(&server(&[]), &client("ca.pem", false), "127.0.0.9").await.is_err(), "an address it lacks");
}

/// What the server's side of a handshake comes to.
async fn accept_from(acceptor: &Acceptor, client: ClientTls) -> std::io::Result<()> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let dial = Dial { host: "127.0.0.1".to_owned(), port, server_name: None };
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{port}")).unwrap();
    let calling = tokio::spawn(async move { connect(endpoint, dial, &client).await.map(|_| ()) });
    let (stream, _) = listener.accept().await.unwrap();
    let accepted = acceptor.accept(stream).await.map(|_| ());
    calling.abort();
    accepted
}

#[test]
fn files_that_are_of_no_use_are_named() {
    let load = |files: ServerTls| Acceptor::load(files).unwrap_err().to_string();
    let missing = ServerTls { cert_file: file("none.pem"), ..server(&[]) };
    assert!(load(missing).contains("none.pem"));
    let no_certificate = ServerTls { cert_file: file("README.md"), ..server(&[]) };
    assert!(load(no_certificate).ends_with("README.md holds no PEM certificate (-----BEGIN CERTIFICATE-----)"));
    let other_key = ServerTls { key_file: file("client-key.pem"), ..server(&[]) };
    assert!(load(other_key).contains("cannot be used"));
}
