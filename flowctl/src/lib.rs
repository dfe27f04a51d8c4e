//! `flowctl`: observes flows, asks servers how they are, and queries history.
//!
//! A client only: it speaks Hubble's gRPC API to any server of it and the HTTP API to a Weir relay. Flags, layouts and
//! exit codes are those of Hubble's own command line, so that scripts go on working.

mod cli;
mod configure;
mod connect;
mod event;
mod http;
mod list;
mod moments;
mod observe;
mod print;
mod reflect;
mod settings;
mod sql;
mod status;
mod stop;
mod watch;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::{CommandFactory as _, Parser as _};
use flow::{Clock as _, SystemClock};

use cli::{Cli, Command, ListWhat, ObserveWhat, Watch};
use settings::Settings;

/// Standard output is written in pieces of this size, or as soon as nothing more is at hand.
const OUTPUT_BYTES: usize = 64 << 10;

/// Runs the program with its arguments, the first of which is its name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut out = BufWriter::with_capacity(OUTPUT_BYTES, io::stdout().lock());
    let mut err = io::stderr().lock();
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(refused) => {
            let wanted = !refused.use_stderr();
            // Help that cannot be printed has no reader either.
            return if refused.print().is_ok() && wanted { ExitCode::SUCCESS } else { ExitCode::FAILURE };
        }
    };
    let result = dispatch(&cli, &mut out, &mut err).and_then(|()| Ok(out.flush()?));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => {
            // What is still buffered has nobody to go to; dropping the writer would try again.
            drop(out.into_parts());
            ExitCode::SUCCESS
        }
        Err(error) => {
            let told = writeln!(err, "flowctl: {error:#}");
            // Without standard error only the exit code is left to tell.
            drop(told);
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: &Cli, out: &mut dyn Write, err: &mut dyn Write) -> Result<()> {
    let Some(command) = &cli.command else {
        return Ok(write!(out, "{}", Cli::command().render_help())?);
    };
    let settings = || load_settings(cli);
    match command {
        Command::Observe(observe) => {
            let flags = match &observe.what {
                Some(ObserveWhat::Flows(flags)) => flags,
                None => &observe.flags,
            };
            observe::run(flags, &settings()?, SystemClock.now(), out, err)
        }
        Command::Status(flags) => status::run(flags.output, &settings()?, out),
        Command::List(list) => match &list.what {
            ListWhat::Nodes(flags) => list::nodes(flags.output, &settings()?, out),
            ListWhat::Namespaces(flags) => list::namespaces(flags.output, &settings()?, out),
        },
        Command::Sql(flags) => sql::run(flags, &settings()?, out, err),
        Command::Watch(Watch::Peers) => watch::peers(&settings()?, out),
        Command::Config(config) => {
            configure::run(config.action.as_ref(), settings, || Settings::file(&given_flags(cli), &environment), out)
        }
        Command::Reflect => reflect::run(&settings()?, out),
        Command::Completion { shell } => {
            // Into memory first, because the generator panics where it cannot write.
            let mut script = Vec::new();
            clap_complete::generate(*shell, &mut Cli::command(), "flowctl", &mut script);
            Ok(out.write_all(&script)?)
        }
        Command::Version => {
            let (version, os, machine) = (env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
            Ok(writeln!(out, "flowctl {version} (Hubble API 1.19) on {os}/{machine}")?)
        }
    }
}

fn load_settings(cli: &Cli) -> Result<Settings> {
    Settings::load(&given_flags(cli), &environment)
}

fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// Values of flags that are also settings.
fn given_flags(cli: &Cli) -> Vec<(&'static str, Vec<String>)> {
    let mut flags = cli.server.given();
    let single = [("config", &cli.global.config), ("debug", &cli.global.debug)];
    flags.extend(single.into_iter().filter_map(|(name, value)| Some((name, vec![value.clone()?]))));
    if let Some(Command::Observe(observe)) = &cli.command {
        let raw = match &observe.what {
            Some(ObserveWhat::Flows(flags)) => &flags.raw,
            None => &observe.flags.raw,
        };
        let lists = [("allowlist", &raw.allowlist), ("denylist", &raw.denylist)];
        flags.extend(
            lists.into_iter().filter(|(_, texts)| !texts.is_empty()).map(|(name, texts)| (name, texts.clone())),
        );
    }
    flags
}

/// One thread: a client waits for one server.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the event loop")
}

/// Whether the reader of our output went away, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
