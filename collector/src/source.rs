//! Where records come from: the kernel, a replay file or a packet capture file.

use std::sync::Arc;
use std::time::Duration;

use ebpf_abi::{DropKey, DropVal, FlowKey, FlowVal};
use flow::{Flow, LostEvent};

use crate::capture::KernelCounters;

/// One thing a source hands over.
#[derive(Debug)]
pub enum Captured<'a> {
    /// One entry of a kernel ring, to be read with [`ebpf_abi::Record::parse`]; its clock is nanoseconds since boot.
    Record(&'a [u8]),
    /// Running totals from a sweep of the flow map.
    FlowTotals {
        /// Which flow.
        key: FlowKey,
        /// What was counted so far.
        val: FlowVal,
        /// Whether the entry was taken out of the map, because it was closed or silent for too long.
        gone: bool,
    },
    /// Running totals from a sweep of the drop map.
    DropTotals {
        /// What was dropped, where and why.
        key: DropKey,
        /// What was counted so far.
        val: DropVal,
        /// Whether the entry was taken out of the map.
        gone: bool,
    },
    /// A finished flow, as replay files hold them.
    Flow(Box<Flow>),
    /// Events that were lost before the source could hand them over.
    Lost(LostEvent),
}

/// How far a source is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// Nothing came within the timeout.
    Idle,
    /// There may be more at once.
    More,
    /// There will never be more: the file has ended.
    Finished,
}

/// The source failed for good.
#[derive(Debug, thiserror::Error)]
#[error("reading from the {source_name} failed")]
pub struct SourceError {
    /// What was being read, such as `kernel` or a path.
    pub source_name: String,
    /// Why it failed.
    #[source]
    pub cause: Box<dyn std::error::Error + Send + Sync>,
}

/// What a source saw and lost since its start. Counters only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceStats {
    /// Events the source met, those it lost included.
    pub seen: u64,
    /// Events lost because a buffer was full.
    pub lost_ring_full: u64,
    /// Entries the kernel's flow map pushed out before they were read.
    pub lost_map_full: u64,
    /// Events that could not be read at all, such as damaged lines of a file.
    pub lost_unreadable: u64,
    /// What the programs in the kernel counted; zero for sources that are no kernel.
    pub kernel: KernelCounters,
}

/// Something that gives records, read by the one pipeline thread.
pub trait Source: Send {
    /// Name in logs, such as `kernel`.
    fn name(&self) -> String;

    /// Hands what is there to `take`, waiting at most `timeout` for the first; returns after a bounded number of
    /// records, so that the caller can publish.
    ///
    /// # Errors
    /// The source failed for good.
    fn poll(&mut self, timeout: Duration, take: &mut dyn FnMut(Captured<'_>)) -> Result<Progress, SourceError>;

    /// Hands over what the source still holds back, such as counters in kernel maps, before it is dropped.
    ///
    /// # Errors
    /// The source failed.
    fn drain(&mut self, take: &mut dyn FnMut(Captured<'_>)) -> Result<(), SourceError> {
        let _nothing_held_back = take;
        Ok(())
    }

    /// Rounds of reading completed so far, of a source that reads several queues one after the other: the payload of a
    /// connection then comes at most one round after the news of its end. `None` where everything comes in order.
    fn rounds(&self) -> Option<u64> {
        None
    }

    /// Counters since the start.
    fn stats(&mut self) -> SourceStats;

    /// What to add to nanoseconds since boot, as records carry them, for nanoseconds since the Unix epoch. Measured
    /// anew from time to time, because the wall clock is corrected while the machine runs.
    fn wall_clock_offset_ns(&self) -> i64;

    /// Names of numbers that differ from kernel to kernel; `None` for sources that are no kernel.
    fn kernel_names(&self) -> Option<Arc<dyn KernelNames>> {
        None
    }

    /// Tells that more payload of this socket is of no use.
    fn stop_payload(&mut self, cookie: u64) {
        let _payload_is_not_captured_per_socket = cookie;
    }
}

/// Names of numbers that differ from kernel to kernel.
pub trait KernelNames: Send + Sync {
    /// Name of an `enum skb_drop_reason` without its prefix, such as `NETFILTER_DROP`.
    fn drop_reason(&self, reason: u32) -> Option<Arc<str>>;

    /// Function that holds this address, such as `nf_hook_slow`; `None` where symbols are hidden.
    fn function(&self, address: u64) -> Option<Arc<str>>;
}
