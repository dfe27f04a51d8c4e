//! From rows to counts.

use std::collections::BTreeMap;
use std::ops::Range;

use arrow::array::TimestampMicrosecondArray;
use arrow::record_batch::RecordBatch;
use table::Col;
use table::column::Texts;

use super::counts::{DnsKey, DropKey, EdgeCounts, EdgeKey, SeenAt};
use super::names::Names;
use super::slice::Slice;
use crate::map;
use crate::map::columns::{Columns, L7, RowFacts, RowKind, Talk};
use crate::segment::column;

/// Microseconds of a minute.
pub(super) const MINUTE_US: i64 = 60_000_000;

/// Columns that counting reads.
pub(crate) const COLUMNS: &[&[Col]] =
    &[map::COLUMNS, &[Col::Time, Col::KernelDropFunction, Col::DnsQuery, Col::DnsQtypes]];

/// Status codes from here on say that the client was wrong.
const FIRST_CLIENT_ERROR: i64 = 400;
/// Status codes from here on say that the server failed.
const FIRST_SERVER_ERROR: i64 = 500;

/// Adds rows of a batch to the slices of their minutes.
pub(super) struct Adder<'a> {
    columns: Columns<'a>,
    times: &'a TimestampMicrosecondArray,
    verdict: Texts,
    function: Texts,
    dns_query: Texts,
    dns_qtypes: Texts,
    /// Numbers of name and record types by key of the DNS message.
    of_dns: Vec<Option<(u32, u32)>>,
}

/// A row of traffic, a drop or a record, turned from client to server.
struct Row {
    facts: RowFacts,
    is_reply: bool,
    talk: Talk,
    client: (u32, i64),
    server: u32,
}

impl<'a> Adder<'a> {
    pub(super) fn open(batch: &'a RecordBatch) -> Self {
        let shape = "segments have the table's shape";
        let texts = |col| Texts::of(batch, col).expect(shape);
        let dns_query = texts(Col::DnsQuery);
        Self {
            columns: Columns::open(batch),
            times: column(batch, Col::Time).expect(shape),
            verdict: texts(Col::Verdict),
            function: texts(Col::KernelDropFunction),
            of_dns: vec![None; arrow::array::Array::len(dns_query.values())],
            dns_query,
            dns_qtypes: texts(Col::DnsQtypes),
        }
    }

    /// Adds these rows; slices that are missing are made with room for `rows_max` rows a table.
    pub(super) fn add(
        &mut self,
        rows: Range<usize>,
        minutes: &mut BTreeMap<i64, Slice>,
        names: &mut Names,
        call: (u64, usize),
    ) {
        let (call, rows_max) = call;
        for row in rows {
            let minute = self.times.value(row).div_euclid(MINUTE_US);
            let slice = minutes.entry(minute).or_insert_with(|| Slice::new(rows_max));
            slice.touched = call;
            let facts = self.columns.facts(row);
            let is_reply = self.columns.is_reply(row);
            let talk = self.columns.talk(row, is_reply, facts.protocol, &mut names.fine);
            let (client, (server, _)) = (names.of_fine(talk.client), names.of_fine(talk.server));
            let turned = Row { facts, is_reply, talk, client, server };
            self.add_edge(row, &turned, slice);
            if self.verdict.get(row) == "DROPPED" {
                self.add_drop(row, &turned, slice, names);
            }
            if facts.l7 == L7::Dns && matches!(facts.kind, RowKind::Request | RowKind::Response) {
                self.add_dns(row, &turned, slice, names);
            }
        }
    }

