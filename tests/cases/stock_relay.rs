//! Hubble's own relay in front of two of our collectors, which tell it of each other, asked by the stock client.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use demo::topology::{output, wait_until};
use weir_tests::{Collector, SOON, compare_golden, fixture, hubble, stock_relay, stock_tool, without_deprecated};

/// Flows of every kind; odd lines go to one node, even ones to the other.
fn halves() -> Result<[Vec<String>; 2]> {
    let text = std::fs::read_to_string(fixture("stock-flows.jsonl"))?;
    let flows = text.lines().filter(|line| line.starts_with("{\"flow\":")).map(str::to_owned);
    let (odd, even): (Vec<_>, Vec<_>) = flows.enumerate().partition(|(i, _)| i % 2 == 0);
    Ok([odd, even].map(|half| half.into_iter().map(|(_, line)| line).collect()))
}

struct Asker<'a> {
    hubble: &'a Path,
    server: &'a str,
    args: Vec<String>,
}

impl Asker<'_> {
    fn ask(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(self.hubble);
        output(command.args(args).args(&self.args).args(["--server", self.server]).env_remove("HUBBLE_SERVER"))
    }

    fn sorted(&self, args: &[&str]) -> Result<Vec<String>> {
        let text = self.ask(args)?;
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        Ok(lines)
    }
}

/// All flows as JSON.
fn told(asker: &Asker<'_>) -> Result<Vec<String>> {
    let lines = asker.sorted(&["observe", "--all", "-o", "jsonpb"])?;
    Ok(lines.iter().map(|line| without_deprecated(line)).collect())
}

/// What stands in a table without the columns that differ from run to run.
fn columns(table: &str, names: &[&str]) -> Result<String> {
    let head = table.lines().next().context("a table has a head")?;
    let places: Vec<usize> = names.iter().filter_map(|name| head.split_whitespace().position(|h| h == *name)).collect();
    let mut rows: Vec<String> = table
        .lines()
        .skip(1)
        .map(|row| {
            let cells: Vec<&str> = row.split_whitespace().collect();
            places.iter().filter_map(|at| cells.get(*at).copied()).collect::<Vec<_>>().join(" ")
        })
        .collect();
    rows.sort();
    Ok(format!("{}\n{}\n", names.join(" "), rows.join("\n")))
}

fn await_both(asker: &Asker<'_>) -> Result<String> {
    let mut last = String::new();
    wait_until("the stock relay is connected to both", SOON, || {
        last = asker.ask(&["status"]).unwrap_or_else(|error| format!("{error:#}"));
        last.contains("Connected Nodes: 2/2").then(|| last.clone())
    })
    .with_context(|| last.clone())
}

/// Starts both collectors. The first tells of the second, too.
fn collectors(folder: &Path, halves: &[Vec<String>; 2], set: &[String]) -> Result<[Collector; 2]> {
    let [a, b] = [0, 1].map(|i| halves[i].join("\n") + "\n");
    let second = Collector::replay("node-b", &b, folder, set)?;
    let peers = folder.join("peers.yaml");
    std::fs::write(&peers, format!("- {{name: node-b, address: '{}'}}\n", second.address))?;
    let file = format!("collector.observer.peers_file={}", peers.display());
    let first = Collector::replay("node-a", &a, folder, &[set, &[file]].concat())?;
    Ok([first, second])
}

#[test]
fn every_flow_passes_unchanged() -> Result<()> {
    let (Some(hubble), Some(program)) = (hubble("stock_relay"), stock_tool("stock_relay", "hubble-relay")) else {
        return Ok(());
    };
    let (folder, halves) = (tempfile::tempdir()?, halves()?);
    let collectors = collectors(folder.path(), &halves, &[])?;
    let service = format!("unix://{}", collectors[0].socket.display());
    let plain = ["--disable-client-tls", "--disable-server-tls"].map(str::to_owned);
    let (_relay, server) = stock_relay(&program, &service, folder.path(), &plain)?;
    let asker = Asker { hubble: &hubble, server: &server, args: Vec::new() };
    let status = await_both(&asker)?;

    let mut expected = halves.concat();
    expected.sort();
    assert_eq!(told(&asker)?, expected, "the very bytes that were recorded");

    let mut transcript = String::new();
    let mut note = |args: &[&str], text: &str| transcript.push_str(&format!("$ hubble {}\n{text}\n", args.join(" ")));
    for args in [
        vec!["observe", "--all"],
        vec!["observe", "--all", "--verdict", "DROPPED"],
        vec!["observe", "--all", "--protocol", "http"],
        vec!["observe", "--first", "1", "--to-port", "53", "--print-node-name"],
        vec!["observe", "--all", "--since", "2026-01-15T10:11:12.020Z", "--until", "2026-01-15T10:11:12.022Z"],
    ] {
        note(&args, &(asker.sorted(&args)?.join("\n") + "\n"));
    }
    let args = ["list", "nodes"];
    note(&args, &columns(&asker.ask(&args)?, &["NAME", "STATUS"])?);
    let lines: Vec<&str> =
        status.lines().map(str::trim).filter(|l| !l.contains("via") && !l.contains("Flows/s")).collect();
    note(&["status"], &(lines.join("\n") + "\n"));
    compare_golden("stock_relay.txt", &transcript)
}

fn certificate(name: &str) -> String {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tls/tests/certificates").join(name).display().to_string()
}

#[test]
fn mutual_tls_from_the_client_to_the_nodes() -> Result<()> {
    let (Some(hubble), Some(program)) = (hubble("stock_relay"), stock_tool("stock_relay", "hubble-relay")) else {
        return Ok(());
    };
    let (folder, halves) = (tempfile::tempdir()?, halves()?);
    let tls = format!(
        "collector.observer.tls={{cert_file: {}, key_file: {}, client_ca_files: [{}]}}",
        certificate("server.pem"),
        certificate("server-key.pem"),
        certificate("ca.pem")
    );
    let collectors = collectors(folder.path(), &halves, &[tls])?;
    let args = [
        ("--tls-hubble-client-cert-file", "client.pem"),
        ("--tls-hubble-client-key-file", "client-key.pem"),
        ("--tls-hubble-server-ca-files", "ca.pem"),
        ("--tls-relay-server-cert-file", "server.pem"),
        ("--tls-relay-server-key-file", "server-key.pem"),
    ]
    .map(|(flag, file)| [flag.to_owned(), certificate(file)])
    .concat();
    let service = format!("unix://{}", collectors[0].socket.display());
    let (_relay, server) = stock_relay(&program, &service, folder.path(), &args)?;
    let ca = certificate("ca.pem");
    let args = ["--tls", "--tls-ca-cert-files", &ca, "--tls-server-name", "localhost"].map(str::to_owned);
    let asker = Asker { hubble: &hubble, server: &server, args: args.to_vec() };
    await_both(&asker)?;
    let mut expected = halves.concat();
    expected.sort();
    assert_eq!(told(&asker)?, expected);
    Ok(())
}
