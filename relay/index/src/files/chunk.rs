//! One row group of a file, as readers see it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::record_batch::RecordBatch;
use flow::filter::{Filter, Rule};
use flow::{FlowId, Side, Timestamp};
use table::{BatchFilter, Col};

use super::entry::GroupEntry;
use super::{FileEntry, Files};
use crate::{Search, Segment};

/// A run of rows in a file, as many as a batch may have. Nothing is read before it is asked for.
#[derive(Clone, Debug)]
pub struct Chunk {
    files: Arc<Files>,
    entry: Arc<FileEntry>,
    group: usize,
}

impl Chunk {
    pub(crate) const fn new(files: Arc<Files>, entry: Arc<FileEntry>, group: usize) -> Self {
        Self { files, entry, group }
    }

    fn group(&self) -> GroupEntry {
        self.entry.groups[self.group]
    }

    /// Rows, at least one.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.group().rows() as usize
    }

    /// Time of the oldest and of the newest row.
    #[must_use]
    pub fn time_range(&self) -> (Timestamp, Timestamp) {
        self.group().time_range()
    }

    /// Path of the file below the root of the store.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.entry.path
    }

    /// Reads columns of all rows, in the shape of [`table::schema()`]; columns that were not asked for say of every row
    /// that it carries nothing. `None` where the file is damaged or cannot be read: it is named by
    /// [`crate::Index::completeness`] then. Blocks on the disk or the object store.
    #[must_use]
    pub fn read(&self, columns: &[Col]) -> Option<RecordBatch> {
        self.files.rows(&self.entry, self.group, columns, None)
    }

    /// Reads columns of some rows, given in rising order, in the same way.
    #[must_use]
    pub fn read_rows(&self, columns: &[Col], rows: &[u16]) -> Option<RecordBatch> {
        self.files.rows(&self.entry, self.group, columns, Some(rows))
    }

    /// Reads these columns as a segment, with those every segment needs.
    pub(crate) fn segment(&self, columns: &[Col]) -> Option<Segment> {
        Segment::new(self.read(&with_order(columns))?, self.first_seq()).ok()
    }

    /// Reads what a search looks at as a segment, with the columns every segment needs; `None` where no row matches. What
    /// the filter looks at is read first, and often the only thing.
    pub(crate) fn matching(&self, search: &Search) -> Option<Segment> {
        let filter = search.filter.columns();
        if filter.is_empty() {
            return self.segment(&[]);
        }
        // Expressions look at everything, and are asked piece by piece.
        if search.filter.has_expressions() {
            return self.segment(&filter);
        }
        // The node is read with them: columns of its group have to share their keys.
        let first = [&filter[..], if filter.contains(&Col::NodeName) { &[] } else { &[Col::NodeName] }].concat();
        let batch = self.read(&first)?;
        let mask = search.filter.mask(&batch).ok()?;
        if !mask.values().has_true() {
            return None;
        }
        let others: Vec<Col> = with_order(&[]).into_iter().filter(|col| !first.contains(col)).collect();
        let rest = self.read(&others)?;
        let mut columns = batch.columns().to_vec();
        for col in others {
            columns[col.index()] = rest.column(col.index()).clone();
        }
        Segment::new(RecordBatch::try_new(batch.schema(), columns).ok()?, self.first_seq()).ok()
    }

    fn first_seq(&self) -> u64 {
        self.entry.first_seq.saturating_add(self.entry.first_row(self.group))
    }

    /// The same of rows in the range of a search, and maybe others; `None` where there are none. Where few are, only those
    /// are read. The segment does not know the sequence numbers of its rows.
    pub(crate) fn segment_in(&self, columns: &[Col], search: &Search) -> Option<Segment> {
        /// Share of the rows from which on reading all costs less than reading some.
        const MANY: usize = 4;
        let (oldest, newest) = self.time_range();
        let is_in = |time: Timestamp| {
            search.since.is_none_or(|since| time >= since) && search.until.is_none_or(|until| time <= until)
        };
        if is_in(oldest) && is_in(newest) {
            return self.segment(columns);
        }
        let times = self.segment(&[])?;
        let rows: Vec<u16> = (0..times.rows()).filter(|row| is_in(times.time(*row))).filter_map(as_u16).collect();
        if rows.len() > times.rows() / MANY {
            return self.segment(columns);
        }
        if rows.is_empty() {
            return None;
        }
        self.segment_of(columns, &rows)
    }

    /// The same of these rows, in rising order. The segment does not know their sequence numbers.
    pub(crate) fn segment_of(&self, columns: &[Col], rows: &[u16]) -> Option<Segment> {
        Segment::new(self.read_rows(&with_order(columns), rows)?, 0).ok()
    }

    /// What tells it from all others of a store.
    pub(crate) fn key(&self) -> (&str, usize) {
        (self.path(), self.group)
    }

    /// Whether any row may be in the range of a search.
    pub(crate) fn meets(&self, search: &Search) -> bool {
        let (oldest, newest) = self.time_range();
        search.since.is_none_or(|since| newest >= since) && search.until.is_none_or(|until| oldest <= until)
    }

    /// Whether any row may pass a filter. Looks at what the footer says of pods and ids.
    pub(crate) fn may_match(&self, filter: &BatchFilter) -> bool {
        let whitelist = filter.filters().whitelist();
        let matches = whitelist.is_empty() || whitelist.iter().any(|filter| self.may_match_filter(filter));
        if !matches {
            self.files.counts.groups_skipped.fetch_add(1, Ordering::Relaxed);
        }
        matches
    }

    fn may_match_filter(&self, filter: &Filter) -> bool {
        filter.rules().iter().all(|rule| match rule {
            Rule::Pod(side, wanted) => self.may_have_pod(*side, |namespace, pod| wanted.matches(namespace, pod)),
            Rule::Uuid(ids) => {
                let uuid = |id: &FlowId| if let FlowId::Uuid(bytes) = id { Some(*bytes) } else { None };
                // Ids that are no UUID are not in the filter of the file.
                ids.iter().map(uuid).collect::<Option<Vec<_>>>().is_none_or(|uuids| self.may_have_uuid(&uuids))
            }
            Rule::TraceId(ids) => self.may_have_text(Col::TraceId, ids),
            Rule::Ip(side, wanted) => {
                let col = if *side == Side::Source { Col::IpSrc } else { Col::IpDst };
                wanted.texts().is_none_or(|texts| self.may_have_text(col, texts))
            }
            _ => true,
        })
    }

    /// Whether any row may have a pod on this side for which `wanted` says yes, given namespace and name. Where that
    /// cannot be told it may.
    pub fn may_have_pod(&self, side: Side, wanted: impl Fn(&str, &str) -> bool) -> bool {
        let Some(footer) = self.files.footer_if_good(&self.entry) else { return false };
        footer.names().is_none_or(|names| names.any(side, self.group, wanted))
    }

    /// Whether any row may have one of these ids. Where that cannot be told it may.
    #[must_use]
    pub fn may_have_uuid(&self, uuids: &[[u8; 16]]) -> bool {
        self.may_have(Col::Uuid, &uuids.iter().map(<[u8; 16]>::as_slice).collect::<Vec<_>>())
    }

    /// Whether any row may have one of these texts in a column. Where that cannot be told it may.
    #[must_use]
    pub fn may_have_text(&self, col: Col, texts: &[impl AsRef<str>]) -> bool {
        self.may_have(col, &texts.iter().map(|text| text.as_ref().as_bytes()).collect::<Vec<_>>())
    }

    fn may_have(&self, col: Col, values: &[&[u8]]) -> bool {
        let Some(footer) = self.files.footer_if_good(&self.entry) else { return false };
        footer.may_have(&self.files.place, self.group, col, values).unwrap_or(true)
    }
}

/// These columns, and before them those that every segment needs.
fn with_order(columns: &[Col]) -> Vec<Col> {
    const ORDER: [Col; 3] = [Col::Time, Col::TimeNs, Col::NodeName];
    let others = columns.iter().copied().filter(|col| !ORDER.contains(col));
    ORDER.into_iter().chain(others).collect()
}

/// A row of a batch, of which there are fewer than 16 bits can tell.
fn as_u16(row: usize) -> Option<u16> {
    u16::try_from(row).ok()
}
