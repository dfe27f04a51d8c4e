//! `weir store export` and `import`: flows out of a store and into one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use indicatif::HumanCount;
use proto::status::with_causes;
use relay_server::store::{Exported, TakenIn, Timestamp};

use super::verify::remedy;
use super::{open, rows_bar, spinner, tell};
use crate::settings::Settings;

/// Copies flows of a range of time into a file.
///
/// # Errors
/// The range cannot be read, the file cannot be written, or a part of the store could not be read.
pub(super) fn export(
    settings: &Settings,
    file: &Path,
    (since, until): (&Option<String>, &Option<String>),
    json: bool,
) -> Result<()> {
    let time = |flag: &str, text: &Option<String>| {
        let time = text.as_deref().map(Timestamp::parse_rfc3339).transpose();
        time.with_context(|| format!("--{flag} is no time such as 2026-01-31T07:00:00Z"))
    };
    let range = (time("since", since)?, time("until", until)?);
    let archive = open(settings)?;
    let bar = rows_bar("exporting", archive.files().iter().map(|file| file.rows).sum());
    let exported = archive.export(range, file, &mut |rows| bar.inc(rows));
    bar.finish_and_clear();
    let Exported { rows, unread } = exported.with_context(|| format!("cannot export to {}", file.display()))?;
    let of = |missing: &relay_server::store::Unread| {
        let remedy = remedy(&missing.error);
        serde_json::json!({ "path": missing.path, "flows_at_most": missing.rows, "problem": with_causes(&missing.error), "remedy": remedy })
    };
    let value = serde_json::json!({
        "flows": rows, "file": file.display().to_string(), "unread": unread.iter().map(of).collect::<Vec<_>>(),
    });
    tell(json, &value, &format!("{} flows in {}", HumanCount(rows), file.display()))?;
    if unread.is_empty() {
        return Ok(());
    }
    let said =
        unread.iter().map(|missing| format!("{}\n  remedy: {}", with_causes(&missing.error), remedy(&missing.error)));
    bail!(
        "up to {} flows are missing in {}, the rest was copied\n{}",
        HumanCount(unread.iter().map(|missing| missing.rows).sum()),
        file.display(),
        said.collect::<Vec<_>>().join("\n")
    )
}

/// Takes in the flows of Parquet files.
///
/// # Errors
/// The store cannot be written, or a file could not be read.
pub(super) fn import(settings: &Settings, files: &[PathBuf], json: bool) -> Result<()> {
    let bar = spinner("importing");
    let done = relay_server::store::import(&settings.relay, files, &mut |rows| bar.set_position(rows));
    bar.finish_and_clear();
    let TakenIn { flows, batches_repeated: repeated, not_taken } = done?;
    let text = match repeated {
        0 => format!("{} flows taken in", HumanCount(flows)),
        _ => format!("{} flows taken in; {repeated} parts of the files were there already", HumanCount(flows)),
    };
    let said: Vec<String> = not_taken
        .iter()
        .map(|(path, error)| format!("cannot take in {}: {}", path.display(), with_causes(error)))
        .collect();
    let value = serde_json::json!({ "flows": flows, "batches_repeated": repeated, "not_taken": said });
    tell(json, &value, &text)?;
    if said.is_empty() {
        return Ok(());
    }
    bail!("{} of {} files could not be read, the rest was taken in\n{}", said.len(), files.len(), said.join("\n"))
}
