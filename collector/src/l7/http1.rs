//! HTTP/1.0 and 1.1: requests and responses of one connection, paired in order.

use std::collections::VecDeque;

use flow::{L7Record, Timestamp};

use super::L7Stats;
use super::context::Context;
use super::stream::Parser;

mod fields;
mod framing;
mod head;
mod url;

use framing::{Half, State, Step};
pub(super) use head::HttpRules;

/// Heads in sequence that make no sense before the connection counts as something else.
const FAILURES_MAX: u8 = 3;

/// Both directions of one HTTP/1 connection.
#[derive(Debug, Default)]
pub(super) struct Http1 {
    requests: Half,
    responses: Half,
    /// Requests that wait for their response, in order.
    pending: VecDeque<Pending>,
    /// Requests that came after those in `pending` and wait too, but are not remembered, for lack of room.
    beyond: u64,
    failures: u8,
    /// No longer HTTP: a tunnel, an upgraded connection, or never was.
    finished: bool,
}

/// What a response repeats of its request.
#[derive(Debug)]
struct Pending {
    method: String,
    url: String,
    trace_id: String,
    first_byte: Timestamp,
}

impl Parser for Http1 {
    fn feed(&mut self, from_client: bool, bytes: &[u8], at_start: bool, cx: &mut Context<'_>) {
        let expects = self.waiting() > 0;
        let half = self.half(from_client);
        if at_start {
            half.begin_write(from_client, bytes, from_client || expects, cx);
        }
        let mut rest = bytes;
        while !rest.is_empty() && !self.finished {
            let step = self.half(from_client).advance(from_client, &mut rest, cx);
            self.step(from_client, step, cx);
        }
    }

    fn skip(&mut self, from_client: bool, count: u64, cx: &mut Context<'_>) {
        let step = self.half(from_client).pass_over(count);
        self.step(from_client, step, cx);
    }

    fn close(&mut self, stats: &mut L7Stats) {
        stats.http_unanswered += self.waiting();
        stats.http_unfinished += u64::from(self.requests.is_in_head()) + u64::from(self.responses.is_in_head());
        *self = Self { finished: true, ..Self::default() };
    }

    fn is_finished(&self) -> bool {
        self.finished
    }

    fn bytes_held(&self) -> usize {
        let pending = self.pending.iter().map(Pending::bytes_held).sum::<usize>();
        self.requests.bytes_held() + self.responses.bytes_held() + pending
    }
}

impl Http1 {
    fn half(&mut self, from_client: bool) -> &mut Half {
        if from_client { &mut self.requests } else { &mut self.responses }
    }

    /// Requests that wait for their response.
    fn waiting(&self) -> u64 {
        self.pending.len() as u64 + self.beyond
    }

    /// Takes out the request that is answered next; `None` where it is not known.
    fn answer(&mut self) -> Option<Pending> {
        let request = self.pending.pop_front();
        if request.is_none() {
            self.beyond = self.beyond.saturating_sub(1);
        }
        request
    }

    fn step(&mut self, from_client: bool, step: Step<'_>, cx: &mut Context<'_>) {
        // What is missing of a head, for the counter of it: (cut, too long).
        let (bytes, missing) = match step {
            Step::Nothing => return,
            Step::Malformed => return self.fail(from_client, cx),
            Step::Head(bytes) => (bytes, (0, 0)),
            Step::CutHead(bytes) => (bytes, (1, 0)),
            Step::LongHead(bytes) => (bytes, (0, 1)),
        };
        let whole = missing == (0, 0);
        let half = self.half(from_client);
        let found = std::mem::take(&mut half.searching);
        let in_sync =
            if from_client { self.request(&bytes, whole, cx) } else { self.response(&bytes, found, whole, cx) };
        if in_sync {
            self.failures = 0;
            cx.stats.resyncs += u64::from(found);
            cx.stats.heads_cut += missing.0;
            cx.stats.heads_too_long += missing.1;
        } else if found {
            // What looked like the start of a message in the middle of a body was none.
            self.half(from_client).lose();
        } else {
            self.fail(from_client, cx);
        }
    }

    fn fail(&mut self, from_client: bool, cx: &mut Context<'_>) {
        cx.stats.http_malformed += 1;
        self.half(from_client).lose();
        self.failures += 1;
        if self.failures >= FAILURES_MAX {
            cx.stats.opaque += 1;
            self.close(cx.stats);
        }
    }

    /// Takes the head of a request; returns whether it is one.
    fn request(&mut self, bytes: &[u8], whole: bool, cx: &mut Context<'_>) -> bool {
        let Some(request) = head::request(bytes, whole, cx) else { return false };
        let first_byte = self.requests.first_byte;
        if self.beyond > 0 || self.pending.len() >= cx.rules.http.pipeline_max {
            // Responses come in order, so what is forgotten has to be the newest.
            cx.stats.pipelines_too_deep += 1;
            self.beyond += 1;
        } else {
            self.pending.push_back(Pending {
                method: request.http.method.clone(),
                url: request.http.url.clone(),
                trace_id: request.trace_id.clone(),
                first_byte,
            });
        }
        self.requests.enter(request.body);
        cx.stats.http_requests += 1;
        cx.emit_request(first_byte, L7Record::Http(request.http), request.trace_id);
        true
    }

    /// Takes the head of a response; returns whether it is one.
    fn response(&mut self, bytes: &[u8], found: bool, whole: bool, cx: &mut Context<'_>) -> bool {
        let method = self.pending.front().map(|p| p.method.as_str());
        let Some(mut response) = head::response(bytes, whole, method, cx) else { return false };
        if (100..200).contains(&response.http.code) && response.http.code != 101 {
            cx.stats.http_interim += 1;
            self.responses.enter(State::Head);
            return true;
        }
        if found {
            // Responses may have been among the missing bytes. Without pipelining this one answers the last request.
            cx.stats.http_unanswered += self.waiting().saturating_sub(1);
            let last = if self.beyond == 0 { self.pending.pop_back() } else { None };
            self.pending.clear();
            self.pending.extend(last);
            self.beyond = self.beyond.min(1);
        }
        let request = self.answer();
        cx.stats.http_unpaired += u64::from(request.is_none());
        // Without its request nobody knows whether a body follows (HEAD), so the length is not to be trusted.
        self.responses.loose = request.is_none();
        // An answer before the end of the request's body: the client may leave the rest out.
        self.requests.loosen(self.waiting() == 0);
        self.responses.enter(response.body);
        let (asked, trace_id) = match request {
            Some(request) => {
                response.http.method = request.method;
                response.http.url = request.url;
                (Some(request.first_byte), request.trace_id)
            }
            None => (None, response.trace_id),
        };
        cx.stats.http_responses += 1;
        cx.emit_response(self.responses.first_byte, asked, L7Record::Http(response.http), trace_id);
        if self.responses.is_tunnel() {
            cx.stats.tunnels += 1;
            self.close(cx.stats);
        }
        true
    }
}

impl Pending {
    fn bytes_held(&self) -> usize {
        std::mem::size_of::<Self>() + self.method.capacity() + self.url.capacity() + self.trace_id.capacity()
    }
}
