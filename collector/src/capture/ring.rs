//! Emptying the two rings in an order that makes sense: who a socket belongs to before what it says.

use std::os::fd::AsRawFd;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicUsize, Ordering};

use aya::Ebpf;
use aya::maps::{MapData, MapError as AyaMapError, RingBuf};

use super::kernel::Drained;
use super::map::MapError;
use super::stats::{aya, take_map};

/// Records handed over in one call, so that the caller gets to publish them.
const RECORDS_MAX: usize = 16_384;

/// Both rings, read in rounds.
///
/// A round begins by noting how far the programs have come, first in DATA, then in CTRL. CTRL is emptied to its mark,
/// and only then DATA to its own. The record that says whose socket it is was put into CTRL before any payload of that
/// socket was put into DATA, so it is handed over first, also where a processor was interrupted while it filled a
/// record and so holds up all behind it. The news that a socket was closed come after its payload in time, and at most
/// one round before it here.
pub(super) struct Rings {
    ctrl: Ring,
    data: Ring,
    /// The round that goes on.
    round: Option<Round>,
    /// Rounds completed.
    pub(super) rounds: u64,
}

/// How far a round goes.
#[derive(Clone, Copy, Debug)]
struct Round {
    ctrl: usize,
    data: usize,
}

impl std::fmt::Debug for Rings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rings").field("round", &self.round).finish_non_exhaustive()
    }
}

impl Rings {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, MapError> {
        Ok(Self { ctrl: Ring::take(ebpf, "CTRL")?, data: Ring::take(ebpf, "DATA")?, round: None, rounds: 0 })
    }

    /// Goes on with the round, or begins one.
    pub(super) fn drain(&mut self, take: &mut dyn FnMut(&[u8])) -> Drained {
        let round = self.round.unwrap_or_else(|| {
            let data = self.data.produced();
            Round { ctrl: self.ctrl.produced(), data }
        });
        let mut records = self.ctrl.hand_over(round.ctrl, RECORDS_MAX, take);
        if self.ctrl.has_reached(round.ctrl) {
            records += self.data.hand_over(round.data, RECORDS_MAX - records, take);
        }
        let complete = self.ctrl.has_reached(round.ctrl) && self.data.has_reached(round.data);
        self.round = (!complete).then_some(round);
        self.rounds += u64::from(complete);
        // What a program is still filling is not there at once.
        Drained { records, more: !complete && records > 0 }
    }
}

/// One ring and the two positions it is about.
struct Ring {
    records: RingBuf<MapData>,
    consumer: PositionPage,
    producer: PositionPage,
}

impl Ring {
    fn take(ebpf: &mut Ebpf, name: &'static str) -> Result<Self, MapError> {
        let records = RingBuf::try_from(take_map(ebpf, name)?).map_err(aya(name))?;
        let page = page_bytes();
        let map = |offset| {
            PositionPage::map(records.as_raw_fd(), offset, page).map_err(|error| aya(name)(AyaMapError::IoError(error)))
        };
        Ok(Self { consumer: map(0)?, producer: map(page)?, records })
    }

    /// How far the programs have come.
    fn produced(&self) -> usize {
        self.producer.position()
    }

    /// Whether everything before a mark was handed over.
    fn has_reached(&self, mark: usize) -> bool {
        mark.wrapping_sub(self.consumer.position()).cast_signed() <= 0
    }

    /// Hands over records before a mark, `max` of them at most; fewer where a program is still filling one.
    fn hand_over(&mut self, mark: usize, max: usize, take: &mut dyn FnMut(&[u8])) -> usize {
        let mut records = 0;
        while records < max && !self.has_reached(mark) {
            let Some(record) = self.records.next() else { break };
            take(&record);
            records += 1;
        }
        records
    }
}

/// A page the kernel shares of a ring, which begins with a position: bytes ever consumed, or ever reserved.
struct PositionPage {
    at: NonNull<AtomicUsize>,
    bytes: usize,
}

// SAFETY: the page is shared memory that the kernel keeps while it is mapped, and it is only read, atomically.
unsafe impl Send for PositionPage {}

impl PositionPage {
    fn map(fd: i32, offset: usize, bytes: usize) -> std::io::Result<Self> {
        let offset = libc::off_t::try_from(offset).map_err(std::io::Error::other)?;
        // SAFETY: a new mapping at an address the kernel chooses touches nothing that exists.
        let page = unsafe { libc::mmap(ptr::null_mut(), bytes, libc::PROT_READ, libc::MAP_SHARED, fd, offset) };
        if page == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error());
        }
        let at = NonNull::new(page.cast()).ok_or(std::io::ErrorKind::OutOfMemory)?;
        Ok(Self { at, bytes })
    }

    fn position(&self) -> usize {
        // SAFETY: the page is mapped as long as the value lives; a page is aligned, and the kernel stores whole words.
        unsafe { self.at.as_ref() }.load(Ordering::Acquire)
    }
}

impl Drop for PositionPage {
    fn drop(&mut self) {
        // SAFETY: the mapping was made by `map` with this length, and nobody else knows it.
        let _cannot_fail_on_a_mapping = unsafe { libc::munmap(self.at.as_ptr().cast(), self.bytes) };
    }
}

fn page_bytes() -> usize {
    // SAFETY: the call has no conditions.
    usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4_096)
}
