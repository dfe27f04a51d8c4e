//! Rows of a Parquet file become batches of the flow table.

use std::io;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Int64Type, Schema};
use arrow::record_batch::RecordBatch;
use bytes::{Buf as _, Bytes};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder, RowSelection, RowSelector,
};
use parquet::bloom_filter::Sbbf;
use parquet::errors::ParquetError;
use parquet::file::metadata::{
    ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataOptions, ParquetMetaDataReader, ParquetStatisticsPolicy,
};
use parquet::file::reader::{ChunkReader, Length};
use table::schema::{COLUMNS, ColumnKind};
use table::{Col, MAX_BATCH_ROWS, SchemaError};

use super::names::Names;
use super::pack::pack;
use super::place::Place;
use super::regroup::regroup;
use super::unpack::Unpacker;
use super::write::{ABOUT_KEY, About, NAMES_KEY, file_type, later};

/// Why a file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The system or the object store refuses. The file may be fine.
    #[error("cannot read {path}")]
    Io {
        /// Path below the root of the store.
        path: String,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// It is not as it was written.
    #[error("{path} is damaged: {problem}")]
    Damaged {
        /// Path below the root of the store.
        path: String,
        /// What is wrong.
        problem: String,
    },
    /// It was written by a later version.
    #[error("{path} was written by a later version of weir ({what}): use that version to read it")]
    Later {
        /// Path below the root of the store.
        path: String,
        /// What is later than this version knows.
        what: String,
    },
}

/// Bytes at the end of a file that are read first; most footers fit.
const TAIL_BYTES: u64 = 256 << 10;
/// Bytes a footer may have.
const FOOTER_BYTES_MAX: usize = 256 << 20;

/// The footer of a file.
#[derive(Debug)]
pub(crate) struct Footer {
    path: String,
    metadata: Arc<ParquetMetaData>,
    about: About,
    names: Option<Names>,
    /// How arrow reads its columns.
    arrow: ArrowReaderMetadata,
    /// Position in the file of each column of the table.
    leaves: Vec<Option<usize>>,
}

impl Footer {
    /// Reads the footer of a file of this length.
    pub(crate) fn read(place: &Place, path: &str, length: u64) -> Result<Self, ReadError> {
        Self::of(path, read_metadata(place, path, length)?)
    }

    fn of(path: &str, metadata: ParquetMetaData) -> Result<Self, ReadError> {
        let damaged = |problem: String| ReadError::Damaged { path: path.to_owned(), problem };
        let about =
            footer_text(&metadata, ABOUT_KEY).ok_or_else(|| damaged(format!("its footer has no {ABOUT_KEY}")))?;
        // Of a later version nothing else may be as it was.
        if let Some(what) = later(about) {
            return Err(ReadError::Later { path: path.to_owned(), what });
        }
        let about: About =
            serde_json::from_str(about).map_err(|error| damaged(format!("{ABOUT_KEY} cannot be read: {error}")))?;
        let groups = metadata.row_groups();
        let rows = |n: usize| usize::try_from(groups[n].num_rows()).unwrap_or(usize::MAX);
        let fits = groups.len() == about.entry.groups.len()
            && groups.len() == about.sums.len()
            && (0..groups.len()).all(|n| rows(n) == about.entry.groups[n].rows() as usize && rows(n) <= MAX_BATCH_ROWS)
            && (0..groups.len()).all(|n| groups[n].num_columns() == about.sums[n].len());
        if !fits {
            return Err(damaged("its row groups are not those its footer describes".to_owned()));
        }
        let names = footer_text(&metadata, NAMES_KEY).and_then(Names::read);
        let metadata = Arc::new(metadata);
        let parquet = |error: ParquetError| damaged(error.to_string());
        let inferred = ArrowReaderMetadata::try_new(metadata.clone(), ArrowReaderOptions::new()).map_err(parquet)?;
        let ours = |field: &Field| COLUMNS.iter().find(|column| column.name == field.name());
        let hint = |field: &Arc<Field>| match ours(field) {
            Some(column) if column.kind == ColumnKind::Number => {
                Arc::new(field.as_ref().clone().with_data_type(DataType::Int64))
            }
            Some(column) if column.kind.is_dictionary() => {
                Arc::new(field.as_ref().clone().with_data_type(column.kind.data_type()))
            }
            Some(column) => Arc::new(field.as_ref().clone().with_data_type(file_type(column.kind))),
            None => field.clone(),
        };
        let schema = Arc::new(Schema::new(inferred.schema().fields().iter().map(hint).collect::<Vec<_>>()));
        let leaves = COLUMNS.iter().map(|column| schema.index_of(column.name).ok()).collect();
        let options = ArrowReaderOptions::new().with_schema(schema);
        let arrow = ArrowReaderMetadata::try_new(metadata.clone(), options).map_err(parquet)?;
        Ok(Self { path: path.to_owned(), metadata, about, names, arrow, leaves })
    }

