//! Walking the rows of a snapshot in order of time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Arc, OnceLock};

use flow::{Flow, Timestamp};
use table::{BatchFilter, RowReader};

use crate::files::Chunk;
use crate::segment::as_u64;
use crate::{Segment, Snapshot};

mod asker;
mod file_rows;
mod newest;

pub use asker::Asker;
pub(crate) use file_rows::FileRows;

/// Which rows are asked for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Filter on the flows.
    pub filter: Arc<BatchFilter>,
    /// Oldest time, inclusive.
    pub since: Option<Timestamp>,
    /// Newest time, inclusive, as Hubble has it.
    pub until: Option<Timestamp>,
    /// Whoever asks: once it is gone, nothing more is read, and the answer is not whole.
    pub asker: Asker,
}

/// Direction of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// By rising time.
    OldestFirst,
    /// By falling time.
    NewestFirst,
}

/// A walk over the matching rows of a snapshot, in true order of time.
///
/// Segments and row groups overlap in time, because nodes deliver late. One is looked at once its range begins, so a
/// walk that stops early, or that nobody asks for any more, has filtered only those it reached. Of a row group the columns of the filter are read first,
/// the others for the rows that are asked for.
#[derive(Debug)]
pub struct Scan {
    search: Search,
    order: Order,
    /// Parts not looked at yet, the next one last.
    pending: Vec<Part>,
    active: BinaryHeap<Cursor>,
}

/// A run of rows, in memory or in a file.
#[derive(Clone, Debug)]
enum Part {
    Hot(Arc<Segment>),
    Cold(Chunk),
}

impl Part {
    fn time_range(&self) -> (Timestamp, Timestamp) {
        match self {
            Self::Hot(segment) => segment.time_range(),
            Self::Cold(chunk) => chunk.time_range(),
        }
    }

    /// The part with the columns that a search looks at; `None` where no row can match.
    fn open(self, search: &Search) -> Option<(Arc<Segment>, Option<Chunk>)> {
        match self {
            Self::Hot(segment) => Some((segment, None)),
            Self::Cold(chunk) if !chunk.may_match(&search.filter) => None,
            Self::Cold(chunk) => Some((Arc::new(chunk.matching(search)?), Some(chunk))),
        }
    }
}

/// A part being walked.
#[derive(Debug)]
struct Cursor {
    opened: Arc<Opened>,
    /// Matching rows in the order of the walk, the next one last.
    rows: Vec<u16>,
    order: Order,
}

/// A part and, once a flow was read, the reader that shares its endpoints between the flows.
#[derive(Debug)]
pub(crate) struct Opened {
    segment: Arc<Segment>,
    reader: OnceLock<RowReader>,
    in_file: Option<FileRows>,
}

impl Scan {
    pub(crate) fn new(snapshot: &Snapshot, search: Search, order: Order) -> Self {
        let hot = snapshot.segments().filter(|segment| segment.meets(&search)).cloned().map(Part::Hot);
        let cold = snapshot.chunks().filter(|chunk| chunk.meets(&search)).map(Part::Cold);
        let mut pending: Vec<Part> = cold.chain(hot).collect();
        match order {
            Order::NewestFirst => pending.sort_by_key(|part| part.time_range().1),
            Order::OldestFirst => pending.sort_by_key(|part| std::cmp::Reverse(part.time_range().0)),
        }
        Self { search, order, pending, active: BinaryHeap::new() }
    }

    /// Opens every part that may hold the next row.
    fn open_reached(&mut self) {
        while let Some(part) = self.pending.pop_if(|part| reached(self.order, self.active.peek(), part)) {
            if !self.search.asker.is_there() {
                self.pending.clear();
                self.active.clear();
                return;
            }
            let Some((segment, chunk)) = part.open(&self.search) else { continue };
            let marked = segment.matching(&self.search);
            if !marked.has_true() {
                continue;
            }
            let mut rows = segment.in_order(&marked);
            if self.order == Order::OldestFirst {
                rows.reverse();
            }
            let in_file = chunk.map(|chunk| FileRows::new(chunk, rows.iter().rev().copied().collect()));
            let opened = Arc::new(Opened { segment, reader: OnceLock::new(), in_file });
            self.active.push(Cursor { opened, rows, order: self.order });
        }
    }
}

/// Whether a part may hold a row that comes before the next one of the parts being walked.
fn reached(order: Order, next: Option<&Cursor>, part: &Part) -> bool {
    let Some(next) = next else { return true };
    let time = next.opened.segment.time(next.row());
    let (oldest, newest) = part.time_range();
    match order {
        Order::NewestFirst => newest >= time,
        Order::OldestFirst => oldest <= time,
    }
}

impl Iterator for Scan {
    type Item = Hit;

    fn next(&mut self) -> Option<Hit> {
        self.open_reached();
        let mut cursor = self.active.peek_mut()?;
        let place = cursor.opened.in_file.as_ref().map_or(0, |rows| rows.len() - cursor.rows.len());
        let hit = Hit { opened: cursor.opened.clone(), row: cursor.row(), place };
        cursor.rows.pop();
        if cursor.rows.is_empty() {
            std::collections::binary_heap::PeekMut::pop(cursor);
        }
        Some(hit)
    }
}

impl Cursor {
    /// The next row; a cursor without rows is never kept.
    fn row(&self) -> usize {
        usize::from(*self.rows.last().expect("a cursor has rows"))
    }
}

impl Ord for Cursor {
    /// The greatest cursor is the one to read next.
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.opened.segment.compare(self.row(), &other.opened.segment, other.row());
        if self.order == Order::NewestFirst { order } else { order.reverse() }
    }
}

impl PartialOrd for Cursor {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Cursor {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Cursor {}

/// One row that matched.
#[derive(Clone, Debug)]
pub struct Hit {
    opened: Arc<Opened>,
    row: usize,
    /// Of which place in the walk over its row group, where it is in a file.
    place: usize,
}

impl Hit {
    /// Sequence number of the row.
    #[must_use]
    pub fn seq(&self) -> u64 {
        self.opened.segment.first_seq() + as_u64(self.row)
    }

    /// Time of the row.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.opened.segment.time(self.row)
    }

    /// Node that observed the row.
    #[must_use]
    pub fn node(&self) -> &str {
        self.opened.segment.node(self.row)
    }

    /// Reads the flow. Where it is in a file that turns out to be damaged, what the walk had read of it already is
    /// given, and the file is named by [`crate::Index::completeness`].
    #[must_use]
    pub fn flow(&self) -> Flow {
        let in_file = self.opened.in_file.as_ref().and_then(|rows| rows.flow(self.place));
        in_file.unwrap_or_else(|| self.opened.reader().flow(self.row))
    }
}

impl Opened {
    pub(crate) fn new(segment: Arc<Segment>) -> Self {
        Self { segment, reader: OnceLock::new(), in_file: None }
    }

    pub(crate) fn hit(self: &Arc<Self>, row: usize) -> Hit {
        Hit { opened: self.clone(), row, place: 0 }
    }

    fn reader(&self) -> &RowReader {
        self.reader.get_or_init(|| RowReader::new(self.segment.batch()).expect("segments have the table's shape"))
    }
}

/// Order of hits: by time, then node, then arrival.
pub(crate) fn compare(a: &Hit, b: &Hit) -> Ordering {
    a.opened.segment.compare(a.row, &b.opened.segment, b.row)
}
