//! The flags that ask for counts in place of flows.

use std::io::IsTerminal as _;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use flow::filter::GroupKey;

use crate::cli::Given;
use crate::groups::{Groups, Sort};
use crate::moments::{TimeLayout, parse_span};
use crate::print::Counting;

/// Groups shown where nothing says how many.
const TOP: u64 = 20;
/// Keys that groups may have together.
const KEYS_MAX: usize = 8;
/// Shortest interval of rates.
const INTERVAL_MIN: Duration = Duration::from_millis(10);

/// What is to be counted; `None` where flows are to be shown.
///
/// # Errors
/// A key is none, or flags contradict each other.
pub(super) fn from_flags(given: &Given) -> Result<Option<Counting>> {
    let grouped = given.last("group-by").is_some();
    if !grouped && given.last("rate").is_none() {
        if let Some(name) = ["top", "sort"].into_iter().find(|name| given.last(name).is_some()) {
            bail!("--{name} orders groups: give --group-by too");
        }
        return Ok(None);
    }
    let keys = given.list("group-by").iter().map(|name| key(name)).collect::<Result<Vec<_>>>()?;
    if grouped && keys.is_empty() {
        bail!("invalid argument for \"--group-by\" flag: give keys such as src.ns,dst.ns");
    }
    if keys.len() > KEYS_MAX {
        bail!("invalid argument for \"--group-by\" flag: at most {KEYS_MAX} keys, got {}", keys.len());
    }
    let json = match given.last("output") {
        None | Some("compact" | "table" | "tab") => false,
        Some("json" | "JSON" | "jsonpb" | "ndjson") => true,
        Some(name) => bail!("invalid output format: {name}: counts are shown as table or json"),
    };
    Ok(Some(Counting {
        groups: Groups::new(keys),
        sort: Sort::parse(given.text("sort", "flows"))?,
        top: usize::try_from(given.number("top", TOP)).unwrap_or(usize::MAX),
        json,
        rate: given.last("rate").map(interval).transpose()?,
        follow: given.is_on("follow", false),
        recorded: given.last("input-file").is_some(),
        terminal: std::io::stdout().is_terminal(),
        time: TimeLayout::from_name(given.text("time-format", if json { "RFC3339Milli" } else { "StampMilli" })),
    }))
}

fn key(name: &str) -> Result<GroupKey> {
    GroupKey::parse(name.trim()).map_err(|error| anyhow!("invalid argument for \"--group-by\" flag: {error}"))
}

fn interval(text: &str) -> Result<Duration> {
    parse_span(text)
        .and_then(|nanos| u64::try_from(nanos).ok())
        .map(Duration::from_nanos)
        .filter(|interval| *interval >= INTERVAL_MIN)
        .with_context(|| format!("--rate {text} is no interval: give one such as 5s, of 10ms at least"))
}
