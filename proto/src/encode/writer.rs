//! Protobuf's wire format, as far as a flow needs it.

use std::fmt::{Display, Write as _};
use std::net::IpAddr;

/// Key of a varint.
const VARINT: u32 = 0;
/// Key of a value with a length before it.
const DELIMITED: u32 = 2;
/// Longest encoded 32-bit length.
const LENGTH_BYTES_MAX: usize = 5;

/// Appends fields to encoded bytes. Values that are their type's default are left out, as proto3 has it.
pub(super) struct Writer<'a> {
    pub(super) out: &'a mut Vec<u8>,
}

impl Writer<'_> {
    #[expect(clippy::cast_possible_truncation, reason = "seven bits at a time")]
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.out.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.out.push(value as u8);
    }

    fn key(&mut self, number: u32, kind: u32) {
        self.varint(u64::from(number << 3 | kind));
    }

    pub(super) fn uint64(&mut self, number: u32, value: u64) {
        if value != 0 {
            self.key(number, VARINT);
            self.varint(value);
        }
    }

    pub(super) fn uint32(&mut self, number: u32, value: u32) {
        self.uint64(number, value.into());
    }

    /// Negative numbers take ten bytes, as the format has it.
    pub(super) fn int64(&mut self, number: u32, value: i64) {
        self.uint64(number, value.cast_unsigned());
    }

    pub(super) fn int32(&mut self, number: u32, value: i32) {
        self.int64(number, value.into());
    }

    pub(super) fn bool(&mut self, number: u32, value: bool) {
        self.uint64(number, value.into());
    }

    pub(super) fn text(&mut self, number: u32, value: &str) {
        if !value.is_empty() {
            self.bytes(number, value.as_bytes());
        }
    }

    /// Bytes, written even where there are none: a message without fields is one.
    pub(super) fn bytes(&mut self, number: u32, value: &[u8]) {
        self.key(number, DELIMITED);
        self.varint(value.len() as u64);
        self.out.extend_from_slice(value);
    }

    /// Elements of a list, empty ones too.
    pub(super) fn texts<T: AsRef<str>>(&mut self, number: u32, values: &[T]) {
        for value in values {
            self.bytes(number, value.as_ref().as_bytes());
        }
    }

    /// Text that is made where it goes.
    pub(super) fn display(&mut self, number: u32, value: &dyn Display) {
        self.message(number, |w| write!(w, "{value}").expect("memory takes all text"));
    }

    pub(super) fn address(&mut self, number: u32, address: IpAddr) {
        let IpAddr::V4(address) = address else { return self.display(number, &address) };
        // Most addresses, and the formatting machinery takes as long as all else of a header.
        self.message(number, |w| {
            for (i, octet) in address.octets().into_iter().enumerate() {
                if i > 0 {
                    w.out.push(b'.');
                }
                if octet >= 100 {
                    w.out.push(b'0' + octet / 100);
                }
                if octet >= 10 {
                    w.out.push(b'0' + octet / 10 % 10);
                }
                w.out.push(b'0' + octet % 10);
            }
        });
    }

    /// A UUID in its text form.
    pub(super) fn uuid(&mut self, number: u32, bytes: &[u8; 16]) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        self.message(number, |w| {
            for (i, byte) in bytes.iter().enumerate() {
                if matches!(i, 4 | 6 | 8 | 10) {
                    w.out.push(b'-');
                }
                w.out.extend([DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
        });
    }

    /// A message or text whose length is known when it is written.
    pub(super) fn message(&mut self, number: u32, write: impl FnOnce(&mut Writer<'_>)) {
        self.key(number, DELIMITED);
        let at = self.out.len();
        self.out.push(0);
        write(&mut Writer { out: self.out });
        let length = self.out.len() - at - 1;
        match u8::try_from(length) {
            Ok(short @ 0..0x80) => self.out[at] = short,
            _ => self.lengthen(at, length),
        }
    }

    /// Makes room for a length of more than one byte.
    fn lengthen(&mut self, at: usize, length: usize) {
        let mut prefix = Vec::with_capacity(LENGTH_BYTES_MAX);
        Writer { out: &mut prefix }.varint(length as u64);
        let (end, more) = (self.out.len(), prefix.len() - 1);
        self.out.resize(end + more, 0);
        self.out.copy_within(at + 1..end, at + 1 + more);
        self.out[at..=at + more].copy_from_slice(&prefix);
    }

    pub(super) fn optional<T: ?Sized>(
        &mut self,
        number: u32,
        value: Option<&T>,
        write: impl FnOnce(&T, &mut Writer<'_>),
    ) {
        if let Some(value) = value {
            self.message(number, |w| write(value, w));
        }
    }
}

impl std::fmt::Write for Writer<'_> {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.out.extend_from_slice(text.as_bytes());
        Ok(())
    }
}
