//! Capture files: pcap of every flavour, and pcapng.
//!
//! Read block by block as the bytes come, so that `tcpdump -w - | weir up --pcap -` shows packets at once.

use std::io::{self, Read};

use flow::Timestamp;

use crate::feed::{Cause, Input, Sender};

/// Bytes of the longest packet, or block with one, that is read: libpcap's longest packet, and some options.
const BLOCK_BYTES_MAX: u32 = 512 << 10;
/// Interfaces of one section of a pcapng file.
const INTERFACES_MAX: usize = 4_096;
/// Frames handed over at once.
const BATCH_FRAMES: usize = 512;
/// Bytes of frames handed over at once.
const BATCH_BYTES: usize = 1 << 20;

/// Kinds of blocks of a pcapng file that are read.
mod block {
    pub(super) const INTERFACE: u32 = 1;
    /// What the enhanced one took the place of.
    pub(super) const PACKET: u32 = 2;
    pub(super) const SIMPLE_PACKET: u32 = 3;
    pub(super) const ENHANCED_PACKET: u32 = 6;
}

/// A captured packet with its link header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Frame {
    /// When it was captured.
    pub(super) time: Timestamp,
    /// What the bytes begin with; numbers as in `LINKTYPE_`.
    pub(super) link_type: u16,
    /// Interface in the file, from 1.
    pub(super) interface: u32,
    /// Whether it was sent, as far as the file tells.
    pub(super) outgoing: bool,
    /// Bytes it had when it was captured.
    pub(super) wire_bytes: u32,
    /// The bytes that were kept.
    pub(super) data: Vec<u8>,
}

/// What the reading thread hands over.
#[derive(Debug)]
pub(super) enum Item {
    /// A packet.
    Frame(Frame),
    /// The file breaks off here, or makes no sense from here on.
    BrokenOff(Damage),
}

/// Why a file cannot be read, or not to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    #[error("not a capture file: it begins with {0:02x?}")]
    NotACapture([u8; 4]),
    #[error("empty, or too short for a capture file")]
    TooShort,
    #[error("breaks off in the middle of a packet, after {0} packets")]
    Cut(u64),
    #[error("{what}, after {packets} packets")]
    Nonsense { what: &'static str, packets: u64 },
    #[error("cannot be read")]
    Io(#[source] io::Error),
}

/// Reads a whole file; an error if there is no packet because of damage.
pub(super) fn read_frames(input: Input, out: &Sender<Item>) -> Result<(), Cause> {
    let mut reader = Reader::start(input)?;
    let (mut batch, mut bytes) = (Vec::new(), 0);
    loop {
        match reader.next() {
            Ok(Some(frame)) => {
                bytes += frame.data.len();
                batch.push(Item::Frame(frame));
            }
            Ok(None) => break,
            Err(damage) if reader.packets == 0 => return Err(damage.into()),
            Err(damage) => {
                batch.push(Item::BrokenOff(damage));
                break;
            }
        }
        // What is there is handed over before waiting for more.
        let would_wait = reader.input.buffer().len() < 16;
        if would_wait || batch.len() >= BATCH_FRAMES || bytes >= BATCH_BYTES {
            bytes = 0;
            if !out.send(std::mem::take(&mut batch)) {
                return Ok(());
            }
        }
    }
    // Whether anybody still wants it makes no difference at the end.
    let _wanted = batch.is_empty() || out.send(batch);
    Ok(())
}

/// A capture file being read.
struct Reader {
    input: Input,
    format: Format,
    packets: u64,
}

enum Format {
    Pcap { big_endian: bool, nanoseconds: bool, extra_bytes: u32, link_type: u16 },
    PcapNg { big_endian: bool, interfaces: Vec<Interface>, last: Timestamp },
}

#[derive(Clone, Copy, Debug)]
struct Interface {
    link_type: u16,
    snap_bytes: u32,
    /// Units of time in a second.
    resolution: u64,
    /// Seconds to add to each time.
    offset_seconds: i64,
}

/// Fields of a block, in the byte order of the file.
#[derive(Clone, Copy)]
struct Fields<'a> {
    bytes: &'a [u8],
    big_endian: bool,
}

