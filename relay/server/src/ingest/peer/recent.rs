//! Recognising flows that were pulled before a break, or before a restart of the relay.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use std::sync::Arc;
use std::time::Duration;

use flow::{Flow, FlowFilter, FlowId, Timestamp};
use foldhash::fast::RandomState;
use relay_index::{Order, Search, Snapshot};
use table::BatchFilter;

/// Flows remembered: the overlap of one second at the rate of a very busy node.
const FLOWS_MAX: usize = 65_536;
/// Part of the past asked for again after a break; what was there before is recognised.
const OVERLAP: Duration = Duration::from_secs(1);

/// The newest flows of one peer; the oldest are forgotten first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    newest: Option<Timestamp>,
    /// Time of the newest flow when the connection began; `None` before the first connection.
    resumed_at: Option<Timestamp>,
    keys: HashSet<Key, RandomState>,
    order: VecDeque<Key>,
}

/// What tells one flow from another.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Key {
    Id(FlowId),
    /// Hash of all it holds as it came, for the flows of observers that give no ids.
    Content([u64; 2]),
    /// Hash of all it holds as it is kept, for the same that were read from the store.
    Kept([u64; 2]),
}

impl Recent {
    /// What a store has of the newest flows of the peer of this name, of which `newest` is the last. Reads them, so call
    /// it from a thread that may block.
    pub(super) fn of_store(snapshot: &Arc<Snapshot>, peer: &str, newest: Timestamp) -> Self {
        let mut recent = Self { newest: Some(newest), ..Self::default() };
        // An agent's flows carry its name. Those of another relay carry those of its nodes: then all flows of that
        // moment are remembered.
        let own = FlowFilter { node_name: vec![peer.to_owned()], ..FlowFilter::default() };
        let own = BatchFilter::compile(&[own], &[]).ok();
        for filter in own.into_iter().chain([BatchFilter::everything()]) {
            let search = Search { filter: Arc::new(filter), since: recent.since(), ..Search::default() };
            for hit in snapshot.scan(search, Order::NewestFirst).take(FLOWS_MAX) {
                let flow = hit.flow();
                recent.remember(match &flow.id {
                    FlowId::None => Key::Kept(kept(&flow)),
                    id => Key::Id(id.clone()),
                });
            }
            if !recent.keys.is_empty() {
                break;
            }
        }
        recent
    }

    /// Time from which on flows are to be asked for; `None` before the first.
    pub(super) fn since(&self) -> Option<Timestamp> {
        self.newest.map(|newest| newest.before(OVERLAP))
    }

    /// Time of the newest flow; `None` before the first.
    pub(super) const fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// Notes that a connection begins, and that flows of the past may come again.
    pub(super) const fn resume(&mut self) {
        self.resumed_at = self.newest;
    }

    /// Remembers a flow; `false` where it is known already. `encoded` is the flow as it came.
    ///
    /// Without an id, a flow is known only where it is from before the connection began: observers may well see two
    /// flows that differ in nothing.
    pub(super) fn is_new(&mut self, flow: &Flow, encoded: &[u8]) -> bool {
        let (key, may_repeat) = match &flow.id {
            FlowId::None => (Key::Content(hash(encoded)), self.resumed_at.is_some_and(|at| flow.time <= at)),
            id => (Key::Id(id.clone()), true),
        };
        if may_repeat && matches!(key, Key::Content(_)) && self.keys.contains(&Key::Kept(kept(flow))) {
            return false;
        }
        if !self.remember(key) && may_repeat {
            return false;
        }
        self.newest = self.newest.max(Some(flow.time));
        true
    }

    /// The same for a flow of which only id and time are known; it has an id.
    pub(super) fn is_new_id(&mut self, id: FlowId, time: Timestamp) -> bool {
        let new = self.remember(Key::Id(id));
        if new {
            self.newest = self.newest.max(Some(time));
        }
        new
    }

    /// Gives whether the key was not known before.
    fn remember(&mut self, key: Key) -> bool {
        if !self.keys.insert(key.clone()) {
            return false;
        }
        if self.order.len() == FLOWS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
        }
        self.order.push_back(key);
        true
    }
}

/// Hash of a flow as the store gives it back. Slow, and only needed where the observer gives no ids.
fn kept(flow: &Flow) -> [u64; 2] {
    hash(format!("{flow:?}").as_bytes())
}

fn hash(encoded: &[u8]) -> [u64; 2] {
    // Keyed alike in all processes, which is fine: nobody gains from a flow that is taken for another of his own.
    [0u8, 1].map(|seed| {
        let mut hasher = DefaultHasher::new();
        (seed, encoded).hash(&mut hasher);
        hasher.finish()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(id: u64, time: i64) -> Flow {
        Flow { id: FlowId::parse(&format!("id-{id}")), time: Timestamp(time), ..Flow::default() }
    }

    #[test]
    fn repeats_are_recognised_and_memory_is_bounded() {
        let mut recent = Recent::default();
        assert!(recent.is_new(&flow(1, 10), b"") && !recent.is_new(&flow(1, 10), b""));
        assert!(recent.is_new(&flow(2, 5), b""));
        assert_eq!(recent.newest(), Some(Timestamp(10)), "the newest by time, not the last that came");
        for id in 3..200_000 {
            assert!(recent.is_new(&flow(id, 11), b""));
        }
        assert_eq!((recent.keys.len(), recent.order.len()), (FLOWS_MAX, FLOWS_MAX));
        assert!(recent.is_new(&flow(1, 10), b""), "what was forgotten is news again");
    }

    #[test]
    fn flows_without_id_repeat_only_across_a_break() {
        let at = |time| Flow { time: Timestamp(time), ..Flow::default() };
        let mut recent = Recent::default();
        assert!(recent.is_new(&at(10), b"a") && recent.is_new(&at(10), b"a"), "two that differ in nothing");
        recent.resume();
        assert!(!recent.is_new(&at(10), b"a") && !recent.is_new(&at(10), b"a"));
        assert!(recent.is_new(&at(10), b"b"), "what was not seen before the break");
        assert!(recent.is_new(&at(11), b"c") && recent.is_new(&at(11), b"c"));
    }
}
