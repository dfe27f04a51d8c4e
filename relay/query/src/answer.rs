//! Answers of queries.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};

use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use futures::Stream;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;

use crate::QueryError;

/// The rows of an answer as they are computed: a stream of record batches. Dropping it stops the query and frees its
/// memory and its permit.
#[derive(Debug)]
pub struct Answer {
    schema: SchemaRef,
    parts: mpsc::Receiver<Part>,
    truncated: Arc<AtomicBool>,
    ended: bool,
    query: AbortHandle,
}

/// What a running query gives.
#[derive(Debug)]
pub(crate) enum Part {
    Rows(RecordBatch),
    Error(QueryError),
    /// All rows were given. A query that stops without it has failed.
    End,
}

impl Answer {
    pub(crate) const fn new(
        schema: SchemaRef,
        parts: mpsc::Receiver<Part>,
        truncated: Arc<AtomicBool>,
        query: AbortHandle,
    ) -> Self {
        Self { schema, parts, truncated, ended: false, query }
    }

    /// Columns of the answer.
    #[must_use]
    pub fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    /// Whether rows were cut off at the limit; final once the stream has ended.
    #[must_use]
    pub fn truncated(&self) -> bool {
        self.truncated.load(Ordering::Acquire)
    }
}

impl Stream for Answer {
    type Item = Result<RecordBatch, QueryError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let part = ready!(self.parts.poll_recv(cx));
        Poll::Ready(match part {
            Some(Part::Rows(rows)) => Some(Ok(rows)),
            Some(Part::End) => {
                self.ended = true;
                None
            }
            Some(Part::Error(error)) => {
                self.ended = true;
                Some(Err(error))
            }
            None => {
                self.ended = true;
                Some(Err(stopped()))
            }
        })
    }
}

/// The task of a query is gone without a word: it panicked, or the engine was shut down.
pub(crate) fn stopped() -> QueryError {
    QueryError::Failed { message: "it stopped before its end".to_owned() }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.query.abort();
    }
}
