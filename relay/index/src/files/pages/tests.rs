use std::sync::Arc;

use arrow::array::{
    Array as _, ArrayRef, BooleanArray, DictionaryArray, FixedSizeBinaryArray, Int16Array, Int32Array, Int64Array,
    RecordBatch, StringArray, TimestampMicrosecondArray,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::{cast, concat_batches};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use parquet::file::statistics::Statistics;
use proptest::prelude::*;
use table::schema::{COLUMNS, Column, ColumnKind, GROUPS, file_schema, schema};
use table::{Col, MAX_BATCH_ROWS};

use super::super::write::{file_writer, group_writer};

/// Numbers that look random and are the same for the same seed.
struct Dice(u64);

impl Dice {
    fn draw(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ mixed >> 31) % sides as u64).unwrap()
    }
}

/// Rows of every kind of column: the same value everywhere, few, many, runs, NULL now and then or always. Dictionaries
/// have values twice and values that no row has; what a row that is NULL points to may not be there.
pub(in crate::files) fn batch(seed: u64, rows: usize) -> RecordBatch {
    let mut dice = Dice(seed);
    let mut columns: Vec<Option<ArrayRef>> = vec![None; COLUMNS.len()];
    for group in GROUPS {
        let entries = [1, 2, 3, 9, 200, rows][dice.draw(6)].min(rows);
        let longest = [1, 1, 40][dice.draw(3)];
        let keys = keys(&mut dice, rows, entries, longest);
        for col in *group {
            columns[col.index()] = Some(dictionary(&mut dice, col.column(), &keys, entries));
        }
    }
    let plain = |(column, array): (&Column, Option<ArrayRef>)| {
        array.unwrap_or_else(|| {
            let nulls = nulls(&mut dice, column, rows);
            let range = [1, 2, 70_000][dice.draw(3)];
            let mut number = || i32::try_from(dice.draw(range)).unwrap();
            match column.kind {
                ColumnKind::Time => {
                    let times = (0..rows).map(|_| i64::from(number()) * 3_000_000_000 - 5).collect::<Vec<_>>();
                    Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
                }
                ColumnKind::Small => {
                    Arc::new((0..rows).map(|_| Some((number() % 1_000) as i16)).collect::<Int16Array>())
                }
                ColumnKind::Integer => Arc::new((0..rows).map(|_| Some(number())).collect::<Int32Array>()),
                ColumnKind::Flag => Arc::new(BooleanArray::new((0..rows).map(|_| number() % 2 == 0).collect(), nulls)),
                ColumnKind::Uuid => {
                    let bytes: Vec<u8> = (0..rows * 4).flat_map(|_| number().to_le_bytes()).collect();
                    Arc::new(FixedSizeBinaryArray::new(16, bytes.into(), nulls))
                }
                _ => unreachable!("the others are dictionaries"),
            }
        })
    };
    let columns = COLUMNS.iter().zip(columns).map(plain).collect();
    RecordBatch::try_new(schema(), columns).unwrap()
}

fn keys(dice: &mut Dice, rows: usize, entries: usize, longest: usize) -> ScalarBuffer<i16> {
    let mut keys = Vec::new();
    while keys.len() < rows {
        let key = u16::try_from(dice.draw(entries)).unwrap().cast_signed();
        keys.extend(std::iter::repeat_n(key, 1 + dice.draw(longest)));
    }
    keys.truncate(rows);
    keys.into()
}

fn nulls(dice: &mut Dice, column: &Column, rows: usize) -> Option<NullBuffer> {
    let sides = [1, 2, 50][dice.draw(3)];
    let there: Vec<bool> = (0..rows).map(|_| dice.draw(sides) > 0).collect();
    (column.nullable && dice.draw(3) > 0).then(|| NullBuffer::from(there))
}

fn dictionary(dice: &mut Dice, column: &Column, keys: &ScalarBuffer<i16>, entries: usize) -> ArrayRef {
    let nulls = nulls(dice, column, keys.len());
    let differ = [1, 2, entries][dice.draw(3)];
    // A NULL may have any key.
    let keys = match &nulls {
        Some(nulls) => {
            let key = |row: usize| if nulls.is_null(row) { dice.draw(1 << 15) as i16 } else { keys[row] };
            (0..keys.len()).map(key).collect()
        }
        None => keys.clone(),
    };
    let values: ArrayRef = if column.kind.is_text() {
        let text = |_| match dice.draw(differ) {
            0 => String::new(),
            n => format!("{n}{}", "ü/".repeat(n % 30)),
        };
        Arc::new((0..entries).map(text).map(Some).collect::<StringArray>())
    } else {
        let number = |_| (dice.draw(differ) as i64).wrapping_mul(i64::MAX / 3) - 1;
        Arc::new((0..entries).map(number).map(Some).collect::<Int64Array>())
    };
    Arc::new(DictionaryArray::try_new(Int16Array::new(keys, nulls), values).unwrap())
}

