//! Counting packets by flow as the kernel's flow map does: exact totals, and a record only for what is news.

use std::time::Duration;

use ebpf_abi::{FlowKey, FlowRecord, FlowVal, Header, cause, direction, fragment, kind, tcp};
use flow::Timestamp;

use super::Moment;
use super::packet::Packet;
use crate::recent::Recent;

/// Flows counted at once, as many as the kernel's map holds.
const FLOWS_MAX: usize = 131_072;
/// Packets whose later fragments may still come.
const FRAGMENTS_MAX: usize = 4_096;
/// Time between two reports of a flow that goes on.
const UPDATE_INTERVAL: Duration = Duration::from_secs(5);
/// Silence after which a flow is over.
const IDLE: Duration = Duration::from_secs(30);
const TELLING: u8 = tcp::SYN | tcp::FIN | tcp::RST;
const CLOSING: u8 = tcp::FIN | tcp::RST;

/// All flows being counted.
#[derive(Debug)]
pub(super) struct FlowTable {
    flows: Recent<FlowKey, Entry>,
    fragments: Recent<FragmentKey, (u16, u16)>,
    last_update: Timestamp,
    /// When the newest entry began.
    newest_ns: u64,
    /// Later fragments whose first one was not seen.
    pub(super) fragments_unknown: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    val: FlowVal,
    /// Packets told of so far.
    reported: u64,
    /// Time of the last packet in the recording.
    last: Timestamp,
}

/// What the fragments of one packet have in common.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct FragmentKey {
    source_ip: [u8; 16],
    destination_ip: [u8; 16],
    id: u32,
    ifindex: u32,
    protocol: u8,
    outgoing: bool,
}

/// What is news of a flow.
#[derive(Clone, Copy, Debug)]
pub(super) enum News {
    /// A record of the kernel's kind.
    Record(FlowRecord),
    /// Totals of a flow that goes on, or was taken out of the table.
    Totals { key: FlowKey, val: FlowVal, gone: bool },
}

impl FlowTable {
    pub(super) fn new() -> Self {
        Self {
            flows: Recent::new(FLOWS_MAX),
            fragments: Recent::new(FRAGMENTS_MAX),
            last_update: Timestamp(0),
            newest_ns: 0,
            fragments_unknown: 0,
        }
    }

    /// Counts a packet and tells what is news. Ports of a later fragment are filled in.
    pub(super) fn account(&mut self, packet: &mut Packet<'_>, moment: Moment, news: &mut dyn FnMut(News)) {
        self.find_ports(packet);
        let key = FlowKey {
            source_ip: packet.source_ip,
            destination_ip: packet.destination_ip,
            source_port: packet.source_port,
            destination_port: packet.destination_port,
            protocol: packet.protocol,
            direction: if packet.outgoing { direction::OUT } else { direction::IN },
            vlan: packet.vlan,
            ifindex: packet.ifindex,
            ..FlowKey::ZERO
        };
        let (val, cause) = match self.flows.touch(&key) {
            Some(entry) => {
                let cause = entry.add(packet, moment);
                entry.reported = if cause == cause::NONE { entry.reported } else { entry.val.packets };
                (entry.val, cause)
            }
            None => {
                // Entries that follow each other under one key are told apart by their begin, also where times repeat or
                // go back: in another round of the same recording, or in one that is not in order.
                self.newest_ns = moment.stamp_ns.max(self.newest_ns + 1);
                let entry = Entry::first(packet, moment, self.newest_ns);
                if let Some((key, evicted)) = self.flows.insert(key, entry) {
                    news(News::Totals { key, val: evicted.val, gone: true });
                }
                (entry.val, cause::NEW)
            }
        };
        if cause != cause::NONE {
            let key = FlowKey { cause, packet_flags: packet.tcp_flags, fragment: packet.fragment, ..key };
            let header = super::header(kind::FLOW, size_of::<FlowRecord>(), moment, 0);
            news(News::Record(FlowRecord { header, key, val }));
        }
    }

