//! What is sent is what is told: exact numbers of requests, queries, connections, datagrams, bytes and packets, both
//! ways, over IPv4 and IPv6, with nothing lost.

use std::net::SocketAddr;

use anyhow::{Context, Result};
use demo::topology::{Host, Running, Topology, output, wait_until};
use serde_json::Value;
use weir_tests::{Place, SOON, Weir, binary, root};

const DATAGRAM_BYTES: i64 = 100;

/// What is sent over one IP version.
struct Share {
    /// Digit in the names of the hosts' counters.
    ip: &'static str,
    /// SQL condition that selects the version.
    of: &'static str,
    http: i64,
    dns: i64,
    datagrams: i64,
    connections: i64,
    denied: i64,
    /// Bytes of link, network and UDP header.
    udp_headers: i64,
}

const SHARES: [Share; 2] = [
    Share {
        ip: "4",
        of: "ip_src NOT LIKE '%:%'",
        http: 40,
        dns: 20,
        datagrams: 30,
        connections: 15,
        denied: 4,
        udp_headers: 14 + 20 + 8,
    },
    Share {
        ip: "6",
        of: "ip_src LIKE '%:%'",
        http: 25,
        dns: 15,
        datagrams: 17,
        connections: 9,
        denied: 3,
        udp_headers: 14 + 40 + 8,
    },
];

struct Bench {
    client: Host,
    server: Host,
    weir: Weir,
    _servers: Vec<Running>,
    _folder: tempfile::TempDir,
    // Last, so that nothing runs in a namespace when it goes.
    _topology: Topology,
}

impl Bench {
    fn new() -> Result<Self> {
        let mut topology = Topology::with_node("wgt", 91)?;
        let (client, server) = (topology.add("client", 2)?, topology.add("server", 3)?);
        // One packet on the wire is one packet in the books of both sides.
        for host in [&client, &server] {
            host.nft(COUNTERS)?;
        }
        // What all programs of the machine do goes through the same rings.
        let rings = ["--set", "collector.capture.ctrl_ring_bytes=67108864"];
        let weir = Weir::start(&Place::Node(&topology), &rings)?;
        let folder = tempfile::tempdir()?;
        let servers = start_servers(&server, folder.path())?;
        Ok(Self { client, server, weir, _servers: servers, _folder: folder, _topology: topology })
    }

    fn send(&self, args: &[&str]) -> Result<String> {
        let mut command = self.client.command(binary("weir-demo")?);
        output(command.args(args))
    }

    fn address(&self, share: &Share, port: u16) -> SocketAddr {
        match share.ip {
            "4" => SocketAddr::new(self.server.ip4.into(), port),
            _ => SocketAddr::new(self.server.ip6.into(), port),
        }
    }
}

/// Counts every packet of a host by direction and IP version, before any is dropped.
const COUNTERS: &str = "
table inet books {
  counter out4 {}
  counter out6 {}
  counter in4 {}
  counter in6 {}
  chain output {
    type filter hook postrouting priority 300; policy accept;
    oifname eth0 meta nfproto ipv4 meta l4proto { tcp, udp } counter name out4
    oifname eth0 meta nfproto ipv6 meta l4proto { tcp, udp } counter name out6
  }
  chain input {
    type filter hook prerouting priority -300; policy accept;
    iifname eth0 meta nfproto ipv4 meta l4proto { tcp, udp } counter name in4
    iifname eth0 meta nfproto ipv6 meta l4proto { tcp, udp } counter name in6
  }
}
";

/// Drops connections to one port, and books their packets and the ports they come from.
const DENY: &str = "
table inet deny {
  counter denied {}
  set ports4 { type inet_service; flags dynamic; }
  set ports6 { type inet_service; flags dynamic; }
  chain input {
    type filter hook input priority 0; policy accept;
    meta nfproto ipv4 tcp dport 5432 add @ports4 { tcp sport }
    meta nfproto ipv6 tcp dport 5432 add @ports6 { tcp sport }
    tcp dport 5432 counter name denied drop
  }
}
";

