//! `weir store`: looking after the files of a store.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use indicatif::{ProgressBar, ProgressStyle};
use relay_server::store::{Archive, StoredFile, Timestamp};

use crate::settings::Settings;

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
    /// List the files, the oldest first
    Ls,
    /// Read every file and check every checksum; the relay may run meanwhile
    Verify,
    /// Make one file of those of each hour that is over; the relay must not run
    Compact,
    /// Copy flows into a Parquet file; the relay may run meanwhile
    Export {
        /// File to write
        file: PathBuf,
        /// Oldest time, RFC 3339
        #[arg(long)]
        since: Option<String>,
        /// Newest time, RFC 3339
        #[arg(long)]
        until: Option<String>,
    },
    /// Take in the flows of Parquet files; the relay must not run. A file that was taken in before is left out
    Import {
        /// Files to read
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
}

/// Does what was asked for.
///
/// # Errors
/// There is no store, it cannot be read or written, or a file is damaged.
pub(crate) fn run(args: &StoreArgs, settings: &Settings) -> Result<()> {
    let relay = &settings.relay;
    match &args.action {
        Action::Ls => list(&open(settings)?.files(), args.json),
        Action::Verify => verify(&open(settings)?, args.json),
        Action::Compact => {
            let bar = spinner("compacting");
            let files = relay_server::store::compact(relay, &mut |files| bar.set_position(files))?;
            bar.finish_and_clear();
            tell(args.json, &serde_json::json!({ "files_compacted": files }), &format!("{files} files became fewer"))
        }
        Action::Export { file, since, until } => export(settings, file, (since, until), args.json),
        Action::Import { files } => import(settings, files, args.json),
    }
}

fn open(settings: &Settings) -> Result<Archive> {
    relay_server::store::open(&settings.relay).with_context(|| {
        format!("cannot look at the store {} (--set relay.store=PLACE names another)", settings.relay.store.place)
    })
}

fn list(files: &[StoredFile], json: bool) -> Result<()> {
    let (rows, bytes) = (files.iter().map(|f| f.rows).sum::<u64>(), files.iter().map(|f| f.bytes).sum::<u64>());
    let mut text = String::new();
    for file in files {
        let kind = if file.compacted { "compacted" } else { "sealed" };
        text += &format!(
            "{}  {}  {:>10} flows  {:>12} bytes  {kind:9}  {}\n",
            file.oldest, file.newest, file.rows, file.bytes, file.path
        );
    }
    text += &format!("{} files, {rows} flows, {bytes} bytes", files.len());
    let of = |f: &StoredFile| {
        serde_json::json!({
            "path": f.path, "compacted": f.compacted, "flows": f.rows, "bytes": f.bytes,
            "oldest": f.oldest.to_string(), "newest": f.newest.to_string(), "schema_version": f.schema_version,
        })
    };
    let value = serde_json::json!({ "files": files.iter().map(of).collect::<Vec<_>>(), "flows": rows, "bytes": bytes });
    tell(json, &value, &text)
}

fn verify(archive: &Archive, json: bool) -> Result<()> {
    let files = archive.files();
    let bar = bytes_bar("verifying", files.iter().map(|file| file.bytes).sum());
    let mut damaged = Vec::new();
    for file in &files {
        if let Err(error) = archive.verify(&file.path) {
            damaged.push(relay_server::store::with_causes(&error));
        }
        bar.inc(file.bytes);
    }
    bar.finish_and_clear();
    let text = format!("{} files, {} damaged", files.len(), damaged.len());
    tell(json, &serde_json::json!({ "files": files.len(), "damaged": damaged }), &text)?;
    if damaged.is_empty() { Ok(()) } else { bail!("{}", damaged.join("\n")) }
}

fn export(
    settings: &Settings,
    file: &Path,
    (since, until): (&Option<String>, &Option<String>),
    json: bool,
) -> Result<()> {
    let time = |text: &Option<String>| text.as_deref().map(Timestamp::parse_rfc3339).transpose();
    let archive = open(settings)?;
    let bar = rows_bar("exporting", archive.files().iter().map(|file| file.rows).sum());
    let flows = archive
        .export((time(since)?, time(until)?), file, &mut |rows| bar.inc(rows))
        .with_context(|| format!("cannot export to {}", file.display()))?;
    bar.finish_and_clear();
    tell(json, &serde_json::json!({ "flows": flows }), &format!("{flows} flows in {}", file.display()))
}

fn import(settings: &Settings, files: &[PathBuf], json: bool) -> Result<()> {
    let bar = spinner("importing");
    let done = relay_server::store::import(&settings.relay, files, &mut |rows| bar.set_position(rows))?;
    bar.finish_and_clear();
    let (flows, repeated) = (done.rows, done.batches_repeated);
    let text = format!("{flows} flows taken in, {repeated} batches were there already");
    tell(json, &serde_json::json!({ "flows": flows, "batches_repeated": repeated }), &text)
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
