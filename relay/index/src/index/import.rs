//! Taking in Parquet files from elsewhere.

use std::fs::File;
use std::io;
use std::path::Path;

use flow::Timestamp;
use parquet::arrow::arrow_reader::{ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use table::MAX_BATCH_ROWS;

use super::{AppendError, BatchOrigin, Incoming, Index};
use crate::files::range_of;

/// Rows of a batch that is taken in.
const ROWS: usize = MAX_BATCH_ROWS / 4;
/// Node that imported batches are counted under; the flows keep their own.
const NODE: &str = "import";

/// What an import did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// Rows taken in.
    pub rows: u64,
    /// Batches that had been taken in before.
    pub batches_repeated: u64,
}

/// Why a file could not be taken in, or not all of it.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It cannot be read, is damaged, or is none of flows. Others may be fine.
    #[error("it cannot be read to its end; {rows} flows were taken in before")]
    File {
        /// Rows of it that were taken in.
        rows: u64,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The store cannot be written.
    #[error("the store cannot be written")]
    Store(#[source] io::Error),
}

impl Index {
    /// Takes in the flows of a Parquet file whose columns are those of the flow table, or some of them. `progress` is told
    /// the rows taken in so far. A file that was taken in before is recognised by its checksum, for some files back.
    ///
    /// # Errors
    /// It cannot be read, is none of flows, or the store cannot be written; what was taken in stays, and importing it
    /// again goes on from there.
    pub fn import(&self, path: &Path, now: Timestamp, progress: &mut dyn FnMut(u64)) -> Result<Imported, ImportError> {
        let (boot_id, reader) = open(path).map_err(|source| ImportError::File { rows: 0, source })?;
        let mut done = Imported::default();
        for (batch, sequence) in reader.zip(1..) {
            let origin =
                BatchOrigin { node: NODE.to_owned(), boot_id, sequence, received: now, ..BatchOrigin::default() };
            let incoming =
                [Incoming { origin, batch: batch.map_err(|error| unread(&done, error))?, losses: Vec::new() }];
            done.add(self.import_batch(&incoming, now, &done)?);
            progress(done.rows);
        }
        Ok(done)
    }

    fn import_batch(&self, incoming: &[Incoming; 1], now: Timestamp, done: &Imported) -> Result<Imported, ImportError> {
        loop {
            match self.append_all(incoming).pop() {
                Some(Ok(taken)) => {
                    return Ok(Imported { rows: taken.rows as u64, batches_repeated: taken.repeated.into() });
                }
                // The memory is full: what is there becomes files first.
                Some(Err(AppendError::Full)) => {
                    if self.seal_all(now).map_err(ImportError::Store)?.rows_sealed == 0 {
                        let text = "the memory has no room for a single batch";
                        return Err(ImportError::Store(io::Error::other(text)));
                    }
                }
                Some(Err(error @ AppendError::Schema { .. })) => return Err(unread(done, error)),
                Some(Err(error)) => return Err(ImportError::Store(io::Error::other(error))),
                None => return Ok(Imported::default()),
            }
        }
    }
}

fn unread(done: &Imported, error: impl std::error::Error + Send + Sync + 'static) -> ImportError {
    ImportError::File { rows: done.rows, source: io::Error::other(error) }
}

/// A number for a file by what is in it, and its rows.
fn open(path: &Path) -> io::Result<(u64, ParquetRecordBatchReader)> {
    let boot_id = u64::from(checksum(path)?) | 1 << 32;
    let builder = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.with_batch_size(ROWS);
    let mut columns = builder.metadata().row_groups().iter().flat_map(|group| group.columns());
    if columns.any(|column| range_of(column).is_none()) {
        return Err(io::Error::other("a column lies before the file"));
    }
    Ok((boot_id, builder.build()?))
}

impl Imported {
    fn add(&mut self, other: Self) {
        self.rows += other.rows;
        self.batches_repeated += other.batches_repeated;
    }
}

fn checksum(path: &Path) -> io::Result<u32> {
    use std::io::Read as _;
    let mut file = File::open(path)?;
    let mut buffer = vec![0; 1 << 20];
    let mut sum = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(sum),
            read => sum = crc32c::crc32c_append(sum, &buffer[..read]),
        }
    }
}
