//! Bad input gets a clear error that names the cause and the remedy, or a counted drop; nothing stays behind.

use std::collections::BTreeSet;
use std::process::Command;

use anyhow::{Context, Result};
use demo::topology::{Running, Topology, output, wait_until};
use weir_tests::{Place, SOON, Weir, binary, fixture, root};

/// Runs `weir` with these arguments to its end and returns its standard error.
fn refusal(args: &[&str]) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let socket = format!("collector.observer.socket={}", folder.path().join("s").display());
    let out = Command::new("timeout")
        .arg("20")
        .arg(binary("weir")?)
        .args(args)
        .args(["--set", &socket, "--set", "relay.store=none"])
        .output()?;
    assert!(!out.status.success(), "weir {args:?} did not refuse");
    Ok(String::from_utf8_lossy(&out.stderr).into_owned())
}

#[test]
fn unknown_keys_and_bad_values_are_named() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("weir.yaml");
    std::fs::write(&file, "collector: {rings: {}}\n")?;
    let error = refusal(&["up", "--config", &file.display().to_string()])?;
    assert!(error.contains("rings") && error.contains("configuration file"), "{error}");
    let error = refusal(&["up", "--set", "relay.sql.rows_max=many"])?;
    assert!(error.contains("relay.sql.rows_max") || error.contains("many"), "{error}");
    let error = refusal(&["up", "--config", "/nowhere.yaml"])?;
    assert!(error.contains("/nowhere.yaml"), "{error}");
    Ok(())
}

#[test]
fn a_port_in_use_is_named_with_the_remedy() -> Result<()> {
    let taken = std::net::TcpListener::bind("127.0.0.1:0")?;
    let address = taken.local_addr()?.to_string();
    for key in ["relay.grpc.listen", "relay.http.listen"] {
        let error = refusal(&["relay", "--set", &format!("{key}={address}")])?;
        assert!(error.contains(&address) && error.contains(key), "{error}");
    }
    let replay = fixture("hubble-flows-real.jsonl").display().to_string();
    let error = refusal(&[
        "collector",
        "--replay",
        &replay,
        "--observer",
        &address,
        "--set",
        "collector.metrics.listen=127.0.0.1:0",
    ])?;
    assert!(error.contains(&address), "{error}");
    Ok(())
}

/// Starts `weir up` by this command line, in which `weir` stands last; returns the standard error of its refusal.
fn refused_start(wrapper: &[&str]) -> Result<String> {
    // A copy that anybody may run.
    let folder = tempfile::Builder::new().permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755)).tempdir()?;
    let program = folder.path().join("weir");
    std::fs::copy(binary("weir")?, &program)?;
    let out = Command::new("timeout")
        .arg("20")
        .args(wrapper)
        .arg(&program)
        .args(["up", "--set", "relay.store=none", "--set", "relay.grpc.listen=127.0.0.1:0"])
        .args(["--set", "relay.http.listen=127.0.0.1:0"])
        .args(["--set", "relay.flight_sql.listen=127.0.0.1:0"])
        .args(["--set", "relay.metrics.listen=127.0.0.1:0", "--set", "collector.observer.listen=127.0.0.1:0"])
        .args(["--set", "collector.metrics.listen=127.0.0.1:0", "--set", "collector.observer.socket=null"])
        .output()?;
    let error = String::from_utf8_lossy(&out.stderr).into_owned();
    assert_eq!(out.status.code(), Some(1), "{wrapper:?}: {error}");
    Ok(error)
}

#[test]
fn where_the_kernel_cannot_be_observed_weir_says_what_is_missing_and_offers_files() -> Result<()> {
    if !root("bad_input") {
        return Ok(());
    }
    let rights = ["CAP_BPF", "CAP_PERFMON", "CAP_NET_ADMIN"].as_slice();
    let hide_types = "mount -t tmpfs none /sys/kernel/btf && exec \"$@\"";
    let cases: [(&[&str], &[&str]); 4] = [
        (&["setpriv", "--reuid=nobody", "--clear-groups", "--"], rights),
        // Root by name only, as in a container.
        (&["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"], rights),
        (&["setpriv", "--bounding-set=-net_admin", "--inh-caps=-all", "--"], &["CAP_NET_ADMIN"]),
        (&["unshare", "--mount", "sh", "-c", hide_types, "sh"], &["/sys/kernel/btf/vmlinux", "CONFIG_DEBUG_INFO_BTF"]),
    ];
    for (wrapper, named) in cases {
        let error = refused_start(wrapper)?;
        for word in named.iter().chain(&["--replay", "--pcap"]) {
            assert!(error.contains(word), "{wrapper:?} says nothing of {word}: {error}");
        }
    }
    Ok(())
}

