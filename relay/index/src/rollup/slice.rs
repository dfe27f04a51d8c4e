//! The counts of one slice of time.

use std::sync::Arc;

use foldhash::fast::RandomState;
use hashbrown::{HashMap, HashSet};

use super::counts::{Counts, DnsKey, DropKey, EdgeKey, Key};
use super::names::Names;
use super::{Period, Rollup};

/// Counts of a minute or an hour while rows are still added.
#[derive(Clone, Debug)]
pub(super) struct Slice {
    pub(super) edges: Table<EdgeKey>,
    pub(super) drops: Table<DropKey>,
    pub(super) dns: Table<DnsKey>,
    /// Keys of the clients whose own node reports traffic of theirs.
    pub(super) watched: HashSet<i64, RandomState>,
    /// Numbers of the names that were looked up.
    dns_names: HashSet<u32, RandomState>,
    dns_names_max: usize,
    /// Counts calls of [`super::Rollups::catch_up`]; the last that added to it.
    pub(super) touched: u64,
    /// The rollup of it as a minute and as a part of its hour, and by which call it was made.
    written: [Option<(u64, Arc<Rollup>)>; 2],
}

/// Rows by key, at most so many; what is too much is added up in one row.
#[derive(Clone, Debug)]
pub(super) struct Table<K: Key> {
    rows: HashMap<K, K::Counts, RandomState>,
    max: usize,
    /// Flows whose key was one too many, here or in a table that was added.
    overflowed: u64,
}

impl<K: Key> Table<K> {
    pub(super) fn new(max: usize) -> Self {
        Self { rows: HashMap::default(), max, overflowed: 0 }
    }

    /// Counts to which one flow of a key is added, else those of the overflow.
    #[inline]
    pub(super) fn get(&mut self, key: K) -> &mut K::Counts {
        self.get_for(key, 1)
    }

    #[inline]
    fn get_for(&mut self, key: K, flows: u64) -> &mut K::Counts {
        let full = self.rows.len() >= self.max && !self.rows.contains_key(&key);
        if full {
            self.overflowed = self.overflowed.saturating_add(flows);
        }
        self.rows.entry(if full { K::OVERFLOW } else { key }).or_default()
    }

    /// Adds the counts of another table.
    fn join(&mut self, other: &Self) {
        for (key, counts) in other.iter() {
            self.get_for(*key, counts.rows()).join(counts);
        }
        self.overflowed = self.overflowed.saturating_add(other.overflowed);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = (&K, &K::Counts)> {
        self.rows.iter()
    }

    /// Flows whose key was one too many. A table with more room that took the counts of a full one has them too.
    pub(super) const fn overflowed(&self) -> u64 {
        self.overflowed
    }

    fn heap_bytes(&self) -> usize {
        let counts: usize = self.rows.values().map(Counts::heap_bytes).sum();
        self.rows.capacity() * (size_of::<(K, K::Counts)>() + 1) + counts
    }
}

impl Slice {
    pub(super) fn new(rows_max: usize) -> Self {
        Self {
            edges: Table::new(rows_max),
            drops: Table::new(rows_max),
            dns: Table::new(rows_max),
            watched: HashSet::default(),
            dns_names: HashSet::default(),
            dns_names_max: rows_max / 4,
            touched: 0,
            written: [None, None],
        }
    }

    /// Number of a name that is looked up: the name itself while there are few, then the last two labels of it, then
    /// nothing. Attacks and telemetry make names without end.
    pub(super) fn dns_name(&mut self, name: u32, names: &mut Names) -> u32 {
        if self.dns_names.contains(&name) {
            return name;
        }
        if self.dns_names.len() < self.dns_names_max {
            self.dns_names.insert(name);
            return name;
        }
        let registered = registered_name(names.get(name)).to_owned();
        let registered = names.text(&registered);
        if self.dns_names.contains(&registered) {
            return registered;
        }
        if self.dns_names.len() < 2 * self.dns_names_max {
            self.dns_names.insert(registered);
            return registered;
        }
        names.text("")
    }

    /// Marks traffic that the client's own node reports too, for the clients of which that is known.
    pub(super) fn settled(&self) -> Table<EdgeKey> {
        let mut settled = Table::new(usize::MAX);
        for (key, counts) in self.edges.iter() {
            let mut key = *key;
            if key.client_key != 0 && self.watched.contains(&key.client_key) {
                key.client_key = 0;
                key.seen_at = key.seen_at.repeated();
            }
            settled.get(key).join(counts);
        }
        (settled.max, settled.overflowed) = (self.edges.max, self.edges.overflowed);
        settled
    }

    /// The rollup of the slice, made anew only if rows came since.
    pub(super) fn written(&mut self, period: Period, make: impl FnOnce(&Self) -> Rollup) -> Arc<Rollup> {
        if let Some((touched, rollup)) = &self.written[period as usize]
            && *touched == self.touched
        {
            return rollup.clone();
        }
        let rollup = Arc::new(make(self));
        self.written[period as usize] = Some((self.touched, rollup.clone()));
        rollup
    }

    /// Adds the counts of another slice.
    pub(super) fn join(&mut self, other: &Self) {
        self.edges.join(&other.edges);
        self.drops.join(&other.drops);
        self.dns.join(&other.dns);
        self.watched.extend(&other.watched);
    }

    /// Flows that were folded because their keys were too many.
    pub(super) fn overflowed(&self) -> u64 {
        self.edges.overflowed() + self.drops.overflowed() + self.dns.overflowed()
    }

    /// The same of edges only: a map of this slice is exact while it is 0, however many names were looked up.
    pub(super) fn edges_overflowed(&self) -> u64 {
        self.edges.overflowed()
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.edges.heap_bytes()
            + self.drops.heap_bytes()
            + self.dns.heap_bytes()
            + (self.watched.capacity() * size_of::<i64>())
            + (self.dns_names.capacity() * size_of::<u32>())
    }
}

/// The last two labels of a name.
fn registered_name(name: &str) -> &str {
    let inner = name.trim_end_matches('.');
    let start = inner.rmatch_indices('.').nth(1).map_or(0, |(dot, _)| dot + 1);
    &name[start..]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_registered_name_is_the_end_of_a_name() {
        for (name, expected) in
            [("a.b.example.com.", "example.com."), ("example.com", "example.com"), ("", ""), ("x", "x")]
        {
            assert_eq!(registered_name(name), expected);
        }
    }

    #[test]
    fn names_without_end_are_folded() {
        let (mut slice, mut names) = (Slice::new(16), Names::default());
        let mut number = |name: &str| {
            let number = names.text(name);
            let folded = slice.dns_name(number, &mut names);
            names.get(folded).to_owned()
        };
        for i in 0..4 {
            assert_eq!(number(&format!("{i}.a.example.")), format!("{i}.a.example."));
        }
        assert_eq!(number("9.a.example."), "a.example.");
        assert_eq!(number("0.a.example."), "0.a.example.");
        for i in 0..3 {
            number(&format!("x.{i}.example."));
        }
        assert_eq!(number("x.99.example."), "");
    }
}
