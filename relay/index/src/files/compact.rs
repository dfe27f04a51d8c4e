//! The files of an hour become fewer, sorted by conversation. A single one is worth it too: sorted it is a good deal
//! smaller. A compacted one is written anew where late flows have to go into it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::Arc;

use arrow::array::Array as _;
use arrow::record_batch::RecordBatch;
use flow::Timestamp;
use foldhash::fast::RandomState;
use table::column::{Numbers, Texts};
use table::schema::{DESTINATION, SCHEMA_VERSION, SOURCE};
use table::{Col, MAX_BATCH_ROWS};

use super::entry::{FLOWS, FileEntry};
use super::gather::{Pick, gather};
use super::write::FileWriter;
use super::{Files, ReadError};
use crate::Segment;
use crate::names::Namer;
use crate::segment::as_u64;

/// Files to be made one.
#[derive(Debug)]
pub(crate) struct Job {
    folder: String,
    pub(crate) inputs: Vec<Arc<FileEntry>>,
}

/// Why a compaction ended early.
pub(crate) enum CompactError {
    /// This file is damaged and was set aside, or cannot be read now.
    Read(String),
    /// The disk or the object store refuses.
    Io(io::Error),
}

/// Finds files to compact: of an hour that ended before `until`, written before `written`, and of whose rows none is in
/// memory any more. Late ones become part of a compacted file of their hour that has room for them, so that an hour
/// has few files however many of its flows were late. No more than `rows_max` are sorted at a time, which bounds the
/// memory. Those of which `passed_over` is true are left out.
pub(crate) fn next_job(
    entries: &[Arc<FileEntry>],
    (first_seq, rows_max): (u64, u64),
    (until, written): (Timestamp, Timestamp),
    passed_over: impl Fn(&str) -> bool,
) -> Option<Job> {
    /// Files as they were sealed, and compacted ones.
    type Hour<'a> = [Vec<&'a Arc<FileEntry>>; 2];
    let mut hours: BTreeMap<&str, Hour<'_>> = BTreeMap::new();
    let ready = |entry: &&Arc<FileEntry>| {
        // A later version may have columns that this one would lose.
        entry.schema_version <= SCHEMA_VERSION
            && entry.rows <= rows_max
            && entry.end_seq <= first_seq
            && entry.time_range().1 < until
            && Timestamp(entry.written) <= written
            && !passed_over(&entry.path)
    };
    for entry in entries.iter().filter(ready) {
        if let Some((folder, _)) = entry.path.rsplit_once('/').filter(|(folder, _)| folder.starts_with(FLOWS)) {
            hours.entry(folder).or_default()[usize::from(entry.level > 0)].push(entry);
        }
    }
    hours.into_iter().find_map(|(folder, [mut sealed, mut compacted])| {
        sealed.sort_by_key(|entry| entry.time_range().0);
        compacted.sort_by_key(|entry| entry.rows);
        let mut rows = 0;
        let mut fits = |entry: &&Arc<FileEntry>| {
            rows += entry.rows;
            rows <= rows_max
        };
        let mut inputs: Vec<_> = sealed.iter().copied().take_while(&mut fits).cloned().collect();
        if inputs.is_empty() {
            return None;
        }
        if inputs.len() == sealed.len() {
            inputs.extend(compacted.into_iter().take_while(fits).cloned());
        }
        Some(Job { folder: folder.to_owned(), inputs })
    })
}

impl Files {
    /// Writes the rows of a job's files into one. It is there then, and in no catalogue yet.
    pub(crate) fn compact(&self, job: &Job, namer: &mut Namer, now: Timestamp) -> Result<FileEntry, CompactError> {
        let mut segments = Vec::new();
        for entry in &job.inputs {
            for group in 0..entry.groups.len() {
                let batch =
                    self.rows(entry, group, Col::ALL, None).ok_or_else(|| CompactError::Read(entry.path.clone()))?;
                segments.push(Segment::new(batch, 0).map_err(|error| CompactError::Io(io::Error::other(error)))?);
            }
        }
        self.write_sorted(job, &segments, namer, now).map_err(CompactError::Io)
    }

