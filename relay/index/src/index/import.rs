//! Taking in Parquet files from elsewhere.

use std::fs::File;
use std::io;
use std::path::Path;

use flow::Timestamp;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use table::MAX_BATCH_ROWS;

use super::{BatchOrigin, Incoming, Index};

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

impl Index {
    /// Takes in the flows of a Parquet file whose columns are those of the flow table, or some of them. `progress` is told
    /// the rows taken in so far. A file that was taken in before is recognised by its checksum, for some files back.
    ///
    /// # Errors
    /// It cannot be read, is none of flows, or the store cannot be written; what was taken in stays, and importing it
    /// again goes on from there.
    pub fn import(&self, path: &Path, now: Timestamp, progress: &mut dyn FnMut(u64)) -> io::Result<Imported> {
        let boot_id = u64::from(checksum(path)?) | 1 << 32;
        let reader = ParquetRecordBatchReaderBuilder::try_new(File::open(path)?)?.with_batch_size(ROWS).build()?;
        let mut done = Imported::default();
        for (batch, sequence) in reader.zip(1..) {
            let origin =
                BatchOrigin { node: NODE.to_owned(), boot_id, sequence, received: now, ..BatchOrigin::default() };
            let incoming = [Incoming { origin, batch: batch.map_err(io::Error::other)?, losses: Vec::new() }];
            done.add(self.import_batch(&incoming, now)?);
            progress(done.rows);
        }
        Ok(done)
    }

    fn import_batch(&self, incoming: &[Incoming; 1], now: Timestamp) -> io::Result<Imported> {
        loop {
            match self.append_all(incoming).pop() {
                Some(Ok(taken)) => {
                    return Ok(Imported { rows: taken.rows as u64, batches_repeated: taken.repeated.into() });
                }
                // The memory is full: what is there becomes files first.
                Some(Err(super::AppendError::Full)) => {
                    if self.seal_all(now)?.rows_sealed == 0 {
                        return Err(io::Error::other("the memory has no room for a single batch"));
                    }
                }
                Some(Err(error)) => return Err(io::Error::other(error)),
                None => return Ok(Imported::default()),
            }
        }
    }
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