    /// Bytes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        let about: usize = self.about.sums.iter().map(|sums| size_of_val(sums.as_slice())).sum();
        self.metadata.memory_size() + about + self.names.as_ref().map_or(0, Names::bytes)
    }

    pub(crate) const fn about(&self) -> &About {
        &self.about
    }

    /// The pods in its row groups, where it says.
    pub(crate) const fn names(&self) -> Option<&Names> {
        self.names.as_ref()
    }

    /// Reads columns of rows of a row group; the other columns say of every row that it carries nothing of the kind.
    /// `rows`, in rising order, selects rows; without it all are read.
    pub(crate) fn rows(
        &self,
        place: &Place,
        group: usize,
        columns: &[Col],
        rows: Option<&[u16]>,
    ) -> Result<RecordBatch, ReadError> {
        let mut leaves: Vec<usize> = columns.iter().filter_map(|col| self.leaves[col.index()]).collect();
        leaves.sort_unstable();
        leaves.dedup();
        let chunks = self.fetch(place, group, &leaves)?;
        let total = self.about.entry.groups[group].rows() as usize;
        let (mut read, others) = self.unpack(&chunks, group, columns, (rows, total))?;
        if !others.is_empty() {
            let batch = self.by_arrow(chunks, group, &others, (rows, total))?;
            for (name, array) in batch.schema().fields().iter().map(|field| field.name()).zip(batch.columns()) {
                if let Some(column) = COLUMNS.iter().position(|column| column.name == name) {
                    read[column] = Some(array.clone());
                }
            }
        }
        let expected = rows.map_or(total, <[u16]>::len);
        shape(read, columns, expected).map_err(|error| self.damaged(error.to_string()))
    }

    fn damaged(&self, problem: String) -> ReadError {
        ReadError::Damaged { path: self.path.clone(), problem }
    }

    /// Reads the columns that are in one of our own encodings; gives them, and the positions in the file of the others.
    fn unpack(
        &self,
        chunks: &Chunks,
        group: usize,
        columns: &[Col],
        (rows, total): (Option<&[u16]>, usize),
    ) -> Result<(Vec<Option<ArrayRef>>, Vec<usize>), ReadError> {
        let io = |source| ReadError::Io { path: self.path.clone(), source };
        let mut unpacker = Unpacker::new().map_err(io)?;
        let (mut read, mut others) = (vec![None; COLUMNS.len()], Vec::new());
        for col in columns {
            let Some(leaf) = self.leaves[col.index()] else { continue };
            let metadata = self.metadata.row_group(group).column(leaf);
            let bytes = range_of(metadata).and_then(|range| {
                let length = usize::try_from(range.end - range.start).ok()?;
                chunks.bytes(range.start, length)
            });
            let bytes = bytes.ok_or_else(|| self.damaged(format!("column {} has no bytes", col.name())))?;
            let array = unpacker.column(metadata, &bytes, col.column(), (rows, total)).map_err(|damage| {
                let cause = std::error::Error::source(&damage).map(|cause| format!(": {cause}")).unwrap_or_default();
                self.damaged(format!("column {} of row group {group}: {damage}{cause}", col.name()))
            })?;
            match array {
                Some(array) => read[col.index()] = Some(array),
                None => others.push(leaf),
            }
        }
        others.sort_unstable();
        others.dedup();
        Ok((read, others))
    }

    /// Reads columns by arrow's reader.
    fn by_arrow(
        &self,
        chunks: Chunks,
        group: usize,
        leaves: &[usize],
        (rows, total): (Option<&[u16]>, usize),
    ) -> Result<RecordBatch, ReadError> {
        let parquet = |error: ParquetError| self.damaged(error.to_string());
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(chunks, self.arrow.clone());
        let mask = ProjectionMask::leaves(builder.parquet_schema(), leaves.iter().copied());
        let mut builder = builder.with_batch_size(MAX_BATCH_ROWS).with_row_groups(vec![group]).with_projection(mask);
        if let Some(rows) = rows {
            builder = builder.with_row_selection(select(rows, total));
        }
        let reader = builder.build().map_err(parquet)?;
        let schema = arrow::array::RecordBatchReader::schema(&reader);
        let batches: Result<Vec<RecordBatch>, _> = reader.collect();
        let batches = batches.map_err(|error| self.damaged(error.to_string()))?;
        let batch = match batches.as_slice() {
            [batch] => batch.clone(),
            batches => concat_batches(&schema, batches).map_err(|error| self.damaged(error.to_string()))?,
        };
        let expected = rows.map_or(total, <[u16]>::len);
        if batch.num_rows() != expected {
            return Err(self.damaged(format!("row group {group} has {} rows of {expected}", batch.num_rows())));
        }
        Ok(batch)
    }

    /// Whether a row group may have one of these values in a column; where that cannot be told it may.
    pub(crate) fn may_have(&self, place: &Place, group: usize, col: Col, values: &[&[u8]]) -> Result<bool, ReadError> {
        let Some(leaf) = self.leaves[col.index()] else { return Ok(true) };
        let column = self.metadata.row_group(group).column(leaf);
        let offset = column.bloom_filter_offset().and_then(|n| u64::try_from(n).ok());
        let length = column.bloom_filter_length().and_then(|n| u64::try_from(n).ok());
        let (Some(offset), Some(length)) = (offset, length) else { return Ok(true) };
        let range = offset..offset.saturating_add(length);
        let read = place.read(&self.path, std::slice::from_ref(&range));
        let bytes = read.map_err(|source| ReadError::Io { path: self.path.clone(), source })?.pop().unwrap_or_default();
        // A filter that cannot be read filters nothing.
        let Ok(filter) = Sbbf::from_bytes(&bytes) else { return Ok(true) };
        Ok(values.iter().any(|value| filter.check(*value)))
    }

    /// Reads columns of a row group as bytes and checks them.
    fn fetch(&self, place: &Place, group: usize, leaves: &[usize]) -> Result<Chunks, ReadError> {
        let damaged = |problem: String| ReadError::Damaged { path: self.path.clone(), problem };
        let columns = self.metadata.row_group(group).columns();
        let ranges = leaves.iter().map(|leaf| range_of(&columns[*leaf])).collect::<Option<Vec<_>>>();
        let ranges = ranges.ok_or_else(|| damaged("a column lies before the file".to_owned()))?;
        let parts = place.read(&self.path, &ranges).map_err(|source| {
            if source.kind() == io::ErrorKind::UnexpectedEof {
                return damaged("it is shorter than its footer says".to_owned());
            }
            ReadError::Io { path: self.path.clone(), source }
        })?;
        for (leaf, bytes) in leaves.iter().zip(&parts) {
            if crc32c::crc32c(bytes) != self.about.sums[group][*leaf] {
                let column = columns[*leaf].column_path();
                return Err(damaged(format!("the checksum of column {column} of row group {group} is wrong")));
            }
        }
        Ok(Chunks { length: u64::MAX, parts: ranges.into_iter().zip(parts).collect() })
    }
}

