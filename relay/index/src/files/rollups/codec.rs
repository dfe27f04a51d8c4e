//! The tables of counts as one Parquet file.

use std::io;
use std::num::TryFromIntError;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray, DictionaryArray, Int32Array, StringArray, new_null_array};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, SchemaRef, TimestampMicrosecondType};
use arrow::error::ArrowError;
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData, ParquetMetaDataReader, RowGroupMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use serde::{Deserialize, Serialize};

use crate::files::FileEntry;
use crate::files::read::{self, Chunks};
use crate::rollup::{Counted, MINUTES_MAX, RollupError};
use crate::{Period, ROLLUP_VERSION, RollupKind};

/// Key of the footer that holds [`About`].
pub(super) const ABOUT_KEY: &str = "weir.rollups";
/// Version of [`About`]; files of a later one are left alone.
const FORMAT: u32 = 1;

/// The versions a footer names, whatever else it says.
#[derive(Debug, Deserialize)]
struct Versions {
    #[serde(default)]
    format: u32,
    #[serde(default)]
    rollup_version: u32,
}

/// What of a file is later than this version knows, by the text of its footer; `None` where nothing is.
pub(super) fn later(text: &str) -> Option<String> {
    let Versions { format, rollup_version } = serde_json::from_str(text).ok()?;
    if format > FORMAT {
        return Some(format!("format {format}"));
    }
    (rollup_version > ROLLUP_VERSION).then(|| format!("rollup version {rollup_version}"))
}

/// What a footer says of its file.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct About {
    format: u32,
    rollup_version: u32,
    /// File of flows it is beside, and rows of that.
    of: String,
    rows: u64,
    pub(super) groups: Vec<GroupAbout>,
    /// Flows of slices whose edges were too many, which share one row there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    overflowed: Vec<(String, i64, u64)>,
}

/// One row group: whose rows it has, how many, and the CRC-32C of its bytes.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct GroupAbout {
    pub(super) period: String,
    pub(super) counts: String,
    pub(super) rows: i64,
    pub(super) sum: u32,
}

impl About {
    /// Whether it is about the counts of this file, in the layout this version reads.
    pub(super) fn is_of(&self, entry: &FileEntry) -> bool {
        self.rollup_version == ROLLUP_VERSION && self.of == entry.path && self.rows == entry.rows
    }

    /// Starts of the slices of a period whose keys were too many, and flows of those that share one row.
    pub(super) fn overflowed(&self, period: Period) -> Vec<(i64, u64)> {
        let of_period = self.overflowed.iter().filter(|(name, ..)| name == period.name());
        of_period.map(|(_, start_us, flows)| (*start_us, *flows)).collect()
    }
}

/// Columns of all tables, each once, and before them which table a row is of.
static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let text = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let mut fields = vec![Field::new("period", text.clone(), false), Field::new("counts", text, false)];
    for kind in RollupKind::ALL {
        for field in kind.schema().fields() {
            if !fields.iter().any(|known| known.name() == field.name()) {
                fields.push(field.as_ref().clone().with_nullable(field.name() != "time"));
            }
        }
    }
    Arc::new(Schema::new(fields))
});

/// Counts as a file.
#[derive(Debug)]
pub(super) struct Encoded {
    pub(super) bytes: Bytes,
    /// Where its footer begins.
    pub(super) footer: usize,
    /// Rows of edges by period.
    pub(super) edges: [u64; 2],
}

/// Writes counts as one file; `of` is the file of flows, `rows` its rows.
pub(super) fn encode(of: &str, rows: u64, counted: &Counted<'_>) -> io::Result<Encoded> {
    let zstd = Compression::ZSTD(ZstdLevel::try_new(1).expect("a level of zstd"));
    let properties = WriterProperties::builder()
        .set_created_by(format!("weir {}", env!("CARGO_PKG_VERSION")))
        .set_compression(zstd)
        .set_max_row_group_row_count(None)
        .set_statistics_enabled(EnabledStatistics::Chunk)
        .set_offset_index_disabled(true)
        .build();
    let options = ArrowWriterOptions::new().with_properties(properties).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(Vec::new(), SCHEMA.clone(), options)?;
    let mut groups = Vec::new();
    let mut edges = [0; 2];
    for period in Period::ALL {
        for kind in RollupKind::ALL {
            let mut rows = 0;
            for batch in counted.batches(period, kind).filter(|batch| batch.num_rows() > 0) {
                writer.write(&widen(period, kind, &batch)?)?;
                rows += i64::try_from(batch.num_rows()).unwrap_or(i64::MAX);
            }
            if kind == RollupKind::Edges {
                edges[period as usize] = rows.unsigned_abs();
            }
            if rows > 0 {
                writer.flush()?;
                let (period, counts) = (period.name().to_owned(), kind.name().to_owned());
                groups.push(GroupAbout { period, counts, rows, sum: 0 });
            }
        }
    }
    writer.sync()?;
    for (group, written) in groups.iter_mut().zip(writer.flushed_row_groups()) {
        let range = range_of(written).unwrap_or_default();
        let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap_or(usize::MAX));
        group.sum = crc32c::crc32c(writer.inner().get(start..end).unwrap_or_default());
    }
    let of_period = |period: Period| {
        counted.overflowed(period).map(move |(start_us, flows)| (period.name().to_owned(), start_us, flows))
    };
    let overflowed = Period::ALL.into_iter().flat_map(of_period).collect();
    let about = About { format: FORMAT, rollup_version: ROLLUP_VERSION, of: of.to_owned(), rows, groups, overflowed };
    let text = serde_json::to_string(&about).map_err(io::Error::other)?;
    writer.append_key_value_metadata(KeyValue::new(ABOUT_KEY.to_owned(), text));
    let footer = writer.inner().len();
    Ok(Encoded { bytes: writer.into_inner()?.into(), footer, edges })
}

