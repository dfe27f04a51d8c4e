//! `flowctl`: observes flows, asks servers how they are, and queries history.
//!
//! A client only: it speaks Hubble's gRPC API to any server of it and the HTTP API to a Weir relay. Flags, layouts and
//! exit codes are those of Hubble's own command line, so that scripts go on working.

mod candidates;
mod cli;
mod configure;
mod connect;
mod expression;
mod groups;
mod http;
mod list;
mod moments;
mod observe;
mod overview;
mod print;
mod reflect;
mod rows;
mod settings;
mod sql;
mod status;
mod stop;
mod ui;
mod units;
mod watch;

use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::process::ExitCode;

use anyhow::{Context, Result};
use flow::{Clock as _, SystemClock};

use cli::{Action, Command, ROOT, Typed};
use observe::EventKind;
use settings::Settings;

/// Standard output is written in pieces of this size, or as soon as nothing more is at hand.
const OUTPUT_BYTES: usize = 64 << 10;

/// Runs the program with its arguments, the first of which is its name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter().map(|argument| argument.to_string_lossy().into_owned());
    let called = arguments.next().unwrap_or_default();
    let called = called.rsplit('/').next().unwrap_or_default();
    let arguments: Vec<String> = arguments.collect();
    let mut out = BufWriter::with_capacity(OUTPUT_BYTES, io::stdout().lock());
    // Not locked: warnings about damaged input are written past this one.
    let mut err = io::stderr();
    let result = cli::parse(&arguments)
        .map_err(anyhow::Error::from)
        .and_then(|typed| dispatch(called, &typed, &mut out, &mut err))
        .and_then(|()| out.flush().context("cannot write to standard output"));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_broken_pipe(&error) => {
            // What is still buffered has nobody to go to; dropping the writer would try again.
            drop(out.into_parts());
            ExitCode::SUCCESS
        }
        Err(error) => {
            // What came before the failure is the reader's all the same.
            let flushed = out.flush();
            let told = writeln!(err, "{}", told(&error));
            // Without standard error only the exit code is left to tell.
            drop((flushed, told));
            ExitCode::FAILURE
        }
    }
}

fn dispatch(called: &str, typed: &Typed, out: &mut dyn Write, err: &mut dyn Write) -> Result<()> {
    let Some(action) = typed.command().action.filter(|_| !typed.help) else {
        return print_help(&typed.path, out);
    };
    if action == Action::Complete {
        let ask = |condition: &str, label: Option<&str>| candidates::of_server(&typed.operands, condition, label);
        return Ok(write!(out, "{}", cli::complete(&typed.operands, &ask))?);
    }
    let mut settings = Settings::load(&typed.flags, &|name| std::env::var(name).ok());
    let (given, operands) = (&typed.flags, typed.operands.as_slice());
    match action {
        Action::ConfigHelp => return print_help(&typed.path, out),
        Action::ConfigView => return configure::view(&settings, out),
        Action::ConfigGet => return configure::get(&settings, operands, out),
        Action::ConfigSet => return configure::set(&mut settings, operands),
        Action::ConfigReset => return configure::reset(&mut settings, operands),
        _ => {}
    }
    if let Some(problem) = &settings.file.problem {
        writeln!(err, "flowctl: {problem:#}; it counts as empty")?;
    }
    settings::check_environment(std::env::vars_os())?;
    settings.check()?;
    let now = SystemClock.now();
    let now = proto::convert::time_to_wire(now);
    let output = |default: &'static str| given.text("output", default).to_owned();
    match action {
        Action::ObserveFlows => observe::flows(given, &settings, now, out, err),
        Action::ObserveAgentEvents => observe::events(EventKind::Agent, given, &settings, now, out, err),
        Action::ObserveDebugEvents => observe::events(EventKind::Debug, given, &settings, now, out, err),
        Action::Status => status::run(&output("compact"), &settings, out),
        Action::ListNodes => list::nodes(&output("table"), &settings, out),
        Action::ListNamespaces => list::namespaces(&output("table"), &settings, out),
        Action::Map => overview::map(given, operands, &settings, out),
        Action::Top => overview::top(given, operands, &settings, out),
        Action::Drops => overview::drops(given, operands, &settings, out),
        Action::Ui => ui::run(given, operands, &settings, now),
        Action::Sql => sql::run(given, operands, &settings, out, err),
        Action::WatchPeers => watch::peers(&settings, out),
        Action::Reflect => reflect::run(&settings, out),
        Action::Completion(shell) => {
            Ok(write!(out, "{}", cli::script(shell, !given.is_on("no-descriptions", false), called))?)
        }
        Action::Version => {
            let (version, os, machine) = (env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
            Ok(writeln!(out, "flowctl {version} (Hubble API 1.19) on {os}/{machine}")?)
        }
        Action::Help => match cli::find_command(operands) {
            Some(path) => print_help(&path, out),
            None => Ok(write!(err, "Unknown help topic [`{}`]\n{}", operands.join("` `"), cli::usage(&[&ROOT]))?),
        },
        Action::ConfigHelp
        | Action::ConfigView
        | Action::ConfigGet
        | Action::ConfigSet
        | Action::ConfigReset
        | Action::Complete => Ok(()),
    }
}

fn print_help(path: &[&'static Command], out: &mut dyn Write) -> Result<()> {
    Ok(write!(out, "{}", cli::help(path))?)
}

/// Tells people of something that does not end the run, on one line. The text may quote what somebody sent, so control
/// characters are made visible.
///
/// # Errors
/// Writing failed.
fn warn(text: &str) -> Result<()> {
    let mut line = b"flowctl: ".to_vec();
    print::put(&mut line, text);
    line.push(b'\n');
    Ok(io::stderr().write_all(&line)?)
}

/// One thread: a client waits for one server.
fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start the event loop")
}

/// The error with its causes. What the system says is written as Go writes it, without a capital and the number:
/// scripts look for `no such file or directory`.
fn told(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let cause = error.root_cause().downcast_ref::<io::Error>().map(io::Error::to_string);
    let split =
        cause.as_deref().and_then(|cause| Some((text.strip_suffix(cause)?, cause.split_once(" (os error ")?.0)));
    let Some((before, cause)) = split else { return text };
    let mut letters = cause.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    first.map_or(text.clone(), |first| format!("{before}{first}{}", letters.as_str()))
}

/// Whether the reader of our output went away, as `head` does.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|e| e.kind() == io::ErrorKind::BrokenPipe)
}
