//! Batches between the packer and the relay: waiting, then sent and not yet acknowledged.

use std::collections::VecDeque;

use flow::LossRecord;

use super::disk::{Disk, Entry, Number};
use super::parcel::Parcel;

/// A bounded queue of batches, in memory first, then on the disk. What was sent stays until it is acknowledged.
#[derive(Debug)]
pub(super) struct Spool {
    /// Sent, the oldest first; of one boot their numbers count up without gaps.
    sent: VecDeque<Sent>,
    /// Not sent yet, the oldest first. While there are some on the disk, new ones go there.
    waiting: VecDeque<Parcel>,
    disk: Option<Disk>,
    bytes: usize,
    bytes_max: usize,
    boot_id: u64,
    sequence: u64,
    /// Rows of batches on the disk that could not be read.
    damaged: u64,
}

/// A batch that was sent.
#[derive(Clone, Debug)]
struct Sent {
    number: Number,
    parcel: Parcel,
    /// Its file, where it came from the disk.
    entry: Option<Entry>,
}

/// What had to go.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Lost {
    /// Rows.
    pub(super) rows: u64,
    /// What was to be told with them.
    pub(super) losses: Vec<LossRecord>,
}

impl Lost {
    fn add(&mut self, parcel: Parcel) {
        self.rows += parcel.rows();
        self.losses.extend(parcel.into_losses());
    }
}

impl Spool {
    /// A spool of at most `bytes_max` bytes in memory, and what `disk` holds and may hold.
    pub(super) fn new(boot_id: u64, bytes_max: usize, disk: Option<Disk>) -> Self {
        let (sent, waiting) = (VecDeque::new(), VecDeque::new());
        Self { sent, waiting, disk, bytes: 0, bytes_max, boot_id, sequence: 0, damaged: 0 }
    }

    /// Adds a batch. Gives what had to go for it: the oldest that was not sent yet, or itself where what was sent fills
    /// the spool.
    pub(super) fn push(&mut self, parcel: Parcel) -> Lost {
        let mut lost = Lost::default();
        let parcel = match &mut self.disk {
            Some(disk) if disk.len() > 0 || self.bytes + parcel.bytes() > self.bytes_max => {
                match disk.push(parcel, None) {
                    Ok(()) => {
                        Self::shrink(disk, &mut lost);
                        return lost;
                    }
                    Err(parcel) => parcel,
                }
            }
            _ => parcel,
        };
        self.bytes += parcel.bytes();
        self.waiting.push_back(parcel);
        while self.bytes > self.bytes_max {
            let Some(oldest) = self.waiting.pop_front() else { break };
            self.bytes -= oldest.bytes();
            lost.add(oldest);
        }
        lost
    }

    fn shrink(disk: &mut Disk, lost: &mut Lost) {
        while disk.is_over() {
            let Some((entry, parcel)) = disk.pop() else { break };
            match parcel {
                Some(parcel) => {
                    disk.remove(&entry);
                    lost.add(parcel);
                }
                None => lost.rows += entry.rows(),
            }
        }
    }

    /// Gives the next batch that was not sent yet its number and marks it as sent. A number is given once, so the
    /// relay sees no gap for a batch that was lost here. What a boot before this one had sent keeps the number of then.
    pub(super) fn next(&mut self) -> Option<(Number, Parcel)> {
        // Those come first: they are older than anything in memory.
        let left_over = self.disk.as_ref().is_some_and(Disk::front_was_sent);
        let sent = match if left_over { None } else { self.waiting.pop_front() } {
            Some(parcel) => Sent { number: self.number(), parcel, entry: None },
            None => self.next_from_disk()?,
        };
        let next = (sent.number, sent.parcel.clone());
        self.sent.push_back(sent);
        Some(next)
    }

    fn next_from_disk(&mut self) -> Option<Sent> {
        loop {
            let (mut entry, parcel) = self.disk.as_mut()?.pop()?;
            let Some(parcel) = parcel else {
                self.damaged += entry.rows();
                continue;
            };
            let number = match entry.number() {
                Some(number) => number,
                None => {
                    let number = self.number();
                    self.disk.as_ref()?.number_entry(&mut entry, number);
                    number
                }
            };
            self.bytes += parcel.bytes();
            return Some(Sent { number, parcel, entry: Some(entry) });
        }
    }

