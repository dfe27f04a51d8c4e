//! Places of clients that are served at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;

/// Places of one service. Each stream has one until it ends.
#[derive(Debug)]
pub(super) struct Places {
    free: Arc<Semaphore>,
    max: usize,
}

/// The place of a stream.
pub(super) type Place = OwnedSemaphorePermit;

impl Places {
    pub(super) fn new(max: usize) -> Self {
        Self { free: Arc::new(Semaphore::new(max)), max }
    }

    /// A place for one more stream.
    ///
    /// # Errors
    /// `RESOURCE_EXHAUSTED`: there is none.
    pub(super) fn take(&self) -> Result<Place, Status> {
        Arc::clone(&self.free).try_acquire_owned().map_err(|_| {
            let max = self.max;
            Status::resource_exhausted(format!(
                "{max} streams are open already; close some or raise collector.observer.streams_max"
            ))
        })
    }
}