    /// Tells of flows that go on and of those that are over, if it is time.
    pub(super) fn update(&mut self, now: Timestamp, news: &mut dyn FnMut(News)) {
        if self.last_update.0 == 0 {
            self.last_update = now;
        }
        if now.since(self.last_update) < UPDATE_INTERVAL {
            return;
        }
        self.last_update = now;
        while self.flows.oldest().is_some_and(|(_, entry)| now.since(entry.last) >= IDLE) {
            let Some((key, Entry { val, .. })) = self.flows.pop_oldest() else { break };
            news(News::Totals { key, val, gone: true });
        }
        self.flows.for_each_mut(|key, entry| {
            if entry.val.packets != entry.reported {
                entry.reported = entry.val.packets;
                news(News::Totals { key: *key, val: entry.val, gone: false });
            }
        });
    }

    /// Tells of all flows for the last time.
    pub(super) fn finish(&mut self, news: &mut dyn FnMut(News)) {
        while let Some((key, Entry { val, .. })) = self.flows.pop_oldest() {
            news(News::Totals { key, val, gone: true });
        }
    }

    /// Only the first fragment has ports: remembers them, or takes them from there.
    fn find_ports(&mut self, packet: &mut Packet<'_>) {
        let key = FragmentKey {
            source_ip: packet.source_ip,
            destination_ip: packet.destination_ip,
            id: packet.fragment_id,
            ifindex: packet.ifindex,
            protocol: packet.protocol,
            outgoing: packet.outgoing,
        };
        if packet.fragment == fragment::FIRST {
            // What makes room is a packet whose fragments were all seen long ago, or never will be.
            let _evicted = self.fragments.insert(key, (packet.source_port, packet.destination_port));
        } else if packet.fragment == fragment::LATER {
            match self.fragments.get_mut(&key) {
                Some(ports) => (packet.source_port, packet.destination_port) = *ports,
                None => self.fragments_unknown += 1,
            }
        }
    }
}

impl Entry {
    fn first(packet: &Packet<'_>, moment: Moment, first_boot_ns: u64) -> Self {
        let val = FlowVal {
            first_boot_ns,
            last_boot_ns: moment.stamp_ns,
            bytes: packet.bytes,
            packets: 1,
            isn: packet.sequence,
            flags: packet.tcp_flags.into(),
            dscp: packet.dscp,
            ttl: packet.ttl,
            ..FlowVal::ZERO
        };
        Self { val, reported: 1, last: moment.recorded }
    }

    /// Counts a packet; returns why it is news, if it is.
    fn add(&mut self, packet: &Packet<'_>, moment: Moment) -> u8 {
        self.val.bytes += packet.bytes;
        self.val.packets += 1;
        self.val.last_boot_ns = self.val.last_boot_ns.max(moment.stamp_ns);
        self.last = self.last.max(moment.recorded);
        let [before, _] = self.val.flags.to_le_bytes();
        let flags = packet.tcp_flags;
        if flags & tcp::SYN != 0 && before & CLOSING != 0 {
            // A closed conversation begins anew with the same ports.
            self.val.flags = flags.into();
            self.val.isn = packet.sequence;
            return cause::NEW;
        }
        self.val.flags |= u16::from(flags);
        let new = flags & !before;
        if new & CLOSING != 0 {
            cause::CLOSE
        } else if new & TELLING != 0 || (new & tcp::ACK != 0 && flags & tcp::SYN != 0) {
            cause::FLAGS
        } else {
            cause::NONE
        }
    }
}

/// Header of a record.
pub(super) fn header(kind: u8, bytes: usize, moment: Moment, cookie: u64) -> Header {
    Header {
        kind,
        version: ebpf_abi::ABI_VERSION,
        len: u16::try_from(bytes).unwrap_or(u16::MAX),
        at_boot_ns: moment.stamp_ns,
        cookie,
        ..Header::ZERO
    }
}
