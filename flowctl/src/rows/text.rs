//! Rows of text back into batches of the flow table.

use std::sync::Arc;

use anyhow::{Context as _, Result};
use arrow::array::{
    ArrayRef, BooleanArray, FixedSizeBinaryArray, Int32Array, Int64Array, StringArray, TimestampMicrosecondArray,
};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use flow::{FlowId, Timestamp};
use table::Col;
use table::schema::{COLUMNS, Column, ColumnKind};

/// A value of a row that cannot be one of its column.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column}: expected {expected}")]
pub(crate) struct BadCell {
    column: &'static str,
    expected: &'static str,
}

/// Gathers rows whose values are texts.
pub(super) struct TextRows {
    /// For each field of a row the column it belongs to, if it is one of ours.
    fields: Vec<Option<Col>>,
    columns: Vec<(Col, Vec<Value>)>,
    rows: usize,
}

/// A value as it will stand in the table.
#[derive(Clone, Debug)]
enum Value {
    Null,
    Number(i64),
    Flag(bool),
    Text(String),
    Time(Timestamp),
    Uuid([u8; 16]),
}

impl TextRows {
    /// Prepares for rows with fields of these names; fields that are no column are left out.
    pub(super) fn new<'n>(names: impl IntoIterator<Item = &'n str>) -> Self {
        let fields: Vec<Option<Col>> = names.into_iter().map(column).collect();
        let mut columns: Vec<(Col, Vec<Value>)> = Vec::new();
        for col in fields.iter().flatten() {
            if !columns.iter().any(|(known, _)| known == col) {
                columns.push((*col, Vec::new()));
            }
        }
        Self { fields, columns, rows: 0 }
    }

    /// Prepares for rows that may have any column.
    pub(super) fn of_all_columns() -> Self {
        Self::new(COLUMNS.iter().map(|column| column.name))
    }

    /// Rows added since the last batch.
    pub(super) const fn len(&self) -> usize {
        self.rows
    }

    /// Adds a row; `None` is a value that is not there.
    ///
    /// # Errors
    /// A value is none of its column; the row was not added.
    pub(super) fn push<'v>(&mut self, values: impl Iterator<Item = (Col, Option<&'v str>)>) -> Result<(), BadCell> {
        let mut row: Vec<(Col, Value)> = Vec::with_capacity(self.columns.len());
        for (col, text) in values {
            row.push((col, text.map_or(Ok(Value::Null), |text| value(col.column(), text))?));
        }
        if !row.iter().any(|(col, value)| *col == Col::Time && !matches!(value, Value::Null)) {
            return Err(BadCell { column: Col::Time.name(), expected: "a time" });
        }
        for (col, values) in &mut self.columns {
            let at = row.iter().position(|(of, _)| of == col);
            values.push(at.map_or(Value::Null, |at| row.swap_remove(at).1));
        }
        self.rows += 1;
        Ok(())
    }

    /// The column of a field.
    pub(super) fn col(&self, field: usize) -> Option<Col> {
        self.fields.get(field).copied().flatten()
    }

    /// The rows as a batch with those columns, which [`table::conform`] completes.
    ///
    /// # Errors
    /// Arrow refuses the columns.
    pub(super) fn finish(&mut self) -> Result<RecordBatch> {
        let rows = std::mem::take(&mut self.rows);
        let mut arrays: Vec<(Field, ArrayRef)> = Vec::with_capacity(self.columns.len() + 1);
        // A time has all its digits here, unless there is a column for the last ones.
        let own = self.columns.iter().find(|(col, _)| *col == Col::TimeNs).map(|(_, values)| values.clone());
        for (col, values) in self.columns.iter_mut().filter(|(col, _)| *col != Col::TimeNs) {
            let column = col.column();
            let array = array(column.kind, values);
            arrays.push((Field::new(column.name, array.data_type().clone(), true), array));
            if *col == Col::Time {
                let own = own.iter().flatten().chain(std::iter::repeat(&Value::Null));
                let nanos = Int32Array::from_iter_values(values.iter().zip(own).map(|(time, own)| nanos(time, own)));
                arrays.push((Field::new(Col::TimeNs.name(), DataType::Int32, true), Arc::new(nanos)));
            }
        }
        self.columns.iter_mut().for_each(|(_, values)| values.clear());
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = arrays.into_iter().unzip();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
            .context("the rows do not form a batch")
    }
}

