//! Peers that an API server of Kubernetes tells of: a stand-in answers its list and its watch.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::routing::get;
use proto::observer::GetFlowsRequest;
use relay_server::PeerPods;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_stream::StreamExt as _;
use tokio_stream::wrappers::ReceiverStream;

use crate::collector::TestCollector;
use crate::relay::{TestRelay, flows, get_flows, now, numbers, wait_until};

/// Lines that a watch may lag behind; a test tells of fewer.
const LINES_MAX: usize = 64;

/// A cluster, shared with the server that answers for it.
#[derive(Clone, Default)]
struct Cluster(Arc<Mutex<Inner>>);

/// Pods of a cluster, and those who watch them.
#[derive(Default)]
struct Inner {
    pods: Vec<Value>,
    watchers: Vec<mpsc::Sender<String>>,
}

impl Cluster {
    /// Serves the pods; gives the kubeconfig that leads there.
    async fn serve(&self, folder: &std::path::Path) -> std::path::PathBuf {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let pods = Router::new().route("/api/v1/namespaces/kube-system/pods", get(answer)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, pods).await.unwrap() });
        let file = folder.join("kubeconfig");
        let text = format!(
            "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: k, user: u}}}}], \
             clusters: [{{name: k, cluster: {{server: 'http://{address}'}}}}], users: [{{name: u, user: {{}}}}]}}"
        );
        std::fs::write(&file, text).unwrap();
        file
    }

    /// Changes a pod and tells those who watch.
    fn tell(&self, kind: &str, pod: &Value) {
        let mut cluster = self.0.lock().unwrap();
        cluster.pods.retain(|known| known["metadata"]["name"] != pod["metadata"]["name"]);
        if kind != "DELETED" {
            cluster.pods.push(pod.clone());
        }
        let line = format!("{}\n", json!({ "type": kind, "object": pod }));
        cluster.watchers.retain(|watcher| watcher.try_send(line.clone()).is_ok());
    }

    /// Ends all watches, as API servers do now and then.
    fn hang_up(&self) {
        self.0.lock().unwrap().watchers.clear();
    }

    fn watchers(&self) -> usize {
        self.0.lock().unwrap().watchers.len()
    }
}

async fn answer(State(cluster): State<Cluster>, RawQuery(query): RawQuery) -> Body {
    let query = query.unwrap_or_default();
    assert!(query.contains("labelSelector=k8s-app%3Dcilium"), "{query}");
    let mut inner = cluster.0.lock().unwrap();
    if !query.contains("watch=true") {
        let list = json!({ "apiVersion": "v1", "kind": "PodList", "metadata": { "resourceVersion": "7" }, "items": inner.pods });
        return Body::from(list.to_string());
    }
    assert!(query.contains("resourceVersion=7"), "{query}");
    let (sender, lines) = mpsc::channel(LINES_MAX);
    inner.watchers.push(sender);
    Body::from_stream(ReceiverStream::new(lines).map(Ok::<_, std::convert::Infallible>))
}

fn pod(name: &str, node: &str, address: SocketAddr) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": { "name": name, "creationTimestamp": "2026-01-15T10:00:00Z" },
        "spec": { "nodeName": node, "containers": [] },
        "status": { "phase": "Running", "podIP": address.ip().to_string() },
    })
}

async fn agent(at: &str, node: &str, range: std::ops::Range<u32>) -> TestRelay {
    let agent = TestRelay::start_with(|config| config.grpc.listen = at.parse().unwrap()).await;
    TestCollector::connect(agent.grpc(), node, 1).await.push(&flows(now(), range)).await;
    agent
}

#[tokio::test(flavor = "multi_thread")]
async fn pods_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    // Pods have addresses of their own and one port.
    let first = agent("127.0.0.2:0", "node-1", 0..10).await;
    let port = first.grpc().port();
    let second = agent(&format!("127.0.0.3:{port}"), "node-2", 10..30).await;
    let third = agent(&format!("127.0.0.4:{port}"), "node-3", 30..60).await;
    let cluster = Cluster::default();
    cluster.tell("ADDED", &pod("cilium-a", "node-1", first.grpc()));
    let mut pending = pod("cilium-b", "node-2", second.grpc());
    pending["status"]["phase"] = json!("Pending");
    cluster.tell("ADDED", &pending);
    let kubeconfig = cluster.serve(folder.path()).await;
    let relay = TestRelay::start_with(|config| {
        config.ingest.peer_batch_ms = 10;
        config.peer_pods = vec![PeerPods { port, kubeconfig: Some(kubeconfig), ..PeerPods::default() }];
    })
    .await;
    let pulled = async || numbers(&get_flows(&relay, GetFlowsRequest::default()).await).len();
    let nodes = async || {
        let answer = relay.observer().await.get_nodes(proto::observer::GetNodesRequest {}).await.unwrap();
        answer.into_inner().nodes.into_iter().map(|node| node.name).collect::<Vec<_>>()
    };
    wait_until("the pod that runs was pulled from", async || pulled().await == 10).await;
    wait_until("the pods are watched", async || cluster.watchers() == 1).await;
    cluster.tell("MODIFIED", &pod("cilium-b", "node-2", second.grpc()));
    wait_until("the pod that runs now was pulled from", async || pulled().await == 30).await;

    // What changes while nobody watches is seen when the pods are listed anew.
    cluster.hang_up();
    cluster.tell("DELETED", &pod("cilium-a", "node-1", first.grpc()));
    cluster.tell("ADDED", &pod("cilium-c", "node-3", third.grpc()));
    wait_until("the new pod was pulled from", async || pulled().await == 60).await;
    let names = nodes().await;
    assert!(names.contains(&"node-2".to_owned()) && names.contains(&"node-3".to_owned()), "{names:?}");
    for relay in [relay, first, second, third] {
        relay.stop().await.unwrap();
    }
}