/// Reads the metadata at the end of a Parquet file of this length.
pub(super) fn read_metadata(place: &Place, path: &str, length: u64) -> Result<ParquetMetaData, ReadError> {
    let damaged = |problem: String| ReadError::Damaged { path: path.to_owned(), problem };
    let io = |source| ReadError::Io { path: path.to_owned(), source };
    let mut wanted = TAIL_BYTES.min(length);
    loop {
        let range = length - wanted..length;
        let read = place.read(path, std::slice::from_ref(&range)).map_err(|source| {
            let short = source.kind() == io::ErrorKind::UnexpectedEof;
            if short { damaged("it is shorter than the catalogue says".to_owned()) } else { io(source) }
        });
        let bytes = read?.pop().unwrap_or_default();
        let chunks = Chunks::end_of(length, bytes);
        // Which values a column has is asked of its filter or of the column.
        let options = ParquetMetaDataOptions::new().with_column_stats_policy(ParquetStatisticsPolicy::SkipAll);
        match ParquetMetaDataReader::new().with_metadata_options(Some(options)).parse_and_finish(&chunks) {
            Ok(metadata) => return Ok(metadata),
            // The footer says how long it is in the bytes that are always there.
            Err(_) if wanted < length => match chunks.footer_length() {
                Some(needed) if needed > wanted && needed <= length.min(FOOTER_BYTES_MAX as u64) => wanted = needed,
                _ => return Err(damaged("its footer cannot be read".to_owned())),
            },
            Err(error) => return Err(damaged(format!("its footer cannot be read: {error}"))),
        }
    }
}

