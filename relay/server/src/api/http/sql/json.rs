//! Rows as JSON values.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type, Schema};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use flow::view::SqlColumn;
use serde_json::Value;

/// Largest whole number that every reader of JSON keeps; larger ones are written as text.
const EXACT_MAX: u64 = 1 << 53;

/// Names and types of the columns.
pub(super) fn columns(schema: &Schema) -> Vec<SqlColumn> {
    schema.fields().iter().map(|f| SqlColumn { name: f.name().clone(), kind: type_name(f.data_type()) }).collect()
}

/// A dictionary is a way to store a column, not a type a reader cares about.
fn type_name(data_type: &DataType) -> String {
    match data_type {
        DataType::Dictionary(_, values) => type_name(values),
        other => other.to_string(),
    }
}

/// Adds the rows of a batch.
pub(super) fn append_rows(rows: &mut Vec<Vec<Value>>, batch: &RecordBatch) {
    let columns: Vec<Vec<Value>> = batch.columns().iter().map(values).collect();
    let mut columns: Vec<_> = columns.into_iter().map(Vec::into_iter).collect();
    for _ in 0..batch.num_rows() {
        rows.push(columns.iter_mut().map(|column| column.next().unwrap_or(Value::Null)).collect());
    }
}

/// Values of a column: null, truth values, numbers and lists as such, all else as text.
fn values(column: &ArrayRef) -> Vec<Value> {
    let zoned = if is_utc(column.data_type()) { UTC_TIME } else { ZONED_TIME };
    let options = FormatOptions::new().with_timestamp_tz_format(Some(zoned)).with_timestamp_format(Some(LOCAL_TIME));
    let formatter = ArrayFormatter::try_new(column.as_ref(), &options);
    let text = |row: usize| match &formatter {
        Ok(formatter) => formatter.value(row).to_string(),
        Err(error) => format!("this value cannot be shown: {error}"),
    };
    let value = |row: usize| match column.data_type() {
        _ if column.is_null(row) => Value::Null,
        DataType::Boolean => Value::Bool(column.as_boolean().value(row)),
        DataType::Float64 => number(column.as_primitive::<Float64Type>().value(row)),
        DataType::Float32 => number(f64::from(column.as_primitive::<Float32Type>().value(row))),
        kind if is_integer(kind) => integer(text(row)),
        DataType::List(_) => list(&column.as_list::<i32>().value(row)),
        _ => Value::String(text(row)),
    };
    let is_dictionary_null = |row: usize| {
        column
            .as_any_dictionary_opt()
            .is_some_and(|d| d.normalized_keys().get(row).is_some_and(|key| d.values().is_null(*key)))
    };
    (0..column.len()).map(|row| if is_dictionary_null(row) { Value::Null } else { value(row) }).collect()
}

/// RFC 3339, in the zone of the column.
const ZONED_TIME: &str = "%Y-%m-%dT%H:%M:%S%.f%:z";
/// The same for UTC.
const UTC_TIME: &str = "%Y-%m-%dT%H:%M:%S%.fZ";
/// A time of no zone.
const LOCAL_TIME: &str = "%Y-%m-%dT%H:%M:%S%.f";

fn is_utc(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_utc(values),
        DataType::Timestamp(_, Some(zone)) => matches!(&**zone, "UTC" | "Z" | "+00:00"),
        _ => false,
    }
}

fn is_integer(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, values) => is_integer(values),
        other => other.is_integer(),
    }
}

fn list(values_of_row: &ArrayRef) -> Value {
    Value::Array(values(values_of_row))
}

/// NaN and infinities have no number in JSON.
fn number(value: f64) -> Value {
    serde_json::Number::from_f64(value).map_or_else(|| Value::String(value.to_string()), Value::Number)
}

fn integer(text: String) -> Value {
    match text.parse::<i64>() {
        Ok(value) if value.unsigned_abs() <= EXACT_MAX => Value::from(value),
        _ => Value::String(text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{
        BooleanArray, DictionaryArray, Float64Array, Int16Array, Int64Array, ListArray, StringArray,
        TimestampMicrosecondArray,
    };
    use arrow::datatypes::{Int16Type, Int64Type};

    fn check(column: ArrayRef, expected: &str) {
        assert_eq!(serde_json::to_string(&values(&column)).unwrap(), expected);
    }

    #[test]
    fn values_keep_their_kind() {
        check(Arc::new(Int64Array::from(vec![Some(1), None, Some(-(1 << 60))])), r#"[1,null,"-1152921504606846976"]"#);
        check(Arc::new(Float64Array::from(vec![0.5, f64::NAN])), r#"[0.5,"NaN"]"#);
        check(Arc::new(BooleanArray::from(vec![Some(true), None])), "[true,null]");
        check(Arc::new(StringArray::from(vec!["a", "\"\n"])), r#"["a","\"\n"]"#);
        let times = || TimestampMicrosecondArray::from(vec![1_768_471_872_001_000]);
        check(Arc::new(times().with_timezone("UTC")), r#"["2026-01-15T10:11:12.001Z"]"#);
        check(Arc::new(times().with_timezone("+02:00")), r#"["2026-01-15T12:11:12.001+02:00"]"#);
        check(Arc::new(times()), r#"["2026-01-15T10:11:12.001"]"#);
        let list = ListArray::from_iter_primitive::<Int64Type, _, _>([Some([Some(1), Some(2)]), None]);
        check(Arc::new(list), "[[1,2],null]");
    }

    #[test]
    fn dictionaries_are_their_values() {
        let keys = || Int16Array::from(vec![Some(1), None, Some(0)]);
        let texts: Arc<dyn Array> = Arc::new(StringArray::from(vec![None, Some("b")]));
        check(Arc::new(DictionaryArray::<Int16Type>::new(keys(), texts)), r#"["b",null,null]"#);
        let numbers: Arc<dyn Array> = Arc::new(Int64Array::from(vec![7, 8]));
        check(Arc::new(DictionaryArray::<Int16Type>::new(keys(), numbers)), "[8,null,7]");
    }
}
