//! Flows into Parquet files, in the types that the relay's own files have.

use std::fs::File;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use table::schema::{COLUMNS, file_schema, for_file};

use super::generate::Batches;
use super::{say, speed};

/// Rows of a file.
const FILE_ROWS: u64 = 1 << 19;
/// Rows of a row group.
const GROUP_ROWS: usize = 1 << 15;

/// Writes the batches into files `flows-00000.parquet` and so on.
pub(super) fn write(folder: &Path, batches: Batches) -> Result<()> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    let began = Instant::now();
    let (mut rows, mut files, mut bytes) = (0_u64, 0_u64, 0_u64);
    let mut writer: Option<(ArrowWriter<File>, u64)> = None;
    for batch in batches {
        if writer.as_ref().is_some_and(|(_, rows)| *rows >= FILE_ROWS) {
            bytes += finish(writer.take())?;
        }
        let (open, of_file) = match &mut writer {
            Some(open) => (&mut open.0, &mut open.1),
            none => {
                let path = folder.join(format!("flows-{files:05}.parquet"));
                files += 1;
                let open = none.insert((create(&path)?, 0));
                (&mut open.0, &mut open.1)
            }
        };
        open.write(&for_file(&batch)?)?;
        *of_file += batch.num_rows() as u64;
        rows += batch.num_rows() as u64;
    }
    bytes += finish(writer)?;
    say(&format!("wrote {}", speed(rows, began.elapsed())));
    #[expect(clippy::cast_precision_loss, reason = "a ratio needs no more than three digits")]
    let each = bytes as f64 / rows.max(1) as f64;
    say(&format!("{files} files in {}, {bytes} bytes, {each:.1} bytes a flow", folder.display()));
    Ok(())
}

fn create(path: &Path) -> Result<ArrowWriter<File>> {
    let file = File::create(path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?))
        .set_max_row_group_row_count(Some(GROUP_ROWS))
        .set_dictionary_page_size_limit(16 << 20);
    // As in the files of a relay's store.
    for column in COLUMNS.iter().filter(|column| column.kind.is_text()) {
        properties = properties.set_column_statistics_enabled(column.name.into(), EnabledStatistics::None);
    }
    Ok(ArrowWriter::try_new(file, file_schema(), Some(properties.build()))?)
}

fn finish(writer: Option<(ArrowWriter<File>, u64)>) -> Result<u64> {
    let Some((writer, _)) = writer else { return Ok(0) };
    let file = writer.into_inner()?;
    file.sync_all()?;
    Ok(file.metadata()?.len())
}
