//! Limits: bytes, connections, age, and records counted once.

use super::*;

#[test]
fn endless_heads_are_read_in_part() {
    let mut c = Conversation::new(L7Config { head_bytes_max: 1_000, http_headers: Vec::new(), ..L7Config::default() });
    c.say(Client, "GET /slow HTTP/1.1\r\nHost: a\r\n");
    for _ in 0..1_000 {
        c.say(Client, "X-Header: value of no interest\r\n");
        assert!(c.engine.stats().bytes_held < 10_000);
    }
    assert_eq!(c.text(), "> HTTP/1.1 GET http://a/slow\n");
    assert_eq!((c.engine.stats().heads_too_long, c.engine.stats().heads_cut), (1, 0), "counted once");
}

#[test]
fn header_floods_are_read_in_part() {
    let mut c =
        Conversation::new(L7Config { head_bytes_max: 1 << 20, http_headers: Vec::new(), ..L7Config::default() });
    let flood = "X: y\r\n".repeat(10_000);
    c.say(Client, &format!("GET /flood HTTP/1.1\r\nHost: a\r\n{flood}\r\n"));
    c.say(Server, &format!("HTTP/1.1 431 Too large\r\n{flood}\r\n"));
    assert_eq!(c.text(), "> HTTP/1.1 GET http://a/flood\n< HTTP/1.1 431 1ms GET http://a/flood\n");
    assert_eq!((c.engine.stats().header_floods, c.engine.stats().heads_cut), (2, 0), "counted once");
}

#[test]
fn as_many_headers_as_are_read_are_no_flood() {
    for (headers, floods) in [(127, 0), (128, 1)] {
        let mut c = Conversation::new(L7Config::default());
        c.say(Client, &format!("GET / HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(headers)));
        assert_eq!((c.events.len(), c.engine.stats().header_floods), (1, floods));
    }
}

#[test]
fn too_many_requests_in_flight() {
    let config = L7Config { pipeline_max: 10, http_headers: Vec::new(), ..L7Config::default() };
    let mut c = Conversation::new(config);
    let request = |number: u32| format!("GET /{number} HTTP/1.1\r\nHost: a\r\n\r\n");
    let ok = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
    c.say(Client, &(1..=25).map(request).collect::<String>());
    assert_eq!((c.events.len(), c.engine.stats().pipelines_too_deep), (25, 15));
    c.events.clear();
    // Room that responses make is not for those that came behind forgotten ones.
    c.say(Server, &ok.repeat(5));
    c.say(Client, &request(26));
    c.events.clear();
    c.say(Server, &ok.repeat(5));
    let text: String = (6..=10).map(|number| format!("< HTTP/1.1 200 3ms GET http://a/{number}\n")).collect();
    assert_eq!(c.text(), text);
    c.events.clear();
    c.say(Server, &ok.repeat(16));
    assert_eq!(c.text(), "< HTTP/1.1 200 0ms ? ?\n".repeat(16));
    assert_eq!((c.engine.stats().http_unpaired, c.engine.stats().pipelines_too_deep), (16, 16));
    // All are answered, and pairs are known again.
    c.say(Client, &request(27));
    c.say(Server, ok);
    assert!(c.text().ends_with("< HTTP/1.1 200 1ms GET http://a/27\n"), "{}", c.text());
    c.say(Client, &(1..=25).map(request).collect::<String>());
    c.engine.close(c.conn);
    assert_eq!(c.engine.stats().http_unanswered, 25);
}

#[test]
fn the_last_of_too_many_requests_is_answered_after_a_hole() {
    let mut c = Conversation::new(L7Config { pipeline_max: 2, ..L7Config::default() });
    c.say(Client, &"GET / HTTP/1.1\r\nHost: a\r\n\r\n".repeat(4));
    c.say(Server, "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n");
    c.lose(Server, 100);
    c.events.clear();
    c.say(Server, "HTTP/1.1 204 No Content\r\n\r\n");
    assert_eq!(c.text(), "< HTTP/1.1 204 0ms ? ?\n");
    assert_eq!((c.engine.stats().http_unanswered, c.engine.stats().http_unpaired), (2, 1));
}

#[test]
fn long_urls_are_cut() {
    let mut c = Conversation::new(L7Config { url_bytes_max: 100, ..L7Config::default() });
    c.say(Client, &format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "x".repeat(5_000)));
    let L7Record::Http(http) = &c.events[0].record.record else { panic!("not HTTP") };
    assert_eq!((http.url.len(), c.engine.stats().urls_cut), (100, 1));
}

#[test]
fn connections_silent_for_longest_make_room() {
    let mut c = Conversation::new(L7Config { connections_max: 100, ..L7Config::default() });
    for conn in 0..1_000 {
        (c.conn, c.offsets) = (conn, [0; 2]);
        c.pair.remote.set_port(conn as u16 + 1_000);
        c.say(Client, "GET / HTTP/1.1\r\nHo");
    }
    let stats = c.engine.stats();
    assert_eq!((stats.connections, stats.evicted, stats.http_unfinished), (100, 900, 900));
    let held = stats.bytes_held;
    c.engine.close(999);
    assert_eq!((c.engine.stats().connections, c.engine.stats().bytes_held), (99, held / 100 * 99));
    c.engine.expire(c.now);
    assert_eq!(c.engine.stats().expired, 0);
    c.engine.expire(Timestamp(c.now.0 + 601_000_000_000));
    assert_eq!((c.engine.stats().connections, c.engine.stats().bytes_held, c.engine.stats().expired), (0, 0, 99));
}

#[test]
fn memory_is_bounded_for_all_connections_together() {
    let mut c = Conversation::new(L7Config { memory_bytes_max: 100_000, ..L7Config::default() });
    for conn in 0..1_000 {
        (c.conn, c.offsets) = (conn, [0; 2]);
        c.pair.remote.set_port(conn as u16 + 1_000);
        c.say(Client, &format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(5_000)));
        assert!(c.engine.stats().bytes_held <= 100_000);
    }
    assert!(c.engine.stats().over_memory > 900);
    // A single one that holds more than all may is given up as well.
    let mut c = Conversation::new(L7Config { memory_bytes_max: 1_000, ..L7Config::default() });
    c.say(Client, &format!("GET / HTTP/1.1\r\nX: {}", "x".repeat(5_000)));
    assert_eq!((c.interest, c.engine.stats().over_memory, c.engine.stats().bytes_held), (Interest::Done, 1, 0));
}

