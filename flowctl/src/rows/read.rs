//! Rows of one of the formats in, flows out.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::ops::ControlFlow;

use anyhow::{Context, Result, ensure};
use arrow::record_batch::RecordBatch;
use flow::Flow;
use table::{Col, MAX_BATCH_ROWS, RowReader};

use super::RowFormat;
use super::arrow::{ArrowBatches, CONTINUATION, FILE_MAGIC};
use super::csv::{BadRecord, Field, Records};
use super::parquet::{MAGIC, ParquetFile, Source};
use super::text::{TextRows, column};

/// Rows of text that are turned into flows together.
const TEXT_ROWS: usize = 4096;
/// Bytes of a Parquet file that comes through a pipe and is held in memory, for its end has to be read first.
const PIPED_BYTES_MAX: u64 = 1 << 30;

/// What reading brings.
#[derive(Debug)]
pub(crate) enum Found {
    /// A flow.
    Flow(Box<Flow>),
    /// A row on this line that is no flow, and why.
    Damaged(u64, String),
    /// Nothing more is there for now; a pipe may bring more later.
    Pause,
}

/// Takes what is found; breaks once there is enough.
pub(crate) type Take<'t> = dyn FnMut(Found) -> Result<ControlFlow<()>> + 't;

/// Which format an input is in, by its first bytes: its first line, or more; `None` where they are not rows.
pub(crate) fn detect(head: &[u8]) -> Option<RowFormat> {
    if head.starts_with(MAGIC) {
        return Some(RowFormat::Parquet);
    }
    if head.starts_with(FILE_MAGIC) || head.starts_with(&CONTINUATION) {
        return Some(RowFormat::Arrow);
    }
    let line = &head[..memchr::memchr(b'\n', head).unwrap_or(head.len())];
    if line.first() == Some(&b'{') {
        let row: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(line).ok()?;
        // Names that a flow in JSON has too say nothing.
        let is_ours = |name: &String| column(name).is_some() && !proto::mask::is_path(name);
        return row.keys().any(is_ours).then_some(RowFormat::Ndjson);
    }
    let mut fields = Vec::new();
    Records::new(line, line.len() + 1).next(&mut fields).ok()?;
    let has = |col: Col| fields.iter().any(|field| field.text == col.name());
    (has(Col::Time) && has(Col::Verdict)).then_some(RowFormat::Csv)
}

