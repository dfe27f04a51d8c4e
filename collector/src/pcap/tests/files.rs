//! File formats, link types, and damage.

use proptest::prelude::*;

use super::*;
use crate::hostile;

/// One block of a pcapng file.
fn block(big_endian: bool, kind: u32, body: &[u8]) -> Vec<u8> {
    let word = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let padding = vec![0; body.len().next_multiple_of(4) - body.len()];
    let length = (12 + body.len() + padding.len()) as u32;
    [&word(kind)[..], &word(length), body, &padding, &word(length)].concat()
}

fn pcapng(big_endian: bool, resolution: u8, frames: &[Frame]) -> Vec<u8> {
    let word = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let half = |n: u16| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
    let section = [&word(0x1A2B_3C4D)[..], &half(1), &half(0), &[0xFF; 8]].concat();
    let mut bytes = block(big_endian, 0x0A0D_0D0A, &section);
    // Another interface first, so that the number counts; then options: name, resolution, end.
    bytes.extend(block(big_endian, 1, &[&half(147)[..], &half(0), &word(0)].concat()));
    let options = [&half(2)[..], &half(3), b"wl0\0", &half(9), &half(1), &[resolution, 0, 0, 0], &word(0)].concat();
    let link_type = frames[0].link_type;
    bytes.extend(block(big_endian, 1, &[&half(link_type)[..], &half(0), &word(0), &options].concat()));
    bytes.extend(block(big_endian, 0x0BAD, b"of no interest"));
    for frame in frames {
        let units = match resolution {
            9 => frame.time.0.cast_unsigned(),
            6 => frame.time.0.cast_unsigned() / 1_000,
            _ => (i128::from(frame.time.0) * (1 << 30) / 1_000_000_000) as u64,
        };
        let mut body =
            [1, (units >> 32) as u32, units as u32, frame.data.len() as u32, frame.wire_bytes].map(word).concat();
        body.extend(&frame.data);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend([&half(2)[..], &half(4), &word(if frame.outgoing { 2 } else { 1 }), &word(0)].concat());
        bytes.extend(block(big_endian, 6, &body));
    }
    bytes
}

fn read(bytes: &[u8]) -> Result<Vec<Frame>, SourceError> {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    let mut pcap = Pcap::open(file.path(), Timing::default(), Arc::new(FixedClock::new(NOW))).unwrap();
    let mut frames = Vec::new();
    loop {
        match pcap.feed.next(Duration::from_secs(30)).map_err(|cause| pcap.failed(cause))? {
            Next::Batch(batch) => frames.extend(batch.into_iter().filter_map(|item| match item {
                Item::Frame(frame) => Some(frame),
                Item::BrokenOff(_) => None,
            })),
            Next::End => return Ok(frames),
            Next::Idle => panic!("the file did not end"),
        }
    }
}

#[test]
fn every_format_gives_the_same_frames() {
    let frames = frames::of(&fixture("shop.pcap"));
    let classic = frames::file(&frames);
    assert_eq!(read(&classic).unwrap(), frames);
    for big_endian in [false, true] {
        for resolution in [6, 9] {
            let mut got = read(&pcapng(big_endian, resolution, &frames)).unwrap();
            assert!(got.iter().all(|frame| frame.interface == 2));
            got.iter_mut().for_each(|frame| frame.interface = 1);
            assert_eq!(got, frames, "{big_endian} {resolution}");
        }
    }
    // Binary fractions of a second are off by less than one unit.
    let got = read(&pcapng(false, 0x80 | 30, &frames)).unwrap();
    assert!(got.iter().zip(&frames).all(|(a, b)| (a.time.0 - b.time.0).abs() <= 1));
    let outgoing = [Frame { outgoing: true, interface: 2, ..frames[0].clone() }];
    assert_eq!(read(&pcapng(true, 9, &outgoing)).unwrap(), outgoing);
}

#[test]
fn old_packet_blocks_are_packets_too() {
    let frames = frames::of(&fixture("shop.pcap"));
    for big_endian in [false, true] {
        let word = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let half = |n: u16| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let outgoing = Frame { outgoing: true, interface: 2, ..frames[0].clone() };
        let mut bytes = pcapng(big_endian, 6, &frames[..1]);
        let units = outgoing.time.0.cast_unsigned() / 1_000;
        let length = outgoing.data.len() as u32;
        // Four packets were lost before this one.
        let mut body = [&half(1)[..], &half(4)].concat();
        body.extend([(units >> 32) as u32, units as u32, length, outgoing.wire_bytes].map(word).concat());
        body.extend(&outgoing.data);
        body.resize(body.len().next_multiple_of(4), 0);
        body.extend([&half(2)[..], &half(4), &word(2), &word(0)].concat());
        bytes.extend(block(big_endian, 2, &body));
        let got = read(&bytes).unwrap();
        assert_eq!(got, [Frame { interface: 2, ..frames[0].clone() }, outgoing], "{big_endian}");
    }
}