/// Bytes of a column of a row group; `None` where its footer is damaged, of which parquet's own function makes a panic.
pub(crate) fn range_of(column: &ColumnChunkMetaData) -> Option<Range<u64>> {
    let start = column.dictionary_page_offset().unwrap_or_else(|| column.data_page_offset());
    let start = u64::try_from(start).ok()?;
    Some(start..start.checked_add(u64::try_from(column.compressed_size()).ok()?)?)
}

/// Text of a footer under a key.
pub(super) fn footer_text<'a>(metadata: &'a ParquetMetaData, key: &str) -> Option<&'a str> {
    let found = metadata.file_metadata().key_value_metadata()?.iter().find(|value| value.key == key);
    found.and_then(|found| found.value.as_deref())
}

fn select(rows: &[u16], total: usize) -> RowSelection {
    let mut selectors = Vec::new();
    let mut at = 0;
    for row in rows.iter().map(|row| usize::from(*row)) {
        if row > at {
            selectors.push(RowSelector::skip(row - at));
        }
        selectors.push(RowSelector::select(1));
        at = row + 1;
    }
    if total > at {
        selectors.push(RowSelector::skip(total - at));
    }
    selectors.into()
}

/// Brings the columns that were read into the shape of the table.
fn shape(mut columns: Vec<Option<ArrayRef>>, wanted: &[Col], rows: usize) -> Result<RecordBatch, SchemaError> {
    for col in wanted {
        let column = col.column();
        let Some(array) = &columns[col.index()] else { continue };
        let kind = column.kind.data_type();
        let unsuited = |source| SchemaError::Cast { column: column.name, source };
        let array = match array.as_primitive_opt::<Int64Type>() {
            Some(numbers) if column.kind == ColumnKind::Number => Arc::new(pack(numbers).map_err(unsuited)?),
            _ if *array.data_type() == kind => array.clone(),
            _ => cast(array, &kind).map_err(unsuited)?,
        };
        columns[col.index()] = Some(array);
    }
    regroup(&mut columns, rows).map_err(SchemaError::Arrow)?;
    let nothing = nothing().slice(0, rows);
    let whole =
        columns.into_iter().zip(nothing.columns()).map(|(column, nothing)| column.unwrap_or_else(|| nothing.clone()));
    RecordBatch::try_new(table::schema(), whole.collect()).map_err(SchemaError::Arrow)
}

