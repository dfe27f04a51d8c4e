//! How many events were lost on the way, and where.

use std::collections::BTreeMap;

use flow::LostEventSource;
use proto::observer::GetFlowsResponse;
use proto::observer::get_flows_response::ResponseTypes;

/// Places told apart; what is lost at further ones is counted together.
const PLACES_MAX: usize = 16;

/// Losses by place.
#[derive(Debug, Default)]
pub(super) struct Losses {
    by_place: BTreeMap<String, u64>,
    elsewhere: u64,
}

impl Losses {
    /// Counts a message, if it is a loss.
    pub(super) fn count(&mut self, response: &GetFlowsResponse) {
        if let Some(ResponseTypes::LostEvents(lost)) = &response.response_types {
            self.add(LostEventSource(lost.source), &response.node_name, lost.num_events_lost);
        }
    }

    fn add(&mut self, source: LostEventSource, node: &str, count: u64) {
        let place = if node.is_empty() { source.to_string() } else { format!("{source} of {node}") };
        let known = self.by_place.contains_key(&place);
        if known || self.by_place.len() < PLACES_MAX {
            let total = self.by_place.entry(place).or_default();
            *total = total.saturating_add(count);
        } else {
            self.elsewhere = self.elsewhere.saturating_add(count);
        }
    }

    /// One line for people; `None` where nothing was lost.
    pub(super) fn summary(&self) -> Option<String> {
        let total = self.by_place.values().fold(self.elsewhere, |sum, n| sum.saturating_add(*n));
        if total == 0 {
            return None;
        }
        let mut places: Vec<String> = self.by_place.iter().map(|(place, n)| format!("{n} at {place}")).collect();
        if self.elsewhere > 0 {
            places.push(format!("{} elsewhere", self.elsewhere));
        }
        let events = if total == 1 { "1 event was".to_owned() } else { format!("{total} events were") };
        Some(format!("{events} lost and are not shown: {}", places.join(", ")))
    }
}

#[cfg(test)]
mod tests {
    use proto::flow::LostEvent;

    use super::*;

    fn lost(node: &str, count: u64) -> GetFlowsResponse {
        let source = LostEventSource::HUBBLE_RING_BUFFER.0;
        let lost = LostEvent { source, num_events_lost: count, ..LostEvent::default() };
        let response_types = Some(ResponseTypes::LostEvents(lost));
        GetFlowsResponse { node_name: node.to_owned(), time: None, response_types }
    }

    #[test]
    fn losses_are_summed_by_place() {
        let mut losses = Losses::default();
        assert_eq!(losses.summary(), None);
        for event in [lost("n1", 17), lost("", 3), lost("n1", 1)] {
            losses.count(&event);
        }
        assert_eq!(
            losses.summary().unwrap(),
            "21 events were lost and are not shown: 3 at HUBBLE_RING_BUFFER, 18 at HUBBLE_RING_BUFFER of n1"
        );
    }

    #[test]
    fn many_places_are_summed_up() {
        let mut losses = Losses::default();
        for i in 0..100 {
            losses.count(&lost(&format!("n{i}"), 1));
        }
        assert!(losses.summary().unwrap().ends_with(", 84 elsewhere"));
    }
}
