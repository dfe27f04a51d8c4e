//! Emptying the two rings in an order that makes sense: who a socket belongs to before what it says.

use aya::Ebpf;
use aya::maps::{MapData, RingBuf};

use super::clock::BootClock;
use super::map::MapError;
use super::stats::{aya, take_map};

/// Records handed over in one call, so that the caller gets to publish them.
const RECORDS_MAX: usize = 16_384;

/// The time of a record within it, see [`ebpf_abi::Header`].
const TIME_BYTES: std::ops::Range<usize> = 8..16;

/// Both rings.
pub(super) struct Rings {
    ctrl: RingBuf<MapData>,
    data: RingBuf<MapData>,
    /// Payload record that was read too early.
    held: Vec<u8>,
}

impl std::fmt::Debug for Rings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rings").field("held", &self.held.len()).finish_non_exhaustive()
    }
}

impl Rings {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, MapError> {
        Ok(Self {
            ctrl: RingBuf::try_from(take_map(ebpf, "CTRL")?).map_err(aya("CTRL"))?,
            data: RingBuf::try_from(take_map(ebpf, "DATA")?).map_err(aya("DATA"))?,
            held: Vec::new(),
        })
    }

    /// Hands over records; returns how many, and whether there may be more at once.
    ///
    /// A payload record is handed over only when it is older than the moment CTRL began to be emptied: the record that
    /// says whose socket it is was put into CTRL before it, and so has been handed over already.
    pub(super) fn drain(&mut self, take: &mut dyn FnMut(&[u8])) -> (usize, bool) {
        let began = BootClock::now_boot_ns();
        let mut records = 0;
        while let Some(record) = self.ctrl.next() {
            take(&record);
            records += 1;
            if records >= RECORDS_MAX {
                return (records, true);
            }
        }
        if !self.held.is_empty() {
            if time_of(&self.held) > began {
                return (records, false);
            }
            take(&self.held);
            self.held.clear();
            records += 1;
        }
        while let Some(record) = self.data.next() {
            if time_of(&record) > began {
                self.held.extend_from_slice(&record);
                return (records, true);
            }
            take(&record);
            records += 1;
            if records >= RECORDS_MAX {
                return (records, true);
            }
        }
        (records, false)
    }
}

fn time_of(record: &[u8]) -> u64 {
    record.get(TIME_BYTES).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes)
}
