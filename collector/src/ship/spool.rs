//! Batches between the packer and the relay: waiting, then sent and not yet acknowledged.

use std::collections::VecDeque;

use super::parcel::Parcel;

/// A bounded queue of batches. What was sent stays until it is acknowledged.
#[derive(Debug)]
pub(super) struct Spool {
    /// Sent, the oldest first; their sequence numbers count up without gaps.
    sent: VecDeque<(u64, Parcel)>,
    /// Not sent yet, the oldest first.
    waiting: VecDeque<Parcel>,
    bytes: usize,
    bytes_max: usize,
    sequence: u64,
}

impl Spool {
    /// An empty spool of at most `bytes_max` bytes.
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { sent: VecDeque::new(), waiting: VecDeque::new(), bytes: 0, bytes_max, sequence: 0 }
    }

    /// Adds a batch. Returns the batches that had to go for it: the oldest that were not sent yet, or itself where
    /// what was sent fills the spool.
    pub(super) fn push(&mut self, parcel: Parcel) -> Vec<Parcel> {
        self.bytes += parcel.bytes();
        self.waiting.push_back(parcel);
        let mut lost = Vec::new();
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.waiting.pop_front() else { break };
            self.bytes -= oldest.bytes();
            lost.push(oldest);
        }
        lost
    }

    /// Gives the next batch that was not sent yet its number and marks it as sent. A number is given once, so the
    /// relay sees no gap for a batch that was lost here.
    pub(super) fn next(&mut self) -> Option<(u64, Parcel)> {
        let parcel = self.waiting.pop_front()?;
        self.sequence += 1;
        self.sent.push_back((self.sequence, parcel.clone()));
        Some((self.sequence, parcel))
    }

    /// Batches that were sent and not acknowledged, the oldest first.
    pub(super) fn unacknowledged(&self) -> Vec<(u64, Parcel)> {
        self.sent.iter().cloned().collect()
    }

    /// How many batches were sent and not acknowledged.
    pub(super) fn in_flight(&self) -> usize {
        self.sent.len()
    }

    /// Drops everything up to this number; returns how many batches and rows that were.
    pub(super) fn acknowledge(&mut self, sequence: u64) -> (u64, u64) {
        let (mut batches, mut rows) = (0, 0);
        while let Some((number, _)) = self.sent.front() {
            if *number > sequence {
                break;
            }
            if let Some((_, parcel)) = self.sent.pop_front() {
                self.bytes -= parcel.bytes();
                batches += 1;
                rows += parcel.rows();
            }
        }
        (batches, rows)
    }

    /// Batches held.
    pub(super) fn len(&self) -> usize {
        self.sent.len() + self.waiting.len()
    }

    /// Rows held.
    pub(super) fn rows(&self) -> u64 {
        self.sent.iter().map(|(_, p)| p).chain(&self.waiting).map(Parcel::rows).sum()
    }

    /// Bytes held.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parcel(rows: u64) -> Parcel {
        Parcel::for_test(rows, 100)
    }

    #[test]
    fn a_full_spool_loses_the_oldest_that_was_not_sent() {
        let mut spool = Spool::new(300);
        assert!(spool.push(parcel(1)).is_empty() && spool.push(parcel(2)).is_empty());
        assert_eq!(spool.next().map(|(n, p)| (n, p.rows())), Some((1, 1)));
        assert!(spool.push(parcel(3)).is_empty());
        let lost = spool.push(parcel(4));
        assert_eq!(lost.iter().map(Parcel::rows).collect::<Vec<_>>(), [2]);
        assert_eq!((spool.len(), spool.rows(), spool.bytes()), (3, 8, 300));
        // The number after 1 is 2, although a batch was lost between them.
        assert_eq!(spool.next().map(|(n, p)| (n, p.rows())), Some((2, 3)));
    }

    #[test]
    fn sent_batches_stay_until_acknowledged() {
        let mut spool = Spool::new(1000);
        for rows in 1..=4 {
            spool.push(parcel(rows));
        }
        for _ in 0..3 {
            spool.next();
        }
        assert_eq!(spool.acknowledge(2), (2, 3));
        assert_eq!(spool.acknowledge(2), (0, 0));
        assert_eq!(spool.unacknowledged().iter().map(|(n, p)| (*n, p.rows())).collect::<Vec<_>>(), [(3, 3)]);
        assert_eq!((spool.len(), spool.in_flight(), spool.bytes()), (2, 1, 200));
    }
}
