//! Recognising flows that were pulled before a break, or before a restart of the relay.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use std::sync::Arc;
use std::time::Duration;

use flow::{Flow, FlowFilter, FlowId, Timestamp};
use foldhash::fast::RandomState;
use relay_index::{Order, Search, Snapshot};
use table::BatchFilter;

/// Flows remembered at most: the overlap at the rate of a very busy peer, which may be the relay of a whole cluster.
const FLOWS_MAX: usize = 262_144;
/// Part of the past asked for again after a break; what was there before is recognised.
const OVERLAP: Duration = Duration::from_secs(1);
/// Age, against the newest flow, at which a flow is forgotten: it is not asked for again. Twice the overlap, because
/// observers give flows that are a little out of order.
const FORGET_AFTER: Duration = Duration::from_secs(2);
/// Room for so many flows is kept after more were forgotten.
const ROOM_MIN: usize = 1_024;

/// The newest flows of one peer; the oldest are forgotten first.
///
/// A peer's clock may be wrong. A flow from the future counts as one of the present where it says how far the pull has
/// come: else nothing that comes before it would be asked for after a break. It is remembered until its own time has
/// passed, because it is asked for again until then.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// Time of the newest flow, not later than the moment it came.
    newest: Option<Timestamp>,
    /// Time of the newest flow as the peer told it.
    latest: Option<Timestamp>,
    /// Time of the newest flow, as the peer told it, when the connection began; `None` before the first connection.
    resumed_at: Option<Timestamp>,
    keys: HashSet<Key, RandomState>,
    order: VecDeque<(Key, Timestamp)>,
    /// Those of the keys that came from the future, apart so that they do not keep the others from being forgotten.
    ahead: VecDeque<(Key, Timestamp)>,
}

/// What tells one flow from another. There is one for each flow of the last seconds of each peer, so it is small.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key([u64; 2]);

impl Key {
    /// Of an id: the id itself where it is a UUID, else a hash.
    fn of_id(id: &FlowId) -> Self {
        match id {
            FlowId::Uuid(uuid) => {
                let (front, back) = uuid.split_at(size_of::<u64>());
                Self([front, back].map(|half| u64::from_le_bytes(half.try_into().expect("half of 16 bytes"))))
            }
            FlowId::Text(text) => Self::hash("id", text.as_bytes()),
            FlowId::None => Self::hash("none", &[]),
        }
    }

    /// Of all a flow holds as it came, for the flows of observers that give no ids.
    fn of_content(encoded: &[u8]) -> Self {
        Self::hash("content", encoded)
    }

    /// Of all it holds as it is kept, for the same that were read from the store. Slow.
    fn of_kept(flow: &Flow) -> Self {
        Self::hash("kept", format!("{flow:?}").as_bytes())
    }

    fn hash(what: &str, bytes: &[u8]) -> Self {
        // Keyed alike in all processes, which is fine: nobody gains from a flow that is taken for another of his own.
        Self([0u8, 1].map(|seed| {
            let mut hasher = DefaultHasher::new();
            (seed, what, bytes).hash(&mut hasher);
            hasher.finish()
        }))
    }
}

impl Recent {
    /// What a store has of the newest flows of the peer of this name, of which `newest` is the last. Reads them, so call
    /// it from a thread that may block.
    pub(super) fn of_store(snapshot: &Arc<Snapshot>, peer: &str, newest: Timestamp, now: Timestamp) -> Self {
        let mut recent = Self { newest: Some(newest.min(now)), latest: Some(newest), ..Self::default() };
        // An agent's flows carry its name. Those of another relay carry those of its nodes: then all flows of that
        // moment are remembered.
        let own = FlowFilter { node_name: vec![peer.to_owned()], ..FlowFilter::default() };
        let own = BatchFilter::compile(&[own], &[]).ok();
        for filter in own.into_iter().chain([BatchFilter::everything()]) {
            let search = Search { filter: Arc::new(filter), since: recent.since(now), ..Search::default() };
            for hit in snapshot.scan(search, Order::NewestFirst).take(FLOWS_MAX) {
                let flow = hit.flow();
                let key = match &flow.id {
                    FlowId::None => Key::of_kept(&flow),
                    id => Key::of_id(id),
                };
                recent.remember(key, flow.time, now);
            }
            if !recent.keys.is_empty() {
                break;
            }
        }
        recent
    }

