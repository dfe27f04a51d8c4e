//! Batches of other versions.

use arrow::array::{Array, ArrayRef, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Schema};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::{COLUMNS, Col, Column, ColumnKind, MAX_BATCH_ROWS, VERSION_KEY, schema};

/// A batch cannot be read as rows of the flow table.
#[derive(Debug, thiserror::Error)]
pub enum SchemaError {
    /// A column without which a row means nothing is not there.
    #[error("the batch has no column {column:?}, so it is not a batch of flows")]
    Missing {
        /// Name of the column.
        column: &'static str,
    },
    /// A column has a type that cannot be read as ours.
    #[error("column {column:?} has type {found} where {expected} is needed")]
    Type {
        /// Name of the column.
        column: &'static str,
        /// Type it has.
        found: Box<DataType>,
        /// Type it should have.
        expected: Box<DataType>,
    },
    /// A column's values could not be turned into our type.
    #[error("column {column:?} cannot be read")]
    Cast {
        /// Name of the column.
        column: &'static str,
        /// What arrow says.
        #[source]
        source: ArrowError,
    },
    /// The version in the metadata is not a number.
    #[error("the schema names version {text:?}, which is no number")]
    Version {
        /// Text found.
        text: String,
    },
    /// More rows than one batch may have.
    #[error("the batch has {rows} rows where {MAX_BATCH_ROWS} are allowed: send smaller batches")]
    TooManyRows {
        /// Rows it has.
        rows: usize,
    },
    /// Arrow refused the columns.
    #[error("the columns do not form a batch")]
    Arrow(#[source] ArrowError),
}

/// Columns without which a row means nothing.
const ESSENTIAL: [Col; 3] = [Col::Time, Col::NodeName, Col::Verdict];

/// Checks whether [`conform`] can read batches of this schema: another version is welcome as long as the essential
/// columns are there and the columns both know have types that can be turned into ours.
///
/// # Errors
/// Says what does not fit.
pub fn check_schema(found: &Schema) -> Result<(), SchemaError> {
    if *found == *schema() {
        return Ok(());
    }
    if let Some(text) = found.metadata().get(VERSION_KEY)
        && text.parse::<u32>().is_err()
    {
        return Err(SchemaError::Version { text: text.clone() });
    }
    for col in ESSENTIAL {
        if found.field_with_name(col.name()).is_err() {
            return Err(SchemaError::Missing { column: col.name() });
        }
    }
    for column in COLUMNS {
        if let Ok(field) = found.field_with_name(column.name) {
            check_type(column, field.data_type())?;
        }
    }
    Ok(())
}

/// Brings a batch of any version into the shape of [`schema()`]: columns it lacks are filled with what stands for
/// nothing, columns we do not know are left out, other types of the same values are converted.
///
/// # Errors
/// As [`check_schema`], or the values do not fit the type, or the batch has too many rows.
pub fn conform(batch: &RecordBatch) -> Result<RecordBatch, SchemaError> {
    let rows = batch.num_rows();
    if rows > MAX_BATCH_ROWS {
        return Err(SchemaError::TooManyRows { rows });
    }
    if batch.schema_ref().fields() == schema().fields() {
        return Ok(batch.clone());
    }
    check_schema(batch.schema_ref())?;
    let columns = COLUMNS
        .iter()
        .map(|column| match batch.column_by_name(column.name) {
            Some(array) => convert(column, array),
            None => Ok(nothing(column, rows)),
        })
        .collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(schema(), columns).map_err(SchemaError::Arrow)
}

fn check_type(column: &Column, found: &DataType) -> Result<(), SchemaError> {
    let expected = column.kind.data_type();
    if *found == expected || arrow::compute::can_cast_types(direct(found), &expected) {
        return Ok(());
    }
    Err(SchemaError::Type { column: column.name, found: Box::new(found.clone()), expected: Box::new(expected) })
}

/// The type by way of which a type is converted: arrow makes bytes of a fixed size of plain bytes, not of views.
fn direct(found: &DataType) -> &DataType {
    if *found == DataType::BinaryView { &DataType::Binary } else { found }
}

fn convert(column: &Column, array: &ArrayRef) -> Result<ArrayRef, SchemaError> {
    let expected = column.kind.data_type();
    let converted = if *array.data_type() == expected {
        array.clone()
    } else {
        cast(array, direct(array.data_type()))
            .and_then(|array| cast(&array, &expected))
            .map_err(|source| SchemaError::Cast { column: column.name, source })?
    };
    if column.nullable || converted.null_count() == 0 {
        return Ok(converted);
    }
    fill_nulls(column, &converted)
}

/// NULL in a column of ours that has none means nothing, as an absent column does.
fn fill_nulls(column: &Column, array: &ArrayRef) -> Result<ArrayRef, SchemaError> {
    let filler = nothing(column, 1);
    let indices: Vec<(usize, usize)> =
        (0..array.len()).map(|row| if array.is_null(row) { (1, 0) } else { (0, row) }).collect();
    arrow::compute::interleave(&[array.as_ref(), filler.as_ref()], &indices)
        .map_err(|source| SchemaError::Cast { column: column.name, source })
}

/// A column that says of every row that it carries nothing of the kind.
fn nothing(column: &Column, rows: usize) -> ArrayRef {
    use arrow::array::{BooleanArray, DictionaryArray, Int16Array, Int32Array, Int64Array, StringArray};
    use std::sync::Arc;

    let kind = column.kind;
    if column.nullable {
        return new_null_array(&kind.data_type(), rows);
    }
    let keys = || Int16Array::from(vec![0; rows]);
    match kind {
        ColumnKind::Small => Arc::new(Int16Array::from(vec![0; rows])),
        ColumnKind::Integer => Arc::new(Int32Array::from(vec![0; rows])),
        ColumnKind::Flag => Arc::new(BooleanArray::from(vec![false; rows])),
        ColumnKind::Number => Arc::new(DictionaryArray::new(keys(), Arc::new(Int64Array::from(vec![0])))),
        ColumnKind::Text | ColumnKind::List | ColumnKind::Json => {
            Arc::new(DictionaryArray::new(keys(), Arc::new(StringArray::from(vec![kind.empty_text()]))))
        }
        // `time` is essential and `uuid` may be NULL, so neither is ever made up.
        ColumnKind::Time | ColumnKind::Uuid => new_null_array(&kind.data_type(), rows),
    }
}