fn start_servers(server: &Host, folder: &std::path::Path) -> Result<Vec<Running>> {
    let conf = folder.join("nginx.conf");
    let dir = folder.display();
    std::fs::write(
        &conf,
        format!(
            "daemon off; master_process off; pid {dir}/pid; error_log stderr; events {{ worker_connections 64; }}
             http {{ access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
             uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;
             server {{ listen 80; listen [::]:80; location / {{ return 200 'truth'; }} }} }}"
        ),
    )?;
    let mut nginx = server.command("nginx");
    nginx.arg("-c").arg(&conf);
    let mut dnsmasq = server.command("dnsmasq");
    dnsmasq.args([
        "--keep-in-foreground",
        "--no-hosts",
        "--no-resolv",
        "--user=root",
        "--pid-file=",
        "--local=/truth/",
    ]);
    dnsmasq.args(["--host-record=www.truth,10.91.0.3,fd00:91::3"]);
    let mut echo = server.command(binary("weir-demo")?);
    echo.args(["udp-echo", "[::]:9000"]);
    let mut sink = server.command(binary("weir-demo")?);
    sink.args(["tcp-sink", "[::]:9001"]);
    let servers = vec![
        Running::start("nginx", &mut nginx)?,
        Running::start("dnsmasq", &mut dnsmasq)?,
        Running::start("udp echo", &mut echo)?,
        Running::start("tcp sink", &mut sink)?,
    ];
    wait_until("all four servers listen", SOON, || {
        let mut ss = server.command("ss");
        let listening = output(ss.args(["-Hltun"])).ok()?;
        [":80 ", ":53 ", ":9000 ", ":9001 "].iter().all(|port| listening.contains(port)).then_some(())
    })?;
    Ok(servers)
}

/// The books of a host: (packets, bytes) of one counter.
fn booked(host: &Host, counter: &str) -> Result<(i64, i64)> {
    let table = if counter == "denied" { "deny" } else { "books" };
    let mut nft = host.command("nft");
    let text = output(nft.args(["list", "counter", "inet", table, counter]))?;
    let field = |name: &str| -> Result<i64> {
        let rest = text.split(name).nth(1).with_context(|| format!("no {name} in {text}"))?;
        rest.split_whitespace().next().and_then(|n| n.parse().ok()).with_context(|| format!("no number in {text}"))
    };
    Ok((field("packets")?, field("bytes")?))
}

#[test]
fn what_is_sent_is_what_is_told() -> Result<()> {
    if !root("ground_truth") {
        return Ok(());
    }
    let bench = Bench::new()?;
    send_everything(&bench)?;
    http_is_exact(&bench)?;
    dns_is_exact(&bench)?;
    datagrams_are_exact(&bench)?;
    connections_are_exact(&bench)?;
    denials_are_exact(&bench)?;
    every_packet_is_accounted_for(&bench)?;
    flowctl_agrees_with_sql(&bench)?;
    nothing_is_lost(&bench)
}

fn send_everything(bench: &Bench) -> Result<()> {
    for share in &SHARES {
        let http = format!("http://{}/truth", bench.address(share, 80));
        bench.send(&["http", &http, "--count", &share.http.to_string()])?;
        let server = bench.address(share, 53).ip().to_string();
        for _ in 0..share.dns {
            let mut dig = bench.client.command("dig");
            output(dig.args(["+short", "+tries=1", "+noedns", &format!("@{server}"), "www.truth", "A"]))?;
        }
        let echo = bench.address(share, 9000).to_string();
        let (count, bytes) = (share.datagrams.to_string(), DATAGRAM_BYTES.to_string());
        bench.send(&["udp", &echo, "--count", &count, "--bytes", &bytes])?;
        let sink = bench.address(share, 9001).to_string();
        bench.send(&["connect", &sink, "--count", &share.connections.to_string()])?;
    }
    bench.server.nft(DENY)?;
    for share in &SHARES {
        let denied = bench.address(share, 5432).to_string();
        bench.send(&["connect", &denied, "--count", &share.denied.to_string(), "--timeout-ms", "300"])?;
    }
    Ok(())
}

