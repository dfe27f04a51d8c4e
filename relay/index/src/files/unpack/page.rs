//! Pages of a column chunk.

use parquet::basic::Type;
use table::MAX_BATCH_ROWS;
use zstd::bulk::Decompressor;

use super::hybrid::{decode, take, varint};
use super::{Damage, delta, header, values};
use header::{Header, Kind};

/// Bytes a page may have. Our own have some hundred kilobytes; larger ones are left to arrow's reader.
const PAGE_BYTES_MAX: usize = 64 << 20;

const PLAIN: i64 = 0;
const RLE: i64 = 3;
const PLAIN_DICTIONARY: i64 = 2;
const DELTA_BINARY_PACKED: i64 = 5;
const RLE_DICTIONARY: i64 = 8;

/// Entries of a dictionary, in Parquet's plain encoding.
pub(super) struct Entries {
    pub(super) bytes: Vec<u8>,
    pub(super) count: usize,
}

/// Values of the rows that are not NULL.
pub(super) enum Content {
    Dictionary { values: Entries, ids: Vec<u16> },
    Plain { bytes: Vec<u8>, count: usize },
    Numbers(Vec<i64>),
}

impl Content {
    /// The values as numbers of 64 bits.
    pub(super) fn numbers(&self) -> Result<Vec<i64>, Damage> {
        if let Self::Numbers(numbers) = self { Ok(numbers.clone()) } else { self.values(values::longs) }
    }

    /// The values as numbers of 32 bits; `None` where they are of more.
    pub(super) fn integers(&self) -> Result<Option<Vec<i32>>, Damage> {
        if matches!(self, Self::Numbers(_)) { Ok(None) } else { self.values(values::integers).map(Some) }
    }

    fn values<T: Copy>(&self, read: impl Fn(&[u8], usize) -> Option<Vec<T>>) -> Result<Vec<T>, Damage> {
        match self {
            Self::Numbers(_) => Ok(Vec::new()),
            Self::Plain { bytes, count } => read(bytes, *count).ok_or(Damage::Short),
            Self::Dictionary { values, ids } => {
                let entries = read(&values.bytes, values.count).ok_or(Damage::Short)?;
                ids.iter().map(|id| entries.get(usize::from(*id)).copied().ok_or(Damage::Key)).collect()
            }
        }
    }
}

/// What the pages of a chunk say.
pub(super) struct Pages {
    /// Of each row whether it is there, where any is NULL.
    pub(super) present: Option<Vec<bool>>,
    pub(super) content: Content,
}

impl Pages {
    /// Reads all pages of a chunk; `None` where they are not in one of our encodings.
    pub(super) fn read(
        mut bytes: &[u8],
        mut zstd: Option<&mut Decompressor<'_>>,
        (physical, has_levels): (Type, bool),
        total: usize,
    ) -> Result<Option<Self>, Damage> {
        let mut gathered = Gathered::default();
        while !bytes.is_empty() && gathered.rows < total {
            let Some(header) = Header::read(&mut bytes) else { return Ok(None) };
            let packed = take(&mut bytes, header.packed_bytes).ok_or(Damage::Short)?;
            if header.kind == Kind::Other || header.bytes > PAGE_BYTES_MAX {
                return Ok(None);
            }
            let page = unpacked(packed, header.bytes, zstd.as_deref_mut())?;
            let is_ours = match header.kind {
                Kind::Dictionary => gathered.take_dictionary(&header, page),
                Kind::Data { levels: RLE, .. } if header.values <= total - gathered.rows => {
                    gathered.take_rows(&header, &page, (physical, has_levels))?
                }
                Kind::Data { .. } | Kind::Other => false,
            };
            if !is_ours {
                return Ok(None);
            }
        }
        if gathered.rows != total {
            return Err(Damage::Rows { found: gathered.rows, expected: total });
        }
        Ok(Some(gathered.finish()))
    }
}