    /// Time from which on flows are to be asked for, never a future one; `None` before the first.
    pub(super) fn since(&self, now: Timestamp) -> Option<Timestamp> {
        self.newest.map(|newest| newest.min(now).before(OVERLAP))
    }

    /// Time of the newest flow, not later than the moment it came; `None` before the first.
    pub(super) const fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// Notes that a connection begins, and that flows of the past may come again.
    pub(super) const fn resume(&mut self) {
        self.resumed_at = self.latest;
    }

    /// Remembers a flow that came at `now`; `false` where it is known already. `encoded` is the flow as it came.
    ///
    /// Without an id, a flow is known only where it is from before the connection began: observers may well see two
    /// flows that differ in nothing.
    pub(super) fn is_new(&mut self, flow: &Flow, encoded: &[u8], now: Timestamp) -> bool {
        let (key, may_repeat) = match &flow.id {
            FlowId::None => (Key::of_content(encoded), self.resumed_at.is_some_and(|at| flow.time <= at)),
            id => (Key::of_id(id), true),
        };
        if may_repeat && flow.id == FlowId::None && self.keys.contains(&Key::of_kept(flow)) {
            return false;
        }
        if !self.remember(key, flow.time, now) && may_repeat {
            return false;
        }
        self.reach(flow.time, now);
        true
    }

    /// The same for a flow of which only id and time are known; it has an id.
    pub(super) fn is_new_id(&mut self, id: FlowId, time: Timestamp, now: Timestamp) -> bool {
        let new = self.remember(Key::of_id(&id), time, now);
        if new {
            self.reach(time, now);
        }
        new
    }

    /// Gives whether the key was not known before.
    fn remember(&mut self, key: Key, time: Timestamp, now: Timestamp) -> bool {
        if !self.keys.insert(key) {
            return false;
        }
        if self.order.len() + self.ahead.len() == FLOWS_MAX {
            let longer = if self.ahead.len() > self.order.len() { &mut self.ahead } else { &mut self.order };
            forget_oldest(&mut self.keys, longer);
        }
        let order = if time > now { &mut self.ahead } else { &mut self.order };
        order.push_back((key, time));
        true
    }

    /// Notes that there is a flow of this time, and forgets those that are not asked for again.
    fn reach(&mut self, time: Timestamp, now: Timestamp) {
        self.latest = self.latest.max(Some(time));
        self.newest = self.newest.map(|newest| newest.min(now)).max(Some(time.min(now)));
        let Some(horizon) = self.newest.map(|newest| newest.before(FORGET_AFTER)) else { return };
        for order in [&mut self.order, &mut self.ahead] {
            while order.front().is_some_and(|(_, time)| *time < horizon) {
                forget_oldest(&mut self.keys, order);
            }
            let room = ROOM_MIN.max(order.len() * 2);
            // What a burst needed is given back, seldom enough to cost nothing.
            if order.capacity() > room * 4 {
                order.shrink_to(room);
                self.keys.shrink_to(room);
            }
        }
    }
}

