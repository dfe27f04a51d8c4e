//! Commands against a running server.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};

use prost::Message as _;
use proto::observer::{
    GetFlowsResponse, GetNamespacesResponse, GetNodesResponse, Namespace, Node, ServerStatusResponse,
};
use proto::peer::{ChangeNotification, ChangeNotificationType};
use proto::weir::GetFlowsOptions;
use tonic::Status;

use super::differential;
use super::observer::{Answers, RunningObserver};
use super::program::{EVERY_KIND, WEIR_FLOWS, flowctl, flowctl_says, folder, isolated, run};

/// The messages of a file.
pub(crate) fn flows(file: &str) -> Vec<GetFlowsResponse> {
    let text = std::fs::read_to_string(folder().join(file)).unwrap();
    text.lines().map(|line| proto::json::from_line(line).unwrap()).collect()
}

pub(crate) fn serving(flows: Vec<GetFlowsResponse>) -> Answers {
    Answers { flows, healthy: true, ..Answers::default() }
}

#[test]
fn flows_of_a_server_look_like_flows_of_a_file() {
    let server = RunningObserver::start(serving(flows(EVERY_KIND)));
    for output in ["compact", "dict", "json", "table", "wide"] {
        let live = flowctl_says(&["observe", &server.flag(), "-o", output]);
        let file = flowctl_says(&["observe", "--input-file", EVERY_KIND, "-o", output]);
        assert_eq!(live, file, "{output}");
    }
}

#[test]
fn losses_that_are_not_shown_are_summed_up_at_the_end() {
    let server = RunningObserver::start(serving(flows(EVERY_KIND)));
    let loud = flowctl_says(&["observe", &server.flag(), "-o", "csv"]);
    let last = loud.stderr.lines().last().unwrap();
    assert_eq!(
        last,
        "flowctl: 21 events were lost and are not shown: 17 at HUBBLE_RING_BUFFER of kind-kind/kind-worker, \
         1 at OBSERVER_EVENTS_QUEUE, 3 at PERF_EVENT_RING_BUFFER of kind-kind/kind-worker"
    );
    let silent = flowctl_says(&["observe", &server.flag(), "-s", "-o", "csv"]);
    assert_eq!((silent.stderr.as_str(), silent.stdout), ("", loud.stdout));
    // A layout that has a line for each loss says no more.
    let shown = flowctl_says(&["observe", &server.flag()]);
    assert!(shown.stdout.contains("EVENTS LOST") && !shown.stderr.contains("lost"), "{}", shown.stderr);
}

