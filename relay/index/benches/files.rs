//! What it costs to make files of flows and to read them again, beside what parquet's own writer and reader take for the
//! same rows. Prints one line a measurement: processor time of this thread, the best of some rounds.
//!
//! Takes the number of flows as argument; without one it runs with 524,288, the flows of one run of files.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fs::File;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use flow::Timestamp;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::schema::types::ColumnPath;
use relay_index::{Archive, BatchOrigin, Chunk, Config, Fsync, Incoming, Index, StoreConfig};
use table::schema::{COLUMNS, ColumnKind, file_schema, for_file};
use table::{Col, FlowBatchBuilder, MAX_BATCH_ROWS};
use tempfile::TempDir;
use traffic::Traffic;
use traffic::measure::{best, taken};

const BATCH_ROWS: usize = 1_000;
const ROUNDS: usize = 3;
const NOW: Timestamp = Timestamp(1_790_000_000_000_000_000);

fn main() {
    let flows = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(524_288);
    let folder = seal(flows);
    let batches = read(folder.path(), flows);
    write_with_parquet(&batches, flows);
    compact(folder.path(), flows);
}

/// Makes files of flows in memory, with the counts beside them.
fn seal(flows: usize) -> TempDir {
    let (mut best, mut bytes, mut last) = (Duration::MAX, 0, None);
    for _ in 0..ROUNDS {
        let folder = tempfile::tempdir().expect("a folder for the store");
        let (index, _) = Index::open(config(), store(folder.path())).expect("the store is new");
        fill(&index, flows);
        best = best.min(taken(|| assert!(index.seal_all(NOW).expect("the disk has room").rows_sealed > 0)));
        bytes = index.store_stats().file_bytes;
        last = Some(folder);
    }
    println!("sealed, counts included: {}, {}", nanos(best, flows), size(bytes, flows));
    last.expect("there are rounds")
}

/// Reads all columns of all rows of the sealed files.
fn read(folder: &Path, flows: usize) -> Vec<RecordBatch> {
    let (index, _) = Index::open(config(), store(folder)).expect("the store is there");
    let snapshot = index.snapshot();
    let chunks: Vec<Chunk> = snapshot.chunks().collect();
    let whole = |chunk: &Chunk| chunk.read(Col::ALL).expect("the file is whole");
    let ours = best(ROUNDS, || chunks.iter().for_each(|chunk| drop(black_box(whole(chunk)))));
    println!("read, all columns: {}", nanos(ours, flows));
    let theirs = best(ROUNDS, || {
        for file in files(folder) {
            let file = File::open(file).expect("the file is there");
            let reader = ParquetRecordBatchReaderBuilder::try_new(file).expect("a file of Parquet");
            let reader = reader.with_batch_size(MAX_BATCH_ROWS).build().expect("all columns");
            reader.for_each(|batch| drop(black_box(batch.expect("the file is whole"))));
        }
    });
    println!("read by parquet's reader, without dictionaries: {}", nanos(theirs, flows));
    chunks.iter().map(whole).collect()
}

/// What parquet's own writer takes for the same rows, without sorting them, counts or anything else.
fn write_with_parquet(batches: &[RecordBatch], flows: usize) {
    let mut bytes = 0;
    let time = best(ROUNDS, || {
        let zstd = Compression::ZSTD(ZstdLevel::try_new(1).expect("a level"));
        let mut properties = WriterProperties::builder()
            .set_compression(zstd)
            .set_statistics_enabled(EnabledStatistics::Chunk)
            .set_offset_index_disabled(true);
        for column in COLUMNS.iter().filter(|column| column.kind.is_text() || column.kind == ColumnKind::Uuid) {
            let path = ColumnPath::from(column.name);
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::None);
        }
        for col in [Col::Time, Col::Conversation, Col::Uuid] {
            properties = properties.set_column_dictionary_enabled(ColumnPath::from(col.name()), false);
        }
        let mut writer =
            ArrowWriter::try_new(Vec::new(), file_schema(), Some(properties.build())).expect("the schema is plain");
        for batch in batches {
            writer.write(&for_file(batch).expect("the batch is ours")).expect("memory");
            writer.flush().expect("memory");
        }
        bytes = writer.into_inner().expect("memory").len() as u64;
    });
    println!("written by parquet's writer, nothing else: {}, {}", nanos(time, flows), size(bytes, flows));
}

/// Makes the files one, sorted by conversation.
fn compact(folder: &Path, flows: usize) {
    let (index, _) = Index::open(config(), StoreConfig { compact: true, grace: Duration::ZERO, ..store(folder) })
        .expect("the store is there");
    let time = taken(|| assert!(index.upkeep_of_the_past(NOW).expect("the disk has room").files_compacted > 0));
    let stats = index.store_stats();
    println!("compacted: {}, {}", nanos(time, flows), size(stats.file_bytes, flows));
}
fn fill(index: &Index, flows: usize) {
    let mut traffic = Traffic::seeded(1);
    let mut builder = FlowBatchBuilder::new();
    for _ in 0..flows / BATCH_ROWS {
        let origin = BatchOrigin { node: "node-1".to_owned(), ..BatchOrigin::default() };
        let incoming = Incoming { origin, batch: batch(&mut traffic, &mut builder), losses: Vec::new() };
        let taken = index.append_all(&[incoming]);
        assert!(taken.iter().all(Result::is_ok), "the disk has room");
    }
}

fn batch(traffic: &mut Traffic, builder: &mut FlowBatchBuilder) -> RecordBatch {
    for _ in 0..BATCH_ROWS {
        builder.push(&traffic.flow()).expect("the batch has room");
    }
    builder.finish()
}

fn config() -> Config {
    Config { rows_max: 2_000_000, bytes_max: 8 << 30, ..Config::default() }
}

fn store(folder: &Path) -> StoreConfig {
    StoreConfig { fsync: Fsync::Off, compact: false, ..StoreConfig::new(folder.to_owned()) }
}

/// The files of a store.
fn files(folder: &Path) -> Vec<PathBuf> {
    let archive = Archive::open(&store(folder)).expect("the store is there");
    archive.files().into_iter().map(|file| folder.join(file.path)).collect()
}

fn nanos(time: Duration, flows: usize) -> String {
    format!("{:.0} ns a flow", time.as_secs_f64() * 1e9 / as_f64(flows as u64))
}

fn size(bytes: u64, flows: usize) -> String {
    format!("{:.1} bytes a flow", as_f64(bytes) / as_f64(flows as u64))
}

fn as_f64(n: u64) -> f64 {
    f64::from(u32::try_from(n).unwrap_or(u32::MAX))
}
