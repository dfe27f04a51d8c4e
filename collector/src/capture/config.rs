//! Settings of kernel capture.

use serde::{Deserialize, Serialize};

/// Settings of kernel capture. An unknown key is an error; a missing one has its default.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaptureConfig {
    /// Bytes of the ring for all records but payload; rounded up to a power of two pages. Default 4 MiB, about 30,000
    /// records: a tenth of a second at the 300,000 a second that the reader keeps up with on a slow machine.
    pub ctrl_ring_bytes: u32,
    /// Bytes of the ring for payload; rounded up. Default 16 MiB, 4,000 to 50,000 chunks.
    pub data_ring_bytes: u32,
    /// Flows counted in the kernel, one for each direction and link; the least recent make room. Default 131,072, about
    /// 27 MB of kernel memory.
    pub flows_max: u32,
    /// Kinds of drop counted in the kernel, one for each conversation, reason and namespace. Default 16,384.
    pub drops_max: u32,
    /// Payload bytes taken of one send or receive: 0 for none, else 256, 1,024 or 4,096; other values round up. Default
    /// 4,096, so that long headers are whole. Only connections that speak HTTP/1 or DNS are looked into.
    pub payload_bytes_max: u32,
    /// Whether DNS datagrams are taken. Default true.
    pub dns: bool,
    /// Milliseconds of silence after which a flow leaves the kernel's map. Default 30,000.
    pub flow_idle_ms: u64,
    /// The same for a TCP flow that has shown a FIN or a reset. Default 5,000: what still comes are retransmissions.
    pub flow_closed_ms: u64,
    /// Milliseconds after which a drop that happens again is news again. Default 60,000.
    pub drop_idle_ms: u64,
    /// Whether the loopback device is observed. Default false: it shows every packet twice and rarely says who.
    pub loopback: bool,
    /// Names of links that are left alone, with `*` for any text. Default none.
    pub exclude_links: Vec<String>,
    /// How programs are attached to links. Default `auto`.
    pub attach: AttachMode,
    /// Reasons for which the kernel frees packets without losing any, without the prefix `SKB_DROP_REASON_`. Default
    /// `QUEUE_PURGE` (the queue of a socket that is closed in order) and `OTHERHOST` (a bridge showed the packet to a
    /// link it is not meant for). `NOT_SPECIFIED` and `CONSUMED` never count.
    pub ignored_drop_reasons: Vec<String>,
}

impl Default for CaptureConfig {
    fn default() -> Self {
        Self {
            ctrl_ring_bytes: 4 << 20,
            data_ring_bytes: 16 << 20,
            flows_max: 131_072,
            drops_max: 16_384,
            payload_bytes_max: 4_096,
            dns: true,
            flow_idle_ms: 30_000,
            flow_closed_ms: 5_000,
            drop_idle_ms: 60_000,
            loopback: false,
            exclude_links: Vec::new(),
            attach: AttachMode::Auto,
            ignored_drop_reasons: vec!["QUEUE_PURGE".to_owned(), "OTHERHOST".to_owned()],
        }
    }
}

/// How programs are attached to links.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttachMode {
    /// TCX where the kernel has it, else clsact.
    #[default]
    Auto,
    /// TCX only (Linux 6.6): the kernel detaches it all when the process ends, however it ends.
    Tcx,
    /// The clsact queueing discipline: works everywhere, but stays on the links after `kill -9` until the next start.
    Clsact,
}

impl CaptureConfig {
    /// Size of a ring the kernel takes: a power of two of at least one page.
    pub(super) fn ring_bytes(wanted: u32) -> u32 {
        const LARGEST: u32 = 1 << 30;
        wanted.clamp(page_bytes(), LARGEST).next_power_of_two()
    }

    /// The payload size class a wanted number of bytes falls into, 0 for none.
    pub(super) fn payload_class(wanted: u32) -> u32 {
        match wanted {
            0 => 0,
            1..=256 => 256,
            257..=1024 => 1024,
            _ => 4096,
        }
    }
}

/// Bytes of a page; 4,096 where the system does not tell.
fn page_bytes() -> u32 {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    size.ok().flatten().and_then(|bytes| u32::try_from(bytes).ok()).unwrap_or(4096).max(4096)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_ones_the_kernel_takes() {
        assert_eq!(CaptureConfig::ring_bytes(0), page_bytes());
        assert_eq!(CaptureConfig::ring_bytes(page_bytes() + 1), page_bytes() * 2);
        assert_eq!(CaptureConfig::ring_bytes(u32::MAX), 1 << 30);
        assert_eq!([0, 1, 256, 257, 1025, 9999].map(CaptureConfig::payload_class), [0, 256, 256, 1024, 4096, 4096]);
    }
}
