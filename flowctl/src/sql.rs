//! `sql`: the relay's history in SQL.

mod table;

use std::fs;
use std::io::{IsTerminal as _, Read as _, Write};

use anyhow::{Context, Result, bail};
use flow::view::SqlAnswer;
use http_body_util::BodyExt as _;
use hyper::Response;
use hyper::body::Incoming;
use serde_json::json;

use crate::cli::Given;
use crate::http::{self, HttpServer};
use crate::settings::Settings;

/// Bytes of a query: no person writes a longer one, and the relay would refuse it.
const QUERY_BYTES_MAX: u64 = 1 << 20;

/// Header in which the relay tells how many files of its store are damaged.
const DAMAGED_FILES: &str = "weir-damaged-files";

/// Layouts of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SqlOutput {
    Table,
    Csv,
    Json,
}

/// Sends the query and prints the answer.
///
/// # Errors
/// There is no query, the relay cannot be reached, or refuses it.
pub(crate) fn run(
    given: &Given,
    operands: &[String],
    settings: &Settings,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<()> {
    let output = match given.text("output", "table") {
        "table" => SqlOutput::Table,
        "csv" => SqlOutput::Csv,
        "json" => SqlOutput::Json,
        name => bail!("invalid output format: {name}: one of table, csv, json"),
    };
    let query = query(given.text("file", ""), operands)?;
    let server = settings.server()?;
    let http = HttpServer::new(&settings.http_server(), server.tls.as_ref(), server.connect_timeout)?;
    let (format, accept) = match output {
        SqlOutput::Csv => ("csv", "text/csv"),
        SqlOutput::Table | SqlOutput::Json => ("json", "application/json"),
    };
    let request = serde_json::to_vec(&json!({ "query": query, "format": format }))?;
    crate::runtime()?.block_on(async {
        let response = http.post_json("/api/v1/sql", accept, request).await?;
        if !response.status().is_success() {
            return Err(http::refusal(response).await);
        }
        match output {
            SqlOutput::Csv => {
                let damaged =
                    response.headers().get(DAMAGED_FILES).and_then(|count| count.to_str().ok()).map(str::to_owned);
                copy(response, out).await?;
                out.flush()?;
                damaged.map_or(Ok(()), |count| {
                    crate::warn(&format!("flows of {count} damaged files of the store are missing: -o json names them"))
                })
            }
            SqlOutput::Json => {
                copy(response, out).await?;
                Ok(writeln!(out)?)
            }
            SqlOutput::Table => {
                let body = http::body(response).await?;
                let answer: SqlAnswer =
                    serde_json::from_slice(&body).context("the relay's answer cannot be understood")?;
                show(&answer, out, err)
            }
        }
    })
}

/// The query: the argument, else the file, else standard input.
fn query(file: &str, operands: &[String]) -> Result<String> {
    let text = match (operands, file) {
        ([_, second, ..], _) => bail!("more than one query: put {second:?} and the rest in quotes with the first"),
        ([_], file) if !file.is_empty() => bail!("give a query or --file, not both"),
        ([query], _) => query.clone(),
        ([], path) if !path.is_empty() && path != "-" => {
            fs::read_to_string(path).with_context(|| format!("cannot read the query from {path}"))?
        }
        ([], "") if std::io::stdin().is_terminal() => {
            bail!("give a query, such as: flowctl sql 'SELECT verdict, count(*) FROM flows GROUP BY verdict'")
        }
        ([], _) => {
            let mut text = String::new();
            std::io::stdin()
                .lock()
                .take(QUERY_BYTES_MAX + 1)
                .read_to_string(&mut text)
                .context("cannot read the query from standard input")?;
            text
        }
    };
    let text = text.trim().trim_end_matches(';').trim_end();
    if text.is_empty() {
        bail!("the query is empty");
    }
    if text.len() as u64 > QUERY_BYTES_MAX {
        bail!("the query is longer than {} KiB", QUERY_BYTES_MAX >> 10);
    }
    Ok(text.to_owned())
}

/// Passes the body on as it comes.
async fn copy(response: Response<Incoming>, out: &mut dyn Write) -> Result<()> {
    let mut body = response.into_body();
    while let Some(frame) = body.frame().await {
        if let Some(data) = frame.context("the answer broke off")?.data_ref() {
            out.write_all(data)?;
        }
    }
    Ok(())
}

fn show(answer: &SqlAnswer, out: &mut dyn Write, err: &mut dyn Write) -> Result<()> {
    table::write(answer, out)?;
    out.flush()?;
    if answer.truncated {
        writeln!(
            err,
            "flowctl: the answer was cut off after {} rows: ask for less with LIMIT, or use -o csv",
            answer.rows.len()
        )?;
    } else if std::io::stdout().is_terminal() {
        let rows = if answer.rows.len() == 1 { "row" } else { "rows" };
        writeln!(err, "{} {rows} in {:.1} ms", answer.rows.len(), answer.elapsed_ms)?;
    }
    crate::overview::tell_damage(&answer.damaged)
}
