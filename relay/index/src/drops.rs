//! What was dropped, why and where.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use flow::view::{DropBucket, DropGroup, DropSummary, FlowRow, Party};
use flow::{Timestamp, Verdict};
use foldhash::fast::RandomState;
use hashbrown::HashMap;
use table::column::Texts;
use table::{BatchFilter, Col};

use crate::map::{Columns, Parties};
use crate::scan::Opened;
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
    /// The latest of them, which shows the parties.
    shown: Hit,
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
    for segment in snapshot.segments().filter(|segment| segment.meets(search)) {
        drops.add(segment, search);
    }
    let timeline = drops.timeline();
    let total = drops.total;
    DropSummary { total, groups: drops.groups(groups_max), timeline, ..DropSummary::default() }
}

impl Drops {
    fn add(&mut self, segment: &Arc<Segment>, search: &Search) {
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
            self.add_row(&mut columns, &functions, &opened, row);
        }
    }

    fn add_row(&mut self, columns: &mut Columns<'_>, functions: &Texts, opened: &Arc<Opened>, row: usize) {
        let packets = columns.packets(row);
        let reason = self.names.number(columns.reason(row));
        let hit = opened.hit(row);
        let time = hit.time();
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
        if let Some(counts) = self.groups.get_mut(&alike) {
            counts.packets = counts.packets.saturating_add(packets);
            counts.first = counts.first.min(time);
            if time >= counts.last {
                counts.last = time;
                counts.shown = hit;
            }
        } else if self.groups.len() < GROUPS_MAX {
            self.groups.insert(alike, Counts { packets, first: time, last: time, shown: hit });
        }
    }

    /// The groups, the largest first.
    fn groups(self, groups_max: usize) -> Vec<DropGroup> {
        let mut groups: Vec<(Alike, Counts)> = self.groups.into_iter().collect();
        groups.sort_by(|(_, a), (_, b)| {
            b.packets.cmp(&a.packets).then(b.last.cmp(&a.last)).then(b.shown.seq().cmp(&a.shown.seq()))
        });
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
