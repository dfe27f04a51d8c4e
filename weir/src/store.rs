//! `weir store`: looking after the files of a store.

use std::io::IsTerminal as _;
use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressStyle};
use relay_server::store::{Archive, StoredFile};

use crate::settings::Settings;

mod copy;
mod verify;

#[derive(Args, Debug)]
pub(crate) struct StoreArgs {
    #[command(subcommand)]
    action: Action,

    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// List the files, the oldest first; the relay may run meanwhile
    Ls,
    /// Read files, counts and log and check every checksum; the relay may run meanwhile
    ///
    /// Ends with 1 where something is damaged, and says what to do about it. Nothing is changed.
    Verify,
    /// Make one file of those of each hour that is over; the relay must not run
    Compact,
    /// Copy flows from files into one Parquet file; the relay may run meanwhile
    ///
    /// What is in the log only is not copied: a relay writes it to files after relay.store.file_age_ms. A file that is
    /// damaged or cannot be read is passed over and named, and the command ends with 1.
    Export {
        /// File to write; one that is there is replaced
        file: PathBuf,
        /// Oldest time, RFC 3339
        #[arg(long, value_name = "TIME")]
        since: Option<String>,
        /// Newest time, RFC 3339
        #[arg(long, value_name = "TIME")]
        until: Option<String>,
    },
    /// Take in the flows of Parquet files; the relay must not run
    ///
    /// The columns are those of the table `flows` (docs/sql.md), or some of them. A file that was taken in before is left
    /// out. One that cannot be read is passed over and named, and the command ends with 1.
    Import {
        /// Files to read
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Does what was asked for.
///
/// # Errors
/// There is no store, it cannot be read or written, or a part of it is damaged.
pub(crate) fn run(args: &StoreArgs, settings: &Settings) -> Result<()> {
    match &args.action {
        Action::Ls => list(&open(settings)?, args.json),
        Action::Verify => verify::run(&open(settings)?, args.json),
        Action::Compact => compact(settings, args.json),
        Action::Export { file, since, until } => copy::export(settings, file, (since, until), args.json),
        Action::Import { files } => copy::import(settings, files, args.json),
    }
}

fn open(settings: &Settings) -> Result<Archive> {
    relay_server::store::open(&settings.relay).with_context(|| {
        format!("cannot look at the store {} (--set relay.store=PLACE names another)", settings.relay.store.place)
    })
}

fn list(archive: &Archive, json: bool) -> Result<()> {
    let files = archive.files();
    let sum = |of: fn(&StoredFile) -> u64| files.iter().map(of).sum::<u64>();
    let (rows, bytes, rollups) = (sum(|f| f.rows), sum(|f| f.bytes), sum(|f| f.rollup_bytes));
    let of = |f: &StoredFile| {
        serde_json::json!({
            "path": f.path, "compacted": f.compacted, "flows": f.rows, "bytes": f.bytes,
            "rollup_bytes": f.rollup_bytes, "oldest": f.oldest.to_string(), "newest": f.newest.to_string(),
            "schema_version": f.schema_version,
        })
    };
    let value = serde_json::json!({
        "files": files.iter().map(of).collect::<Vec<_>>(), "flows": rows, "bytes": bytes, "rollup_bytes": rollups,
    });
    let mut text = String::new();
    if !files.is_empty() {
        text = format!("{:20}  {:20}  {:>12}  {:>11}  {:9}  FILE\n", "OLDEST", "NEWEST", "FLOWS", "SIZE", "KIND");
    }
    for file in &files {
        let kind = if file.compacted { "compacted" } else { "sealed" };
        let (oldest, newest) = (file.oldest.format(SECONDS), file.newest.format(SECONDS));
        let (flows, size) = (HumanCount(file.rows).to_string(), HumanBytes(file.bytes).to_string());
        text += &format!("{oldest:20}  {newest:20}  {flows:>12}  {size:>11}  {kind:9}  {}\n", file.path);
    }
    let (flows, size) = (HumanCount(rows), HumanBytes(bytes));
    text += &format!("{} files, {flows} flows, {size}, and {} of counts", files.len(), HumanBytes(rollups));
    tell(json, &value, &text)
}

/// A time as lists show it.
const SECONDS: &str = "%Y-%m-%dT%H:%M:%SZ";

fn compact(settings: &Settings, json: bool) -> Result<()> {
    let bar = spinner("compacting");
    let done = relay_server::store::compact(&settings.relay, &mut |files| bar.set_position(files))?;
    bar.finish_and_clear();
    let ((files_before, files), (bytes_before, bytes)) = (done.files_of_store, done.bytes_of_store);
    let value = serde_json::json!({
        "files_compacted": done.files, "files_before": files_before, "files": files, "bytes_before": bytes_before,
        "bytes": bytes, "not_compacted": done.not_compacted,
    });
    let mut text = match done.files {
        0 if !done.not_compacted.is_empty() => format!("nothing done: {files} files, {}", HumanBytes(bytes)),
        0 => format!("nothing to do: {files} files, {}; the hour that is not over stays as it is", HumanBytes(bytes)),
        _ => format!("{files_before} files, {} became {files}, {}", HumanBytes(bytes_before), HumanBytes(bytes)),
    };
    for problem in &done.not_compacted {
        text += &format!("\npassed over: {problem}");
    }
    tell(json, &value, &text)
}

/// A bar on standard error, where that is a terminal.
fn bar(length: Option<u64>, template: &str, message: &'static str) -> ProgressBar {
    let bar = match length {
        _ if !std::io::stderr().is_terminal() => ProgressBar::hidden(),
        Some(length) => ProgressBar::new(length),
        None => ProgressBar::new_spinner(),
    };
    bar.set_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(message);
    bar
}

fn bytes_bar(message: &'static str, bytes: u64) -> ProgressBar {
    bar(Some(bytes), "{msg} {bar:40} {bytes}/{total_bytes} {eta}", message)
}

fn rows_bar(message: &'static str, rows: u64) -> ProgressBar {
    bar(Some(rows), "{msg} {bar:40} {human_pos}/{human_len} flows {eta}", message)
}

fn spinner(message: &'static str) -> ProgressBar {
    bar(None, "{spinner} {msg} {human_pos}", message)
}

#[expect(clippy::print_stdout, reason = "what was asked for")]
fn tell(json: bool, value: &serde_json::Value, text: &str) -> Result<()> {
    if json {
        println!("{}", serde_json::to_string_pretty(value)?);
    } else {
        println!("{text}");
    }
    Ok(())
}
