//! Batches that were sent, or written by another version.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, DictionaryArray, Int32Array, RecordBatch, StringArray};
use arrow::compute::{cast, take};
use arrow::datatypes::{DataType, Field, Int16Type, Schema};
use flow::Flow;
use table::schema::VERSION_KEY;
use table::{Col, RowReader, SchemaError, check_schema, conform};

use crate::random;
use crate::round_trip::batch;

/// The batch as it arrives over the wire: equal, but no column shares memory with another.
pub(crate) fn through_ipc(batch: &RecordBatch) -> RecordBatch {
    use arrow::ipc::{reader::StreamReader, writer::StreamWriter};
    let mut writer = StreamWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
    writer.write(batch).unwrap();
    let bytes = writer.into_inner().unwrap();
    StreamReader::try_new(bytes.as_slice(), None).unwrap().next().unwrap().unwrap()
}

/// The same values, but each dictionary column with keys of its own, as another program might write them.
pub(crate) fn with_own_keys(batch: &RecordBatch) -> RecordBatch {
    let columns = batch.columns().iter().enumerate().map(|(i, column)| {
        let Some(dictionary) = column.as_dictionary_opt::<Int16Type>() else { return column.clone() };
        // Turned by a different distance for each column, so that no two agree.
        let n = i32::try_from(dictionary.values().len()).unwrap();
        let turn = i32::try_from(i).unwrap() % n.max(1);
        let turned = Int32Array::from_iter_values((0..n).map(|k| (k + turn) % n));
        let values = take(dictionary.values(), &turned, None).unwrap();
        let n16 = i16::try_from(n).unwrap();
        let turn16 = i16::try_from(turn).unwrap();
        let keys = dictionary.keys().iter().map(|k| k.map(|k| (k + n16 - turn16) % n16)).collect();
        Arc::new(DictionaryArray::<Int16Type>::new(keys, values)) as ArrayRef
    });
    RecordBatch::try_new(batch.schema(), columns.collect()).unwrap()
}

fn flows() -> Vec<Flow> {
    (0..20).map(random::flow).collect()
}

fn select(batch: &RecordBatch, keep: impl Fn(&str) -> bool) -> RecordBatch {
    let schema = batch.schema();
    let indices: Vec<usize> =
        schema.fields().iter().enumerate().filter(|(_, f)| keep(f.name())).map(|(i, _)| i).collect();
    batch.project(&indices).unwrap()
}

#[test]
fn a_batch_from_the_wire_reads_the_same() {
    let flows = flows();
    let sent = through_ipc(&batch(&flows));
    check_schema(&sent.schema()).unwrap();
    let reader = RowReader::new(&conform(&sent).unwrap()).unwrap();
    for (row, flow) in flows.iter().enumerate() {
        assert_eq!(reader.flow(row), *flow);
    }
}

#[test]
fn missing_columns_are_filled_and_unknown_ones_left_out() {
    let flows = flows();
    let full = batch(&flows);
    let older = select(&full, |name| {
        !name.starts_with("dns_") && name != "src_port" && name != "is_reply" && name != "src_pid"
    });
    let mut fields: Vec<Arc<Field>> = older.schema().fields().iter().cloned().collect();
    fields.push(Arc::new(Field::new("from_the_future", DataType::Int32, true)));
    let mut columns = older.columns().to_vec();
    columns.push(Arc::new(Int32Array::from(vec![1; flows.len()])));
    let metadata = [(VERSION_KEY.to_owned(), "99".to_owned())].into();
    let other = RecordBatch::try_new(Arc::new(Schema::new_with_metadata(fields, metadata)), columns).unwrap();
    check_schema(&other.schema()).unwrap();
    let ours = conform(&other).unwrap();
    assert_eq!(ours.schema(), table::schema());
    let reader = RowReader::new(&ours).unwrap();
    for (row, flow) in flows.iter().enumerate() {
        let read = reader.flow(row);
        assert_eq!(read.is_reply, None);
        assert_eq!(
            (read.time, &read.id, &read.source, &read.summary),
            (flow.time, &flow.id, &flow.source, &flow.summary)
        );
        assert!(read.details.is_none_or(|d| d.source_process.is_none()));
    }
}