/// Requests that nobody answers, with long URLs, until the memory is full.
#[test]
fn who_hoards_pays_and_nobody_else() {
    let limits = L7Config { memory_bytes_max: 1 << 20, http_headers: Vec::new(), ..L7Config::default() };
    let mut c = Conversation::new(limits);
    let exchange = |c: &mut Conversation, conn: u64, round: u64| {
        let (get, ok) = ("GET / HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        (c.conn, c.offsets) = (conn, [get, ok].map(|text| text.len() as u64 * round));
        c.pair.remote.set_port(conn as u16 + 1_000);
        c.say(Client, get);
        c.say(Server, ok);
        c.interest
    };
    let idle = 0..500;
    for conn in idle.clone() {
        assert_eq!(exchange(&mut c, conn, 0), Interest::More);
    }
    let url = "x".repeat(2_000);
    for conn in 1_000..1_050 {
        (c.conn, c.offsets) = (conn, [0; 2]);
        c.pair.remote.set_port(conn as u16 + 1_000);
        c.say(Client, &format!("GET /{url} HTTP/1.1\r\nHost: a\r\n\r\n").repeat(100));
        assert!(c.engine.stats().bytes_held <= 1 << 20);
    }
    let given_up = c.engine.stats().over_memory;
    assert!((40..50).contains(&given_up), "{given_up}");
    // Nor when it is others who ask for more.
    for conn in 2_000..3_000 {
        assert_eq!(exchange(&mut c, conn, 0), Interest::More, "{conn}");
    }
    c.events.clear();
    for conn in idle {
        assert_eq!(exchange(&mut c, conn, 1), Interest::More, "{conn}");
    }
    assert_eq!(c.events.len(), 1_000);
}

#[test]
fn dns_queries_are_bounded() {
    let mut c = Conversation::new(L7Config { dns_pending_max: 10, ..L7Config::default() });
    for id in 0..100u8 {
        let query = [&[0, id, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], b"\x01a\x00\x00\x01\x00\x01"].concat();
        c.datagram(Client, 0, &query, usize::MAX);
    }
    assert_eq!((c.events.len(), c.engine.stats().dns_pending, c.engine.stats().dns_evicted), (100, 10, 90));
}

/// Both sockets of one connection on the same node, in every order of what is told.
#[test]
fn records_of_a_connection_inside_the_node_count_once() {
    let client = pair("10.0.0.1:40000", "10.0.0.2:80");
    let server = pair("10.0.0.2:80", "[::ffff:10.0.0.1]:40000");
    for (opens, expected_at_server) in
        [(&[][..], false), (&[true], true), (&[false], false), (&[true, false], true), (&[false, true], true)]
    {
        let mut c = Conversation::new(L7Config::default());
        for &is_server in opens {
            let pair = if is_server { server } else { client };
            c.engine.open(u64::from(is_server), pair, is_server, c.now);
        }
        let exchange =
            [(Client, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"), (Server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")];
        for (from, text) in exchange {
            for at_server in [from == Server, from == Client] {
                let before = c.offsets;
                (c.conn, c.watching_client, c.hint) = (u64::from(at_server), !at_server, Some(at_server));
                c.pair = if at_server { server } else { client };
                c.say(from, text);
                if at_server == (from == Server) {
                    c.offsets = before;
                }
            }
        }
        assert_eq!(c.events.len(), 2, "{opens:?}");
        assert!(c.events.iter().all(|event| event.local_is_server == Some(expected_at_server)), "{opens:?}");
        assert_eq!(c.engine.stats().mirrored, 1);
        let tuples: Vec<_> = c.events.iter().map(|event| event.tuple.client.to_string()).collect();
        assert_eq!(tuples, ["10.0.0.1:40000"; 2]);
    }
}

#[test]
fn loopback_connections_of_two_namespaces_are_different() {
    let mut c = Conversation::new(L7Config::default());
    for (conn, netns, is_server) in [(1, 7, true), (2, 8, false)] {
        let (local, remote) =
            if is_server { ("127.0.0.1:80", "127.0.0.1:4000") } else { ("127.0.0.1:4000", "127.0.0.1:80") };
        c.engine.open(conn, SocketPair { netns, ..pair(local, remote) }, is_server, c.now);
    }
    assert_eq!(c.engine.stats().mirrored, 0);
}
