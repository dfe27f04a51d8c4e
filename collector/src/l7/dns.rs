//! DNS over UDP and TCP: queries and answers, paired by addresses, id and question.

use std::hash::BuildHasher;
use std::time::Duration;

use flow::{Dns, L7Record, Timestamp};
use foldhash::fast::RandomState;

use super::context::Context;
use super::{L7Config, L7Stats, Transport};
use crate::recent::Recent;

mod kinds;
mod message;
mod name;
mod stream;

use message::Message;
pub(super) use stream::DnsStream;

/// Who observed a record, in the place where Cilium's DNS proxy writes `proxy`.
const OBSERVATION_SOURCE: &str = "wire";
/// Longest time a message takes from one point of a node to another. Nobody asks again so soon.
const PASSAGE_MAX: Duration = Duration::from_millis(500);

/// Queries that wait for their answer, and answered ones for a while, so that the same message seen at a second point is
/// known as such.
#[derive(Debug)]
pub(super) struct Queries {
    known: Recent<Key, Query>,
    timeout: Duration,
    hasher: RandomState,
}

/// What pairs a query with its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    client: std::net::SocketAddr,
    server: std::net::SocketAddr,
    netns: u64,
    tcp: bool,
    id: u16,
    /// Keyed hash of name and type: the name itself may be 255 bytes long.
    question: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Query {
    /// When it was asked first; where only the answer was seen, when that was.
    since: Timestamp,
    /// Last query that was news.
    asked: Option<Sighting>,
    /// Last answer that was news.
    answered: Option<Sighting>,
}

/// Where and when a message was seen first.
#[derive(Clone, Copy, Debug)]
struct Sighting {
    point: u64,
    time: Timestamp,
}

impl Sighting {
    /// Whether another sighting is of the same message on its way past another point.
    fn repeats(self, earlier: Option<Self>) -> bool {
        earlier.is_some_and(|earlier| earlier.point != self.point && self.time.since(earlier.time) < PASSAGE_MAX)
    }
}

impl Queries {
    /// No queries.
    pub(super) fn new(config: &L7Config) -> Self {
        Self {
            known: Recent::new(config.dns_pending_max),
            timeout: Duration::from_secs(config.dns_timeout_seconds),
            hasher: RandomState::default(),
        }
    }

    /// Queries held, answered ones that are still remembered included.
    pub(super) fn len(&self) -> usize {
        self.known.len()
    }

    /// Forgets what is too old and counts the queries among it that had no answer.
    pub(super) fn expire(&mut self, now: Timestamp, stats: &mut L7Stats) {
        while self.known.oldest().is_some_and(|(_, query)| now.since(query.since) > self.timeout) {
            let query = self.known.pop_oldest();
            stats.dns_unanswered += u64::from(query.is_some_and(|(_, query)| query.answered.is_none()));
        }
    }

    /// Notes a query; returns whether it is news.
    fn ask(&mut self, key: Key, sighting: Sighting, stats: &mut L7Stats) -> bool {
        let fresh = Query { since: sighting.time, asked: Some(sighting), answered: None };
        match self.known.get_mut(&key) {
            Some(known) if sighting.repeats(known.asked) => return false,
            // Asked again before the answer: the latency counts from the first time.
            Some(known) if known.answered.is_none() => known.asked = Some(sighting),
            // A query with an answer has done its duty: its id is used anew. It goes behind those that are older now.
            Some(_) | None => self.remember(key, fresh, stats),
        }
        true
    }

    /// Notes an answer; returns whether it is news and when its query was asked.
    fn answer(&mut self, key: Key, sighting: Sighting, stats: &mut L7Stats) -> (bool, Option<Timestamp>) {
        match self.known.get_mut(&key) {
            Some(known) if sighting.repeats(known.answered) => (false, None),
            Some(known) => {
                known.answered = Some(sighting);
                (true, known.asked.map(|_| known.since))
            }
            None => {
                stats.dns_unpaired += 1;
                self.remember(key, Query { since: sighting.time, answered: Some(sighting), ..Query::default() }, stats);
                (true, None)
            }
        }
    }

