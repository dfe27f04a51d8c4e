//! The run of one query.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::datatypes::SchemaRef;
use datafusion::common::ScalarValue;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SQLOptions;
use datafusion::execution::runtime_env::RuntimeEnv;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{Instant, timeout_at};

use crate::answer::Part;
use crate::error::from_engine;
use crate::session::{self, Tables};
use crate::{Limits, QueryError, statement};

/// A query that is about to run.
pub(crate) struct Run {
    pub(crate) sql: String,
    /// Values for the query's parameters.
    pub(crate) parameters: Option<Vec<ScalarValue>>,
    pub(crate) tables: Tables,
    pub(crate) limits: Limits,
    pub(crate) environment: Arc<RuntimeEnv>,
    pub(crate) processors: usize,
    pub(crate) truncated: Arc<AtomicBool>,
}

/// Where the schema of the answer goes once the query is planned.
type Planned = oneshot::Sender<Result<SchemaRef, QueryError>>;

impl Run {
    /// Plans and runs the query until it ends, its reader goes away or the deadline comes.
    pub(crate) async fn until(
        self,
        deadline: Instant,
        permit: OwnedSemaphorePermit,
        planned: Planned,
        parts: mpsc::Sender<Part>,
    ) {
        let timed_out = QueryError::TimedOut { limit_ms: self.limits.deadline.as_millis() };
        let stream = match timeout_at(deadline, self.plan()).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => return answer(planned, Err(error)),
            Err(_) => return answer(planned, Err(timed_out)),
        };
        answer(planned, Ok(stream.schema()));
        let last = match timeout_at(deadline, self.give(stream, &parts)).await {
            Ok(last) => last,
            Err(_) => Part::Error(timed_out),
        };
        // The rows are given up before the last word is said, because a slow reader may take long to hear it.
        drop(permit);
        if parts.send(last).await.is_err() {
            // The reader is gone and wants no last word.
        }
    }

    async fn plan(&self) -> Result<SendableRecordBatchStream, QueryError> {
        let bad = |error| from_engine(&error, &self.limits);
        let statement = statement::parse(&self.sql, &self.limits)?;
        let text = statement.to_string();
        let context = session::context(&self.tables, &self.environment, self.processors).await.map_err(bad)?;
        let plan = context.state().statement_to_plan(statement).await.map_err(bad)?;
        // The statement was read with care already; this is the second lock on the same door.
        let options = SQLOptions::new().with_allow_ddl(false).with_allow_dml(false).with_allow_statements(false);
        options.verify_plan(&plan).map_err(|_| statement::refusal(&text))?;
        let plan = match &self.parameters {
            None => plan,
            Some(values) => plan.with_param_values(values.clone()).map_err(bad)?,
        };
        let frame = context.execute_logical_plan(plan).await.map_err(bad)?;
        frame.execute_stream().await.map_err(bad)
    }

    /// Gives the rows up to the limit; what comes back is the last word.
    async fn give(&self, mut stream: SendableRecordBatchStream, parts: &mpsc::Sender<Part>) -> Part {
        let mut left = self.limits.rows_max;
        while let Some(batch) = stream.next().await {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return Part::Error(from_engine(&error, &self.limits)),
            };
            let fits = batch.num_rows().min(left);
            if fits < batch.num_rows() {
                self.truncated.store(true, Ordering::Release);
            }
            left -= fits;
            let reader_gone = fits > 0 && parts.send(Part::Rows(batch.slice(0, fits))).await.is_err();
            if reader_gone || self.truncated.load(Ordering::Acquire) {
                break;
            }
        }
        Part::End
    }
}

fn answer(planned: Planned, schema: Result<SchemaRef, QueryError>) {
    if planned.send(schema).is_err() {
        // The caller went away while the query was planned; nobody waits for the answer.
    }
}
