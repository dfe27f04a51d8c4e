//! A run of rows becomes files, one for each hour.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

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
        for (part, picks) in (0..parts).zip(&hours) {
            match self.seal_hour(run, picks, (part, parts), range, namer, now) {
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
        picks: &[Pick],
        (part, parts): (u32, u32),
        (first_seq, end_seq): (u64, u64),
        namer: &mut Namer,
        now: Timestamp,
    ) -> io::Result<FileEntry> {
        let batches: Vec<_> = run.iter().map(|segment| segment.batch()).collect();
        let mut writer = FileWriter::new(namer.relay(), 0)?;
        let mut counter = self.counter();
        for picks in picks.chunks(MAX_BATCH_ROWS) {
            let batch = gather(&batches, picks).map_err(io::Error::other)?;
            counter.add(&batch);
            writer.add(&batch)?;
        }
        let newest = picks.last().map(|pick| time(run, *pick)).unwrap_or_default();
        let path = format!("{}/{}.parquet", folder_of(newest), namer.draw(now)?);
        let rollup = self.put_rollups(&path, picks.len() as u64, &counter)?;
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

/// The rows by hour, each by time.
fn by_hour(run: &[Arc<Segment>]) -> Vec<Vec<Pick>> {
    let mut picks: Vec<(Timestamp, Pick)> = Vec::new();
    for (batch, segment) in (0_u32..).zip(run) {
        for row in 0..u32::try_from(segment.rows()).expect("a segment is a batch") {
            picks.push((segment.time(row as usize), Pick { batch, row }));
        }
    }
    picks.sort_by_key(|(time, _)| *time);
    let mut hours: BTreeMap<i64, Vec<Pick>> = BTreeMap::new();
    for (time, pick) in picks {
        hours.entry(time.0.div_euclid(HOUR_NS)).or_default().push(pick);
    }
    if hours.len() <= HOURS_MAX {
        return hours.into_values().collect();
    }
    let mut sizes: Vec<(usize, i64)> = hours.iter().map(|(hour, picks)| (picks.len(), *hour)).collect();
    sizes.sort_unstable_by(|a, b| b.cmp(a));
    let largest: BTreeSet<i64> = sizes.iter().take(HOURS_MAX - 1).map(|(_, hour)| *hour).collect();
    let (mut own, mut shared) = (Vec::new(), Vec::new());
    for (hour, picks) in hours {
        if largest.contains(&hour) {
            own.push(picks);
        } else {
            shared.extend(picks);
        }
    }
    own.push(shared);
    own
}
