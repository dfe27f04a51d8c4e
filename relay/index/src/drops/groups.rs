//! Drops that are alike, as many groups as there is room for.

use flow::Timestamp;
use foldhash::fast::RandomState;
use hashbrown::hash_map::Entry;
use hashbrown::{HashMap, HashSet};

use super::shown::Shown;

/// Groups that are told apart. Of more, the largest stay.
const GROUPS_MAX: usize = 50_000;

/// Ports of otherwise equal drops that are told apart where there are too many groups: a scan has thousands.
const PORTS_MAX: usize = 64;

/// Drops that are alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Alike {
    pub(super) reason: u32,
    pub(super) function: u32,
    pub(super) source: u32,
    pub(super) destination: u32,
    pub(super) protocol: u8,
    /// Port of the server's side; 0 also for many of them.
    pub(super) port: u16,
    pub(super) is_reply: bool,
}

impl Alike {
    const fn with_any_port(self) -> Self {
        Self { port: 0, ..self }
    }
}

/// Counts of drops that are alike.
#[derive(Debug)]
pub(super) struct Counts {
    pub(super) packets: u64,
    pub(super) first: Timestamp,
    pub(super) last: Timestamp,
    /// Order of arrival of the latest of them.
    pub(super) seq: u64,
    /// The latest of them, which shows what its group looks like.
    pub(super) shown: Shown,
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

/// Groups, a bounded number.
#[derive(Debug, Default)]
pub(super) struct Groups {
    groups: HashMap<Alike, Counts, RandomState>,
    /// What has so many ports that they are counted together, under port 0.
    folded: HashSet<Alike, RandomState>,
}

impl Groups {
    /// Counts drops that are alike.
    pub(super) fn count(&mut self, alike: Alike, counts: Counts) {
        if self.groups.len() >= GROUPS_MAX && !self.groups.contains_key(&self.group_of(alike)) {
            self.make_room();
        }
        self.put(alike, counts);
    }

    fn put(&mut self, alike: Alike, counts: Counts) {
        match self.groups.entry(self.group_of(alike)) {
            Entry::Occupied(mut known) => known.get_mut().add(counts),
            Entry::Vacant(place) => drop(place.insert(counts)),
        }
    }

    /// The group that drops are counted in.
    fn group_of(&self, alike: Alike) -> Alike {
        let any_port = alike.with_any_port();
        if self.folded.contains(&any_port) { any_port } else { alike }
    }

    /// Adds the groups of another; `renamed` gives a group its numbers here.
    pub(super) fn join(&mut self, other: Self, renamed: impl Fn(Alike) -> Alike) {
        self.fold(other.folded.into_iter().map(&renamed).collect());
        for (alike, counts) in other.groups {
            self.count(renamed(alike), counts);
        }
    }

    /// The groups, the largest first.
    pub(super) fn sorted(self) -> Vec<(Alike, Counts)> {
        let mut groups: Vec<(Alike, Counts)> = self.groups.into_iter().collect();
        groups.sort_by(|(_, a), (_, b)| b.packets.cmp(&a.packets).then(b.last.cmp(&a.last)).then(b.seq.cmp(&a.seq)));
        groups
    }

    /// Counts ports together where they are many; where that is not enough, the smaller half leaves.
    fn make_room(&mut self) {
        let mut ports: HashMap<Alike, usize, RandomState> = HashMap::default();
        for alike in self.groups.keys() {
            *ports.entry(alike.with_any_port()).or_default() += 1;
        }
        self.fold(ports.into_iter().filter(|(_, ports)| *ports > PORTS_MAX).map(|(any_port, _)| any_port).collect());
        if self.groups.len() <= GROUPS_MAX / 2 {
            return;
        }
        let mut packets: Vec<u64> = self.groups.values().map(|counts| counts.packets).collect();
        let middle = packets.len() / 2;
        let (_, median, _) = packets.select_nth_unstable(middle);
        let median = *median;
        // Of many that are equal to it not all may stay.
        let mut equal = packets[middle..].iter().filter(|packets| **packets == median).count();
        self.groups.retain(|_, counts| {
            let stays = counts.packets > median || (counts.packets == median && equal > 0);
            equal -= usize::from(stays && counts.packets == median);
            stays
        });
    }

    fn fold(&mut self, any_port: Vec<Alike>) {
        if any_port.is_empty() {
            return;
        }
        self.folded.extend(any_port);
        for (alike, counts) in std::mem::take(&mut self.groups) {
            self.put(alike, counts);
        }
    }
}