fn forget_oldest(keys: &mut HashSet<Key, RandomState>, order: &mut VecDeque<(Key, Timestamp)>) {
    if let Some((oldest, _)) = order.pop_front() {
        keys.remove(&oldest);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Later than all flows that are not from the future.
    const NOW: Timestamp = Timestamp(3_600_000_000_000);
    const TWO_DAYS: Duration = Duration::from_secs(2 * 86_400);

    fn flow(id: u64, time: i64) -> Flow {
        Flow { id: FlowId::parse(&format!("id-{id}")), time: Timestamp(time), ..Flow::default() }
    }

    #[test]
    fn repeats_are_recognised_and_memory_is_bounded() {
        let mut recent = Recent::default();
        assert!(recent.is_new(&flow(1, 10), b"", NOW) && !recent.is_new(&flow(1, 10), b"", NOW));
        assert!(recent.is_new(&flow(2, 5), b"", NOW));
        assert_eq!(recent.newest(), Some(Timestamp(10)), "the newest by time, not the last that came");
        for id in 3..400_000 {
            assert!(recent.is_new(&flow(id, 11), b"", NOW));
        }
        assert_eq!((recent.keys.len(), recent.order.len()), (FLOWS_MAX, FLOWS_MAX));
        assert!(recent.is_new(&flow(1, 10), b"", NOW), "what was forgotten is news again");
    }

    #[test]
    fn what_is_not_asked_for_again_is_forgotten() {
        let mut recent = Recent::default();
        for id in 0..50_000 {
            assert!(recent.is_new(&flow(id, 10), b"", NOW));
        }
        // A thousand flows a second.
        let time = |id: u64| 3_000_000_000 + i64::try_from(id - 50_000).unwrap() * 1_000_000;
        for id in 50_000..60_000 {
            assert!(recent.is_new(&flow(id, time(id)), b"", NOW));
        }
        assert_eq!(recent.keys.len(), recent.order.len());
        assert!((2_000..2_010).contains(&recent.keys.len()), "{} flows of two seconds", recent.keys.len());
        let room = recent.order.capacity().max(recent.keys.capacity());
        assert!(room <= 8 * 4_096, "room for {room} flows");
        let since = recent.since(NOW).unwrap();
        for id in (50_000..60_000).filter(|id| Timestamp(time(*id)) >= since) {
            assert!(!recent.is_new(&flow(id, time(id)), b"", NOW), "flow {id} is asked for again");
        }
    }

    #[test]
    fn flows_without_id_repeat_only_across_a_break() {
        let at = |time| Flow { time: Timestamp(time), ..Flow::default() };
        let mut recent = Recent::default();
        assert!(recent.is_new(&at(10), b"a", NOW) && recent.is_new(&at(10), b"a", NOW), "two that differ in nothing");
        recent.resume();
        assert!(!recent.is_new(&at(10), b"a", NOW) && !recent.is_new(&at(10), b"a", NOW));
        assert!(recent.is_new(&at(10), b"b", NOW), "what was not seen before the break");
        assert!(recent.is_new(&at(11), b"c", NOW) && recent.is_new(&at(11), b"c", NOW));
    }

    #[test]
    fn a_flow_from_the_future_keeps_nothing_away() {
        let mut recent = Recent::default();
        let at = |ms: u64| NOW.after(Duration::from_millis(ms));
        for ms in 0..1_000 {
            assert!(recent.is_new(&flow(ms, at(ms).0), b"", at(ms)));
        }
        let future = flow(1_000_000, at(1_000).after(TWO_DAYS).0);
        assert!(recent.is_new(&future, b"", at(1_000)));
        assert_eq!(recent.newest(), Some(at(1_000)));
        assert_eq!(
            recent.since(at(1_000)),
            Some(at(0)),
            "asked for from a second ago, not from the day after tomorrow"
        );
        recent.resume();
        for ms in 0..1_000 {
            assert!(!recent.is_new(&flow(ms, at(ms).0), b"", at(1_500)), "flow {ms} comes again");
        }
        assert!(!recent.is_new(&future, b"", at(1_500)), "as does the one from the future");
        for ms in 1_001..10_000 {
            assert!(recent.is_new(&flow(ms, at(ms).0), b"", at(ms)));
        }
        assert!((2_000..2_010).contains(&recent.keys.len()), "{} flows of two seconds", recent.keys.len());
        assert!(!recent.is_new(&future, b"", at(10_000)));
        // The relay's own clock may be set back, too.
        assert_eq!(recent.since(at(0)), Some(at(0).before(OVERLAP)));
    }

    #[test]
    fn a_peer_whose_clock_is_ahead_repeats_nothing_and_has_a_bound() {
        let ahead = |ms: u64| NOW.after(TWO_DAYS).after(Duration::from_millis(ms));
        let at = |ms: u64| NOW.after(Duration::from_millis(ms));
        let mut recent = Recent::default();
        for ms in 0..400_000 {
            assert!(recent.is_new_id(flow(ms, 0).id, ahead(ms), at(ms)));
        }
        assert_eq!((recent.keys.len(), recent.order.len() + recent.ahead.len()), (FLOWS_MAX, FLOWS_MAX));
        for ms in 200_000..400_000 {
            assert!(!recent.is_new_id(flow(ms, 0).id, ahead(ms), at(400_000)), "its whole history comes again");
        }
        let without_id = Flow { time: ahead(400_000), ..Flow::default() };
        assert!(recent.is_new(&without_id, b"a", at(400_000)));
        recent.resume();
        assert!(!recent.is_new(&without_id, b"a", at(400_001)));
    }
}