/// Such as the keys of a TLS client, and the names of addresses.
#[test]
fn blocks_of_no_interest_may_be_long() {
    let frames = frames::of(&fixture("shop.pcap"));
    let long = vec![7; 3 << 20];
    let section = [&0x1A2B_3C4Du32.to_le_bytes()[..], &[1, 0, 0, 0], &[0xFF; 8], &long].concat();
    let again = pcapng(false, 9, &frames[5..]);
    let again = [block(false, 0x0A0D_0D0A, &section), again[28..].to_vec()].concat();
    let bytes = [pcapng(false, 9, &frames[..5]), block(false, 10, &long), again].concat();
    let got = read(&bytes).unwrap();
    assert!(got.iter().map(|frame| &frame.data).eq(frames.iter().map(|frame| &frame.data)));
    // One that is cut off is told, as is a packet of that length.
    let cut = [pcapng(false, 9, &frames), block(false, 10, &long)[..1_000_000].to_vec()].concat();
    assert_eq!(play_bytes(&cut).1.lost_unreadable, 1);
    let packet = [pcapng(false, 9, &frames), block(false, 6, &long)].concat();
    assert_eq!(play_bytes(&packet).1.lost_unreadable, 1);
}

#[test]
fn classic_formats_of_other_machines() {
    let frame = frames::of(&fixture("shop.pcap"))[0].clone();
    let length = frame.data.len() as u32;
    for (magic, fraction, big_endian, extra) in [
        (0xa1b2_c3d4u32, 5, true, 0),
        (0xa1b2_3c4d, 5_000, true, 0),
        (0xa1b2_3c4d, 5_000, false, 0),
        (0xa1b2_cd34, 5, false, 8),
        (0xa1b2_cd34, 5, true, 8),
    ] {
        let word = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        // The upper bits of the link type tell of a checksum behind each frame.
        let header = [magic, 0, 0, 0, 65_535, 0x1000_0001].map(word).concat();
        let record = [7, fraction, length, length].map(word).concat();
        let bytes = [&header[..], &record, &vec![0; extra], &frame.data].concat();
        let expected = Frame { time: Timestamp(7_000_005_000), wire_bytes: length, ..frame.clone() };
        assert_eq!(read(&bytes).unwrap(), [expected], "{magic:x}");
    }
}

#[test]
fn damaged_files_are_read_as_far_as_they_go() {
    let frames = frames::of(&fixture("shop.pcap"));
    let classic = frames::file(&frames);
    let (got, stats) = play_bytes(&classic[..classic.len() - 1]);
    assert_eq!((got.unwrap().records > 0, stats.lost_unreadable, stats.seen), (true, 1, frames.len() as u64));
    let mut nonsense = classic.clone();
    nonsense.extend([0xFF; 64]);
    let (got, stats) = play_bytes(&nonsense);
    assert_eq!((http(&got.unwrap()), stats.lost_unreadable), (expected_http(), 1));
    let block = [&pcapng(false, 9, &frames)[..], &[6, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0]].concat();
    assert_eq!(play_bytes(&block).1.lost_unreadable, 1);
}

#[test]
fn other_files_are_refused() {
    let frames = frames::of(&fixture("shop.pcap"));
    let pcapng = pcapng(false, 9, &frames);
    let cases: [(&[u8], &str); 7] = [
        (b"", "empty, or too short"),
        (b"\xd4\xc3\xb2", "empty, or too short"),
        (b"\xd4\xc3\xb2\xa1\x02", "empty, or too short"),
        (b"{\"flow\":{}}", "not a capture file: it begins with [7b, 22, 66, 6c]"),
        (&frames::file(&frames[..1])[..50], "breaks off in the middle of a packet, after 0 packets"),
        (&pcapng[..20], "breaks off in the middle of a packet, after 0 packets"),
        (b"\x0a\x0d\x0d\x0a\0\0\0\x1c\0\0\0\0", "a section without byte order, after 0 packets"),
    ];
    for (bytes, expected) in cases {
        let error = play_bytes(bytes).0.unwrap_err();
        assert!(error.source_name.starts_with("capture file "), "{error}");
        assert!(error.cause.to_string().starts_with(expected), "{} is not {expected}", error.cause);
    }
    assert_eq!(play_bytes(&frames::file(&[])).0.unwrap().records, 0);
}

