//! `observe --where`: files, pipes and servers.

use proto::flow::{Flow, Layer7};
use proto::observer::GetFlowsResponse;
use proto::observer::get_flows_response::ResponseTypes;

use super::golden::check;
use super::observer::{Answers, RunningObserver};
use super::program::{EVERY_KIND, WEIR_FLOWS, flowctl, flowctl_says, folder, run_with_input};
use super::server::{Running, flows, serving};

#[test]
fn files_pushed_filters_and_refusals() {
    let observe = |more: &[&'static str]| [&["observe", "--input-file", EVERY_KIND], more].concat();
    let weir = |more: &[&'static str]| [&["observe", "--input-file", WEIR_FLOWS], more].concat();
    let print = |more: &[&'static str]| [&["observe", "--print-raw-filters", "--where"], more].concat();
    let runs: Vec<Vec<&str>> = [
        observe(&["--where", "verdict=dropped and not src.ns=default"]),
        observe(&["--where", "http.status>=200", "--last", "1"]),
        observe(&["--where", "proto=dns or dst.port=80", "--verdict", "DROPPED", "--first", "2"]),
        observe(&["--where", "cel='_flow.verdict == Verdict.AUDIT'"]),
        weir(&["--where", "bytes > 80B and rtt < 1s"]),
        weir(&["--where", "bytes > 80B", "--where", "rtt > 1s"]),
        weir(&["--where", "", "--first", "1"]),
        print(&["verdict=dropped and dst.port in (80, 443) and not src.ns=kube-system"]),
        print(&["latency > 250ms and verdict=dropped", "--pod", "shop/web"]),
        print(&["rtt > 1s"]),
        observe(&["--where", "verdict=dropped and prot=tcp"]),
        observe(&["--where", "verdict = lost"]),
        observe(&["--where", "(pod=a"]),
        observe(&["--where", "src.ns=shop,cart and verdict=dropped"]),
        observe(&["--where", "http.status != 404"]),
        print(&["verdict=dropped and http.status != 404"]),
        observe(&["--not", "--where", "pod=a"]),
        ["map", "latncy > 5ms"].to_vec(),
    ]
    .to_vec();
    check("where", &runs.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn pipes() {
    let text = std::fs::read(folder().join(WEIR_FLOWS)).unwrap();
    let expression = "not bytes < 100kB and rtt > 1ms";
    let piped = run_with_input(&mut flowctl(&["observe", "--input-file", "-", "--where", expression]), &text);
    assert_eq!((piped.code, piped.stdout.lines().count()), (Some(0), 1), "{piped:?}");
    assert!(piped.stdout.contains("shop/api"), "{}", piped.stdout);
}

/// Many flows of which few have what no filter of Hubble's can ask for.
fn rarely_slow(count: u64, every: u64) -> Vec<GetFlowsResponse> {
    let response = |number: u64| {
        let slow = number.is_multiple_of(every);
        let l7 = Layer7 { latency_ns: if slow { 2_000_000_000 } else { 1_000 }, ..Layer7::default() };
        let time = Some(prost_types::Timestamp { seconds: 1_700_000_000 + i64::try_from(number).unwrap(), nanos: 0 });
        let flow = Flow { time, uuid: number.to_string(), verdict: 1, l7: Some(Box::new(l7)), ..Flow::default() };
        GetFlowsResponse { node_name: "n1".to_owned(), time, response_types: Some(ResponseTypes::Flow(flow)) }
    };
    (0..count).map(response).collect()
}

fn ids(text: &str) -> Vec<u64> {
    let id = |line: &str| {
        let Some(ResponseTypes::Flow(flow)) = proto::json::from_line(line).unwrap().response_types else {
            panic!("no flow: {line}")
        };
        flow.uuid.parse().unwrap()
    };
    text.lines().map(id).collect()
}

#[test]
fn the_last_ones_are_looked_for_until_there_are_enough() {
    let server = RunningObserver::start(Answers { heeds_requests: true, ..serving(rarely_slow(30_000, 5_000)) });
    let observe = |more: &[&str]| {
        let before = server.requests().len();
        let arguments =
            [&["observe", &server.flag(), "-o", "json", "--where", "latency > 1s and verdict=forwarded"], more];
        let outcome = flowctl_says(&arguments.concat());
        assert_eq!((outcome.stderr.as_str(), outcome.code), ("", Some(0)), "{more:?}");
        (ids(&outcome.stdout), server.requests().split_off(before))
    };
    let (found, requests) = observe(&["--last", "3"]);
    assert_eq!(found, [15_000, 20_000, 25_000]);
    assert_eq!(requests.iter().map(|request| request.number).collect::<Vec<_>>(), [1_000, 10_000, 100_000]);
    // What can be said is said; what the rest asks for comes along.
    assert!(requests.iter().all(|r| r.whitelist.len() == 1 && r.whitelist[0].verdict == [1]), "{requests:?}");
    assert!(requests.iter().all(|r| r.field_mask.is_none() && r.extensions.is_some() && !r.follow), "{requests:?}");

    let (found, requests) = observe(&["--last", "1"]);
    assert_eq!((found, requests.len()), (vec![25_000], 2));
    let (found, _) = observe(&[]);
    assert_eq!(found, [0, 5_000, 10_000, 15_000, 20_000, 25_000]);
    let (found, requests) = observe(&["--first", "2"]);
    assert_eq!((found, requests[0].number, requests[0].first), (vec![0, 5_000], u64::MAX, true));
    assert_eq!(observe(&["--all"]).0.len(), 6);

    // Of flows with a mask of the user's the rest is asked before the mask takes away what it asks for.
    let (found, _) = observe(&["--last", "2", "--field-mask", "uuid"]);
    assert_eq!(found, [20_000, 25_000]);
    let masked = flowctl_says(&[
        "observe",
        &server.flag(),
        "-o",
        "json",
        "--where",
        "latency>1s",
        "--last",
        "1",
        "--field-mask",
        "uuid",
    ]);
    assert_eq!(
        masked.stdout,
        "{\"flow\":{\"uuid\":\"25000\"},\"node_name\":\"n1\",\"time\":\"2023-11-15T05:10:00Z\"}\n"
    );

    // A filter that says it all leaves the counting to the server.
    let before = server.requests().len();
    let plain = flowctl_says(&["observe", &server.flag(), "--where", "verdict=forwarded", "--last", "7"]);
    let requests = server.requests().split_off(before);
    assert_eq!((plain.stdout.lines().count(), requests.len(), requests[0].number), (7, 1, 7));
}

#[test]
fn following_begins_with_the_last_ones() {
    let flows = rarely_slow(20_000, 5_000);
    let server = RunningObserver::start(Answers { heeds_requests: true, keep_open: true, ..serving(flows) });
    let arguments = ["observe", &server.flag(), "-f", "-o", "json", "--last", "2", "--where", "latency > 1s"];
    let program = Running::start(&mut flowctl(&arguments));
    // The history first, then a second question for what comes after it.
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while !server.requests().iter().any(|request| request.follow) {
        assert!(std::time::Instant::now() < deadline, "it does not follow: {:?}", server.requests());
        std::thread::yield_now();
    }
    let follow = server.requests().pop().unwrap();
    assert_eq!((follow.number, follow.since.map(|since| since.seconds)), (0, Some(1_700_019_999)));
    program.signal("INT");
    let mut program = program;
    let mut text = String::new();
    std::io::Read::read_to_string(&mut program.0.stdout.take().unwrap(), &mut text).unwrap();
    assert_eq!(ids(&text), [10_000, 15_000]);
}

/// One signal ends it, also while the last ones are looked for.
#[test]
fn a_signal_before_following_begins_ends_it() {
    // A server that does not end its first answer.
    let server = RunningObserver::start(Answers { keep_open: true, ..serving(rarely_slow(100, 10)) });
    let arguments = ["observe", &server.flag(), "-f", "-o", "json", "--last", "2", "--where", "latency > 1s"];
    let mut program = Running::start(&mut flowctl(&arguments));
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while server.requests().is_empty() {
        assert!(std::time::Instant::now() < deadline, "it does not ask");
        std::thread::yield_now();
    }
    program.signal("INT");
    let status = loop {
        if let Some(status) = program.0.try_wait().unwrap() {
            break status;
        }
        assert!(std::time::Instant::now() < deadline, "it goes on: {:?}", server.requests());
        std::thread::yield_now();
    };
    assert_eq!((status.code(), server.requests().len()), (Some(0), 1));
}

#[test]
fn losses_and_filters_of_a_server_stay_what_they_are() {
    let server = RunningObserver::start(Answers { heeds_requests: true, ..serving(flows(WEIR_FLOWS)) });
    let outcome = flowctl_says(&["observe", &server.flag(), "--where", "bytes > 80B", "--last", "5"]);
    assert_eq!(outcome.stdout.lines().filter(|line| line.contains("EVENTS LOST")).count(), 1, "{}", outcome.stdout);
    assert_eq!(outcome.stderr, "");
}
