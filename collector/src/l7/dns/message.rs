//! One DNS message: header, question, answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::name;

/// Bytes of the header.
pub(super) const HEADER_BYTES: usize = 12;
/// Answers of one message that are read, and records beyond the answers that are looked through.
const ANSWERS_MAX: u16 = 256;

const KIND_A: u16 = 1;
const KIND_CNAME: u16 = 5;
const KIND_AAAA: u16 = 28;
const KIND_OPT: u16 = 41;
const CLASS_IN: u16 = 1;

/// What is kept of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Number that pairs query and response.
    pub(super) id: u16,
    /// Whether it is a response.
    pub(super) is_response: bool,
    /// Response code: that of the header, and above it that of EDNS.
    pub(super) rcode: u32,
    /// Name asked for.
    pub(super) query: String,
    /// Type asked for.
    pub(super) qtype: u16,
    /// Addresses of the name asked for, or of a canonical name it leads to.
    pub(super) ips: Vec<IpAddr>,
    /// Canonical names the name asked for leads to.
    pub(super) cnames: Vec<String>,
    /// Types of all answers.
    pub(super) rrtypes: Vec<u16>,
    /// Smallest time to live of the addresses and canonical names; `u32::MAX` for none in a response, as in Hubble.
    pub(super) ttl_seconds: u32,
    /// Whether answers are missing because the message was not captured whole or has too many.
    pub(super) incomplete: bool,
}

/// Why there is nothing to tell of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// Not DNS, or damaged.
    Malformed,
    /// A message without a question, such as multicast DNS announces.
    NoQuestion,
}

/// Reads a message; of one that was `cut` when captured, as much as there is.
pub(super) fn read(bytes: &[u8], cut: bool) -> Result<Message, Unreadable> {
    let header = Header::read(bytes).filter(Header::is_plausible).ok_or(Unreadable::Malformed)?;
    if header.questions == 0 {
        return Err(Unreadable::NoQuestion);
    }
    let question = |bytes| {
        let (query, at) = name::read(bytes, HEADER_BYTES)?;
        Some((query, word(bytes, at)?, word(bytes, at + 2)?, at + 4))
    };
    let (query, qtype, _class, at) = question(bytes).ok_or(Unreadable::Malformed)?;
    let mut message = Message {
        id: header.id,
        is_response: header.is_response,
        rcode: header.rcode,
        query,
        qtype,
        ips: Vec::new(),
        cnames: Vec::new(),
        rrtypes: Vec::new(),
        ttl_seconds: 0,
        incomplete: header.answers > ANSWERS_MAX,
    };
    if message.is_response {
        message.ttl_seconds = u32::MAX;
        match message.read_answers(bytes, at, header.answers.min(ANSWERS_MAX)) {
            Some(at) if !message.incomplete => message.rcode |= header.extended_rcode(bytes, at).unwrap_or(0),
            Some(_) => {}
            None if cut => message.incomplete = true,
            None => return Err(Unreadable::Malformed),
        }
    }
    Ok(message)
}

/// Whether bytes can be the start of a message, as far as the header tells.
pub(super) fn is_plausible(bytes: &[u8]) -> bool {
    Header::read(bytes).is_some_and(|header| header.is_plausible())
}

struct Header {
    id: u16,
    is_response: bool,
    opcode: u8,
    rcode: u32,
    questions: u16,
    answers: u16,
    authorities: u16,
    additional: u16,
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let flags = word(bytes, 2)?;
        let [opcode, rcode] = [flags >> 11 & 0xF, flags & 0xF].map(|v| v.to_be_bytes()[1]);
        Some(Self {
            id: word(bytes, 0)?,
            is_response: flags & 0x8000 != 0,
            opcode,
            rcode: u32::from(rcode),
            questions: word(bytes, 4)?,
            answers: word(bytes, 6)?,
            authorities: word(bytes, 8)?,
            additional: word(bytes, 10)?,
        })
    }

    /// Opcodes are QUERY to DSO; nobody asks two questions at once; a query brings no answers, except known ones in
    /// multicast DNS.
    fn is_plausible(&self) -> bool {
        self.opcode <= 6 && self.questions <= 1
    }

    /// Upper bits of the response code, from the record of EDNS among those that begin at `at`, behind the answers: RFC
    /// 6891, section 6.1.3. `None` where there is none as far as the records can be read.
    fn extended_rcode(&self, bytes: &[u8], mut at: usize) -> Option<u32> {
        let records = u32::from(self.authorities) + u32::from(self.additional);
        for number in 0..records.min(u32::from(ANSWERS_MAX)) {
            let (_, record) = Record::read(bytes, at)?;
            if record.kind == KIND_OPT && number >= u32::from(self.authorities) {
                return Some(record.ttl >> 24 << 4);
            }
            at = record.end;
        }
        None
    }
}

/// A resource record without its owner.
struct Record<'a> {
    kind: u16,
    class: u16,
    ttl: u32,
    data: &'a [u8],
    /// Where the data begins in the message.
    data_at: usize,
    /// Where the next record begins.
    end: usize,
}

impl<'a> Record<'a> {
    /// The record at `at` and its owner.
    fn read(bytes: &'a [u8], at: usize) -> Option<(String, Self)> {
        let (owner, owner_end) = name::read(bytes, at)?;
        let (kind, class) = (word(bytes, owner_end)?, word(bytes, owner_end + 2)?);
        let ttl = u32::from_be_bytes(*bytes.get(owner_end + 4..)?.first_chunk()?);
        let data_at = owner_end + 10;
        let end = data_at + usize::from(word(bytes, owner_end + 8)?);
        let data = bytes.get(data_at..end)?;
        Some((owner, Self { kind, class, ttl, data, data_at, end }))
    }
}

impl Message {
    /// Reads the answers that begin at `at`; returns where they end.
    fn read_answers(&mut self, bytes: &[u8], mut at: usize, count: u16) -> Option<usize> {
        // Names that the name asked for leads to. An answer about any other name proves nothing about it.
        let mut chain_end = None;
        for _ in 0..count {
            let (owner, record) = Record::read(bytes, at)?;
            self.rrtypes.push(record.kind);
            let in_chain = record.class == CLASS_IN && owner == *chain_end.as_ref().unwrap_or(&self.query);
            if in_chain && self.take_answer(bytes, &record, &mut chain_end) {
                self.ttl_seconds = self.ttl_seconds.min(record.ttl);
            }
            at = record.end;
        }
        Some(at)
    }

    /// Takes an answer about the name asked for; returns whether it is of a kind that is kept.
    fn take_answer(&mut self, bytes: &[u8], record: &Record<'_>, chain_end: &mut Option<String>) -> bool {
        match record.kind {
            KIND_A => match <[u8; 4]>::try_from(record.data) {
                Ok(octets) => self.ips.push(Ipv4Addr::from(octets).into()),
                Err(_) => return false,
            },
            KIND_AAAA => match <[u8; 16]>::try_from(record.data) {
                Ok(octets) => self.ips.push(Ipv6Addr::from(octets).into()),
                Err(_) => return false,
            },
            KIND_CNAME => match name::read(bytes, record.data_at) {
                Some((target, _)) => {
                    self.cnames.push(target.clone());
                    *chain_end = Some(target);
                }
                None => return false,
            },
            _ => return false,
        }
        true
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at.checked_add(2)?)?;
    Some(u16::from_be_bytes([bytes[0], bytes[1]]))
}
