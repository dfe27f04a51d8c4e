//! Questions, counted however they end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::metrics::Outcome;
use crate::relay::Relay;

/// A question that is being answered; counted when this goes.
pub(super) struct Question {
    relay: Arc<Relay>,
    kind: &'static str,
    begun: Instant,
    /// How it ends if nothing else is said.
    pub(super) outcome: Outcome,
}

impl Question {
    /// Begins one of this kind.
    pub(super) fn begin(relay: &Arc<Relay>, kind: &'static str, outcome: Outcome) -> Self {
        Self { relay: Arc::clone(relay), kind, begun: Instant::now(), outcome }
    }

    /// The relay that is asked.
    pub(super) fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Time since it began.
    pub(super) fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    /// Ends it with what came of it.
    pub(super) fn ended<T, E>(self, answer: Result<T, E>) -> Result<T, E> {
        self.end(if answer.is_ok() { Outcome::Ok } else { Outcome::Failed });
        answer
    }

    /// Ends it.
    pub(super) fn end(mut self, outcome: Outcome) {
        self.outcome = outcome;
    }
}

impl Drop for Question {
    fn drop(&mut self) {
        self.relay.metrics.query_ended(self.kind, self.outcome, self.begun.elapsed());
    }
}
