//! Connections with TLS. The certificates under `tls/` are made by `tls/make.sh` and good for a hundred years.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use proto::observer::GetFlowsResponse;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::StreamExt as _;
use tonic::transport::server::Connected;

use super::observer;
use super::program::{WEIR_FLOWS, flowctl_says, folder};
use super::server::{flows, serving};

/// Serves with TLS; with `mutual`, to clients with a certificate only.
fn start(mutual: bool, flows: Vec<GetFlowsResponse>) -> (SocketAddr, Runtime) {
    start_as("server", mutual, flows)
}

/// Serves with the certificate of this name.
fn start_as(name: &str, mutual: bool, flows: Vec<GetFlowsResponse>) -> (SocketAddr, Runtime) {
    let pem = |name: &str| folder().join("tls").join(name);
    let certificates =
        |name: &str| CertificateDer::pem_file_iter(pem(name)).unwrap().collect::<Result<Vec<_>, _>>().unwrap();
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
    let builder = if mutual {
        let mut roots = rustls::RootCertStore::empty();
        roots.add_parsable_certificates(certificates("ca.pem"));
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::from_pem_file(pem(&format!("{name}-key.pem"))).unwrap();
    let mut config = builder.with_single_cert(certificates(&format!("{name}.pem")), key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));

    let runtime = Runtime::new().unwrap();
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap();
    let connections = tokio_stream::wrappers::TcpListenerStream::new(listener)
        .then(move |stream| {
            let acceptor = acceptor.clone();
            async move { acceptor.accept(stream.unwrap()).await.map(Encrypted) }
        })
        // A client that does not trust us hangs up; the next one may.
        .filter(Result::is_ok);
    runtime.spawn(observer::serve(observer::state(serving(flows)), connections));
    (address, runtime)
}

/// A connection as tonic wants it.
struct Encrypted(TlsStream<TcpStream>);

impl Connected for Encrypted {
    type ConnectInfo = ();

    fn connect_info(&self) {}
}

impl AsyncRead for Encrypted {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for Encrypted {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

fn observe(address: SocketAddr, more: &[&str]) -> super::program::Outcome {
    let server = format!("tls://{address}");
    flowctl_says(&[&["observe", "-s", "--server", &server], more].concat())
}

#[test]
fn a_server_is_trusted_by_its_authority_and_name() {
    let (address, _runtime) = start(false, flows(WEIR_FLOWS));
    let ca = ["--tls-ca-cert-files", "tls/ca.pem"];
    let named = [&ca[..], &["--tls-server-name", "relay.weir.test"]].concat();
    let outcome = observe(address, &named);
    assert_eq!((outcome.code, outcome.stdout.lines().count()), (Some(0), 5), "{}", outcome.stderr);
    let insecure = observe(address, &["--tls-allow-insecure"]);
    assert_eq!((insecure.code, insecure.stdout), (Some(0), outcome.stdout), "{}", insecure.stderr);
    let same = flowctl_says(&[&["observe", "-s", "--tls", "--server", &address.to_string()], &named[..]].concat());
    assert_eq!(same.code, Some(0), "{}", same.stderr);

    for (more, reason) in
        [(&ca[..], "not valid for name"), (&["--tls-server-name", "relay.weir.test"][..], "UnknownIssuer")]
    {
        let refused = observe(address, more);
        let start = format!("rpc error: code = Unavailable desc = cannot connect to {address} with TLS: ");
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{more:?}");
        assert!(
            refused.stderr.starts_with(&start) || refused.stderr.contains("no root certificates"),
            "{}",
            refused.stderr
        );
        assert!(
            refused.stderr.contains(reason) || refused.stderr.contains("no root certificates"),
            "{}",
            refused.stderr
        );
    }
}

#[test]
fn a_server_that_signs_for_itself_is_trusted_where_it_is_named() {
    let (address, _runtime) = start_as("self", false, flows(WEIR_FLOWS));
    let asked = |ca: &str, name: &str| observe(address, &["--tls-ca-cert-files", ca, "--tls-server-name", name]);
    // Guides to Hubble have the name as it stands in the certificate, with its star.
    for name in ["relay.weir.test", "ui.relay.weir.test", "*.relay.weir.test"] {
        let outcome = asked("tls/self.pem", name);
        assert_eq!((outcome.code, outcome.stdout.lines().count()), (Some(0), 5), "{name}: {}", outcome.stderr);
    }
    for (ca, name) in [
        ("tls/self.pem", "other.weir.test"),
        ("tls/self.pem", "*.weir.test"),
        ("tls/self.pem", "*"),
        ("tls/ca.pem", "relay.weir.test"),
        ("tls/server.pem", "relay.weir.test"),
    ] {
        let refused = asked(ca, name);
        assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{ca} {name}");
        assert!(refused.stderr.starts_with("rpc error: code = Unavailable desc = "), "{ca} {name}: {}", refused.stderr);
    }
    // The other server's own certificate, which an authority signed.
    let (address, _runtime) = start(false, flows(WEIR_FLOWS));
    let pinned = ["--tls-ca-cert-files", "tls/server.pem", "--tls-server-name", "relay.weir.test"];
    assert_eq!(observe(address, &pinned).code, Some(0));
}

#[test]
fn a_client_shows_who_it_is() {
    let (address, _runtime) = start(true, flows(WEIR_FLOWS));
    let server = ["--tls-ca-cert-files", "tls/ca.pem", "--tls-server-name", "relay.weir.test"];
    let client = ["--tls-client-cert-file", "tls/client.pem", "--tls-client-key-file", "tls/client-key.pem"];
    let outcome = observe(address, &[&server[..], &client].concat());
    assert_eq!((outcome.code, outcome.stdout.lines().count()), (Some(0), 5), "{}", outcome.stderr);
    let nobody = observe(address, &server);
    assert_eq!((nobody.code, nobody.stdout.as_str()), (Some(1), ""));
    let half = observe(address, &[&server[..], &client[..2]].concat());
    assert!(half.stderr.contains("only one was provided"), "{}", half.stderr);
    let missing = observe(address, &["--tls-ca-cert-files", "tls/none.pem"]);
    assert!(missing.stderr.contains("cannot load cert 'tls/none.pem'"), "{}", missing.stderr);
}

#[test]
fn a_server_with_tls_is_recognised_by_a_client_without() {
    let (address, _runtime) = start(false, Vec::new());
    let outcome = flowctl_says(&["observe", "--server", &address.to_string()]);
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.stderr.contains("if it wants TLS, add --tls"), "{}", outcome.stderr);
}