#[test]
fn a_damaged_replay_file_loses_its_damaged_lines_only() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("flows.jsonl");
    let good = std::fs::read_to_string(fixture("hubble-flows-real.jsonl"))?;
    let good: Vec<&str> = good.lines().filter(|l| !l.trim().is_empty()).collect();
    let half = good[0].get(..good[0].len() / 2).context("the fixture has a short line")?;
    std::fs::write(&file, format!("{half}\n{}\n\u{0}\u{1}\n[]\n", good.join("\n")))?;
    let weir = Weir::start(&Place::Here, &["--replay", &file.display().to_string()])?;
    weir.await_count(i64::try_from(good.len())?, "SELECT count(*) FROM flows")?;
    weir.await_count(3, "SELECT CAST(sum(lost) AS BIGINT) FROM losses")
}

/// A classic capture of Ethernet frames.
fn capture(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = vec![0xd4, 0xc3, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 4, 0, 1, 0, 0, 0];
    for (number, frame) in (0u32..).zip(frames) {
        let (seconds, len) = (1_700_000_000 + number / 1_000, frame.len() as u32);
        [seconds, number % 1_000, len, len].iter().for_each(|word| file.extend(word.to_le_bytes()));
        file.extend(frame);
    }
    file
}

/// An IPv4 packet between two hosts of the documentation network.
fn ipv4(protocol: u8, fragment: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = [&[2u8; 12][..], &[8, 0, 0x45, 0]].concat();
    frame.extend((20 + payload.len() as u16).to_be_bytes());
    frame.extend([0, 9]);
    frame.extend(fragment.to_be_bytes());
    frame.extend([64, protocol, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]);
    frame.extend(payload);
    frame
}

fn udp(source: u16, destination: u16, payload: &[u8]) -> Vec<u8> {
    let mut datagram = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    datagram.extend((8 + payload.len() as u16).to_be_bytes());
    datagram.extend([0, 0]);
    datagram.extend(payload);
    ipv4(17, 0, &datagram)
}

fn tcp(sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
    let mut segment = [40_000u16.to_be_bytes(), 80u16.to_be_bytes()].concat();
    segment.extend(sequence.to_be_bytes());
    segment.extend([0, 0, 0, 0, 0x50, flags, 255, 255, 0, 0, 0, 0]);
    segment.extend(payload);
    ipv4(6, 0, &segment)
}

