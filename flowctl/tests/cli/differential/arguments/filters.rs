//! Conditions on flows, as flags say them.

use super::expressions::{cel, expression, raw_filter};
use crate::cli::differential::random::Random;
use crate::cli::differential::values;

pub(super) fn filter(random: &mut Random) -> Vec<String> {
    let mut out = Vec::new();
    if random.percent(20) {
        out.push(random.pick(&["--not", "--not", "--not", "--not=false"]).to_owned());
        if random.percent(4) {
            out.push("--not".to_owned());
        }
        if random.percent(4) {
            return out;
        }
    }
    let (name, value) = condition(random);
    match name {
        "-A" | "-4" | "-6" => out.push(name.to_owned()),
        "--encrypted"
        | "--unencrypted"
        | "--ipv4"
        | "--ipv6"
        | "--all-namespaces"
        | "--from-all-namespaces"
        | "--to-all-namespaces" => {
            out.push(if random.percent(80) { name.to_owned() } else { format!("{name}={value}") });
        }
        name if random.percent(50) => out.extend([name.to_owned(), value]),
        name if name.starts_with("--") => out.push(format!("{name}={value}")),
        name => out.push(format!("{name}{value}")),
    }
    // More values of the same flag are alternatives.
    if random.percent(12) && name.starts_with("--") {
        let (again, value) = condition(random);
        let flag = if again.starts_with("--") { again } else { name };
        out.push(format!("{flag}={value}"));
    }
    out
}

fn condition(random: &mut Random) -> (&'static str, String) {
    const SIDED: [[&str; 3]; 9] = [
        ["--pod", "--from-pod", "--to-pod"],
        ["--namespace", "--from-namespace", "--to-namespace"],
        ["--service", "--from-service", "--to-service"],
        ["--ip", "--from-ip", "--to-ip"],
        ["--fqdn", "--from-fqdn", "--to-fqdn"],
        ["--label", "--from-label", "--to-label"],
        ["--identity", "--from-identity", "--to-identity"],
        ["--port", "--from-port", "--to-port"],
        ["--workload", "--from-workload", "--to-workload"],
    ];
    if random.percent(50) {
        let kind = random.below(10);
        let side = random.below(3);
        let name = if kind == 9 { ["--cluster", "--from-cluster", "--to-cluster"][side] } else { SIDED[kind][side] };
        let value = match kind {
            0 | 2 => name_prefix(random),
            1 => random.pick(&values::NAMESPACES).to_owned(),
            3 => address(random),
            4 => pattern(random),
            5 => selector_of_labels(random),
            6 => random
                .pick(&[
                    "world",
                    "host",
                    "unknown",
                    "kube-apiserver",
                    "world-ipv4",
                    "0",
                    "1",
                    "12345",
                    "0x3039",
                    "0b1",
                    "1_0",
                    "-1",
                    "4294967296",
                    "nobody",
                    "",
                ])
                .to_owned(),
            7 => random
                .pick(&["0", "53", "80", "443", "8080", "44916", "4464", "65535", "65536", "+80", "080", "http", ""])
                .to_owned(),
            8 => format!(
                "{}{}",
                random.pick(&["", "", "Deployment/", "/", "DaemonSet/", "a/b/"]),
                random.pick(&values::WORKLOADS)
            ),
            _ => random.pick(&values::CLUSTERS).to_owned(),
        };
        let short = match name {
            "--namespace" if random.percent(40) => "-n",
            "--label" if random.percent(40) => "-l",
            name => name,
        };
        return (short, value);
    }
    plain_condition(random)
}

