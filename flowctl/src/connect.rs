//! Connections to servers: TCP, Unix sockets and TLS, and what to tell people when there is none.

mod forward;
mod target;
mod tls;

use std::future::Future;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, UnixStream};
use tonic::metadata::{Ascii, MetadataValue};
use tonic::service::Interceptor;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

pub(crate) use target::Target;

use crate::moments::format_span;
use crate::settings::{RELAY_PORT, ServerSettings, TlsSettings};

/// A connection to a gRPC server.
pub(crate) struct Connection {
    /// What clients of the generated code are made from.
    pub(crate) channel: InterceptedService<Channel, Credentials>,
    /// Where it leads, for messages.
    pub(crate) target: Target,
    /// The address as it was given, without the wish for TLS.
    pub(crate) name: String,
    request_timeout: Duration,
}

/// Adds the user and password to each call.
#[derive(Clone)]
pub(crate) struct Credentials(Option<MetadataValue<Ascii>>);

impl Interceptor for Credentials {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(authorization) = &self.0 {
            request.metadata_mut().insert("authorization", authorization.clone());
        }
        Ok(request)
    }
}

/// Bytes to and from a server, whatever carries them.
pub(crate) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}
impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// Flows of one answer that may be under way: HTTP/2's 64 KiB would make every batch wait for a round trip.
const STREAM_WINDOW_BYTES: u32 = 4 << 20;

impl Connection {
    /// Connects for calls with one answer: without time for that, as from a setting that is no duration, nobody is asked.
    ///
    /// # Errors
    /// Those of [`Connection::open`], or there is no time.
    pub(crate) async fn open_for_answers(settings: &ServerSettings) -> Result<Self> {
        if settings.request_timeout.is_zero() {
            return Err(out_of_time(&settings.address, settings.request_timeout));
        }
        Self::open(settings).await
    }

    /// Connects.
    ///
    /// # Errors
    /// Nobody answers at the address, or the TLS handshake failed; the message names the address and what to try.
    pub(crate) async fn open(settings: &ServerSettings) -> Result<Self> {
        let address = match &settings.port_forward {
            Some(forward) => format!("127.0.0.1:{}", forward::start(forward).await?),
            None => settings.address.clone(),
        };
        let target = Target::parse(&address, RELAY_PORT)?;
        let dialer = Dialer {
            target: target.clone(),
            tls: settings.tls.as_ref().map(|tls| tls::connector(tls, b"h2")).transpose()?,
            server_name: settings.tls.as_ref().and_then(|tls| tls.server_name.clone()),
            timeout: settings.connect_timeout,
        };
        // Dialled before tonic gets hold of it, because the cause of a failure is lost in tonic's own error.
        let first = dialer.dial().await.map_err(|e| Failure::of(Code::Unavailable, format!("{e:#}")))?;
        let first = Arc::new(Mutex::new(Some(first)));
        let scheme = if settings.tls.is_some() { "https" } else { "http" };
        let server_name = settings.tls.as_ref().and_then(|tls| tls.server_name.clone());
        let authority = server_name.unwrap_or_else(|| target.authority());
        let no_address = || format!("{address:?} is not an address such as localhost:4245");
        let origin = format!("{scheme}://{authority}").parse().with_context(no_address)?;
        // Always http:// here, for the TLS below is ours and not tonic's.
        let endpoint = Endpoint::from_shared(format!("http://{authority}"))
            .with_context(no_address)?
            .origin(origin)
            .initial_stream_window_size(STREAM_WINDOW_BYTES)
            .initial_connection_window_size(STREAM_WINDOW_BYTES)
            .tcp_nodelay(true);
        let connector = tower::service_fn(move |_: tonic::codegen::http::Uri| {
            let dialer = dialer.clone();
            let ready = first.lock().expect("nothing panics while it is held").take();
            async move {
                match ready {
                    Some(stream) => Ok(TokioIo::new(stream)),
                    None => dialer.dial().await.map(TokioIo::new).map_err(|e| io::Error::other(format!("{e:#}"))),
                }
            }
        });
        let channel = endpoint.connect_with_connector_lazy(connector);
        let credentials = Credentials(settings.basic_auth.as_ref().map(basic_authorization).transpose()?);
        let name = address.strip_prefix("tls://").unwrap_or(&address).to_owned();
        Ok(Self {
            channel: InterceptedService::new(channel, credentials),
            target,
            name,
            request_timeout: settings.request_timeout,
        })
    }

    /// Waits for a call with one answer.
    ///
    /// # Errors
    /// The call failed, or took longer than the request timeout.
    pub(crate) async fn answer<T>(&self, call: impl Future<Output = Result<tonic::Response<T>, Status>>) -> Result<T> {
        match tokio::time::timeout(self.request_timeout, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.explain(&status)),
            Err(_) => Err(out_of_time(&self.target, self.request_timeout)),
        }
    }

    /// What went wrong with a call, in words.
    pub(crate) fn explain(&self, status: &Status) -> anyhow::Error {
        let target = &self.target;
        let message = status.message();
        let from_transport = std::error::Error::source(status).is_some();
        let words = match status.code() {
            _ if from_transport => {
                let cause = root_cause(status);
                let hint = "if it wants TLS, add --tls; is that the port of a Weir or Hubble server?";
                return Failure::of(Code::Unavailable, format!("lost the connection to {target}: {cause}; {hint}"));
            }
            Code::Unimplemented => format!("{message}; {target} does not offer this, ask a relay, or a newer server"),
            Code::Unauthenticated | Code::PermissionDenied => {
                format!("{message}; {target} refuses, see --tls-client-cert-file and --basic-auth-username")
            }
            _ => message.to_owned(),
        };
        Failure::of(status.code(), words)
    }
}

