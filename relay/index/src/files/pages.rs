//! Columns of the flow table become column chunks of a Parquet file.
//!
//! The writer of arrow looks every row of a dictionary up again, which was two thirds of what a file cost. Here a
//! dictionary is looked through once, by the keys that are in use; rows only change their number. What comes out is
//! plain Parquet: a dictionary page, one data page, zstd (docs/adr/0008).

mod chunk;
pub(super) mod hybrid;
mod keys;
#[cfg(test)]
pub(super) mod tests;
mod values;

use std::io::{self, Write};

use arrow::array::{Array as _, AsArray as _, BooleanArray, FixedSizeBinaryArray};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{Int16Type, Int32Type, TimestampMicrosecondType};
use arrow::record_batch::RecordBatch;
use parquet::bloom_filter::Sbbf;
use parquet::data_type::{
    FixedLenByteArray, FixedLenByteArrayType, Int32Type as ParquetInt32, Int64Type as ParquetInt64,
};
use parquet::file::statistics::{Statistics, ValueStatistics};
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::ColumnDescPtr;
use table::column::{Numbers, Texts};
use table::schema::{COLUMNS, Column, ColumnKind};
use table::{Col, MAX_BATCH_ROWS};

pub(super) use chunk::Thrift;
use chunk::{Chunk, ChunkBuilder, Layout, Notes};
use keys::Rows;
use values::{Distinct, Interner};

/// Columns that have a filter besides the ids: what is searched for by a whole value, of which a file has many.
const FILTERED: [Col; 3] = [Col::TraceId, Col::IpSrc, Col::IpDst];

/// Share of the ids that a row group does not have and that its filter lets pass, at most. A smaller share would double
/// the filter's bytes.
pub(super) const PASSED_BY_CHANCE: f64 = 0.03;

/// Writes batches of the flow table as row groups. Keeps the memory it needs for the next one.
pub(super) struct GroupWriter {
    chunks: ChunkBuilder,
    interner: Interner,
    /// Rows of the columns that were written last: those of a group have the same.
    rows: Rows,
    ids: Vec<u16>,
    /// Columns that are written without a dictionary.
    different: &'static [Col],
}

impl GroupWriter {
    /// Columns `different`, which are of time or numbers, get no dictionary.
    pub(super) fn new(zstd_level: i32, thrift: Thrift, different: &'static [Col]) -> io::Result<Self> {
        Ok(Self {
            chunks: ChunkBuilder::new(zstd_level, thrift)?,
            interner: Interner::default(),
            rows: Rows::default(),
            ids: Vec::new(),
            different,
        })
    }

    /// Adds a row group: the rows of a batch, at least one.
    ///
    /// # Errors
    /// The batch has not the shape of the table, or the file cannot be written.
    pub(super) fn add<W: Write + Send>(
        &mut self,
        file: &mut SerializedFileWriter<W>,
        batch: &RecordBatch,
    ) -> io::Result<()> {
        if batch.num_columns() != COLUMNS.len() || batch.num_rows() > MAX_BATCH_ROWS {
            return Err(io::Error::other("a row group is a batch of the flow table"));
        }
        let descriptors: Vec<ColumnDescPtr> = file.schema_descr().columns().to_vec();
        let mut group = file.next_row_group()?;
        for (col, descriptor) in Col::ALL.iter().zip(descriptors) {
            self.column(&mut group, batch, *col, descriptor)?;
        }
        group.close()?;
        Ok(())
    }

    fn column<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        batch: &RecordBatch,
        col: Col,
        descriptor: ColumnDescPtr,
    ) -> io::Result<()> {
        let column = col.column();
        let array = batch.column(col.index());
        if !column.nullable && array.null_count() > 0 {
            return Err(io::Error::other(format!("column {} has NULL", column.name)));
        }
        let unsuited = || unsuited(column);
        let nulls = array.nulls().filter(|nulls| nulls.null_count() > 0);
        let layout = Layout { descriptor, rows: array.len(), nulls };
        let chunk = match column.kind {
            ColumnKind::Time => {
                let times = array.as_primitive_opt::<TimestampMicrosecondType>().ok_or_else(unsuited)?;
                return plain_numbers(group, times.values());
            }
            ColumnKind::Number if self.different.contains(&col) && nulls.is_none() => {
                let numbers = Numbers::of(batch, col).map_err(io::Error::other)?;
                let values: Vec<i64> = (0..array.len()).map(|row| numbers.get(row)).collect();
                return plain_numbers(group, &values);
            }
            ColumnKind::Small => {
                let numbers = array.as_primitive_opt::<Int16Type>().ok_or_else(unsuited)?;
                let numbers: Vec<i32> = numbers.values().iter().map(|number| i32::from(*number)).collect();
                return self.integers(group, layout, &numbers);
            }
            ColumnKind::Integer => {
                let numbers = array.as_primitive_opt::<Int32Type>().ok_or_else(unsuited)?;
                return self.integers(group, layout, numbers.values());
            }
            ColumnKind::Flag => self.flags(layout, array.as_boolean_opt().ok_or_else(unsuited)?)?,
            ColumnKind::Uuid if self.chunks.thrift() == Thrift::Full => {
                return thrifty_uuids(group, layout, array.as_fixed_size_binary_opt().ok_or_else(unsuited)?);
            }
            ColumnKind::Uuid => self.uuids(layout, array.as_fixed_size_binary_opt().ok_or_else(unsuited)?)?,
            ColumnKind::Number => {
                let numbers = Numbers::of(batch, col).map_err(io::Error::other)?;
                self.rows.look_at(keys_of(batch, col), nulls);
                let distinct = self.interner.numbers(numbers.values(), self.rows.used()).map_err(|_| unsuited())?;
                let statistics = Some(distinct.statistics(array.null_count()));
                self.dictionary(layout, &distinct, Notes { statistics, filter: None })?
            }
            ColumnKind::Text | ColumnKind::List | ColumnKind::Json => {
                let texts = Texts::of(batch, col).map_err(io::Error::other)?;
                self.rows.look_at(keys_of(batch, col), nulls);
                let distinct = self.interner.texts(texts.values(), self.rows.used()).map_err(|_| unsuited())?;
                let filter = FILTERED.contains(&col).then(|| filter_of(distinct.count(), distinct.texts()));
                self.dictionary(layout, &distinct, Notes { statistics: None, filter: filter.transpose()? })?
            }
        };
        Ok(group.append_column(&chunk.bytes, chunk.close)?)
    }
}

