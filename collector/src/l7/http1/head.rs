//! Heads of requests and responses.

use std::borrow::Cow;
use std::mem::MaybeUninit;

use flow::Http;
use httparse::{Header, ParserConfig, Status};

use super::fields::{BodyLength, Fields, HeaderRules};
use super::framing::{Chunked, State};
use super::url;
use crate::l7::L7Config;
use crate::l7::context::Context;
use crate::redact::without_password;

/// Header lines of one head that are read; a longer head is read as far as these.
const LINES_MAX: usize = 128;

/// A chunked body that has not begun.
const CHUNKED: State = State::Chunked(Chunked::Size { value: 0, digits: 0 });

/// Limits and choices for HTTP.
#[derive(Debug)]
pub(in crate::l7) struct HttpRules {
    /// Bytes of one head.
    pub(super) head_bytes_max: usize,
    /// Requests that wait for their response.
    pub(super) pipeline_max: usize,
    /// Bytes of a URL.
    pub(super) url_bytes_max: usize,
    /// Whether the query of a URL is cut off.
    pub(super) redact_url_query: bool,
    /// Whether the passwords of URLs stay.
    pub(in crate::l7) shows_passwords: bool,
    /// Which headers are kept.
    pub(super) headers: HeaderRules,
}

impl HttpRules {
    /// Prepares the configuration. Limits too small to read anything are raised.
    pub(in crate::l7) fn new(config: &L7Config) -> Self {
        Self {
            head_bytes_max: config.head_bytes_max.max(256),
            pipeline_max: config.pipeline_max.max(1),
            url_bytes_max: config.url_bytes_max.max(16),
            redact_url_query: config.redact_url_query,
            shows_passwords: false,
            headers: HeaderRules::new(&config.http_headers),
        }
    }
}

/// Head of a request.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) http: Http,
    pub(super) trace_id: String,
    /// What follows the head.
    pub(super) body: State,
}

/// Head of a response.
#[derive(Debug)]
pub(super) struct Response {
    /// Method and URL are empty.
    pub(super) http: Http,
    pub(super) trace_id: String,
    /// What follows the head.
    pub(super) body: State,
}

/// Reads the head of a request; of one that is not whole, the complete lines. `None` for what is none.
pub(super) fn request(bytes: &[u8], whole: bool, cx: &mut Context<'_>) -> Option<Request> {
    let (bytes, whole) = complete_lines(bytes, whole, cx)?;
    let mut lines = [const { MaybeUninit::<Header<'_>>::uninit() }; LINES_MAX];
    let mut head = httparse::Request::new(&mut []);
    let mut config = ParserConfig::default();
    config.ignore_invalid_headers_in_requests(true);
    let Ok(Status::Complete(_)) = config.parse_request_with_uninit_headers(&mut head, &bytes, &mut lines) else {
        return None;
    };
    let (method, target) = (head.method?, head.path?);
    let rules = &cx.rules.http;
    let fields = Fields::read(head.headers, &rules.headers);
    let mut full = url::escaped(url::absolute(method, target, fields.host, cx.origin.tuple.server));
    // Before it is cut: what was half of a password would stay.
    if !rules.shows_passwords
        && let Cow::Owned(without) = without_password(&full)
    {
        full = without;
    }
    if rules.redact_url_query {
        url::cut_query(&mut full);
    }
    cx.stats.urls_cut += u64::from(url::cut(&mut full, rules.url_bytes_max));
    let body = match fields.body {
        _ if !whole => State::Lost,
        BodyLength::None => State::Head,
        BodyLength::Known(length) => length_state(length),
        BodyLength::Chunked => CHUNKED,
        // A request cannot end with the connection, so nobody can tell where this one ends.
        BodyLength::OtherCoding | BodyLength::Contradictory => State::Lost,
    };
    let http =
        Http { code: 0, method: method.to_owned(), url: full, protocol: protocol(head.version), headers: fields.kept };
    Some(Request { http, trace_id: fields.trace_id, body })
}

/// Reads the head of the response to a request of this method; of one that is not whole, the complete lines. `None` for
/// what is none.
pub(super) fn response(bytes: &[u8], whole: bool, method: Option<&str>, cx: &mut Context<'_>) -> Option<Response> {
    let (bytes, whole) = complete_lines(bytes, whole, cx)?;
    let mut lines = [const { MaybeUninit::<Header<'_>>::uninit() }; LINES_MAX];
    let mut head = httparse::Response::new(&mut []);
    let mut config = ParserConfig::default();
    config.ignore_invalid_headers_in_responses(true).allow_spaces_after_header_name_in_responses(true);
    let Ok(Status::Complete(_)) = config.parse_response_with_uninit_headers(&mut head, &bytes, &mut lines) else {
        return None;
    };
    let code = head.code?;
    let fields = Fields::read(head.headers, &cx.rules.http.headers);
    let body = match (code, method) {
        (101, _) | (200..300, Some("CONNECT")) => State::Tunnel,
        _ if !whole => State::Lost,
        (100..200 | 204 | 304, _) | (_, Some("HEAD")) => State::Head,
        _ => match fields.body {
            BodyLength::Known(length) => length_state(length),
            BodyLength::Chunked => CHUNKED,
            BodyLength::None | BodyLength::OtherCoding => State::UntilClose,
            BodyLength::Contradictory => State::Lost,
        },
    };
    let http =
        Http { code: u32::from(code), protocol: protocol(head.version), headers: fields.kept, ..Http::default() };
    Some(Response { http, trace_id: fields.trace_id, body })
}

const fn length_state(length: u64) -> State {
    if length == 0 { State::Head } else { State::Length(length) }
}

/// As Hubble writes it, where 1.0 has no minor version.
fn protocol(minor: Option<u8>) -> String {
    if minor == Some(0) { "HTTP/1" } else { "HTTP/1.1" }.to_owned()
}

/// Makes a head of the complete lines of one that is cut or has too many lines; returns whether it was whole.
///
/// `None` where not even the first line is complete.
fn complete_lines<'a>(bytes: &'a [u8], whole: bool, cx: &mut Context<'_>) -> Option<(Cow<'a, [u8]>, bool)> {
    let flood = memchr::memchr_iter(b'\n', bytes).nth(LINES_MAX);
    let last = match flood {
        // The first line is not a header and the blank one counts as well, so `LINES_MAX` is never exceeded.
        Some(at) if at + 1 < bytes.len() => {
            // One that is not whole is counted as that.
            cx.stats.header_floods += u64::from(whole);
            at
        }
        _ if whole => return Some((Cow::Borrowed(bytes), true)),
        _ => memchr::memrchr(b'\n', bytes)?,
    };
    let mut lines = bytes[..=last].to_vec();
    lines.extend_from_slice(b"\r\n");
    Some((Cow::Owned(lines), false))
}
