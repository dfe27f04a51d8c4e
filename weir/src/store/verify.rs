//! `weir store verify`: what is damaged, and what to do about it.

use std::path::Path;

use anyhow::{Result, bail};
use indicatif::{HumanBytes, HumanCount};
use proto::status::with_causes;
use relay_server::store::{Archive, DamageKind, ReadError};
use serde::Serialize;

use super::{bytes_bar, tell};

/// A part of a store that is not as it was written.
#[derive(Debug, Serialize)]
struct Finding {
    /// File: below the root of the store, or of the log.
    path: String,
    problem: String,
    remedy: &'static str,
}

const FLOWS: &str = "its flows are lost unless a backup has the file: copy it back; a relay that meets it moves it to \
quarantine/ and goes on with the rest";
const UNREADABLE: &str = "see why the disk or the object store refuses, then verify again";
const LATER: &str = "use that version of weir; this one leaves the file as it is";
const COUNTS: &str = "nothing: a relay counts the flows of its file again";
const LOG: &str = "flows of the batches it hit are lost unless a backup has the file; a relay passes over it";
const FOREIGN: &str = "move it out of the folder, or leave it: a relay passes over it";

/// Reads all of a store.
///
/// # Errors
/// A part of it is damaged, or cannot be read.
pub(super) fn run(archive: &Archive, json: bool) -> Result<()> {
    let files = archive.files();
    let (bytes, flows) = (files.iter().map(|f| f.bytes).sum(), files.iter().map(|f| f.rows).sum());
    let bar = bytes_bar("verifying", bytes);
    let mut findings = Vec::new();
    for file in &files {
        if let Err(error) = archive.verify(&file.path) {
            findings.push(finding(&file.path, &error));
        }
        match archive.verify_rollups(&file.path) {
            Err(error @ (ReadError::Damaged { .. } | ReadError::Later { .. })) => findings.push(Finding {
                path: file.path.replacen("flows/", "rollups/", 1),
                problem: with_causes(&error),
                remedy: if matches!(error, ReadError::Later { .. }) { LATER } else { COUNTS },
            }),
            // Counts that are not there are no damage: a relay makes them.
            Ok(()) | Err(ReadError::Io { .. }) => {}
        }
        bar.inc(file.bytes);
    }
    bar.finish_and_clear();
    let (log_files, log_bytes) = check_log(archive, &mut findings)?;
    let value = serde_json::json!({
        "files": files.len(), "flows": flows, "bytes": bytes, "log_files": log_files, "log_bytes": log_bytes,
        "damaged": findings,
    });
    let text = format!(
        "{} files, {} flows, {}; log: {log_files} files, {}; {} damaged",
        files.len(),
        HumanCount(flows),
        HumanBytes(bytes),
        HumanBytes(log_bytes),
        findings.len(),
    );
    tell(json, &value, &text)?;
    if findings.is_empty() {
        return Ok(());
    }
    let said = findings.iter().map(|finding| format!("{}\n  remedy: {}", finding.problem, finding.remedy));
    bail!(
        "{} of the store {} damaged\n{}",
        count(findings.len()),
        is_or_are(findings.len()),
        said.collect::<Vec<_>>().join("\n")
    )
}

fn finding(path: &str, error: &ReadError) -> Finding {
    Finding { path: path.to_owned(), problem: with_causes(error), remedy: remedy(error) }
}

/// What to do about a file of flows that cannot be read.
pub(super) const fn remedy(error: &ReadError) -> &'static str {
    match error {
        ReadError::Io { .. } => UNREADABLE,
        ReadError::Damaged { .. } => FLOWS,
        ReadError::Later { .. } => LATER,
    }
}

/// Looks through the log; gives its files and bytes.
fn check_log(archive: &Archive, findings: &mut Vec<Finding>) -> Result<(u64, u64)> {
    let log = archive.check_log()?;
    let name = |path: &Path| format!("wal/{}", path.file_name().unwrap_or_default().to_string_lossy());
    for damage in &log.damages {
        let path = name(&damage.path);
        let (problem, remedy) = match damage.kind {
            // That is what a log looks like while it is written, and after a crash.
            DamageKind::TornTail => continue,
            DamageKind::Foreign => (format!("{path} is no log"), FOREIGN),
            DamageKind::Flipped | DamageKind::Unreadable => {
                (format!("{path} is damaged: {} bytes from byte {} on", damage.bytes, damage.at), LOG)
            }
        };
        findings.push(Finding { path, problem, remedy });
    }
    if let Some((path, what)) = &log.later {
        let path = name(path);
        let problem = format!("{path} was written by a later version of weir ({what})");
        findings.push(Finding { path, problem, remedy: LATER });
    }
    Ok((log.files, log.bytes))
}

fn count(parts: usize) -> String {
    if parts == 1 { "one part".to_owned() } else { format!("{parts} parts") }
}

const fn is_or_are(parts: usize) -> &'static str {
    if parts == 1 { "is" } else { "are" }
}
