//! SQL over HTTP: JSON for pages, CSV and Arrow as streams.

mod form;
mod json;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flow::view::{Problem, SqlAnswer};
use futures::{Stream, StreamExt as _};
use relay_query::{Answer, QueryError};
use serde::Deserialize;

use self::form::Writer;
use super::problem::Refusal;
use crate::api::damage::{DAMAGED_FILES, Damage};
use crate::api::question::Question;
use crate::metrics::Outcome;
use crate::relay::Relay;

/// Label of SQL among the kinds of queries.
const KIND: &str = "sql";

/// Body of a request.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct SqlRequest {
    /// One statement that reads: `SELECT`, `WITH`, `VALUES`, `EXPLAIN`, `SHOW` or `DESCRIBE`.
    query: String,
    /// Form of the answer.
    #[serde(default)]
    format: Format,
}

/// Form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// `SqlAnswer`, cut off at the limit of rows.
    #[default]
    Json,
    /// Lines with a head, as they are computed.
    Csv,
    /// A stream of Arrow's IPC format, as it is computed.
    Arrow,
}

/// Answers one statement over the tables and views of docs/sql.md: `flows`, `losses`, `nodes`, counts by the minute and by
/// the hour such as `edges_1m`, and views such as `drops`.
#[utoipa::path(
    post,
    path = "/api/v1/sql",
    request_body = SqlRequest,
    responses(
        (status = 200, content(
            (SqlAnswer = "application/json"),
            (String = "text/csv"),
            (Vec<u8> = "application/vnd.apache.arrow.stream"),
        )),
        (status = 400, body = Problem, description = "The statement cannot be understood or would change something"),
        (status = 413, body = Problem, description = "The request is too long"),
        (status = 415, body = Problem, description = "The request is not JSON"),
        (status = 422, body = Problem, description = "The statement needs more memory than it may use"),
        (status = 503, body = Problem, description = "Other queries are running"),
        (status = 504, body = Problem, description = "The statement took too long"),
    ),
)]
pub(super) async fn sql(
    State(relay): State<Arc<Relay>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let request = read(&relay, &headers, body)?;
    let question = Question::begin(&relay, KIND, Outcome::Cancelled);
    let answered = match request.format {
        Format::Json => answer_json(&relay, &request.query, &question).await,
        Format::Csv | Format::Arrow => return answer_stream(relay, request, question).await,
    };
    question.ended(answered)
}

fn read(relay: &Relay, headers: &HeaderMap, body: Result<Bytes, BytesRejection>) -> Result<SqlRequest, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or("");
    if kind.split(';').next().map(str::trim) != Some("application/json") {
        let error = format!("the request has content type {kind:?}");
        let remedy = "send JSON with content-type: application/json";
        return Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, error, remedy));
    }
    let body = body.map_err(|rejection| {
        if rejection.status() == StatusCode::PAYLOAD_TOO_LARGE {
            let error = format!("the request is longer than {} bytes", relay.config.http.request_bytes_max);
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, error, "shorten it, or raise relay.http.request_bytes_max")
        } else {
            Refusal::bad(rejection.body_text(), "")
        }
    })?;
    serde_json::from_slice(&body).map_err(|error| {
        let remedy = r#"send {"query": "SELECT ...", "format": "json"}, where format is json, csv or arrow"#;
        Refusal::bad(format!("the request cannot be read: {error}"), remedy)
    })
}

async fn answer_json(relay: &Relay, query: &str, question: &Question) -> Result<Response, Refusal> {
    let mark = relay.index.read_mark();
    relay.tell_node_states();
    let mut answer = relay.engine.query(&relay.index, query).await.map_err(refusal)?;
    let schema = answer.schema();
    let rows_max = relay.config.sql.json_rows_max;
    let (mut rows, mut truncated) = (Vec::new(), false);
    while let Some(batch) = answer.next().await {
        let batch = batch.map_err(refusal)?;
        let room = rows_max - rows.len();
        truncated = batch.num_rows() > room;
        json::append_rows(&mut rows, &batch.slice(0, batch.num_rows().min(room)));
        if truncated {
            break;
        }
    }
    truncated |= answer.truncated();
    Ok(Json(SqlAnswer {
        columns: json::columns(&schema),
        rows,
        elapsed_ms: milliseconds(question.elapsed()),
        truncated,
        damaged: relay.index.damaged_since(mark, None, None),
    })
    .into_response())
}

