//! The query engine.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use arrow::record_batch::RecordBatch;
use datafusion::execution::memory_pool::FairSpillPool;
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use relay_index::{Index, RollupView};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, timeout};

use crate::answer::stopped;
use crate::error::from_engine;
use crate::run::Run;
use crate::session::Tables;
use crate::{Answer, Limits, LimitsError, Prepared, QueryError, TableInfo, prepared, session, statement};

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

/// Stack of a thread that runs queries: what people write may be nested deeply. Only what is used takes memory.
const STACK_BYTES: usize = 64 << 20;

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
            .thread_stack_size(STACK_BYTES)
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
        self.query_with(index, sql, None).await
    }

    /// The same with values for `$1`, `$2` and so on, or for each `?`: the columns of the one row of `parameters`.
    ///
    /// # Errors
    /// As [`Engine::query`], and where the parameters are not one row or do not fit.
    ///
    /// # Cancel safety
    /// Dropping the call, or the answer, stops the query.
    pub async fn query_with(
        &self,
        index: &Index,
        sql: &str,
        parameters: Option<&RecordBatch>,
    ) -> Result<Answer, QueryError> {
        let parameters = parameters.map(prepared::values).transpose()?;
        let permit = self.permit().await?;
        let tables = tables(index);
        let truncated = Arc::new(AtomicBool::new(false));
        let (parts, received) = mpsc::channel(BATCHES_WAITING);
        let (planned, schema) = oneshot::channel();
        let run = Run {
            sql: sql.to_owned(),
            parameters,
            tables,
            limits: self.limits.clone(),
            environment: self.environment.clone(),
            processors: self.processors,
            truncated: truncated.clone(),
        };
        let deadline = Instant::now() + self.limits.deadline;
        let threads = self.threads.as_ref().expect("the engine is not being dropped");
        let query = AbortOnDrop(threads.spawn(run.until(deadline, permit, planned, parts)).abort_handle());
        // Planning cannot be stopped between two waits of its own; whoever asked need not wait for that.
        let schema = timeout(self.limits.deadline, schema)
            .await
            .map_err(|_| QueryError::TimedOut { limit_ms: self.limits.deadline.as_millis() })?
            .map_err(|_| stopped())??;
        Ok(Answer::new(schema, received, truncated, query.keep()))
    }

    /// Plans a query without running it: what its answer will look like, and what parameters it takes.
    ///
    /// # Errors
    /// The query is bad, would change something, or other queries run.
    pub async fn prepare(&self, index: &Index, sql: &str) -> Result<Prepared, QueryError> {
        let _permit = self.permit().await?;
        let tables = tables(index);
        let (environment, processors, limits) = (self.environment.clone(), self.processors, self.limits.clone());
        let threads = self.threads.as_ref().expect("the engine is not being dropped");
        let sql = sql.to_owned();
        let planning = threads.spawn(async move {
            let statement = statement::parse(&sql, &limits)?;
            let context = session::context(&tables, &environment, processors).await;
            let context = context.map_err(|error| from_engine(&error, &limits))?;
            prepared::prepare(&context, statement, &limits).await
        });
        let _stopped_with_us = AbortOnDrop(planning.abort_handle());
        match tokio::time::timeout(self.limits.deadline, planning).await {
            Ok(planned) => planned.map_err(|_| stopped())?,
            Err(_) => Err(QueryError::TimedOut { limit_ms: self.limits.deadline.as_millis() }),
        }
    }

    /// The tables and views, by name.
    ///
    /// # Errors
    /// The engine fails.
    pub async fn tables(&self) -> Result<Vec<TableInfo>, QueryError> {
        let tables =
            Tables { snapshot: Arc::default(), rollups: RollupView::default(), losses: Vec::new(), nodes: Vec::new() };
        let bad = |error| from_engine(&error, &self.limits);
        let context = session::context(&tables, &self.environment, self.processors).await.map_err(bad)?;
        prepared::tables(&context).await.map_err(bad)
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, QueryError> {
        timeout(self.limits.wait, self.permits.clone().acquire_owned())
            .await
            .ok()
            .and_then(Result::ok)
            .ok_or(QueryError::Busy { running: self.limits.concurrent })
    }

    /// The limits the engine was made with.
    #[must_use]
    pub const fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// Everything of this moment.
fn tables(index: &Index) -> Tables {
    let snapshot = index.snapshot();
    let rollups = index.rollups().view(&snapshot);
    Tables { snapshot, rollups, losses: index.losses(), nodes: index.nodes() }
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