fn http_is_exact(bench: &Bench) -> Result<()> {
    let request = ("REQUEST", "http_method = 'GET'");
    let response = ("RESPONSE", "http_code = 200 AND l7_latency_ns > 0");
    for share in &SHARES {
        for (kind, extra) in [request, response] {
            let l7 = format!("l7_protocol = 'HTTP' AND http_url LIKE '%/truth' AND l7_type = '{kind}' AND {extra}");
            bench.weir.await_count(share.http, &format!("SELECT count(*) FROM flows WHERE {l7} AND {}", share.of))?;
        }
    }
    Ok(())
}

fn dns_is_exact(bench: &Bench) -> Result<()> {
    let request = ("REQUEST", "dns_query = 'www.truth.'");
    let response = ("RESPONSE", "dns_ips LIKE '%10.91.0.3%'");
    for share in &SHARES {
        for (kind, extra) in [request, response] {
            let l7 = format!("l7_protocol = 'DNS' AND l7_type = '{kind}' AND {extra}");
            bench.weir.await_count(share.dns, &format!("SELECT count(*) FROM flows WHERE {l7} AND {}", share.of))?;
        }
    }
    Ok(())
}

/// At each of the four places a datagram passes: the client's link both ways, the server's link both ways.
fn datagrams_are_exact(bench: &Bench) -> Result<()> {
    for share in &SHARES {
        let bytes = share.datagrams * (DATAGRAM_BYTES + share.udp_headers);
        for (link, point, port) in [
            (&bench.client.link, "FROM_ENDPOINT", "dst_port"),
            (&bench.server.link, "TO_ENDPOINT", "dst_port"),
            (&bench.server.link, "FROM_ENDPOINT", "src_port"),
            (&bench.client.link, "TO_ENDPOINT", "src_port"),
        ] {
            let place = format!(
                "FROM flows WHERE l4_protocol = 'UDP' AND {port} = 9000 AND interface = '{link}' \
                 AND trace_point = '{point}' AND event_type = 4 AND {}",
                share.of
            );
            bench.weir.await_count(share.datagrams, &format!("SELECT CAST(sum(packets) AS BIGINT) {place}"))?;
            bench.weir.await_count(bytes, &format!("SELECT CAST(sum(bytes) AS BIGINT) {place}"))?;
        }
    }
    Ok(())
}

fn connections_are_exact(bench: &Bench) -> Result<()> {
    for share in &SHARES {
        let query = format!(
            "SELECT count(DISTINCT conversation) FROM flows WHERE dst_port = 9001 AND is_reply = false \
             AND event_type = 4 AND interface = '{}' AND {}",
            bench.client.link, share.of
        );
        bench.weir.await_count(share.connections, &query)?;
    }
    Ok(())
}

/// The kernel may send a SYN again, so the server's own book says how many were denied; and it may give a port that was
/// used over IPv4 to a connection over IPv6, so its book says which ports they came from.
fn denials_are_exact(bench: &Bench) -> Result<()> {
    let attempts: i64 = SHARES.iter().map(|s| s.denied).sum();
    let (packets, _) = booked(&bench.server, "denied")?;
    assert!(packets >= attempts, "the server booked {packets} denied SYNs");
    let dropped = "FROM flows WHERE verdict = 'DROPPED' AND dst_port = 5432 AND kernel_drop_reason = 'NETFILTER_DROP' \
         AND kernel_drop_netns = 'wgt-server'";
    bench.weir.await_count(packets, &format!("SELECT CAST(sum(packets) AS BIGINT) {dropped}"))?;
    for share in &SHARES {
        let ports = format!("SELECT DISTINCT src_port {dropped} AND {} ORDER BY src_port", share.of);
        let told: Vec<_> = bench.weir.sql(&ports)?.into_iter().flatten().collect();
        assert_eq!(told, booked_ports(&bench.server, share)?, "source ports denied over IPv{}", share.ip);
    }
    Ok(())
}