/// What was read of a chunk so far. Its data pages are all of one encoding.
#[derive(Default)]
struct Gathered {
    dictionary: Option<Entries>,
    /// Of each row whether it is there, where the column may be NULL.
    present: Vec<bool>,
    /// Values by the dictionary, in `PLAIN` and their count, or packed by their differences.
    ids: Vec<u16>,
    plain: Vec<u8>,
    count: usize,
    numbers: Vec<i64>,
    /// Rows, with those that are NULL.
    rows: usize,
}

impl Gathered {
    /// Takes a page with a dictionary; whether it is one of ours: the first page, and not too large.
    fn take_dictionary(&mut self, header: &Header, page: Vec<u8>) -> bool {
        let is_ours =
            self.dictionary.is_none() && self.rows == 0 && is_plain(header.encoding) && header.values <= MAX_BATCH_ROWS;
        if is_ours {
            self.dictionary = Some(Entries { bytes: page, count: header.values });
        }
        is_ours
    }

    /// Takes a page with rows; whether it is in one of our encodings.
    fn take_rows(
        &mut self,
        header: &Header,
        mut page: &[u8],
        (physical, has_levels): (Type, bool),
    ) -> Result<bool, Damage> {
        let there = if has_levels { levels(&mut page, header.values, &mut self.present)? } else { header.values };
        match header.encoding {
            RLE_DICTIONARY | PLAIN_DICTIONARY if self.dictionary.is_some() && self.count == 0 => {
                let width = u32::from(*take(&mut page, 1).and_then(<[u8]>::first).ok_or(Damage::Short)?);
                self.ids.extend(decode(page, width, there).ok_or(Damage::Short)?);
            }
            DELTA_BINARY_PACKED if physical == Type::INT64 && self.dictionary.is_none() && self.count == 0 => {
                self.numbers.extend(delta::decode(page, there).ok_or(Damage::Short)?);
            }
            // Pages of truth values would have to end with a whole byte.
            PLAIN
                if self.dictionary.is_none()
                    && self.numbers.is_empty()
                    && (self.count == 0 || physical != Type::BOOLEAN) =>
            {
                self.plain.extend_from_slice(page);
                self.count += there;
            }
            _ => return Ok(false),
        }
        self.rows += header.values;
        Ok(true)
    }

    fn finish(self) -> Pages {
        let content = match self.dictionary {
            Some(values) => Content::Dictionary { values, ids: self.ids },
            None if !self.numbers.is_empty() => Content::Numbers(self.numbers),
            None => Content::Plain { bytes: self.plain, count: self.count },
        };
        Pages { present: Some(self.present).filter(|present| present.contains(&false)), content }
    }
}

const fn is_plain(encoding: i64) -> bool {
    matches!(encoding, PLAIN | PLAIN_DICTIONARY)
}

/// Reads which rows of a page are there; gives how many.
fn levels(page: &mut &[u8], rows: usize, present: &mut Vec<bool>) -> Result<usize, Damage> {
    let length = take(page, 4).and_then(|bytes| bytes.first_chunk::<4>()).ok_or(Damage::Short)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).map_err(|_| Damage::Short)?;
    let bytes = take(page, length).ok_or(Damage::Short)?;
    let all = one_run(bytes, rows);
    if let Some(level) = all {
        present.resize(present.len() + rows, level == 1);
        return Ok(rows * usize::from(level));
    }
    let levels = decode(bytes, 1, rows).ok_or(Damage::Short)?;
    present.extend(levels.iter().map(|level| *level == 1));
    Ok(levels.into_iter().map(usize::from).sum())
}

/// The level that all rows have, where that is how it is written: most columns that may have NULL have none, or nothing
/// else.
fn one_run(mut bytes: &[u8], rows: usize) -> Option<u8> {
    let header = varint(&mut bytes)?;
    let level = *bytes.first()?;
    (header & 1 == 0 && usize::try_from(header >> 1).ok()? >= rows && level <= 1).then_some(level)
}

fn unpacked(packed: &[u8], bytes: usize, zstd: Option<&mut Decompressor<'_>>) -> Result<Vec<u8>, Damage> {
    let page = match zstd {
        Some(zstd) => zstd.decompress(packed, bytes).map_err(Damage::Packed)?,
        None => packed.to_vec(),
    };
    if page.len() == bytes { Ok(page) } else { Err(Damage::Short) }
}
