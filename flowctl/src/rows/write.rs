//! Flows in, rows of one of the formats out.

use std::io::{self, Write};

use arrow::ipc::CompressionType;
use arrow::ipc::writer::{IpcWriteOptions, StreamWriter};
use arrow::record_batch::RecordBatch;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use table::schema::COLUMNS;
use table::{FlowBatchBuilder, MAX_BATCH_ROWS, schema};

use super::cell::Cells;
use super::{csv, ndjson};
use crate::print::Escape;

/// A format of rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RowFormat {
    /// Comma-separated values with a header.
    Csv,
    /// One flat JSON object a line.
    Ndjson,
    /// A stream of Arrow's IPC format.
    Arrow,
    /// A Parquet file.
    Parquet,
}

impl RowFormat {
    /// Whether it is nothing for a terminal.
    pub(crate) const fn is_binary(self) -> bool {
        matches!(self, Self::Arrow | Self::Parquet)
    }
}

/// Rows that are handed on at once where flows come faster than anybody reads them.
const TEXT_ROWS: usize = 4096;
/// Bytes that a dictionary of a Parquet column may have.
const DICTIONARY_BYTES_MAX: usize = 16 << 20;

/// Gathers flows and writes them as rows.
pub(crate) struct RowWriter {
    builder: FlowBatchBuilder,
    encoder: Encoder,
    /// Bytes to be handed on.
    bytes: Vec<u8>,
    escape: Option<Escape>,
}

enum Encoder {
    /// With whether the header has been written.
    Csv(bool),
    Ndjson,
    Arrow(Box<StreamWriter<Vec<u8>>>),
    Parquet(Box<ArrowWriter<Vec<u8>>>),
}

impl RowWriter {
    /// Begins an output; `escape` is for text on a terminal.
    ///
    /// # Errors
    /// The format's own writer refuses.
    pub(crate) fn new(format: RowFormat, escape: Option<Escape>) -> anyhow::Result<Self> {
        let encoder = match format {
            RowFormat::Csv => Encoder::Csv(false),
            RowFormat::Ndjson => Encoder::Ndjson,
            RowFormat::Arrow => {
                let options = IpcWriteOptions::default().try_with_compression(Some(CompressionType::LZ4_FRAME))?;
                let writer = StreamWriter::try_new_with_options(Vec::new(), &schema(), options)?;
                Encoder::Arrow(Box::new(writer))
            }
            RowFormat::Parquet => {
                let mut properties = WriterProperties::builder()
                    .set_created_by(format!("flowctl {}", env!("CARGO_PKG_VERSION")))
                    .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
                    .set_max_row_group_row_count(Some(MAX_BATCH_ROWS))
                    .set_dictionary_page_size_limit(DICTIONARY_BYTES_MAX);
                // As in a relay's files: the least and the greatest text of thousands exclude nothing, and are dear.
                for column in COLUMNS.iter().filter(|column| column.kind.is_text()) {
                    properties = properties.set_column_statistics_enabled(column.name.into(), EnabledStatistics::None);
                }
                let schema = table::schema::file_schema();
                Encoder::Parquet(Box::new(ArrowWriter::try_new(Vec::new(), schema, Some(properties.build()))?))
            }
        };
        Ok(Self { builder: FlowBatchBuilder::new(), encoder, bytes: Vec::new(), escape })
    }

    /// Adds a flow.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn push(&mut self, flow: &flow::Flow, out: &mut dyn Write) -> io::Result<()> {
        let rows = if matches!(self.encoder, Encoder::Csv(_) | Encoder::Ndjson) { TEXT_ROWS } else { MAX_BATCH_ROWS };
        if self.builder.len() >= rows {
            self.write_batch(out)?;
        }
        self.builder.push(flow).map_err(io::Error::other)
    }

    /// Hands on what was added so far; Parquet keeps the rows of a group that is not full.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn flush(&mut self, out: &mut dyn Write) -> io::Result<()> {
        if matches!(self.encoder, Encoder::Parquet(_)) {
            return Ok(());
        }
        self.write_batch(out)
    }

    /// Writes what is left, and what the format ends with.
    ///
    /// # Errors
    /// Writing failed.
    pub(crate) fn finish(&mut self, out: &mut dyn Write) -> io::Result<()> {
        self.write_batch(out)?;
        let rest = match &mut self.encoder {
            Encoder::Csv(_) | Encoder::Ndjson => return Ok(()),
            Encoder::Arrow(writer) => {
                writer.finish().map_err(io::Error::other)?;
                std::mem::take(writer.get_mut())
            }
            Encoder::Parquet(writer) => {
                writer.finish().map_err(io::Error::other)?;
                std::mem::take(writer.inner_mut())
            }
        };
        out.write_all(&rest)
    }

    fn write_batch(&mut self, out: &mut dyn Write) -> io::Result<()> {
        let batch = self.builder.finish();
        self.encode(&batch).map_err(io::Error::other)?;
        let written = out.write_all(&self.bytes);
        self.bytes.clear();
        written
    }

    fn encode(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        match &mut self.encoder {
            Encoder::Csv(has_header) => {
                if !std::mem::replace(has_header, true) {
                    csv::write_header(&mut self.bytes);
                }
                csv::write_rows(&mut self.bytes, &Cells::open(batch)?, self.escape);
            }
            Encoder::Ndjson => ndjson::write_rows(&mut self.bytes, &Cells::open(batch)?)?,
            Encoder::Arrow(writer) => {
                if batch.num_rows() > 0 {
                    writer.write(batch)?;
                }
                self.bytes.append(writer.get_mut());
            }
            Encoder::Parquet(writer) => {
                if batch.num_rows() > 0 {
                    writer.write(&table::schema::for_file(batch)?)?;
                }
                self.bytes.append(writer.inner_mut());
            }
        }
        Ok(())
    }
}