#[test]
fn unknown_links_are_counted() {
    let mut frames = frames::of(&fixture("shop.pcap"));
    frames.iter_mut().for_each(|frame| frame.link_type = 147);
    let (got, stats) = play_bytes(&frames::file(&frames));
    assert_eq!((got.unwrap().records, stats.lost_unreadable), (0, frames.len() as u64));
}

/// The same IP packet behind every kind of link header.
#[test]
fn every_kind_of_link_gives_the_same_packet() {
    let frames = frames::of(&fixture("shop.pcap"));
    let frame = frames.iter().find(|f| Packet::read(f).is_ok_and(|p| p.destination_port == 53)).unwrap();
    let (macs, ip) = (&frame.data[..12], &frame.data[14..]);
    let header = |parts: &[&[u8]]| [&parts.concat()[..], ip].concat();
    let cooked = [&[0, 4, 0, 1, 0, 6][..], &[0; 8], &[8, 0]].concat();
    let cooked2 = [&[8, 0, 0, 0, 0, 0, 0, 9, 0, 1, 4, 6][..], &[0; 8]].concat();
    let cases = [
        (1, header(&[macs, &[8, 0]]), (14, 0, 1, false)),
        (1, header(&[macs, &[0x81, 0, 0x20, 7, 8, 0]]), (18, 7, 1, false)),
        (1, header(&[macs, &[0x88, 0xa8, 0, 5, 0x81, 0, 0, 7, 8, 0]]), (22, 5, 1, false)),
        (101, header(&[]), (0, 0, 1, false)),
        (228, header(&[]), (0, 0, 1, false)),
        (0, header(&[&[2, 0, 0, 0]]), (0, 0, 1, false)),
        (108, header(&[&[0, 0, 0, 2]]), (0, 0, 1, false)),
        (113, header(&[&cooked]), (14, 0, 1, true)),
        (276, header(&[&cooked2]), (14, 0, 9, true)),
    ];
    let plain = Packet::read(frame).unwrap();
    for (link_type, data, (link_bytes, vlan, ifindex, outgoing)) in cases {
        let frame = Frame { link_type, wire_bytes: data.len() as u32, data, ..frame.clone() };
        let bytes = ip.len() as u64 + link_bytes;
        let expected = Packet { bytes, vlan, ifindex, outgoing, ..plain };
        assert_eq!(Packet::read(&frame), Ok(expected), "{link_type}");
    }
    let arp = Frame { data: [macs, &[8, 6, 0, 1]].concat(), ..frame.clone() };
    assert_eq!(Packet::read(&arp), Err(Unread::NotIp));
}

