//! `--port-forward` through a cluster's API server that is as small as can be.

use std::net::SocketAddr;

use futures::{SinkExt as _, StreamExt as _};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::handshake::server::{ErrorResponse, Request, Response};
use tokio_tungstenite::tungstenite::http::HeaderValue;

use super::observer::RunningObserver;
use super::program::{EVERY_KIND, Outcome, flowctl, run};
use super::server::{flows, serving};

/// The port of the pod that the service leads to, by its name.
const POD_PORT: u16 = 4245;

/// What a cluster of today speaks.
const PROTOCOL: &str = "v4.channel.k8s.io";

const SERVICE: &str = r#"{"apiVersion":"v1","kind":"Service","metadata":{"name":"hubble-relay"},
    "spec":{"selector":{"k8s-app":"hubble-relay"},"ports":[{"port":80,"targetPort":"grpc"}]}}"#;

const PODS: &str = r#"{"apiVersion":"v1","kind":"PodList","metadata":{},"items":[
    {"metadata":{"name":"relay-0"},"spec":{"containers":[]},"status":{"phase":"Pending"}},
    {"metadata":{"name":"relay-1"},"status":{"phase":"Running"},
     "spec":{"containers":[{"name":"relay","ports":[{"name":"grpc","containerPort":4245}]}]}}]}"#;

/// A cluster with a relay in one of its namespaces.
struct Cluster {
    folder: tempfile::TempDir,
    _runtime: Runtime,
}

impl Cluster {
    fn start(relay: SocketAddr) -> Self {
        let runtime = Runtime::new().unwrap();
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap();
        let server = listener.local_addr().unwrap();
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, relay));
            }
        });
        let folder = tempfile::tempdir().unwrap();
        let kubeconfig = format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: broken\n\
             clusters: [{{name: c, cluster: {{server: 'http://{server}'}}}}]\n\
             users: [{{name: u, user: {{}}}}]\n\
             contexts: [{{name: test, context: {{cluster: c, user: u}}}}]\n"
        );
        std::fs::write(folder.path().join("kubeconfig"), kubeconfig).unwrap();
        Self { folder, _runtime: runtime }
    }

    fn run(&self, arguments: &[&str]) -> Outcome {
        let mut command = flowctl(arguments);
        command.args(["--port-forward", "--port-forward-port=0", "--kubeconfig"]);
        run(command.arg(self.folder.path().join("kubeconfig")))
    }
}

/// Answers one request for a service or for pods, or carries a port.
async fn answer(mut stream: TcpStream, relay: SocketAddr) {
    let mut head = [0; 2048];
    let length = stream.peek(&mut head).await.unwrap();
    let head = String::from_utf8_lossy(&head[..length]).into_owned();
    let target = head.split(' ').nth(1).unwrap_or_default();
    if target.contains("/pods/relay-1/portforward") {
        carry(stream, relay).await;
        return;
    }
    let (status, body) = match target.split('?').next().unwrap_or_default() {
        "/api/v1/namespaces/cilium/services/hubble-relay" => ("200 OK", SERVICE),
        "/api/v1/namespaces/cilium/pods" if target.contains("k8s-app%3Dhubble-relay") => ("200 OK", PODS),
        _ => (
            "404 Not Found",
            r#"{"kind":"Status","apiVersion":"v1","status":"Failure","code":404,"reason":"NotFound",
            "message":"services \"hubble-relay\" not found"}"#,
        ),
    };
    let mut request = vec![0; length];
    stream.read_exact(&mut request).await.unwrap();
    let length = body.len();
    let text = format!(
        "HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    stream.write_all(text.as_bytes()).await.unwrap();
}

/// Port forwarding over a websocket: channel 0 carries the bytes, channel 1 errors; both begin with the port.
async fn carry(stream: TcpStream, relay: SocketAddr) {
    #[expect(clippy::result_large_err, reason = "the library's type")]
    let accept = |request: &Request, mut response: Response| -> Result<Response, ErrorResponse> {
        let offered = request.headers().get("sec-websocket-protocol").unwrap().to_str().unwrap();
        assert!(offered.contains(PROTOCOL), "{offered}");
        response.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(PROTOCOL));
        Ok(response)
    };
    let mut socket = tokio_tungstenite::accept_hdr_async(stream, accept).await.unwrap();
    let [low, high] = POD_PORT.to_le_bytes();
    for channel in [0, 1] {
        socket.send(Message::binary(vec![channel, low, high])).await.unwrap();
    }
    let mut relay = TcpStream::connect(relay).await.unwrap();
    let mut buffer = [0; 4096];
    loop {
        tokio::select! {
            read = relay.read(&mut buffer) => {
                let length = read.unwrap_or_default();
                if length == 0 {
                    return;
                }
                let mut message = vec![0];
                message.extend_from_slice(&buffer[..length]);
                socket.send(Message::binary(message)).await.unwrap();
            }
            message = socket.next() => match message {
                Some(Ok(Message::Binary(bytes))) if bytes.first() == Some(&0) => {
                    relay.write_all(&bytes[1..]).await.unwrap();
                }
                Some(Ok(Message::Close(_)) | Err(_)) | None => return,
                Some(Ok(_)) => {}
            },
        }
    }
}

#[test]
fn a_relay_in_a_cluster() {
    let server = RunningObserver::start(serving(flows(EVERY_KIND)));
    let cluster = Cluster::start(server.address);
    let there = ["observe", "--last=100", "-ojson", "--kube-context=test", "--kube-namespace=cilium"];
    let forwarded = cluster.run(&there);
    let direct = run(&mut flowctl(&["observe", "--last=100", "-ojson", &server.flag()]));
    assert!(!direct.stdout.is_empty());
    assert_eq!((forwarded.code, forwarded.stdout), (Some(0), direct.stdout), "{}", forwarded.stderr);
}

#[test]
fn clusters_that_have_no_relay() {
    let cluster = Cluster::start(SocketAddr::from(([127, 0, 0, 1], 9)));
    let elsewhere = cluster.run(&["status", "--kube-context=test"]);
    assert_eq!((elsewhere.code, elsewhere.stdout.as_str()), (Some(1), ""));
    let failed = "failed to port forward: failed to get service \"hubble-relay\"";
    assert!(elsewhere.stderr.contains(failed), "{}", elsewhere.stderr);
    let context = cluster.run(&["status", "--kube-context=other"]);
    assert_eq!(context.code, Some(1));
    assert!(context.stderr.contains("failed to create k8s port forwader"), "{}", context.stderr);
}