#[expect(clippy::too_many_lines, reason = "a table of conditions")]
fn plain_condition(random: &mut Random) -> (&'static str, String) {
    let pick = |random: &mut Random, from: &[&str]| random.pick(from).to_owned();
    match random.below(30) {
        0..3 => (
            "--verdict",
            pick(
                random,
                &[
                    "FORWARDED",
                    "DROPPED",
                    "AUDIT",
                    "REDIRECTED",
                    "ERROR",
                    "TRACED",
                    "TRANSLATED",
                    "VERDICT_UNKNOWN",
                    "dropped",
                    "1",
                    "",
                ],
            ),
        ),
        3..5 => (
            if random.percent(30) { "-t" } else { "--type" },
            pick(
                random,
                &[
                    "drop",
                    "trace",
                    "trace:to-endpoint",
                    "trace:from-network",
                    "trace:13",
                    "trace:nope",
                    "l7",
                    "policy-verdict",
                    "capture",
                    "trace-sock",
                    "debug",
                    "agent",
                    "agent:policy-updated",
                    "agent:x",
                    "1",
                    "1:133",
                    "4:to-stack",
                    "129",
                    "0",
                    "4294967295",
                    "4294967296",
                    "nope",
                    "",
                    "trace:",
                    ":",
                    "trace:to-host:x",
                ],
            ),
        ),
        5 => (
            "--drop-reason-desc",
            pick(random, &["POLICY_DENIED", "UNSUPPORTED_L3_PROTOCOL", "DROP_REASON_UNKNOWN", "nope", ""]),
        ),
        6 => (
            "--http-status",
            pick(random, &["200", "404", "5+", "40+", "2+", "600", "6+", "20", "", "200+", "+", "0+"]),
        ),
        7 => ("--http-method", pick(random, &["get", "POST", "", "kick", "PUT", "patch"])),
        8 => ("--http-path", expression(random)),
        9 => ("--http-url", expression(random)),
        10 => ("--http-header", pick(random, &["foo:bar", "foo:", "X-Request-Id:r1", "Host:a:b", "no colon", "", ":"])),
        11 => (
            "--protocol",
            pick(
                random,
                &["tcp", "UDP", "icmp", "icmpv4", "ICMPv6", "sctp", "vrrp", "igmp", "dns", "http", "kafka", "grpc", ""],
            ),
        ),
        12 => ("--tcp-flags", pick(random, &["syn", "SYN,ACK", "fin,rst,psh", "urg,ece,cwr,ns", "syn,", "", "nope"])),
        13 => ("--traffic-direction", pick(random, &["ingress", "EGRESS", "Ingress", "\u{130}ngress", "both", ""])),
        14 => (
            "--node-name",
            pick(
                random,
                &[
                    "k1",
                    "k*",
                    "kind-kind/*",
                    "*/k1",
                    "default/",
                    "/k1",
                    "a/b/c",
                    "",
                    "K1",
                    "k_1",
                    "node?",
                    "prod-*/k2",
                    "*",
                    "k1.",
                    "k1..",
                ],
            ),
        ),
        15 => ("--node-label", selector_of_labels(random)),
        16 => ("--trace-id", pick(random, &values::TRACES)),
        17 => (
            "--ip-trace-id",
            pick(
                random,
                &["1", "12345", "0", "00", "18446744073709551615", "18446744073709551616", "-1", "x", "0x1", ""],
            ),
        ),
        18 => ("--uuid", pick(random, &values::UUIDS)),
        19 => ("--snat-ip", address(random)),
        20 => ("--interface", pick(random, &values::DEVICES)),
        21 => ("--ip-version", pick(random, &["none", "v4", "V6", "4", "ipv6", "ip4", "bogus", ""])),
        22 => (random.pick(&["--ipv4", "--ipv6", "-4", "-6"]), "false".to_owned()),
        23 => (random.pick(&["--encrypted", "--unencrypted"]), pick(random, &["true", "false", "x"])),
        24 => (
            random.pick(&["--all-namespaces", "-A", "--from-all-namespaces", "--to-all-namespaces"]),
            "false".to_owned(),
        ),
        25 => ("--allowlist", raw_filter(random)),
        26 => ("--denylist", raw_filter(random)),
        _ => ("--cel-expression", cel(random)),
    }
}

fn name_prefix(random: &mut Random) -> String {
    let name = random.pick(&["x", "xwing", "deathstar", "kube", "coredns", "", "api", "."]);
    format!("{}{name}", random.pick(&["", "", "default/", "kube-system/", "/", "shop/", "a.b/", "shop/x/"]))
}

fn address(random: &mut Random) -> String {
    if random.percent(45) {
        return random
            .pick(&[
                "10.0.0.0/8",
                "0.0.0.0/0",
                "::/0",
                "fd00::/64",
                "10.0.0.54/32",
                "10.0.0.54/8",
                "10.0.0.0/33",
                "10.0.0.0/",
                "10.0.0.0/08",
                "fe80::%eth0/64",
                "x/8",
                "::ffff:0:0/96",
                "/",
            ])
            .to_owned();
    }
    random.pick(&values::ADDRESSES).to_owned()
}

fn pattern(random: &mut Random) -> String {
    random
        .pick(&[
            "*.google.com",
            "www.google.com",
            "*",
            "*.*",
            "WWW.GOOGLE.COM.",
            " cilium.io ",
            "a b",
            "",
            ".",
            "x..",
            "_srv.example.org",
            "xn--*",
            "*example*",
            "a+b",
            "www.google.com,google.com",
            "\u{e9}.org",
            "C\u{130}lium.io",
            "\u{212a}ube.\u{3a3}",
        ])
        .to_owned()
}

fn selector_of_labels(random: &mut Random) -> String {
    let one = |random: &mut Random| {
        random.pick(&[
            "app",
            "!app",
            "!app=deathstar",
            "!app in (deathstar)",
            "! app , !class",
            "app=deathstar",
            "app==deathstar",
            "app!=deathstar",
            "k8s:app=deathstar",
            "k8s:org in (empire, alliance)",
            "org notin (empire)",
            "reserved:world",
            "!reserved:world",
            "reserved:host",
            "any:app",
            "class=xwing",
            "tier>2",
            "tier<3",
            "tier>x",
            "cidr:10.0.0.0/8",
            "io.kubernetes.pod.namespace=default",
            "app in ()",
            "app in (,a)",
            "app in (a,,b)",
            "app in deathstar",
            "app=",
            "=x",
            "app=a b",
            "app = deathstar",
            " app",
            "app,",
            ",",
            "",
            " ",
            "!",
            "app in (in)",
            "in in (in)",
            "a.b:c=d",
            "k8s:io.kubernetes.pod.namespace",
            "app=de*",
            "app!deathstar",
            "app===x",
            "unspec:a",
            "a=b=c",
            "app)",
            "(app)",
            "plain.key",
            "x",
            "app\t=\tdeathstar",
            "k8s.app=deathstar",
            "cidr:fd00--1/128",
            "app-=x",
            "-app",
            "UPPER/app",
            "a/b/c",
        ])
    };
    if random.percent(15) { format!("{},{}", one(random), one(random)) } else { one(random).to_owned() }
}
