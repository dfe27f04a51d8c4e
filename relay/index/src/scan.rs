//! Walking the rows of a snapshot in order of time.

use std::cmp::Ordering;
use std::collections::BinaryHeap;
use std::sync::{Arc, OnceLock};

use flow::{Flow, Timestamp};
use table::{BatchFilter, RowReader};

use crate::Segment;
use crate::segment::as_u64;

/// Which rows are asked for.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// Filter on the flows.
    pub filter: Arc<BatchFilter>,
    /// Oldest time, inclusive.
    pub since: Option<Timestamp>,
    /// Newest time, inclusive, as Hubble has it.
    pub until: Option<Timestamp>,
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
/// Segments overlap in time, because nodes deliver late. A segment is looked at once its range begins, so a walk that
/// stops early has filtered only the segments it reached.
#[derive(Debug)]
pub struct Scan {
    search: Search,
    order: Order,
    /// Segments not looked at yet, the next one last.
    pending: Vec<Arc<Segment>>,
    active: BinaryHeap<Cursor>,
}

/// A segment being walked.
#[derive(Debug)]
struct Cursor {
    opened: Arc<Opened>,
    /// Matching rows in the order of the walk, the next one last.
    rows: Vec<u16>,
    order: Order,
}

/// A segment and, once a flow was read, the reader that shares its endpoints between the flows.
#[derive(Debug)]
pub(crate) struct Opened {
    segment: Arc<Segment>,
    reader: OnceLock<RowReader>,
}

impl Scan {
    pub(crate) fn new<'a>(segments: impl Iterator<Item = &'a Arc<Segment>>, search: Search, order: Order) -> Self {
        let mut pending: Vec<Arc<Segment>> = segments.filter(|segment| segment.meets(&search)).cloned().collect();
        match order {
            Order::NewestFirst => pending.sort_by_key(|segment| segment.time_range().1),
            Order::OldestFirst => pending.sort_by_key(|segment| std::cmp::Reverse(segment.time_range().0)),
        }
        Self { search, order, pending, active: BinaryHeap::new() }
    }

    /// Opens every segment that may hold the next row.
    fn open_reached(&mut self) {
        while let Some(segment) = self.pending.pop_if(|segment| reached(self.order, self.active.peek(), segment)) {
            let marked = segment.matching(&self.search);
            if !marked.has_true() {
                continue;
            }
            let mut rows = segment.in_order(&marked);
            if self.order == Order::OldestFirst {
                rows.reverse();
            }
            let opened = Arc::new(Opened { segment, reader: OnceLock::new() });
            self.active.push(Cursor { opened, rows, order: self.order });
        }
    }
}

/// Whether a segment may hold a row that comes before the next one of the segments being walked.
fn reached(order: Order, next: Option<&Cursor>, segment: &Segment) -> bool {
    let Some(next) = next else { return true };
    let time = next.opened.segment.time(next.row());
    let (oldest, newest) = segment.time_range();
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
        let hit = Hit { opened: cursor.opened.clone(), row: cursor.row() };
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

    /// Reads the flow.
    #[must_use]
    pub fn flow(&self) -> Flow {
        self.opened.reader().flow(self.row)
    }
}

impl Opened {
    pub(crate) fn new(segment: Arc<Segment>) -> Self {
        Self { segment, reader: OnceLock::new() }
    }

    pub(crate) fn hit(self: &Arc<Self>, row: usize) -> Hit {
        Hit { opened: self.clone(), row }
    }

    fn reader(&self) -> &RowReader {
        self.reader.get_or_init(|| RowReader::new(self.segment.batch()).expect("segments have the table's shape"))
    }
}

/// Order of hits: by time, then node, then arrival.
pub(crate) fn compare(a: &Hit, b: &Hit) -> Ordering {
    a.opened.segment.compare(a.row, &b.opened.segment, b.row)
}
