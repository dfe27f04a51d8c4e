//! `weir`: the flow observability server, as a collector on every node, as the relay of a cluster, or as both in one
//! process for one machine.

mod bench;
mod cli;
mod doctor;
mod join;
mod serve;
mod settings;
mod store;

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser};

use cli::{Cli, Command, ConfigAction, Part};
use settings::{LogFormat, Settings};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(&cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            report(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<()> {
    match &cli.command {
        Command::Completion { shell } => {
            clap_complete::generate(*shell, &mut Cli::command(), "weir", &mut std::io::stdout());
            Ok(())
        }
        Command::Config { action, role } => {
            let settings = Settings::load(cli, role.part())?;
            if matches!(action, ConfigAction::Print) {
                print(&settings.to_yaml()?);
            }
            Ok(())
        }
        Command::Bench(command) => bench::run(command),
        Command::Store(args) => store::run(args, &Settings::load(cli, Part::Relay)?),
        Command::Doctor { json } => doctor::run(*json),
        Command::Collector(_) | Command::Relay(_) | Command::Up(_) => {
            let part = cli.command.part().expect("these commands run a part");
            let settings = Settings::load(cli, part)?;
            start_logging(&settings)?;
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            let ended = runtime.block_on(serve::run(part, settings));
            // What still blocks missed its deadline, such as a call to an object store that does not answer.
            runtime.shutdown_background();
            ended
        }
    }
}

fn start_logging(settings: &Settings) -> Result<()> {
    let filter = settings.log.env_filter()?;
    let logs = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match settings.log.format {
        LogFormat::Text => logs.with_target(false).init(),
        LogFormat::Json => logs.json().init(),
    }
    Ok(())
}

/// Every cause on a line of its own: the first says what failed, the last why.
#[expect(clippy::print_stderr, reason = "the last words of the program")]
fn report(error: &anyhow::Error) {
    eprintln!("weir: {error}");
    for cause in error.chain().skip(1) {
        eprintln!("  because: {cause}");
    }
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn print(text: &str) {
    print!("{text}");
}