/// Reads the flows of an input that [`detect`] found to be of this format. `file` is the whole file, where it is one that
/// is not packed.
///
/// # Errors
/// Reading failed, the bytes are damaged beyond a row, or `take` failed.
pub(crate) fn read_flows(
    format: RowFormat,
    input: Box<dyn Read + '_>,
    file: Option<File>,
    line_bytes_max: usize,
    take: &mut Take<'_>,
) -> Result<ControlFlow<()>> {
    match format {
        RowFormat::Csv => read_csv(BufReader::new(input), line_bytes_max, take),
        RowFormat::Ndjson => read_ndjson(BufReader::new(input), line_bytes_max, take),
        RowFormat::Arrow => read_arrow(BufReader::new(input), take),
        RowFormat::Parquet => {
            let source = match file {
                Some(file) => Source::File(file),
                None => Source::Memory(in_memory(input)?),
            };
            let file = ParquetFile::open(source)?;
            for group in 0..file.groups() {
                let whole = file.read_group(group, &mut |batch| Ok(flows(&batch, take)?.is_continue()))?;
                if !whole {
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        }
    }
}

fn in_memory(input: Box<dyn Read + '_>) -> Result<bytes::Bytes> {
    let mut bytes = Vec::new();
    input.take(PIPED_BYTES_MAX + 1).read_to_end(&mut bytes)?;
    let fits = bytes.len() as u64 <= PIPED_BYTES_MAX;
    ensure!(fits, "Parquet through a pipe is held in memory, and this is more than 1 GiB: write it to a file first");
    Ok(bytes.into())
}

fn read_arrow(mut input: BufReader<Box<dyn Read + '_>>, take: &mut Take<'_>) -> Result<ControlFlow<()>> {
    let is_file = input.fill_buf()?.starts_with(FILE_MAGIC);
    let mut batches = ArrowBatches::open(input, is_file)?;
    while let Some(batch) = batches.next()? {
        if flows(&batch, take)?.is_break() || take(Found::Pause)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
    Ok(ControlFlow::Continue(()))
}

/// Passes on the rows of a batch of any version of the table.
fn flows(batch: &RecordBatch, take: &mut Take<'_>) -> Result<ControlFlow<()>> {
    for start in (0..batch.num_rows()).step_by(MAX_BATCH_ROWS) {
        let part = batch.slice(start, MAX_BATCH_ROWS.min(batch.num_rows() - start));
        let part = table::tidy(&table::conform(&part)?)?;
        let rows = RowReader::new(&part)?;
        for row in 0..rows.len() {
            if take(Found::Flow(Box::new(rows.flow(row))))?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
    }
    Ok(ControlFlow::Continue(()))
}

fn read_csv(
    input: BufReader<Box<dyn Read + '_>>,
    record_bytes_max: usize,
    take: &mut Take<'_>,
) -> Result<ControlFlow<()>> {
    let mut records = Records::new(input, record_bytes_max);
    let mut fields: Vec<Field> = Vec::new();
    if records.next(&mut fields).context("the header")?.is_none() {
        return Ok(ControlFlow::Continue(()));
    }
    let names = fields.iter().map(|field| field.text.as_str());
    let mut rows = TextRows::new(names);
    let width = fields.len();
    loop {
        let line = records.line;
        let read = match records.next(&mut fields) {
            Ok(None) => return flush(&mut rows, take),
            Ok(Some(_)) if fields.len() == width => {
                let values: Vec<(Col, Option<&str>)> = fields
                    .iter()
                    .enumerate()
                    .filter_map(|(at, field)| {
                        let text = Some(field.text.as_str()).filter(|text| field.quoted || !text.is_empty());
                        Some((rows.col(at)?, text))
                    })
                    .collect();
                rows.push(values.into_iter()).map_err(|bad| bad.to_string())
            }
            // A line without anything is no record.
            Ok(Some(_)) if fields.len() == 1 && fields[0].text.is_empty() => Ok(()),
            Ok(Some(_)) => Err(format!("{} fields where the header has {width}", fields.len())),
            Err(bad @ BadRecord::NotText) => Err(bad.to_string()),
            Err(error) => {
                // What came before is worth showing.
                if flush(&mut rows, take)?.is_break() {
                    return Ok(ControlFlow::Break(()));
                }
                return Err(error).with_context(|| format!("line {line}"));
            }
        };
        let is_last = records.holds_nothing();
        if settle(read, line, &mut rows, is_last, take)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

fn read_ndjson(
    mut input: BufReader<Box<dyn Read + '_>>,
    line_bytes_max: usize,
    take: &mut Take<'_>,
) -> Result<ControlFlow<()>> {
    let mut rows = TextRows::of_all_columns();
    let (mut line, mut number) = (Vec::new(), 0);
    loop {
        line.clear();
        number += 1;
        let most = u64::try_from(line_bytes_max)?.saturating_add(1);
        let read = (&mut input).take(most).read_until(b'\n', &mut line);
        if let Err(error) = read {
            if flush(&mut rows, take)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
            return Err(error).with_context(|| format!("line {number}"));
        }
        if line.is_empty() {
            return flush(&mut rows, take);
        }
        ensure!(
            line.len() <= line_bytes_max,
            "line {number} has more than {line_bytes_max} bytes: see --line-bytes-max"
        );
        let read = if line.trim_ascii().is_empty() { Ok(()) } else { push_object(&line, &mut rows) };
        let is_last = input.buffer().is_empty();
        if settle(read, number, &mut rows, is_last, take)?.is_break() {
            return Ok(ControlFlow::Break(()));
        }
    }
}

fn push_object(line: &[u8], rows: &mut TextRows) -> Result<(), String> {
    let object: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(line).map_err(|error| format!("not a JSON object: {error}"))?;
    let values: Vec<(Col, Option<Cow<'_, str>>)> =
        object.iter().filter_map(|(name, value)| Some((column(name)?, text_of(value)))).collect();
    rows.push(values.iter().map(|(col, text)| (*col, text.as_deref()))).map_err(|bad| bad.to_string())
}

/// Lists and nested values stand in the table as JSON.
fn text_of(value: &serde_json::Value) -> Option<Cow<'_, str>> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(Cow::Borrowed(text)),
        other => Some(Cow::Owned(other.to_string())),
    }
}

/// Tells of a row that could not be read, and passes on what was gathered where it is much or nothing more is at hand.
fn settle(
    read: Result<(), String>,
    line: u64,
    rows: &mut TextRows,
    is_last: bool,
    take: &mut Take<'_>,
) -> Result<ControlFlow<()>> {
    if let Err(problem) = read
        && take(Found::Damaged(line, problem))?.is_break()
    {
        return Ok(ControlFlow::Break(()));
    }
    if rows.len() < TEXT_ROWS && !is_last {
        return Ok(ControlFlow::Continue(()));
    }
    if flush(rows, take)?.is_break() {
        return Ok(ControlFlow::Break(()));
    }
    if is_last { take(Found::Pause) } else { Ok(ControlFlow::Continue(())) }
}

fn flush(rows: &mut TextRows, take: &mut Take<'_>) -> Result<ControlFlow<()>> {
    if rows.len() == 0 {
        return Ok(ControlFlow::Continue(()));
    }
    flows(&rows.finish()?, take)
}
