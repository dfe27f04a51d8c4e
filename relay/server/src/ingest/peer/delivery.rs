//! Handing a batch of a peer's flows over to the index.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use arrow::record_batch::RecordBatch;
use flow::{LossRecord, LossStage};
use futures::future::BoxFuture;
use proto::status::with_causes;
use relay_index::BatchOrigin;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::ingest::{Job, Rejected, record_losses};
use crate::metrics::FromLabels;
use crate::relay::Relay;

/// Wait until a batch that the store could not take is tried again.
const STORE_RETRY: Duration = Duration::from_millis(500);
/// Cause of flows that were pulled and then not taken.
const REFUSED: &str = "refused";

/// A batch on its way into the index. It resolves once the batch is there, or given up and counted as lost.
///
/// # Cancel safety
/// Whoever waits for it may stop and go on later; the batch is under way meanwhile.
pub(super) struct Delivery {
    taking: BoxFuture<'static, Result<(), Rejected>>,
    last_try: CancellationToken,
}

impl Delivery {
    /// Hands a batch over. While the store cannot take it, it is tried again until the relay stops or
    /// [`Delivery::try_once_more`] is called.
    pub(super) fn begin(relay: &Arc<Relay>, origin: BatchOrigin, batch: RecordBatch) -> Self {
        let last_try = relay.stages.sources.stop.child_token();
        let taking = Box::pin(deliver(Arc::clone(relay), origin, batch, last_try.clone()));
        Self { taking, last_try }
    }

    /// Has the batch given up if the store refuses it again.
    pub(super) fn try_once_more(&self) {
        self.last_try.cancel();
    }
}

impl Future for Delivery {
    type Output = Result<(), Rejected>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.taking.as_mut().poll(cx)
    }
}

async fn deliver(
    relay: Arc<Relay>,
    origin: BatchOrigin,
    batch: RecordBatch,
    last_try: CancellationToken,
) -> Result<(), Rejected> {
    let error = loop {
        let origin = BatchOrigin { received: relay.now(), ..origin.clone() };
        let peer = origin.node.clone();
        let job = Job { from: FromLabels::PULL, origin, batch: batch.clone(), losses: Vec::new() };
        match relay.ingest.take(job).await {
            Ok(_) => return Ok(()),
            Err(error) if error.is_transient() && !last_try.is_cancelled() => {
                debug!(peer, error = with_causes(&error), "flows of a peer wait for the store");
                last_try.run_until_cancelled(tokio::time::sleep(STORE_RETRY)).await;
            }
            Err(error) => break error,
        }
    };
    // What a relay that stops has not taken, it asks the peer for again after its next start.
    if !relay.stages.sources.stop.is_cancelled() {
        let lost = batch.num_rows() as u64;
        warn!(peer = origin.node, lost, error = with_causes(&error), "flows of a peer were not taken and are lost");
        let window = relay.now().window(LossRecord::WINDOW);
        let record = LossRecord { window, stage: LossStage::Ingest, cause: REFUSED.to_owned(), seen: 0, lost };
        record_losses(&relay, &origin.node, &[record]);
    }
    Err(error)
}
