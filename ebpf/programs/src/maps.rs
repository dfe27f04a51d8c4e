//! Every map and frozen value, with its size. The loader may change the sizes of rings and LRU maps.

use core::mem::MaybeUninit;

use aya_ebpf::{
    btf_maps::SkStorage,
    macros::{btf_map, map},
    maps::{Array, LruHashMap, PerCpuArray, RingBuf},
};
use ebpf_abi::{DropKey, DropVal, FlowKey, FlowVal, Live, Offsets, Settings, Stat, counter, kind};

use crate::{atomic, flows::FragmentKey, socket::SocketState};

/// What was counted per flow. 131,072 entries are about 27 MB and 65,000 live connections seen at one point each.
#[map]
pub static FLOWS: LruHashMap<FlowKey, FlowVal> = LruHashMap::with_max_entries(131_072, 0);

/// What was dropped, per tuple and reason.
#[map]
pub static DROPS: LruHashMap<DropKey, DropVal> = LruHashMap::with_max_entries(16_384, 0);

/// Ports (source in the high half) of datagrams whose first fragment was seen.
#[map]
pub static FRAGMENTS: LruHashMap<FragmentKey, u32> = LruHashMap::with_max_entries(4_096, 0);

/// Sockets (by cookie) whose payload user space has no use for.
#[map]
pub static MUTED: LruHashMap<u64, u8> = LruHashMap::with_max_entries(16_384, 0);

/// All records but payload.
#[map]
pub static CTRL: RingBuf = RingBuf::with_byte_size(4 << 20, 0);

/// Payload records.
#[map]
pub static DATA: RingBuf = RingBuf::with_byte_size(16 << 20, 0);

/// Seen, sent and lost, per kind of record.
#[map]
pub static STATS: PerCpuArray<Stat> = PerCpuArray::with_max_entries(kind::SLOTS, 0);

/// [`counter`]s.
#[map]
pub static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(counter::SLOTS, 0);

/// The values user space changes while the programs run.
#[map]
pub static LIVE: Array<Live> = Array::with_max_entries(1, 0);

/// What is remembered of a socket; the kernel frees it with the socket.
#[btf_map]
pub static SOCKETS: SkStorage<SocketState> = SkStorage::new();

/// A value the loader writes and freezes before the programs are verified: the verifier sees a constant.
#[repr(transparent)]
pub struct Frozen<T>(MaybeUninit<T>);

impl<T> Frozen<T> {
    /// Word at a byte offset of the value.
    ///
    /// The read is volatile because the compiler must not take the value it sees at build time.
    #[inline(always)]
    pub fn word(&'static self, offset: usize) -> u32 {
        debug_assert!(offset + 4 <= size_of::<T>());
        // SAFETY: callers pass `offset_of!` of a u32 field of T, which is initialised plain data.
        unsafe { self.0.as_ptr().byte_add(offset).cast::<u32>().read_volatile() }
    }
}

/// Where fields are in the structures of the running kernel.
#[unsafe(no_mangle)]
pub static OFFSETS: Frozen<Offsets> = Frozen(MaybeUninit::new(Offsets::ZERO));

/// What the loader switched on.
#[unsafe(no_mangle)]
pub static SETTINGS: Frozen<Settings> = Frozen(MaybeUninit::new(Settings::ZERO));

/// Offset of a kernel field, by its name in [`Offsets`].
macro_rules! offset {
    ($field:ident) => {
        crate::maps::OFFSETS.word(core::mem::offset_of!(ebpf_abi::Offsets, $field))
    };
}
pub(crate) use offset;

/// A 32-bit setting, by its path in [`Settings`].
macro_rules! setting {
    ($($field:tt)+) => {
        crate::maps::SETTINGS.word(core::mem::offset_of!(ebpf_abi::Settings, $($field)+))
    };
}
pub(crate) use setting;

/// Whether the loader switched a [`ebpf_abi::feature`] on.
#[inline(always)]
pub fn feature(bit: u32) -> bool {
    setting!(features) & bit != 0
}

/// Adds one to a [`counter`].
#[inline(always)]
pub fn count(index: u32) {
    if let Some(counter) = COUNTERS.get_ptr_mut(index) {
        // SAFETY: the pointer is to the 8-byte value of the map.
        unsafe { atomic::add(counter, 1) }
    }
}

/// The values that change, zero before user space has written them.
#[inline(always)]
pub fn live() -> Live {
    // SAFETY: the array has one entry, written as a whole by user space; a torn read mixes two valid values.
    LIVE.get_ptr(0).map_or(Live::ZERO, |live| unsafe { *live })
}
