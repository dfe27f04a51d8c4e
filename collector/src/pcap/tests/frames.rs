//! Captures taken apart, damaged and put together again.

use super::*;

/// Frames of a classic little-endian capture with microseconds.
pub(super) fn of(path: &Path) -> Vec<Frame> {
    let bytes = std::fs::read(path).unwrap();
    assert_eq!(bytes[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    let (link_type, mut at, mut frames) = (word(20) as u16, 24, Vec::new());
    while at < bytes.len() {
        let (seconds, micros, captured, wire_bytes) = (word(at), word(at + 4), word(at + 8) as usize, word(at + 12));
        let time = Timestamp(i64::from(seconds) * 1_000_000_000 + i64::from(micros) * 1_000);
        let data = bytes[at + 16..at + 16 + captured].to_vec();
        frames.push(Frame { time, link_type, interface: 1, outgoing: false, wire_bytes, data });
        at += 16 + captured;
    }
    frames
}

/// A classic capture of frames.
pub(super) fn file(frames: &[Frame]) -> Vec<u8> {
    let mut bytes = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0];
    let link_type = frames.first().map_or(1, |f| u32::from(f.link_type));
    [0, 0, 262_144, link_type].iter().for_each(|word: &u32| bytes.extend(word.to_le_bytes()));
    for frame in frames {
        let (seconds, nanos) = frame.time.parts();
        let words = [seconds as u32, nanos as u32 / 1_000, frame.data.len() as u32, frame.wire_bytes];
        words.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        bytes.extend(&frame.data);
    }
    bytes
}

fn shop() -> Vec<Frame> {
    of(&fixture("shop.pcap"))
}

fn is_data(frame: &Frame) -> bool {
    Packet::read(frame).is_ok_and(|packet| packet.protocol == 6 && packet.payload_bytes > 0)
}

#[test]
fn segments_out_of_order_and_sent_again_make_no_difference() {
    let mut frames = shop();
    let data: Vec<usize> = (0..frames.len()).filter(|i| is_data(&frames[*i])).collect();
    // Each second segment comes once more, and neighbours of one direction change places.
    for i in data.iter().rev().step_by(2) {
        frames.insert(i + 1, frames[*i].clone());
    }
    let ends = |f: &Frame| Packet::read(f).map(|p| (p.source_port, p.destination_port, p.payload_bytes > 0)).ok();
    for i in 1..frames.len() {
        if ends(&frames[i - 1]) == ends(&frames[i]) && is_data(&frames[i]) {
            let (earlier, later) = (frames[i - 1].data.clone(), frames[i].data.clone());
            (frames[i - 1].data, frames[i].data) = (later, earlier);
        }
    }
    let got = play_bytes(&file(&frames)).0.unwrap();
    assert_eq!(http(&got), expected_http());
    let again: u32 = got.sockets.iter().map(|s| s.retransmits).sum();
    assert_eq!(again as usize, data.len().div_ceil(2));
}

/// `tcpdump -i any` where packets pass a container's link and then the machine's.
#[test]
fn packets_seen_at_two_devices_were_sent_once() {
    let cooked = |frame: &Frame, ifindex: u8, kind: u8| {
        let link = [&frame.data[12..14], &[0, 0, 0, 0, 0, ifindex, 0, 1, kind, 6], &[0; 8], &frame.data[14..]];
        Frame { link_type: 276, wire_bytes: frame.wire_bytes + 6, data: link.concat(), ..frame.clone() }
    };
    let frames: Vec<_> = shop().iter().flat_map(|frame| [cooked(frame, 7, 0), cooked(frame, 2, 4)]).collect();
    let got = play_bytes(&file(&frames)).0.unwrap();
    assert_eq!(http(&got), expected_http());
    assert_eq!(got.sockets.iter().map(|socket| socket.retransmits).sum::<u32>(), 0);
}

#[test]
fn lost_packets_cost_what_they_carried() {
    let frames = shop();
    let data: Vec<usize> = (0..frames.len()).filter(|i| is_data(&frames[*i])).collect();
    for lost in data {
        let mut rest = frames.clone();
        rest.remove(lost);
        let got = play_bytes(&file(&rest)).0.unwrap();
        let events = http(&got).len() + dns(&got).len();
        let all = expected_http().len() + 12;
        // One record may be lost with it; the response to a lost request is still there.
        assert!((all - 1..=all).contains(&events), "{lost}: {events}");
    }
}

#[test]
fn a_capture_that_begins_in_the_middle_still_gives_the_rest() {
    let frames = shop();
    let start = frames.iter().position(|f| Packet::read(f).is_ok_and(|p| p.destination_port == 80)).unwrap() + 3;
    let got = play_bytes(&file(&frames[start..])).0.unwrap();
    assert_eq!(http(&got), expected_http());
    let socket = got.sockets[0];
    assert_eq!((socket.role, socket.tuple.source_port), (ebpf_abi::role::UNKNOWN, 80));
}

#[test]
fn the_same_ends_again_are_a_new_connection() {
    let mut frames = shop();
    let later = frames.last().unwrap().time.0 - frames[0].time.0 + 1_000_000_000;
    let mut again = frames.clone();
    for frame in &mut again {
        frame.time.0 += later;
        // Other sequence numbers, as a second connection has: in each TCP packet, both of them.
        if let Ok(packet) = Packet::read(frame)
            && packet.protocol == 6
        {
            let at = frame.data.len() - packet.payload.len() - tcp_header_bytes(frame, &packet);
            for at in [at + 4, at + 8] {
                let number = u32::from_be_bytes(frame.data[at..at + 4].try_into().unwrap());
                frame.data[at..at + 4].copy_from_slice(&number.wrapping_add(0x4000_0000).to_be_bytes());
            }
        }
    }
    frames.extend(again);
    let got = play_bytes(&file(&frames)).0.unwrap();
    assert_eq!(http(&got), [expected_http(), expected_http()].concat());
    assert_eq!(got.sockets.iter().filter(|s| s.new_state == tcp_state::CLOSE).count(), 20);
}

fn tcp_header_bytes(frame: &Frame, packet: &Packet<'_>) -> usize {
    let ip = if packet.ip_version == 4 { 20 } else { 40 };
    frame.data.len() - 14 - ip - packet.payload.len()
}

#[test]
fn flows_go_on_in_updates_and_end_in_silence() {
    let base = shop();
    let query = base.iter().find(|f| Packet::read(f).is_ok_and(|p| p.destination_port == 53)).unwrap();
    let mut frames: Vec<Frame> =
        (0..20).map(|i| Frame { time: Timestamp(query.time.0 + i * 1_000_000_000), ..query.clone() }).collect();
    let answer = base.iter().find(|f| Packet::read(f).is_ok_and(|p| p.source_port == 53)).unwrap();
    frames.push(Frame { time: Timestamp(query.time.0 + 60_000_000_000), ..answer.clone() });
    let mut table = FlowTable::new();
    let mut told = Vec::new();
    for frame in &frames {
        let moment = Moment { recorded: frame.time, stamp_ns: frame.time.0.cast_unsigned() };
        let mut tell = |news: News| {
            told.push(match news {
                News::Record(record) => (record.val.packets, false),
                News::Totals { val, gone, .. } => (val.packets, gone),
            });
        };
        table.account(&mut Packet::read(frame).unwrap(), moment, &mut tell);
        table.update(frame.time, &mut tell);
    }
    // First packet, a report every five seconds, silence, and the answer as another flow.
    assert_eq!(told, [(1, false), (6, false), (11, false), (16, false), (1, false), (20, true)]);
}

#[test]
fn flags_are_news_once() {
    use ebpf_abi::cause::{CLOSE, FLAGS, NEW, NONE};
    let base = shop();
    let syn = base.iter().find(|f| Packet::read(f).is_ok_and(|p| p.destination_port == 80)).unwrap();
    let mut table = FlowTable::new();
    let moment = Moment { recorded: syn.time, stamp_ns: 1 };
    // FIN 1, SYN 2, RST 4, PSH 8, ACK 16: met in the middle, and opened again after it was closed.
    let steps =
        [(16, NEW), (24, NONE), (2, FLAGS), (18, NONE), (17, CLOSE), (17, NONE), (20, CLOSE), (2, NEW), (18, FLAGS)];
    for (flags, expected) in steps {
        let mut cause = NONE;
        let mut packet = Packet { tcp_flags: flags, ..Packet::read(syn).unwrap() };
        table.account(&mut packet, moment, &mut |news| {
            if let News::Record(record) = news {
                cause = record.key.cause;
            }
        });
        assert_eq!(cause, expected, "{flags}");
    }
}

#[test]
fn later_fragments_have_the_ports_of_the_first() {
    let base = shop();
    let query = base.iter().find(|f| Packet::read(f).is_ok_and(|p| p.destination_port == 53)).unwrap();
    let fragment = |offset: u16, more: bool| {
        let mut frame = query.clone();
        let field = offset | if more { 0x2000 } else { 0 };
        frame.data[14 + 6..14 + 8].copy_from_slice(&field.to_be_bytes());
        frame
    };
    let mut table = FlowTable::new();
    let moment = Moment { recorded: query.time, stamp_ns: 1 };
    let mut ports = Vec::new();
    for frame in [fragment(0, true), fragment(100, true), fragment(200, false)] {
        let mut packet = Packet::read(&frame).unwrap();
        table.account(&mut packet, moment, &mut |_| {});
        ports.push((packet.destination_port, packet.fragment));
    }
    assert_eq!(ports, [(53, 1), (53, 2), (53, 2)]);
    assert_eq!(table.fragments_unknown, 0);
    let mut stranger = fragment(100, false);
    stranger.data[14 + 4] ^= 1;
    table.account(&mut Packet::read(&stranger).unwrap(), moment, &mut |_| {});
    assert_eq!(table.fragments_unknown, 1);
}

#[test]
fn a_hole_is_not_waited_for_forever() {
    let mut connections = Connections::new();
    let frames = shop();
    let segments: Vec<_> = frames.iter().filter(|f| Packet::read(f).is_ok_and(|p| p.destination_port == 80)).collect();
    // SYN, then the second request without the first; no answers.
    let data: Vec<_> = segments.iter().copied().filter(|f| is_data(f)).collect();
    let mut records = 0;
    let at = |seconds: i64| Moment { recorded: Timestamp(seconds * 1_000_000_000), stamp_ns: 1 };
    for frame in [segments[0], data[1]] {
        connections.take(&Packet::read(frame).unwrap(), at(100), &mut |_| records += 1);
    }
    assert_eq!(records, 0);
    connections.expire(at(102), &mut |_| records += 1);
    assert_eq!(records, 0);
    connections.expire(at(103), &mut |_| records += 1);
    assert_eq!(records, 2, "the socket, and the chunk after the hole");
}
