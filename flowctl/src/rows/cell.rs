//! Values of the flow table as text.

use arrow::array::{Array as _, AsArray as _, BooleanArray, FixedSizeBinaryArray, Int32Array, Int64Array};
use arrow::datatypes::{Int16Type, Int32Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use flow::{FlowId, Timestamp};
use table::column::{Numbers, Texts};
use table::schema::{COLUMNS, Column, ColumnKind};
use table::{Col, SchemaError};

/// Columns of text formats. Times have all their digits there, so the column of nanoseconds is left out.
pub(super) fn columns() -> impl Iterator<Item = (Col, &'static Column)> {
    Col::ALL.iter().copied().zip(COLUMNS).filter(|(col, _)| *col != Col::TimeNs)
}

/// A value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cell<'a> {
    Null,
    Text(&'a str),
    /// A JSON array of strings.
    List(&'a str),
    /// Any JSON, or nothing.
    Json(&'a str),
    Number(i64),
    Flag(bool),
    Time(Timestamp),
    Uuid([u8; 16]),
}

/// The columns of a batch, opened.
pub(super) struct Cells {
    columns: Vec<Opened>,
    pub(super) rows: usize,
}

enum Opened {
    Texts(Texts, ColumnKind),
    Numbers(Numbers),
    Integers(Int32Array),
    Flags(BooleanArray),
    Time(Int64Array, Int32Array),
    Uuids(FixedSizeBinaryArray),
}

impl Cells {
    /// Opens a batch of [`table::schema()`].
    ///
    /// # Errors
    /// It is of another schema.
    pub(super) fn open(batch: &RecordBatch) -> Result<Self, SchemaError> {
        let open = |(col, column): (Col, &Column)| {
            let array = batch.column(col.index());
            Ok(match column.kind {
                ColumnKind::Number => Opened::Numbers(Numbers::of(batch, col)?),
                kind @ (ColumnKind::Text | ColumnKind::List | ColumnKind::Json) => {
                    Opened::Texts(Texts::of(batch, col)?, kind)
                }
                ColumnKind::Integer => Opened::Integers(array.as_primitive::<Int32Type>().clone()),
                ColumnKind::Flag => Opened::Flags(array.as_boolean().clone()),
                ColumnKind::Uuid => Opened::Uuids(array.as_fixed_size_binary().clone()),
                ColumnKind::Time | ColumnKind::Small => {
                    let micros = array.as_primitive::<TimestampMicrosecondType>().reinterpret_cast();
                    let nanos = batch.column(Col::TimeNs.index()).as_primitive::<Int16Type>();
                    Opened::Time(micros, nanos.unary(i32::from))
                }
            })
        };
        let columns = columns().map(open).collect::<Result<_, SchemaError>>()?;
        Ok(Self { columns, rows: batch.num_rows() })
    }

    /// The values of a row, in the order of [`columns`].
    pub(super) fn row(&self, row: usize) -> impl Iterator<Item = Cell<'_>> {
        self.columns.iter().map(move |column| match column {
            Opened::Texts(texts, _) if texts.is_null(row) => Cell::Null,
            Opened::Texts(texts, ColumnKind::List) => Cell::List(texts.get(row)),
            Opened::Texts(texts, ColumnKind::Json) => Cell::Json(texts.get(row)),
            Opened::Texts(texts, _) => Cell::Text(texts.get(row)),
            Opened::Numbers(numbers) if numbers.is_null(row) => Cell::Null,
            Opened::Numbers(numbers) => Cell::Number(numbers.get(row)),
            Opened::Integers(numbers) => Cell::Number(numbers.value(row).into()),
            Opened::Flags(flags) if flags.is_null(row) => Cell::Null,
            Opened::Flags(flags) => Cell::Flag(flags.value(row)),
            Opened::Time(micros, nanos) => {
                let micros = micros.value(row).saturating_mul(1_000);
                Cell::Time(Timestamp(micros.saturating_add(nanos.value(row).into())))
            }
            Opened::Uuids(uuids) if uuids.is_null(row) => Cell::Null,
            Opened::Uuids(uuids) => Cell::Uuid(uuids.value(row).try_into().unwrap_or_default()),
        })
    }
}

/// The text of an id.
pub(super) fn uuid_text(uuid: [u8; 16]) -> String {
    FlowId::Uuid(uuid).to_string()
}
