//! `observe --group-by` and `--rate`: files, pipes and servers.

use std::io::{BufRead as _, BufReader, Read as _};

use serde_json::Value;

use super::golden::check;
use super::observer::{Answers, RunningObserver};
use super::program::{EVERY_KIND, REAL_FLOWS, WEIR_FLOWS, flowctl, flowctl_says, folder, run_with_input};
use super::server::{Running, flows, serving};

#[test]
fn groups_and_rates_of_files() {
    let observe = |file: &'static str, more: &[&'static str]| [&["observe", "--input-file", file], more].concat();
    let runs: Vec<Vec<&str>> = [
        observe(EVERY_KIND, &["--group-by", "verdict,type"]),
        observe(EVERY_KIND, &["--group-by", "src,dst,dst.port", "--top", "3"]),
        observe(EVERY_KIND, &["--group-by", "http.status,http.method", "--where", "proto=http", "-o", "json"]),
        observe(REAL_FLOWS, &["--group-by", "src.ns,dst.ns", "--group-by", "verdict", "--rate"]),
        observe(WEIR_FLOWS, &["--group-by", "dst.pod,drop.reason", "--sort", "bytes", "--top=0"]),
        observe(WEIR_FLOWS, &["--group-by", "src.ip", "--top", "1", "-o", "json"]),
        observe(WEIR_FLOWS, &["--rate", "-o", "json"]),
        observe(WEIR_FLOWS, &["--rate"]),
        observe(EVERY_KIND, &["--rate=10ms", "--follow"]),
        observe(EVERY_KIND, &["--rate=20ms", "--follow", "--group-by=verdict", "--last", "20"]),
        observe(EVERY_KIND, &["--rate=1s", "--follow", "-o", "json"]),
        observe(WEIR_FLOWS, &["--group-by", "verdict", "--where", "dst.port=1"]),
        ["observe", "--group-by", "ns"].to_vec(),
        ["observe", "--group-by", "src.nss"].to_vec(),
        ["observe", "--group-by", "latency"].to_vec(),
        ["observe", "--group-by", ""].to_vec(),
        ["observe", "--top", "3"].to_vec(),
        ["observe", "--group-by", "verdict", "--sort", "name"].to_vec(),
        ["observe", "--group-by", "verdict", "-o", "dict"].to_vec(),
        ["observe", "--group-by", "verdict", "-o", "json", "--field-mask", "time"].to_vec(),
        ["observe", "--rate=0s"].to_vec(),
        ["observe", "--rate=soon"].to_vec(),
    ]
    .to_vec();
    check("counting", &runs.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn pipes_and_servers_count_the_same() {
    let text = std::fs::read(folder().join(EVERY_KIND)).unwrap();
    let count = ["--group-by", "verdict,dst.port", "--top", "0", "-s"];
    let file = flowctl_says(&[&["observe", "--input-file", EVERY_KIND], &count[..]].concat());
    let piped = run_with_input(&mut flowctl(&[&["observe", "--input-file", "-"], &count[..]].concat()), &text);
    let server = RunningObserver::start(serving(flows(EVERY_KIND)));
    let live = flowctl_says(&[&["observe", &server.flag()], &count[..]].concat());
    assert_eq!(file.stdout, piped.stdout);
    assert_eq!(file.stdout, live.stdout);
    // All flows held count, with what the layouts of flows do not show.
    let request = server.requests().pop().unwrap();
    assert_eq!((request.number, request.field_mask, request.extensions.is_some()), (u64::MAX, None, true));
}

#[test]
fn rates_of_a_server_come_each_interval() {
    let server = RunningObserver::start(Answers { keep_open: true, ..serving(flows(WEIR_FLOWS)) });
    let mut program = Running::start(&mut flowctl(&["observe", "-f", "--rate=200ms", "-o", "json", &server.flag()]));
    let mut lines = BufReader::new(program.0.stdout.take().unwrap()).lines();
    let mut next = || serde_json::from_str::<Value>(&lines.next().unwrap().unwrap()).unwrap();
    let (first, second) = (next(), next());
    assert_eq!((&first["flows"], &first["dropped"], &first["lost"]), (&4.into(), &1.into(), &5.into()), "{first}");
    assert!(first["flows_per_second"].as_f64().unwrap() > 1.0, "{first}");
    assert!(first["bytes"].as_u64().unwrap() > 123_456_000, "{first}");
    assert_eq!((&second["flows"], &second["lost"]), (&0.into(), &0.into()), "{second}");
    program.signal("TERM");
    assert_eq!(program.0.wait().unwrap().code(), Some(0));
}

#[test]
fn groups_that_are_followed_are_shown_in_the_end() {
    let server = RunningObserver::start(Answers { keep_open: true, ..serving(flows(WEIR_FLOWS)) });
    let mut program =
        Running::start(&mut flowctl(&["observe", "-f", "--group-by", "verdict", &server.flag(), "--rate=100ms"]));
    let mut stdout = BufReader::new(program.0.stdout.take().unwrap());
    let mut line = String::new();
    while !line.starts_with("DROPPED") {
        line.clear();
        assert!(stdout.read_line(&mut line).unwrap() > 0);
    }
    program.signal("INT");
    assert_eq!(program.0.wait().unwrap().code(), Some(0));

    let mut program = Running::start(&mut flowctl(&["observe", "-f", "--group-by", "verdict", &server.flag()]));
    let mut stderr = BufReader::new(program.0.stderr.take().unwrap());
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while server.requests().len() < 2 {
        assert!(std::time::Instant::now() < deadline, "it does not ask");
        std::thread::yield_now();
    }
    program.signal("INT");
    let (mut text, mut told) = (String::new(), String::new());
    program.0.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    stderr.read_to_string(&mut told).unwrap();
    assert_eq!(program.0.wait().unwrap().code(), Some(0), "{told}");
    assert!(text.is_empty() || text.starts_with("VERDICT"), "{text}");
}

#[test]
fn a_server_that_is_not_there_prints_no_table() {
    let outcome = flowctl_says(&["observe", "--group-by", "verdict", "--server", "127.0.0.1:1"]);
    assert_eq!((outcome.stdout.as_str(), outcome.code), ("", Some(1)), "{}", outcome.stderr);
}