    fn number(&mut self) -> Number {
        self.sequence += 1;
        (self.boot_id, self.sequence)
    }

    /// Batches that were sent and not acknowledged, the oldest first.
    pub(super) fn unacknowledged(&self) -> Vec<(Number, Parcel)> {
        self.sent.iter().map(|sent| (sent.number, sent.parcel.clone())).collect()
    }

    /// How many batches were sent and not acknowledged.
    pub(super) fn in_flight(&self) -> usize {
        self.sent.len()
    }

    /// Drops everything up to this number of its boot; returns how many batches and rows that were.
    pub(super) fn acknowledge(&mut self, (boot_id, sequence): Number) -> (u64, u64) {
        let (mut batches, mut rows) = (0, 0);
        while let Some(sent) = self.sent.pop_front_if(|sent| sent.number.0 == boot_id && sent.number.1 <= sequence) {
            self.bytes -= sent.parcel.bytes();
            if let (Some(disk), Some(entry)) = (&self.disk, &sent.entry) {
                disk.remove(entry);
            }
            batches += 1;
            rows += sent.parcel.rows();
        }
        (batches, rows)
    }

    /// Leaves on the disk what is in memory, for the next start; gives the rows that it cannot take.
    pub(super) fn leave(&mut self) -> u64 {
        let Some(disk) = &mut self.disk else { return self.rows() };
        let mut lost = Lost::default();
        let sent = self.sent.drain(..).filter(|sent| sent.entry.is_none()).map(|sent| (Some(sent.number), sent.parcel));
        let waiting = self.waiting.drain(..).map(|parcel| (None, parcel));
        for (number, parcel) in sent.chain(waiting) {
            if let Err(parcel) = disk.push(parcel, number) {
                lost.add(parcel);
            }
        }
        Self::shrink(disk, &mut lost);
        self.bytes = 0;
        lost.rows
    }

    /// Rows of batches on the disk that could not be read since the last call.
    pub(super) fn take_damaged(&mut self) -> u64 {
        std::mem::take(&mut self.damaged)
    }

    /// Batches held.
    pub(super) fn len(&self) -> usize {
        self.sent.len() + self.waiting.len() + self.disk.as_ref().map_or(0, Disk::len)
    }

    /// Rows held.
    pub(super) fn rows(&self) -> u64 {
        let sent = self.sent.iter().map(|sent| sent.parcel.rows());
        let waiting = self.waiting.iter().map(Parcel::rows);
        sent.chain(waiting).sum::<u64>() + self.disk.as_ref().map_or(0, Disk::rows)
    }

    /// Bytes held in memory.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Bytes held on the disk, without what was read from it to be sent.
    pub(super) fn disk_bytes(&self) -> u64 {
        self.disk.as_ref().map_or(0, Disk::bytes)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    const BOOT: u64 = 5;

    fn parcel(rows: u64) -> Parcel {
        Parcel::for_test(rows, 100)
    }

    fn on_disk(boot_id: u64, folder: &Path, disk_bytes: u64) -> Spool {
        Spool::new(boot_id, 300, Some(Disk::open(folder, disk_bytes).unwrap()))
    }

    fn drain(spool: &mut Spool) -> Vec<(Number, u64)> {
        std::iter::from_fn(|| spool.next()).map(|(number, parcel)| (number, parcel.rows())).collect()
    }

    #[test]
    fn a_full_spool_loses_the_oldest_that_was_not_sent() {
        let mut spool = Spool::new(BOOT, 300, None);
        assert_eq!((spool.push(parcel(1)).rows, spool.push(parcel(2)).rows), (0, 0));
        assert_eq!(spool.next().map(|(n, p)| (n, p.rows())), Some(((BOOT, 1), 1)));
        assert_eq!(spool.push(parcel(3)).rows, 0);
        assert_eq!(spool.push(parcel(4)).rows, 2);
        assert_eq!((spool.len(), spool.rows(), spool.bytes()), (3, 8, 300));
        // The number after 1 is 2, although a batch was lost between them.
        assert_eq!(spool.next().map(|(n, p)| (n, p.rows())), Some(((BOOT, 2), 3)));
    }

    #[test]
    fn sent_batches_stay_until_acknowledged() {
        let mut spool = Spool::new(BOOT, 1000, None);
        for rows in 1..=4 {
            spool.push(parcel(rows));
        }
        for _ in 0..3 {
            spool.next();
        }
        assert_eq!(spool.acknowledge((BOOT, 2)), (2, 3));
        assert_eq!(spool.acknowledge((BOOT, 2)), (0, 0));
        assert_eq!(spool.acknowledge((BOOT + 1, 9)), (0, 0));
        assert_eq!(spool.unacknowledged().iter().map(|(n, p)| (*n, p.rows())).collect::<Vec<_>>(), [((BOOT, 3), 3)]);
        assert_eq!((spool.len(), spool.in_flight(), spool.bytes()), (2, 1, 200));
    }

    #[test]
    fn what_finds_no_room_in_memory_waits_on_the_disk_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = on_disk(BOOT, folder.path(), 1 << 20);
        for rows in 1..=9 {
            assert_eq!(spool.push(parcel(rows)), Lost::default());
        }
        assert_eq!((spool.len(), spool.rows(), spool.bytes()), (9, 45, 300));
        let expected: Vec<(Number, u64)> = (1..=9).map(|n| ((BOOT, n), n)).collect();
        assert_eq!(drain(&mut spool), expected);
        assert_eq!(spool.acknowledge((BOOT, 9)), (9, 45));
        assert_eq!((spool.bytes(), std::fs::read_dir(folder.path()).unwrap().count()), (0, 0));
    }