/// Bytes of a row group; `None` where the footer is damaged.
pub(super) fn range_of(group: &RowGroupMetaData) -> Option<Range<u64>> {
    let ranges = group.columns().iter().map(read::range_of).collect::<Option<Vec<_>>>()?;
    let start = ranges.iter().map(|range| range.start).min()?;
    let end = ranges.iter().map(|range| range.end).max()?;
    Some(start..end)
}

fn widen(period: Period, kind: RollupKind, batch: &RecordBatch) -> io::Result<RecordBatch> {
    let rows = batch.num_rows();
    let constant = |text: &str| -> ArrayRef {
        let keys = Int32Array::from(vec![0; rows]);
        Arc::new(DictionaryArray::<Int32Type>::new(keys, Arc::new(StringArray::from(vec![text]))))
    };
    let column = |field: &Arc<Field>| match field.name().as_str() {
        "period" => constant(period.name()),
        "counts" => constant(kind.name()),
        name => batch.column_by_name(name).cloned().unwrap_or_else(|| new_null_array(field.data_type(), rows)),
    };
    let columns = SCHEMA.fields().iter().map(column).collect();
    RecordBatch::try_new(SCHEMA.clone(), columns).map_err(io::Error::other)
}

/// Why a file is none of counts; the caller knows which file it is.
#[derive(Debug, thiserror::Error)]
pub(super) enum Malformed {
    #[error(transparent)]
    Parquet(#[from] ParquetError),
    #[error(transparent)]
    Arrow(#[from] ArrowError),
    #[error(transparent)]
    Table(#[from] RollupError),
    #[error("its number of rows is negative")]
    Rows(#[from] TryFromIntError),
    #[error("it has counts of more than {MINUTES_MAX} slices of time")]
    TooManySlices,
    #[error("the rows of {} are not in order of time", .0.name())]
    Disorder(RollupKind),
}

/// Reads the footer of a file, which is `bytes` long, from the bytes it ends with.
pub(super) fn metadata_of(bytes: u64, footer: Bytes) -> Result<ParquetMetaData, Malformed> {
    Ok(ParquetMetaDataReader::new().parse_and_finish(&Chunks::end_of(bytes, footer))?)
}

/// Reads a row group as a batch in the table's own shape.
pub(super) fn decode(
    metadata: &Arc<ParquetMetaData>,
    group: usize,
    kind: RollupKind,
    (range, bytes): (Range<u64>, Bytes),
) -> Result<RecordBatch, Malformed> {
    let inferred = ArrowReaderMetadata::try_new(metadata.clone(), ArrowReaderOptions::new())?;
    let hint = |field: &Arc<Field>| match SCHEMA.field_with_name(field.name()) {
        Ok(ours) => Arc::new(field.as_ref().clone().with_data_type(ours.data_type().clone())),
        Err(_) => field.clone(),
    };
    let schema = Arc::new(Schema::new(inferred.schema().fields().iter().map(hint).collect::<Vec<_>>()));
    let options = ArrowReaderOptions::new().with_schema(schema);
    let reading = ArrowReaderMetadata::try_new(metadata.clone(), options)?;
    let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(Chunks::of(range, bytes), reading);
    let schema = kind.schema();
    let mask =
        ProjectionMask::columns(builder.parquet_schema(), schema.fields().iter().map(|field| field.name().as_str()));
    let rows = usize::try_from(metadata.row_group(group).num_rows())?;
    let builder = builder.with_row_groups(vec![group]).with_projection(mask).with_batch_size(rows.max(1));
    let reader = builder.build()?;
    let schema = arrow::array::RecordBatchReader::schema(&reader);
    let batches: Vec<RecordBatch> = reader.collect::<Result<_, _>>()?;
    let batch = match batches.as_slice() {
        [batch] => batch.clone(),
        batches => concat_batches(&schema, batches)?,
    };
    Ok(crate::rollup::conform(kind, &batch)?)
}

/// Parts the rows of a table by slice; they are in order of time.
pub(super) fn part_slices(
    kind: RollupKind,
    batch: &RecordBatch,
    slices: &mut Vec<(i64, RecordBatch)>,
) -> Result<(), Malformed> {
    let times = batch.column(0).as_primitive::<TimestampMicrosecondType>();
    let mut first = 0;
    while first < times.len() {
        let start_us = times.value(first);
        let rows = (first..times.len()).take_while(|row| times.value(*row) == start_us).count();
        // Each takes some KB, however few rows it has.
        if slices.len() >= MINUTES_MAX {
            return Err(Malformed::TooManySlices);
        }
        if slices.last().is_some_and(|(last_us, _)| *last_us >= start_us) {
            return Err(Malformed::Disorder(kind));
        }
        slices.push((start_us, batch.slice(first, rows)));
        first += rows;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use arrow::util::display::array_value_to_string;
    use flow::{Endpoint, Flow, Timestamp, Workload};

    use super::*;
    use crate::RollupLimits;
    use crate::files::read::footer_text;
    use crate::rollup::Counter;

    /// A flow between pods of two clusters.
    fn flow(number: u64) -> Flow {
        let side = |n: u64| {
            let name = format!("w{}", n % 5);
            let workloads = vec![Workload { name, kind: "Deployment".to_owned() }];
            let cluster_name = ["", "east", "west"][usize::try_from(n % 3).unwrap()].to_owned();
            Endpoint { cluster_name, namespace: "shop".to_owned(), workloads, ..Endpoint::default() }
        };
        let time = Timestamp::from_parts(1_768_471_872, 0).after(std::time::Duration::from_secs(number * 97 % 10_000));
        let (source, destination) = (Some(side(number / 3).into()), Some(side(number / 7).into()));
        Flow { time, source, destination, node_name: "n1".into(), ..Flow::default() }
    }

    fn sorted(batch: &RecordBatch) -> Vec<String> {
        let cell = |array: &ArrayRef, row: usize| array_value_to_string(array, row).unwrap();
        let row = |row: usize| batch.columns().iter().map(|array| cell(array, row) + "|").collect();
        let mut rows: Vec<String> = (0..batch.num_rows()).map(row).collect();
        rows.sort();
        rows
    }

    #[test]
    fn what_was_counted_is_what_is_read() {
        let mut builder = table::FlowBatchBuilder::new();
        (0..300).for_each(|number| builder.push(&flow(number)).unwrap());
        let mut counter = Counter::new(RollupLimits::default());
        counter.add(&builder.finish());
        let counted = counter.finish().unwrap();
        let rollups = Period::ALL.map(|period| counted.rollups(period));
        let Encoded { bytes, footer, edges } = encode("flows/v1/a.parquet", 300, &counted).unwrap();
        let metadata = Arc::new(metadata_of(bytes.len() as u64, bytes.slice(footer..)).unwrap());
        let text = footer_text(&metadata, ABOUT_KEY).unwrap();
        let about: About = serde_json::from_str(text).unwrap();
        for (number, group) in about.groups.iter().enumerate() {
            let kind = RollupKind::ALL.into_iter().find(|kind| kind.name() == group.counts).unwrap();
            let range = range_of(metadata.row_group(number)).unwrap();
            let [start, end] = [range.start, range.end].map(|at| usize::try_from(at).unwrap());
            let mut slices = Vec::new();
            let batch = decode(&metadata, number, kind, (range, bytes.slice(start..end))).unwrap();
            part_slices(kind, &batch, &mut slices).unwrap();
            let period = usize::from(group.period == "hour");
            for rollup in &rollups[period] {
                let Some((_, read)) = slices.iter().find(|(start, _)| *start == rollup.start_us()) else { continue };
                // The order of rows is that of a table of hashes, each time another one.
                assert_eq!(sorted(read), sorted(rollup.batch(kind)), "{} by the {}", group.counts, group.period);
            }
        }
        let rows = |period: usize| rollups[period].iter().map(|r| r.batch(RollupKind::Edges).num_rows()).sum::<usize>();
        assert!(rows(0) > 100 && rows(1) > 60, "{} {}", rows(0), rows(1));
        assert_eq!(edges, [rows(0), rows(1)].map(|rows| rows as u64));
    }
}
