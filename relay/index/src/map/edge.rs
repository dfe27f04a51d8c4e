//! Counts of conversations, as finely as parties can be told apart.

use arrow::array::{AsArray, Int64Array};
use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::columns::{Columns, L7, Protocol, RowFacts, RowKind, Talk, View};
use super::latency::Latencies;
use super::views::{Traffic, Views};
use super::{FewTexts, Parties, Party};
use crate::rollup::read::{DropRows, EdgeRow, EdgeRows, text_at};
use crate::{Rollup, RollupKind, Search, Segment};

/// All conversations met so far.
#[derive(Debug, Default)]
pub(crate) struct Edges {
    pub(crate) parties: Parties,
    numbers: HashMap<Talk, u32, RandomState>,
    talks: Vec<Talk>,
    edges: Vec<Edge>,
    pub(crate) reasons: FewTexts,
    /// Keys of parties whose own node reports what they send as clients; from rollups, rows tell it themselves.
    watched: HashSet<i64, RandomState>,
    /// What the server's side saw of clients of which rollups do not tell whether they are watched: number of the edge,
    /// key of the client, view.
    unsettled: Vec<(u32, i64, usize, Traffic)>,
}

/// Counts of one conversation.
#[derive(Clone, Debug, Default)]
pub(crate) struct Edge {
    views: Views,
    /// Reports of drops.
    pub(crate) drops: u64,
    /// Packets dropped.
    pub(crate) dropped: u64,
    /// Packets dropped by number of the reason.
    pub(crate) reasons: Vec<(u32, u64)>,
    pub(crate) requests: u64,
    pub(crate) responses: u64,
    pub(crate) samples: u64,
    pub(crate) errors: u64,
    pub(crate) latencies: Latencies,
    pub(crate) l7: Option<L7>,
}

/// Views of the client's node, the best first.
const CLIENT_VIEWS: [usize; 2] = [View::ClientEndpoint as usize, View::ClientNetwork as usize];

/// Other views, the best first.
const SERVER_VIEWS: [usize; 3] = [View::ServerEndpoint as usize, View::ServerNetwork as usize, View::Unknown as usize];

/// Conversations that are told apart; more share one that has no port, then one that has no parties either.
const EDGES_MAX: usize = 200_000;

/// Status codes from here on say that the server failed.
const FIRST_SERVER_ERROR: i64 = 500;

impl Edges {
    /// Adds the rows of a segment that a search asks for.
    pub(crate) fn add(&mut self, segment: &Segment, search: &Search) {
        let marked = segment.matching(search);
        if !marked.has_true() {
            return;
        }
        let mut columns = Columns::open(segment.batch());
        if marked.count_set_bits() == segment.rows() {
            for row in 0..segment.rows() {
                self.add_row(&mut columns, row);
            }
        } else {
            for row in marked.set_indices() {
                self.add_row(&mut columns, row);
            }
        }
    }

    #[inline]
    fn add_row(&mut self, columns: &mut Columns<'_>, row: usize) {
        let facts = columns.facts(row);
        let is_reply = columns.is_reply(row);
        let talk = columns.talk(row, is_reply, facts.protocol, &mut self.parties);
        let number = self.number(talk);
        let edge = &mut self.edges[number];
        match facts.kind {
            RowKind::Traffic => {
                let traffic = edge.views.at((facts.view as usize, false));
                let bytes = columns.bytes.get(row).cast_unsigned();
                traffic.flows += 1;
                traffic.packets = traffic.packets.saturating_add(columns.packets.get(row).cast_unsigned());
                let way = if is_reply { &mut traffic.received } else { &mut traffic.sent };
                *way = way.saturating_add(bytes);
            }
            RowKind::Drop => {
                let packets = columns.packets(row);
                let reason = self.reasons.number(columns.reason(row));
                edge.drops += 1;
                edge.dropped = edge.dropped.saturating_add(packets);
                edge.add_reason(reason, packets);
            }
            RowKind::Request | RowKind::Response | RowKind::Sample => edge.add_record(columns, row, facts),
        }
    }

    #[inline]
    fn number(&mut self, talk: Talk) -> usize {
        if let Some(number) = self.numbers.get(&talk) {
            return *number as usize;
        }
        self.new_number(talk)
    }

    fn new_number(&mut self, talk: Talk) -> usize {
        let mut talk = talk;
        if self.edges.len() >= EDGES_MAX {
            talk.port = 0;
            if !self.numbers.contains_key(&talk) && self.edges.len() >= 2 * EDGES_MAX {
                (talk.client, talk.server) = (0, 0);
            }
            if let Some(number) = self.numbers.get(&talk) {
                return *number as usize;
            }
        }
        let number = self.edges.len();
        self.edges.push(Edge::default());
        self.talks.push(talk);
        self.numbers.insert(talk, u32::try_from(number).expect("below twice the limit, and a few"));
        number
    }

