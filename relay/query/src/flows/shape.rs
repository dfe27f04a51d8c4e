//! The flow table as SQL sees it.
//!
//! In memory a segment has 16-bit keys, and numbers behind dictionaries. The engine joins dictionaries of many segments,
//! which 16 bits cannot count, and adds numbers up, so the columns a query asks for are widened on their way.

use std::sync::{Arc, LazyLock};

use arrow::array::{
    Array, ArrayRef, AsArray, DictionaryArray, FixedSizeBinaryArray, Int32Array, Int64Array, StringBuilder,
};
use arrow::buffer::ScalarBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Int16Type, Int32Type, Int64Type, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use flow::FlowId;
use table::schema::{COLUMNS, Column, ColumnKind};

/// Columns of the table as SQL sees it, in the order of [`COLUMNS`].
pub(super) fn schema() -> SchemaRef {
    static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
        let field = |column: &Column| Field::new(column.name, data_type(column.kind), column.nullable);
        Arc::new(Schema::new(COLUMNS.iter().map(field).collect::<Vec<_>>()))
    });
    SCHEMA.clone()
}

fn data_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Number => DataType::Int64,
        ColumnKind::Uuid => DataType::Utf8,
        ColumnKind::Text | ColumnKind::List | ColumnKind::Json => {
            DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
        }
        ColumnKind::Time | ColumnKind::Small | ColumnKind::Integer | ColumnKind::Flag => kind.data_type(),
    }
}

/// Widens the columns of one batch; columns that share keys still share them afterwards.
#[derive(Default)]
pub(super) struct Widener {
    /// Keys by the address of the narrow ones.
    keys: Vec<(ScalarBuffer<i16>, ScalarBuffer<i32>)>,
}

impl Widener {
    /// A column of a segment as SQL sees it.
    pub(super) fn widen(&mut self, kind: ColumnKind, array: &ArrayRef) -> Result<ArrayRef, DataFusionError> {
        match kind {
            ColumnKind::Time | ColumnKind::Small | ColumnKind::Integer | ColumnKind::Flag => Ok(array.clone()),
            ColumnKind::Uuid => Ok(uuid_texts(array.as_fixed_size_binary())),
            ColumnKind::Number => {
                let dictionary = array.as_dictionary::<Int16Type>();
                numbers(dictionary)
            }
            ColumnKind::Text | ColumnKind::List | ColumnKind::Json => {
                let dictionary = array.as_dictionary::<Int16Type>();
                let keys = Int32Array::new(self.wide_keys(dictionary.keys().values()), dictionary.nulls().cloned());
                let wide = DictionaryArray::<Int32Type>::try_new(keys, dictionary.values().clone())?;
                Ok(Arc::new(wide))
            }
        }
    }

    fn wide_keys(&mut self, narrow: &ScalarBuffer<i16>) -> ScalarBuffer<i32> {
        if let Some((_, wide)) = self.keys.iter().find(|(known, _)| known.ptr_eq(narrow)) {
            return wide.clone();
        }
        let wide: ScalarBuffer<i32> = narrow.iter().map(|key| i32::from(*key)).collect();
        self.keys.push((narrow.clone(), wide.clone()));
        wide
    }
}

/// The numbers behind a dictionary.
fn numbers(dictionary: &DictionaryArray<Int16Type>) -> Result<ArrayRef, DataFusionError> {
    let values: &Int64Array = dictionary.values().as_primitive::<Int64Type>();
    if values.len() == 1 && dictionary.null_count() == 0 {
        return Ok(Arc::new(Int64Array::from_value(values.value(0), dictionary.len())));
    }
    Ok(take(values, dictionary.keys(), None)?)
}

/// Ids in their text form.
fn uuid_texts(uuids: &FixedSizeBinaryArray) -> ArrayRef {
    let mut texts = StringBuilder::with_capacity(uuids.len(), uuids.len() * 36);
    for row in 0..uuids.len() {
        match <[u8; 16]>::try_from(uuids.value(row)) {
            Ok(bytes) if uuids.is_valid(row) => texts.append_value(FlowId::Uuid(bytes).to_string()),
            _ => texts.append_null(),
        }
    }
    Arc::new(texts.finish())
}
