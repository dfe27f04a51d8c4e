//! `observe`: flows of a server or of a file, filtered and printed.

mod input;
mod losses;
mod query;
mod stream;

use std::io::Write;

use anyhow::{Result, bail};
use flow::Timestamp;
use flow::text::Names;

use crate::cli::{FormatFlags, ObserveFlags};
use crate::moments::TimeLayout;
use crate::print::{Output, Paint, Printer, Style};
use crate::settings::Settings;
use losses::Losses;
use query::Query;

/// Observes flows until the server, the file or the user has enough.
///
/// # Errors
/// Flags contradict each other, or flows cannot be read or printed.
pub(crate) fn run(
    flags: &ObserveFlags,
    settings: &Settings,
    now: Timestamp,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<()> {
    if flags.filters.typed.last().is_some_and(crate::cli::FilterOccurrence::is_not) {
        bail!("trailing --not found in the arguments");
    }
    let output = output(flags)?;
    let query = Query::from_flags(flags, output, settings, now)?;
    if flags.raw.print_raw_filters {
        return Ok(out.write_all(query.filters_as_yaml()?.as_bytes())?);
    }
    let silent = flags.other.silent_errors;
    let mut nowhere = std::io::sink();
    let err: &mut dyn Write = if silent { &mut nowhere } else { err };
    let mut losses = Losses::default();
    let result = {
        let mut printer = Printer::new(out, err, output, style(&flags.format, settings));
        let read = match &flags.other.input_file {
            Some(path) => input::read(path, &query, &mut printer, &mut losses),
            None => stream::read(settings, query, &mut printer, &mut losses),
        };
        // Flows that came before a failure are worth printing too.
        printer.finish().map_err(anyhow::Error::from).and(read)
    };
    let has_reader = !result.as_ref().is_err_and(crate::is_broken_pipe);
    if let Some(line) = losses.summary().filter(|_| has_reader) {
        writeln!(err, "flowctl: {line}")?;
    }
    result
}

fn output(flags: &ObserveFlags) -> Result<Output> {
    let name = flags.format.output.as_str();
    let output = match name {
        "compact" => Output::Compact,
        "dict" => Output::Dict,
        "json" | "JSON" | "jsonpb" => Output::Json,
        "tab" | "table" if flags.selectors.follow => bail!(
            "table output format is not compatible with follow mode, for its columns need the longest value: try -o wide"
        ),
        "tab" | "table" => Output::Table,
        "wide" => Output::Wide,
        _ => bail!("invalid output format: {name}: one of compact, dict, json, table, wide"),
    };
    if output != Output::Json && !flags.other.field_mask.is_empty() {
        bail!("{name} output format is not compatible with custom field mask: try -o json");
    }
    Ok(output)
}

fn style(flags: &FormatFlags, settings: &Settings) -> Style {
    let numeric = flags.numeric || !flags.ip_translation;
    Style {
        time: TimeLayout::from_name(&flags.time_format),
        names: if numeric { Names::Numeric } else { Names::Resolved },
        paint: Paint::from_flag(&flags.color),
        node_name: flags.print_node_name,
        policy_names: flags.print_policy_names,
        debug: settings.debug(),
    }
}
