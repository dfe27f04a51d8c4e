//! Many small batches into one compact one.

use std::hash::{BuildHasher, Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Int32Array, Int64Array, StringArray, StringBuilder};
use arrow::buffer::NullBuffer;
use arrow::compute::concat;
use arrow::record_batch::RecordBatch;
use foldhash::fast::RandomState;
use hashbrown::{HashSet, HashTable};

use crate::builder::{Keys, Output};
use crate::column::{Numbers, Texts, untyped};
use crate::schema::{COLUMNS, Col, ColumnKind, GROUPS, SchemaError};
use crate::{MAX_BATCH_ROWS, zeros};

/// Joins batches into one, in order, with one dictionary per column and one buffer of keys per group of columns.
/// Columns that are the same in every row cost nothing afterwards.
///
/// # Errors
/// A batch has not the columns of [`crate::schema()`], or they have more than [`MAX_BATCH_ROWS`] rows together.
pub fn merge(batches: &[RecordBatch]) -> Result<RecordBatch, SchemaError> {
    let rows = batches.iter().map(RecordBatch::num_rows).sum();
    if rows > MAX_BATCH_ROWS {
        return Err(SchemaError::TooManyRows { rows });
    }
    let mut output = Output::new(rows);
    for (column, col) in COLUMNS.iter().zip(Col::ALL) {
        if !column.kind.is_dictionary() {
            output.plain(*col, merge_plain(batches, *col)?);
        }
    }
    let mut scratch = Scratch::default();
    for group in GROUPS {
        merge_group(batches, group, &mut scratch, &mut output)?;
    }
    Ok(output.finish())
}

/// Gives a batch in which the columns of each group have the same keys, as in all batches of ours: the batch itself if
/// it is so already, else a merged one. Readers of groups may rely on it.
///
/// # Errors
/// The batch has not the columns of [`crate::schema()`], or more than [`MAX_BATCH_ROWS`] rows.
pub fn tidy(batch: &RecordBatch) -> Result<RecordBatch, SchemaError> {
    for group in GROUPS {
        let columns: Vec<Input> = group.iter().map(|col| Input::open(batch, *col)).collect::<Result<_, _>>()?;
        let keys = columns[0].keys();
        if !columns[1..].iter().all(|column| same_keys(column.keys(), keys)) {
            return merge(std::slice::from_ref(batch));
        }
    }
    Ok(batch.clone())
}

/// Whether all rows have the same key in both; that a buffer is shared is seen without comparing it.
fn same_keys(a: &[i16], b: &[i16]) -> bool {
    std::ptr::eq(a, b) || a == b
}

/// Bytes a batch occupies in memory. A buffer that several columns share counts once, one that all batches share not at
/// all; a slice counts with the whole allocation it keeps alive.
#[must_use]
pub fn memory_bytes(batch: &RecordBatch) -> usize {
    let mut seen: HashSet<usize, RandomState> = HashSet::default();
    let mut bytes = 0;
    for column in batch.columns() {
        // What is left without the buffers is the bookkeeping of the array itself.
        bytes += column.get_array_memory_size().saturating_sub(column.get_buffer_memory_size());
        let data = column.to_data();
        let nulls = data.nulls().map(|nulls| nulls.buffer().clone());
        let children = data.child_data().iter().flat_map(|child| child.buffers().iter().cloned());
        for buffer in data.buffers().iter().cloned().chain(children).chain(nulls) {
            if !zeros::is_shared(&buffer) && seen.insert(buffer.data_ptr().addr().get()) {
                bytes += buffer.capacity();
            }
        }
    }
    bytes
}

fn merge_plain(batches: &[RecordBatch], col: Col) -> Result<ArrayRef, SchemaError> {
    let arrays: Vec<&dyn Array> =
        batches.iter().map(|batch| downcast_plain(batch, col)).collect::<Result<_, SchemaError>>()?;
    if arrays.is_empty() {
        return Ok(arrow::array::new_empty_array(&col.column().kind.data_type()));
    }
    let merged = concat(&arrays).map_err(SchemaError::Arrow)?;
    if let Some(integers) = merged.as_any().downcast_ref::<Int32Array>()
        && integers.values().iter().all(|value| *value == 0)
    {
        return Ok(Arc::new(Int32Array::new(zeros::integers(integers.len()), None)));
    }
    Ok(merged)
}

fn downcast_plain(batch: &RecordBatch, col: Col) -> Result<&dyn Array, SchemaError> {
    let column = untyped(batch, col)?;
    let expected = col.column().kind.data_type();
    if *column.data_type() == expected {
        return Ok(column.as_ref());
    }
    let found = Box::new(column.data_type().clone());
    Err(SchemaError::Type { column: col.name(), found, expected: Box::new(expected) })
}

/// A dictionary column of one input batch.
enum Input {
    Texts(Texts),
    Numbers(Numbers),
}

