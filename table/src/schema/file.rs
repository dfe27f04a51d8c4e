//! The table in files: types that every reader of Parquet and every lake format knows.

use std::sync::{Arc, LazyLock};

use arrow::array::ArrayRef;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;

use super::{COLUMNS, Column, ColumnKind};

/// Schema of files: that of the table, but 16-bit numbers, which not all know, have 32 bits.
#[must_use]
pub fn file_schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let field = |column: &Column| {
            let kind = if column.kind == ColumnKind::Small { DataType::Int32 } else { column.kind.data_type() };
            Field::new(column.name, kind, column.nullable)
        };
        Arc::new(Schema::new(COLUMNS.iter().map(field).collect::<Vec<_>>()))
    });
    Arc::clone(&SCHEMA)
}

/// A batch of the table with the types of [`file_schema`].
///
/// # Errors
/// The batch is of another schema.
pub fn for_file(batch: &RecordBatch) -> Result<RecordBatch, ArrowError> {
    let convert = |(column, array): (&Column, &ArrayRef)| match column.kind {
        ColumnKind::Small => cast(array, &DataType::Int32),
        _ => Ok(Arc::clone(array)),
    };
    let columns = COLUMNS.iter().zip(batch.columns()).map(convert).collect::<Result<Vec<_>, _>>()?;
    RecordBatch::try_new(file_schema(), columns)
}
