//! One DNS message: header, question, answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::name;

/// Bytes of the header.
pub(super) const HEADER_BYTES: usize = 12;
/// Answers of one message that are read.
const ANSWERS_MAX: u16 = 256;

const KIND_A: u16 = 1;
const KIND_CNAME: u16 = 5;
const KIND_AAAA: u16 = 28;
const CLASS_IN: u16 = 1;

/// What is kept of a message.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// Number that pairs query and response.
    pub(super) id: u16,
    /// Whether it is a response.
    pub(super) is_response: bool,
    /// Response code of the header.
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
        if message.read_answers(bytes, at, header.answers.min(ANSWERS_MAX)).is_none() {
            if !cut {
                return Err(Unreadable::Malformed);
            }
            message.incomplete = true;
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
}

impl Header {
    fn read(bytes: &[u8]) -> Option<Self> {
        let flags = word(bytes, 2)?;
        let [opcode, rcode] = [flags >> 11 & 0xF, flags & 0xF].map(|v| v.to_be_bytes()[1]);
        let (questions, answers, _) = (word(bytes, 4)?, word(bytes, 6)?, bytes.get(HEADER_BYTES - 1)?);
        Some(Self {
            id: word(bytes, 0)?,
            is_response: flags & 0x8000 != 0,
            opcode,
            rcode: u32::from(rcode),
            questions,
            answers,
        })
    }

    /// Opcodes are QUERY to DSO; nobody asks two questions at once; a query brings no answers, except known ones in
    /// multicast DNS.
    fn is_plausible(&self) -> bool {
        self.opcode <= 6 && self.questions <= 1
    }
}

impl Message {
    fn read_answers(&mut self, bytes: &[u8], mut at: usize, count: u16) -> Option<()> {
        // Names that the name asked for leads to. An answer about any other name proves nothing about it.
        let mut chain_end = None;
        for _ in 0..count {
            let (owner, owner_end) = name::read(bytes, at)?;
            let (kind, class) = (word(bytes, owner_end)?, word(bytes, owner_end + 2)?);
            let ttl = bytes.get(owner_end + 4..owner_end + 8)?;
            let ttl = u32::from_be_bytes(ttl.try_into().expect("four bytes were taken"));
            let data_at = owner_end + 10;
            let data_end = data_at + usize::from(word(bytes, owner_end + 8)?);
            let data = bytes.get(data_at..data_end)?;
            self.rrtypes.push(kind);
            let in_chain = class == CLASS_IN && owner == *chain_end.as_ref().unwrap_or(&self.query);
            if in_chain && self.take_answer(bytes, (kind, data, data_at), &mut chain_end) {
                self.ttl_seconds = self.ttl_seconds.min(ttl);
            }
            at = data_end;
        }
        Some(())
    }

    /// Takes an answer about the name asked for; returns whether it is of a kind that is kept.
    fn take_answer(
        &mut self,
        bytes: &[u8],
        (kind, data, data_at): (u16, &[u8], usize),
        chain_end: &mut Option<String>,
    ) -> bool {
        match kind {
            KIND_A => match <[u8; 4]>::try_from(data) {
                Ok(octets) => self.ips.push(Ipv4Addr::from(octets).into()),
                Err(_) => return false,
            },
            KIND_AAAA => match <[u8; 16]>::try_from(data) {
                Ok(octets) => self.ips.push(Ipv6Addr::from(octets).into()),
                Err(_) => return false,
            },
            KIND_CNAME => match name::read(bytes, data_at) {
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