#[test]
fn packets_made_to_break_parsers_are_flows_or_counted() -> Result<()> {
    // A question whose name points to itself, one that points forward, and one without end.
    let question = |name: &[u8]| [&[0, 7, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], name, &[0, 1, 0, 1]].concat();
    let flood: String = (0..5_000).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let flood = format!("GET /flood HTTP/1.1\r\nHost: a\r\n{flood}\r\n");
    let mut frames = vec![
        udp(40_001, 53, &question(&[0xc0, 12])),
        udp(40_002, 53, &question(&[0xc0, 200])),
        udp(40_003, 53, &question(&[3, b'w', b'w', b'w'].repeat(100))),
        udp(40_004, 53, &question(b"\x04good\x07example\x00")),
        // Fragments: a first one, the last of it, and one of a packet nobody saw.
        ipv4(17, 0x2000, &[0x9c, 0x45, 0x23, 0x28, 0, 200, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8]),
        ipv4(17, 0x0002, &[9; 24]),
        // Cut off in the transport header, in the IP header, and a header that is longer than the packet.
        ipv4(6, 0, &[0x9c, 0x46, 0, 80, 0, 0]),
        ipv4(6, 0, &[])[..24].to_vec(),
        [&ipv4(6, 0, &[])[..14], &[0x4f; 20]].concat(),
        // IPv6 whose extension header ends behind the packet.
        [&[2u8; 12][..], &[0x86, 0xdd, 0x60, 0, 0, 0, 0, 8, 0, 64], &[0xfd; 32], &[60, 255, 0, 0, 0, 0, 0, 0]].concat(),
        tcp(0, 0x02, b""),
    ];
    let parts = flood.as_bytes().chunks(1_400).enumerate();
    frames.extend(parts.map(|(n, part)| tcp(1 + 1_400 * n as u32, 0x18, part)));
    let mut bytes = capture(&frames);
    // The file breaks off within a packet that begins.
    bytes.extend(&capture(&frames[..1])[24..40]);
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("bad.pcap");
    std::fs::write(&file, bytes)?;

    let weir = Weir::start(&Place::Here, &["--pcap", &file.display().to_string()])?;
    weir.await_count(1, "SELECT count(*) FROM flows WHERE dns_query = 'good.example.'")?;
    weir.await_count(1, "SELECT count(*) FROM flows WHERE l7_protocol = 'DNS'")?;
    // A head beyond the limit is read as far as it goes.
    weir.await_count(1, "SELECT count(*) FROM flows WHERE http_url LIKE '%/flood' AND l7_type = 'REQUEST'")?;
    weir.await_count(
        2,
        "SELECT CAST(sum(packets) AS BIGINT) FROM flows WHERE l4_protocol = 'UDP' AND dst_port = 9000",
    )?;
    // Two that are no packets, and the one that breaks off.
    weir.await_count(3, "SELECT CAST(sum(lost) AS BIGINT) FROM losses WHERE stage = 'decode'")?;
    // Three names that are none, and the head.
    weir.await_count(4, "SELECT CAST(sum(lost) AS BIGINT) FROM losses WHERE stage = 'l7'")
}

/// Ids of the programs the kernel holds.
fn loaded() -> Result<Vec<u64>> {
    let listed = output(Command::new("bpftool").args(["prog", "show", "--json"]))?;
    let programs: Vec<serde_json::Value> = serde_json::from_str(&listed)?;
    Ok(programs.iter().filter_map(|program| program["id"].as_u64()).collect())
}

/// Ids of the programs that this process holds, by themselves or by where they are attached.
fn held(pid: u32) -> Result<BTreeSet<u64>> {
    let mut ids = BTreeSet::new();
    for file in std::fs::read_dir(format!("/proc/{pid}/fdinfo"))? {
        // It may be closed meanwhile.
        let told = std::fs::read_to_string(file?.path()).unwrap_or_default();
        let id: Option<u64> = told.lines().find_map(|line| line.strip_prefix("prog_id:")?.trim().parse().ok());
        ids.extend(id);
    }
    Ok(ids)
}

#[test]
fn sigterm_drains_and_kill_leaves_no_program_behind() -> Result<()> {
    if !root("bad_input") {
        return Ok(());
    }
    let mut topology = Topology::with_node("wbi", 93)?;
    let (a, b) = (topology.add("a", 2)?, topology.add("b", 3)?);
    let mut echo = b.command(binary("weir-demo")?);
    let _echo = Running::start("udp echo", echo.args(["udp-echo", "[::]:9000"]))?;
    for ordered in [true, false] {
        let mut weir = Weir::start(&Place::Node(&topology), &[])?;
        let mut udp = a.command(binary("weir-demo")?);
        output(udp.args(["udp", &format!("{}:9000", b.ip4), "--count", "5"]))?;
        weir.await_count(5, "SELECT CAST(sum(packets) AS BIGINT) FROM flows WHERE dst_port = 9000 AND trace_point = 'TO_ENDPOINT' AND event_type = 4")?;
        let (programs, all) = (held(weir.pid())?, loaded()?);
        assert!(programs.len() > 10 && programs.iter().all(|id| all.contains(id)), "{programs:?} of {all:?}");
        if ordered {
            weir.stop()?;
        } else {
            weir.kill()?;
        }
        wait_until("all programs are gone", SOON, || {
            let left = loaded().ok()?;
            programs.iter().all(|id| !left.contains(id)).then_some(())
        })?;
    }
    Ok(())
}

#[test]
fn flowctl_names_the_address_it_cannot_reach() -> Result<()> {
    // No server takes this port by chance.
    let nobody = "127.0.0.1:1";
    let out = Command::new(binary("flowctl")?).args(["observe", "--last", "1", "--server", nobody]).output()?;
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && error.contains(nobody), "{error}");
    Ok(())
}
