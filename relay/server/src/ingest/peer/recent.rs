//! Recognising flows that were pulled before a break.

use std::collections::{HashSet, VecDeque};

use flow::{Flow, FlowId, Timestamp};

/// Ids remembered: the overlap of one second at the rate of a very busy node.
const IDS_MAX: usize = 65_536;

/// The newest flows of one peer; the oldest are forgotten first.
#[derive(Debug, Default)]
pub(super) struct Recent {
    newest: Option<Timestamp>,
    ids: HashSet<FlowId>,
    order: VecDeque<FlowId>,
}

impl Recent {
    /// Time of the newest flow; `None` before the first.
    pub(super) const fn newest(&self) -> Option<Timestamp> {
        self.newest
    }

    /// Remembers a flow; `false` where it is known already. Flows without id are always news.
    pub(super) fn is_new(&mut self, flow: &Flow) -> bool {
        if flow.id != FlowId::None {
            if !self.ids.insert(flow.id.clone()) {
                return false;
            }
            if self.order.len() == IDS_MAX
                && let Some(oldest) = self.order.pop_front()
            {
                self.ids.remove(&oldest);
            }
            self.order.push_back(flow.id.clone());
        }
        self.newest = self.newest.max(Some(flow.time));
        true
    }
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
        assert!(recent.is_new(&flow(1, 10)) && !recent.is_new(&flow(1, 10)));
        assert!(recent.is_new(&flow(2, 5)));
        assert_eq!(recent.newest(), Some(Timestamp(10)), "the newest by time, not the last that came");
        for id in 3..200_000 {
            assert!(recent.is_new(&flow(id, 11)));
        }
        assert_eq!((recent.ids.len(), recent.order.len()), (IDS_MAX, IDS_MAX));
        assert!(recent.is_new(&flow(1, 10)), "what was forgotten is news again");
    }

    #[test]
    fn flows_without_id_are_always_news() {
        let mut recent = Recent::default();
        assert!(recent.is_new(&Flow::default()) && recent.is_new(&Flow::default()));
    }
}
