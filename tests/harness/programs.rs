//! Single programs under test: our collector, our relay, and Hubble's own relay and agent.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};
use demo::topology::{Running, wait_until};

use crate::address::own_address;
use crate::weir::binary;

/// A start that takes longer has failed.
const START_DEADLINE: Duration = Duration::from_secs(30);

/// A program whose log is in a file; killed when dropped.
pub struct Program {
    process: Running,
    log: PathBuf,
}

impl Program {
    /// Starts a program.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(name: &str, mut command: Command, folder: &Path) -> Result<Self> {
        let log = folder.join(format!("{name}.log"));
        let file = std::fs::File::create(&log)?;
        command.env("NO_COLOR", "1").stdout(file.try_clone()?).stderr(file);
        Ok(Self { process: Running::start(name, &mut command)?, log })
    }

    /// Waits for the log to hold `before VALUE after` and gives the value.
    ///
    /// # Errors
    /// It does not come; the text holds the log.
    pub fn await_value(&mut self, before: &str, after: &str) -> Result<String> {
        let (process, log) = (&mut self.process, &self.log);
        let found = wait_until(&format!("{before:?} in the log"), START_DEADLINE, || {
            let text = std::fs::read_to_string(log).unwrap_or_default();
            let value = text.split_once(before).and_then(|(_, rest)| rest.split_once(after));
            let value = value.map(|(value, _)| value.to_owned());
            (value.is_some() || process.has_ended()).then_some(value)
        });
        found?.with_context(|| format!("it ended:\n{}", self.log()))
    }

    /// What it has printed so far.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }
}

/// A running `weir collector` that replays lines.
pub struct Collector {
    /// Its log and process.
    pub program: Program,
    /// TCP address of its observer.
    pub address: String,
    /// Unix socket of its observer.
    pub socket: PathBuf,
}

impl Collector {
    /// Starts a collector of the node `name` that replays `lines`. Its files are in `folder`.
    ///
    /// # Errors
    /// It does not come up; the text holds its log.
    pub fn replay(name: &str, lines: &str, folder: &Path, set: &[String]) -> Result<Self> {
        let (file, socket) = (folder.join(format!("{name}.jsonl")), folder.join(format!("{name}.sock")));
        std::fs::write(&file, lines)?;
        let mut command = Command::new(binary("weir")?);
        command.args(["collector", "--node-name", name, "--replay"]).arg(&file);
        command.args(["--set", "collector.observer.listen=127.0.0.1:0", "--set", "collector.metrics.listen=null"]);
        command.arg("--set").arg(format!("collector.observer.socket={}", socket.display()));
        for assignment in set {
            command.arg("--set").arg(assignment);
        }
        let mut program = Program::start(name, command, folder)?;
        let address = program.await_value("collector is open observer=", " ")?;
        Ok(Self { program, address, socket })
    }
}

/// Starts `weir relay` with this configuration file; gives its gRPC address.
///
/// # Errors
/// It does not come up; the text holds its log.
pub fn relay(config: &str, folder: &Path) -> Result<(Program, String)> {
    let file = folder.join("relay.yaml");
    std::fs::write(&file, config)?;
    let mut command = Command::new(binary("weir")?);
    command.arg("relay").arg("--config").arg(&file).args(["--set", "relay.store=none"]);
    for door in ["grpc", "http", "metrics", "flight_sql"] {
        command.arg("--set").arg(format!("relay.{door}.listen=127.0.0.1:0"));
    }
    let mut program = Program::start("relay", command, folder)?;
    let address = program.await_value("relay is open grpc=", " ")?;
    Ok((program, address))
}

/// Starts Hubble's own relay on the peers that a service tells of; gives its address.
///
/// # Errors
/// It cannot be started.
pub fn stock_relay(program: &Path, peer_service: &str, folder: &Path, args: &[String]) -> Result<(Program, String)> {
    // It does not tell which ports it got.
    let (address, health) = (own_address()?.to_string(), own_address()?.to_string());
    let mut command = Command::new(program);
    command.args(["serve", "--gops=false", "--retry-timeout", "1s", "--peer-service", peer_service]);
    command.args(["--listen-address", &address, "--health-listen-address", &health]).args(args);
    Ok((Program::start("hubble-relay", command, folder)?, address))
}

/// The server of a Cilium agent, fed by lines; see `tests/hubble/agent`. Killed when dropped.
pub struct StockAgent {
    process: Child,
    input: ChildStdin,
    /// TCP address of its observer.
    pub address: String,
}

impl StockAgent {
    /// Starts the agent of a node on an address, and on a Unix socket if one is given.
    ///
    /// # Errors
    /// It cannot be started or does not come up.
    pub fn start(program: &Path, node: &str, listen: &str, socket: Option<&Path>) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["--node", node, "--listen", listen]);
        if let Some(socket) = socket {
            command.arg("--socket").arg(socket);
        }
        Self::run(command)
    }

    /// Starts the agent of a node that holds so many flows, a power of two without one.
    ///
    /// # Errors
    /// It cannot be started or does not come up.
    pub fn with_capacity(program: &Path, node: &str, capacity: usize) -> Result<Self> {
        let mut command = Command::new(program);
        command.args(["--node", node, "--listen", "127.0.0.1:0", "--capacity", &capacity.to_string()]);
        Self::run(command)
    }

    fn run(mut command: Command) -> Result<Self> {
        let program = command.get_program().to_owned();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().with_context(|| format!("cannot start {}", program.display()))?;
        let input = process.stdin.take().context("its input is a pipe")?;
        let mut greeting = String::new();
        let output = process.stdout.take().context("its output is a pipe")?;
        std::io::BufRead::read_line(&mut std::io::BufReader::new(output), &mut greeting)?;
        let address = greeting.trim().strip_prefix("listening ").map(str::to_owned);
        let address = address.with_context(|| format!("it said {greeting:?}"))?;
        Ok(Self { process, input, address })
    }

    /// Its number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.id()
    }

    /// Gives it lines.
    ///
    /// # Errors
    /// It has ended.
    pub fn feed(&mut self, lines: &str) -> Result<()> {
        self.input.write_all(lines.as_bytes())?;
        Ok(self.input.flush()?)
    }
}

impl Drop for StockAgent {
    fn drop(&mut self) {
        // It may have ended by itself, which is as good.
        drop(self.process.kill());
        drop(self.process.wait());
    }
}
