//! Rows become a Parquet file.
//!
//! The types are those every reader of Parquet and every lake format knows; what the relay needs beyond them is in the
//! footer, as JSON under the key `weir.file`: the catalogue's entry, a CRC-32C of each column of each row group, and the
//! pods that are in them. A row group is one batch of the flow table.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Int16Type, Schema, SchemaRef};
use arrow::record_batch::{RecordBatch, RecordBatchOptions};
use bytes::Bytes;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};
use table::schema::{COLUMNS, ColumnKind, DESTINATION, SCHEMA_VERSION, SOURCE, SideColumns, VERSION_KEY};
use table::{Col, MAX_BATCH_ROWS};

use super::entry::{FileEntry, GroupEntry};
use super::names::Names;

/// Key of the footer that holds [`About`].
pub(super) const ABOUT_KEY: &str = "weir.file";
/// Key of the footer that holds the pods.
pub(super) const NAMES_KEY: &str = "weir.pods";
/// Bytes a dictionary may have, so that a column of a row group always is one.
const DICTIONARY_BYTES_MAX: usize = 64 << 20;
/// zstd levels of files as sealed and of compacted ones: time counts for the one, bytes for the other.
const LEVELS: [i32; 2] = [1, 6];

/// What a footer says of its file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct About {
    pub(super) format: u32,
    pub(super) relay: String,
    pub(super) entry: FileEntry,
    /// CRC-32C of each column of each row group, from its first page to its last.
    pub(super) sums: Vec<Vec<u32>>,
}

/// Version of [`About`]; files of a later one are left alone.
pub(super) const FORMAT: u32 = 1;

/// Columns whose values rarely come twice, for which a dictionary is a waste; in compacted files only the first one.
const DIFFERENT: [Col; 2] = [Col::Time, Col::Conversation];

/// Types in files, in the order of the table.
fn file_schema() -> SchemaRef {
    let field = |column: &table::schema::Column| Field::new(column.name, file_type(column.kind), column.nullable);
    Arc::new(Schema::new(COLUMNS.iter().map(field).collect::<Vec<_>>()))
}

/// Type of a column in files: dictionaries are the file's own affair, and 16-bit numbers are not known everywhere.
pub(super) fn file_type(kind: ColumnKind) -> DataType {
    match kind {
        ColumnKind::Small => DataType::Int32,
        ColumnKind::Number
        | ColumnKind::Text
        | ColumnKind::List
        | ColumnKind::Json
        | ColumnKind::Time
        | ColumnKind::Integer
        | ColumnKind::Flag
        | ColumnKind::Uuid => kind.data_type(),
    }
}

fn properties(level: u32) -> WriterProperties {
    let level = usize::try_from(level).unwrap_or_default().min(LEVELS.len() - 1);
    let zstd = Compression::ZSTD(ZstdLevel::try_new(LEVELS[level]).expect("a level of zstd"));
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("weir {}", env!("CARGO_PKG_VERSION")))
        .set_compression(zstd)
        .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX)
        .set_max_row_group_row_count(Some(MAX_BATCH_ROWS))
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .set_statistics_truncate_length(Some(32));
    for col in &DIFFERENT[..DIFFERENT.len() - level] {
        let path = ColumnPath::from(col.name());
        properties = properties
            .set_column_dictionary_enabled(path.clone(), false)
            .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    // The least and the greatest text of thousands exclude nothing, and to find them takes a third of the time of writing.
    for column in COLUMNS.iter().filter(|column| column.kind.is_text()) {
        let path = ColumnPath::from(column.name);
        properties = properties.set_column_statistics_enabled(path, EnabledStatistics::None);
    }
    let uuid = ColumnPath::from(Col::Uuid.name());
    properties
        .set_column_dictionary_enabled(uuid.clone(), false)
        .set_column_statistics_enabled(uuid.clone(), EnabledStatistics::None)
        .set_column_bloom_filter_enabled(uuid.clone(), true)
        .set_column_bloom_filter_fpp(uuid.clone(), 0.01)
        .set_column_bloom_filter_max_ndv(uuid, MAX_BATCH_ROWS as u64)
        .build()
}

/// Writes row groups into one file.
pub(crate) struct FileWriter {
    writer: ArrowWriter<Vec<u8>>,
    relay: String,
    groups: Vec<GroupEntry>,
    names: Names,
}

impl FileWriter {
    pub(crate) fn new(relay: &str, level: u32) -> io::Result<Self> {
        let options = ArrowWriterOptions::new().with_properties(properties(level)).with_skip_arrow_metadata(true);
        let writer = ArrowWriter::try_new_with_options(Vec::new(), writer_schema(), options)?;
        Ok(Self { writer, relay: relay.to_owned(), groups: Vec::new(), names: Names::default() })
    }

