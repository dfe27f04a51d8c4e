//! Saying which method it is that a server does not have.
//!
//! The generated servers refuse such a call without a word, and clients print an empty reason.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tonic::codegen::Service;
use tonic::codegen::http::{HeaderMap, HeaderValue, Request, Response};
use tonic::{Code, Status};
use tower::Layer;

/// Adds the reason to refusals of calls that a server does not have.
#[derive(Clone, Copy, Debug, Default)]
pub struct NameUnknownLayer;

/// A server whose refusals say what is unknown.
#[derive(Clone, Debug)]
pub struct NameUnknown<S> {
    inner: S,
}

impl<S> Layer<S> for NameUnknownLayer {
    type Service = NameUnknown<S>;

    fn layer(&self, inner: S) -> NameUnknown<S> {
        NameUnknown { inner }
    }
}

impl<S, B, R> Service<Request<B>> for NameUnknown<S>
where
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Unpin,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = Answer<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path().to_owned();
        Answer { inner: self.inner.call(request), path }
    }
}

/// An answer to come.
#[derive(Debug)]
pub struct Answer<F> {
    inner: F,
    path: String,
}

impl<F, R, E> Future for Answer<F>
where
    F: Future<Output = Result<Response<R>, E>> + Unpin,
{
    type Output = Result<Response<R>, E>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut answer = ready!(Pin::new(&mut self.inner).poll(cx))?;
        name_unknown(answer.headers_mut(), &self.path);
        Poll::Ready(Ok(answer))
    }
}

/// A refusal for a reason of its own has a text already.
fn name_unknown(headers: &mut HeaderMap, path: &str) {
    let is_refusal =
        headers.get(Status::GRPC_STATUS).is_some_and(|code| Code::from_bytes(code.as_bytes()) == Code::Unimplemented);
    if !is_refusal || headers.contains_key(Status::GRPC_MESSAGE) {
        return;
    }
    let mut text = match path.strip_prefix('/').and_then(|path| path.rsplit_once('/')) {
        Some((service, method)) => format!("unknown method {method} for service {service}"),
        None => format!("malformed method name: {path:?}"),
    };
    crate::status::shorten(&mut text);
    // A path is percent-encoded as a reason is, but may hold a percent sign that no digits follow.
    if let Ok(text) = HeaderValue::from_str(&text.replace('%', "%25")) {
        headers.insert(Status::GRPC_MESSAGE, text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_unknown_is_named() {
        for (code, message, path, expected) in [
            ("12", None, "/a.B/C", Some("unknown method C for service a.B")),
            ("12", None, "/a%20", Some("malformed method name: \"/a%2520\"")),
            ("12", Some("why"), "/a.B/C", Some("why")),
            ("5", None, "/a.B/C", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(Status::GRPC_STATUS, HeaderValue::from_static(code));
            if let Some(message) = message {
                headers.insert(Status::GRPC_MESSAGE, HeaderValue::from_static(message));
            }
            name_unknown(&mut headers, path);
            let told = headers.get(Status::GRPC_MESSAGE).map(|told| told.to_str().unwrap());
            assert_eq!(told, expected, "{code} {message:?} {path}");
        }
    }
}
