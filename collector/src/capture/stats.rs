//! What the programs say about themselves.

use aya::Ebpf;
use aya::maps::{Map, MapData, PerCpuArray};
use ebpf_abi::{counter, kind};

use super::map::MapError;
use super::sweep::Account;

/// Records of one kind: `seen == sent + lost`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KindStats {
    /// Events that wanted a record.
    pub seen: u64,
    /// Records put into the ring.
    pub sent: u64,
    /// Records the ring had no room for.
    pub lost: u64,
}

/// Counters over all CPUs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelCounters {
    /// Entries made in the flow map.
    pub flows_new: u64,
    /// Packets whose flow the map did not take.
    pub flow_insert_failed: u64,
    /// IP packets too short for their own header.
    pub packets_cut: u64,
    /// Packets that are neither IPv4 nor IPv6.
    pub packets_not_ip: u64,
    /// Later fragments whose first fragment was not seen.
    pub fragments_unknown: u64,
    /// Entries made in the drop map.
    pub drops_new: u64,
    /// Drops the map did not take.
    pub drop_insert_failed: u64,
    /// Chunks of payload whose memory could not be read.
    pub payload_unreadable: u64,
    /// Uses of a socket whose owner could not be remembered.
    pub sock_storage_failed: u64,
}

/// Everything counted since the start. Counters only grow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelStats {
    /// Per CPU, by [`ebpf_abi::kind`].
    pub cpus: Vec<[KindStats; kind::SLOTS as usize]>,
    /// Counters over all CPUs.
    pub counters: KernelCounters,
    /// Flows in the kernel's map after the last sweep.
    pub flows_live: u64,
    /// Flows the map pushed out to make room before a sweep had read their last totals, at least.
    pub flows_evicted: u64,
    /// Drops in the kernel's map after the last sweep.
    pub drops_live: u64,
    /// Drops the map pushed out, at least.
    pub drops_evicted: u64,
}

impl KernelStats {
    /// Records of a kind over all CPUs.
    #[must_use]
    pub fn of_kind(&self, kind: u8) -> KindStats {
        self.cpus.iter().filter_map(|cpu| cpu.get(usize::from(kind))).fold(KindStats::default(), KindStats::plus)
    }

    /// Records of all kinds over all CPUs.
    #[must_use]
    pub fn total(&self) -> KindStats {
        self.cpus.iter().flatten().fold(KindStats::default(), KindStats::plus)
    }
}

impl KindStats {
    fn plus(self, other: &Self) -> Self {
        Self { seen: self.seen + other.seen, sent: self.sent + other.sent, lost: self.lost + other.lost }
    }
}

/// Access to the counters.
pub(super) struct Counters {
    stats: PerCpuArray<MapData, [u64; 4]>,
    counters: PerCpuArray<MapData, u64>,
    flows_evicted: u64,
    drops_evicted: u64,
}

impl Counters {
    pub(super) fn take(ebpf: &mut Ebpf) -> Result<Self, MapError> {
        Ok(Self {
            stats: PerCpuArray::try_from(take_map(ebpf, "STATS")?).map_err(aya("STATS"))?,
            counters: PerCpuArray::try_from(take_map(ebpf, "COUNTERS")?).map_err(aya("COUNTERS"))?,
            flows_evicted: 0,
            drops_evicted: 0,
        })
    }

    /// Entries ever made in the flow map and in the drop map.
    pub(super) fn made(&self) -> Result<(u64, u64), MapError> {
        Ok((self.counter(counter::FLOWS_NEW)?, self.counter(counter::DROPS_NEW)?))
    }

    /// Learns from a sweep of the flow map what it pushed out. `made` was read before it: what was made during the sweep
    /// may be missing in it, and must not count as pushed out.
    pub(super) fn learn_flows(&mut self, made: u64, swept: Account) {
        self.flows_evicted = self.flows_evicted.max(swept.missing(made));
    }

    /// The same for the drop map.
    pub(super) fn learn_drops(&mut self, made: u64, swept: Account) {
        self.drops_evicted = self.drops_evicted.max(swept.missing(made));
    }

    pub(super) fn read(&self, flows: Account, drops: Account) -> Result<KernelStats, MapError> {
        Ok(KernelStats {
            cpus: self.per_cpu()?,
            counters: KernelCounters {
                flows_new: self.counter(counter::FLOWS_NEW)?,
                flow_insert_failed: self.counter(counter::FLOW_INSERT_FAILED)?,
                packets_cut: self.counter(counter::PACKETS_CUT)?,
                packets_not_ip: self.counter(counter::PACKETS_NOT_IP)?,
                fragments_unknown: self.counter(counter::FRAGMENTS_UNKNOWN)?,
                drops_new: self.counter(counter::DROPS_NEW)?,
                drop_insert_failed: self.counter(counter::DROP_INSERT_FAILED)?,
                payload_unreadable: self.counter(counter::PAYLOAD_UNREADABLE)?,
                sock_storage_failed: self.counter(counter::SOCK_STORAGE_FAILED)?,
            },
            flows_live: flows.live,
            flows_evicted: self.flows_evicted,
            drops_live: drops.live,
            drops_evicted: self.drops_evicted,
        })
    }

    fn per_cpu(&self) -> Result<Vec<[KindStats; kind::SLOTS as usize]>, MapError> {
        let mut cpus: Vec<[KindStats; kind::SLOTS as usize]> = Vec::new();
        for slot in 0..kind::SLOTS {
            let values = self.stats.get(&slot, 0).map_err(aya("STATS"))?;
            cpus.resize(values.len(), Default::default());
            for (cpu, [seen, sent, lost, _untold]) in cpus.iter_mut().zip(values.iter()) {
                if let Some(stats) = cpu.get_mut(slot as usize) {
                    *stats = KindStats { seen: *seen, sent: *sent, lost: *lost };
                }
            }
        }
        Ok(cpus)
    }

    fn counter(&self, index: u32) -> Result<u64, MapError> {
        Ok(self.counters.get(&index, 0).map_err(aya("COUNTERS"))?.iter().sum())
    }
}

/// Takes a map out of an object.
pub(super) fn take_map(ebpf: &mut Ebpf, name: &'static str) -> Result<Map, MapError> {
    ebpf.take_map(name).ok_or(MapError::Missing { name })
}

/// Says which map aya could not use.
pub(super) fn aya(name: &'static str) -> impl FnOnce(aya::maps::MapError) -> MapError {
    move |cause| MapError::Aya { name, cause: Box::new(cause) }
}
