//! What was dropped, why and where.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flow::view::{DropBucket, DropGroup, DropSummary, FlowRow};
use flow::{Flow, Timestamp, Verdict};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;
use table::column::Texts;
use table::{BatchFilter, Col};

use crate::files::Chunk;
use crate::map::{COLUMNS, Columns, Part, Parties, in_parallel, parts};
use crate::scan::Opened;
use crate::segment::as_u64;
use crate::{Search, Segment, Snapshot};

mod shown;

use shown::Shown;

/// Slices of a timeline, at most.
const SLICES_MAX: u64 = 120;

/// Lengths of a slice that read well.
const SLICE_SECONDS: [u64; 12] = [1, 2, 5, 10, 15, 30, 60, 300, 900, 3_600, 21_600, 86_400];

/// Groups that are told apart; drops beyond them are counted in the total and the timeline only.
const GROUPS_MAX: usize = 50_000;

/// Drops that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Alike {
    reason: u32,
    function: u32,
    source: u32,
    destination: u32,
    protocol: u8,
    /// Port of the server's side.
    port: u16,
    is_reply: bool,
}

/// Counts of drops that are alike.
#[derive(Debug)]
struct Counts {
    packets: u64,
    first: Timestamp,
    last: Timestamp,
    /// Order of arrival of the latest of them.
    seq: u64,
    /// The latest of them, which shows what its group looks like.
    shown: Shown,
}

/// Texts, each with a number.
#[derive(Debug, Default)]
struct Names(Vec<String>);

impl Names {
    /// Reasons and functions of the kernel are some hundred; what comes beyond this shares the last number.
    const MAX: usize = 2_000;

    fn number(&mut self, name: &str) -> u32 {
        let number = self.0.iter().position(|n| n == name).unwrap_or_else(|| {
            if self.0.len() < Self::MAX {
                self.0.push(name.to_owned());
            }
            self.0.len() - 1
        });
        u32::try_from(number).expect("below the limit")
    }

    fn name(&self, number: u32) -> &str {
        &self.0[number as usize]
    }
}

/// Drops met so far.
#[derive(Debug, Default)]
struct Drops {
    parties: Parties,
    names: Names,
    groups: HashMap<Alike, Counts, RandomState>,
    seconds: BTreeMap<(i64, u32), u64>,
    total: u64,
}

pub(crate) fn drop_summary(snapshot: &Snapshot, search: &Search, groups_max: usize) -> DropSummary {
    let counted = in_parallel(&parts(snapshot, search), |parts| {
        let mut drops = Drops::default();
        parts.iter().for_each(|part| drops.add_part(part, search));
        drops
    });
    let drops = counted.into_iter().reduce(Drops::join).unwrap_or_default();
    let timeline = drops.timeline();
    let total = drops.total;
    DropSummary { total, groups: drops.groups(groups_max), timeline, ..DropSummary::default() }
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
            let second = time.0.div_euclid(Timestamp::NANOS_PER_SECOND);
            *self.seconds.entry((second, alike.reason)).or_default() += packets;
            self.count(alike, || {
                let Seen { seq, shown } = seen(row);
                Counts { packets, first: time, last: time, seq, shown }
            });
        }
    }

    fn count(&mut self, alike: Alike, counts: impl FnOnce() -> Counts) {
        let has_room = self.groups.len() < GROUPS_MAX;
        match self.groups.entry(alike) {
            Entry::Occupied(mut known) => known.get_mut().add(counts()),
            Entry::Vacant(place) if has_room => drop(place.insert(counts())),
            Entry::Vacant(_) => {}
        }
    }

    /// Adds what another thread counted.
    fn join(mut self, other: Self) -> Self {
        let parties: Vec<u32> = other.parties.iter().map(|party| self.parties.number(party.clone())).collect();
        let names: Vec<u32> = other.names.0.iter().map(|name| self.names.number(name)).collect();
        for (alike, counts) in other.groups {
            let [reason, function] = [alike.reason, alike.function].map(|name| names[name as usize]);
            let [source, destination] = [alike.source, alike.destination].map(|party| parties[party as usize]);
            self.count(Alike { reason, function, source, destination, ..alike }, || counts);
        }
        for ((second, reason), packets) in other.seconds {
            let count = self.seconds.entry((second, names[reason as usize])).or_default();
            *count = count.saturating_add(packets);
        }
        self.total = self.total.saturating_add(other.total);
        self
    }

    /// The groups, the largest first.
    fn groups(self, groups_max: usize) -> Vec<DropGroup> {
        let mut groups: Vec<(Alike, Counts)> = self.groups.into_iter().collect();
        groups.sort_by(|(_, a), (_, b)| b.packets.cmp(&a.packets).then(b.last.cmp(&a.last)).then(b.seq.cmp(&a.seq)));
        groups.truncate(groups_max);
        let flows = shown::flows(groups.iter().map(|(_, counts)| &counts.shown));
        groups.iter().zip(flows).map(|((alike, counts), flow)| group(&self.names, *alike, counts, &flow)).collect()
    }

    fn timeline(&self) -> Vec<DropBucket> {
        let (Some(((first, _), _)), Some(((last, _), _))) =
            (self.seconds.first_key_value(), self.seconds.last_key_value())
        else {
            return Vec::new();
        };
        let span = last.abs_diff(*first) + 1;
        let fits = |seconds: &&u64| span.div_ceil(**seconds) <= SLICES_MAX;
        let length = *SLICE_SECONDS.iter().find(fits).unwrap_or(&span.div_ceil(SLICES_MAX));
        let mut slices: BTreeMap<(Timestamp, &str), u64> = BTreeMap::new();
        for ((second, reason), packets) in &self.seconds {
            let slice = Timestamp::from_parts(*second, 0).window(Duration::from_secs(length));
            let count = slices.entry((slice, self.names.name(*reason))).or_default();
            *count = count.saturating_add(*packets);
        }
        let bucket = |((time, reason), packets): ((Timestamp, &str), u64)| DropBucket {
            time: time.to_string(),
            reason: reason.to_owned(),
            packets,
        };
        slices.into_iter().map(bucket).collect()
    }
}

/// When a drop arrived, and where it is.
struct Seen {
    seq: u64,
    shown: Shown,
}

impl Counts {
    /// Adds drops that are alike. Of those of one moment the last to arrive is shown.
    fn add(&mut self, other: Self) {
        self.packets = self.packets.saturating_add(other.packets);
        self.first = self.first.min(other.first);
        if (other.last, other.seq) >= (self.last, self.seq) {
            (self.last, self.seq, self.shown) = (other.last, other.seq, other.shown);
        }
    }
}

fn group(names: &Names, alike: Alike, counts: &Counts, shown: &Flow) -> DropGroup {
    let row = FlowRow::from(shown);
    let reason = names.name(alike.reason);
    // Drops that are alike may have many client ports.
    let (mut source, mut destination) = (row.source, row.destination);
    let client = if alike.is_reply { &mut destination } else { &mut source };
    client.port = 0;
    DropGroup {
        reason: reason.to_owned(),
        explanation: flow::text::explain_drop(reason).to_owned(),
        function: names.name(alike.function).to_owned(),
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
