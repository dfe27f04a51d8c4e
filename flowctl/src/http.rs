//! A small HTTP/1.1 client for the relay's own API: one request a connection.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use bytes::Bytes;
use flow::view::Problem;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, USER_AGENT};
use hyper::{Method, Request, Response, Uri};
use hyper_util::rt::TokioIo;

use crate::connect::{Dialer, Target};
use crate::print::put;
use crate::settings::{HTTP_PORT, TlsSettings};

/// Bytes of an answer that is held as a whole.
const ANSWER_BYTES_MAX: usize = 256 << 20;

/// Characters shown of an answer that is not what a relay sends.
const STRANGE_ANSWER_CHARS: usize = 200;

/// An HTTP server.
pub(crate) struct HttpServer {
    dialer: Dialer,
    authority: String,
    base_path: String,
}

impl HttpServer {
    /// Reads an address such as `http://localhost:12000`.
    ///
    /// # Errors
    /// It is not such an address, or TLS cannot be set up.
    pub(crate) fn new(address: &str, tls: Option<&TlsSettings>, connect_timeout: Duration) -> Result<Self> {
        let full = if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
        let uri: Uri = full
            .parse()
            .with_context(|| format!("--http-server {address:?} is not an address such as http://localhost:12000"))?;
        let default_tls = TlsSettings::default();
        let tls = match uri.scheme_str() {
            Some("http") => None,
            Some("https") => Some(tls.unwrap_or(&default_tls)),
            _ => bail!("--http-server {address:?} is neither an http:// nor an https:// address"),
        };
        let authority =
            uri.authority().with_context(|| format!("--http-server {address:?} names no host"))?.to_string();
        let target = Target::parse(&authority, HTTP_PORT)?;
        let authority = target.authority();
        let base_path = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { dialer: Dialer::http(target, tls, connect_timeout)?, authority, base_path })
    }

    /// Posts JSON and gives back the answer, whatever its status.
    ///
    /// # Errors
    /// The server cannot be reached or does not speak HTTP.
    pub(crate) async fn post_json(&self, path: &str, accept: &str, json: Vec<u8>) -> Result<Response<Incoming>> {
        let request = Request::builder().method(Method::POST).header(CONTENT_TYPE, "application/json");
        self.send(request, path, accept, json).await
    }

    /// Gets an answer in JSON, whatever its status.
    ///
    /// # Errors
    /// The server cannot be reached or does not speak HTTP.
    pub(crate) async fn get(&self, path: &str) -> Result<Response<Incoming>> {
        self.send(Request::builder().method(Method::GET), path, "application/json", Vec::new()).await
    }

    async fn send(
        &self,
        request: hyper::http::request::Builder,
        path: &str,
        accept: &str,
        body: Vec<u8>,
    ) -> Result<Response<Incoming>> {
        let stream = self.dialer.dial().await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.context("HTTP cannot be set up")?;
        // It ends with the runtime; its failures also come out of `send_request`.
        tokio::spawn(connection);
        let request = request
            .uri(format!("{}{path}", self.base_path))
            .header(HOST, &self.authority)
            .header(USER_AGENT, concat!("flowctl/", env!("CARGO_PKG_VERSION")))
            .header(ACCEPT, accept)
            .body(Full::new(Bytes::from(body)))
            .context("the request cannot be written")?;
        sender.send_request(request).await.map_err(|e| {
            anyhow!(
                "{} does not answer as a relay's HTTP API does: {e}; is that its HTTP port? see --http-server",
                self.authority
            )
        })
    }
}

/// The whole body of an answer.
///
/// # Errors
/// It breaks off, or is larger than can be held.
pub(crate) async fn body(response: Response<Incoming>) -> Result<Vec<u8>> {
    let mut body = response.into_body();
    let mut bytes = Vec::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.context("the answer broke off")?;
        if let Some(data) = frame.data_ref() {
            if bytes.len() + data.len() > ANSWER_BYTES_MAX {
                bail!(
                    "the answer is larger than {} MiB: ask for less time or fewer flows; sql has LIMIT and -o csv",
                    ANSWER_BYTES_MAX >> 20
                );
            }
            bytes.extend_from_slice(data);
        }
    }
    Ok(bytes)
}

/// Why the relay refused, in its own words.
pub(crate) async fn refusal(response: Response<Incoming>) -> anyhow::Error {
    let status = response.status();
    let body = match body(response).await {
        Ok(body) => body,
        Err(error) => return error.context(format!("the relay refused the query with {status}")),
    };
    if let Ok(problem) = serde_json::from_slice::<Problem>(&body) {
        let remedy = if problem.remedy.is_empty() { String::new() } else { format!("; {}", problem.remedy) };
        return anyhow!("{}{remedy}", problem.error);
    }
    let text: String = String::from_utf8_lossy(&body).chars().take(STRANGE_ANSWER_CHARS).collect();
    let mut shown = Vec::new();
    put(&mut shown, text.trim());
    anyhow!("the server refused the query with {status}: {}", String::from_utf8_lossy(&shown))
}
