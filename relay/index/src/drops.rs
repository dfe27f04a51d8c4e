//! What was dropped, why and where.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flow::view::{DropBucket, DropGroup, DropSummary, FlowRow, Party};
use flow::{Flow, Timestamp, Verdict};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use table::column::Texts;
use table::{BatchFilter, Col};

use crate::files::Chunk;
use crate::map::{COLUMNS, Columns, Parties};
use crate::scan::{FileRows, Opened};
use crate::{Hit, Search, Segment, Snapshot};

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
    port: u16,
}

/// Counts of drops that are alike.
#[derive(Debug)]
struct Counts {
    packets: u64,
    first: Timestamp,
    last: Timestamp,
    /// Order of arrival of the latest of them.
    seq: u64,
    /// The latest of them, which shows the parties.
    shown: Shown,
}

/// A drop that shows what its group looks like.
#[derive(Debug)]
enum Shown {
    /// In memory.
    Hot(Hit),
    /// In a file: only where, so that its row group does not stay in memory.
    Cold(Chunk, u16),
}

impl Shown {
    /// The flow; without its file nothing is known of it.
    fn flow(&self) -> Flow {
        match self {
            Self::Hot(hit) => hit.flow(),
            Self::Cold(chunk, row) => FileRows::new(chunk.clone(), vec![*row]).flow(0).unwrap_or_default(),
        }
    }
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
    let mut drops = Drops::default();
    for chunk in snapshot.chunks().filter(|chunk| chunk.meets(search)) {
        drops.add_chunk(&chunk, search);
    }
    for segment in snapshot.segments().filter(|segment| segment.meets(search)) {
        drops.add(segment, search, None);
    }
    let timeline = drops.timeline();
    let total = drops.total;
    DropSummary { total, groups: drops.groups(groups_max), timeline, ..DropSummary::default() }
}

impl Drops {
    /// Adds the drops of a row group. Most have few or none, so first only what tells is read.
    fn add_chunk(&mut self, chunk: &Chunk, search: &Search) {
        if !chunk.may_match(&search.filter) {
            return;
        }
        let telling = [&search.filter.columns()[..], &[Col::Verdict]].concat();
        let Some(segment) = chunk.segment(&telling) else { return };
        if !segment.matching(&Search { filter: dropped(), ..search.clone() }).has_true() {
            return;
        }
        let columns = [COLUMNS, &search.filter.columns(), &[Col::KernelDropFunction]].concat();
        if let Some(segment) = chunk.segment(&columns) {
            self.add(&Arc::new(segment), search, Some(chunk));
        }
    }

    fn add(&mut self, segment: &Arc<Segment>, search: &Search, chunk: Option<&Chunk>) {
        let dropped = dropped();
        let marked = segment.matching(&Search { filter: dropped, ..search.clone() });
        if !marked.has_true() {
            return;
        }
        let marked = &marked & &segment.matching(search);
        if !marked.has_true() {
            return;
        }
        let mut columns = Columns::open(segment.batch());
        let functions = Texts::of(segment.batch(), Col::KernelDropFunction).expect("segments have the table's shape");
        let opened = Arc::new(Opened::new(segment.clone()));
        for row in marked.set_indices() {
            self.add_row(&mut columns, &functions, &opened, (row, chunk));
        }
    }

    fn add_row(
        &mut self,
        columns: &mut Columns<'_>,
        functions: &Texts,
        opened: &Arc<Opened>,
        (row, chunk): (usize, Option<&Chunk>),
    ) {
        let packets = columns.packets(row);
        let reason = self.names.number(columns.reason(row));
        let hit = opened.hit(row);
        let (time, seq) = (hit.time(), hit.seq());
        self.total = self.total.saturating_add(packets);
        let second = time.0.div_euclid(Timestamp::NANOS_PER_SECOND);
        *self.seconds.entry((second, reason)).or_default() += packets;
        let alike = Alike {
            reason,
            function: self.names.number(functions.get(row)),
            source: columns.source.party(row, &mut self.parties),
            destination: columns.destination.party(row, &mut self.parties),
            protocol: columns.facts(row).protocol.0,
            port: columns.destination_port(row),
        };
        let shown = || match chunk {
            None => Shown::Hot(hit.clone()),
            Some(chunk) => Shown::Cold(chunk.clone(), u16::try_from(row).expect("a batch has fewer rows")),
        };
        if let Some(counts) = self.groups.get_mut(&alike) {
            counts.packets = counts.packets.saturating_add(packets);
            counts.first = counts.first.min(time);
            if time >= counts.last {
                counts.last = time;
                counts.seq = seq;
                counts.shown = shown();
            }
        } else if self.groups.len() < GROUPS_MAX {
            self.groups.insert(alike, Counts { packets, first: time, last: time, seq, shown: shown() });
        }
    }

    /// The groups, the largest first.
    fn groups(self, groups_max: usize) -> Vec<DropGroup> {
        let mut groups: Vec<(Alike, Counts)> = self.groups.into_iter().collect();
        groups.sort_by(|(_, a), (_, b)| b.packets.cmp(&a.packets).then(b.last.cmp(&a.last)).then(b.seq.cmp(&a.seq)));
        groups.truncate(groups_max);
        groups.iter().map(|(alike, counts)| group(&self.names, *alike, counts)).collect()
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

fn group(names: &Names, alike: Alike, counts: &Counts) -> DropGroup {
    let row = FlowRow::from(&counts.shown.flow());
    let reason = names.name(alike.reason);
    // Drops that are alike may come from many client ports.
    let source = Party { port: 0, ..row.source };
    DropGroup {
        reason: reason.to_owned(),
        explanation: flow::text::explain_drop(reason).to_owned(),
        function: names.name(alike.function).to_owned(),
        source,
        destination: row.destination,
        protocol: row.protocol,
        port: alike.port,
        packets: counts.packets,
        first: counts.first.to_string(),
        last: counts.last.to_string(),
    }
}

/// Selects dropped flows.
fn dropped() -> Arc<BatchFilter> {
    let filter = flow::FlowFilter { verdict: vec![Verdict::DROPPED], ..Default::default() };
    Arc::new(BatchFilter::compile(&[filter], &[]).expect("a verdict is a valid filter"))
}
