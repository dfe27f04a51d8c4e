//! The stock `hubble` client against our collector and our relay.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use demo::topology::{output, wait_until};
use weir_tests::{Place, SOON, Weir, binary, fixture, hubble};

fn ask(hubble: &Path, server: &str, args: &[&str]) -> Result<String> {
    let mut command = Command::new(hubble);
    output(command.args(args).args(["--server", server]).env_remove("HUBBLE_SERVER"))
}

/// Weir over a replay of real Cilium flows: needs no privilege, and both doors hold the same flows.
fn start() -> Result<Weir> {
    let replay = fixture("hubble-flows-real.jsonl");
    let weir = Weir::start(&Place::Here, &["--replay", &replay.display().to_string()])?;
    weir.await_count(flows_in_file()?, "SELECT count(*) FROM flows")?;
    Ok(weir)
}

fn flows_in_file() -> Result<i64> {
    let text = std::fs::read_to_string(fixture("hubble-flows-real.jsonl"))?;
    Ok(i64::try_from(text.lines().filter(|l| !l.trim().is_empty()).count())?)
}

#[test]
fn observe_prints_our_flows() -> Result<()> {
    let Some(hubble) = hubble("stock_client") else { return Ok(()) };
    let weir = start()?;
    let expected = usize::try_from(flows_in_file()?)?;
    for door in ["relay", "node"] {
        let compact = ask(&hubble, weir.address(door), &["observe", "--all"])?;
        assert_eq!(compact.lines().count(), expected, "{door}:\n{compact}");
        assert!(compact.contains("default/kapinger-good-64cbf459c4-q4tr9:8080"), "{door}:\n{compact}");
        let json = ask(&hubble, weir.address(door), &["observe", "--all", "-o", "json"])?;
        assert_eq!(json.lines().filter(|l| l.starts_with("{\"flow\":")).count(), expected, "{door}:\n{json}");
        let one = ask(&hubble, weir.address(door), &["observe", "--last", "1", "--pod", "default/kapinger-good"])?;
        assert_eq!(one.lines().count(), 1, "{door}:\n{one}");
        let ours = weir.flowctl(&["observe", "--all"])?;
        if door == "relay" {
            assert_eq!(ours, compact, "flowctl and hubble print different text");
        }
    }
    Ok(())
}

/// Flows of every kind, with names from DNS, policies and points of translation: what one client asks for the other one
/// asks for too, so that every layout has the same bytes.
#[test]
fn both_clients_print_the_same() -> Result<()> {
    const QUESTIONS: &[&str] = &[
        "--all",
        "--all -o json",
        "--all -o dict --print-node-name",
        "--all -o table --print-policy-names",
        "--all --print-policy-names --use-default-field-masks=false",
        "--all -o jsonpb --field-mask time,source.pod_name,l7",
        "--last 5 --color always",
        "--first 5 --time-format RFC3339Nano",
        "--since 2026-01-15T10:11:12.010Z --until 2026-01-15T10:11:12.020Z",
        "--since 2026-01-15 --first 3",
        "--until 2026-01-16 --last 3 --not --verdict DROPPED",
        "--all --type policy-verdict",
        "--all --type trace-sock --numeric",
        "--all --to-fqdn *.google.com --ip-translation=false",
        "--all --traffic-direction ingress",
        "--all --cel-expression _flow.source_names.size()>0||_flow.traffic_direction==TrafficDirection.EGRESS",
    ];
    let Some(hubble) = hubble("stock_client") else { return Ok(()) };
    let replay = fixture("../../flowctl/tests/flows/every-kind.jsonl");
    let flows = std::fs::read_to_string(&replay)?.lines().filter(|line| line.starts_with("{\"flow\"")).count();
    let weir = Weir::start(&Place::Here, &["--replay", &replay.display().to_string()])?;
    weir.await_count(i64::try_from(flows)?, "SELECT count(*) FROM flows")?;
    for (door, question) in ["relay", "node"].into_iter().flat_map(|door| QUESTIONS.iter().map(move |q| (door, q))) {
        let args: Vec<&str> = std::iter::once("observe").chain(question.split(' ')).collect();
        let theirs = ask(&hubble, weir.address(door), &args)?;
        let ours = ask(&binary("flowctl")?, weir.address(door), &args)?;
        assert!(!theirs.is_empty(), "{door}: nothing answers {question}");
        assert_eq!(ours, theirs, "{door}: {question}");
    }
    Ok(())
}

#[test]
fn status_and_nodes_answer() -> Result<()> {
    let Some(hubble) = hubble("stock_client") else { return Ok(()) };
    let weir = start()?;
    for door in ["relay", "node"] {
        let status = ask(&hubble, weir.address(door), &["status"])?;
        assert!(status.contains("Healthcheck") && status.contains(": Ok"), "{door}:\n{status}");
        assert!(status.contains("Current/Max Flows:"), "{door}:\n{status}");
    }
    assert!(ask(&hubble, weir.address("relay"), &["status"])?.contains("Connected Nodes: 1/1"));
    let nodes = ask(&hubble, weir.address("relay"), &["list", "nodes", "-o", "wide"])?;
    assert!(nodes.lines().count() >= 2 && nodes.contains("Connected"), "{nodes}");
    let namespaces = ask(&hubble, weir.address("relay"), &["list", "namespaces"])?;
    assert!(namespaces.starts_with("NAMESPACE"), "{namespaces}");
    Ok(())
}

#[test]
fn follow_prints_what_comes_later() -> Result<()> {
    let Some(hubble) = hubble("stock_client") else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let pipe = folder.path().join("flows");
    output(Command::new("mkfifo").arg(&pipe))?;
    let text = std::fs::read_to_string(fixture("hubble-flows-real.jsonl"))?;
    let line = text.lines().next().context("the fixture is empty")?;
    // Open for reading and writing, so that neither side waits for the other and the replay never ends.
    let mut writer = std::fs::OpenOptions::new().read(true).write(true).open(&pipe)?;
    let weir = Weir::start(&Place::Here, &["--replay", &pipe.display().to_string()])?;
    for door in ["relay", "node"] {
        let out = folder.path().join(door);
        let mut follower = Command::new(&hubble)
            .args(["observe", "--follow", "--server", weir.address(door)])
            .stdout(std::fs::File::create(&out)?)
            .stderr(Stdio::null())
            .spawn()?;
        let seen = wait_until(&format!("{door} streams a flow to hubble observe --follow"), SOON, || {
            std::io::Write::write_all(&mut writer, format!("{line}\n").as_bytes()).ok()?;
            std::fs::read_to_string(&out).ok().filter(|t| t.contains("kapinger-good"))
        });
        follower.kill()?;
        follower.wait()?;
        seen?;
    }
    Ok(())
}