pub(in crate::files) fn written(level: u32, batches: &[RecordBatch]) -> Bytes {
    let mut file = file_writer(Vec::new(), level).unwrap();
    let mut pages = group_writer(level).unwrap();
    for batch in batches {
        pages.add(&mut file, batch).unwrap();
    }
    file.into_inner().unwrap().into()
}

/// The batch as other programs see it: without dictionaries.
fn unpacked(batch: &RecordBatch) -> RecordBatch {
    let kind = |column: &Column| match column.kind {
        ColumnKind::Small => arrow::datatypes::DataType::Int32,
        ColumnKind::Number => arrow::datatypes::DataType::Int64,
        kind if kind.is_text() => arrow::datatypes::DataType::Utf8,
        kind => kind.data_type(),
    };
    let columns = COLUMNS
        .iter()
        .zip(batch.columns())
        .map(|(column, array)| (column.name, cast(array, &kind(column)).unwrap(), column.nullable));
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn read(bytes: Bytes) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).unwrap().build().unwrap();
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>().unwrap();
    concat_batches(&batches[0].schema(), &batches).unwrap()
}

fn check(batches: &[RecordBatch], level: u32) {
    let unpacked: Vec<RecordBatch> = batches.iter().map(unpacked).collect();
    let expected = concat_batches(&unpacked[0].schema(), &unpacked).unwrap();
    let bytes = written(level, batches);
    let found = read(bytes.clone());
    assert_eq!(found.num_columns(), COLUMNS.len());
    for (column, (found, expected)) in COLUMNS.iter().zip(found.columns().iter().zip(expected.columns())) {
        assert_eq!(found, expected, "{}", column.name);
    }
    let file = SerializedFileReader::new(bytes).unwrap();
    for (group, batch) in file.metadata().row_groups().iter().zip(&unpacked) {
        for (column, array) in group.columns().iter().zip(batch.columns()) {
            assert_eq!(column.num_values(), batch.num_rows() as i64);
            if let Some(Statistics::Int64(found)) = column.statistics()
                && let Some(numbers) = arrow::array::AsArray::as_primitive_opt::<arrow::datatypes::Int64Type>(array)
            {
                assert_eq!(found.null_count_opt(), Some(array.null_count() as u64));
                let range = (found.min_opt().copied(), found.max_opt().copied());
                assert_eq!(range, (arrow::compute::min(numbers), arrow::compute::max(numbers)));
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn what_is_written_is_what_parquet_reads(seed: u64, rows in 1..2_500_usize, more in 1..200_usize, level in 0..2_u32) {
        check(&[batch(seed, rows), batch(seed ^ 1, more)], level);
    }
}

#[test]
fn a_batch_of_all_the_rows_there_may_be() {
    for seed in 0..6 {
        check(&[batch(seed, MAX_BATCH_ROWS)], 0);
    }
}

#[test]
fn a_column_that_is_no_column_of_the_table_is_an_error() {
    let good = batch(1, 10);
    let mut file = file_writer(Vec::new(), 0).unwrap();
    let mut pages = group_writer(0).unwrap();
    let few = good.project(&[0, 1, 2]).unwrap();
    assert!(pages.add(&mut file, &few).is_err());
    // A NULL where the table has none.
    let mut columns = good.columns().to_vec();
    columns[Col::Verdict.index()] = arrow::array::new_null_array(&ColumnKind::Text.data_type(), 10);
    let fields =
        schema().fields().iter().map(|field| Arc::new(field.as_ref().clone().with_nullable(true))).collect::<Vec<_>>();
    let batch = RecordBatch::try_new(Arc::new(arrow::datatypes::Schema::new(fields)), columns).unwrap();
    let error = pages.add(&mut file, &batch).unwrap_err().to_string();
    assert!(error.contains("verdict"), "{error}");
    assert_eq!(file_schema().fields().len(), COLUMNS.len());
}
