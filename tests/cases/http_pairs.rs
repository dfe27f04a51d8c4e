//! Every response finds its request: many clients at once through a proxy that is server and client itself, over
//! connections that are kept, with bodies far longer than what is captured.

use std::path::Path;
use std::process::Child;

use anyhow::{Context, Result};
use demo::topology::{Host, Running, Topology, output, wait_until};
use weir_tests::{Place, SOON, Weir, binary, installed, root};

/// Clients at once, each with connections of its own.
const CLIENTS: i64 = 6;
/// GET requests of each over one connection.
const KEPT: i64 = 150;
/// GET requests of each over a connection of their own.
const SINGLE: i64 = 25;
/// POST requests of each, over one connection.
const POSTS: i64 = 12;
const POST_BYTES: i64 = 300_000;
/// SQL condition: HTTP of these hosts, not of other programs of the machine.
const OURS: &str = "l7_protocol = 'HTTP' AND ip_src LIKE '10.94.0.%'";

struct Bench {
    client: Host,
    proxy: Host,
    weir: Weir,
    _servers: [Running; 2],
    _folder: tempfile::TempDir,
    // Last, so that nothing runs in a namespace when it goes.
    _topology: Topology,
}

impl Bench {
    fn new() -> Result<Self> {
        let mut topology = Topology::with_node("whp", 94)?;
        let (client, proxy, api) = (topology.add("client", 2)?, topology.add("proxy", 3)?, topology.add("api", 4)?);
        // What all programs of the machine say by HTTP goes through the same rings.
        let rings = ["ctrl", "data"].map(|ring| format!("collector.capture.{ring}_ring_bytes=67108864"));
        let rings = ["--set", &rings[0], "--set", &rings[1]];
        let weir = Weir::start(&Place::Node(&topology), &rings)?;
        let folder = tempfile::tempdir()?;
        let mut server = api.command(binary("weir-demo")?);
        let server = Running::start("api", server.args(["http-count", "[::]:8080"]))?;
        listening(&api, ":8080 ")?;
        let conf = folder.path().join("nginx.conf");
        std::fs::write(&conf, nginx_conf(folder.path(), &api))?;
        let mut nginx = proxy.command("nginx");
        let nginx = Running::start("nginx", nginx.arg("-c").arg(&conf))?;
        listening(&proxy, ":80 ")?;
        Ok(Self { client, proxy, weir, _servers: [server, nginx], _folder: folder, _topology: topology })
    }

    fn start(&self, path: &str, args: &[&str]) -> Result<Child> {
        let mut command = self.client.command(binary("weir-demo")?);
        command.args(["http", &format!("http://{}{path}", self.proxy.ip4)]).args(args);
        command.stdout(std::process::Stdio::piped()).spawn().context("cannot start a client")
    }
}

fn listening(host: &Host, port: &str) -> Result<()> {
    wait_until(&format!("{} listens", host.name), SOON, || {
        let mut ss = host.command("ss");
        output(ss.args(["-Hltn"])).ok()?.contains(port).then_some(())
    })
}

/// Connections to the API are kept as well, and shared by all clients.
fn nginx_conf(folder: &Path, api: &Host) -> String {
    let (dir, api) = (folder.display(), api.ip4);
    format!(
        "daemon off; master_process off; pid {dir}/pid; error_log stderr; events {{ worker_connections 256; }}
         http {{ access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;
         uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s; client_max_body_size 8m;
         upstream api {{ server {api}:8080; keepalive 8; }}
         server {{ listen 80; location / {{ proxy_pass http://api; proxy_http_version 1.1;
         proxy_set_header Connection ''; }} }} }}"
    )
}

/// Sends everything at once and checks that the clients were answered.
fn send(bench: &Bench) -> Result<()> {
    let (kept, single, posts) = (KEPT.to_string(), SINGLE.to_string(), POSTS.to_string());
    let bytes = POST_BYTES.to_string();
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        clients.push((KEPT, bench.start("/kept", &["--count", &kept, "--keep-alive"])?));
        clients.push((SINGLE, bench.start("/single", &["--count", &single])?));
        clients.push((POSTS, bench.start("/post", &["--count", &posts, "--body-bytes", &bytes])?));
    }
    for (count, client) in clients {
        let out = client.wait_with_output()?;
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        assert!(said.contains(&format!("sent={count} answered={count} failed=0")), "{said}");
    }
    Ok(())
}