#[test]
fn requests_say_what_the_flags_say() {
    let server = RunningObserver::start(serving(Vec::new()));
    let request = |more: &[&str]| {
        let outcome = flowctl_says(&[&["observe", &server.flag()], more].concat());
        assert_eq!((outcome.stderr.as_str(), outcome.code), ("", Some(0)), "{more:?}");
        server.requests().pop().unwrap()
    };
    let default = request(&[]);
    assert_eq!((default.number, default.first, default.follow), (20, false, false));
    let paths = default.field_mask.unwrap().paths;
    assert_eq!((paths.len(), paths.last().map(String::as_str)), (20, Some("ip_trace_id")), "as Hubble's client asks");
    assert_eq!(default.extensions, None);

    assert_eq!(request(&["--all"]).number, u64::MAX);
    let first = request(&["--first", "3", "--use-default-field-masks=false"]);
    assert_eq!((first.number, first.first, first.field_mask), (3, true, None));
    let follow = request(&["-f", "--until", "5m"]);
    assert_eq!((follow.number, follow.follow, follow.until), (0, true, None));
    let range = request(&["--since", "2026-01-15T10:11:12Z", "--until", "2026-01-15T10:11:13.5Z"]);
    assert_eq!((range.number, range.since.unwrap().seconds), (0, 1_768_471_872));
    assert_eq!(range.until.unwrap().nanos, 500_000_000);
    let filtered = request(&["--pod", "a", "--not", "--port", "80", "--denylist", r#"{"verdict":["DROPPED"]}"#]);
    assert_eq!((filtered.whitelist.len(), filtered.blacklist.len()), (2, 3));

    let json = request(&["-o", "json"]);
    assert_eq!((json.field_mask, json.extensions), (None, None));
    for output in ["wide", "json"] {
        let detailed = request(&["-o", output, "--details"]);
        assert_eq!(detailed.field_mask, None, "{output}");
        let options = GetFlowsOptions::decode(detailed.extensions.unwrap().value.as_slice()).unwrap();
        assert!(options.details, "{output}");
    }
    let masked = request(&["-o", "json", "--field-mask", "time,source.pod_name", "--field-mask", "verdict"]);
    assert_eq!(masked.field_mask.unwrap().paths, ["time", "source.pod_name", "verdict"]);
    assert_eq!(masked.extensions, None);
}

#[test]
fn an_old_server_is_asked_again_without_our_mask() {
    let refusal = Status::unknown("proto: invalid path \"ip_trace_id\" for message \"flow.Flow\"");
    let server = RunningObserver::start(Answers { mask_refusal: Some(refusal), ..serving(flows(WEIR_FLOWS)) });
    let outcome = flowctl_says(&["observe", &server.flag(), "-s"]);
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert_eq!(outcome.stdout.lines().count(), 5);
    assert_eq!(server.requests().iter().filter(|r| r.field_mask.is_some()).count(), 1);
    let own = flowctl_says(&["observe", &server.flag(), "-o", "json", "--field-mask", "ip_trace_id"]);
    assert_eq!((own.code, own.stdout.as_str()), (Some(1), ""));
    assert!(own.stderr.contains("invalid path"), "{}", own.stderr);
}

#[test]
fn flows_before_a_failure_are_printed() {
    let end = Some(Status::resource_exhausted("too many queries: try again later"));
    let server = RunningObserver::start(Answers { end, ..serving(flows(WEIR_FLOWS)) });
    for output in ["compact", "table"] {
        let outcome = flowctl_says(&["observe", &server.flag(), "-o", output]);
        assert_eq!(outcome.code, Some(1));
        assert!(outcome.stdout.lines().count() >= 5, "{}", outcome.stdout);
        assert!(outcome.stderr.contains("too many queries: try again later"), "{}", outcome.stderr);
    }
}

/// A program that is running, ended with the value.
pub(crate) struct Running(pub(crate) Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        Self(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap())
    }

    pub(crate) fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.0.id().to_string()]).status().unwrap();
        assert!(sent.success());
    }
}

#[test]
fn following_ends_cleanly_on_a_signal() {
    let server = RunningObserver::start(Answers { keep_open: true, ..serving(flows(WEIR_FLOWS)) });
    for signal in ["INT", "TERM"] {
        let mut program = Running::start(&mut flowctl(&["observe", "-f", &server.flag()]));
        // Lines come although the stream goes on.
        let mut stdout = BufReader::new(program.0.stdout.take().unwrap());
        for _ in 0..5 {
            let mut line = String::new();
            assert!(stdout.read_line(&mut line).unwrap() > 0);
        }
        program.signal(signal);
        assert_eq!(program.0.wait().unwrap().code(), Some(0), "{signal}");
        let mut stderr = String::new();
        program.0.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!(stderr, "");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let many: Vec<GetFlowsResponse> = std::iter::repeat_n(flows(WEIR_FLOWS), 2000).flatten().collect();
    let server = RunningObserver::start(serving(many));
    for arguments in [vec!["observe".to_owned(), server.flag()], vec!["completion".to_owned(), "zsh".to_owned()]] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut program = Running::start(&mut flowctl(&arguments));
        drop(program.0.stdout.take());
        let mut stderr = String::new();
        program.0.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        assert_eq!((program.0.wait().unwrap().code(), stderr.as_str()), (Some(0), ""), "{arguments:?}");
    }
}

#[test]
fn status_of_a_server() {
    let status =
        ServerStatusResponse { num_flows: 4, max_flows: 8, seen_flows: 9, flows_rate: 2.5, ..Default::default() };
    let server = RunningObserver::start(Answers { status, ..serving(Vec::new()) });
    let outcome = flowctl_says(&["status", &server.flag()]);
    let address = server.address;
    assert_eq!(
        (outcome.stdout, outcome.code),
        (format!("Healthcheck (via {address}): Ok\nCurrent/Max Flows: 4/8 (50.00%)\nFlows/s: 2.50\n"), Some(0))
    );

    let ill = RunningObserver::start(Answers::default());
    let outcome = flowctl_says(&["status", &ill.flag()]);
    assert_eq!(outcome.stdout, format!("Healthcheck (via {}): Unavailable: NOT_SERVING\n", ill.address));
    assert_eq!((outcome.stderr.as_str(), outcome.code), ("not healthy\n", Some(1)));
}

