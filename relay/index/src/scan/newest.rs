//! The newest rows, oldest first.

use std::sync::Weak;

use super::{Hit, Order, Search, compare};
use crate::Snapshot;
use crate::segment::as_u64;

/// Hits that are held to turn their order round; of more only the oldest is looked for, and the walk begins again there.
const HELD_MAX: usize = 65_536;

/// A walk that another thread may go on with.
type Hits = Box<dyn Iterator<Item = Hit> + Send>;

impl Snapshot {
    /// The newest `count` rows that match, oldest first, while whoever asks is there. However many they are, few are held
    /// at a time.
    #[must_use]
    pub fn newest_rows(&self, count: usize, search: Search, asker: &Weak<()>) -> Hits {
        self.newest_holding(HELD_MAX, count, search, asker)
    }

    fn newest_holding(&self, held_max: usize, count: usize, search: Search, asker: &Weak<()>) -> Hits {
        let walk = |search, order| self.scan(search, order).while_asked(asker.clone());
        if as_u64(count) >= self.all_rows() {
            return Box::new(walk(search, Order::OldestFirst));
        }
        let mut found = walk(search.clone(), Order::NewestFirst).take(count);
        let mut held: Vec<Hit> = found.by_ref().take(held_max).collect();
        let Some(beyond) = found.next() else {
            held.reverse();
            return Box::new(held.into_iter());
        };
        drop(held);
        let oldest = found.last().unwrap_or(beyond);
        let search = Search { since: Some(oldest.time()), ..search };
        Box::new(walk(search, Order::OldestFirst).skip_while(move |hit| compare(hit, &oldest).is_lt()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flow::{Flow, Timestamp};
    use table::FlowBatchBuilder;

    use crate::{BatchOrigin, Config, Index, Search};

    #[test]
    fn many_are_the_same_as_those_that_are_held() {
        let index = Index::new(Config::default()).unwrap();
        // Many rows of one moment and of several nodes, delivered out of order.
        for batch in 0..20_u64 {
            let mut builder = FlowBatchBuilder::new();
            for row in 0..10 {
                let time = Timestamp(i64::try_from((batch * 7 + row) % 13).unwrap());
                let node_name = format!("n{}", batch % 3).into();
                builder.push(&Flow { time, node_name, socket_cookie: batch * 10 + row, ..Flow::default() }).unwrap();
            }
            let origin = BatchOrigin { node: format!("n{}", batch % 3), ..BatchOrigin::default() };
            index.append(&origin, &builder.finish()).unwrap();
        }
        let (snapshot, asker) = (index.snapshot(), Arc::new(()));
        for count in [0, 1, 7, 8, 9, 50, 199, 200, usize::MAX] {
            let newest = |held_max| -> Vec<u64> {
                let hits = snapshot.newest_holding(held_max, count, Search::default(), &Arc::downgrade(&asker));
                hits.map(|hit| hit.seq()).collect()
            };
            let expected = newest(1_000);
            assert_eq!(expected.len(), count.min(200));
            assert_eq!(newest(8), expected, "the newest {count}");
            assert_eq!(newest(0), expected, "the newest {count}, none held");
        }
        assert_eq!(snapshot.newest_rows(9, Search::default(), &std::sync::Weak::new()).count(), 0, "nobody asks");
    }
}