/// Finds a column by its name.
pub(super) fn column(name: &str) -> Option<Col> {
    Col::ALL.iter().copied().find(|col| col.name() == name)
}

fn value(column: &'static Column, text: &str) -> Result<Value, BadCell> {
    let bad = |expected| BadCell { column: column.name, expected };
    Ok(match column.kind {
        ColumnKind::Time => {
            Value::Time(Timestamp::parse_rfc3339(text).map_err(|_| bad("an RFC 3339 time of the years 1677 to 2262"))?)
        }
        ColumnKind::Small | ColumnKind::Integer => {
            let number = text.parse::<i32>().map_err(|_| bad("a 32-bit integer"))?;
            Value::Number(number.into())
        }
        // Written without a sign by some, as the API has them.
        ColumnKind::Number => Value::Number(
            text.parse::<i64>()
                .or_else(|_| text.parse::<u64>().map(u64::cast_signed))
                .map_err(|_| bad("an integer"))?,
        ),
        ColumnKind::Flag => match text.to_ascii_lowercase().as_str() {
            "true" | "t" | "1" => Value::Flag(true),
            "false" | "f" | "0" => Value::Flag(false),
            _ => return Err(bad("true or false")),
        },
        ColumnKind::Uuid => match FlowId::parse(text) {
            FlowId::Uuid(bytes) => Value::Uuid(bytes),
            FlowId::None | FlowId::Text(_) => return Err(bad("a UUID")),
        },
        ColumnKind::Text | ColumnKind::List | ColumnKind::Json => Value::Text(text.to_owned()),
    })
}

/// Nanoseconds of a time beyond its microsecond, which may have a column of their own.
fn nanos(time: &Value, own: &Value) -> i32 {
    match (own, time) {
        (Value::Number(nanos), _) => i32::try_from(*nanos).unwrap_or_default(),
        (_, Value::Time(time)) => i32::try_from(time.0.rem_euclid(1_000)).expect("below a thousand"),
        _ => 0,
    }
}

fn array(kind: ColumnKind, values: &[Value]) -> ArrayRef {
    let number = |value: &Value| if let Value::Number(number) = value { Some(*number) } else { None };
    match kind {
        ColumnKind::Time => {
            let micros = |value: &Value| match value {
                Value::Time(time) => Some(time.0.div_euclid(1_000)),
                _ => None,
            };
            Arc::new(values.iter().map(micros).collect::<TimestampMicrosecondArray>().with_timezone("UTC"))
        }
        ColumnKind::Small | ColumnKind::Integer => {
            let narrow = |value: &Value| number(value).and_then(|number| i32::try_from(number).ok());
            Arc::new(values.iter().map(narrow).collect::<Int32Array>())
        }
        ColumnKind::Number => Arc::new(values.iter().map(number).collect::<Int64Array>()),
        ColumnKind::Flag => {
            let flag = |value: &Value| if let Value::Flag(flag) = value { Some(*flag) } else { None };
            Arc::new(values.iter().map(flag).collect::<BooleanArray>())
        }
        ColumnKind::Uuid => {
            let uuid = |value: &Value| if let Value::Uuid(uuid) = value { Some(*uuid) } else { None };
            let array = FixedSizeBinaryArray::try_from_sparse_iter_with_size(values.iter().map(uuid), 16);
            Arc::new(array.expect("each value has 16 bytes"))
        }
        ColumnKind::Text | ColumnKind::List | ColumnKind::Json => {
            let text = |value: &Value| if let Value::Text(text) = value { Some(text.clone()) } else { None };
            Arc::new(values.iter().map(text).collect::<StringArray>())
        }
    }
}