    fn add_edge(&self, row: usize, turned: &Row, slice: &mut Slice) {
        let Row { facts, is_reply, talk, client, server } = turned;
        let seen_at = SeenAt::of(facts.view);
        let mut client_key = 0;
        if facts.kind == RowKind::Traffic {
            if seen_at.is_client() {
                slice.watched.insert(client.1);
            } else {
                client_key = client.1;
            }
        }
        let key = EdgeKey {
            client: client.0,
            server: *server,
            client_key,
            port: talk.port,
            protocol: talk.protocol.0,
            l7: facts.l7 as u8,
            seen_at,
        };
        let counts = slice.edges.get(key);
        counts.flows += 1;
        match facts.kind {
            RowKind::Traffic => {
                counts.reports += 1;
                let packets = self.columns.packets.get(row).cast_unsigned();
                counts.packets = counts.packets.saturating_add(packets);
                let way = if *is_reply { &mut counts.received } else { &mut counts.sent };
                *way = way.saturating_add(self.columns.bytes.get(row).cast_unsigned());
            }
            RowKind::Drop => {
                counts.drops += 1;
                counts.dropped = counts.dropped.saturating_add(self.columns.packets(row));
            }
            RowKind::Request | RowKind::Response | RowKind::Sample => self.add_record(row, *facts, counts),
        }
    }

    fn add_record(&self, row: usize, facts: RowFacts, counts: &mut EdgeCounts) {
        match facts.kind {
            RowKind::Request => counts.requests += 1,
            RowKind::Response => {
                counts.responses += 1;
                match facts.l7 {
                    L7::Http => {
                        let code = self.columns.http_code.get(row);
                        counts.errors_4xx += u64::from((FIRST_CLIENT_ERROR..FIRST_SERVER_ERROR).contains(&code));
                        counts.errors_5xx += u64::from(code >= FIRST_SERVER_ERROR);
                    }
                    L7::Dns => counts.dns_errors += u64::from(self.columns.dns_rcode.get(row) != 0),
                    L7::Kafka | L7::None => {}
                }
            }
            RowKind::Sample | RowKind::Traffic | RowKind::Drop => counts.samples += 1,
        }
        let latency_ns = self.columns.latency_ns.get(row).cast_unsigned();
        if latency_ns > 0 {
            counts.latency.add(latency_ns);
        }
    }

    fn add_drop(&self, row: usize, turned: &Row, slice: &mut Slice, names: &mut Names) {
        let Row { facts, is_reply, talk, client, server } = turned;
        let (source, destination) = if *is_reply { (*server, client.0) } else { (client.0, *server) };
        let key = DropKey {
            reason: names.text(self.columns.reason(row)),
            function: names.text(self.function.get(row)),
            source,
            destination,
            port: talk.port,
            protocol: talk.protocol.0,
            is_reply: *is_reply,
            is_request: facts.kind != RowKind::Drop,
        };
        let counts = slice.drops.get(key);
        counts.drops += 1;
        counts.packets = counts.packets.saturating_add(self.columns.packets(row));
    }

    fn add_dns(&mut self, row: usize, turned: &Row, slice: &mut Slice, names: &mut Names) {
        let (name, qtype) = self.dns_message(row, names);
        let rcode = self.columns.dns_rcode.get(row);
        let key = DnsKey {
            name: slice.dns_name(name, names),
            qtype,
            client: turned.client.0,
            rcode: u16::try_from(rcode).unwrap_or(u16::MAX),
        };
        let counts = slice.dns.get(key);
        if turned.facts.kind == RowKind::Request {
            counts.queries += 1;
        } else {
            counts.responses += 1;
            counts.failures += u64::from(rcode != 0);
        }
        let latency_ns = self.columns.latency_ns.get(row).cast_unsigned();
        if latency_ns > 0 {
            counts.latency.add(latency_ns);
        }
    }

    fn dns_message(&mut self, row: usize, names: &mut Names) -> (u32, u32) {
        let key = self.dns_query.key(row);
        if let Some(Some(known)) = self.of_dns.get(key) {
            return *known;
        }
        let name = names.text(self.dns_query.get(row));
        let qtype = names.text(&table::read_list(self.dns_qtypes.get(row)).join(","));
        if let Some(known) = self.of_dns.get_mut(key) {
            *known = Some((name, qtype));
        }
        (name, qtype)
    }
}
