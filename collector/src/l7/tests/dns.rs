//! DNS exchanges.

use super::*;

/// Query for `www.example.org. A`, id 0x1234, as glibc sends it.
pub(super) const QUERY: &[u8] =
    b"\x12\x34\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x03wWw\x07example\x03org\x00\x00\x01\x00\x01";

/// A message with the question of [`QUERY`] and these answers.
fn answer(flags: u16, count: u16, answers: &[u8]) -> Vec<u8> {
    let header = [0x1234, flags, 1, count, 0, 0].map(u16::to_be_bytes).concat();
    [&header, &QUERY[12..], answers].concat()
}

/// CNAME to `cdn.example.org.`, its A and AAAA, an address of another name, and a TXT.
pub(super) fn answers() -> Vec<u8> {
    let cname = b"\xC0\x0C\x00\x05\x00\x01\x00\x00\x01\x2C\x00\x06\x03cdn\xC0\x10";
    let a = b"\xC0\x2D\x00\x01\x00\x01\x00\x00\x00\x3C\x00\x04\x0A\x01\x02\x03";
    let aaaa = b"\xC0\x2D\x00\x1C\x00\x01\x00\x00\x00\x3D\x00\x10\xFD\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x07";
    let stranger = b"\x04evil\x00\x00\x01\x00\x01\x00\x00\x00\x01\x00\x04\x06\x06\x06\x06";
    let txt = b"\xC0\x0C\x00\x10\x00\x01\x00\x00\x00\x02\x00\x02\x01x";
    answer(0x8180, 5, &[&cname[..], a, aaaa, stranger, txt].concat())
}

const EXPECTED: &str = "> www.example.org. A
    < www.example.org. A 0 1ms ips=10.1.2.3,fd00::7 cnames=cdn.example.org. ttl=60 rr=CNAME,A,AAAA,A,TXT";

fn udp() -> Conversation {
    let mut c = Conversation::new(L7Config::default());
    c.pair = pair("10.0.0.2:53", "10.0.0.1:40000");
    c
}

#[test]
fn query_and_answer_over_udp() {
    let mut c = udp();
    c.datagram(Client, 0, QUERY, usize::MAX);
    c.datagram(Server, 0, &answers(), usize::MAX);
    assert_eq!(c.text(), unindent(EXPECTED));
    let L7Record::Dns(dns) = &c.events[1].record.record else { panic!("not DNS") };
    assert_eq!(dns.observation_source, "wire");
    assert_eq!((c.events[0].tuple, c.events[0].from_client), (c.events[1].tuple, true));
}

#[test]
fn negative_answers() {
    let mut c = udp();
    c.datagram(Client, 0, QUERY, usize::MAX);
    c.datagram(Server, 0, &answer(0x8183, 0, b""), usize::MAX);
    let expected = "> www.example.org. A\n< www.example.org. A 3 1ms ips= cnames= ttl=4294967295 rr=";
    assert_eq!(c.text(), unindent(expected));
}

/// The record of EDNS carries the upper eight bits of the response code.
#[test]
fn response_codes_beyond_the_header() {
    let rcode = |flags: u16, counts: [u16; 3], records: &[u8], cut: usize| {
        let header = [&[0x1234, flags, 1][..], &counts].concat();
        let header: Vec<u8> = header.into_iter().flat_map(u16::to_be_bytes).collect();
        let message = [&header, &QUERY[12..], records].concat();
        let mut c = udp();
        c.datagram(Server, 0, &message, message.len() - cut);
        assert_eq!((c.engine.stats().dns_malformed, c.engine.stats().dns_cut), (0, 0));
        let L7Record::Dns(dns) = &c.events[0].record.record else { panic!("not DNS") };
        dns.rcode
    };
    let opt = |upper: u8| [&[0, 0, 41, 4, 0, upper][..], &[0; 5]].concat();
    let a = b"\xC0\x0C\x00\x01\x00\x01\x00\x00\x00\x3C\x00\x04\x0A\x01\x02\x03";
    let both = [&a[..], &opt(1)].concat();
    assert_eq!(rcode(0x8180, [0, 0, 1], &opt(0), 0), 0);
    assert_eq!(rcode(0x8180, [0, 0, 1], &opt(1), 0), 16, "BADVERS");
    assert_eq!(rcode(0x8187, [0, 0, 1], &opt(1), 0), 23, "BADCOOKIE");
    assert_eq!(rcode(0x818F, [0, 0, 1], &opt(0xFF), 0), 0xFFF);
    for counts in [[1, 0, 1], [0, 1, 1], [0, 0, 2]] {
        assert_eq!(rcode(0x8180, counts, &both, 0), 16, "{counts:?}");
    }
    // It is one of the additional records or none, and a damaged or missing one says nothing.
    assert_eq!(rcode(0x8183, [0, 2, 0], &both, 0), 3);
    assert_eq!(rcode(0x8183, [0, 0, 9], a, 0), 3);
    assert_eq!(rcode(0x8183, [0, 0, 2], &both, 1), 3);
}

