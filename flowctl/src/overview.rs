//! `map`, `top` and `drops`: what the relay adds up over many flows.

mod drops;
mod edges;
mod graph;
mod question;

use std::io::{IsTerminal as _, Write};
use std::pin::pin;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use flow::view::{DropSummary, ServiceMap};

use self::edges::Sort;
use self::question::Question;
pub(crate) use self::question::tell_damage;
use crate::cli::Given;
use crate::settings::Settings;

/// Clears the terminal and puts the cursor at its top.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Edges that a relay gives where no number is asked for, and at most.
const EDGES_DEFAULT: u64 = 10_000;
const EDGES_MAX: &str = "1000000";

/// What is asked about a map, and how it is shown.
struct MapRequest<'a> {
    question: Question,
    layout: &'a str,
    sort: Sort,
    /// Lines at most, 0 for all.
    limit: u64,
}

impl<'a> MapRequest<'a> {
    fn read(given: &'a Given, operands: &[String]) -> Result<Self> {
        let (layout, limit) = (given.text("output", "table"), given.number("limit", 30));
        // What is drawn or read by programs is the whole map.
        let is_whole = layout != "table" || limit == 0 || limit > EDGES_DEFAULT;
        let more = [("by", given.text("by", "workload")), ("edges", if is_whole { EDGES_MAX } else { "" })];
        let question = Question::read("/api/v1/map", given, operands, &more)?;
        Ok(Self { question, layout, sort: Sort::parse(given.text("sort", "bytes"))?, limit })
    }
}

/// Prints who talks to whom.
///
/// # Errors
/// The expression is none, the relay cannot be reached, or it refuses.
pub(crate) fn map(given: &Given, operands: &[String], settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let request = MapRequest::read(given, operands)?;
    let map: ServiceMap = crate::runtime()?.block_on(request.question.ask(settings))?;
    match request.layout {
        "table" => edges::write(&map, request.sort, request.limit, out)?,
        "json" => writeln!(out, "{}", serde_json::to_string(&map)?)?,
        "dot" => graph::dot(&map, out)?,
        "mermaid" => graph::mermaid(&map, out)?,
        name => bail!("invalid output format: {name}: one of table, json, dot, mermaid"),
    }
    out.flush()?;
    if request.layout != "table" && map.left_out > 0 {
        crate::warn(&edges::left_out(map.left_out))?;
    }
    question::tell(&map.completeness)
}

/// Prints the busiest connections again and again.
///
/// # Errors
/// As [`map`].
pub(crate) fn top(given: &Given, operands: &[String], settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let once = given.is_on("once", false) || !std::io::stdout().is_terminal();
    if once || given.text("output", "table") != "table" {
        return map(given, operands, settings, out);
    }
    let request = MapRequest::read(given, operands)?;
    let text = given.text("interval", "2s");
    let interval = crate::moments::parse_span(text)
        .and_then(|nanos| u64::try_from(nanos).ok())
        .filter(|nanos| *nanos > 0)
        .map(Duration::from_nanos)
        .with_context(|| format!("--interval {text} is no time to wait: give one such as 2s"))?;
    let runtime = crate::runtime()?;
    let watched = runtime.block_on(watch(&request, interval, settings, out));
    // A name that is still being looked up must not hold up the end.
    runtime.shutdown_background();
    watched
}

/// Shows the map again and again until the user has enough.
async fn watch(request: &MapRequest<'_>, interval: Duration, settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let mut stop = pin!(crate::stop::requested());
    let mut clock = tokio::time::interval(interval);
    loop {
        let next = async {
            clock.tick().await;
            request.question.ask::<ServiceMap>(settings).await
        };
        let map = tokio::select! {
            biased;
            () = &mut stop => return Ok(()),
            map = next => map?,
        };
        let connections = map.left_out.saturating_add(map.edges.len() as u64);
        write!(out, "{CLEAR}{connections} connections, {} to {}\n\n", map.since, map.until)?;
        edges::write(&map, request.sort, request.limit, out)?;
        out.flush()?;
        question::tell(&map.completeness)?;
    }
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
