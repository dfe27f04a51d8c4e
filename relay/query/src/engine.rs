//! The query engine.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use relay_index::Index;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::answer::stopped;
use crate::run::Run;
use crate::session::Tables;
use crate::{Answer, Limits, LimitsError, QueryError, statement};

/// Answers SQL over the index. Cheap to share behind an `Arc`.
///
/// Queries run on threads of their own, so that a heavy one never delays ingest or another client's stream.
#[derive(Debug)]
pub struct Engine {
    limits: Limits,
    permits: Arc<Semaphore>,
    environment: Arc<RuntimeEnv>,
    /// Only empty while the engine is dropped.
    threads: Option<Runtime>,
    processors: usize,
}

/// Batches of a query that wait for its reader.
const BATCHES_WAITING: usize = 2;

impl Engine {
    /// An engine with these limits.
    ///
    /// # Errors
    /// A limit is too small, or threads cannot be started.
    pub fn new(limits: Limits) -> Result<Self, LimitsError> {
        limits.check()?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let environment = RuntimeEnvBuilder::new()
            .with_memory_pool(Arc::new(FairSpillPool::new(limits.memory_bytes)))
            .with_max_temp_directory_size(limits.spill_bytes)
            .build_arc()
            .map_err(|error| LimitsError::Refused { message: error.strip_backtrace() })?;
        let threads = Builder::new_multi_thread()
            .worker_threads(processors)
            .thread_name("query")
            .enable_time()
            .build()
            .map_err(LimitsError::Threads)?;
        let permits = Arc::new(Semaphore::new(limits.concurrent));
        Ok(Self { limits, permits, environment, threads: Some(threads), processors })
    }

    /// Plans the query over a snapshot of this moment and starts it.
    ///
    /// # Errors
    /// The query is bad, would change something, or other queries run. What goes wrong later comes through the answer.
    ///
    /// # Cancel safety
    /// Dropping the call, or the answer, stops the query.
    pub async fn query(&self, index: &Index, sql: &str) -> Result<Answer, QueryError> {
        let statement = statement::parse(sql, &self.limits)?;
        let permit = timeout(self.limits.wait, self.permits.clone().acquire_owned())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or(QueryError::Busy { running: self.limits.concurrent })?;
        let tables = Tables { snapshot: index.snapshot(), losses: index.losses(), nodes: index.nodes() };
        let truncated = Arc::new(AtomicBool::new(false));
        let (parts, received) = mpsc::channel(BATCHES_WAITING);
        let (planned, schema) = oneshot::channel();
        let run = Run {
            statement,
            tables,
            limits: self.limits.clone(),
            environment: self.environment.clone(),
            processors: self.processors,
            truncated: truncated.clone(),
        };
        let deadline = Instant::now() + self.limits.deadline;
        let threads = self.threads.as_ref().expect("the engine is not being dropped");
        let query = AbortOnDrop(threads.spawn(run.until(deadline, permit, planned, parts)).abort_handle());
        let schema = schema.await.map_err(|_| stopped())??;
        Ok(Answer::new(schema, received, truncated, query.keep()))
    }

    /// The limits the engine was made with.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        // Waiting for the threads is not allowed in async code, and queries hold nothing that needs an orderly end.
        if let Some(threads) = self.threads.take() {
            threads.shutdown_background();
        }
    }
}

/// Stops a query unless it is kept, so that a caller who goes away while it is planned leaves nothing behind.
struct AbortOnDrop(tokio::task::AbortHandle);

impl AbortOnDrop {
    /// Hands the query over to its answer.
    fn keep(self) -> tokio::task::AbortHandle {
        let handle = self.0.clone();
        std::mem::forget(self);
        handle
    }
}

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
