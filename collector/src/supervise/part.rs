//! A part of a collector that is a task of its own.

use tokio::task::JoinHandle;

use crate::running::RunError;

/// A task that should run until the history ends.
pub(super) struct Part {
    name: &'static str,
    task: JoinHandle<()>,
    /// Whether it ended well, once it has.
    ended: Option<bool>,
}

impl Part {
    pub(super) const fn new(name: &'static str, task: JoinHandle<()>) -> Self {
        Self { name, task, ended: None }
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// It panicked, or was stopped.
    ///
    /// # Cancel safety
    /// May be dropped, and called again.
    pub(super) async fn end(&mut self) -> Result<(), RunError> {
        if self.ended.is_none() {
            self.ended = Some((&mut self.task).await.is_ok());
        }
        if self.ended == Some(true) { Ok(()) } else { Err(RunError::Panicked(self.name)) }
    }

    /// Waits for it to panic; without end if it does not.
    ///
    /// # Cancel safety
    /// May be dropped, and called again.
    pub(super) async fn failure(&mut self) -> RunError {
        match self.end().await {
            Err(error) => error,
            Ok(()) => std::future::pending().await,
        }
    }

    /// Stops it.
    pub(super) fn abort(&self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_panic_is_noticed_and_an_end_is_none() {
        let mut broken = Part::new("history", tokio::spawn(async { panic!("for a test") }));
        let mut good = Part::new("shipper", tokio::spawn(async {}));
        let mut endless = Part::new("exporter", tokio::spawn(std::future::pending()));
        let failed = tokio::select! {
            error = good.failure() => error,
            error = endless.failure() => error,
            error = broken.failure() => error,
        };
        assert!(matches!(failed, RunError::Panicked("history")), "{failed}");
        assert!(good.end().await.is_ok() && good.failure().now_or_never().is_none());
        assert!(broken.end().await.is_err(), "it can be asked again");
        assert!(endless.end().now_or_never().is_none());
        endless.abort();
        assert!(endless.end().await.is_err());
    }
}
