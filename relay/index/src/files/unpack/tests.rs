use arrow::array::{Array as _, RecordBatch};
use arrow::compute::{cast, take};
use arrow::datatypes::DataType;
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::reader::{FileReader as _, SerializedFileReader};
use proptest::prelude::*;
use table::schema::{COLUMNS, file_schema, for_file};

use super::super::pages::tests::{batch, written};
use super::super::read::range_of;
use super::*;

/// A file by parquet's own writer, as earlier versions made them: two pages a chunk, of several encodings.
fn by_arrow(batch: &RecordBatch, version: WriterVersion) -> Bytes {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1).unwrap()))
        .set_writer_version(version)
        .set_dictionary_page_size_limit(3_000)
        .set_data_page_row_count_limit(1_000)
        .build();
    let mut writer = ArrowWriter::try_new(Vec::new(), file_schema(), Some(properties)).unwrap();
    writer.write(&for_file(batch).unwrap()).unwrap();
    writer.into_inner().unwrap().into()
}

fn metadata(file: &Bytes) -> ParquetMetaData {
    SerializedFileReader::new(file.clone()).unwrap().metadata().clone()
}

fn bytes_of<'a>(file: &'a Bytes, chunk: &ColumnChunkMetaData) -> &'a [u8] {
    let range = range_of(chunk).unwrap();
    &file[usize::try_from(range.start).unwrap()..usize::try_from(range.end).unwrap()]
}

/// Without its dictionary, where it has one.
fn plain(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::Dictionary(_, values) => cast(array, values).unwrap(),
        _ => array.clone(),
    }
}

/// Reads all columns of the first row group that are in our encodings, and compares them; gives how many these are.
fn check(batch: &RecordBatch, file: &Bytes, rows: Option<&[u16]>) -> usize {
    let metadata = metadata(file);
    let mut unpacker = Unpacker::new().unwrap();
    let mut read = 0;
    for (at, column) in COLUMNS.iter().enumerate() {
        let chunk = metadata.row_group(0).column(at);
        let found = unpacker.column(chunk, bytes_of(file, chunk), column, (rows, batch.num_rows())).unwrap();
        let Some(found) = found else { continue };
        let expected = plain(batch.column(at));
        let expected = match rows {
            None => expected,
            Some(rows) => take(&expected, &rows.iter().copied().collect::<arrow::array::UInt16Array>(), None).unwrap(),
        };
        assert_eq!(found.data_type(), &column.kind.data_type());
        assert_eq!(&plain(&found), &expected, "{}", column.name);
        read += 1;
    }
    read
}

fn some(rows: usize, seed: u64) -> Vec<u16> {
    let wanted = |row: &u16| u64::from(*row).wrapping_mul(2_654_435_761).wrapping_add(seed).is_multiple_of(7);
    (0..u16::try_from(rows).unwrap()).filter(wanted).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn what_was_written_is_read(seed: u64, rows in 1..2_500_usize, level in 0..2_u32) {
        let batch = batch(seed, rows);
        let file = written(level, std::slice::from_ref(&batch));
        for rows in [None, Some(some(rows, seed)), Some(Vec::new())] {
            let read = check(&batch, &file, rows.as_deref());
            // Ids of compacted files, and pages of parquet's own where it takes more than one.
            prop_assert!(read + 6 >= COLUMNS.len(), "{read} were read");
        }
        for version in [WriterVersion::PARQUET_1_0, WriterVersion::PARQUET_2_0] {
            let file = by_arrow(&batch, version);
            check(&batch, &file, None);
            check(&batch, &file, Some(&some(rows, seed)));
        }
    }

    #[test]
    fn damaged_chunks_do_no_harm(seed: u64, places in prop::collection::vec((any::<u64>(), any::<u8>()), 1..4)) {
        let batch = batch(seed, 300);
        let file = written(u32::from(seed % 2 == 0), std::slice::from_ref(&batch));
        let metadata = metadata(&file);
        let mut unpacker = Unpacker::new().unwrap();
        for (at, column) in COLUMNS.iter().enumerate() {
            let chunk = metadata.row_group(0).column(at);
            let mut bytes = bytes_of(&file, chunk).to_vec();
            for (place, byte) in &places {
                let place = usize::try_from(place % bytes.len() as u64).unwrap();
                bytes[place] = *byte;
            }
            let some = some(300, seed);
            for rows in [None, Some(some.as_slice())] {
                if let Ok(Some(array)) = unpacker.column(chunk, &bytes, column, (rows, 300)) {
                    prop_assert_eq!(array.len(), rows.map_or(300, <[u16]>::len));
                }
                let half = &bytes[..bytes.len() / 2];
                prop_assert!(!matches!(unpacker.column(chunk, half, column, (rows, 300)), Ok(Some(_))));
            }
        }
    }
}