impl GroupWriter {
    /// Writes numbers of 32 bits: by a dictionary where they are small, as ports are.
    fn integers<W: Write + Send>(
        &mut self,
        group: &mut SerializedRowGroupWriter<'_, W>,
        layout: Layout<'_>,
        numbers: &[i32],
    ) -> io::Result<()> {
        let small: Result<Vec<u16>, _> = numbers.iter().map(|number| u16::try_from(*number)).collect();
        let (Ok(keys), None) = (small, layout.nulls) else {
            let mut writer = group.next_column()?.ok_or_else(|| io::Error::other("there is no such column"))?;
            writer.typed::<ParquetInt32>().write_batch(numbers, None, None)?;
            return Ok(writer.close()?);
        };
        let keys: ScalarBuffer<i16> = keys.into_iter().map(u16::cast_signed).collect();
        self.rows.look_at(&keys, None);
        let distinct = Distinct::of_integers(self.rows.used());
        let statistics = Some(distinct.statistics(0));
        let chunk = self.dictionary(layout, &distinct, Notes { statistics, filter: None })?;
        Ok(group.append_column(&chunk.bytes, chunk.close)?)
    }

    /// Writes a column of which [`Self::rows`] are the rows.
    fn dictionary(&mut self, layout: Layout<'_>, distinct: &Distinct, notes: Notes) -> io::Result<Chunk> {
        let ids = if distinct.are_as_used() {
            self.rows.numbers()
        } else {
            self.ids.clear();
            if distinct.count() > 1 {
                self.ids.extend(self.rows.numbers().iter().map(|number| distinct.id(*number)));
            }
            &self.ids
        };
        self.chunks.dictionary(layout, distinct, ids, notes)
    }

    fn flags(&mut self, layout: Layout<'_>, flags: &BooleanArray) -> io::Result<Chunk> {
        let there: Vec<bool> = flags.iter().flatten().collect();
        let least = there.iter().min().copied();
        let most = there.iter().max().copied();
        let nulls = Some(flags.null_count() as u64);
        let statistics = Statistics::Boolean(ValueStatistics::new(least, most, None, nulls, false));
        let mut bytes = vec![0; there.len().div_ceil(8)];
        for (at, flag) in there.into_iter().enumerate() {
            bytes[at / 8] |= u8::from(flag) << (at % 8);
        }
        self.chunks.plain(layout, &bytes, Notes { statistics: Some(statistics), filter: None })
    }

    fn uuids(&mut self, layout: Layout<'_>, ids: &FixedSizeBinaryArray) -> io::Result<Chunk> {
        let there: Vec<&[u8]> = ids.iter().flatten().collect();
        let filter = filter_of(there.len(), there.iter().copied())?;
        let bytes = there.concat();
        self.chunks.plain(layout, &bytes, Notes { statistics: None, filter: Some(filter) })
    }
}

/// A filter that knows these values.
fn filter_of<'a>(count: usize, values: impl Iterator<Item = &'a [u8]>) -> io::Result<Sbbf> {
    let mut filter = Sbbf::new_with_ndv_fpp(count as u64, PASSED_BY_CHANCE)?;
    values.for_each(|value| filter.insert(value));
    Ok(filter)
}

/// Writes numbers of which most are different by their differences.
fn plain_numbers<W: Write + Send>(group: &mut SerializedRowGroupWriter<'_, W>, numbers: &[i64]) -> io::Result<()> {
    let mut writer = group.next_column()?.ok_or_else(|| io::Error::other("there is no such column"))?;
    writer.typed::<ParquetInt64>().write_batch(numbers, None, None)?;
    Ok(writer.close()?)
}

/// Writes ids by what they do not share with the one before.
fn thrifty_uuids<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    layout: Layout<'_>,
    ids: &FixedSizeBinaryArray,
) -> io::Result<()> {
    let levels: Vec<i16> = (0..layout.rows).map(|row| i16::from(ids.is_valid(row))).collect();
    let there: Vec<FixedLenByteArray> = ids.iter().flatten().map(|id| id.to_vec().into()).collect();
    let mut writer = group.next_column()?.ok_or_else(|| io::Error::other("there is no such column"))?;
    writer.typed::<FixedLenByteArrayType>().write_batch(&there, Some(&levels), None)?;
    Ok(writer.close()?)
}

fn keys_of(batch: &RecordBatch, col: Col) -> &ScalarBuffer<i16> {
    batch.column(col.index()).as_dictionary::<Int16Type>().keys().values()
}

fn unsuited(column: &Column) -> io::Error {
    io::Error::other(format!("column {} has another type than in the flow table", column.name))
}