#[test]
fn nodes_and_namespaces_of_a_relay() {
    let node = |name: &str| Node { name: name.to_owned(), state: 1, num_flows: 1, max_flows: 4, ..Node::default() };
    let namespace = |name: &str| Namespace { cluster: "c".to_owned(), namespace: name.to_owned() };
    let relay = RunningObserver::start(Answers {
        nodes: Some(GetNodesResponse { nodes: vec![node("n2"), node("n1")] }),
        namespaces: GetNamespacesResponse { namespaces: vec![namespace("default"), namespace("shop")] },
        ..serving(Vec::new())
    });
    let flag = relay.flag();
    let list = |more: &[&str]| {
        let outcome = flowctl_says(&[&[flag.as_str(), "list"], more].concat());
        assert_eq!((outcome.stderr.as_str(), outcome.code), ("", Some(0)), "{more:?}");
        outcome.stdout
    };
    let table = "NAME   STATUS      AGE   FLOWS/S   CURRENT/MAX-FLOWS\n\
                 n1     Connected   N/A   N/A       1/4 ( 25.00%)\n\
                 n2     Connected   N/A   N/A       1/4 ( 25.00%)\n";
    assert_eq!(list(&["nodes"]), table);
    assert_eq!(list(&["node"]), table);
    assert!(list(&["nodes", "-o", "wide"]).lines().next().unwrap().ends_with("VERSION   ADDRESS   TLS"));
    assert!(
        list(&["nodes", "-o", "json"]).starts_with("[\n  {\n    \"name\": \"n1\",\n    \"state\": \"NODE_CONNECTED\",")
    );
    assert_eq!(list(&["namespaces"]), "NAMESPACE\ndefault\nshop\n");
    assert_eq!(list(&["namespaces", "-o", "wide"]), "NAMESPACE   CLUSTER\ndefault     c\nshop        c\n");

    let agent = RunningObserver::start(serving(Vec::new()));
    let outcome = flowctl_says(&["list", "nodes", &agent.flag()]);
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    let expected = format!(
        "rpc error: code = Unimplemented desc = GetNodes; {} does not offer this, ask a relay, or a newer server\n",
        agent.flag().trim_start_matches("--server=")
    );
    assert_eq!(outcome.stderr, expected);
}

