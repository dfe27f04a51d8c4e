//! Rows as CSV and as Arrow's IPC stream.

use arrow::csv;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;
use arrow::ipc::writer::StreamWriter;
use arrow::record_batch::RecordBatch;

/// Writes batches one after the other; each call gives the bytes that are new.
pub(super) enum Writer {
    /// Comma-separated lines; whether the head was written.
    Csv {
        /// Whether the head was written.
        begun: bool,
    },
    /// Arrow's IPC stream.
    Arrow(Box<StreamWriter<Vec<u8>>>),
}

impl Writer {
    /// Lines with a head.
    pub(super) const fn csv() -> Self {
        Self::Csv { begun: false }
    }

    /// An IPC stream.
    pub(super) fn arrow(schema: &SchemaRef) -> Result<Self, ArrowError> {
        StreamWriter::try_new(Vec::new(), schema).map(|writer| Self::Arrow(Box::new(writer)))
    }

    /// Bytes of one batch, and of what comes before it.
    pub(super) fn write(&mut self, batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
        match self {
            Self::Csv { begun } => {
                let mut bytes = Vec::new();
                csv::WriterBuilder::new().with_header(!*begun).build(&mut bytes).write(batch)?;
                *begun = true;
                Ok(bytes)
            }
            Self::Arrow(writer) => {
                writer.write(batch)?;
                Ok(std::mem::take(writer.get_mut()))
            }
        }
    }

    /// Bytes after the last batch.
    pub(super) fn finish(self) -> Result<Vec<u8>, ArrowError> {
        match self {
            Self::Csv { .. } => Ok(Vec::new()),
            Self::Arrow(writer) => writer.into_inner(),
        }
    }
}