    /// Adds the counts of rollups.
    pub(crate) fn add_rollup(&mut self, rollup: &Rollup) {
        let parties = &mut self.parties;
        let rows = EdgeRows::open(rollup.batch(RollupKind::Edges));
        let clients = rows.client.numbers(|party| parties.number(party));
        let servers = rows.server.numbers(|party| parties.number(party));
        for (row, (client, server)) in clients.into_iter().zip(servers).enumerate() {
            self.add_counts(client, server, &rows.row(row), rows.sketch(row));
        }
        self.add_reasons(&DropRows::open(rollup.batch(RollupKind::Drops)));
        let watched: &Int64Array = rollup.batch(RollupKind::Watched).column(1).as_primitive();
        self.watched.extend(watched.values());
    }

    fn add_counts(&mut self, client: u32, server: u32, row: &EdgeRow, sketch: &[u8]) {
        let talk = Talk { client, server, port: row.port, protocol: Protocol(row.protocol) };
        let number = self.number(talk);
        let counts = &row.counts;
        let traffic =
            Traffic { flows: counts.reports, sent: counts.sent, received: counts.received, packets: counts.packets };
        let edge = &mut self.edges[number];
        let view = row.seen_at.view();
        if row.client_key != 0 {
            let number = u32::try_from(number).expect("edges are counted in 32 bits");
            self.unsettled.push((number, row.client_key, view, traffic));
        } else {
            edge.views.at((view, row.seen_at.is_repeated())).add(traffic);
        }
        for (ours, theirs) in [
            (&mut edge.drops, counts.drops),
            (&mut edge.dropped, counts.dropped),
            (&mut edge.requests, counts.requests),
            (&mut edge.responses, counts.responses),
            (&mut edge.samples, counts.samples),
            (&mut edge.errors, counts.errors_5xx.saturating_add(counts.dns_errors)),
        ] {
            *ours = ours.saturating_add(theirs);
        }
        edge.add_l7(L7::of_number(row.l7));
        if !sketch.is_empty() {
            edge.latencies.join_encoded(sketch);
        }
    }

    fn add_reasons(&mut self, rows: &DropRows<'_>) {
        let parties = &mut self.parties;
        let sources = rows.source.numbers(|party| parties.number(party));
        let destinations = rows.destination.numbers(|party| parties.number(party));
        for row in 0..sources.len() {
            if rows.is_request.value(row) {
                continue;
            }
            let (source, destination) = (sources[row], destinations[row]);
            let (client, server) = if rows.is_reply.value(row) { (destination, source) } else { (source, destination) };
            let port = u16::try_from(rows.port.value(row)).unwrap_or_default();
            let number = self.number(Talk { client, server, port, protocol: Protocol(rows.protocols[row]) });
            let reason = self.reasons.number(text_at(&rows.reason, row));
            self.edges[number].add_reason(reason, rows.packets.value(row).cast_unsigned());
        }
    }

    /// Marks what the server's side saw of clients whose own node reports the same. Call it once, after everything was
    /// added.
    pub(crate) fn settle(&mut self) {
        let mut by_number = vec![false; self.parties.len()];
        for (talk, edge) in self.talks.iter().zip(&self.edges) {
            by_number[talk.client as usize] |= CLIENT_VIEWS.iter().any(|view| edge.views.get((*view, false)).flows > 0);
        }
        let keys: Vec<i64> = self.parties.iter().map(Party::key).collect();
        if !self.watched.is_empty() {
            for (watched, key) in by_number.iter_mut().zip(&keys) {
                *watched |= self.watched.contains(key);
            }
        }
        for (talk, edge) in self.talks.iter().zip(&mut self.edges) {
            if by_number[talk.client as usize] {
                SERVER_VIEWS.into_iter().for_each(|view| edge.views.repeat(view));
            }
        }
        let of_rows = by_number.iter().zip(&keys).filter(|(watched, _)| **watched).map(|(_, key)| *key);
        self.watched.extend(of_rows);
        for (number, client_key, view, traffic) in std::mem::take(&mut self.unsettled) {
            let edge = &mut self.edges[number as usize];
            edge.views.at((view, self.watched.contains(&client_key))).add(traffic);
        }
    }

