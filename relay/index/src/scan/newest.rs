//! The newest rows, oldest first.

use super::{Hit, Order, Search, compare};
use crate::Snapshot;
use crate::segment::as_u64;

/// Hits that are held to turn their order round; of more only the oldest is looked for, and the walk begins again there.
const HELD_MAX: usize = 65_536;

/// A walk that another thread may go on with.
type Hits = Box<dyn Iterator<Item = Hit> + Send>;

impl Snapshot {
    /// The newest `count` rows that match, oldest first. However many they are, few are held at a time.
    #[must_use]
    pub fn newest_rows(&self, count: usize, search: Search) -> Hits {
        self.newest_holding(HELD_MAX, count, search)
    }

    fn newest_holding(&self, held_max: usize, count: usize, search: Search) -> Hits {
        if as_u64(count) >= self.all_rows() {
            return Box::new(self.scan(search, Order::OldestFirst));
        }
        let mut found = self.scan(search.clone(), Order::NewestFirst).take(count);
        let mut held: Vec<Hit> = found.by_ref().take(held_max).collect();
        let Some(beyond) = found.next() else {
            held.reverse();
            return Box::new(held.into_iter());
        };
        drop(held);
        let oldest = found.last().unwrap_or(beyond);
        let search = Search { since: Some(oldest.time()), ..search };
        Box::new(self.scan(search, Order::OldestFirst).skip_while(move |hit| compare(hit, &oldest).is_lt()))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use flow::{Flow, Timestamp};
    use table::FlowBatchBuilder;

    use crate::{Asker, BatchOrigin, Config, Index, Search};

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
        let snapshot = index.snapshot();
        for count in [0, 1, 7, 8, 9, 50, 199, 200, usize::MAX] {
            let newest = |held_max| -> Vec<u64> {
                let hits = snapshot.newest_holding(held_max, count, Search::default());
                hits.map(|hit| hit.seq()).collect()
            };
            let expected = newest(1_000);
            assert_eq!(expected.len(), count.min(200));
            assert_eq!(newest(8), expected, "the newest {count}");
            assert_eq!(newest(0), expected, "the newest {count}, none held");
        }
        let nobody = Search { asker: Asker::of(&Arc::new(())), ..Search::default() };
        assert_eq!(snapshot.newest_rows(9, nobody).count(), 0);
    }
}
