//! What holds for any split, any loss and any bytes.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::hostile;

/// A keep-alive connection with every way to frame a body.
const EXCHANGE: &[(Side, &str)] = &[
    (
        Client,
        "GET /index.html?x=1 HTTP/1.1\r\nHost: shop.example:8080\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
    ),
    (
        Server,
        "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nContent-Type: text/html\r\nContent-Length: 12\r\n\r\n<p>Hello</p>",
    ),
    (Client, "POST /cart HTTP/1.1\r\nHost: shop.example\r\nContent-Length: 9\r\nExpect: 100-continue\r\n\r\n"),
    (Server, "HTTP/1.1 100 Continue\r\n\r\n"),
    (Client, "{\"id\": 1}"),
    (
        Server,
        "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n6\r\n world\r\n0\r\nTrailer: x\r\n\r\n",
    ),
    (Client, "PUT /blob HTTP/1.1\r\nHost: shop.example\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"),
    (Server, "HTTP/1.1 204 No Content\r\n\r\n"),
    (Client, "HEAD /big HTTP/1.1\r\nHost: shop.example\r\n\r\nGET /none HTTP/1.1\r\nHost: shop.example\r\n\r\n"),
    (
        Server,
        "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone",
    ),
    (Client, "OPTIONS * HTTP/1.1\nHost: bare.example\n\n"),
    (Server, "HTTP/1.1 500 \r\nConnection: close\r\n\r\nno length"),
];

fn config() -> L7Config {
    L7Config { http_headers: vec!["host".into(), "server".into()], ..L7Config::default() }
}

/// Hands in one write as several chunks at the same moment, each captured whole.
fn write_in_parts(c: &mut Conversation, side: Side, bytes: &[u8], cuts: &[prop::sample::Index]) {
    let mut at: Vec<_> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).chain([0, bytes.len()]).collect();
    at.sort_unstable();
    let time = c.now;
    for part in at.windows(2) {
        c.now = time;
        c.write(side, &bytes[part[0]..part[1]], usize::MAX);
    }
}

fn cases(count: u32) -> ProptestConfig {
    ProptestConfig { cases: count, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(2_000))]

    #[test]
    fn any_split_gives_the_same_events(
        cuts in vec(vec(any::<prop::sample::Index>(), 0..12), EXCHANGE.len()),
        hint in prop::sample::select(vec![None, Some(true)]),
    ) {
        let mut whole = Conversation::new(config());
        let mut parts = Conversation::new(config());
        (whole.hint, parts.hint) = (hint, hint);
        for ((side, text), cuts) in EXCHANGE.iter().zip(&cuts) {
            whole.say(*side, text);
            write_in_parts(&mut parts, *side, text.as_bytes(), cuts);
        }
        prop_assert_eq!(whole.events.len(), 12);
        prop_assert_eq!(&whole.events, &parts.events);
        prop_assert_eq!(whole.engine.stats().bytes_held, parts.engine.stats().bytes_held);
    }

    #[test]
    fn after_any_loss_the_next_exchange_is_read(
        steps in vec((0..EXCHANGE.len(), 0..4u8, any::<prop::sample::Index>()), 0..40),
    ) {
        let mut c = Conversation::new(config());
        for (step, what, at) in steps {
            let (side, text) = EXCHANGE[step];
            match what {
                0 => c.lose(side, text.len() as u64),
                1 => {
                    // Some of a write is lost, as after a lost segment.
                    let at = at.index(text.len());
                    c.lose(side, at as u64);
                    c.write(side, &text.as_bytes()[at..], usize::MAX);
                }
                2 => c.write(side, text.as_bytes(), at.index(text.len())),
                _ => c.say(side, text),
            }
        }
        // A connection given up (three times nonsense in a row) stays so; that is counted.
        prop_assume!(c.interest == Interest::More);
        c.events.clear();
        for (side, text) in [
            (Client, "GET /last HTTP/1.1\r\nHost: a\r\n\r\n"),
            (Server, "HTTP/1.1 299 Last\r\nContent-Length: 0\r\n\r\n"),
        ].repeat(2) {
            // Where the last known head announced a body whose bytes never came, the first bytes count as that body.
            c.lose(side, 2_000_000);
            c.say(side, text);
        }
        let last = "> HTTP/1.1 GET http://a/last [Host: a]\n< HTTP/1.1 299 1ms GET http://a/last\n";
        prop_assert!(c.text().ends_with(last), "{}", c.text());
    }

    #[test]
    fn random_writes_never_panic_and_stay_in_bounds(
        writes in vec((any::<bool>(), 0..4u64, 0..50_000u64, vec(token(), 0..8), any::<u16>()), 0..60),
        port in prop::sample::select(vec![53u16, 80]),
    ) {
        let mut c = Conversation::new(L7Config { memory_bytes_max: 20_000, connections_max: 3, ..L7Config::default() });
        for (sent, conn, jump, tokens, missing) in writes {
            let data = tokens.concat();
            let offset = &mut c.offsets[usize::from(sent)];
            *offset = match jump { 0..40_000 => *offset, _ => u64::MAX.wrapping_sub(jump) };
            let (offset, len) = (*offset, (data.len() + usize::from(missing / 256)) as u32);
            let pair = pair(&format!("10.0.0.2:{port}"), &format!("10.0.0.1:{}", 40_000 + conn));
            let chunk = Chunk { conn, pair, sent, offset, len, data: &data, time: c.now, local_is_server: None };
            c.engine.chunk(chunk, &mut |_| {});
            c.offsets[usize::from(sent)] = offset.wrapping_add(u64::from(len));
            let stats = c.engine.stats();
            prop_assert!(stats.bytes_held <= 20_000 && stats.connections <= 3);
        }
        for conn in 0..4 {
            c.engine.close(conn);
        }
        prop_assert_eq!(c.engine.stats().bytes_held, 0);
    }

    #[test]
    fn damaged_dns_never_panics_and_gives_harmless_text(
        messages in vec((any::<bool>(), vec((any::<prop::sample::Index>(), any::<u8>()), 0..8), any::<u8>()), 1..20),
    ) {
        let mut c = Conversation::new(L7Config { dns_pending_max: 8, ..L7Config::default() });
        for (is_query, damage, captured) in messages {
            let mut message = if is_query { dns::QUERY.to_vec() } else { dns::answers() };
            for (at, byte) in damage {
                let at = at.index(message.len());
                message[at] = byte;
            }
            c.datagram(if is_query { Client } else { Server }, 1, &message, usize::from(captured) * 2);
            prop_assert!(c.engine.stats().dns_pending <= 8);
        }
        for event in &c.events {
            let L7Record::Dns(dns) = &event.record.record else { panic!("not DNS") };
            for name in dns.cnames.iter().chain([&dns.query]) {
                prop_assert!(name.ends_with('.') && name.len() <= 4 * 255, "{name:?}");
                prop_assert!(name.bytes().all(|b| (0x20..0x7F).contains(&b)), "{name:?}");
            }
        }
    }
}

