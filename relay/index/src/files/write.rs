//! Rows become a Parquet file.
//!
//! The types are those every reader of Parquet and every lake format knows; what the relay needs beyond them is in the
//! footer, as JSON under the key `weir.file`: the catalogue's entry, a CRC-32C of each column of each row group, and the
//! pods that are in them. A row group is one batch of the flow table.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use arrow::array::AsArray;
use arrow::datatypes::{DataType, Field, Int16Type, Schema, SchemaRef};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::ArrowSchemaConverter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::metadata::KeyValue;
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use serde::{Deserialize, Serialize};
use table::schema::{COLUMNS, ColumnKind, DESTINATION, SCHEMA_VERSION, SOURCE, SideColumns, VERSION_KEY};
use table::{Col, MAX_BATCH_ROWS};

use super::entry::{FileEntry, GroupEntry};
use super::names::Names;
use super::pages::{GroupWriter, PASSED_BY_CHANCE, Thrift};

/// Key of the footer that holds [`About`].
pub(super) const ABOUT_KEY: &str = "weir.file";
/// Key of the footer that holds the pods.
pub(super) const NAMES_KEY: &str = "weir.pods";
/// zstd levels of files as sealed and of compacted ones: time counts for the one, bytes for the other.
const LEVELS: [i32; 2] = [1, 6];

/// What a footer says of its file.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct About {
    format: u32,
    pub(super) relay: String,
    pub(super) entry: FileEntry,
    /// CRC-32C of each column of each row group, from its first page to its last.
    pub(super) sums: Vec<Vec<u32>>,
}

/// Version of [`About`]; files of a later one are left alone.
const FORMAT: u32 = 1;

/// What of a file is later than this version knows, by the text of its footer; `None` where nothing is.
pub(super) fn later(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Version {
        format: u32,
    }
    let Version { format } = serde_json::from_str(text).ok()?;
    (format > FORMAT).then(|| format!("format {format}"))
}

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
    let mut properties = WriterProperties::builder()
        .set_created_by(format!("weir {}", env!("CARGO_PKG_VERSION")))
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(LEVELS[index(level)]).expect("a level of zstd")))
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true);
    for col in DIFFERENT {
        let path = ColumnPath::from(col.name());
        properties = properties.set_column_encoding(path, Encoding::DELTA_BINARY_PACKED);
    }
    let uuid = ColumnPath::from(Col::Uuid.name());
    properties
        .set_column_encoding(uuid.clone(), Encoding::DELTA_BYTE_ARRAY)
        .set_column_statistics_enabled(uuid.clone(), EnabledStatistics::None)
        .set_column_bloom_filter_enabled(uuid.clone(), true)
        .set_column_bloom_filter_fpp(uuid.clone(), PASSED_BY_CHANCE)
        .set_column_bloom_filter_max_ndv(uuid, MAX_BATCH_ROWS as u64)
        .build()
}

/// Columns without a dictionary.
fn different(level: u32) -> &'static [Col] {
    &DIFFERENT[..DIFFERENT.len() - index(level)]
}

fn index(level: u32) -> usize {
    usize::try_from(level).unwrap_or_default().min(LEVELS.len() - 1)
}

pub(super) fn file_writer<W: Write + Send>(to: W, level: u32) -> io::Result<SerializedFileWriter<W>> {
    let schema = ArrowSchemaConverter::new().convert(&file_schema())?;
    Ok(SerializedFileWriter::new(to, schema.root_schema_ptr(), Arc::new(properties(level)))?)
}

pub(super) fn group_writer(level: u32) -> io::Result<GroupWriter> {
    let thrift = if index(level) > 0 { Thrift::Full } else { Thrift::None };
    GroupWriter::new(LEVELS[index(level)], thrift, different(level))
}

/// Writes row groups into one file.
pub(crate) struct FileWriter {
    writer: SerializedFileWriter<Vec<u8>>,
    pages: GroupWriter,
    relay: String,
    groups: Vec<GroupEntry>,
    names: Names,
}

impl FileWriter {
    pub(crate) fn new(relay: &str, level: u32) -> io::Result<Self> {
        Ok(Self {
            writer: file_writer(Vec::new(), level)?,
            pages: group_writer(level)?,
            relay: relay.to_owned(),
            groups: Vec::new(),
            names: Names::default(),
        })
    }

    /// Adds a row group: rows of the flow table, at least one.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> io::Result<()> {
        let rows = u32::try_from(batch.num_rows()).map_err(io::Error::other)?;
        self.pages.add(&mut self.writer, batch)?;
        let (oldest, newest) = times(batch);
        for (side, is_source) in [(&SOURCE, true), (&DESTINATION, false)] {
            note_names(&mut self.names, batch, side, self.groups.len(), is_source);
        }
        self.groups.push(GroupEntry(rows, oldest, newest));
        Ok(())
    }

    /// Ends the file; `describe` makes its entry from its row groups.
    pub(crate) fn finish(
        mut self,
        describe: impl FnOnce(Vec<GroupEntry>) -> FileEntry,
    ) -> io::Result<(FileEntry, Bytes)> {
        self.writer.flush()?;
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
pub(crate) struct PlainWriter {
    writer: SerializedFileWriter<File>,
    pages: GroupWriter,
}

impl PlainWriter {
    pub(crate) fn new(file: File) -> io::Result<Self> {
        Ok(Self { writer: file_writer(file, 1)?, pages: group_writer(1)? })
    }

    /// Adds a row group: rows of the flow table, at least one.
    pub(crate) fn add(&mut self, batch: &RecordBatch) -> io::Result<()> {
        self.pages.add(&mut self.writer, batch)
    }

    /// Ends the file and forces it to the disk.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let version = KeyValue::new(VERSION_KEY.to_owned(), SCHEMA_VERSION.to_string());
        self.writer.append_key_value_metadata(version);
        self.writer.into_inner()?.sync_all()
    }
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
