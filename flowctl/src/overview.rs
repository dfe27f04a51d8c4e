//! `map`, `top` and `drops`: what the relay adds up over many flows.

mod drops;
mod edges;
mod graph;
mod question;

use std::io::{IsTerminal as _, Write};

use anyhow::{Context, Result, bail};
use flow::view::{DropSummary, ServiceMap};

use self::edges::Sort;
use self::question::Question;
pub(crate) use self::question::tell_damage;
use crate::cli::Given;
use crate::settings::Settings;

/// Clears the terminal and puts the cursor at its top.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Prints who talks to whom.
///
/// # Errors
/// The expression is none, the relay cannot be reached, or it refuses.
pub(crate) fn map(given: &Given, operands: &[String], settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let question = Question::read("/api/v1/map", given, operands, &[("by", given.text("by", "workload"))])?;
    let sort = Sort::parse(given.text("sort", "bytes"))?;
    let limit = given.number("limit", 30);
    let map: ServiceMap = crate::runtime()?.block_on(question.ask(settings))?;
    match given.text("output", "table") {
        "table" => edges::write(&map, sort, limit, out)?,
        "json" => writeln!(out, "{}", serde_json::to_string(&map)?)?,
        "dot" => graph::dot(&map, out)?,
        "mermaid" => graph::mermaid(&map, out)?,
        name => bail!("invalid output format: {name}: one of table, json, dot, mermaid"),
    }
    out.flush()?;
    question::tell(&map.completeness)
}

/// Prints the busiest connections again and again.
///
/// # Errors
/// As [`map`].
pub(crate) fn top(given: &Given, operands: &[String], settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let once = given.is_on("once", false) || !std::io::stdout().is_terminal();
    let layout = given.text("output", "table");
    if once || layout != "table" {
        return map(given, operands, settings, out);
    }
    let question = Question::read("/api/v1/map", given, operands, &[("by", given.text("by", "workload"))])?;
    let sort = Sort::parse(given.text("sort", "bytes"))?;
    let limit = given.number("limit", 30);
    let text = given.text("interval", "2s");
    let interval = crate::moments::parse_span(text)
        .and_then(|nanos| u64::try_from(nanos).ok())
        .filter(|nanos| *nanos > 0)
        .map(std::time::Duration::from_nanos)
        .with_context(|| format!("--interval {text} is no time to wait: give one such as 2s"))?;
    crate::runtime()?.block_on(async {
        let mut clock = tokio::time::interval(interval);
        loop {
            tokio::select! {
                _ = clock.tick() => {}
                stopped = tokio::signal::ctrl_c() => return stopped.context("cannot wait for an interrupt"),
            }
            let map: ServiceMap = question.ask(settings).await?;
            write!(out, "{CLEAR}{} connections, {} to {}\n\n", map.edges.len(), map.since, map.until)?;
            edges::write(&map, sort, limit, out)?;
            out.flush()?;
            question::tell(&map.completeness)?;
        }
    })
}

/// Prints what was dropped, why and by whom.
///
/// # Errors
/// As [`map`].
pub(crate) fn drops(given: &Given, operands: &[String], settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let question = Question::read("/api/v1/drops", given, operands, &[])?;
    let summary: DropSummary = crate::runtime()?.block_on(question.ask(settings))?;
    match given.text("output", "table") {
        "table" => drops::write(&summary, given.number("limit", 30), out)?,
        "json" => writeln!(out, "{}", serde_json::to_string(&summary)?)?,
        name => bail!("invalid output format: {name}: one of table, json"),
    }
    out.flush()?;
    question::tell(&summary.completeness)
}
