//! Flows counted by the values of keys.

use std::borrow::Cow;
use std::cmp::Reverse;
use std::collections::HashMap;

use anyhow::{Result, bail};
use flow::filter::GroupKey;
use flow::{Flow, Verdict};

/// Groups told apart; what comes for further ones is counted together.
const GROUPS_MAX: usize = 100_000;
/// Bytes of the names of all groups.
const NAME_BYTES_MAX: usize = 64 << 20;
/// Ends each value of a group's name; values that hold one lose it.
const END: char = '\0';

/// Counts by group.
#[derive(Debug)]
pub(crate) struct Groups {
    keys: Vec<GroupKey>,
    by_name: HashMap<Box<str>, Count>,
    name_bytes: usize,
    others: Count,
    total: Count,
    /// Kept between flows, so that a known group costs no allocation.
    name: String,
}

/// What was counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Flows, those included that one flow stands for.
    pub(crate) flows: u64,
    /// Bytes, as far as the observer counts them.
    pub(crate) bytes: u64,
    /// Flows with the verdict DROPPED.
    pub(crate) dropped: u64,
    /// Whether the observer counted bytes at all.
    pub(crate) has_bytes: bool,
}

/// What the largest come first of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sort {
    #[default]
    Flows,
    Bytes,
    Dropped,
}

/// Groups in order.
#[derive(Debug)]
pub(crate) struct Ranking<'a> {
    /// The largest, with the values of the keys.
    pub(crate) rows: Vec<(Vec<&'a str>, Count)>,
    /// How many are left out, and what they count together.
    pub(crate) left_out: (usize, Count),
    /// What was not told apart, for there were too many groups.
    pub(crate) others: Option<Count>,
}

impl Sort {
    /// # Errors
    /// There is no such order.
    pub(crate) fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "flows" => Self::Flows,
            "bytes" => Self::Bytes,
            "dropped" => Self::Dropped,
            _ => bail!("invalid --sort value: {name}: one of flows, bytes, dropped"),
        })
    }

    fn rank(self, count: &Count) -> (u64, u64) {
        match self {
            Self::Flows => (count.flows, count.bytes),
            Self::Bytes => (count.bytes, count.flows),
            Self::Dropped => (count.dropped, count.flows),
        }
    }
}

impl Count {
    fn add(&mut self, flow: &Flow) {
        let stands_for: u64 = flow.aggregate.map_or(0, |parts| parts.iter().copied().map(u64::from).sum());
        let flows = stands_for.max(1);
        self.flows = self.flows.saturating_add(flows);
        self.bytes = self.bytes.saturating_add(flow.bytes());
        self.dropped = self.dropped.saturating_add(if flow.verdict == Verdict::DROPPED { flows } else { 0 });
        self.has_bytes |= flow.details.is_some();
    }

    fn join(&mut self, other: &Self) {
        self.flows = self.flows.saturating_add(other.flows);
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.dropped = self.dropped.saturating_add(other.dropped);
        self.has_bytes |= other.has_bytes;
    }
}

impl Groups {
    /// No groups yet; without keys there is one for all flows.
    pub(crate) fn new(keys: Vec<GroupKey>) -> Self {
        let name = String::new();
        Self { keys, by_name: HashMap::new(), name_bytes: 0, others: Count::default(), total: Count::default(), name }
    }

    /// The keys.
    pub(crate) fn keys(&self) -> &[GroupKey] {
        &self.keys
    }

    /// All groups together.
    pub(crate) fn total(&self) -> Count {
        self.total
    }

    /// Counts a flow in the group that its values of the keys name.
    pub(crate) fn add(&mut self, flow: &Flow) {
        self.name.clear();
        for key in &self.keys {
            push(&mut self.name, &key.value(flow));
        }
        self.count(flow);
    }

    /// Counts a flow in the group with this name.
    pub(crate) fn add_as(&mut self, values: &[&str], flow: &Flow) {
        self.name.clear();
        values.iter().for_each(|value| push(&mut self.name, value));
        self.count(flow);
    }

    fn count(&mut self, flow: &Flow) {
        self.total.add(flow);
        if let Some(count) = self.by_name.get_mut(self.name.as_str()) {
            count.add(flow);
        } else if self.by_name.len() < GROUPS_MAX && self.name_bytes + self.name.len() <= NAME_BYTES_MAX {
            self.name_bytes += self.name.len();
            self.by_name.entry(self.name.as_str().into()).or_default().add(flow);
        } else {
            self.others.add(flow);
        }
    }

    /// Forgets everything that was counted.
    pub(crate) fn clear(&mut self) {
        self.by_name.clear();
        self.name_bytes = 0;
        (self.others, self.total) = (Count::default(), Count::default());
    }