/// Rows that carry nothing, as many as a batch may have.
fn nothing() -> &'static RecordBatch {
    static NOTHING: OnceLock<RecordBatch> = OnceLock::new();
    NOTHING.get_or_init(|| {
        let column = |column: &table::schema::Column| -> ArrayRef {
            let field = column.kind.data_type();
            if column.nullable {
                return arrow::array::new_null_array(&field, MAX_BATCH_ROWS);
            }
            match column.kind {
                ColumnKind::Time => {
                    let zeros = arrow::array::TimestampMicrosecondArray::from(vec![0; MAX_BATCH_ROWS]);
                    Arc::new(zeros.with_timezone("UTC"))
                }
                ColumnKind::Small => Arc::new(arrow::array::Int16Array::from(vec![0; MAX_BATCH_ROWS])),
                ColumnKind::Integer => Arc::new(arrow::array::Int32Array::from(vec![0; MAX_BATCH_ROWS])),
                ColumnKind::Flag => Arc::new(arrow::array::BooleanArray::from(vec![false; MAX_BATCH_ROWS])),
                ColumnKind::Uuid => arrow::array::new_null_array(&field, MAX_BATCH_ROWS),
                ColumnKind::Number => dictionary(Arc::new(arrow::array::Int64Array::from(vec![0]))),
                ColumnKind::Text | ColumnKind::List | ColumnKind::Json => {
                    dictionary(Arc::new(arrow::array::StringArray::from(vec![column.kind.empty_text()])))
                }
            }
        };
        let columns = COLUMNS.iter().map(column).collect();
        RecordBatch::try_new(table::schema(), columns).expect("every column has its type")
    })
}

fn dictionary(value: ArrayRef) -> ArrayRef {
    let keys = arrow::array::Int16Array::from(vec![0; MAX_BATCH_ROWS]);
    let array = arrow::array::DictionaryArray::<arrow::datatypes::Int16Type>::try_new(keys, value);
    Arc::new(array.expect("the only key is there"))
}

/// Parts of a file, as parquet reads them.
#[derive(Clone, Debug)]
pub(super) struct Chunks {
    length: u64,
    parts: Vec<(Range<u64>, Bytes)>,
}

impl Chunks {
    /// One part of a file.
    pub(super) fn of(range: Range<u64>, bytes: Bytes) -> Self {
        Self { length: u64::MAX, parts: vec![(range, bytes)] }
    }

    /// The end of a file of this length.
    pub(super) fn end_of(length: u64, bytes: Bytes) -> Self {
        Self { length, parts: vec![(length.saturating_sub(bytes.len() as u64)..length, bytes)] }
    }

    /// Bytes of the footer with its end, as its last bytes say.
    fn footer_length(&self) -> Option<u64> {
        let tail = self.bytes(self.length.checked_sub(8)?, 4)?;
        let length = u32::from_le_bytes([tail[0], tail[1], tail[2], tail[3]]);
        Some(u64::from(length) + 8)
    }

    fn bytes(&self, start: u64, length: usize) -> Option<Bytes> {
        let (range, bytes) = self.parts.iter().find(|(range, _)| range.contains(&start))?;
        let from = usize::try_from(start - range.start).ok()?;
        let end = from.checked_add(length)?;
        (end <= bytes.len()).then(|| bytes.slice(from..end))
    }
}

impl Length for Chunks {
    fn len(&self) -> u64 {
        self.length
    }
}

impl ChunkReader for Chunks {
    type T = bytes::buf::Reader<Bytes>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        let missing = || ParquetError::EOF(format!("no bytes at {start}"));
        let (range, bytes) = self.parts.iter().find(|(range, _)| range.contains(&start)).ok_or_else(missing)?;
        let from = usize::try_from(start - range.start).map_err(|_| missing())?;
        Ok(bytes.slice(from..).reader())
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        self.bytes(start, length).ok_or_else(|| ParquetError::EOF(format!("no {length} bytes at {start}")))
    }
}
