//! `map`, `top` and `drops` against an HTTP server.

use std::io::{BufRead as _, BufReader};
use std::net::{TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt as _;
use std::time::{Duration, Instant};

use super::program::{Outcome, flowctl, flowctl_says};
use super::server::Running;
use super::sql::serve_once;
use super::ui::Terminal;

/// How long anything may take.
const SOON: Duration = Duration::from_secs(30);

/// A map of so many edges, of which the relay left out some.
fn map(edges: u32, left_out: u32) -> String {
    let node =
        |number: u32| format!(r#"{{"id":"shop/n{number}","name":"n{number}","namespace":"shop","kind":"workload"}}"#);
    let edge = |number: u32| {
        format!(
            r#"{{"source":"shop/n0","destination":"shop/n{number}","protocol":"TCP","port":80,"l7":"","flows":1,
            "bytes_sent":{number},"bytes_received":0,"packets":1,"requests":0,"errors":0,"dropped":0,"drop_reason":""}}"#
        )
    };
    let joined = |make: &dyn Fn(u32) -> String| (0..edges).map(make).collect::<Vec<_>>().join(",");
    let (nodes, edges) = (joined(&node), joined(&edge));
    let completeness = r#"{"oldest":"","lost":0,"losses":[],"missing_nodes":[]}"#;
    format!(
        r#"{{"nodes":[{nodes}],"edges":[{edges}],"since":"","until":"","left_out":{left_out},"completeness":{completeness}}}"#
    )
}

/// The outcome of a command whose question gets this answer, and the line that asks.
fn ask(answer: &str, arguments: &[&str]) -> (Outcome, String) {
    let (url, served) = serve_once("200 OK", answer);
    let outcome = flowctl_says(&[arguments, &["--http-server", &url]].concat());
    (outcome, served.join().unwrap().0)
}

#[test]
fn all_edges_are_asked_for_where_all_are_shown() {
    for arguments in [
        ["map", "--limit", "0"].as_slice(),
        &["map", "--limit", "10001"],
        &["map", "-o", "dot"],
        &["map", "-o", "mermaid"],
        &["map", "-o", "json"],
        &["top", "--once", "--limit=0"],
    ] {
        let (outcome, line) = ask(&map(2, 0), arguments);
        assert_eq!((outcome.stderr.as_str(), outcome.code), ("", Some(0)), "{arguments:?}");
        assert!(line.contains("&edges=1000000 "), "{arguments:?}: {line}");
    }
    for arguments in [["map"].as_slice(), &["map", "--limit", "10000"], &["top", "--once"]] {
        let (_, line) = ask(&map(2, 0), arguments);
        assert!(!line.contains("edges="), "{arguments:?}: {line}");
    }
}

#[test]
fn what_the_relay_leaves_out_is_told() {
    let last = |answer: &str, arguments: &[&str]| {
        let (outcome, _) = ask(answer, arguments);
        assert_eq!((outcome.stderr.as_str(), outcome.code), ("", Some(0)), "{arguments:?}");
        outcome.stdout.lines().last().unwrap().to_owned()
    };
    assert_eq!(last(&map(40, 0), &["map"]), "... and 10 more; --limit 0 shows all");
    assert_eq!(
        last(&map(40, 5), &["map"]),
        "... and 15 more, 5 of which the relay left out, those with the fewest flows; --limit 0 shows all"
    );
    assert!(last(&map(40, 0), &["map", "--limit", "0"]).contains("n0"));
    let told =
        "the relay left out 5 more, those with the fewest flows: ask for less time with --since, or for fewer flows";
    assert_eq!(last(&map(40, 5), &["map", "--limit", "0"]), format!("... {told}"));
    for layout in ["dot", "mermaid", "json"] {
        let (outcome, _) = ask(&map(40, 5), &["map", "-o", layout]);
        assert_eq!((outcome.stderr, outcome.code), (format!("flowctl: {told}\n"), Some(0)), "{layout}");
    }
    let completeness = r#""completeness":{"oldest":"","lost":0,"losses":[],"missing_nodes":[]}"#;
    let drops = format!(r#"{{"total":7,"groups":[],"timeline":[],{completeness}}}"#);
    assert_eq!(last(&drops, &["drops", "--limit", "0"]), "... the relay left out the smallest groups: 7 packets more");
}

/// A relay that takes a question and never answers it.
struct Hanging {
    listener: TcpListener,
    flag: String,
}

impl Hanging {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let flag = format!("--http-server=http://{}", listener.local_addr().unwrap());
        Self { listener, flag }
    }

    /// Waits for a question; the connection stays open.
    fn asked(&self) -> TcpStream {
        let (stream, _) = self.listener.accept().unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        let mut line = String::new();
        BufReader::new(&stream).read_line(&mut line).unwrap();
        assert!(line.contains(" /api/v1/"), "{line}");
        stream
    }
}

#[test]
fn top_stops_while_it_waits_for_an_answer() {
    let relay = Hanging::start();
    for signal in ["-INT", "-TERM"] {
        let mut terminal = Terminal::start(&format!("top {}", relay.flag));
        let pid = terminal.pid();
        let _open = relay.asked();
        assert!(std::process::Command::new("kill").args([signal, &pid]).status().unwrap().success());
        assert_eq!(terminal.end(), Some(0), "{signal}");
    }
    let mut terminal = Terminal::start(&format!("top {}", relay.flag));
    let _open = relay.asked();
    terminal.type_keys("\u{3}");
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn commands_with_one_answer_stop_while_they_wait_for_it() {
    let relay = Hanging::start();
    for command in [["map"].as_slice(), &["drops"], &["top", "--once"], &["sql", "SELECT 1"]] {
        let mut program = Running::start(&mut flowctl(&[command, &[&relay.flag]].concat()));
        let _open = relay.asked();
        program.signal("TERM");
        let deadline = Instant::now() + SOON;
        let status = loop {
            if let Some(status) = program.0.try_wait().unwrap() {
                break status;
            }
            assert!(Instant::now() < deadline, "{command:?} goes on");
            std::thread::yield_now();
        };
        assert_eq!(status.signal(), Some(15), "{command:?}");
    }
}