/// The source ports the server denied over one IP version, ascending.
fn booked_ports(server: &Host, share: &Share) -> Result<Vec<Value>> {
    let mut nft = server.command("nft");
    let text = output(nft.args(["--json", "list", "set", "inet", "deny", &format!("ports{}", share.ip)]))?;
    let listed: Value = serde_json::from_str(&text)?;
    let set = listed["nftables"].as_array().and_then(|parts| parts.iter().find_map(|part| part.get("set")));
    let mut ports =
        set.and_then(|set| set["elem"].as_array()).cloned().with_context(|| format!("no ports in {text}"))?;
    ports.sort_unstable_by_key(Value::as_u64);
    Ok(ports)
}

/// Both hosts' own books against ours: every TCP and UDP packet and every byte of it, plus the
/// link header we count too. (Neighbours are found before Weir starts to look.)
fn every_packet_is_accounted_for(bench: &Bench) -> Result<()> {
    for host in [&bench.client, &bench.server] {
        for (direction, point) in [("out", "FROM_ENDPOINT"), ("in", "TO_ENDPOINT")] {
            for share in &SHARES {
                books_agree(
                    bench,
                    host,
                    &format!("{direction}{}", share.ip),
                    &format!(
                        "SELECT CAST(sum(packets) AS BIGINT), CAST(sum(bytes) AS BIGINT) FROM flows \
                     WHERE interface = '{}' AND trace_point = '{point}' AND event_type = 4 AND l4_protocol IN ('TCP', 'UDP') AND {}",
                        host.link, share.of
                    ),
                )?;
            }
        }
    }
    Ok(())
}

fn books_agree(bench: &Bench, host: &Host, counter: &str, query: &str) -> Result<()> {
    let mut last = String::new();
    wait_until(&format!("our books of {} {counter} equal its own", host.name), SOON, || {
        let (packets, bytes) = booked(host, counter).ok()?;
        let ours = bench.weir.sql(query).ok()?;
        last = format!("its books: {packets} packets, {bytes} bytes; ours: {ours:?}");
        let row = ours.first()?;
        (row[0].as_i64()? == packets && row[1].as_i64()? == bytes + 14 * packets).then_some(())
    })
    .context(last)
}

fn flowctl_agrees_with_sql(bench: &Bench) -> Result<()> {
    let requests: i64 = SHARES.iter().map(|s| s.http).sum();
    let lines = bench.weir.flowctl(&["observe", "--all", "--http-url", "/truth$", "--type", "l7", "-o", "json"])?;
    let seen = lines.lines().filter(|l| l.contains("\"type\":\"REQUEST\"")).count();
    assert_eq!(i64::try_from(seen)?, requests, "flowctl shows other requests than were sent");
    let drops = bench.weir.flowctl(&["observe", "--all", "--verdict", "DROPPED", "--port", "5432"])?;
    assert!(drops.lines().count() >= SHARES.len(), "flowctl shows no drops:\n{drops}");
    Ok(())
}

fn nothing_is_lost(bench: &Bench) -> Result<()> {
    // Payload of other programs of this machine may be given up; what is ours was counted above, request by request.
    let lost = "SELECT stage, cause, sum(seen), sum(lost) FROM losses WHERE stage <> 'l7' AND lost > 0 GROUP BY 1, 2";
    assert_eq!(bench.weir.sql(lost)?, [] as [Vec<Value>; 0], "stage, cause, seen, lost");
    let metrics = bench.weir.metrics("collector-metrics")?;
    for line in metrics.lines().filter(|l| l.starts_with("hubble_lost_events_total")) {
        assert!(line.ends_with(" 0"), "{line}");
    }
    Ok(())
}
