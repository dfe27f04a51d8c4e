//! Runs of rows that never change.

use std::cmp::Ordering;
use std::sync::OnceLock;

use arrow::array::BooleanBufferBuilder;
use arrow::array::{Array, BooleanArray, Int16Array, TimestampMicrosecondArray};
use arrow::buffer::{BooleanBuffer, ScalarBuffer};
use arrow::record_batch::RecordBatch;
use flow::Timestamp;
use table::column::Texts;
use table::{Col, SchemaError, memory_bytes};

use crate::Search;

/// A run of rows that never changes.
#[derive(Debug)]
pub struct Segment {
    batch: RecordBatch,
    first_seq: u64,
    times: Times,
    nodes: Texts,
    oldest: Timestamp,
    newest: Timestamp,
    sorted: bool,
    bytes: usize,
    /// Rows by time, made when first asked for; `None` inside where they are in order already.
    by_time: OnceLock<Option<Box<[u16]>>>,
}

/// The time columns.
#[derive(Debug)]
struct Times {
    micros: ScalarBuffer<i64>,
    nanos: ScalarBuffer<i16>,
}

impl Times {
    fn at(&self, row: usize) -> Timestamp {
        Timestamp(self.micros[row].saturating_mul(1_000).saturating_add(self.nanos[row].into()))
    }
}

impl Segment {
    /// Takes a batch in the shape of [`table::schema()`] that has at least one row.
    ///
    /// # Errors
    /// The batch has another shape.
    pub(crate) fn new(batch: RecordBatch, first_seq: u64) -> Result<Self, SchemaError> {
        let micros: &TimestampMicrosecondArray = column(&batch, Col::Time)?;
        let nanos: &Int16Array = column(&batch, Col::TimeNs)?;
        let times = Times { micros: micros.values().clone(), nanos: nanos.values().clone() };
        let nodes = Texts::of(&batch, Col::NodeName)?;
        let (mut oldest, mut newest) = (Timestamp(i64::MAX), Timestamp(i64::MIN));
        let mut sorted = true;
        for row in 0..batch.num_rows() {
            let time = times.at(row);
            oldest = oldest.min(time);
            sorted &= newest < time || (newest == time && row > 0 && nodes.get(row - 1) <= nodes.get(row));
            newest = newest.max(time);
        }
        // The order by time is made later, but its memory is promised now.
        let order_bytes = if sorted { 0 } else { batch.num_rows() * size_of::<u16>() };
        let bytes = memory_bytes(&batch) + order_bytes + size_of::<Self>();
        Ok(Self { batch, first_seq, times, nodes, oldest, newest, sorted, bytes, by_time: OnceLock::new() })
    }

    /// The rows in order of arrival, in the shape of [`table::schema()`].
    #[must_use]
    pub const fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// Rows of the segment, at least one.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// Sequence number of the first row; the others follow without gaps.
    #[must_use]
    pub const fn first_seq(&self) -> u64 {
        self.first_seq
    }

    /// Sequence number after that of the last row.
    #[must_use]
    pub fn end_seq(&self) -> u64 {
        self.first_seq + as_u64(self.rows())
    }

    /// Bytes the segment occupies.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Time of the oldest and of the newest row.
    #[must_use]
    pub const fn time_range(&self) -> (Timestamp, Timestamp) {
        (self.oldest, self.newest)
    }

    /// Time of a row.
    pub(crate) fn time(&self, row: usize) -> Timestamp {
        self.times.at(row)
    }

    /// Node of a row.
    pub(crate) fn node(&self, row: usize) -> &str {
        self.nodes.get(row)
    }

    /// Order of two rows of any two segments: by time, then node, then arrival.
    pub(crate) fn compare(&self, row: usize, other: &Self, other_row: usize) -> Ordering {
        self.time(row)
            .cmp(&other.time(other_row))
            .then_with(|| self.node(row).cmp(other.node(other_row)))
            .then_with(|| (self.first_seq + as_u64(row)).cmp(&(other.first_seq + as_u64(other_row))))
    }

    /// The marked rows, by time, then node, then arrival.
    pub(crate) fn in_order(&self, marked: &BooleanBuffer) -> Vec<u16> {
        match self.by_time() {
            None => marked.set_indices().map(row_number).collect(),
            Some(order) => order.iter().copied().filter(|row| marked.value(usize::from(*row))).collect(),
        }
    }

    fn by_time(&self) -> Option<&[u16]> {
        let make = || {
            if self.sorted {
                return None;
            }
            let mut order: Box<[u16]> = (0..self.rows()).map(row_number).collect();
            // Nearly sorted already, which this sort is quick at.
            order.sort_by(|a, b| self.compare(usize::from(*a), self, usize::from(*b)));
            Some(order)
        };
        self.by_time.get_or_init(make).as_deref()
    }

    /// Whether any row may be in the range of a search.
    pub(crate) fn meets(&self, search: &Search) -> bool {
        search.since.is_none_or(|since| self.newest >= since) && search.until.is_none_or(|until| self.oldest <= until)
    }

    /// Marks the rows that a search asks for; none of them once nobody asks any more.
    pub(crate) fn matching(&self, search: &Search) -> BooleanBuffer {
        /// Rows that are looked at in one go where each may take long.
        const PIECE: usize = 1_024;
        if !search.filter.has_expressions() {
            return self.in_time(search, mask_of(search, &self.batch));
        }
        let mut marked = BooleanBufferBuilder::new(self.rows());
        for start in (0..self.rows()).step_by(PIECE) {
            if !search.asker.is_there() {
                return BooleanBuffer::new_unset(self.rows());
            }
            let piece = self.batch.slice(start, PIECE.min(self.rows() - start));
            marked.append_buffer(&mask_of(search, &piece));
        }
        self.in_time(search, marked.finish())
    }

    /// Of the marked rows those that are in the range of a search.
    fn in_time(&self, search: &Search, mask: BooleanBuffer) -> BooleanBuffer {
        let inside = search.since.is_none_or(|since| self.oldest >= since)
            && search.until.is_none_or(|until| self.newest <= until);
        if inside || !mask.has_true() {
            return mask;
        }
        let since = search.since.unwrap_or(Timestamp(i64::MIN));
        let until = search.until.unwrap_or(Timestamp(i64::MAX));
        let in_range = |row| {
            let time = self.time(row);
            since <= time && time <= until
        };
        &mask & &BooleanBuffer::collect_bool(self.rows(), in_range)
    }
}

fn mask_of(search: &Search, batch: &RecordBatch) -> BooleanBuffer {
    search.filter.mask(batch).expect("segments have the table's shape").values().clone()
}

/// A column as the array type it has in the table.
pub(crate) fn column<A: 'static>(batch: &RecordBatch, col: Col) -> Result<&A, SchemaError> {
    let column = batch.columns().get(col.index()).ok_or(SchemaError::Missing { column: col.name() })?;
    column.as_any().downcast_ref().ok_or_else(|| SchemaError::Type {
        column: col.name(),
        found: Box::new(column.data_type().clone()),
        expected: Box::new(col.column().kind.data_type()),
    })
}

/// Truth values of a column, NULL where it is not known.
pub(crate) fn flags(batch: &RecordBatch, col: Col) -> Result<&BooleanArray, SchemaError> {
    column(batch, col)
}

fn row_number(row: usize) -> u16 {
    u16::try_from(row).expect("a batch has fewer rows")
}

pub(crate) fn as_u64(n: usize) -> u64 {
    u64::try_from(n).expect("no machine has more")
}
