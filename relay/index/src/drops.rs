//! What was dropped, why and where.

use std::sync::Arc;

use flow::view::{DropGroup, DropSummary, FlowRow};
use flow::{Flow, Verdict};
use table::column::Texts;
use table::{BatchFilter, Col};

use crate::files::Chunk;
use crate::map::{COLUMNS, Columns, FewTexts, Part, Parties, in_parallel, parts};
use crate::scan::Opened;
use crate::segment::as_u64;
use crate::{Search, Segment, Snapshot};

mod groups;
mod shown;
mod timeline;

use groups::{Alike, Counts, Groups};
use shown::Shown;
use timeline::Timeline;

/// Drops met so far.
#[derive(Debug, Default)]
struct Drops {
    parties: Parties,
    names: FewTexts,
    groups: Groups,
    timeline: Timeline,
    total: u64,
}

pub(crate) fn drop_summary(snapshot: &Snapshot, search: &Search, groups_max: usize) -> DropSummary {
    let counted = in_parallel(&parts(snapshot, search), |parts| {
        let mut drops = Drops::default();
        parts.iter().for_each(|part| drops.add_part(part, search));
        drops
    });
    let drops = counted.into_iter().reduce(Drops::join).unwrap_or_default();
    let (total, timeline) = (drops.total, drops.timeline.slices(&drops.names));
    let groups = drops.groups(groups_max);
    let told = groups.iter().fold(0_u64, |sum, group| sum.saturating_add(group.packets));
    DropSummary { total, groups, left_out: total.saturating_sub(told), timeline, ..DropSummary::default() }
}

impl Drops {
    fn add_part(&mut self, part: &Part<'_>, search: &Search) {
        match part {
            _ if !search.asker.is_there() => {}
            Part::Hot(segment) => {
                let rows = marked(segment, search);
                if !rows.is_empty() {
                    let opened = Arc::new(Opened::new(Arc::clone(segment)));
                    self.add(segment, rows, |row| Seen {
                        seq: segment.first_seq() + as_u64(row),
                        shown: Shown::Hot(opened.hit(row)),
                    });
                }
            }
            Part::Cold(chunk) if chunk.may_match(&search.filter) => self.add_chunk(chunk, search),
            Part::Cold(_) => {}
        }
    }

    /// Adds the drops of a row group. Most rows are none, so first only what tells is read, and the rest of drops only.
    fn add_chunk(&mut self, chunk: &Chunk, search: &Search) {
        let telling = [&search.filter.columns()[..], &[Col::Verdict]].concat();
        let Some(segment) = chunk.segment(&telling) else { return };
        let rows: Vec<u16> = marked(&segment, search).into_iter().filter_map(|row| u16::try_from(row).ok()).collect();
        if rows.is_empty() {
            return;
        }
        let columns = [COLUMNS, &[Col::KernelDropFunction]].concat();
        let Some(drops) = chunk.segment_of(&columns, &rows) else { return };
        self.add(&drops, 0..rows.len(), |place| Seen {
            seq: segment.first_seq() + u64::from(rows[place]),
            shown: Shown::Cold(chunk.clone(), rows[place]),
        });
    }

    /// Adds rows of a segment, all of which are drops.
    fn add(&mut self, segment: &Segment, rows: impl IntoIterator<Item = usize>, seen: impl Fn(usize) -> Seen) {
        let mut columns = Columns::open(segment.batch());
        let functions = Texts::of(segment.batch(), Col::KernelDropFunction).expect("segments have the table's shape");
        for row in rows {
            let packets = columns.packets(row);
            let time = segment.time(row);
            let is_reply = columns.is_reply(row);
            let alike = Alike {
                reason: self.names.number(columns.reason(row)),
                function: self.names.number(functions.get(row)),
                source: columns.source.party(row, &mut self.parties),
                destination: columns.destination.party(row, &mut self.parties),
                protocol: columns.facts(row).protocol.0,
                port: columns.server_port(row, is_reply),
                is_reply,
            };
            self.total = self.total.saturating_add(packets);
            self.timeline.add(time, alike.reason, packets);
            let Seen { seq, shown } = seen(row);
            self.groups.count(alike, Counts { packets, first: time, last: time, seq, shown });
        }
    }

    /// Adds what another thread counted.
    fn join(mut self, other: Self) -> Self {
        let parties: Vec<u32> = other.parties.iter().map(|party| self.parties.number(party.clone())).collect();
        let names: Vec<u32> = other.names.iter().map(|name| self.names.number(name)).collect();
        self.timeline.join(other.timeline, &names);
        self.groups.join(other.groups, |alike| {
            let [reason, function] = [alike.reason, alike.function].map(|name| names[name as usize]);
            let [source, destination] = [alike.source, alike.destination].map(|party| parties[party as usize]);
            Alike { reason, function, source, destination, ..alike }
        });
        self.total = self.total.saturating_add(other.total);
        self
    }

    /// The groups, the largest first.
    fn groups(self, groups_max: usize) -> Vec<DropGroup> {
        let mut groups = self.groups.sorted();
        groups.truncate(groups_max);
        let flows = shown::flows(groups.iter().map(|(_, counts)| &counts.shown));
        groups.iter().zip(flows).map(|((alike, counts), flow)| group(&self.names, *alike, counts, &flow)).collect()
    }
}

/// When a drop arrived, and where it is.
struct Seen {
    seq: u64,
    shown: Shown,
}

fn group(names: &FewTexts, alike: Alike, counts: &Counts, shown: &Flow) -> DropGroup {
    let row = FlowRow::from(shown);
    let reason = names.text(alike.reason);
    // Drops that are alike may have many client ports.
    let (mut source, mut destination) = (row.source, row.destination);
    let client = if alike.is_reply { &mut destination } else { &mut source };
    client.port = 0;
    DropGroup {
        reason: reason.to_owned(),
        explanation: flow::text::explain_drop(reason).to_owned(),
        function: names.text(alike.function).to_owned(),
        source,
        destination,
        protocol: row.protocol,
        port: alike.port,
        is_reply: alike.is_reply,
        packets: counts.packets,
        first: counts.first.to_string(),
        last: counts.last.to_string(),
    }
}

/// Rows that were dropped and are asked for.
fn marked(segment: &Segment, search: &Search) -> Vec<usize> {
    let marked = segment.matching(&Search { filter: dropped(), ..search.clone() });
    if !marked.has_true() {
        return Vec::new();
    }
    (&marked & &segment.matching(search)).set_indices().collect()
}

/// Selects dropped flows.
fn dropped() -> Arc<BatchFilter> {
    let filter = flow::FlowFilter { verdict: vec![Verdict::DROPPED], ..Default::default() };
    Arc::new(BatchFilter::compile(&[filter], &[]).expect("a verdict is a valid filter"))
}
