//! Reading files for a plan, on threads that may block.
//!
//! A plan is computed on a few threads that must never wait for a disk or an object store: another query would wait with
//! them, and a query can be stopped only where it lets go of its thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::coop::cooperative;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt as _, stream};

/// Runs work on a thread that may block. The flag becomes true once nobody waits for its end.
///
/// # Errors
/// The work panicked.
///
/// # Cancel safety
/// Work that has not begun when the future is dropped never does; other work sees the flag.
pub(crate) async fn run<T: Send + 'static>(work: impl FnOnce(&AtomicBool) -> T + Send + 'static) -> Result<T> {
    let stop = Arc::new(AtomicBool::new(false));
    let _stop_with_us = StopOnDrop(stop.clone());
    let done = SpawnedTask::spawn_blocking(move || work(&stop)).await;
    done.map_err(|error| DataFusionError::External(Box::new(error)))
}

struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What gives batches until there are none.
pub(crate) trait Read: Send + 'static {
    /// The next batch that has rows.
    fn next(&mut self) -> impl Future<Output = Result<Option<RecordBatch>>> + Send;
}

/// The batches as a stream; after an error there is nothing more to read.
pub(crate) fn stream(schema: SchemaRef, reading: impl Read) -> SendableRecordBatchStream {
    let batches = stream::unfold(Some(reading), |reading| async {
        let mut reading = reading?;
        match reading.next().await {
            Ok(batch) => batch.map(|batch| (Ok(batch), Some(reading))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Box::pin(cooperative(RecordBatchStreamAdapter::new(schema, batches.boxed())))
}