    /// Adds a row group: rows of the flow table, at least one.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let rows = u32::try_from(batch.num_rows()).map_err(io::Error::other)?;
        let (oldest, newest) = times(batch);
        for (side, is_source) in [(&SOURCE, true), (&DESTINATION, false)] {
            note_names(&mut self.names, batch, side, self.groups.len(), is_source);
        }
        self.groups.push(GroupEntry(rows, oldest, newest));
        self.writer.write(&for_file(batch)?)?;
        self.writer.flush()?;
        Ok(())
    }

    /// Ends the file; `describe` makes its entry from its row groups.
    pub(crate) fn finish(
        mut self,
        describe: impl FnOnce(Vec<GroupEntry>) -> FileEntry,
    ) -> io::Result<(FileEntry, Bytes)> {
        self.writer.sync()?;
        let sums = self.sums();
        let entry = describe(std::mem::take(&mut self.groups));
        let about = About { format: FORMAT, relay: self.relay.clone(), entry, sums };
        let text = serde_json::to_string(&about).map_err(io::Error::other)?;
        let version = SCHEMA_VERSION.to_string();
        for (key, value) in [(VERSION_KEY, version), (NAMES_KEY, self.names.text()), (ABOUT_KEY, text)] {
            self.writer.append_key_value_metadata(KeyValue::new(key.to_owned(), value));
        }
        let bytes: Bytes = self.writer.into_inner()?.into();
        let entry = FileEntry { bytes: bytes.len() as u64, ..about.entry };
        Ok((entry, bytes))
    }

    fn sums(&self) -> Vec<Vec<u32>> {
        let bytes = self.writer.inner();
        let sum = |range: (u64, u64)| {
            let [start, length] = [range.0, range.1].map(|n| usize::try_from(n).unwrap_or(usize::MAX));
            crc32c::crc32c(&bytes[start..start + length])
        };
        let groups = self.writer.flushed_row_groups().iter();
        groups.map(|group| group.columns().iter().map(|column| sum(column.byte_range())).collect()).collect()
    }
}

/// Writes rows into a Parquet file outside of a store, one row group in memory at a time.
pub(crate) struct PlainWriter(ArrowWriter<File>);

impl PlainWriter {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        let options = ArrowWriterOptions::new().with_properties(properties(1)).with_skip_arrow_metadata(true);
        Ok(Self(ArrowWriter::try_new_with_options(file, writer_schema(), options)?))
    }

    /// Adds a row group: rows of the flow table, at least one.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> io::Result<()> {
        self.0.write(&for_file(batch)?)?;
        Ok(self.0.flush()?)
    }

    /// Ends the file and forces it to the disk.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let version = KeyValue::new(VERSION_KEY.to_owned(), SCHEMA_VERSION.to_string());
        self.0.append_key_value_metadata(version);
        self.0.into_inner()?.sync_all()
    }
}

/// Types as the writer takes them: dictionaries stay, it encodes them as they are.
fn writer_schema() -> SchemaRef {
    let field = |column: &table::schema::Column| {
        let kind = if column.kind == ColumnKind::Small { file_type(column.kind) } else { column.kind.data_type() };
        Field::new(column.name, kind, column.nullable)
    };
    debug_assert_eq!(file_schema().fields().len(), COLUMNS.len());
    Arc::new(Schema::new(COLUMNS.iter().map(field).collect::<Vec<_>>()))
}

fn for_file(batch: &RecordBatch) -> io::Result<RecordBatch> {
    let convert = |(column, array): (&table::schema::Column, &ArrayRef)| match column.kind {
        ColumnKind::Small => cast(array, &DataType::Int32),
        _ => Ok(array.clone()),
    };
    let columns =
        COLUMNS.iter().zip(batch.columns()).map(convert).collect::<Result<Vec<_>, _>>().map_err(io::Error::other)?;
    let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
    RecordBatch::try_new_with_options(writer_schema(), columns, &options).map_err(io::Error::other)
}

/// Oldest and newest time in nanoseconds.
fn times(batch: &RecordBatch) -> (i64, i64) {
    let micros = batch.column(Col::Time.index()).as_primitive::<arrow::datatypes::TimestampMicrosecondType>();
    let nanos = batch.column(Col::TimeNs.index()).as_primitive::<Int16Type>();
    let time = |row: usize| micros.value(row).saturating_mul(1_000).saturating_add(nanos.value(row).into());
    let range = (i64::MAX, i64::MIN);
    (0..batch.num_rows()).map(time).fold(range, |(oldest, newest), time| (oldest.min(time), newest.max(time)))
}

fn note_names(names: &mut Names, batch: &RecordBatch, side: &SideColumns, group: usize, is_source: bool) {
    let text = |col: Col| table::column::Texts::of(batch, col);
    let (Ok(namespaces), Ok(pods)) = (text(side.namespace), text(side.pod)) else {
        debug_assert!(false, "batches have the table's shape");
        return;
    };
    let mut seen: BTreeMap<(usize, usize), usize> = BTreeMap::new();
    let mut before = None;
    for row in 0..batch.num_rows() {
        let keys = (namespaces.key(row), pods.key(row));
        if before != Some(keys) {
            seen.entry(keys).or_insert(row);
            before = Some(keys);
        }
    }
    for row in seen.into_values() {
        names.add(namespaces.get(row), pods.get(row), group, is_source);
    }
}
