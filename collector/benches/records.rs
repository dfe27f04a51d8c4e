//! Records of so many connections between so many named endpoints, and the stages that take them.

use std::io::Write as _;

use collector::{Config, Offline};
use ebpf_abi::{FlowKey, FlowRecord, FlowVal, Header, SockRecord, Tuple, cause, kind, protocol, role, tcp};

const ENDPOINTS: u32 = 10_000;
pub(crate) const CONNECTIONS: u32 = 100_000;

/// A connection between two of the endpoints, the same for the same number.
fn tuple(number: u32) -> Tuple {
    let host = |n: u32| {
        let [.., a, b] = (n % ENDPOINTS).to_be_bytes();
        std::net::Ipv4Addr::new(10, 1, a, b).to_ipv6_mapped().octets()
    };
    Tuple {
        source_ip: host(number.wrapping_mul(7)),
        destination_ip: host(number.wrapping_mul(13).wrapping_add(1)),
        source_port: 32_768 + u16::try_from(number / ENDPOINTS).expect("few connections an endpoint"),
        destination_port: 8_080,
        protocol: protocol::TCP,
        ip_version: 4,
        ..Tuple::ZERO
    }
}

/// The client's socket of a connection.
pub(crate) fn socket(number: u32) -> SockRecord {
    let header =
        Header { kind: kind::SOCK, version: ebpf_abi::ABI_VERSION, cookie: u64::from(number) + 1, ..Header::ZERO };
    let mut record = SockRecord {
        header,
        tuple: tuple(number),
        netns: 1,
        tgid: 4_000_000 + number % 1_000,
        role: role::CLIENT,
        ..SockRecord::ZERO
    };
    record.comm[..4].copy_from_slice(b"curl");
    record
}

/// Totals of a connection, growing from round to round.
pub(crate) fn record(number: u32, round: u64) -> FlowRecord {
    let tuple = tuple(number);
    let first_boot_ns = u64::from(number) + 1;
    let key = FlowKey {
        source_ip: tuple.source_ip,
        destination_ip: tuple.destination_ip,
        source_port: tuple.source_port,
        destination_port: tuple.destination_port,
        protocol: protocol::TCP,
        ifindex: 7,
        cause: if round == 0 { cause::NEW } else { cause::UPDATE },
        packet_flags: if round == 0 { tcp::SYN } else { tcp::ACK },
        ..FlowKey::ZERO
    };
    let val = FlowVal {
        first_boot_ns,
        last_boot_ns: first_boot_ns + round,
        bytes: 1_000 * (round + 1),
        packets: 10 * (round + 1),
        cookie: u64::from(number) + 1,
        ..FlowVal::ZERO
    };
    let header = Header { kind: kind::FLOW, version: ebpf_abi::ABI_VERSION, cookie: val.cookie, ..Header::ZERO };
    FlowRecord { header, key, val }
}

/// Stages that know a name for each endpoint.
pub(crate) fn stages() -> Offline {
    let directory = tempfile::tempdir().expect("a directory for the names file");
    let names = directory.path().join("names.yaml");
    let mut file = std::fs::File::create(&names).expect("the names file");
    writeln!(file, "names:").expect("written");
    for n in 0..ENDPOINTS {
        let [.., a, b] = n.to_be_bytes();
        writeln!(
            file,
            "- {{addresses: 10.1.{a}.{b}, name: pod-{n}, namespace: ns-{}, labels: {{app: a{}}}}}",
            n % 50,
            n % 500
        )
        .expect("written");
    }
    let mut config = Config::default();
    config.enrich.names_file = Some(names);
    Offline::new(&config).expect("the names file is right")
}

/// Makes rows of older flows on a thread of its own, as the collector does beside its pipeline.
pub(crate) fn keep_history(path: &Offline) {
    let keeping = path.keep_history();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    std::thread::spawn(move || runtime.block_on(keeping));
}

/// Waits until that has caught up.
pub(crate) fn wait_for_history(path: &Offline) {
    const NEWEST: u64 = 4_096;
    let flows = path.flows();
    while flows.held() - flows.packed() >= NEWEST {
        std::thread::yield_now();
    }
}