/// Every transport, with and without what it needs.
#[test]
fn transports() {
    let v4 = |protocol: u8, payload: &[u8]| {
        let total = (20 + payload.len() as u16).to_be_bytes();
        let header = [0x45, 0xB8, total[0], total[1], 0, 7, 0, 0, 63, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
        [&header[..], payload].concat()
    };
    let v6 = |next: u8, payload: &[u8]| {
        let length = (payload.len() as u16).to_be_bytes();
        let header = [&[0x6B, 0x80, 0, 0, length[0], length[1], next, 63][..], &[0xFD; 16], &[0xFE; 16]].concat();
        [&header[..], payload].concat()
    };
    let tcp = [&[0x9C, 0x40, 0, 80, 0, 0, 0, 5, 0, 0, 0, 6, 0x50, 0x12, 0, 0, 0, 0, 0, 0][..], b"payload"].concat();
    let udp = [&[0x9C, 0x40, 0, 53, 0, 12, 0, 0][..], b"four", b"padding"].concat();
    let options = [&[6, 0, 1, 4, 0, 0, 0, 0][..], &tcp].concat();
    let first = [&[6, 0, 0, 1, 0, 0, 0, 9][..], &tcp].concat();
    let later = [&[6, 0, 0, 8, 0, 0, 0, 9][..], &tcp].concat();
    // Address family, protocol, ports, flags, fragment, captured and true bytes of payload.
    let cases = [
        (v4(6, &tcp), (4, 6, 40_000, 80, 0x12, 0, 7, 7)),
        (v4(6, &tcp[..13]), (4, 6, 0, 0, 0, 3, 0, 0)),
        (v4(17, &udp), (4, 17, 40_000, 53, 0, 0, 4, 4)),
        (v4(17, &udp[..3]), (4, 17, 0, 0, 0, 3, 0, 0)),
        (v4(132, &udp), (4, 132, 40_000, 53, 0, 0, 0, 0)),
        (v4(1, &[8, 0, 0, 0]), (4, 1, 8, 0, 0, 0, 0, 0)),
        (v4(112, &[0x21]), (4, 112, 0, 0, 0, 0, 0, 0)),
        (v6(6, &tcp), (6, 6, 40_000, 80, 0x12, 0, 7, 7)),
        (v6(58, &[128, 0]), (6, 58, 128, 0, 0, 0, 0, 0)),
        (v6(0, &options), (6, 6, 40_000, 80, 0x12, 0, 7, 7)),
        (v6(44, &first), (6, 6, 40_000, 80, 0x12, 1, 7, 7)),
        (v6(44, &later), (6, 6, 0, 0, 0, 2, 0, 0)),
    ];
    for (data, expected) in cases {
        let wire_bytes = data.len() as u32;
        let frame = Frame { time: NOW, link_type: 101, interface: 1, outgoing: false, wire_bytes, data };
        let p = Packet::read(&frame).unwrap();
        assert_eq!((p.ttl, p.dscp, p.bytes), (63, 46, u64::from(wire_bytes)), "{p:?}");
        let captured = p.payload.len();
        let got = (
            p.ip_version,
            p.protocol,
            p.source_port,
            p.destination_port,
            p.tcp_flags,
            p.fragment,
            captured,
            p.payload_bytes,
        );
        assert_eq!(got, expected, "{p:?}");
    }
    // Cut when captured: the true length is still known.
    let mut data = v4(6, &tcp);
    let wire_bytes = data.len() as u32;
    data.truncate(42);
    let frame = Frame { time: NOW, link_type: 101, interface: 1, outgoing: false, wire_bytes, data };
    let packet = Packet::read(&frame).unwrap();
    assert_eq!((packet.payload, packet.payload_bytes), (&b"pa"[..], 7));
}

proptest! {
    #![proptest_config(hostile::config(300))]

    /// Headers of every kind of link, with anything behind them.
    #[test]
    fn hostile_packets_are_read_in_bounds(
        data in hostile::damaged(packet_seeds()),
        link_type in prop::sample::select(vec![0u16, 1, 12, 101, 108, 113, 228, 229, 276, 9_999]),
        more in 0..3_000u32,
    ) {
        let wire_bytes = data.len() as u32 + more;
        let frame = Frame { time: NOW, link_type, interface: 1, outgoing: false, wire_bytes, data };
        if let Ok(packet) = Packet::read(&frame) {
            prop_assert!(packet.payload.len() <= frame.data.len() && packet.payload.len() as u32 <= packet.payload_bytes);
            prop_assert!(matches!(packet.ip_version, 4 | 6));
        }
    }

    #[test]
    fn hostile_captures_end_with_an_error_or_whole(bytes in hostile::damaged(vec![
        frames::file(&frames::of(&fixture("shop.pcap"))[..20]),
        pcapng(false, 9, &frames::of(&fixture("shop-any.pcap"))[..20]),
        pcapng(true, 6, &frames::of(&fixture("shop.pcap"))[..9]),
    ])) {
        let (got, stats) = play_bytes(&bytes);
        prop_assert!(got.is_err() || stats.lost_unreadable <= stats.seen);
    }

    #[test]
    fn damaged_captures_never_panic(
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..40),
        cut in any::<prop::sample::Index>(),
        format in 0..3,
    ) {
        let frames = frames::of(&fixture("shop.pcap"));
        let mut bytes = match format {
            0 => frames::file(&frames),
            1 => pcapng(false, 9, &frames),
            _ => frames::file(&frames::of(&fixture("shop-any.pcap"))),
        };
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        bytes.truncate(bytes.len() / 2 + cut.index(bytes.len() / 2 + 1));
        let (got, stats) = play_bytes(&bytes);
        if let Ok(got) = got {
            prop_assert!(stats.lost_unreadable <= stats.seen);
            let packets: u64 = got.flows.values().map(|(val, _)| val.packets).sum();
            prop_assert!(packets <= stats.seen);
        }
    }
}

fn packet_seeds() -> Vec<Vec<u8>> {
    let (shop, any) = (frames::of(&fixture("shop.pcap")), frames::of(&fixture("shop-any.pcap")));
    let mut seeds: Vec<_> = shop.iter().chain(&any).step_by(7).map(|frame| frame.data.clone()).collect();
    // Fragments and extension headers, which the shop does not send.
    let fragment = [&[0x60, 0, 0, 0, 0, 24, 44, 64][..], &[0xfd; 32], &[17, 0, 0, 1, 0, 0, 0, 9], &[0; 16]].concat();
    let options = [&[0x60, 0, 0, 0, 0, 24, 0, 64][..], &[0xfd; 32], &[60, 0, 1, 4, 0, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0]];
    seeds.extend([fragment, options.concat()]);
    seeds
}
