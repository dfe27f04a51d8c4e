//! A packet capture file as a source: the records the kernel would have given.
//!
//! Packets are counted by flow with the same news as the flow map gives, DNS datagrams are handed on, and TCP streams
//! are put in order and handed on as if each connection had a socket here. What is behind it cannot tell the difference,
//! except that nobody owns the sockets and nothing is ever dropped.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ebpf_abi::{DnsHead, Tuple, direction, fragment, kind, protocol};
use flow::{Clock, Timestamp};
use zerocopy::IntoBytes;

pub use crate::feed::OpenError;
use crate::feed::{Cause, Feed, Next};
use crate::pace::{Pacer, Timing, Turn};
use crate::source::{Captured, Progress, Source, SourceError, SourceStats};

mod file;
mod flows;
mod network;
mod packet;
mod stream;
mod tcp;

use file::{Frame, Item};
use flows::{FlowTable, News, header};
use packet::{Packet, Unread};
use tcp::Connections;

/// Packets handled in one call.
const POLL_PACKETS_MAX: usize = 1_024;
/// Recorded time between two looks at what was silent.
const EXPIRE_INTERVAL: Duration = Duration::from_secs(1);
const DNS_PORT: u16 = 53;

/// A source that reads packets from a file.
#[derive(Debug)]
pub struct Pcap {
    path: PathBuf,
    timing: Timing,
    feed: Feed<Item>,
    pacer: Pacer,
    waiting: VecDeque<Frame>,
    tables: Tables,
    counts: Counts,
    /// Last moment handled, and when that was.
    last: Moment,
    handled_at: Timestamp,
    last_expired: Timestamp,
    ended: bool,
}

/// A moment of the recording: when it was, and as what it is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Moment {
    recorded: Timestamp,
    stamp_ns: u64,
}

#[derive(Debug)]
struct Tables {
    flows: FlowTable,
    connections: Connections,
    scratch: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counts {
    packets: u64,
    not_ip: u64,
    unknown_link: u64,
    damaged: u64,
    broken_off: u64,
}

impl Pcap {
    /// Opens a file, standard input for `-`. It may be packed by gzip.
    ///
    /// # Errors
    /// The file cannot be opened.
    pub fn open(path: &Path, timing: Timing, clock: Arc<dyn Clock>) -> Result<Self, OpenError> {
        Ok(Self {
            path: path.to_owned(),
            timing,
            feed: Feed::start(path, file::read_frames)?,
            pacer: Pacer::new(timing, clock),
            waiting: VecDeque::new(),
            tables: Tables { flows: FlowTable::new(), connections: Connections::new(), scratch: Vec::new() },
            counts: Counts::default(),
            last: Moment::default(),
            handled_at: Timestamp(0),
            last_expired: Timestamp(0),
            ended: false,
        })
    }

    fn failed(&self, cause: Cause) -> SourceError {
        SourceError { source_name: self.name(), cause }
    }

    fn sort(&mut self, batch: Vec<Item>) {
        for item in batch {
            match item {
                Item::Frame(frame) => self.waiting.push_back(frame),
                Item::BrokenOff(damage) => {
                    self.counts.broken_off += 1;
                    let error: &dyn std::error::Error = &damage;
                    tracing::warn!(file = %self.path.display(), error, "the capture file is not whole");
                }
            }
        }
    }