#[test]
fn plain_strings_and_wider_keys_are_converted() {
    let flows = flows();
    let full = batch(&flows);
    let schema = full.schema();
    let fields: Vec<Field> = schema
        .fields()
        .iter()
        .map(|field| match field.data_type() {
            DataType::Dictionary(_, value) if **value == DataType::Utf8 => {
                Field::new(field.name(), DataType::Utf8, field.is_nullable())
            }
            DataType::Dictionary(_, value) => {
                let wide = DataType::Dictionary(Box::new(DataType::Int32), value.clone());
                Field::new(field.name(), wide, field.is_nullable())
            }
            _ => field.as_ref().clone(),
        })
        .collect();
    let columns = full.columns().iter().zip(&fields).map(|(c, f)| cast(c, f.data_type()).unwrap()).collect();
    let other = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let reader = RowReader::new(&conform(&other).unwrap()).unwrap();
    for (row, flow) in flows.iter().enumerate() {
        assert_eq!(reader.flow(row), *flow);
    }
}

/// As polars has texts and bytes in memory.
#[test]
fn views_are_converted() {
    let flows = flows();
    let ours = batch(&flows);
    let columns = ours.columns().iter().map(|column| match column.data_type() {
        DataType::FixedSizeBinary(_) => cast(&cast(column, &DataType::Binary).unwrap(), &DataType::BinaryView).unwrap(),
        DataType::Dictionary(_, value) if **value == DataType::Utf8 => cast(column, &DataType::Utf8View).unwrap(),
        _ => column.clone(),
    });
    let columns: Vec<ArrayRef> = columns.collect();
    let fields: Vec<Field> = ours
        .schema_ref()
        .fields()
        .iter()
        .zip(&columns)
        .map(|(field, column)| Field::new(field.name(), column.data_type().clone(), true))
        .collect();
    let viewed = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    check_schema(viewed.schema_ref()).unwrap();
    let reader = RowReader::new(&table::tidy(&conform(&viewed).unwrap()).unwrap()).unwrap();
    for (row, flow) in flows.iter().enumerate() {
        assert_eq!(reader.flow(row), *flow);
    }
}

#[test]
fn null_where_we_have_none_means_nothing() {
    let full = batch(&flows());
    let rows = full.num_rows();
    let position = Col::SrcPod.index();
    let mut fields: Vec<Arc<Field>> = full.schema().fields().iter().cloned().collect();
    fields[position] = Arc::new(Field::new("src_pod", DataType::Utf8, true));
    let mut columns = full.columns().to_vec();
    columns[position] = Arc::new(StringArray::new_null(rows));
    let other = RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).unwrap();
    let ours = conform(&other).unwrap();
    assert_eq!(ours.column(position).null_count(), 0);
    let reader = RowReader::new(&ours).unwrap();
    assert!((0..rows).all(|row| reader.flow(row).source.is_none_or(|e| e.pod_name.is_empty())));
}

#[test]
fn what_cannot_be_read_is_refused_with_the_name_of_the_column() {
    let full = batch(&flows());
    let without_time = select(&full, |name| name != "time");
    let error = conform(&without_time).unwrap_err();
    assert!(matches!(error, SchemaError::Missing { column: "time" }));
    assert_eq!(error.to_string(), "the batch has no column \"time\", so it is not a batch of flows");

    let mut fields: Vec<Arc<Field>> = full.schema().fields().iter().cloned().collect();
    let position = Col::IsReply.index();
    fields[position] = Arc::new(Field::new("is_reply", DataType::FixedSizeBinary(1), true));
    let error = check_schema(&Schema::new(fields.clone())).unwrap_err();
    assert!(matches!(error, SchemaError::Type { column: "is_reply", .. }));

    let metadata = [(VERSION_KEY.to_owned(), "two".to_owned())].into();
    let error = check_schema(&full.schema().as_ref().clone().with_metadata(metadata)).unwrap_err();
    assert!(matches!(error, SchemaError::Version { .. }));

    assert!(RowReader::new(&without_time).is_err());
}