impl Input {
    fn open(batch: &RecordBatch, col: Col) -> Result<Self, SchemaError> {
        Ok(match col.column().kind {
            ColumnKind::Number => Self::Numbers(Numbers::of(batch, col)?),
            _ => Self::Texts(Texts::of(batch, col)?),
        })
    }

    fn keys(&self) -> &[i16] {
        match self {
            Self::Texts(texts) => texts.keys(),
            Self::Numbers(numbers) => numbers.keys(),
        }
    }

    fn entries(&self) -> usize {
        match self {
            Self::Texts(texts) => texts.values().len(),
            Self::Numbers(numbers) => numbers.values().len(),
        }
    }

    fn nulls(&self) -> Option<&NullBuffer> {
        match self {
            Self::Texts(texts) => texts.nulls(),
            Self::Numbers(numbers) => numbers.nulls(),
        }
    }

    fn is_null(&self, row: usize) -> bool {
        match self {
            Self::Texts(texts) => texts.is_null(row),
            Self::Numbers(numbers) => numbers.is_null(row),
        }
    }

    fn hash(&self, row: usize, hasher: &mut impl Hasher) {
        self.is_null(row).hash(hasher);
        match self {
            Self::Texts(texts) => texts.get(row).hash(hasher),
            Self::Numbers(numbers) => numbers.get(row).hash(hasher),
        }
    }

    fn same(&self, row: usize, other: &Self, other_row: usize) -> bool {
        self.is_null(row) == other.is_null(other_row)
            && match (self, other) {
                (Self::Texts(a), Self::Texts(b)) => a.get(row) == b.get(other_row),
                (Self::Numbers(a), Self::Numbers(b)) => a.get(row) == b.get(other_row),
                (Self::Texts(_), Self::Numbers(_)) | (Self::Numbers(_), Self::Texts(_)) => false,
            }
    }
}

/// Where the first row with an entry is: it stands for the entry.
#[derive(Clone, Copy)]
struct Place {
    batch: usize,
    row: usize,
}

/// Memory that the groups use one after the other.
#[derive(Default)]
struct Scratch {
    slots: HashTable<(u64, u16)>,
    hasher: RandomState,
    places: Vec<Place>,
    keys: Keys,
    of_key: Vec<u16>,
}

/// Of a key of an input batch nothing is known yet.
const UNKNOWN: u16 = u16::MAX;

/// The key that all rows have; `None` where they have several, or there are none.
fn the_only(keys: &[i16]) -> Option<usize> {
    let first = *keys.first()?;
    keys.iter().all(|key| *key == first).then(|| usize::from(first.cast_unsigned()))
}

fn merge_group(
    batches: &[RecordBatch],
    group: &[Col],
    scratch: &mut Scratch,
    output: &mut Output,
) -> Result<(), SchemaError> {
    let inputs: Vec<Vec<Input>> = batches
        .iter()
        .map(|batch| group.iter().map(|col| Input::open(batch, *col)).collect())
        .collect::<Result<_, SchemaError>>()?;
    scratch.clear();
    if let [col] = group
        && let Some(values) = scratch.merge_alone(&inputs, col.column().kind)
    {
        let keys = output.keys(&scratch.keys);
        output.dictionary(*col, &keys, values, None);
        return Ok(());
    }
    for batch in 0..inputs.len() {
        scratch.add(&inputs, batch);
    }
    let keys = output.keys(&scratch.keys);
    for (i, col) in group.iter().enumerate() {
        let entries = scratch.places.iter().map(|place| (&inputs[place.batch][i], place.row));
        let absent: Vec<bool> = entries.clone().map(|(input, row)| input.is_null(row)).collect();
        let values: ArrayRef = match col.column().kind {
            ColumnKind::Number => Arc::new(Int64Array::from_iter_values(entries.map(|(input, row)| match input {
                Input::Numbers(numbers) => numbers.get(row),
                Input::Texts(_) => 0,
            }))),
            _ => Arc::new(exact_texts(entries.map(|(input, row)| match input {
                Input::Texts(texts) => texts.get(row),
                Input::Numbers(_) => "",
            }))),
        };
        output.dictionary(*col, &keys, values, Some(&absent));
    }
    Ok(())
}

/// Texts in memory that is just large enough.
fn exact_texts<'a>(texts: impl ExactSizeIterator<Item = &'a str> + Clone) -> StringArray {
    let bytes = texts.clone().map(str::len).sum();
    let mut builder = StringBuilder::with_capacity(texts.len(), bytes);
    texts.for_each(|text| builder.append_value(text));
    builder.finish()
}

impl Scratch {
    fn clear(&mut self) {
        self.slots.clear();
        self.places.clear();
        self.keys.clear();
    }