#[test]
fn every_response_has_its_request() -> Result<()> {
    if !root("http_pairs") || !installed("http_pairs", "nginx") {
        return Ok(());
    }
    let mut bench = Bench::new()?;
    send(&bench)?;
    pairs_are_whole(&bench).with_context(|| account(&bench))?;
    nothing_is_lost(&bench)?;
    bench.weir.stop()
}

/// Asks the collector's own counters: the relay hears of losses only every ten seconds.
fn nothing_is_lost(bench: &Bench) -> Result<()> {
    let responses = 2 * (KEPT + SINGLE + POSTS) * CLIENTS;
    let metrics = wait_until("the collector has counted all responses", SOON, || {
        let metrics = bench.weir.metrics("collector-metrics").ok()?;
        let line = metrics.lines().find(|line| line.contains("l7_records_total{kind=\"http_response\"}"))?;
        let counted: i64 = line.rsplit(' ').next()?.parse().ok()?;
        (counted >= responses).then_some(metrics)
    })
    .with_context(|| account(bench))?;
    // What other programs of the machine say may be given up, and cannot be told apart; most often they say nothing.
    let others = "l7_protocol <> '' AND ip_src NOT LIKE '10.94.0.%' AND ip_src NOT LIKE '127.%'";
    let is_alone = bench.weir.count(&format!("SELECT count(*) FROM flows WHERE {others}"))? == 0;
    let is_l7 = |line: &str| line.starts_with("weir_collector_l7_losses_total") || line.contains("stage=\"l7\"");
    let told = ["weir_collector_events_lost_total", "weir_collector_l7_losses_total"];
    let counters = metrics.lines().filter(|line| told.iter().any(|name| line.starts_with(name)));
    let (zero, lost): (Vec<&str>, Vec<&str>) = counters.partition(|line| line.ends_with(" 0"));
    let (given_up, lost): (Vec<&str>, Vec<&str>) = lost.into_iter().partition(|line| is_l7(line));
    assert!(lost.is_empty() && zero.len() > 12, "{lost:?}\n{}", account(bench));
    assert!(given_up.is_empty() || !is_alone, "{given_up:?}\n{}", account(bench));
    Ok(())
}

fn pairs_are_whole(bench: &Bench) -> Result<()> {
    // The proxy is the server of one hop and the client of the other.
    for port in [80, 8080] {
        for (path, method, count) in [("kept", "GET", KEPT), ("single", "GET", SINGLE), ("post", "POST", POSTS)] {
            let of = format!("http_method = '{method}' AND http_url LIKE '%/{path}'");
            let request = format!("l7_type = 'REQUEST' AND dst_port = {port} AND {of}");
            let response = format!(
                "l7_type = 'RESPONSE' AND src_port = {port} AND {of} AND http_code = 200 AND l7_latency_ns > 0"
            );
            for what in [request, response] {
                bench.weir.await_count(count * CLIENTS, &format!("SELECT count(*) FROM flows WHERE {what}"))?;
            }
        }
        let total = (KEPT + SINGLE + POSTS) * CLIENTS;
        let all = format!("SELECT count(*) FROM flows WHERE {OURS} AND {port} IN (src_port, dst_port)");
        bench.weir.await_count(2 * total, &all)?;
    }
    Ok(())
}

/// What the collector says of payload and losses, and the records that are half of a pair.
fn account(bench: &Bench) -> String {
    let metrics = bench.weir.metrics("collector-metrics").unwrap_or_default();
    let told = |line: &&str| (line.contains("_l7_") || line.contains("lost")) && !line.ends_with(" 0");
    let own: Vec<&str> = metrics.lines().filter(|line| line.starts_with("weir_")).filter(told).collect();
    let halves = bench.weir.sql(
        "SELECT time, l7_type, ip_src, src_port, ip_dst, dst_port, http_method, http_url, http_code, socket_cookie \
         FROM flows WHERE l7_protocol = 'HTTP' AND (http_method = '' OR http_url = '' OR http_url IS NULL) LIMIT 20",
    );
    let counts = bench.weir.sql(
        "SELECT l7_type, CASE WHEN l7_type = 'REQUEST' THEN dst_port ELSE src_port END, http_method, http_url, \
         count(*) FROM flows WHERE l7_protocol = 'HTTP' GROUP BY 1, 2, 3, 4 ORDER BY 2, 4, 1",
    );
    format!("{}\n{halves:?}\n{counts:?}\n{}", own.join("\n"), bench.weir.log())
}
