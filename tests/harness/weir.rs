//! A running `weir up`, and the ways to ask it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use demo::topology::{Running, Topology, output, wait_until};
use serde_json::Value;

/// A start that takes longer has failed.
const START_DEADLINE: Duration = Duration::from_secs(30);
/// An ordered stop that takes longer has failed.
const STOP_DEADLINE: Duration = Duration::from_secs(20);

/// Where `weir` runs.
pub enum Place<'a> {
    /// In the namespace of the test.
    Here,
    /// In the node's namespace of a topology.
    Node(&'a Topology),
}

/// A running `weir up` on free ports, stopped when dropped.
pub struct Weir {
    process: Running,
    folder: tempfile::TempDir,
    netns: Option<String>,
    addresses: BTreeMap<String, String>,
}

impl Weir {
    /// Starts `weir up` with these further arguments and waits until it says that it is up.
    ///
    /// # Errors
    /// It is not built, ended, or did not come up; the text holds what it printed.
    pub fn start(place: &Place<'_>, args: &[&str]) -> Result<Self> {
        Self::start_under(place, &[], args)
    }

    /// The same under a program that takes a command line, such as `setpriv`.
    ///
    /// # Errors
    /// As for [`Weir::start`].
    pub fn start_under(place: &Place<'_>, wrapper: &[&str], args: &[&str]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let netns = match place {
            Place::Here => None,
            Place::Node(topology) => topology.node().map(str::to_owned),
        };
        let log = std::fs::File::create(folder.path().join("weir.log"))?;
        let weir = binary("weir")?;
        let mut command = match wrapper {
            [] => in_netns(netns.as_deref(), &weir),
            [program, rest @ ..] => {
                let mut command = in_netns(netns.as_deref(), Path::new(program));
                command.args(rest).arg(&weir);
                command
            }
        };
        command.arg("up").args(free_ports(folder.path())).args(args).stdout(log.try_clone()?).stderr(log);
        let process = Running::start("weir", &mut command)?;
        let mut weir = Self { process, folder, netns, addresses: BTreeMap::new() };
        weir.await_greeting()?;
        Ok(weir)
    }

    fn await_greeting(&mut self) -> Result<()> {
        let process = &mut self.process;
        let log = self.folder.path().join("weir.log");
        let text = wait_until("weir is up", START_DEADLINE, || {
            let text = std::fs::read_to_string(&log).unwrap_or_default();
            (text.contains("Try:") || process.has_ended()).then_some(text)
        })
        .with_context(|| std::fs::read_to_string(&log).unwrap_or_default())?;
        for line in text.lines() {
            if let Some((key, address)) = greeting_line(line) {
                self.addresses.insert(key, address);
            }
        }
        if self.addresses.len() < 5 {
            bail!("weir did not come up:\n{text}");
        }
        Ok(())
    }

    /// Address of a door: `ui`, `relay`, `node`, `collector-metrics` or `relay-metrics`.
    #[must_use]
    pub fn address(&self, door: &str) -> &str {
        self.addresses.get(door).map_or("", String::as_str)
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("weir.log")).unwrap_or_default()
    }

    /// A command that runs where Weir runs.
    #[must_use]
    pub fn command(&self, program: &Path) -> Command {
        in_netns(self.netns.as_deref(), program)
    }

    /// Runs `flowctl` against the relay and returns its standard output.
    ///
    /// # Errors
    /// It failed; the text holds its standard error.
    pub fn flowctl(&self, args: &[&str]) -> Result<String> {
        let mut command = self.command(&binary("flowctl")?);
        command.args(args).args(["--server", self.address("relay")]);
        output(&mut command)
    }

    /// Answers a SQL query with its rows.
    ///
    /// # Errors
    /// The query failed.
    pub fn sql(&self, query: &str) -> Result<Vec<Vec<Value>>> {
        let body = serde_json::json!({ "query": query, "format": "json" }).to_string();
        let mut answer: Value = serde_json::from_str(&self.curl(
            &["-X", "POST", "-H", "content-type: application/json", "-d", &body],
            &format!("http://{}/api/v1/sql", self.address("ui")),
        )?)?;
        match answer["rows"].take() {
            Value::Array(rows) => Ok(rows.into_iter().map(|row| row.as_array().cloned().unwrap_or_default()).collect()),
            _ => bail!("{query}\nwas refused: {answer}"),
        }
    }

    /// Answers a SQL query for one number; no row and NULL are 0.
    ///
    /// # Errors
    /// The query failed or gave something else.
    pub fn count(&self, query: &str) -> Result<i64> {
        let rows = self.sql(query)?;
        match rows.first().and_then(|row| row.first()) {
            None | Some(Value::Null) => Ok(0),
            Some(value) => value.as_i64().with_context(|| format!("{query}\ngave {value}, not a whole number")),
        }
    }

    /// Waits until a query gives this number.
    ///
    /// # Errors
    /// It does not within the deadline; the text holds what it gave last.
    pub fn await_count(&self, expected: i64, query: &str) -> Result<()> {
        let mut last = None;
        wait_until(&format!("this gives {expected}: {query}"), crate::SOON, || {
            last = Some(self.count(query));
            matches!(last, Some(Ok(n)) if n == expected).then_some(())
        })
        .with_context(|| format!("it gave {last:?} last"))
    }

    /// Gets a JSON document of the HTTP API.
    ///
    /// # Errors
    /// It cannot be got or is not JSON.
    pub fn get(&self, path: &str) -> Result<Value> {
        Ok(serde_json::from_str(&self.curl(&[], &format!("http://{}{path}", self.address("ui")))?)?)
    }

    /// Gets the metrics of a door.
    ///
    /// # Errors
    /// They cannot be got.
    pub fn metrics(&self, door: &str) -> Result<String> {
        self.curl(&[], &format!("http://{}/metrics", self.address(door)))
    }

    /// Stops it by SIGTERM.
    ///
    /// # Errors
    /// It did not end in time or ended with an error.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.process.stop(STOP_DEADLINE)?;
        if status.success() { Ok(()) } else { bail!("weir ended with {status}:\n{}", self.log()) }
    }

    /// Kills it at once.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    fn curl(&self, args: &[&str], url: &str) -> Result<String> {
        let mut command = self.command(Path::new("curl"));
        output(command.args(["-sS", "--max-time", "20"]).args(args).arg(url))
    }
}

