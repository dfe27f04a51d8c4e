//! `observe`: flows of a server or of a file, and events of a server, filtered and printed.

mod counting;
mod input;
mod losses;
mod newest;
mod query;
mod request;
mod rest;
mod stream;

use std::io::{IsTerminal as _, Write};

use anyhow::{Result, bail};
use prost_types::Timestamp;

use crate::cli::Given;
use crate::moments::TimeLayout;
use crate::print::{Output, Paint, Printer, Style};
use crate::rows::RowFormat;
use crate::settings::Settings;
use losses::Losses;
use query::{Query, Selectors};
pub(crate) use request::Request;

/// Kinds of events that are no flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EventKind {
    Agent,
    Debug,
}

/// Observes flows until the server, the file or the user has enough.
///
/// # Errors
/// Flags contradict each other, or flows cannot be read or printed.
pub(crate) fn flows(
    given: &Given,
    settings: &Settings,
    now: Timestamp,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<()> {
    if given.trailing_not {
        bail!("trailing --not found in the arguments");
    }
    let counting = counting::from_flags(given)?;
    let output = if counting.is_some() { Output::Counts } else { output(given)? };
    if output != Output::Json && !given.list("field-mask").is_empty() {
        if counting.is_some() {
            bail!("--field-mask takes away what --group-by and --rate may count: leave it out");
        }
        let name = given.text("output", "compact");
        bail!("{name} output format is not compatible with custom field mask: try -o json");
    }
    if let Output::Rows(format) = output
        && format.is_binary()
        && std::io::stdout().is_terminal()
    {
        let name = given.text("output", "");
        bail!("{name} output is binary and nothing for a terminal: write it to a file, > flows.{name}");
    }
    let query = Query::from_flags(given, output, settings, now)?;
    if given.is_on("print-raw-filters", false) {
        return Ok(out.write_all(query.filters_as_yaml().as_bytes())?);
    }
    let mut losses = Losses::default();
    let mut nowhere = std::io::sink();
    let silent = given.is_on("silent-errors", false);
    let result = {
        let news: &mut dyn Write = if silent { &mut nowhere } else { &mut *err };
        let mut printer = Printer::new(out, news, output, style(given, settings, output))?.counting(counting);
        // The last value counts, as in Hubble, where it says that there is no file.
        let paths: Vec<&str> = given.all("input-file").filter(|path| !path.is_empty()).collect();
        let read = if given.text("input-file", "").is_empty() {
            stream::flows(settings, query, &mut printer, &mut losses)
        } else {
            input::read(&paths, given, settings, &query, &mut printer, &mut losses)
        };
        // Flows that came before a failure are worth printing too.
        printer.finish().map_err(anyhow::Error::from).and(read)
    };
    let has_reader = !result.as_ref().is_err_and(crate::is_broken_pipe);
    // Other layouts have a line for each loss, and Hubble says no more than that.
    let says_losses = matches!(output, Output::Counts | Output::Rows(_));
    if let Some(line) = losses.summary().filter(|_| says_losses && has_reader && !silent) {
        writeln!(err, "flowctl: {line}")?;
    }
    result
}

/// Observes events of an agent or of the datapath.
///
/// # Errors
/// Flags contradict each other, or the server has no such events.
#[expect(clippy::too_many_arguments, reason = "what a run is made of, passed once")]
pub(crate) fn events(
    kind: EventKind,
    given: &Given,
    settings: &Settings,
    now: Timestamp,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<()> {
    let output = output(given)?;
    if matches!(output, Output::Rows(_)) {
        bail!("{} output is for flows: events have no columns, try -o json", given.text("output", ""));
    }
    let selectors = Selectors::of_events(given, now)?;
    let mut printer = Printer::new(out, err, output, style(given, settings, output))?;
    let read = stream::events(kind, settings, selectors, &mut printer);
    printer.finish().map_err(anyhow::Error::from).and(read)
}

/// Variable of the environment that brings back behaviour of old clients, and the name of the one there is.
const COMPAT: (&str, &str) = ("HUBBLE_COMPAT", "legacy-json-output");

fn output(given: &Given) -> Result<Output> {
    let name = given.text("output", "compact");
    let legacy = || std::env::var(COMPAT.0).is_ok_and(|v| v.split(',').any(|o| o.eq_ignore_ascii_case(COMPAT.1)));
    Ok(match name {
        "compact" => Output::Compact,
        "dict" => Output::Dict,
        "json" | "JSON" if legacy() => Output::LegacyJson,
        "json" | "JSON" | "jsonpb" => Output::Json,
        "tab" | "table" if given.is_on("follow", false) => bail!(
            "table output format is not compatible with follow mode, for its columns need the longest value: try -o wide"
        ),
        "tab" | "table" => Output::Table,
        "wide" => Output::Wide,
        "csv" => Output::Rows(RowFormat::Csv),
        "ndjson" => Output::Rows(RowFormat::Ndjson),
        "arrow" => Output::Rows(RowFormat::Arrow),
        "parquet" => Output::Rows(RowFormat::Parquet),
        _ => {
            bail!("invalid output format: {name}: one of compact, dict, json, table, wide, csv, ndjson, arrow, parquet")
        }
    })
}

fn style(given: &Given, settings: &Settings, output: Output) -> Style {
    Style {
        time: TimeLayout::from_name(given.text("time-format", "StampMilli")),
        resolve_names: given.is_on("ip-translation", true) && !given.is_on("numeric", false),
        paint: Paint::from_flag(given.text("color", "auto")),
        node_name: given.is_on("print-node-name", false),
        policy_names: given.is_on("print-policy-names", false),
        debug: settings.debug(),
        details: matches!(output, Output::Wide | Output::Rows(_)),
    }
}