    /// Adds what another thread counted.
    pub(crate) fn join(mut self, other: Self) -> Self {
        let numbers: Vec<u32> = other.parties.iter().map(|party| self.parties.number(party.clone())).collect();
        let reasons: Vec<u32> = other.reasons.iter().map(|reason| self.reasons.number(reason)).collect();
        let mine: Vec<usize> = other
            .talks
            .into_iter()
            .zip(other.edges)
            .map(|(talk, edge)| {
                let (client, server) = (numbers[talk.client as usize], numbers[talk.server as usize]);
                let known = self.edges.len();
                let number = self.number(Talk { client, server, ..talk });
                if number < known {
                    self.edges[number].join(&edge, &reasons);
                } else {
                    self.edges[number] = edge.with_reasons(&reasons);
                }
                number
            })
            .collect();
        self.watched.extend(other.watched);
        for (number, client_key, view, traffic) in other.unsettled {
            let number = u32::try_from(mine[number as usize]).expect("edges are counted in 32 bits");
            self.unsettled.push((number, client_key, view, traffic));
        }
        self
    }

    /// Conversations.
    pub(crate) const fn len(&self) -> usize {
        self.edges.len()
    }

    /// Takes the conversations out.
    pub(crate) fn take(&mut self) -> impl Iterator<Item = (Talk, Edge)> {
        self.numbers = HashMap::default();
        std::mem::take(&mut self.talks).into_iter().zip(std::mem::take(&mut self.edges))
    }
}

impl Edge {
    fn add_record(&mut self, columns: &Columns<'_>, row: usize, facts: RowFacts) {
        if facts.l7 != L7::None {
            self.add_l7(Some(facts.l7));
        }
        match facts.kind {
            RowKind::Request => self.requests += 1,
            RowKind::Response => {
                self.responses += 1;
                let failed = match facts.l7 {
                    L7::Http => columns.http_code.get(row) >= FIRST_SERVER_ERROR,
                    L7::Dns => columns.dns_rcode.get(row) != 0,
                    L7::Kafka | L7::None => false,
                };
                self.errors += u64::from(failed);
            }
            RowKind::Sample | RowKind::Traffic | RowKind::Drop => self.samples += 1,
        }
        let latency_ns = columns.latency_ns.get(row).cast_unsigned();
        if latency_ns > 0 {
            self.latencies.add(latency_ns);
        }
    }

    fn add_reason(&mut self, reason: u32, packets: u64) {
        match self.reasons.iter_mut().find(|(number, _)| *number == reason) {
            Some((_, count)) => *count = count.saturating_add(packets),
            None => self.reasons.push((reason, packets)),
        }
    }

    /// The same with the numbers that its reasons have in another thread.
    fn with_reasons(mut self, reasons: &[u32]) -> Self {
        self.reasons.iter_mut().for_each(|(reason, _)| *reason = reasons[*reason as usize]);
        self
    }

    /// Adds the counts of the same conversation from another thread.
    fn join(&mut self, other: &Self, reasons: &[u32]) {
        self.add_traffic(other);
        self.add_all_but_traffic(other, |reason| reasons[reason as usize]);
    }

    /// Adds the counts of another conversation that a coarser map shows as the same, drops and records.
    pub(crate) fn add_all_but_traffic(&mut self, other: &Self, number: impl Fn(u32) -> u32) {
        self.drops = self.drops.saturating_add(other.drops);
        self.dropped = self.dropped.saturating_add(other.dropped);
        for (reason, packets) in &other.reasons {
            self.add_reason(number(*reason), *packets);
        }
        self.requests = self.requests.saturating_add(other.requests);
        self.responses = self.responses.saturating_add(other.responses);
        self.samples = self.samples.saturating_add(other.samples);
        self.errors = self.errors.saturating_add(other.errors);
        self.latencies.join(&other.latencies);
        self.add_l7(other.l7);
    }

    /// Of several protocols on one port the first by number stands, whatever came first.
    fn add_l7(&mut self, l7: Option<L7>) {
        self.l7 = [self.l7, l7].into_iter().flatten().min();
    }

    /// Adds what was seen of another conversation that a coarser map shows as the same.
    pub(crate) fn add_traffic(&mut self, other: &Self) {
        self.views.add(&other.views);
    }

    /// What passed: the client's side of watched clients and the server's side of the others. Only where both say
    /// nothing, the server's side of watched clients counts, so that what one node lost does not vanish.
    pub(crate) fn best_traffic(&self) -> Traffic {
        let best = |views: &[usize], is_repeated: bool| {
            let seen = views.iter().map(|view| self.views.get((*view, is_repeated)));
            seen.into_iter().find(|traffic| traffic.flows > 0).unwrap_or_default()
        };
        let mut sum = best(&CLIENT_VIEWS, false);
        sum.add(best(&SERVER_VIEWS, false));
        if sum.flows > 0 { sum } else { best(&SERVER_VIEWS, true) }
    }
}