proptest! {
    #![proptest_config(hostile::config(2_000))]

    #[test]
    fn hostile_dns_gives_harmless_names(message in hostile::damaged(vec![dns::QUERY.to_vec(), dns::answers()])) {
        let mut c = Conversation::new(L7Config::default());
        c.datagram(Server, 1, &message, usize::MAX);
        // The same over TCP, with its length before it.
        let mut stream = Conversation::new(L7Config::default());
        (stream.pair, stream.hint) = (pair("10.0.0.2:53", "10.0.0.1:40000"), None);
        let framed = [&(message.len() as u16).to_be_bytes()[..], &message].concat();
        stream.write(Server, &framed, usize::MAX);
        for event in c.events.iter().chain(&stream.events) {
            let L7Record::Dns(dns) = &event.record.record else { panic!("not DNS") };
            for name in dns.cnames.iter().chain([&dns.query]) {
                prop_assert!(name.ends_with('.') && name.len() <= 4 * 255, "{name:?}");
                prop_assert!(name.bytes().all(|b| (0x20..0x7F).contains(&b)), "{name:?}");
            }
        }
    }

    #[test]
    fn hostile_http_stays_in_bounds_and_tells_as_much_as_it_read(
        parts in vec((any::<bool>(), hostile::damaged(http_seeds()), any::<prop::sample::Index>()), 1..8),
    ) {
        let limits = L7Config { memory_bytes_max: 40_000, head_bytes_max: 4_096, ..config() };
        let (url_bytes_max, mut bytes) = (limits.url_bytes_max, 0);
        let mut c = Conversation::new(limits);
        for (from_client, text, captured) in parts {
            bytes += text.len();
            let captured = text.len() - captured.index(text.len() + 1) / 2;
            c.write(if from_client { Client } else { Server }, &text, captured);
            prop_assert!(c.engine.stats().bytes_held <= 40_000);
        }
        prop_assert!(c.events.len() <= bytes / 14, "{} events of {bytes} bytes", c.events.len());
        for event in &c.events {
            let L7Record::Http(http) = &event.record.record else { panic!("not HTTP") };
            prop_assert!(http.url.len() <= 4 * url_bytes_max + 64, "{}", http.url.len());
        }
        c.engine.close(c.conn);
        prop_assert_eq!(c.engine.stats().bytes_held, 0);
    }
}

fn http_seeds() -> Vec<Vec<u8>> {
    EXCHANGE.iter().map(|(_, text)| text.as_bytes().to_vec()).collect()
}

/// Bytes that make trouble in a parser.
fn token() -> impl Strategy<Value = Vec<u8>> {
    let known = [
        &b"GET / HTTP/1.1\r\n"[..],
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 101 x\r\n",
        b"HTTP/1.1 100 x\r\n\r\n",
        b"Host: a\r\n",
        b"Content-Length: 10\r\n",
        b"Content-Length: 18446744073709551615\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"\r\n",
        b"\r\n\r\n",
        b"\n\n",
        b"fffffffffffffff\r\n",
        b"0\r\n",
        b"5\r\nhello\r\n",
        b"\x00\x1d",
        b"\xFF\xFF",
        dns::QUERY,
    ];
    prop_oneof![
        8 => prop::sample::select(known.map(<[u8]>::to_vec).to_vec()),
        1 => vec(any::<u8>(), 0..64),
        1 => (any::<u8>(), 0..5_000usize).prop_map(|(byte, count)| vec![byte; count]),
    ]
}
