//! Losses as following clients learn of them: totals that only grow, so that a slow client misses none.

use std::collections::BTreeMap;
use std::sync::Arc;

use flow::{LossRecord, LossStage, LostEvent, LostEventSource, Timestamp};
use relay_index::LedgerLine;
use tokio::sync::watch;

/// Pairs of node and source that are counted apart; what nodes beyond them lose is counted for no node in particular.
const PAIRS_MAX: usize = 16_384;

/// Losses reported since the start, by node and source.
#[derive(Debug)]
pub(crate) struct Losses {
    totals: watch::Sender<Arc<Totals>>,
}

type Totals = BTreeMap<(String, LostEventSource), u64>;

/// One reader's view of the losses.
#[derive(Debug)]
pub(crate) struct LossWatch {
    totals: watch::Receiver<Arc<Totals>>,
    told: Arc<Totals>,
}

/// Events that one node lost.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeLoss {
    /// Node, empty where it is not known.
    pub(crate) node: String,
    /// What was lost.
    pub(crate) event: LostEvent,
}

impl Losses {
    /// None yet.
    pub(crate) fn new() -> Self {
        Self { totals: watch::Sender::new(Arc::default()) }
    }

    /// Adds what a node reported.
    pub(crate) fn add(&self, node: &str, losses: &[LossRecord]) {
        if losses.iter().all(|l| l.lost == 0) {
            return;
        }
        self.totals.send_modify(|totals| {
            let totals = Arc::make_mut(totals);
            for loss in losses.iter().filter(|l| l.lost > 0) {
                let key = (node.to_owned(), source_of(loss.stage));
                let fits = totals.len() < PAIRS_MAX || totals.contains_key(&key);
                let key = if fits { key } else { (String::new(), key.1) };
                let total = totals.entry(key).or_default();
                *total = total.saturating_add(loss.lost);
            }
        });
    }

    /// Watches for losses from now on.
    pub(crate) fn watch(&self) -> LossWatch {
        let mut totals = self.totals.subscribe();
        let told = Arc::clone(&totals.borrow_and_update());
        LossWatch { totals, told }
    }
}

impl LossWatch {
    /// Waits until there may be losses to tell.
    ///
    /// # Cancel safety
    /// Nothing is taken.
    pub(crate) async fn changed(&mut self) {
        if self.totals.changed().await.is_err() {
            // The sender lives as long as the relay; after it there is nothing to tell.
            std::future::pending::<()>().await;
        }
    }

    /// What was lost since the last call.
    pub(crate) fn take(&mut self) -> Vec<NodeLoss> {
        let now = Arc::clone(&self.totals.borrow_and_update());
        let news = now.iter().filter_map(|((node, source), total)| {
            let key = (node.clone(), *source);
            let count = total - self.told.get(&key).copied().unwrap_or(0);
            let event = LostEvent { source: *source, count, ..LostEvent::default() };
            (count > 0).then_some(NodeLoss { node: key.0, event })
        });
        let news = news.collect();
        self.told = now;
        news
    }
}

/// What the ledger says was lost between two moments, by node and source, in order of their names.
pub(crate) fn past_losses(ledger: &[LedgerLine], since: Timestamp, until: Option<Timestamp>) -> Vec<NodeLoss> {
    let mut losses: BTreeMap<(&str, LostEventSource), LostEvent> = BTreeMap::new();
    let in_range =
        |l: &&LedgerLine| l.window.after(LossRecord::WINDOW) > since && until.is_none_or(|until| l.window <= until);
    for line in ledger.iter().filter(|l| l.lost > 0).filter(in_range) {
        let source = source_of(line.stage);
        let event = losses.entry((line.node.as_str(), source)).or_default();
        event.source = source;
        event.count = event.count.saturating_add(line.lost);
        event.first = Some(event.first.map_or(line.window, |first| first.min(line.window)));
        event.last = event.last.max(Some(line.window.after(LossRecord::WINDOW)));
    }
    losses.into_iter().map(|((node, _), event)| NodeLoss { node: node.to_owned(), event }).collect()
}