    /// The `top` largest groups, all of them for 0; equal ones by name.
    pub(crate) fn ranking(&self, sort: Sort, top: usize) -> Ranking<'_> {
        let mut all: Vec<(&str, &Count)> = self.by_name.iter().map(|(name, count)| (&**name, count)).collect();
        all.sort_unstable_by_key(|(name, count)| (Reverse(sort.rank(count)), *name));
        let shown = if top == 0 { all.len() } else { top.min(all.len()) };
        let mut left = Count::default();
        all[shown..].iter().for_each(|(_, count)| left.join(count));
        Ranking {
            rows: all[..shown].iter().map(|(name, count)| (name.split_terminator(END).collect(), **count)).collect(),
            left_out: (all.len() - shown, left),
            others: (self.others != Count::default()).then_some(self.others),
        }
    }
}

/// Whether a row of a ranking is that of these values.
pub(crate) fn is_row_of(row: &[String], values: &[Cow<'_, str>]) -> bool {
    // In the row they have lost what ends a value.
    let is_same = |(row, value): (&String, &Cow<'_, str>)| row.chars().eq(value.chars().filter(|c| *c != END));
    row.len() == values.len() && row.iter().zip(values).all(is_same)
}

fn push(name: &mut String, value: &str) {
    name.extend(value.chars().filter(|c| *c != END));
    name.push(END);
}

#[cfg(test)]
mod tests {
    use flow::{Ip, L4};

    use super::*;

    fn flow(port: u16, verdict: Verdict) -> Flow {
        Flow {
            verdict,
            ip: Some(Ip::new([10, 0, 0, 1].into(), [10, 0, 0, 2].into())),
            l4: Some(L4::Tcp { source_port: 1, destination_port: port, flags: None }),
            ..Flow::default()
        }
    }

    fn groups(keys: &[&str]) -> Groups {
        Groups::new(keys.iter().map(|key| GroupKey::parse(key).unwrap()).collect())
    }

    #[test]
    fn the_largest_come_first_and_the_rest_is_told() {
        let mut groups = groups(&["dst.port", "verdict"]);
        for port in [80, 80, 443, 53, 80] {
            groups.add(&flow(port, Verdict::FORWARDED));
        }
        groups.add(&flow(53, Verdict::DROPPED));
        let ranking = groups.ranking(Sort::Flows, 2);
        let rows: Vec<_> = ranking.rows.iter().map(|(values, count)| (values.join(" "), count.flows)).collect();
        assert_eq!(rows, [("80 FORWARDED".to_owned(), 3), ("443 FORWARDED".to_owned(), 1)]);
        assert_eq!((ranking.left_out.0, ranking.left_out.1.flows, ranking.left_out.1.dropped), (2, 2, 1));
        assert_eq!(groups.ranking(Sort::Dropped, 1).rows[0].0, ["53", "DROPPED"]);
        assert_eq!(groups.ranking(Sort::Bytes, 0).rows.len(), 4);
        assert_eq!((groups.total().flows, groups.total().dropped, groups.total().has_bytes), (6, 1, false));
    }

    #[test]
    fn groups_beyond_the_bound_are_counted_together() {
        let mut groups = groups(&["uuid"]);
        for number in 0..GROUPS_MAX + 10 {
            groups.add(&Flow { id: flow::FlowId::Text(number.to_string().into()), ..Flow::default() });
        }
        let ranking = groups.ranking(Sort::Flows, 1);
        assert_eq!((ranking.left_out.0, ranking.others.unwrap().flows), (GROUPS_MAX - 1, 10));
        groups.clear();
        assert_eq!((groups.total(), groups.ranking(Sort::Flows, 1).others), (Count::default(), None));
    }

    #[test]
    fn long_names_are_bounded_together() {
        let mut groups = groups(&["trace.id"]);
        for number in 10..50 {
            groups.add(&Flow { trace_id: number.to_string().repeat(1_000_000), ..Flow::default() });
        }
        assert_eq!(groups.ranking(Sort::Flows, 0).others.unwrap().flows, 7);
    }

    #[test]
    fn a_flow_counts_what_it_stands_for() {
        let mut groups = groups(&[]);
        groups.add(&Flow { aggregate: Some([2, 3, 0]), verdict: Verdict::DROPPED, ..Flow::default() });
        groups.add(&flow(80, Verdict::FORWARDED));
        let ranking = groups.ranking(Sort::Flows, 20);
        assert_eq!(ranking.rows, [(vec![], Count { flows: 6, dropped: 5, ..Count::default() })]);
    }
}
