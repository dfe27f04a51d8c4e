//! The parser is total, keeps what it was given, and refuses what no program sends.

use ebpf_abi::{
    ABI_VERSION, DATA_CLASSES, DNS_PAYLOAD_BYTES, DataHead, DnsHead, DropRecord, FlowRecord, Header, ParseError,
    ProcRecord, Record, SockRecord, kind,
};
use proptest::prelude::*;
use zerocopy::{FromBytes, IntoBytes};

fn header(kind: u8) -> Header {
    Header { kind, version: ABI_VERSION, ..Header::ZERO }
}

/// Any value of a record, with a header that fits it.
fn any_record<T: FromBytes>(kind: u8) -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(any::<u8>(), size_of::<T>()).prop_map(move |mut bytes| {
        bytes[0] = kind;
        bytes[1] = ABI_VERSION;
        bytes
    })
}

#[test]
fn layouts_are_as_documented() {
    assert_eq!(size_of::<FlowRecord>(), 136);
    assert_eq!(std::mem::offset_of!(FlowRecord, key), 24);
    assert_eq!(std::mem::offset_of!(FlowRecord, val), 72);
    assert_eq!(std::mem::offset_of!(ebpf_abi::FlowKey, cause), 44);
    assert_eq!(std::mem::offset_of!(ebpf_abi::FlowVal, isn), 24);
    assert_eq!(std::mem::offset_of!(ebpf_abi::FlowVal, flags), 28);
    assert_eq!(std::mem::offset_of!(SockRecord, comm), 120);
    assert_eq!(std::mem::offset_of!(DataHead, seq), 60);
    assert_eq!(size_of::<DnsHead>() + DNS_PAYLOAD_BYTES, 592);
    assert_eq!(DATA_CLASSES.map(|room| room + size_of::<DataHead>()), [320, 1088, 4160]);
}

#[test]
fn foreign_bytes_are_named() {
    let short = Record::parse(&[kind::FLOW, ABI_VERSION]);
    assert_eq!(short, Err(ParseError::Short { needed: 24, got: 2 }));
    let mut bytes = [0u8; 136];
    bytes[..24].copy_from_slice(header(kind::FLOW).as_bytes());
    assert!(matches!(Record::parse(&bytes), Ok(Record::Flow(_))));
    assert_eq!(Record::parse(&bytes[..135]), Err(ParseError::Short { needed: 136, got: 135 }));
    bytes[1] = ABI_VERSION + 1;
    assert_eq!(Record::parse(&bytes), Err(ParseError::Version(ABI_VERSION + 1)));
    bytes[1] = ABI_VERSION;
    bytes[0] = 99;
    assert_eq!(Record::parse(&bytes), Err(ParseError::Kind(99)));
}

#[test]
fn payload_is_what_was_captured() {
    let head = DataHead { header: header(kind::DATA), len: 5, captured: 3, ..DataHead::ZERO };
    let mut bytes = head.as_bytes().to_vec();
    bytes.extend_from_slice(b"GET / padding of the size class");
    assert_eq!(Record::parse(&bytes), Ok(Record::Data(head, b"GET")));

    let beyond = DataHead { captured: 6, ..head };
    bytes[..64].copy_from_slice(beyond.as_bytes());
    assert_eq!(Record::parse(&bytes), Err(ParseError::Payload { claimed: 6, room: 5 }));

    for (len, held, expected) in [(4, 90, b"abcd".as_slice()), (9, 83, b"abc"), (9, 0, b""), (9, 900, b"abcdefgh")] {
        let head = DnsHead { header: Header { len: held, ..header(kind::DNS) }, len, ..DnsHead::ZERO };
        let mut bytes = head.as_bytes().to_vec();
        bytes.extend_from_slice(b"abcdefgh");
        assert_eq!(Record::parse(&bytes), Ok(Record::Dns(head, expected)));
    }
}

proptest! {
    #[test]
    fn no_input_panics(bytes in proptest::collection::vec(any::<u8>(), 0..700), kind in 0u8..10) {
        let _first = Record::parse(&bytes).is_ok();
        let mut bytes = bytes;
        if bytes.len() > 1 {
            bytes[0] = kind;
            bytes[1] = ABI_VERSION;
        }
        if let Ok(Record::Data(head, payload)) = Record::parse(&bytes) {
            prop_assert_eq!(payload.len(), head.captured as usize);
            prop_assert!(head.captured <= head.len);
        }
    }

    #[test]
    fn fixed_records_keep_every_byte(
        flow in any_record::<FlowRecord>(kind::FLOW),
        drop in any_record::<DropRecord>(kind::DROP),
        sock in any_record::<SockRecord>(kind::SOCK),
        process in any_record::<ProcRecord>(kind::PROC),
    ) {
        for bytes in [&flow, &drop, &sock, &process] {
            let back = match Record::parse(bytes) {
                Ok(Record::Flow(record)) => record.as_bytes().to_vec(),
                Ok(Record::Drop(record)) => record.as_bytes().to_vec(),
                Ok(Record::Sock(record)) => record.as_bytes().to_vec(),
                Ok(Record::Proc(record)) => record.as_bytes().to_vec(),
                other => panic!("{other:?}"),
            };
            prop_assert_eq!(&back, bytes);
        }
    }

    #[test]
    fn alignment_does_not_matter(flow in any_record::<FlowRecord>(kind::FLOW), shift in 0usize..8) {
        let mut moved = vec![0u8; shift];
        moved.extend_from_slice(&flow);
        prop_assert_eq!(Record::parse(&moved[shift..]), Record::parse(&flow));
    }
}