fn out_of_time(server: &impl std::fmt::Display, timeout: Duration) -> anyhow::Error {
    let limit = format_span(u64::try_from(timeout.as_nanos()).unwrap_or(u64::MAX));
    let words = format!("no answer from {server} within {limit} (see --request-timeout)");
    Failure::of(Code::DeadlineExceeded, words)
}

/// A call that failed. It begins as Go's gRPC library has it, for scripts look for the code.
#[derive(Debug, thiserror::Error)]
#[error("rpc error: code = {} desc = {words}", code_name(*code))]
pub(crate) struct Failure {
    code: Code,
    /// What went wrong, and often what to try.
    pub(crate) words: String,
}

impl Failure {
    pub(crate) fn of(code: Code, words: String) -> anyhow::Error {
        Self { code, words }.into()
    }
}

/// The name of a code in Go.
fn code_name(code: Code) -> String {
    match code {
        Code::Cancelled => "Canceled".to_owned(),
        code => format!("{code:?}"),
    }
}

/// What went wrong with a stream, in words. Hubble's servers return plain errors, with the code Unknown and a message for
/// people: of these `hubble observe` tells the message alone.
pub(crate) fn explain_stream(connection: &Connection, status: &Status) -> anyhow::Error {
    if status.code() == Code::Unknown && std::error::Error::source(status).is_none() {
        return anyhow!("{}", status.message());
    }
    connection.explain(status)
}

/// Refuses certificates and keys that cannot be read.
///
/// # Errors
/// A file is missing or holds none; the message names it.
pub(crate) fn check_tls(settings: &TlsSettings) -> Result<()> {
    tls::check(settings)
}

fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(deeper) = cause.source() {
        cause = deeper;
    }
    cause.to_string()
}

fn basic_authorization((user, password): &(String, String)) -> Result<MetadataValue<Ascii>> {
    let token = base64(format!("{user}:{password}").as_bytes());
    format!("Basic {token}").parse().context("the user or the password cannot be sent")
}

/// Base64 with padding (RFC 4648, section 4).
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for chunk in bytes.chunks(3) {
        let group = chunk.iter().fold(0u32, |group, byte| group << 8 | u32::from(*byte)) << (8 * (3 - chunk.len()));
        for i in 0..4 {
            let digit = DIGITS[(group >> (18 - 6 * i) & 63) as usize];
            text.push(if i <= chunk.len() { char::from(digit) } else { '=' });
        }
    }
    text
}

/// Opens one stream after the other to the same place.
#[derive(Clone)]
pub(crate) struct Dialer {
    target: Target,
    tls: Option<tokio_rustls::TlsConnector>,
    server_name: Option<String>,
    timeout: Duration,
}

impl Dialer {
    /// Dialler for HTTP/1.1.
    ///
    /// # Errors
    /// A certificate file cannot be read.
    pub(crate) fn http(target: Target, tls: Option<&TlsSettings>, timeout: Duration) -> Result<Self> {
        let connector = tls.map(|tls| tls::connector(tls, b"http/1.1")).transpose()?;
        Ok(Self { target, tls: connector, server_name: tls.and_then(|tls| tls.server_name.clone()), timeout })
    }

    /// Opens a stream.
    ///
    /// # Errors
    /// Nobody answers in time, or the TLS handshake failed.
    pub(crate) async fn dial(&self) -> Result<Box<dyn Stream>> {
        match tokio::time::timeout(self.timeout, self.dial_now()).await {
            Ok(result) => result,
            Err(_) => {
                let limit = format_span(u64::try_from(self.timeout.as_nanos()).unwrap_or(u64::MAX));
                Err(anyhow!("cannot connect to {}: no answer within {limit} (see --timeout)", self.target))
            }
        }
    }

    async fn dial_now(&self) -> Result<Box<dyn Stream>> {
        let plain: Box<dyn Stream> = match &self.target {
            Target::Tcp { host, port } => {
                let stream = TcpStream::connect((host.as_str(), *port)).await.map_err(|e| self.refused(&e))?;
                stream.set_nodelay(true).context("cannot set up the connection")?;
                Box::new(stream)
            }
            Target::Unix(path) => Box::new(UnixStream::connect(path).await.map_err(|e| self.refused(&e))?),
        };
        let Some(connector) = &self.tls else { return Ok(plain) };
        let name = self.server_name.clone().unwrap_or_else(|| self.target.host().to_owned());
        let server_name = ::tls::server_name(&name)
            .with_context(|| format!("{name:?} is not a name that a certificate can have: see --tls-server-name"))?;
        let stream = connector.connect(server_name, plain).await.map_err(|e| {
            anyhow!("cannot connect to {} with TLS: {e}; see --tls-ca-cert-files and --tls-server-name", self.target)
        })?;
        Ok(Box::new(stream))
    }

    fn refused(&self, error: &io::Error) -> anyhow::Error {
        let target = &self.target;
        match error.kind() {
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound => {
                let reason =
                    if error.kind() == io::ErrorKind::NotFound { "no such socket" } else { "connection refused" };
                anyhow!("cannot connect to {target}: {reason}; is weir running? try: weir up")
            }
            io::ErrorKind::PermissionDenied => {
                anyhow!("cannot connect to {target}: permission denied; run as root, or ask for access to the socket")
            }
            _ => anyhow!("cannot connect to {target}: {error}; is the address right? see --server"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_of_every_remainder() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("me:secret", "bWU6c2VjcmV0")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }
}
