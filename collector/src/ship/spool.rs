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
    /// Why the relay refuses it; an empty batch is sent under its number then.
    refusal: Option<String>,
}

/// What an acknowledgment was for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Acknowledged {
    /// Batches the relay owns.
    pub(super) batches: u64,
    /// Their rows.
    pub(super) rows: u64,
    /// Rows of a batch that the relay refused, of which it took an empty one in its place, and why it did.
    pub(super) refused: Option<(u64, String)>,
}

/// What a refusal is taken for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// Nothing waited for an answer.
    Nothing,
    /// Of this batch, with so many rows: an empty one is sent in its place.
    Batch(Number, u64),
    /// Of the stream as such, as an empty batch was refused too: the batch itself is sent again.
    Stream,
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
            Some(parcel) => Sent { number: self.number(), parcel, entry: None, refusal: None },
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
            return Some(Sent { number, parcel, entry: Some(entry), refusal: None });
        }
    }

    fn number(&mut self) -> Number {
        self.sequence += 1;
        (self.boot_id, self.sequence)
    }

    /// Batches that were sent and not acknowledged, the oldest first, as they are to be sent again.
    pub(super) fn unacknowledged(&self) -> Vec<(Number, Parcel)> {
        let to_send = |sent: &Sent| if sent.refusal.is_some() { sent.parcel.emptied() } else { sent.parcel.clone() };
        self.sent.iter().map(|sent| (sent.number, to_send(sent))).collect()
    }

    /// Notes that the relay ended the stream because something in it is invalid. It answers in order, so it means the
    /// oldest batch without an answer, or what every stream begins with. An empty batch under the same number tells which:
    /// once that is acknowledged the batch is given up, and the numbers have no gap.
    pub(super) fn refuse(&mut self, reason: &str) -> Refusal {
        let Some(sent) = self.sent.front_mut() else { return Refusal::Nothing };
        if sent.refusal.take().is_some() || sent.parcel.rows() == 0 {
            return Refusal::Stream;
        }
        sent.refusal = Some(reason.to_owned());
        Refusal::Batch(sent.number, sent.parcel.rows())
    }

    /// How many batches were sent and not acknowledged.
    pub(super) fn in_flight(&self) -> usize {
        self.sent.len()
    }

    /// Drops everything up to this number of its boot.
    pub(super) fn acknowledge(&mut self, (boot_id, sequence): Number) -> Acknowledged {
        let mut acknowledged = Acknowledged::default();
        while let Some(sent) = self.sent.pop_front_if(|sent| sent.number.0 == boot_id && sent.number.1 <= sequence) {
            self.bytes -= sent.parcel.bytes();
            if let (Some(disk), Some(entry)) = (&self.disk, &sent.entry) {
                disk.remove(entry);
            }
            match sent.refusal {
                Some(reason) => acknowledged.refused = Some((sent.parcel.rows(), reason)),
                None => {
                    acknowledged.batches += 1;
                    acknowledged.rows += sent.parcel.rows();
                }
            }
        }
        acknowledged
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

    /// Batches on the disk that only a later version can read; they are not held.
    pub(super) fn later(&self) -> u64 {
        self.disk.as_ref().map_or(0, Disk::later)
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

    fn acknowledged(batches: u64, rows: u64) -> Acknowledged {
        Acknowledged { batches, rows, refused: None }
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
        assert_eq!(spool.acknowledge((BOOT, 2)), acknowledged(2, 3));
        assert_eq!(spool.acknowledge((BOOT, 2)), acknowledged(0, 0));
        assert_eq!(spool.acknowledge((BOOT + 1, 9)), acknowledged(0, 0));
        assert_eq!(spool.unacknowledged().iter().map(|(n, p)| (*n, p.rows())).collect::<Vec<_>>(), [((BOOT, 3), 3)]);
        assert_eq!((spool.len(), spool.in_flight(), spool.bytes()), (2, 1, 200));
    }

    #[test]
    fn a_refused_batch_is_given_up_once_an_empty_one_is_taken_in_its_place() {
        let mut spool = Spool::new(BOOT, 1000, None);
        assert_eq!(spool.refuse("bad"), Refusal::Nothing);
        for rows in 1..=3 {
            spool.push(parcel(rows));
            spool.next();
        }
        let to_send = |spool: &Spool| spool.unacknowledged().iter().map(|(n, p)| (n.1, p.rows())).collect::<Vec<_>>();
        assert_eq!(spool.acknowledge((BOOT, 1)), acknowledged(1, 1));
        assert_eq!(spool.refuse("bad"), Refusal::Batch((BOOT, 2), 2));
        assert_eq!(to_send(&spool), [(2, 0), (3, 3)]);
        // The empty one is refused as well: it is not the batch.
        assert_eq!(spool.refuse("old relay"), Refusal::Stream);
        assert_eq!(to_send(&spool), [(2, 2), (3, 3)]);
        assert_eq!(spool.refuse("bad"), Refusal::Batch((BOOT, 2), 2));
        let refused = Some((2, "bad".to_owned()));
        assert_eq!(spool.acknowledge((BOOT, 2)), Acknowledged { batches: 0, rows: 0, refused });
        assert_eq!((spool.rows(), spool.bytes()), (3, 100));
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
        assert_eq!(spool.acknowledge((BOOT, 9)), acknowledged(9, 45));
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
        assert_eq!(spool.acknowledge((BOOT, 1)), acknowledged(1, 1));
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
    /// A collector that is replaced by an earlier version finds what the later one left.
    #[test]
    fn batches_of_a_later_version_stay_where_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = on_disk(BOOT, folder.path(), 1 << 20);
        for rows in 1..=8 {
            spool.push(parcel(rows));
        }
        drop(spool);
        let mut files: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        files.sort();
        let change = |file: &Path, at: usize, to: u8| {
            let mut bytes = std::fs::read(file).unwrap();
            bytes[at] = to;
            std::fs::write(file, bytes).unwrap();
        };
        // The form of the file, the version of the table, and one that is none of ours.
        change(&files[1], 7, b'3');
        change(&files[2], 8, 9);
        change(&files[3], 0, b'X');
        let mut next = on_disk(BOOT + 1, folder.path(), 1 << 20);
        assert_eq!((next.later(), next.len(), next.rows()), (2, 3, 4 + 7 + 8));
        next.push(parcel(9));
        assert_eq!(drain(&mut next).iter().map(|(_, rows)| *rows).collect::<Vec<_>>(), [4, 8, 9]);
        assert_eq!(next.take_damaged(), 7);
        next.acknowledge((BOOT + 1, 9));
        let mut left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).collect();
        left.sort();
        assert_eq!(left, files[1..3]);
    }
}