    fn remember(&mut self, key: Key, query: Query, stats: &mut L7Stats) {
        if let Some((_, evicted)) = self.known.insert(key, query) {
            stats.dns_evicted += u64::from(evicted.answered.is_none());
        }
    }
}

/// Takes one message and gives out its record. `cut` tells that bytes beyond `bytes` were not captured.
pub(super) fn message(bytes: &[u8], cut: bool, point: u64, cx: &mut Context<'_>) {
    let message = match message::read(bytes, cut) {
        Ok(message) => message,
        Err(message::Unreadable::NoQuestion) => {
            cx.stats.dns_no_question += 1;
            return;
        }
        Err(message::Unreadable::Malformed) => {
            cx.stats.dns_malformed += 1;
            return;
        }
    };
    cx.stats.dns_cut += u64::from(message.incomplete);
    let origin = cx.origin;
    let key = Key {
        client: origin.tuple.client,
        server: origin.tuple.server,
        netns: origin.netns,
        tcp: origin.transport == Transport::Tcp,
        id: message.id,
        question: cx.queries.hasher.hash_one((message.query.as_str(), message.qtype)),
    };
    let sighting = Sighting { point, time: cx.time };
    if message.is_response {
        let (news, asked) = cx.queries.answer(key, sighting, cx.stats);
        if news {
            cx.stats.dns_responses += 1;
            cx.emit_response(cx.time, asked, record(message), String::new());
            return;
        }
    } else if cx.queries.ask(key, sighting, cx.stats) {
        cx.stats.dns_queries += 1;
        cx.emit_request(cx.time, record(message), String::new());
        return;
    }
    cx.stats.dns_repeats += 1;
}

/// Whether a message is a response, from its header; `None` where there is no header.
pub(super) fn is_response(bytes: &[u8]) -> Option<bool> {
    bytes.get(2).map(|flags| flags & 0x80 != 0)
}

fn record(message: Message) -> L7Record {
    L7Record::Dns(Dns {
        query: message.query,
        ips: message.ips.iter().map(ToString::to_string).collect(),
        ttl_seconds: message.ttl_seconds,
        cnames: message.cnames,
        observation_source: OBSERVATION_SOURCE.to_owned(),
        rcode: message.rcode,
        qtypes: vec![kinds::name(message.qtype)],
        rrtypes: message.rrtypes.into_iter().map(kinds::name).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(id: u16) -> Key {
        let address = "10.0.0.1:53".parse().unwrap();
        Key { client: address, server: address, netns: 1, tcp: false, id, question: 1 }
    }

    fn at(second: i64) -> Sighting {
        Sighting { point: 1, time: Timestamp(second * Timestamp::NANOS_PER_SECOND) }
    }

    /// Who resolves one name again and again uses one key again and again.
    #[test]
    fn a_question_that_is_asked_again_keeps_no_older_one_from_its_end() {
        let (mut queries, mut stats) = (Queries::new(&L7Config::default()), L7Stats::default());
        let timeout = i64::try_from(L7Config::default().dns_timeout_seconds).unwrap();
        assert!(queries.ask(key(1), at(0), &mut stats) && queries.answer(key(1), at(0), &mut stats).0);
        for id in 2..5 {
            assert!(queries.ask(key(id), at(0), &mut stats));
        }
        assert!(queries.ask(key(1), at(timeout), &mut stats));
        queries.expire(at(timeout + 1).time, &mut stats);
        assert_eq!((queries.len(), stats.dns_unanswered, stats.dns_evicted), (1, 3, 0));
        assert_eq!(queries.answer(key(1), at(timeout + 1), &mut stats), (true, Some(at(timeout).time)));
    }
}