#[test]
fn peers_and_reflection() {
    let peer = ChangeNotification {
        name: "n1".to_owned(),
        address: "10.0.0.1:4244".to_owned(),
        r#type: ChangeNotificationType::PeerDeleted.into(),
        tls: None,
    };
    let server = RunningObserver::start(Answers { peers: vec![peer], ..serving(Vec::new()) });
    assert_eq!(flowctl_says(&["watch", "peers", &server.flag()]).stdout, "PEER_DELETED 10.0.0.1:4244 n1\n");
    let reflected = flowctl_says(&["reflect", &server.flag()]).stdout;
    let file = |name: &str| {
        let start = format!("{{\"name\":\"{name}\",");
        let found: Vec<&str> = reflected.lines().filter(|line| line.starts_with(&start)).collect();
        assert_eq!(found.len(), 1, "{name} once: {reflected}");
        found[0]
    };
    let rpc =
        r#"{"name":"GetFlows","input_type":".observer.GetFlowsRequest","output_type":".observer.GetFlowsResponse","#;
    assert!(file("observer/observer.proto").contains(rpc), "{reflected}");
    assert!(file("flow/flow.proto").contains(r#"{"name":"time","number":1,"label":1,"type":11,"#), "{reflected}");
    let place = |name: &str| reflected.find(file(name)).unwrap();
    // What a file builds on follows it at once, although the server sends it all together.
    assert!(place("google/protobuf/wrappers.proto") < place("google/protobuf/field_mask.proto"), "{reflected}");
    assert!(place("google/protobuf/field_mask.proto") < place("peer/peer.proto"), "{reflected}");
    assert!(!reflected.contains("grpc.health"), "{reflected}");
    if let Some(hubble) = differential::hubble() {
        let stock = run(&mut isolated(&hubble, &["reflect", &server.flag()])).stdout;
        assert_eq!(reflected, stock);
    }
}

#[test]
fn streams_end_with_the_words_of_the_server() {
    let said = |end: tonic::Status| {
        let server = RunningObserver::start(Answers { end: Some(end), ..serving(Vec::new()) });
        let outcome = flowctl_says(&["observe", &server.flag()]);
        assert_eq!(outcome.code, Some(1), "{}", outcome.stderr);
        outcome.stderr
    };
    // A plain error of a server, such as that of a bad filter, is told without a code.
    assert_eq!(said(tonic::Status::unknown("invalid filter")), "invalid filter\n");
    assert_eq!(said(tonic::Status::aborted("enough")), "rpc error: code = Aborted desc = enough\n");
}

#[test]
fn unix_sockets() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("observer.sock");
    let _server = RunningObserver::start_on_socket(serving(flows(WEIR_FLOWS)), &path);
    let address = format!("unix://{}", path.display());
    let outcome = flowctl_says(&["--server", &address, "observe", "-s"]);
    assert_eq!((outcome.code, outcome.stdout.lines().count()), (Some(0), 5), "{}", outcome.stderr);
    let status = flowctl_says(&["--server", &address, "status"]);
    assert!(status.stdout.starts_with(&format!("Healthcheck (via {address}): Ok\n")), "{}", status.stdout);

    let missing = format!("unix://{}", folder.path().join("none.sock").display());
    let outcome = flowctl_says(&["--server", &missing, "status"]);
    assert_eq!(
        (outcome.stderr, outcome.code),
        (
            format!(
                "failed getting status: rpc error: code = Unavailable desc = cannot connect to {missing}: no such \
                 socket; is weir running? try: weir up\n"
            ),
            Some(1)
        )
    );
}

#[test]
fn a_server_that_is_not_there_is_named_with_the_remedy() {
    // No server takes this port by chance.
    let address = "127.0.0.1:1";
    for command in [vec!["observe"], vec!["status"], vec!["list", "nodes"], vec!["watch", "peers"]] {
        let mut program = flowctl(&command);
        let outcome = run(program.env("HUBBLE_SERVER", address));
        // What scripts look for is where hubble has it.
        let begin = if command == ["status"] { "failed getting status: " } else { "" };
        let expected = format!(
            "{begin}rpc error: code = Unavailable desc = cannot connect to {address}: connection refused; is weir \
             running? try: weir up\n"
        );
        assert_eq!((outcome.stderr, outcome.code, outcome.stdout), (expected, Some(1), String::new()), "{command:?}");
    }
}

#[test]
fn without_time_for_an_answer_nobody_is_asked() {
    for command in [&["list", "nodes"][..], &["list", "namespaces"], &["status"]] {
        let outcome = flowctl_says(&[command, &["--server", "127.0.0.1:1", "--request-timeout", "0s"]].concat());
        let code = "rpc error: code = DeadlineExceeded desc = no answer from 127.0.0.1:1 within 0s";
        assert!(outcome.stderr.contains(code) && outcome.code == Some(1), "{command:?}: {}", outcome.stderr);
    }
}

#[test]
fn a_server_that_never_answers_is_given_up() {
    // It accepts, for the system does, but nobody reads.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let outcome = flowctl_says(&["status", "--server", &address, "--request-timeout", "100ms"]);
    assert_eq!(outcome.code, Some(1));
    let expected = format!(
        "failed getting status: rpc error: code = DeadlineExceeded desc = no answer from {address} within 100ms (see \
         --request-timeout)\n"
    );
    assert_eq!(outcome.stderr, expected);
}

#[test]
fn a_server_of_another_kind_is_told_apart() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let stranger = std::thread::spawn(move || {
        use std::io::Write as _;
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.2\r\n").unwrap();
        let mut rest = Vec::new();
        // The client hangs up, in one way or the other.
        drop(stream.read_to_end(&mut rest));
    });
    let outcome = flowctl_says(&["observe", "--server", &address]);
    stranger.join().unwrap();
    assert_eq!((outcome.code, outcome.stdout.as_str()), (Some(1), ""));
    let start = format!("rpc error: code = Unavailable desc = lost the connection to {address}: ");
    assert!(outcome.stderr.starts_with(&start), "{}", outcome.stderr);
    assert!(outcome.stderr.contains("is that the port of a Weir or Hubble server?"), "{}", outcome.stderr);
}