    /// Merges a group of one column that is nowhere NULL, which needs no look at rows but for their keys. Gives the
    /// values; `None` for other columns.
    fn merge_alone(&mut self, inputs: &[Vec<Input>], kind: ColumnKind) -> Option<ArrayRef> {
        let columns = || inputs.iter().filter_map(|columns| columns.first());
        if columns().any(|column| column.nulls().is_some()) {
            return None;
        }
        if kind == ColumnKind::Number {
            let mut entries: Vec<i64> = Vec::new();
            for column in columns() {
                let Input::Numbers(numbers) = column else { return None };
                self.add_alone(numbers.keys(), numbers.values().len(), &mut entries, |key| numbers.entry(key));
            }
            return Some(Arc::new(Int64Array::from_iter_values(entries.iter().copied())));
        }
        let mut entries: Vec<&str> = Vec::new();
        for column in columns() {
            let Input::Texts(texts) = column else { return None };
            self.add_alone(texts.keys(), texts.values().len(), &mut entries, |key| texts.entry(key));
        }
        Some(Arc::new(exact_texts(entries.iter().copied())))
    }

    /// Adds the rows of one batch, of which `value` gives the value of a key.
    #[inline]
    fn add_alone<V: Copy + Eq + Hash>(
        &mut self,
        keys: &[i16],
        values: usize,
        entries: &mut Vec<V>,
        value: impl Fn(usize) -> V,
    ) {
        let Self { slots, hasher, keys: merged, of_key, .. } = self;
        let mut key_of = |key: usize| {
            let value = value(key);
            let hash = hasher.hash_one(value);
            let same = |slot: &(u64, u16)| slot.0 == hash && entries[usize::from(slot.1)] == value;
            if let Some(slot) = slots.find(hash, same) {
                return slot.1;
            }
            let key = u16::try_from(entries.len()).expect("a batch has fewer rows than keys");
            entries.push(value);
            slots.insert_unique(hash, (hash, key), |slot| slot.0);
            key
        };
        if let Some(key) = the_only(keys) {
            merged.push_all(key_of(key), keys.len());
            return;
        }
        of_key.clear();
        of_key.resize(values, UNKNOWN);
        for key in keys {
            let key = usize::from(key.cast_unsigned());
            merged.push(match of_key.get_mut(key) {
                Some(known) if *known != UNKNOWN => *known,
                Some(unknown) => {
                    *unknown = key_of(key);
                    *unknown
                }
                None => key_of(key),
            });
        }
    }

    /// Adds the rows of one batch.
    fn add(&mut self, inputs: &[Vec<Input>], batch: usize) {
        let columns = &inputs[batch];
        let keys = columns[0].keys();
        if !columns[1..].iter().all(|column| same_keys(column.keys(), keys)) {
            for row in 0..keys.len() {
                let key = self.key(inputs, Place { batch, row });
                self.keys.push(key);
            }
            return;
        }
        let alike = |column: &Input| column.nulls().is_none_or(|nulls| [0, nulls.len()].contains(&nulls.null_count()));
        if the_only(keys).is_some() && columns.iter().all(alike) {
            let key = self.key(inputs, Place { batch, row: 0 });
            self.keys.push_all(key, keys.len());
            return;
        }
        // One key stands for all columns of the row, together with which of them are NULL.
        let nullable: Vec<&Input> = columns.iter().filter(|column| column.nulls().is_some()).collect();
        let least = columns.iter().map(Input::entries).min().unwrap_or_default();
        let mut of_key = std::mem::take(&mut self.of_key);
        of_key.clear();
        of_key.resize(least << nullable.len(), UNKNOWN);
        for (row, key) in keys.iter().enumerate() {
            let nulls = nullable.iter().fold(0, |bits, column| bits << 1 | usize::from(column.is_null(row)));
            let index = usize::from(key.cast_unsigned()) << nullable.len() | nulls;
            let merged = match of_key.get(index) {
                Some(&merged) if merged != UNKNOWN => merged,
                known => {
                    let known = known.is_some();
                    let merged = self.key(inputs, Place { batch, row });
                    // The key of a row that is NULL may point anywhere.
                    if known {
                        of_key[index] = merged;
                    }
                    merged
                }
            };
            self.keys.push(merged);
        }
        self.of_key = of_key;
    }

    /// Key of the entry at a place.
    fn key(&mut self, inputs: &[Vec<Input>], place: Place) -> u16 {
        let columns = &inputs[place.batch];
        let mut hasher = self.hasher.build_hasher();
        for column in columns {
            column.hash(place.row, &mut hasher);
        }
        let hash = hasher.finish();
        let places = &self.places;
        let same = |slot: &(u64, u16)| {
            let other = places[usize::from(slot.1)];
            let others = &inputs[other.batch];
            slot.0 == hash && columns.iter().zip(others).all(|(a, b)| a.same(place.row, b, other.row))
        };
        if let Some(slot) = self.slots.find(hash, same) {
            return slot.1;
        }
        let key = u16::try_from(self.places.len()).expect("a batch has fewer rows than keys");
        self.places.push(place);
        self.slots.insert_unique(hash, (hash, key), |slot| slot.0);
        key
    }
}
