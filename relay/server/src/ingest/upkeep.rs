//! Looking after the store: flows become files, the log is cut, old files go.

use std::sync::Arc;
use std::time::Duration;

use relay_index::Upkeep;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tracing::{debug, error, info, warn};

use crate::relay::Relay;
use proto::status::with_causes;

/// Time between two looks.
const TICK: Duration = Duration::from_millis(500);

/// Looks after the store until `stop`, then ends its log.
pub(crate) async fn keep_up(relay: Arc<Relay>, stop: CancellationToken) {
    let mut tick = tokio::time::interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut troubled = false;
    while stop.run_until_cancelled(tick.tick()).await.is_some() {
        loop {
            let more = look(&relay, &mut troubled).await;
            if !more || stop.is_cancelled() {
                break;
            }
        }
    }
    let worker = Arc::clone(&relay);
    match tokio::task::spawn_blocking(move || worker.index.close(worker.now())).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => warn!(error = with_causes(&error), "the log of the store did not close well"),
        Err(error) => error!(%error, "closing the store panicked"),
    }
}

/// Does what is due; whether there is more.
async fn look(relay: &Arc<Relay>, troubled: &mut bool) -> bool {
    let worker = Arc::clone(relay);
    match tokio::task::spawn_blocking(move || worker.index.upkeep(worker.now())).await {
        Ok(Ok(done)) => {
            if std::mem::take(troubled) {
                info!("the store takes flows again");
            }
            if done != Upkeep::default() {
                debug!(?done, "looked after the store");
            }
            done.more
        }
        Ok(Err(error)) => {
            // Said once: while the disk is full it is the same twice a second.
            if !std::mem::replace(troubled, true) {
                error!(error = with_causes(&error), "the store cannot be written, flows stay in memory and in the log");
            }
            false
        }
        Err(error) => {
            error!(%error, "looking after the store panicked");
            false
        }
    }
}