/// Path of a built program.
///
/// # Errors
/// It is not built.
pub fn binary(name: &str) -> Result<PathBuf> {
    let exe = std::env::current_exe()?;
    // Tests live in target/debug/deps, programs in target/debug.
    let path = exe.ancestors().nth(2).context("the test has no target folder")?.join(name);
    if path.exists() { Ok(path) } else { bail!("{} is not built: run ./dev test", path.display()) }
}

/// Path of a fixture below `tests/fixtures`.
#[must_use]
pub fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name)
}

fn in_netns(netns: Option<&str>, program: &Path) -> Command {
    match netns {
        None => Command::new(program),
        Some(netns) => {
            // Not `ip netns exec`: that mounts another /sys, without the cgroup tree.
            let mut command = Command::new("nsenter");
            command.arg(format!("--net=/run/netns/{netns}")).arg("--").arg(program);
            command
        }
    }
}

fn free_ports(folder: &Path) -> Vec<String> {
    let socket = folder.join("observer.sock");
    [
        "relay.grpc.listen=127.0.0.1:0".to_owned(),
        "relay.http.listen=127.0.0.1:0".to_owned(),
        "relay.flight_sql.listen=127.0.0.1:0".to_owned(),
        "relay.metrics.listen=127.0.0.1:0".to_owned(),
        "collector.observer.listen=127.0.0.1:0".to_owned(),
        "collector.metrics.listen=127.0.0.1:0".to_owned(),
        format!("collector.observer.socket={}", socket.display()),
        format!("relay.store={}", folder.join("store").display()),
    ]
    .into_iter()
    .flat_map(|assignment| ["--set".to_owned(), assignment])
    .collect()
}

/// Reads one line of the greeting: `Web UI  http://127.0.0.1:12000`.
fn greeting_line(line: &str) -> Option<(String, String)> {
    let line = line.trim();
    if let Some(url) = line.strip_prefix("Web UI") {
        return Some(("ui".to_owned(), url.trim().strip_prefix("http://")?.to_owned()));
    }
    if let Some(url) = line.strip_prefix("Metrics") {
        let (url, part) = url.trim().split_once(' ')?;
        let address = url.strip_prefix("http://")?.strip_suffix("/metrics")?;
        return Some((format!("{}-metrics", part.trim_matches(['(', ')'])), address.to_owned()));
    }
    if let Some(url) = line.strip_prefix("Flight SQL") {
        return Some(("flight-sql".to_owned(), url.trim().strip_prefix("grpc://")?.to_owned()));
    }
    if let Some(address) = line.strip_prefix("Hubble API (relay)") {
        return Some(("relay".to_owned(), address.trim().to_owned()));
    }
    let address = line.strip_prefix("Hubble API (node)")?;
    Some(("node".to_owned(), address.trim().to_owned()))
}
