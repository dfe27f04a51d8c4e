//! One buffer of zeros for all columns that are the same in every row.

use std::sync::LazyLock;

use arrow::buffer::{Buffer, ScalarBuffer};

use crate::MAX_BATCH_ROWS;

static ZEROS: LazyLock<Buffer> = LazyLock::new(|| Buffer::from_vec(vec![0_u8; MAX_BATCH_ROWS * size_of::<i32>()]));

/// Keys that are all zero; at most [`MAX_BATCH_ROWS`].
pub(crate) fn keys(rows: usize) -> ScalarBuffer<i16> {
    ScalarBuffer::new(ZEROS.clone(), 0, rows)
}

/// Integers that are all zero; at most [`MAX_BATCH_ROWS`].
pub(crate) fn integers(rows: usize) -> ScalarBuffer<i32> {
    ScalarBuffer::new(ZEROS.clone(), 0, rows)
}

/// Whether a buffer is the shared one, which costs a batch nothing.
pub(crate) fn is_shared(buffer: &Buffer) -> bool {
    buffer.data_ptr() == ZEROS.data_ptr()
}
