//! A running `weir relay` with a store, which may be killed and started again.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use demo::topology::{Running, wait_until};
use serde_json::Value;

use crate::address::own_address;
use crate::{binary, memory_of};

/// A start that takes longer has failed: the log of some seconds is read in less.
const START_DEADLINE: Duration = Duration::from_secs(60);
const STOP_DEADLINE: Duration = Duration::from_secs(30);

/// File that fills a small disk.
const BALLAST: &str = "ballast";

/// A relay on ports of its own.
pub struct Relay {
    process: Running,
    grpc: String,
    http: String,
    metrics: String,
    program: String,
    args: Vec<String>,
    log: PathBuf,
}

impl Relay {
    /// Starts a relay with these settings (`KEY=VALUE`); what it says goes to a file in `folder`.
    ///
    /// # Errors
    /// It is not built, ended, or did not come up; the text holds what it printed.
    pub fn start(folder: &Path, settings: &[String]) -> Result<Self> {
        let weir = binary("weir")?.display().to_string();
        Self::start_under(&weir, &[], folder, settings)
    }

    /// Starts a relay as [`Relay::start`] does, with these further variables in its environment (`NAME=VALUE`).
    ///
    /// # Errors
    /// As [`Relay::start`].
    pub fn start_with_env(folder: &Path, settings: &[String], variables: &[String]) -> Result<Self> {
        Self::start_under("env", variables, folder, settings)
    }

    fn start_under(program: &str, before: &[String], folder: &Path, settings: &[String]) -> Result<Self> {
        // It must come back at the same ones.
        let [grpc, http, metrics] = [own_address()?, own_address()?, own_address()?].map(|address| address.to_string());
        let mut args = before.to_vec();
        if !before.is_empty() {
            args.push(binary("weir")?.display().to_string());
        }
        args.push("relay".to_owned());
        let ports: [String; 4] = [
            format!("relay.grpc.listen={grpc}"),
            format!("relay.http.listen={http}"),
            format!("relay.metrics.listen={metrics}"),
            "relay.flight_sql.listen=127.0.0.1:0".to_owned(),
        ];
        for setting in ports.iter().chain(settings) {
            args.extend(["--set".to_owned(), setting.clone()]);
        }
        let log = folder.join("relay.log");
        let process = run(program, &args, &log)?;
        let mut relay = Self { process, grpc, http, metrics, program: program.to_owned(), args, log };
        relay.await_start()?;
        Ok(relay)
    }

    /// Starts a relay as [`Relay::start`] does, with a disk of its own of 4 MiB at `store`, most of which something else
    /// fills. It cannot be started again.
    ///
    /// # Errors
    /// As [`Relay::start`], or there is no privilege to mount.
    pub fn start_on_small_disk(folder: &Path, settings: &[String], store: &Path) -> Result<Self> {
        let fill = format!("dd if=/dev/zero of='{}/{BALLAST}' bs=1k count=3700 status=none", store.display());
        Self::start_on_disk(folder, settings, store, "4m", &fill)
    }

    /// Starts a relay as [`Relay::start`] does, with a disk of its own at `store` that
    /// [`Relay::make_disk_read_only`] can take writing away from. It cannot be started again.
    ///
    /// # Errors
    /// As [`Relay::start`], or there is no privilege to mount.
    pub fn start_on_own_disk(folder: &Path, settings: &[String], store: &Path) -> Result<Self> {
        Self::start_on_disk(folder, settings, store, "256m", "true")
    }

    fn start_on_disk(folder: &Path, settings: &[String], store: &Path, size: &str, then: &str) -> Result<Self> {
        std::fs::create_dir_all(store)?;
        let mount = format!("mount -t tmpfs -o size={size} none '{}' && {then} && exec \"$@\"", store.display());
        let before = ["--mount", "--propagation", "private", "sh", "-c", &mount, "sh"].map(str::to_owned);
        Self::start_under("unshare", &before, folder, settings)
    }

    /// Takes away what fills the disk of [`Relay::start_on_small_disk`].
    ///
    /// # Errors
    /// It is not there.
    pub fn free_small_disk(&self, store: &Path) -> Result<()> {
        let inside = format!("/proc/{}/root{}/{BALLAST}", self.process.pid(), store.display());
        std::fs::remove_file(&inside).with_context(|| format!("cannot remove {inside}"))
    }