    #[test]
    fn a_full_disk_budget_loses_the_oldest_and_tells_its_rows() {
        let folder = tempfile::tempdir().unwrap();
        let one = parcel(1).to_bytes().len() as u64;
        let mut spool = on_disk(BOOT, folder.path(), 2 * one);
        let lost: u64 = (1..=7).map(|rows| spool.push(parcel(rows)).rows).sum();
        assert_eq!(lost, 4 + 5);
        assert_eq!(drain(&mut spool).iter().map(|(_, rows)| *rows).collect::<Vec<_>>(), [1, 2, 3, 6, 7]);
    }

    #[test]
    fn the_next_boot_sends_what_is_left_and_keeps_the_numbers_of_what_was_sent() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = on_disk(BOOT, folder.path(), 1 << 20);
        for rows in 1..=6 {
            spool.push(parcel(rows));
        }
        for _ in 0..5 {
            spool.next();
        }
        assert_eq!(spool.acknowledge((BOOT, 1)), (1, 1));
        // An end in order; what was sent from memory goes behind what was sent from the disk.
        assert_eq!(spool.leave(), 0);
        drop(spool);
        let mut next = on_disk(BOOT + 1, folder.path(), 1 << 20);
        next.push(parcel(7));
        let of_before = (2..=5).map(|n| ((BOOT, n), n));
        let expected: Vec<(Number, u64)> = of_before.chain([((BOOT + 1, 1), 6), ((BOOT + 1, 2), 7)]).collect();
        assert_eq!(drain(&mut next), expected);
    }

    #[test]
    fn a_crash_leaves_what_was_on_the_disk() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = on_disk(BOOT, folder.path(), 1 << 20);
        for rows in 1..=6 {
            spool.push(parcel(rows));
        }
        for _ in 0..4 {
            spool.next();
        }
        drop(spool);
        let mut next = on_disk(BOOT + 1, folder.path(), 1 << 20);
        assert_eq!(drain(&mut next), [((BOOT, 4), 4), ((BOOT + 1, 1), 5), ((BOOT + 1, 2), 6)]);
    }

    #[test]
    fn a_damaged_batch_is_left_out_and_counted() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = on_disk(BOOT, folder.path(), 1 << 20);
        for rows in 1..=5 {
            spool.push(parcel(rows));
        }
        let file = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).min().unwrap();
        let mut bytes = std::fs::read(&file).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        std::fs::write(&file, bytes).unwrap();
        assert_eq!(drain(&mut spool).iter().map(|(_, rows)| *rows).collect::<Vec<_>>(), [1, 2, 3, 5]);
        assert_eq!((spool.take_damaged(), spool.take_damaged()), (4, 0));
    }
}
