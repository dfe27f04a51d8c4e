//! Parquet files, a row group at a time.

use std::fs::File;

use anyhow::{Context, Result};
use arrow::record_batch::RecordBatch;
use bytes::Bytes;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::file::reader::ChunkReader;
use table::MAX_BATCH_ROWS;

use super::guard::guarded;

/// First and last bytes of a file.
pub(crate) const MAGIC: &[u8] = b"PAR1";

/// A Parquet file.
pub(super) struct ParquetFile {
    source: Source,
    metadata: ArrowReaderMetadata,
}

/// Where its bytes are.
pub(super) enum Source {
    File(File),
    /// What came through a pipe.
    Memory(Bytes),
}

impl ParquetFile {
    /// Reads the footer.
    ///
    /// # Errors
    /// It is damaged or cut off, or has no columns of flows.
    pub(super) fn open(source: Source) -> Result<Self> {
        let options = ArrowReaderOptions::new();
        let read = || match &source {
            Source::File(file) => ArrowReaderMetadata::load(file, options),
            Source::Memory(bytes) => ArrowReaderMetadata::load(bytes, options),
        };
        let context = "the footer at the end of the file is damaged or cut off";
        let metadata = guarded(read).context(context)?.context(context)?;
        table::check_schema(metadata.schema())?;
        Ok(Self { source, metadata })
    }

    /// How many row groups it has.
    pub(super) fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// Passes on the batches of a row group.
    ///
    /// # Errors
    /// They are damaged, or `each` failed.
    pub(super) fn read_group(&self, group: usize, each: &mut dyn FnMut(RecordBatch) -> Result<bool>) -> Result<bool> {
        match &self.source {
            Source::File(file) => self.read_from(file.try_clone()?, group, each),
            Source::Memory(bytes) => self.read_from(bytes.clone(), group, each),
        }
    }

    fn read_from<T: ChunkReader + 'static>(
        &self,
        bytes: T,
        group: usize,
        each: &mut dyn FnMut(RecordBatch) -> Result<bool>,
    ) -> Result<bool> {
        let context = || format!("row group {} of {} is damaged", group + 1, self.groups());
        let open = || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, self.metadata.clone())
                .with_batch_size(MAX_BATCH_ROWS)
                .with_row_groups(vec![group])
                .build()
        };
        let mut batches = guarded(open).with_context(context)?.with_context(context)?;
        while let Some(batch) = guarded(|| batches.next()).with_context(context)? {
            if !each(batch.with_context(context)?)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