    /// Handles what is due; returns how long the next packet has to wait.
    fn hand_on(&mut self, take: &mut dyn FnMut(Captured<'_>)) -> Option<Duration> {
        for _ in 0..POLL_PACKETS_MAX {
            let recorded = self.waiting.front()?.time;
            let stamp = match self.pacer.turn(recorded) {
                Turn::Now(stamp) => stamp,
                Turn::Wait(left) => return Some(left),
            };
            let frame = self.waiting.pop_front()?;
            self.last = Moment { recorded, stamp_ns: u64::try_from(stamp.0).unwrap_or(0) };
            self.handled_at = self.pacer.now();
            self.counts.packets += 1;
            match Packet::read(&frame) {
                Ok(packet) => self.tables.take(packet, self.last, take),
                Err(Unread::NotIp) => self.counts.not_ip += 1,
                Err(Unread::UnknownLink) => self.counts.unknown_link += 1,
                Err(Unread::Damaged) => self.counts.damaged += 1,
            }
            self.expire(self.last, take);
        }
        None
    }

    /// Looks at what was silent, if it is time.
    fn expire(&mut self, now: Moment, take: &mut dyn FnMut(Captured<'_>)) {
        if now.recorded.since(self.last_expired) >= EXPIRE_INTERVAL {
            self.last_expired = now.recorded;
            self.tables.expire(now, take);
        }
    }

    /// Nothing comes: a live capture goes on in silence.
    fn idle(&mut self, take: &mut dyn FnMut(Captured<'_>)) {
        if self.handled_at.0 != 0 {
            let passed = self.pacer.now().since(self.handled_at);
            let stamp_ns = self.last.stamp_ns.saturating_add(u64::try_from(passed.as_nanos()).unwrap_or(u64::MAX));
            self.expire(Moment { recorded: self.last.recorded.after(passed), stamp_ns }, take);
        }
    }

    /// Ends a round: begins again, or ends the source.
    fn at_end(&mut self, take: &mut dyn FnMut(Captured<'_>)) -> Result<Progress, SourceError> {
        self.tables.end(self.last, take);
        if !self.ended {
            let Counts { packets, not_ip, unknown_link, damaged, .. } = self.counts;
            let fragments_unknown = self.tables.flows.fragments_unknown;
            tracing::info!(
                file = %self.path.display(), packets, not_ip, unknown_link, damaged, fragments_unknown,
                "end of the capture file"
            );
        }
        if self.timing.repeat && self.counts.packets > 0 && self.path != Path::new("-") {
            self.feed = Feed::start(&self.path, file::read_frames).map_err(|error| self.failed(error.into()))?;
            self.pacer.restart();
            self.last_expired = Timestamp(0);
            return Ok(Progress::More);
        }
        self.ended = true;
        Ok(Progress::Finished)
    }
}

impl Source for Pcap {
    fn name(&self) -> String {
        format!("capture file {}", self.path.display())
    }

    fn poll(&mut self, timeout: Duration, take: &mut dyn FnMut(Captured<'_>)) -> Result<Progress, SourceError> {
        if self.waiting.is_empty() {
            match self.feed.next(timeout).map_err(|cause| self.failed(cause))? {
                Next::Batch(batch) => self.sort(batch),
                Next::Idle => {
                    self.idle(take);
                    return Ok(Progress::Idle);
                }
                Next::End => return self.at_end(take),
            }
        }
        match self.hand_on(take) {
            Some(left) => {
                self.idle(take);
                self.pacer.wait(left, timeout);
                Ok(Progress::Idle)
            }
            None => Ok(Progress::More),
        }
    }

    fn drain(&mut self, take: &mut dyn FnMut(Captured<'_>)) -> Result<(), SourceError> {
        self.tables.end(self.last, take);
        Ok(())
    }

    fn stats(&mut self) -> SourceStats {
        let Counts { packets, unknown_link, damaged, broken_off, .. } = self.counts;
        SourceStats {
            seen: packets + broken_off,
            lost_unreadable: unknown_link + damaged + broken_off,
            ..SourceStats::default()
        }
    }

    fn wall_clock_offset_ns(&self) -> i64 {
        // Records carry nanoseconds since the Unix epoch in the place of those since boot.
        0
    }
}

impl Tables {
    fn take(&mut self, mut packet: Packet<'_>, moment: Moment, take: &mut dyn FnMut(Captured<'_>)) {
        self.flows.account(&mut packet, moment, &mut |news| tell(news, take));
        if packet.protocol == protocol::UDP {
            self.dns(&packet, moment, take);
        }
        self.connections.take(&packet, moment, &mut |record| take(Captured::Record(record)));
    }

    fn expire(&mut self, now: Moment, take: &mut dyn FnMut(Captured<'_>)) {
        self.connections.expire(now, &mut |record| take(Captured::Record(record)));
        self.flows.update(now.recorded, &mut |news| tell(news, take));
    }

    fn end(&mut self, now: Moment, take: &mut dyn FnMut(Captured<'_>)) {
        self.connections.end(now, &mut |record| take(Captured::Record(record)));
        self.flows.finish(&mut |news| tell(news, take));
    }

    fn dns(&mut self, packet: &Packet<'_>, moment: Moment, take: &mut dyn FnMut(Captured<'_>)) {
        let is_dns = [packet.source_port, packet.destination_port].contains(&DNS_PORT);
        if !is_dns || packet.payload_bytes == 0 || matches!(packet.fragment, fragment::LATER | fragment::CUT) {
            return;
        }
        let head = DnsHead {
            header: header(kind::DNS, size_of::<DnsHead>() + packet.payload.len(), moment, 0),
            tuple: Tuple {
                source_ip: packet.source_ip,
                destination_ip: packet.destination_ip,
                source_port: packet.source_port,
                destination_port: packet.destination_port,
                protocol: packet.protocol,
                ip_version: packet.ip_version,
                tcp_flags: 0,
                ttl: packet.ttl,
            },
            ifindex: packet.ifindex,
            direction: if packet.outgoing { direction::OUT } else { direction::IN },
            len: u16::try_from(packet.payload_bytes).unwrap_or(u16::MAX),
            ..DnsHead::ZERO
        };
        self.scratch.clear();
        self.scratch.extend_from_slice(head.as_bytes());
        self.scratch.extend_from_slice(packet.payload);
        take(Captured::Record(&self.scratch));
    }
}

fn tell(news: News, take: &mut dyn FnMut(Captured<'_>)) {
    match news {
        News::Record(record) => take(Captured::Record(record.as_bytes())),
        News::Totals { key, val, gone } => take(Captured::FlowTotals { key, val, gone }),
    }
}

#[cfg(test)]
mod tests;
