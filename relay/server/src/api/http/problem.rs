//! Refusing a request in words.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use flow::view::Problem;

/// A request that is not answered, and why.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refusal {
    /// Status of the answer.
    pub(super) status: StatusCode,
    /// Body of the answer.
    pub(super) problem: Problem,
}

impl Refusal {
    /// A refusal; the remedy may be empty.
    pub(super) fn new(status: StatusCode, error: impl Into<String>, remedy: &str) -> Self {
        Self { status, problem: Problem { error: error.into(), remedy: remedy.to_owned() } }
    }

    /// The request itself is wrong.
    pub(super) fn bad(error: impl Into<String>, remedy: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, error, remedy)
    }

    /// Too much is going on.
    pub(super) fn busy(error: impl Into<String>, remedy: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, error, remedy)
    }

    /// A bug; what it was is in the log.
    pub(super) fn failed() -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "the relay could not answer", "see the log of the relay")
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.problem)).into_response();
        if self.status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}