async fn answer_stream(relay: Arc<Relay>, request: SqlRequest, mut question: Question) -> Result<Response, Refusal> {
    let refuse = |error, question: &mut Question| {
        question.outcome = Outcome::Failed;
        refusal(error)
    };
    let mut damage = Damage::watch(&relay.index);
    relay.tell_node_states();
    let mut answer = relay.engine.query(&relay.index, &request.query).await.map_err(|e| refuse(e, &mut question))?;
    // The first rows decide whether this is an answer: after them the status has been sent.
    let first = answer.next().await.transpose().map_err(|e| refuse(e, &mut question))?;
    let schema = answer.schema();
    let (writer, kind) = match request.format {
        Format::Arrow => (Writer::arrow(&schema), "application/vnd.apache.arrow.stream"),
        Format::Csv | Format::Json => (Ok(Writer::csv()), "text/csv; charset=utf-8; header=present"),
    };
    let mut writer = writer.map_err(|_| Refusal::failed())?;
    let head = match first {
        Some(batch) => writer.write(&batch),
        None => writer.write(&arrow::record_batch::RecordBatch::new_empty(schema)),
    };
    let head = head.map_err(|error| {
        question.outcome = Outcome::Failed;
        let problem = format!("the answer cannot be written in this format: {error}");
        Refusal::bad(problem, "ask for json or arrow, or make texts of lists with array_to_string")
    })?;
    // Rows have no room for it.
    let damaged = damage.tell(&relay.index);
    let rest = Rest { answer, writer, question, damage };
    let body = futures::stream::once(async { Ok(Bytes::from(head)) }).chain(rest.into_stream());
    let mut response = ([(header::CONTENT_TYPE, kind)], Body::from_stream(body)).into_response();
    if damaged > 0 {
        response.headers_mut().insert(DAMAGED_FILES, damaged.into());
    }
    Ok(response)
}

/// What is still to be written of an answer.
struct Rest {
    answer: Answer,
    writer: Writer,
    question: Question,
    damage: Damage,
}

impl Rest {
    fn into_stream(self) -> impl Stream<Item = io::Result<Bytes>> + Send {
        futures::stream::unfold(Some(self), |rest| async {
            let mut rest = rest?;
            match rest.next().await {
                Ok(Some(bytes)) => Some((Ok(bytes), Some(rest))),
                Ok(None) => {
                    rest.question.outcome = Outcome::Ok;
                    let end = rest.writer.finish().map_err(io::Error::other);
                    Some((end.map(Bytes::from), None))
                }
                Err(error) => {
                    rest.question.outcome = Outcome::Failed;
                    Some((Err(error), None))
                }
            }
        })
    }

    async fn next(&mut self) -> io::Result<Option<Bytes>> {
        match self.answer.next().await {
            Some(batch) => {
                let bytes = self.writer.write(&batch.map_err(io::Error::other)?).map_err(io::Error::other)?;
                Ok(Some(Bytes::from(bytes)))
            }
            // A part that looks like the whole would be a lie, and this form has no place to say so: break off.
            None if self.answer.truncated() => Err(io::Error::other("the answer has more rows than are allowed")),
            None => match self.damage.untold(&self.question.relay().index) {
                Some(untold) => Err(io::Error::other(untold)),
                None => Ok(None),
            },
        }
    }
}

fn refusal(error: QueryError) -> Refusal {
    let text = error.to_string();
    match error {
        QueryError::Bad { position: Some(at), .. } => {
            Refusal::bad(format!("{text} (line {}, column {})", at.line, at.column), "")
        }
        QueryError::Bad { .. } | QueryError::ReadOnly { .. } => Refusal::bad(text, ""),
        QueryError::TooLarge { .. } => Refusal::new(StatusCode::UNPROCESSABLE_ENTITY, text, ""),
        QueryError::TimedOut { .. } => Refusal::new(StatusCode::GATEWAY_TIMEOUT, text, ""),
        QueryError::Busy { .. } => Refusal::busy(text, ""),
        QueryError::Failed { .. } => Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, text, ""),
    }
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
