//! Batches on the wire are the same batches in fewer bytes.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch};
use arrow::datatypes::{DataType, Field, Int16Type, Schema};
use flow::Flow;
use proptest::prelude::*;
use table::wire::{Unpacker, pack, packed_schema};
use table::{Col, RowReader, check_schema, conform, schema, tidy};

use crate::random;
use crate::round_trip::batch;
use crate::versions::{through_ipc, with_own_keys};

fn unpack(packed: &RecordBatch) -> RecordBatch {
    Unpacker::of(&packed.schema()).unwrap().unpack(packed).unwrap()
}

proptest! {
    #[test]
    fn every_flow_comes_back(seeds in prop::collection::vec(any::<u64>(), 0..40), form in 0_usize..3) {
        let flows: Vec<Flow> = seeds.iter().copied().map(random::flow).collect();
        let built = batch(&flows);
        let sent = match form {
            0 => built,
            1 => through_ipc(&built),
            _ => with_own_keys(&built),
        };
        let packed = pack(&sent).unwrap();
        prop_assert_eq!(packed.schema(), packed_schema());
        let came = unpack(&through_ipc(&packed));
        prop_assert_eq!(came.schema(), schema());
        if form < 2 {
            prop_assert_eq!(&came, &sent);
        }
        let reader = RowReader::new(&came).unwrap();
        prop_assert_eq!(reader.len(), flows.len());
        for (row, flow) in flows.iter().enumerate() {
            prop_assert_eq!(&reader.flow(row), flow);
        }
    }
}

/// Else each batch would be built twice.
#[test]
fn batches_of_a_builder_are_packed_as_they_are() {
    for rows in [0, 1, 7, 500] {
        let built = batch(&(0..rows).map(random::flow).collect::<Vec<_>>());
        let packed = pack(&built).unwrap();
        let values = |batch: &RecordBatch, col: Col| {
            batch.column(col.index()).as_dictionary::<Int16Type>().values().to_data().buffers()[0].as_ptr()
        };
        let back = unpack(&packed);
        for col in [Col::Verdict, Col::SrcPod, Col::HttpUrl, Col::NodeName] {
            assert_eq!(values(&built, col), values(&back, col), "{} of {rows} rows", col.name());
        }
    }
}

#[test]
fn columns_of_a_group_share_their_keys_after_the_wire() {
    let came = unpack(&through_ipc(&pack(&batch(&(0..50).map(random::flow).collect::<Vec<_>>())).unwrap()));
    let keys = |col: Col| came.column(col.index()).as_dictionary::<Int16Type>().keys().values().clone();
    assert!(keys(Col::Verdict).ptr_eq(&keys(Col::L7Type)));
    assert!(keys(Col::SrcNamespace).ptr_eq(&keys(Col::SrcWorkload)));
    // Nothing is left to do before it is indexed.
    let ready = tidy(&conform(&came).unwrap()).unwrap();
    assert!(came.columns().iter().zip(ready.columns()).all(|(a, b)| Arc::ptr_eq(a, b)));
}

#[test]
fn a_batch_is_shorter() {
    let flows: Vec<Flow> = (0..4_000).map(|n| random::flow(n % 64)).collect();
    let built = batch(&flows);
    let len = |batch: &RecordBatch| {
        let mut writer = arrow::ipc::writer::StreamWriter::try_new(Vec::new(), batch.schema_ref()).unwrap();
        writer.write(batch).unwrap();
        writer.into_inner().unwrap().len()
    };
    let (plain, packed) = (len(&built), len(&pack(&built).unwrap()));
    assert!(packed * 10 < plain * 7, "{packed} of {plain} bytes");
}

/// A later version adds columns to groups and groups of its own; an earlier one lacks some.
#[test]
fn batches_of_other_versions_are_read() {
    let flows: Vec<Flow> = (0..20).map(random::flow).collect();
    let packed = pack(&batch(&flows)).unwrap();
    let schema = packed.schema();
    let mut fields: Vec<Arc<Field>> = schema.fields().iter().cloned().collect();
    let mut columns = packed.columns().to_vec();
    fields.push(Arc::new(Field::new("later", DataType::Boolean, false)));
    columns.push(Arc::new(BooleanArray::from(vec![true; flows.len()])) as ArrayRef);
    let gone = schema.index_of("group:trace_id").unwrap();
    fields.remove(gone);
    columns.remove(gone);
    let other = Schema::new_with_metadata(fields, schema.metadata().clone());
    let other = RecordBatch::try_new(Arc::new(other), columns).unwrap();
    let unpacker = Unpacker::of(&other.schema()).unwrap();
    check_schema(unpacker.schema()).unwrap();
    let reader = RowReader::new(&conform(&unpacker.unpack(&other).unwrap()).unwrap()).unwrap();
    for (row, flow) in flows.iter().enumerate() {
        assert_eq!(reader.flow(row), Flow { trace_id: String::new(), ..flow.clone() });
    }
}

#[test]
fn what_is_not_of_its_schema_is_refused() {
    let built = batch(&(0..5).map(random::flow).collect::<Vec<_>>());
    assert!(Unpacker::of(&built.schema()).is_none(), "a plain batch is in no other form");
    let unpacker = Unpacker::of(&packed_schema()).unwrap();
    assert!(unpacker.unpack(&built).unwrap_err().to_string().contains("do not form a batch"));
    assert!(unpacker.unpack(&RecordBatch::new_empty(Arc::new(Schema::empty()))).is_err());
}