    /// Makes the disk of [`Relay::start_on_own_disk`] read-only: all but the file the relay is writing to just now, which a
    /// kernel keeps writable too.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn make_disk_read_only(&self, store: &Path) -> Result<()> {
        self.inside(&format!("mount --bind '{0}' '{0}' && mount -o remount,bind,ro '{0}'", store.display()))
    }

    /// Ends what [`Relay::make_disk_read_only`] did.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn make_disk_writable(&self, store: &Path) -> Result<()> {
        self.inside(&format!("umount -l '{}'", store.display()))
    }

    /// Runs a shell command in the relay's mount namespace.
    fn inside(&self, command: &str) -> Result<()> {
        let namespace = format!("--mount=/proc/{}/ns/mnt", self.process.pid());
        let out = Command::new("nsenter").args([&namespace, "sh", "-c", command]).output()?;
        ensure!(out.status.success(), "{command}: {}", String::from_utf8_lossy(&out.stderr));
        Ok(())
    }

    /// Kills it as a crash would.
    ///
    /// # Errors
    /// The kernel refused.
    pub fn kill(&mut self) -> Result<()> {
        self.process.kill()
    }

    /// Starts it again at the same ports, with the same settings.
    ///
    /// # Errors
    /// It did not come up; the text holds what it printed.
    pub fn restart(&mut self) -> Result<()> {
        self.process = run(&self.program, &self.args, &self.log)?;
        self.await_start()
    }

    /// Stops it in order.
    ///
    /// # Errors
    /// It did not end in time, or ended with an error.
    pub fn stop(&mut self) -> Result<()> {
        let status = self.process.stop(STOP_DEADLINE)?;
        if status.success() { Ok(()) } else { bail!("the relay ended with {status}:\n{}", self.log()) }
    }

    /// Address of its gRPC port.
    #[must_use]
    pub fn grpc(&self) -> &str {
        &self.grpc
    }

    /// What it has said, over all its lives.
    #[must_use]
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Rows of a SQL query.
    ///
    /// # Errors
    /// It failed.
    pub fn sql(&self, query: &str) -> Result<Vec<Vec<Value>>> {
        let body = serde_json::json!({ "query": query, "format": "json" }).to_string();
        let url = format!("http://{}/api/v1/sql", self.http);
        let mut answer = ureq::post(&url).header("content-type", "application/json").send(body)?;
        let mut answer: Value = serde_json::from_str(&answer.body_mut().read_to_string()?)?;
        match answer["rows"].take() {
            Value::Array(rows) => Ok(rows.into_iter().map(|row| row.as_array().cloned().unwrap_or_default()).collect()),
            _ => bail!("{query}\nwas refused: {answer}"),
        }
    }

    /// Bytes of memory that its process has occupied at most since it began.
    ///
    /// # Errors
    /// It is gone, or this system does not tell.
    pub fn memory_peak(&self) -> Result<u64> {
        Ok(memory_of(self.process.pid(), "VmHWM")?)
    }

    /// Value of a metric, with its labels as they are written; 0 where it is not there.
    ///
    /// # Errors
    /// The metrics cannot be read.
    pub fn metric(&self, name: &str) -> Result<u64> {
        let text = ureq::get(&format!("http://{}/metrics", self.metrics)).call()?.body_mut().read_to_string()?;
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        value.map_or(Ok(0), |value| value.parse().with_context(|| format!("{name} is {value}")))
    }

    fn await_start(&mut self) -> Result<()> {
        let url = format!("http://{}/api/v1/status", self.http);
        let process = &mut self.process;
        let up = wait_until("the relay is up", START_DEADLINE, || {
            if process.has_ended() {
                return Some(false);
            }
            ureq::get(&url).call().is_ok().then_some(true)
        });
        match up {
            Ok(true) => Ok(()),
            Ok(false) => bail!("the relay ended:\n{}", self.log()),
            Err(error) => Err(error.context(self.log())),
        }
    }
}

fn run(program: &str, args: &[String], log: &Path) -> Result<Running> {
    let log = std::fs::File::options().create(true).append(true).open(log)?;
    let mut command = Command::new(program);
    command.args(args).stdout(log.try_clone()?).stderr(log);
    Running::start("weir relay", &mut command)
}