impl Reader {
    fn start(mut input: Input) -> Result<Self, Damage> {
        let mut magic = [0; 4];
        input.read_exact(&mut magic).map_err(|error| cut_or_io(error, Damage::TooShort))?;
        let pcap =
            |big_endian, nanoseconds, extra_bytes| Format::Pcap { big_endian, nanoseconds, extra_bytes, link_type: 0 };
        let mut format = match magic {
            [0xd4, 0xc3, 0xb2, 0xa1] => pcap(false, false, 0),
            [0xa1, 0xb2, 0xc3, 0xd4] => pcap(true, false, 0),
            [0x4d, 0x3c, 0xb2, 0xa1] => pcap(false, true, 0),
            [0xa1, 0xb2, 0x3c, 0x4d] => pcap(true, true, 0),
            // The "modified" format of some old systems: interface, protocol and type of each packet.
            [0x34, 0xcd, 0xb2, 0xa1] => pcap(false, false, 8),
            [0xa1, 0xb2, 0xcd, 0x34] => pcap(true, false, 8),
            [0x0a, 0x0d, 0x0d, 0x0a] => {
                let mut reader = Self {
                    input,
                    format: Format::PcapNg { big_endian: false, interfaces: Vec::new(), last: Timestamp(0) },
                    packets: 0,
                };
                reader.section()?;
                return Ok(reader);
            }
            other => return Err(Damage::NotACapture(other)),
        };
        let mut header = [0; 20];
        input.read_exact(&mut header).map_err(|error| cut_or_io(error, Damage::TooShort))?;
        if let Format::Pcap { big_endian, link_type, .. } = &mut format {
            // The upper half says whether frames end with a checksum.
            *link_type = low_half(Fields { bytes: &header, big_endian: *big_endian }.u32(16));
        }
        Ok(Self { input, format, packets: 0 })
    }

    /// The next packet; `None` at the end of the file.
    fn next(&mut self) -> Result<Option<Frame>, Damage> {
        let frame = match self.format {
            Format::Pcap { big_endian, nanoseconds, extra_bytes, link_type } => {
                self.record(big_endian, nanoseconds, extra_bytes, link_type)?
            }
            Format::PcapNg { .. } => loop {
                match self.block()? {
                    Block::Frame(frame) => break Some(frame),
                    Block::Other => {}
                    Block::End => break None,
                }
            },
        };
        self.packets += u64::from(frame.is_some());
        Ok(frame)
    }

    fn record(
        &mut self,
        big_endian: bool,
        nanoseconds: bool,
        extra_bytes: u32,
        link_type: u16,
    ) -> Result<Option<Frame>, Damage> {
        let Some(header) = self.start_of::<16>()? else { return Ok(None) };
        let fields = Fields { bytes: &header, big_endian };
        let [seconds, fraction, captured, wire_bytes] = [0, 4, 8, 12].map(|at| fields.u32(at));
        let nanos = i64::from(fraction) * if nanoseconds { 1 } else { 1_000 };
        let time = Timestamp(i64::from(seconds) * Timestamp::NANOS_PER_SECOND + nanos);
        self.body(extra_bytes)?;
        let data = self.body(captured)?;
        Ok(Some(Frame { time, link_type, interface: 1, outgoing: false, wire_bytes: wire_bytes.max(captured), data }))
    }

    /// Reads the rest of a section header, of which the block type was read.
    fn section(&mut self) -> Result<(), Damage> {
        let mut header = [0; 8];
        self.fill(&mut header)?;
        let now_big_endian = match header[4..] {
            [0x1a, 0x2b, 0x3c, 0x4d] => true,
            [0x4d, 0x3c, 0x2b, 0x1a] => false,
            _ => return Err(self.nonsense("a section without byte order")),
        };
        let length = Fields { bytes: &header, big_endian: now_big_endian }.u32(0);
        self.skip(length.checked_sub(12).ok_or_else(|| self.nonsense("a section that is too short"))?)?;
        if let Format::PcapNg { big_endian, interfaces, .. } = &mut self.format {
            *big_endian = now_big_endian;
            interfaces.clear();
        }
        Ok(())
    }