/// Source by which Hubble's clients know a stage: the kernel's ring, the queue before the flows, the ring of flows.
pub(crate) const fn source_of(stage: LossStage) -> LostEventSource {
    match stage {
        LossStage::Kernel => LostEventSource::PERF_EVENT_RING_BUFFER,
        LossStage::Decode | LossStage::L7 => LostEventSource::OBSERVER_EVENTS_QUEUE,
        LossStage::Ring | LossStage::Ship | LossStage::Ingest | LossStage::Serve => LostEventSource::HUBBLE_RING_BUFFER,
    }
}

/// Stage that a loss told by a Hubble observer happened at, the other way round than [`source_of`].
pub(crate) const fn stage_of(source: LostEventSource) -> LossStage {
    match source {
        LostEventSource::PERF_EVENT_RING_BUFFER => LossStage::Kernel,
        LostEventSource::OBSERVER_EVENTS_QUEUE => LossStage::Decode,
        _ => LossStage::Ring,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loss(stage: LossStage, lost: u64) -> LossRecord {
        LossRecord { window: Timestamp(0), stage, cause: "full".to_owned(), seen: 10, lost }
    }

    #[test]
    fn a_slow_reader_misses_no_loss() {
        let losses = Losses::new();
        losses.add("a", &[loss(LossStage::Kernel, 5)]);
        let mut watch = losses.watch();
        assert!(watch.take().is_empty(), "what was before is not news");
        losses.add("a", &[loss(LossStage::Kernel, 2), loss(LossStage::Ship, 1), loss(LossStage::Ring, 1)]);
        losses.add("a", &[loss(LossStage::Kernel, 3), loss(LossStage::Decode, 0)]);
        let news: Vec<_> = watch.take().into_iter().map(|l| (l.node, l.event.source, l.event.count)).collect();
        let expected = [(LostEventSource::PERF_EVENT_RING_BUFFER, 5), (LostEventSource::HUBBLE_RING_BUFFER, 2)];
        assert_eq!(news, expected.map(|(source, count)| ("a".to_owned(), source, count)));
        assert!(watch.take().is_empty());
    }

    #[test]
    fn nodes_beyond_the_bound_are_counted_together() {
        let losses = Losses::new();
        let mut watch = losses.watch();
        for i in 0..PAIRS_MAX + 10 {
            losses.add(&format!("n{i}"), &[loss(LossStage::Kernel, 1)]);
        }
        let news = watch.take();
        assert_eq!(news.iter().map(|l| l.event.count).sum::<u64>(), PAIRS_MAX as u64 + 10);
        assert_eq!(news.iter().find(|l| l.node.is_empty()).map(|l| l.event.count), Some(10));
    }

    #[test]
    fn the_ledger_is_summed_over_the_range() {
        let line = |seconds: i64, stage, lost| LedgerLine {
            node: "a".to_owned(),
            window: Timestamp(seconds * Timestamp::NANOS_PER_SECOND),
            stage,
            cause: "full".to_owned(),
            seen: 100,
            lost,
        };
        let ledger = [
            line(0, LossStage::Kernel, 1),
            line(10, LossStage::Kernel, 2),
            line(20, LossStage::Kernel, 4),
            line(20, LossStage::Ship, 8),
            line(20, LossStage::Decode, 0),
            line(30, LossStage::Kernel, 16),
        ];
        let second = |s: i64| Timestamp(s * Timestamp::NANOS_PER_SECOND);
        let losses = past_losses(&ledger, second(15), Some(second(25)));
        let counts: Vec<_> = losses.iter().map(|l| (l.event.source, l.event.count)).collect();
        let expected = [(LostEventSource::PERF_EVENT_RING_BUFFER, 6), (LostEventSource::HUBBLE_RING_BUFFER, 8)];
        assert_eq!(counts, expected);
        assert_eq!((losses[0].event.first, losses[0].event.last), (Some(second(10)), Some(second(30))));
        assert!(past_losses(&ledger, second(40), None).is_empty());
    }
}
