//! Headers of packets beside what Hubble's parser (1.19.4) reads of the same bytes.

use super::*;

/// Addresses, transport header and summary of the flow that a packet begins, as Hubble's JSON has them.
fn told(link_type: u16, data: Vec<u8>) -> serde_json::Value {
    let wire_bytes = u32::try_from(data.len()).unwrap();
    let frame = Frame { time: Timestamp(1), link_type, interface: 2, outgoing: false, wire_bytes, data };
    let mut packet = Packet::read(&frame).unwrap();
    let mut record = None;
    let moment = Moment { recorded: Timestamp(1), stamp_ns: 1 };
    FlowTable::new().account(&mut packet, moment, &mut |news| match news {
        News::Record(news) => record = Some(news),
        News::Totals { .. } => panic!("one packet is no total"),
    });
    let node = NodeFacts { name: "node-1".into(), labels: Arc::new([]), emitter: Arc::default(), run: 7 };
    let mut decoder = Decoder::new(&DecodeConfig::default(), node, None);
    let flow = decoder.flow(&record.unwrap(), &small_world()).flow;
    let wire = proto::convert::flow_to_wire(&flow, proto::convert::Details::Omit);
    let json: serde_json::Value = serde_json::from_str(&proto::json::to_json(&wire)).unwrap();
    let fields = ["IP", "l4", "Summary"].into_iter().filter_map(|key| Some((key.to_owned(), json.get(key)?.clone())));
    serde_json::Value::Object(fields.collect())
}

/// Lines are the name of a case, its link (`eth`, or `v4` and `v6` for none), the packet, and what Hubble tells of it.
#[test]
fn headers_are_read_as_hubble_reads_them() {
    let cases = include_str!("../../../../tests/fixtures/hubble-packets.tsv");
    assert_eq!(cases.lines().count(), 162);
    for case in cases.lines() {
        let [name, link, packet, expected] = case.split('\t').collect::<Vec<_>>().try_into().unwrap();
        let digits = |at: usize| u8::from_str_radix(&packet[at..at + 2], 16).unwrap();
        let data = (0..packet.len()).step_by(2).map(digits).collect();
        let expected: serde_json::Value = serde_json::from_str(expected).unwrap();
        assert_eq!(told(if link == "eth" { 1 } else { 101 }, data), expected, "{name}");
    }
}