    fn block(&mut self) -> Result<Block, Damage> {
        let Some(start) = self.start_of::<4>()? else { return Ok(Block::End) };
        if start == [0x0a, 0x0d, 0x0d, 0x0a] {
            self.section()?;
            return Ok(Block::Other);
        }
        let Format::PcapNg { big_endian, .. } = self.format else { return Ok(Block::End) };
        let mut length = [0; 4];
        self.fill(&mut length)?;
        let kind = Fields { bytes: &start, big_endian }.u32(0);
        let length = Fields { bytes: &length, big_endian }.u32(0);
        let rest = length.checked_sub(8).filter(|rest| *rest >= 4 && rest % 4 == 0);
        let rest = rest.ok_or_else(|| self.nonsense("a block of impossible length"))?;
        if !matches!(kind, block::INTERFACE | block::PACKET | block::SIMPLE_PACKET | block::ENHANCED_PACKET) {
            // Keys and names that others put into the file may be of any length.
            self.skip(rest)?;
            return Ok(Block::Other);
        }
        let body = self.body(rest)?;
        // The length is repeated at the end.
        let fields = Fields { bytes: &body[..body.len() - 4], big_endian };
        let Format::PcapNg { interfaces, last, .. } = &mut self.format else { return Ok(Block::End) };
        let block = match kind {
            block::INTERFACE if interfaces.len() < INTERFACES_MAX => {
                interfaces.push(Interface::of(fields));
                Ok(Block::Other)
            }
            block::INTERFACE => Err("too many interfaces"),
            block::SIMPLE_PACKET => simple_packet(fields, interfaces, *last),
            // The older one has the number of drops behind a shorter number of the interface.
            block::PACKET => packet(fields, fields.u16(0).into(), interfaces),
            _ => packet(fields, fields.u32(0), interfaces),
        };
        if let Ok(Block::Frame(frame)) = &block {
            *last = frame.time;
        }
        block.map_err(|what| self.nonsense(what))
    }

    /// Reads something that may as well be the end of the file.
    fn start_of<const N: usize>(&mut self) -> Result<Option<[u8; N]>, Damage> {
        let mut bytes = [0; N];
        let mut read = 0;
        while read < N {
            match self.input.read(&mut bytes[read..]) {
                Ok(0) if read == 0 => return Ok(None),
                Ok(0) => return Err(Damage::Cut(self.packets)),
                Ok(count) => read += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(cut_or_io(error, Damage::Cut(self.packets))),
            }
        }
        Ok(Some(bytes))
    }

    fn body(&mut self, length: u32) -> Result<Vec<u8>, Damage> {
        if length > BLOCK_BYTES_MAX {
            return Err(self.nonsense("a packet or block of impossible length"));
        }
        let mut bytes = vec![0; length as usize];
        self.fill(&mut bytes)?;
        Ok(bytes)
    }

    fn skip(&mut self, length: u32) -> Result<(), Damage> {
        let skipped = io::copy(&mut self.input.by_ref().take(length.into()), &mut io::sink());
        match skipped.map_err(|error| cut_or_io(error, Damage::Cut(self.packets)))? {
            skipped if skipped < u64::from(length) => Err(Damage::Cut(self.packets)),
            _ => Ok(()),
        }
    }

    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), Damage> {
        self.input.read_exact(bytes).map_err(|error| cut_or_io(error, Damage::Cut(self.packets)))
    }

    const fn nonsense(&self, what: &'static str) -> Damage {
        Damage::Nonsense { what, packets: self.packets }
    }
}

enum Block {
    Frame(Frame),
    Other,
    End,
}

impl Interface {
    fn of(fields: Fields<'_>) -> Self {
        let mut interface =
            Self { link_type: fields.u16(0), snap_bytes: fields.u32(4), resolution: 1_000_000, offset_seconds: 0 };
        fields.options(8, |code, value| match (code, value.bytes.len()) {
            (9, 1..) => interface.resolution = resolution(value.bytes[0]),
            (14, 8) => interface.offset_seconds = value.u64(0).cast_signed(),
            _ => {}
        });
        interface
    }

