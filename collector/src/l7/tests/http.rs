//! HTTP/1 exchanges.

use super::*;
use crate::redact::RedactConfig;

const GET: &str = "GET /a HTTP/1.1\r\nHost: shop\r\nAccept: */*\r\n\r\n";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

#[test]
fn request_and_response() {
    let c = check(&[(Client, GET), (Server, OK)], "> HTTP/1.1 GET http://shop/a\n< HTTP/1.1 200 1ms GET http://shop/a");
    assert_eq!((c.engine.stats().http_requests, c.engine.stats().http_responses), (1, 1));
    let event = &c.events[1];
    assert_eq!(event.source().to_string(), "10.0.0.2:80");
    assert_eq!(event.destination().to_string(), "10.0.0.1:40000");
    assert_eq!((event.local_is_server, event.time), (Some(true), Timestamp(2_000_000)));
}

#[test]
fn keep_alive_and_pipelining() {
    check(
        &[
            (
                Client,
                "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\nHEAD /3 HTTP/1.1\r\nHost: a\r\n\r\n",
            ),
            (
                Server,
                "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\noneHTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n",
            ),
            (Server, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n"),
            (Client, "POST /4 HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nfour"),
            (Server, "HTTP/1.1 204 No Content\r\n\r\n"),
            (Client, "GET /5 HTTP/1.1\r\nHost: a\r\nIf-None-Match: x\r\n\r\n"),
            (Server, "HTTP/1.1 304 Not Modified\r\nContent-Length: 99\r\n\r\n"),
        ],
        "> HTTP/1.1 GET http://a/1
         > HTTP/1.1 GET http://a/2
         > HTTP/1.1 HEAD http://a/3
         < HTTP/1.1 200 1ms GET http://a/1
         < HTTP/1.1 404 1ms GET http://a/2
         < HTTP/1.1 200 2ms HEAD http://a/3
         > HTTP/1.1 POST http://a/4
         < HTTP/1.1 204 1ms POST http://a/4
         > HTTP/1.1 GET http://a/5
         < HTTP/1.1 304 1ms GET http://a/5",
    );
}

#[test]
fn chunked_bodies_both_ways() {
    let c = check(
        &[
            (Client, "PUT /up HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4;x=y\r\nGET "),
            (Client, "\r\n0\r\nTrailer: z\r\n\r\n"),
            (Server, "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nf\r\nHTTP/1.1 200 OK\r\n"),
            (Server, "0\r\n\r\n"),
            (Client, GET),
            (Server, OK),
        ],
        "> HTTP/1.1 PUT http://a/up
         < HTTP/1.1 201 2ms PUT http://a/up
         > HTTP/1.1 GET http://shop/a
         < HTTP/1.1 200 1ms GET http://shop/a",
    );
    assert_eq!((c.engine.stats().http_malformed, c.engine.stats().resyncs), (0, 0));
}

#[test]
fn interim_responses_do_not_answer() {
    let c = check(
        &[
            (Client, "POST /big HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n"),
            (Server, "HTTP/1.1 100 Continue\r\n\r\n"),
            (Client, "big"),
            (Server, "HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n"),
            (Server, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ],
        "> HTTP/1.1 POST http://a/big\n< HTTP/1.1 200 4ms POST http://a/big",
    );
    assert_eq!(c.engine.stats().http_interim, 2);
}

#[test]
fn a_refused_body_may_be_left_out() {
    check(
        &[
            (Client, "POST /big HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3000\r\n\r\n"),
            (Server, "HTTP/1.1 417 No\r\nContent-Length: 0\r\n\r\n"),
            (Client, GET),
            (Server, OK),
        ],
        "> HTTP/1.1 POST http://a/big
         < HTTP/1.1 417 1ms POST http://a/big
         > HTTP/1.1 GET http://shop/a
         < HTTP/1.1 200 1ms GET http://shop/a",
    );
}

#[test]
fn upgraded_connections_and_tunnels_are_left_alone() {
    let upgrade = "GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let switched = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n";
    let c = check(
        &[(Client, upgrade), (Server, switched), (Client, GET), (Server, OK)],
        "> HTTP/1.1 GET http://a/ws\n< HTTP/1.1 101 1ms GET http://a/ws",
    );
    assert_eq!((c.interest, c.engine.stats().tunnels, c.engine.stats().bytes_held), (Interest::Done, 1, 0));
    check(
        &[
            (Client, "CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\n\r\n"),
            (Server, "HTTP/1.1 407 Proxy Authentication Required\r\nContent-Length: 0\r\n\r\n"),
            (Client, "CONNECT db:5432 HTTP/1.1\r\nHost: db:5432\r\nProxy-Authorization: Basic x\r\n\r\n"),
            (Server, "HTTP/1.1 200 Connection established\r\n\r\nHTTP/1.1 200 inside\r\n\r\n"),
            (Client, GET),
        ],
        "> HTTP/1.1 CONNECT http://db:5432
         < HTTP/1.1 407 1ms CONNECT http://db:5432
         > HTTP/1.1 CONNECT http://db:5432
         < HTTP/1.1 200 1ms CONNECT http://db:5432",
    );
}

#[test]
fn a_body_that_ends_with_the_connection() {
    check(
        &[
            (Client, "GET / HTTP/1.0\r\n\r\n"),
            (Server, "HTTP/1.0 200 OK\r\n\r\nall the "),
            (Server, "HTTP/1.1 200 rest"),
        ],
        "> HTTP/1 GET http://10.0.0.2:80/\n< HTTP/1 200 1ms GET http://10.0.0.2:80/",
    );
}

#[test]
fn bodies_beyond_the_captured_bytes_are_passed_over() {
    let mut c = Conversation::new(L7Config { http_headers: Vec::new(), ..L7Config::default() });
    let body = "x".repeat(100_000);
    for round in 0..3 {
        c.say(Client, &format!("GET /{round} HTTP/1.1\r\nHost: a\r\n\r\n"));
        let response = format!("HTTP/1.1 200 OK\r\nContent-Length: 200000\r\n\r\n{body}");
        c.write(Server, response.as_bytes(), 256);
        c.write(Server, body.as_bytes(), 0);
    }
    assert_eq!(c.events.len(), 6);
    assert_eq!((c.engine.stats().resyncs, c.engine.stats().http_unpaired), (0, 0));
    assert!(c.engine.stats().skipped_bytes > 590_000);
}

#[test]
fn a_head_beyond_the_captured_bytes_is_read_as_far_as_it_goes() {
    let mut c = Conversation::new(L7Config { http_headers: vec!["x-request-id".into()], ..L7Config::default() });
    let request = format!("GET /a HTTP/1.1\r\nHost: shop\r\nX-Request-Id: 7\r\nCookie: {}\r\n\r\n", "c".repeat(500));
    for _ in 0..2 {
        c.write(Client, request.as_bytes(), 256);
        c.say(Server, OK);
    }
    let pair = "> HTTP/1.1 GET http://shop/a [X-Request-Id: 7]\n< HTTP/1.1 200 1ms GET http://shop/a\n";
    assert_eq!(c.text(), pair.repeat(2));
    assert_eq!((c.engine.stats().heads_cut, c.engine.stats().resyncs), (2, 1));
}

#[test]
fn lost_chunks_cost_their_messages_only() {
    let mut c = Conversation::new(L7Config { http_headers: Vec::new(), ..L7Config::default() });
    c.say(Client, "GET /1 HTTP/1.1\r\nHost: a\r\n\r\n");
    c.lose(Server, 500);
    c.say(Client, "GET /2 HTTP/1.1\r\nHost: a\r\n\r\n");
    c.say(Server, "HTTP/1.1 202 OK\r\nContent-Length: 10\r\n\r\n");
    // A hole inside the body is known to be one.
    c.lose(Server, 10);
    c.lose(Client, 333);
    c.say(Server, "HTTP/1.1 203 OK\r\nContent-Length: 2\r\n\r\nok");
    c.say(Client, "GET /4 HTTP/1.1\r\nHost: a\r\n\r\n");
    c.say(Server, "HTTP/1.1 204 OK\r\n\r\n");
    let expected = "> HTTP/1.1 GET http://a/1
         > HTTP/1.1 GET http://a/2
         < HTTP/1.1 202 1ms GET http://a/2
         < HTTP/1.1 203 0ms ? ?
         > HTTP/1.1 GET http://a/4
         < HTTP/1.1 204 1ms GET http://a/4";
    assert_eq!(c.text(), unindent(expected));
    let stats = c.engine.stats();
    // What passed before the first chunk of a direction does not count as a hole.
    assert_eq!((stats.gaps, stats.gap_bytes), (2, 343));
    assert_eq!((stats.http_unanswered, stats.http_unpaired, stats.resyncs), (1, 1, 2));
}

#[test]
fn connections_met_in_the_middle() {
    // In the middle of a download.
    check(
        &[(Server, "...body"), (Server, "more body"), (Client, GET), (Server, OK)],
        "> HTTP/1.1 GET http://shop/a\n< HTTP/1.1 200 1ms GET http://shop/a",
    );
    // Between request and response.
    let c = check(
        &[(Server, OK), (Client, GET), (Server, OK)],
        "< HTTP/1.1 200 0ms ? ?
         > HTTP/1.1 GET http://shop/a
         < HTTP/1.1 200 1ms GET http://shop/a",
    );
    assert_eq!(c.engine.stats().http_unpaired, 1);
}

#[test]
fn roles_come_from_the_bytes_where_nobody_tells() {
    for watching_client in [true, false] {
        for first_is_server in [true, false] {
            let mut c = Conversation::new(L7Config::default());
            (c.hint, c.watching_client) = (None, watching_client);
            if watching_client {
                std::mem::swap(&mut c.pair.local, &mut c.pair.remote);
            }
            if first_is_server {
                c.say(Server, OK);
            }
            c.say(Client, GET);
            let event = c.events.last().unwrap();
            assert_eq!(event.tuple.server.to_string(), "10.0.0.2:80");
            assert_eq!((event.from_client, event.local_is_server), (true, Some(!watching_client)));
        }
    }
}

#[test]
fn other_protocols_are_given_up_within_three_writes() {
    let mut c = Conversation::new(L7Config::default());
    for text in ["SSH-2.0-OpenSSH\r\n", "GET key\r\n"] {
        c.say(Client, text);
        assert_eq!(c.interest, Interest::More);
    }
    c.say(Client, "again");
    assert_eq!((c.interest, c.engine.stats().opaque, c.events.len()), (Interest::Done, 1, 0));

    let mut c = Conversation::new(L7Config::default());
    c.say(Client, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
    assert_eq!((c.interest, c.engine.stats().http2), (Interest::Done, 1));

    let mut c = Conversation::new(L7Config::default());
    c.say(Client, "\u{16}\u{3}\u{1}\0");
    assert_eq!((c.interest, c.engine.stats().opaque), (Interest::Done, 1));
}

#[test]
fn nonsense_after_http_is_given_up() {
    let c = check(
        &[(Client, GET), (Client, "nonsense"), (Client, "POST nonsense\r\n\r\n"), (Client, "GET / HTTP/3\r\n\r\n")],
        "> HTTP/1.1 GET http://shop/a",
    );
    assert_eq!((c.engine.stats().http_malformed, c.interest), (1, Interest::More));
    let mut c = Conversation::new(L7Config::default());
    c.say(Client, "GET / HTTP/3\r\n\r\nGET / HTTP/3\r\n\r\n");
    c.say(Server, "HTTP/1.1 x\r\n\r\n");
    c.say(Server, "HTTP/1.1 y\r\n\r\n");
    assert_eq!((c.events.len(), c.engine.stats().http_malformed), (0, 2));
}

#[test]
fn trace_ids_go_with_both() {
    let id = "0af7651916cd43dd8448eb211c80319c";
    let request = format!("GET / HTTP/1.1\r\nHost: a\r\ntraceparent: 00-{id}-b7ad6b7169203331-01\r\n\r\n");
    let c = check(&[(Client, &request), (Server, OK)], "> HTTP/1.1 GET http://a/\n< HTTP/1.1 200 1ms GET http://a/");
    assert!(c.events.iter().all(|event| event.trace_id == id));
}

#[test]
fn headers_and_secrets() {
    let mut c = Conversation::new(L7Config { redact_url_query: true, ..L7Config::default() });
    c.say(
        Client,
        "GET http://me:secret@shop/x?token=secret HTTP/1.1\r\nHOST: shop\r\nuser-agent: curl/8\r\n\
         Authorization: Basic c2VjcmV0\r\nCookie: secret\r\n\r\n",
    );
    c.say(Server, "HTTP/1.1 200 OK\r\nSet-Cookie: secret\r\nserver: nginx\r\nContent-Length: 0\r\n\r\n");
    let expected = "> HTTP/1.1 GET http://me:HUBBLE_REDACTED@shop/x [Host: shop] [User-Agent: curl/8]
         < HTTP/1.1 200 1ms GET http://me:HUBBLE_REDACTED@shop/x [Content-Length: 0] [Server: nginx]";
    assert_eq!(c.text(), unindent(expected));
    assert!(!c.text().contains("secret"));
}

#[test]
fn passwords_stay_for_those_who_ask_for_them() {
    let request = |password: &str| format!("GET http://me:{password}@shop/x?a=b HTTP/1.1\r\nHost: shop\r\n\r\n");
    let redact = |enabled, http_user_info| RedactConfig { enabled, http_user_info, ..RedactConfig::default() };
    for (redact, shown) in [
        (redact(false, true), "HUBBLE_REDACTED"),
        (redact(false, false), "HUBBLE_REDACTED"),
        (redact(true, true), "HUBBLE_REDACTED"),
        (redact(true, false), "secret"),
    ] {
        let mut c = Conversation::new(L7Config { http_headers: Vec::new(), ..L7Config::default() });
        c.engine = c.engine.with_passwords(!redact.hides_passwords());
        c.say(Client, &request("secret"));
        assert_eq!(c.text(), format!("> HTTP/1.1 GET http://me:{shown}@shop/x?a=b\n"), "{redact:?}");
    }
    // One that is longer than what is kept of a URL leaves nothing behind.
    let mut c = Conversation::new(L7Config { http_headers: Vec::new(), ..L7Config::default() });
    c.say(Client, &request(&"secret".repeat(1_000)));
    assert_eq!(c.text(), "> HTTP/1.1 GET http://me:HUBBLE_REDACTED@shop/x?a=b\n");
}