#[test]
fn a_message_seen_at_two_points_counts_once() {
    let mut c = udp();
    for point in [1, 2] {
        c.datagram(Client, point, QUERY, usize::MAX);
    }
    for point in [2, 1] {
        c.datagram(Server, point, &answers(), usize::MAX);
    }
    assert_eq!(c.text(), unindent(&EXPECTED.replace("0 1ms", "0 2ms")));
    assert_eq!(c.engine.stats().dns_repeats, 2);
    // The same id and question again is a new exchange.
    c.datagram(Client, 1, QUERY, usize::MAX);
    c.datagram(Client, 2, QUERY, usize::MAX);
    assert_eq!((c.events.len(), c.engine.stats().dns_repeats), (3, 3));
}

#[test]
fn asking_again_counts_and_latency_is_from_the_first_time() {
    let mut c = udp();
    c.datagram(Client, 1, QUERY, usize::MAX);
    c.now = Timestamp(5_000_000_000);
    for point in [1, 2] {
        c.datagram(Client, point, QUERY, usize::MAX);
    }
    c.datagram(Server, 2, &answers(), usize::MAX);
    assert_eq!(c.events.len(), 3);
    assert_eq!(c.events[2].record.latency_ns, 5_002_000_000);
}

#[test]
fn queries_without_answer_are_counted() {
    let mut c = udp();
    c.datagram(Client, 0, QUERY, usize::MAX);
    // The caller's clock shows another year; what counts is how much time passes.
    let year = 365 * 86_400 * Timestamp::NANOS_PER_SECOND;
    c.engine.expire(Timestamp(year));
    c.engine.expire(Timestamp(year + 9_000_000_000));
    assert_eq!((c.engine.stats().dns_unanswered, c.engine.stats().dns_pending), (0, 1));
    c.engine.expire(Timestamp(year + 11_000_000_000));
    assert_eq!((c.engine.stats().dns_unanswered, c.engine.stats().dns_pending), (1, 0));
    c.datagram(Server, 0, &answers(), usize::MAX);
    assert_eq!((c.engine.stats().dns_unpaired, c.events[1].record.latency_ns), (1, 0));
}

#[test]
fn cut_messages_give_what_is_there() {
    let mut c = udp();
    c.datagram(Server, 0, &answers(), QUERY.len() + 20);
    let expected = "< www.example.org. A 0 0ms ips= cnames=cdn.example.org. ttl=300 rr=CNAME";
    assert_eq!(c.text(), unindent(expected));
    assert_eq!(c.engine.stats().dns_cut, 1);
}

#[test]
fn damaged_messages_are_counted() {
    let loops = answer(0x8180, 1, b"\xC0\x2D\x00\x01\x00\x01\x00\x00\x00\x3C\x00\x04\x0A\x01\x02\x03");
    let no_question = [0x1234u16, 0x8400, 0, 1, 0, 0].map(u16::to_be_bytes).concat();
    let (answers, two_questions) = (answers(), [0, 0, 2, 0, 0, 0].map(u16::to_be_bytes).concat());
    let cases: [(&[u8], [u64; 2]); 6] = [
        (&loops, [1, 0]),
        (&QUERY[..11], [1, 0]),
        (b"", [1, 0]),
        (&answers[..answers.len() - 1], [1, 0]),
        (&two_questions, [1, 0]),
        (&no_question, [0, 1]),
    ];
    for (message, expected) in cases {
        let mut c = udp();
        c.datagram(Server, 0, message, usize::MAX);
        let stats = c.engine.stats();
        assert_eq!([stats.dns_malformed, stats.dns_no_question], expected, "{message:?}");
        assert_eq!(c.events, []);
    }
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

fn tcp() -> Conversation {
    let mut c = udp();
    c.hint = None;
    c
}

#[test]
fn messages_over_tcp() {
    let (query, answer) = (framed(QUERY), framed(&answers()));
    // Whole, and with the length in a write of its own.
    for split in [0, 1, 2, 20] {
        let mut c = tcp();
        for _ in 0..2 {
            c.write(Client, &query[..split], usize::MAX);
            c.write(Client, &query[split..], usize::MAX);
            c.write(Server, &answer, usize::MAX);
        }
        assert_eq!(c.text(), unindent(EXPECTED).repeat(2));
        assert_eq!(c.events[1].source().to_string(), "10.0.0.2:53");
        assert!(c.engine.stats().bytes_held < 512, "nothing of a message is kept");
    }
}

#[test]
fn tcp_messages_in_part() {
    let (query, answer) = (framed(QUERY), framed(&answers()));
    let mut c = tcp();
    c.write(Client, &query, usize::MAX);
    c.write(Server, &answer, 2 + QUERY.len() + 20);
    c.write(Client, &query, usize::MAX);
    c.write(Server, &answer, usize::MAX);
    assert_eq!((c.events.len(), c.engine.stats().dns_cut, c.engine.stats().resyncs), (4, 1, 0));
    // A lost write, and more than a message missing.
    c.lose(Server, answer.len() as u64);
    c.write(Server, &answer, usize::MAX);
    assert_eq!((c.events.len(), c.engine.stats().resyncs), (5, 1));
    c.write(Server, &[&answer[..], &answer].concat(), 60);
    assert_eq!((c.events.len(), c.engine.stats().dns_cut), (6, 2));
    c.write(Server, &answer, usize::MAX);
    assert_eq!((c.events.len(), c.engine.stats().resyncs), (7, 2));
}

#[test]
fn something_else_on_the_dns_port_is_given_up() {
    let mut c = tcp();
    for _ in 0..3 {
        c.say(Client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    }
    assert_eq!((c.interest, c.engine.stats().opaque, c.events.len()), (Interest::Done, 1, 0));
}