    fn time(&self, units: u64) -> Timestamp {
        let (units, resolution) = (i128::from(units), i128::from(self.resolution));
        let nanos = (units / resolution + i128::from(self.offset_seconds)) * 1_000_000_000
            + units % resolution * 1_000_000_000 / resolution;
        Timestamp(i64::try_from(nanos).unwrap_or(i64::MAX))
    }
}

/// Units of time in a second: a power of 10, or of 2 with the upper bit set.
fn resolution(code: u8) -> u64 {
    let exponent = u32::from(code & 0x7F);
    let base: u64 = if code & 0x80 == 0 { 10 } else { 2 };
    // A finer unit than 64 bits can count is no unit.
    base.checked_pow(exponent).unwrap_or(1_000_000)
}

/// A packet of the interface with this number.
fn packet(fields: Fields<'_>, number: u32, interfaces: &[Interface]) -> Result<Block, &'static str> {
    let [high, low, captured, wire_bytes] = [4, 8, 12, 16].map(|at| fields.u32(at));
    let interface = interfaces.get(number as usize).ok_or("a packet of an interface that is not there")?;
    let end = 20 + captured as usize;
    let data = fields.bytes.get(20..end).ok_or("a packet that is longer than its block")?.to_vec();
    let mut outgoing = false;
    fields.options(end.next_multiple_of(4), |code, value| {
        if (code, value.bytes.len()) == (2, 4) {
            outgoing = value.u32(0) & 3 == 2;
        }
    });
    Ok(Block::Frame(Frame {
        time: interface.time(u64::from(high) << 32 | u64::from(low)),
        link_type: interface.link_type,
        interface: number + 1,
        outgoing,
        wire_bytes: wire_bytes.max(captured),
        data,
    }))
}

/// A packet without a time: that of the one before stands for it.
fn simple_packet(fields: Fields<'_>, interfaces: &[Interface], time: Timestamp) -> Result<Block, &'static str> {
    let interface = interfaces.first().ok_or("a packet of an interface that is not there")?;
    let wire_bytes = fields.u32(0);
    let captured = if interface.snap_bytes == 0 { wire_bytes } else { wire_bytes.min(interface.snap_bytes) };
    let rest = fields.bytes.get(4..).unwrap_or_default();
    let data = rest[..rest.len().min(captured as usize)].to_vec();
    Ok(Block::Frame(Frame { time, link_type: interface.link_type, interface: 1, outgoing: false, wire_bytes, data }))
}

impl<'a> Fields<'a> {
    /// The number at a position; 0 beyond the end.
    fn u32(&self, at: usize) -> u32 {
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk::<4>).copied().unwrap_or_default();
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }

    fn u16(&self, at: usize) -> u16 {
        let bytes = self.bytes.get(at..).and_then(<[u8]>::first_chunk::<2>).copied().unwrap_or_default();
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    fn u64(&self, at: usize) -> u64 {
        let (first, second) = (u64::from(self.u32(at)), u64::from(self.u32(at + 4)));
        if self.big_endian { first << 32 | second } else { second << 32 | first }
    }

    /// Goes through the options that begin at a position.
    fn options(&self, mut at: usize, mut option: impl FnMut(u16, Fields<'a>)) {
        while at + 4 <= self.bytes.len() {
            let (code, length) = (self.u16(at), usize::from(self.u16(at + 2)));
            let Some(bytes) = self.bytes.get(at + 4..at + 4 + length).filter(|_| code != 0) else { return };
            option(code, Fields { bytes, big_endian: self.big_endian });
            at += 4 + length.next_multiple_of(4);
        }
    }
}

fn low_half(number: u32) -> u16 {
    u16::try_from(number & 0xFFFF).expect("16 bits")
}

fn cut_or_io(error: io::Error, cut: Damage) -> Damage {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => cut,
        _ => Damage::Io(error),
    }
}
