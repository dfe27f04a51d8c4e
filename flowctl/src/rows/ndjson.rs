//! One JSON object a line, with the columns of the flow table as its keys. What a flow does not carry is left out.

use std::io::Write as _;
use std::sync::LazyLock;

use arrow::record_batch::RecordBatch;
use flow::Flow;
use table::{Col, FlowBatchBuilder, SchemaError};

use super::cell::{Cell, Cells, columns, uuid_text};

const MEMORY: &str = "writing to memory cannot fail";

/// A flow that carries nothing, as a row.
static NOTHING: LazyLock<RecordBatch> = LazyLock::new(|| {
    let mut builder = FlowBatchBuilder::new();
    builder.push(&Flow::default()).expect("an empty batch has room");
    builder.finish()
});

/// Columns that stand in every line.
const ALWAYS: [Col; 3] = [Col::Time, Col::NodeName, Col::Verdict];

/// Writes all rows.
///
/// # Errors
/// They are of another schema than that of the table.
pub(super) fn write_rows(out: &mut Vec<u8>, cells: &Cells) -> Result<(), SchemaError> {
    let nothing = Cells::open(&NOTHING)?;
    for row in 0..cells.rows {
        out.push(b'{');
        let mut first = true;
        for ((cell, nothing), (col, column)) in cells.row(row).zip(nothing.row(0)).zip(columns()) {
            if cell == nothing && !ALWAYS.contains(&col) {
                continue;
            }
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            write!(out, "\"{}\":", column.name).expect(MEMORY);
            write_cell(out, cell);
        }
        out.extend_from_slice(b"}\n");
    }
    Ok(())
}

fn write_cell(out: &mut Vec<u8>, cell: Cell<'_>) {
    match cell {
        Cell::Null => out.extend_from_slice(b"null"),
        Cell::Text(text) => write_string(out, text),
        // The table keeps lists and nested values as JSON.
        Cell::List(json) | Cell::Json(json) => out.extend_from_slice(json.as_bytes()),
        Cell::Number(number) => write!(out, "{number}").expect(MEMORY),
        Cell::Flag(flag) => out.extend_from_slice(if flag { b"true" } else { b"false" }),
        Cell::Time(time) => write!(out, "\"{time}\"").expect(MEMORY),
        Cell::Uuid(uuid) => write!(out, "\"{}\"", uuid_text(uuid)).expect(MEMORY),
    }
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    serde_json::to_writer(out, text).expect(MEMORY);
}
