//! A run of rows becomes files, one for each hour.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

use arrow::buffer::BooleanBuffer;
use flow::Timestamp;
use table::MAX_BATCH_ROWS;

use super::Files;
use super::entry::{FileEntry, GroupEntry, folder_of};
use super::gather::{Pick, gather};
use super::write::FileWriter;
use crate::Segment;
use crate::names::Namer;
use table::schema::SCHEMA_VERSION;

/// Hours that get a file of their own; rows of more are rare, and share one.
const HOURS_MAX: usize = 24;
const HOUR_NS: i64 = 3_600 * Timestamp::NANOS_PER_SECOND;

impl Files {
    /// Writes the rows of these segments, which follow each other, into files. They are there then, but in no
    /// catalogue yet; after an error none is left behind, as far as they can be deleted.
    pub(crate) fn seal(&self, run: &[Arc<Segment>], namer: &mut Namer, now: Timestamp) -> io::Result<Vec<FileEntry>> {
        let (Some(first), Some(last)) = (run.first(), run.last()) else { return Ok(Vec::new()) };
        let range = (first.first_seq(), last.end_seq());
        let hours = by_hour(run);
        let parts = u32::try_from(hours.len()).map_err(io::Error::other)?;
        let mut written = Vec::new();
        for (part, groups) in (0..parts).zip(&hours) {
            match self.seal_hour(run, groups, (part, parts), range, namer, now) {
                Ok(entry) => written.push(entry),
                Err(error) => {
                    self.forget(&written);
                    return Err(error);
                }
            }
        }
        Ok(written)
    }

    #[expect(clippy::too_many_arguments, reason = "what a file is made of; it has one caller")]
    fn seal_hour(
        &self,
        run: &[Arc<Segment>],
        groups: &[Vec<Pick>],
        (part, parts): (u32, u32),
        (first_seq, end_seq): (u64, u64),
        namer: &mut Namer,
        now: Timestamp,
    ) -> io::Result<FileEntry> {
        let batches: Vec<_> = run.iter().map(|segment| segment.batch()).collect();
        let mut writer = FileWriter::new(namer.relay(), 0)?;
        let mut counter = self.counter();
        for picks in groups {
            let batch = gather(&batches, picks).map_err(io::Error::other)?;
            counter.add(&batch);
            writer.add(&batch)?;
        }
        let newest = groups.iter().flatten().map(|pick| time(run, *pick)).max().unwrap_or_default();
        let path = format!("{}/{}.parquet", folder_of(newest), namer.draw(now)?);
        let rows: usize = groups.iter().map(Vec::len).sum();
        let rollup = self.put_rollups(&path, rows as u64, &counter)?;
        let (entry, bytes) = writer.finish(|groups: Vec<GroupEntry>| FileEntry {
            path: path.clone(),
            bytes: 0,
            rows: groups.iter().map(|group| u64::from(group.rows())).sum(),
            first_seq,
            end_seq,
            part,
            parts,
            level: 0,
            schema_version: SCHEMA_VERSION,
            written: now.0,
            groups: groups.into(),
            inputs: Vec::new(),
            rollup,
        })?;
        // It may be there though the store says that it failed.
        self.place.put(&path, bytes).inspect_err(|_| drop(self.delete(&path)))?;
        Ok(entry)
    }

    /// Deletes files that are in no catalogue. One that cannot be deleted is found at the next start.
    pub(crate) fn forget(&self, entries: &[FileEntry]) {
        for entry in entries {
            drop(self.delete(&entry.path));
        }
    }
}

fn time(run: &[Arc<Segment>], pick: Pick) -> Timestamp {
    run[pick.batch as usize].time(pick.row as usize)
}

/// Rows of an hour by row group, each by time.
type Groups = Vec<Vec<Pick>>;

/// The row groups by hour. A segment that is of one hour and full becomes a row group as it is: to join it with others
/// would mean to make its dictionaries anew.
fn by_hour(run: &[Arc<Segment>]) -> Vec<Groups> {
    let mut hours: BTreeMap<i64, Groups> = BTreeMap::new();
    for (batch, segment) in (0_u32..).zip(run) {
        let mut of_segment: BTreeMap<i64, Vec<Pick>> = BTreeMap::new();
        for row in segment.in_order(&BooleanBuffer::new_set(segment.rows())) {
            let hour = segment.time(usize::from(row)).0.div_euclid(HOUR_NS);
            of_segment.entry(hour).or_default().push(Pick { batch, row: row.into() });
        }
        for (hour, picks) in of_segment {
            let groups = hours.entry(hour).or_default();
            match groups.last_mut() {
                Some(last) if last.len() + picks.len() <= MAX_BATCH_ROWS => last.extend(picks),
                _ => groups.push(picks),
            }
        }
    }
    for picks in hours.values_mut().flatten() {
        // What is of one segment is in order already.
        picks.sort_by_key(|pick| time(run, *pick));
    }
    if hours.len() <= HOURS_MAX {
        return hours.into_values().collect();
    }
    let rows = |groups: &Groups| groups.iter().map(Vec::len).sum::<usize>();
    let mut sizes: Vec<(usize, i64)> = hours.iter().map(|(hour, groups)| (rows(groups), *hour)).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let largest: BTreeSet<i64> = sizes.iter().take(HOURS_MAX - 1).map(|(_, hour)| *hour).collect();
    let (mut own, mut shared) = (Vec::new(), Vec::new());
    for (hour, groups) in hours {
        if largest.contains(&hour) {
            own.push(groups);
        } else {
            shared.extend(groups.into_iter().flatten());
        }
    }
    own.push(shared.chunks(MAX_BATCH_ROWS).map(<[Pick]>::to_vec).collect());
    own
}
