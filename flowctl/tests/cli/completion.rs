//! Completion from what a server knows, and through the shells themselves.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use proto::observer::{GetNamespacesResponse, GetNodesResponse, Namespace, Node};

use super::observer::{Answers, RunningObserver};
use super::program::{EVERY_KIND, flowctl, flowctl_says, isolated, run};
use super::server::{flows, serving};

fn relay() -> RunningObserver {
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
        let start = Instant::now();
        assert!(candidates(&["observe", server, "--pod", ""]).is_empty(), "{server}");
        assert!(start.elapsed() < Duration::from_secs(3), "{server} took {:?}", start.elapsed());
    }
}

/// What bash offers for a line, by the script that it sources; pieces are cut as bash cuts them.
fn bash(server: &str, pieces: &[&str]) -> Vec<String> {
    let script = flowctl_says(&["completion", "bash"]).stdout;
    let program = flowctl(&[]).get_program().to_string_lossy().into_owned();
    let quoted: Vec<String> = pieces.iter().map(|piece| format!("'{}'", piece.replace('\'', "'\\''"))).collect();
    let text = format!(
        "{script}\nCOMP_WORDS=({program} --server {server} {}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); _flowctl; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" ")
    );
    let outcome = run(&mut isolated("/bin/bash".as_ref(), &["-c", &text]));
    assert_eq!(outcome.stderr, "", "{pieces:?}");
    outcome.stdout.lines().map(str::to_owned).collect()
}

#[test]
fn bash_cuts_words_and_gets_what_fits_its_pieces() {
    let server = relay();
    let address = server.address.to_string();
    for (pieces, expected) in [
        (&["observe", "--namespace", "sh"][..], &["shop"][..]),
        (&["observe", "--namespace", "=", "sh"], &["shop"]),
        (
            &["observe", "--verdict", "="],
            &["FORWARDED", "DROPPED", "ERROR", "AUDIT", "REDIRECTED", "TRACED", "TRANSLATED"],
        ),
        (&["observe", "-t", "trace", ":", "to-e"], &["to-endpoint"]),
        (&["observe", "--where", "verdict", "=", "dro"], &["dropped", "dropped\\ and\\ ", "dropped\\ or\\ "]),
        (&["observe", "--where", "'pod=a and src.n"], &["pod=a and src.ns=", "pod=a and src.ns in ("]),
        (&["observe", "--where", "\"src.ns=sh"], &["src.ns=shop", "src.ns=shop and ", "src.ns=shop or "]),
    ] {
        assert_eq!(bash(&address, pieces), expected, "{pieces:?}");
    }
}
