//! Reading tables of counts from the file that has them.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use parquet::file::metadata::ParquetMetaData;

use super::beside;
use super::codec::{self, ABOUT_KEY, About, Malformed};
use super::kept::Table;
use crate::files::entry::{FileEntry, RollupEntry};
use crate::files::read::{footer_text, read_metadata};
use crate::files::{Place, ReadError};
use crate::{Period, RollupKind};

/// Reads these tables of the counts of a file's rows by one period.
pub(super) fn read(
    place: &Place,
    entry: &FileEntry,
    period: Period,
    kinds: &[RollupKind],
) -> Result<Vec<Table>, ReadError> {
    let path = beside(&entry.path);
    let damaged = |problem: String| ReadError::Damaged { path: path.clone(), problem };
    let malformed = |problem: Malformed| damaged(problem.to_string());
    let fetch = |range: Range<u64>| -> Result<Bytes, ReadError> {
        let parts = place.read(&path, std::slice::from_ref(&range)).map_err(|source| match source.kind() {
            io::ErrorKind::UnexpectedEof => damaged("it is shorter than it was".to_owned()),
            _ => ReadError::Io { path: path.clone(), source },
        })?;
        Ok(parts.into_iter().next().unwrap_or_default())
    };
    let never_made = || ReadError::Io { path: path.clone(), source: io::ErrorKind::NotFound.into() };
    let RollupEntry { bytes: length, footer, sum, .. } = entry.rollup.ok_or_else(never_made)?;
    let footer: Bytes = fetch(length.saturating_sub(footer)..length)?;
    if crc32c::crc32c(&footer) != sum {
        return Err(damaged("the checksum of its footer is wrong".to_owned()));
    }
    let metadata = Arc::new(codec::metadata_of(length, footer).map_err(malformed)?);
    let about = about(&path, entry, &metadata)?;
    let table = |kind: &RollupKind| {
        let mut table = Table { overflowed: about.overflowed(period), ..Table::default() };
        let is_of = |group: &codec::GroupAbout| group.period == period.name() && group.counts == kind.name();
        for (number, group) in about.groups.iter().enumerate().filter(|(_, group)| is_of(group)) {
            let range = codec::range_of(metadata.row_group(number))
                .ok_or_else(|| damaged("a column lies before the file".to_owned()))?;
            let part = fetch(range.clone())?;
            if crc32c::crc32c(&part) != group.sum {
                return Err(damaged(format!("the checksum of {} by the {} is wrong", group.counts, group.period)));
            }
            let batch = codec::decode(&metadata, number, *kind, (range, part)).map_err(malformed)?;
            table.bytes += table::memory_bytes(&batch);
            codec::part_slices(*kind, &batch, &mut table.slices).map_err(malformed)?;
        }
        Ok(table)
    };
    kinds.iter().map(table).collect()
}

fn about(path: &str, entry: &FileEntry, metadata: &ParquetMetaData) -> Result<About, ReadError> {
    let damaged = |problem: String| ReadError::Damaged { path: path.to_owned(), problem };
    let text = footer_text(metadata, ABOUT_KEY).ok_or_else(|| damaged(format!("its footer has no {ABOUT_KEY}")))?;
    // Of a later version nothing else may be as it was.
    if let Some(what) = codec::later(text) {
        return Err(ReadError::Later { path: path.to_owned(), what });
    }
    let about: About =
        serde_json::from_str(text).map_err(|error| damaged(format!("{ABOUT_KEY} cannot be read: {error}")))?;
    if !about.is_of(entry) {
        return Err(damaged("it has the counts of another file".to_owned()));
    }
    let groups = metadata.row_groups();
    let fits = groups.len() == about.groups.len()
        && groups.iter().zip(&about.groups).all(|(group, about)| group.num_rows() == about.rows);
    if fits { Ok(about) } else { Err(damaged("its row groups are not those its footer describes".to_owned())) }
}

/// Whether a later version made the counts beside a file, whatever the catalogue knows of them.
pub(super) fn is_of_later(place: &Place, entry: &FileEntry) -> Result<bool, ReadError> {
    let path = beside(&entry.path);
    let length = match place.length(&path) {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(ReadError::Io { path, source }),
    };
    match read_metadata(place, &path, length) {
        Ok(metadata) => Ok(footer_text(&metadata, ABOUT_KEY).and_then(codec::later).is_some()),
        Err(ReadError::Damaged { .. }) => Ok(false),
        Err(error) => Err(error),
    }
}
