//! Completion from what a server knows. The shells themselves are in `shells.rs`.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use proto::observer::{GetNamespacesResponse, GetNodesResponse, Namespace, Node};

use super::observer::{Answers, RunningObserver};
use super::program::{EVERY_KIND, flowctl_says};
use super::server::{flows, serving};

/// A server that knows names.
pub(crate) fn relay() -> RunningObserver {
    let namespace = |name: &str| Namespace { cluster: String::new(), namespace: name.to_owned() };
    let node = |name: &str| Node { name: name.to_owned(), ..Node::default() };
    RunningObserver::start(Answers {
        nodes: Some(GetNodesResponse { nodes: vec![node("kind/worker-1"), node("kind/worker-2")] }),
        namespaces: GetNamespacesResponse { namespaces: vec![namespace("shop"), namespace("kube-system")] },
        ..serving(flows(EVERY_KIND))
    })
}

fn candidates(words: &[&str]) -> Vec<String> {
    let outcome = flowctl_says(&[&["__complete"], words].concat());
    assert_eq!((outcome.stderr.as_str(), outcome.code), ("", Some(0)), "{words:?}");
    let mut lines: Vec<String> = outcome.stdout.lines().map(str::to_owned).collect();
    assert!(lines.pop().unwrap().starts_with(':'));
    lines
}

#[test]
fn commands_and_layouts_are_offered_where_they_are() {
    let names = |words: &[&str]| -> Vec<String> {
        candidates(words).iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&["help", "obs"]), ["observe"]);
    assert_eq!(names(&["help", "observe", ""]), ["agent-events", "debug-events", "flows"]);
    assert_eq!(names(&["help", "observe", "flows", ""]), [""; 0]);
    assert_eq!(names(&["help", "nothing", ""]), [""; 0]);
    assert_eq!(names(&["status", "-o", ""]), ["compact", "dict", "json", "table"]);
    assert_eq!(names(&["list", "nodes", "-o", ""]), ["json", "table", "wide"]);
    assert_eq!(names(&["observe", "-o", "n"]), ["ndjson"]);
}

#[test]
fn names_come_from_the_server() {
    let server = relay();
    let flag = server.flag();
    let check = |words: &[&str], expected: &[&str]| {
        assert_eq!(candidates(&[&["observe", &flag], words].concat()), expected, "{words:?}");
    };
    check(&["--namespace", ""], &["kube-system", "shop"]);
    check(&["-n", "sh"], &["shop"]);
    check(&["--to-namespace=ku"], &["kube-system"]);
    check(&["--node-name", "kind/worker-2"], &["kind/worker-2"]);
    check(&["--pod", "default/xw"], &["default/xwing"]);
    check(&["--from-pod", "default/tie"], &["default/tiefighter-6b4b7c"]);
    check(
        &["--where", "verdict=dropped and src.ns in (kube-system, s"],
        &["verdict=dropped and src.ns in (kube-system, shop, ", "verdict=dropped and src.ns in (kube-system, shop)"],
    );
    check(
        &["--where", "src.pod=default/xw"],
        &["src.pod=default/xwing", "src.pod=default/xwing and ", "src.pod=default/xwing or "],
    );
    check(&["--group-by", "src.ns,dst.p"], &["src.ns,dst.pod\tpod, as [namespace/]prefix", "src.ns,dst.port\tport"]);
    for words in [&["--label", ""][..], &["--to-fqdn", ""], &["--workload", ""], &["--service", ""], &["--ip", "10."]] {
        let found = candidates(&[&["observe", &flag], words].concat());
        assert!(!found.is_empty(), "{words:?}");
    }
    assert_eq!(candidates(&["map", &flag, "src.ns=sh"])[0], "src.ns=shop");
}

#[test]
fn a_collector_knows_nodes_by_its_flows() {
    let server = RunningObserver::start(serving(flows(EVERY_KIND)));
    let found = candidates(&["observe", &server.flag(), "--node-name", ""]);
    assert_eq!(found, ["kind-kind/kind-worker"]);
}

#[test]
fn a_server_that_does_not_answer_keeps_nobody_waiting() {
    // It accepts, for the system does, but nobody reads.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = format!("--server={}", listener.local_addr().unwrap());
    for server in [silent.as_str(), "--server=127.0.0.1:1", "--server=tls://127.0.0.1:1", "--server=:::"] {
        let taken = || {
            let start = Instant::now();
            assert!(candidates(&["observe", server, "--pod", ""]).is_empty(), "{server}");
            start.elapsed()
        };
        // The fastest of three, because others may have the processors for a while.
        let fastest = std::iter::repeat_with(taken).take(3).find(|taken| *taken < Duration::from_secs(3));
        assert!(fastest.is_some(), "{server} takes seconds");
    }
}
