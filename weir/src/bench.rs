//! Measuring: traffic to order, and how fast it is taken in and asked about.

mod generate;
mod parquet;
mod push;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{ArgGroup, Args, Subcommand};
use flow::{Clock as _, SystemClock, Timestamp};
use traffic::Settings;

use generate::Batches;

#[derive(Debug, Subcommand)]
pub(crate) enum BenchCommand {
    /// Make the flows of a cluster of 2,000 pods from a seed, into Parquet files or into a relay
    Generate(GenerateArgs),
}

#[derive(Args, Debug)]
#[command(group(ArgGroup::new("into").required(true).args(["out", "push"])))]
pub(crate) struct GenerateArgs {
    /// Flows to make
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000_000)]
    flows: u64,

    /// Number that decides what is made; the same number makes the same flows
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// Flows a second in the time of the flows
    #[arg(long, value_name = "NUMBER", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000_000))]
    rate: u32,

    /// Time of the first flow, such as 2026-01-15T10:00:00Z [default: 2026-01-15T10:11:12Z; with --push so that the
    /// last flow is of now]
    #[arg(long, value_name = "TIME")]
    start: Option<String>,

    /// Write Parquet files into this folder
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,

    /// Push to the gRPC address of a relay, such as http://127.0.0.1:4245, and wait until all is acknowledged
    #[arg(long, value_name = "URL")]
    push: Option<String>,

    /// Streams to push on, each as a node of its own
    #[arg(long, value_name = "NUMBER", default_value_t = 4, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    streams: u16,

    /// Rows of a batch
    #[arg(long, value_name = "NUMBER", default_value_t = 8_192, value_parser = clap::value_parser!(u32).range(1..=32_768))]
    batch_rows: u32,
}

/// Runs what was asked for.
///
/// # Errors
/// The text says what could not be done.
pub(crate) fn run(command: &BenchCommand) -> Result<()> {
    match command {
        BenchCommand::Generate(args) => generate(args),
    }
}

fn generate(args: &GenerateArgs) -> Result<()> {
    let settings = settings(args)?;
    match (&args.out, &args.push) {
        (Some(folder), _) => {
            let batches = Batches::new(settings, args.flows, args.batch_rows);
            parquet::write(folder, batches)
        }
        (None, Some(address)) => {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
            runtime.block_on(push::push(address, settings, args))
        }
        (None, None) => bail!("give --out FOLDER or --push URL"),
    }
}

fn settings(args: &GenerateArgs) -> Result<Settings> {
    let interval_ns = 1_000_000_000 / i64::from(args.rate);
    let start = match (&args.start, &args.push) {
        (Some(text), _) => {
            Timestamp::parse_rfc3339(text).with_context(|| format!("--start {text:?} cannot be used"))?
        }
        (None, None) => Settings::default().start,
        (None, Some(_)) => {
            let span = i64::try_from(args.flows).unwrap_or(i64::MAX).saturating_mul(interval_ns);
            Timestamp(SystemClock.now().0.saturating_sub(span))
        }
    };
    Ok(Settings { seed: args.seed, start, interval_ns })
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn say(line: &str) {
    println!("{line}");
}

/// Flows a second in words.
fn speed(flows: u64, elapsed: std::time::Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a speed needs no more than three digits")]
    let per_second = flows as f64 / elapsed.as_secs_f64().max(1e-9);
    format!("{flows} flows in {:.2} s, {per_second:.0} flows/s", elapsed.as_secs_f64())
}
