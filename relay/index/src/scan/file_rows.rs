//! Matching rows of a row group, read as they are asked for.

use std::sync::OnceLock;

use flow::Flow;
use table::{Col, RowReader};

use crate::files::Chunk;

/// Rows read first; each further block has twice as many, so that a short walk reads little and a long one in bulk.
const FIRST_BLOCK: usize = 64;
/// Blocks that all rows of a batch fit in.
const BLOCKS: usize = 10;

const _: () = assert!(FIRST_BLOCK * ((1 << BLOCKS) - 1) >= table::MAX_BATCH_ROWS);

/// The matching rows of a row group in the order of a walk, and those that were read.
#[derive(Debug)]
pub(crate) struct FileRows {
    chunk: Chunk,
    rows: Vec<u16>,
    blocks: [OnceLock<Option<Block>>; BLOCKS],
}

/// Rows that were read, in rising order.
#[derive(Debug)]
struct Block {
    rows: Vec<u16>,
    reader: RowReader,
}

impl FileRows {
    /// Rows of a row group, in the order they will be asked for.
    pub(crate) fn new(chunk: Chunk, rows: Vec<u16>) -> Self {
        Self { chunk, rows, blocks: Default::default() }
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The flow at a place of the walk; `None` where the file cannot be read.
    pub(crate) fn flow(&self, place: usize) -> Option<Flow> {
        let number = (place / FIRST_BLOCK + 1).ilog2() as usize;
        let start = FIRST_BLOCK * ((1 << number) - 1);
        let end = (start + (FIRST_BLOCK << number)).min(self.rows.len());
        let block = self.blocks.get(number)?.get_or_init(|| self.read(self.rows.get(start..end)?)).as_ref()?;
        let at = block.rows.binary_search(self.rows.get(place)?).ok()?;
        Some(block.reader.flow(at))
    }

    fn read(&self, rows: &[u16]) -> Option<Block> {
        let mut rows = rows.to_vec();
        rows.sort_unstable();
        let batch = self.chunk.read_rows(Col::ALL, &rows)?;
        Some(Block { rows, reader: RowReader::new(&batch).ok()? })
    }
}