    fn write_sorted(
        &self,
        job: &Job,
        segments: &[Segment],
        namer: &mut Namer,
        now: Timestamp,
    ) -> io::Result<FileEntry> {
        let batches: Vec<&RecordBatch> = segments.iter().map(Segment::batch).collect();
        let picks = by_conversation(segments)?;
        let mut writer = FileWriter::new(namer.relay(), 1)?;
        let mut counter = self.counter();
        for picks in picks.chunks(MAX_BATCH_ROWS) {
            let batch = gather(&batches, picks).map_err(io::Error::other)?;
            counter.add(&batch);
            writer.add(&batch)?;
        }
        let path = format!("{}/{}.parquet", job.folder, namer.draw(now)?);
        let inputs = &job.inputs;
        let rollup = self.put_rollups(&path, as_u64(picks.len()), &counter)?;
        let (entry, bytes) = writer.finish(|groups| FileEntry {
            path: path.clone(),
            bytes: 0,
            rows: groups.iter().map(|group| u64::from(group.rows())).sum(),
            first_seq: inputs.iter().map(|entry| entry.first_seq).min().unwrap_or_default(),
            end_seq: inputs.iter().map(|entry| entry.end_seq).max().unwrap_or_default(),
            part: 0,
            parts: 1,
            level: 1,
            schema_version: SCHEMA_VERSION,
            // They do not become younger.
            written: inputs.iter().map(|entry| entry.written).max().unwrap_or(now.0),
            groups: groups.into(),
            inputs: inputs.iter().map(|entry| entry.path.clone()).collect(),
            rollup,
        })?;
        let rows: u64 = inputs.iter().map(|entry| entry.rows).sum();
        if entry.rows != rows {
            drop(self.delete_rollups(&path));
            return Err(io::Error::other(format!("{} rows became {} on their way", rows, entry.rows)));
        }
        self.place().put(&path, bytes).inspect_err(|_| drop(self.delete(&path)))?;
        // Read back before the inputs may go.
        let written =
            super::Footer::read(self.place(), &path, entry.bytes).map_err(|error: ReadError| io::Error::other(error));
        match written {
            Ok(footer) if footer.about().entry.rows == rows => Ok(entry),
            Ok(_) | Err(_) => {
                self.forget(std::slice::from_ref(&entry));
                Err(io::Error::other("the compacted file cannot be read back"))
            }
        }
    }
}

/// Where a row stands in a compacted file: by the numbers of its texts, when its connection began, its connection, its time.
type Place = ([u32; 7], Timestamp, i64, Timestamp);

/// All rows by source workload, destination workload, pods, observing node, beginning of the connection, connection and
/// time: what is the same for a pod or for a connection then stands together, and takes next to nothing, and what grows
/// with time, as ids and cookies do, differs by little.
fn by_conversation(segments: &[Segment]) -> io::Result<Vec<Pick>> {
    const COLUMNS: [Col; 7] = [
        SOURCE.namespace,
        SOURCE.workload,
        DESTINATION.namespace,
        DESTINATION.workload,
        SOURCE.pod,
        DESTINATION.pod,
        Col::NodeName,
    ];
    // Texts of all segments get numbers in their order, so that rows are compared by numbers.
    let mut opened = Vec::new();
    for segment in segments {
        let texts = |col| Texts::of(segment.batch(), col).map_err(io::Error::other);
        opened.push(COLUMNS.into_iter().map(texts).collect::<io::Result<Vec<Texts>>>()?);
    }
    let mut numbers: BTreeMap<&str, u32> = BTreeMap::new();
    for texts in opened.iter().flatten() {
        for key in 0..texts.values().len() {
            numbers.insert(texts.entry(key), 0);
        }
    }
    for (number, value) in (0_u32..).zip(numbers.values_mut()) {
        *value = number;
    }
    let begins = begins(segments)?;
    let mut rows: Vec<(Place, Pick)> = Vec::new();
    for (batch, (segment, texts)) in (0_u32..).zip(segments.iter().zip(&opened)) {
        let of_key: Vec<Vec<u32>> = texts
            .iter()
            .map(|texts| (0..texts.values().len()).map(|key| numbers[texts.entry(key)]).collect())
            .collect();
        let none = numbers.get("").copied().unwrap_or_default();
        let connections = Numbers::of(segment.batch(), Col::Conversation).map_err(io::Error::other)?;
        for row in 0..segment.rows() {
            let number = |column: usize| {
                let key = texts[column].key(row);
                if texts[column].is_null(row) { none } else { of_key[column].get(key).copied().unwrap_or(none) }
            };
            let row_number = u32::try_from(row).expect("a batch has fewer rows");
            let (sides, connection, time) = (std::array::from_fn(number), connections.get(row), segment.time(row));
            let begin = begins.get(&connection).copied().unwrap_or(time);
            rows.push(((sides, begin, connection, time), Pick { batch, row: row_number }));
        }
    }
    debug_assert_eq!(as_u64(rows.len()), segments.iter().map(|segment| as_u64(segment.rows())).sum::<u64>());
    rows.sort_by_key(|(place, _)| *place);
    Ok(rows.into_iter().map(|(_, pick)| pick).collect())
}

/// Time of the first row of each connection.
fn begins(segments: &[Segment]) -> io::Result<HashMap<i64, Timestamp, RandomState>> {
    let mut begins: HashMap<i64, Timestamp, RandomState> = HashMap::default();
    for segment in segments {
        let connections = Numbers::of(segment.batch(), Col::Conversation).map_err(io::Error::other)?;
        for row in 0..segment.rows() {
            let (connection, time) = (connections.get(row), segment.time(row));
            // Rows without a connection have nothing to do with each other.
            if connection != 0 {
                let begin = begins.entry(connection).or_insert(time);
                *begin = time.min(*begin);
            }
        }
    }
    Ok(begins)
}
