//! Command lines of every command and flag, most of them sensible, some of them not.

use super::random::Random;
use super::values;

/// How to run both programs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Case {
    pub(crate) arguments: Vec<String>,
    pub(crate) variables: Vec<(&'static str, String)>,
    /// Text of the configuration file; `None` for no file.
    pub(crate) config: Option<String>,
    /// Whether the flows come through a pipe.
    pub(crate) pipe: bool,
}

/// Stands for the file of flows, whose name differs from run to run.
pub(crate) const FLOWS: &str = "flows.jsonl";

pub(crate) fn case(random: &mut Random) -> Case {
    let mut case = Case::default();
    match random.below(100) {
        0..78 => observe(random, &mut case),
        78..84 => raw(random, &mut case),
        84..92 => config(random, &mut case),
        _ => others(random, &mut case),
    }
    if random.percent(8) {
        variables(random, &mut case);
    }
    if random.percent(6) {
        case.config.get_or_insert_with(|| config_file(random));
    }
    if random.percent(2) {
        let at = random.below(case.arguments.len() + 1);
        let odd =
            random.pick(&["", "-", "--", "extra", "-x", "--bogus", "--bogus=1", "-h", "--help", "--=", "---", "-="]);
        case.arguments.insert(at, odd.to_owned());
    }
    case
}

fn observe(random: &mut Random, case: &mut Case) {
    let mut words = vec!["observe".to_owned()];
    if random.percent(8) {
        words.push("flows".to_owned());
    }
    case.pipe = random.percent(12);
    let file = if case.pipe { "-" } else { FLOWS };
    words.extend(if random.percent(50) {
        vec![format!("--input-file={file}")]
    } else {
        vec!["--input-file".to_owned(), file.to_owned()]
    });
    let mut groups: Vec<Vec<String>> = Vec::new();
    if random.percent(75) {
        groups.push(output(random));
    }
    for _ in 0..random.below(3) {
        groups.push(style(random));
    }
    if random.percent(35) {
        groups.push(selector(random));
    }
    for _ in 0..random.below(4) {
        groups.push(filter(random));
    }
    if random.percent(6) {
        groups.push(vec!["--print-raw-filters".to_owned()]);
    }
    // Flags may stand anywhere, in front of the command too where it is one of every command.
    while !groups.is_empty() {
        let at = random.below(groups.len());
        words.extend(groups.swap_remove(at));
    }
    if random.percent(3) {
        words.insert(0, "-D".to_owned());
    }
    case.arguments = words;
}

fn words(text: &str) -> Vec<String> {
    text.split(' ').map(str::to_owned).collect()
}

fn output(random: &mut Random) -> Vec<String> {
    let name = random.pick(&[
        "compact", "compact", "dict", "dict", "json", "json", "jsonpb", "JSON", "table", "table", "tab", "xml", "",
        "Compact",
    ]);
    match random.below(4) {
        0 => words(&format!("-o {name}")),
        1 => words(&format!("-o={name}")),
        2 if !name.is_empty() => vec![format!("-o{name}")],
        _ => vec![format!("--output={name}")],
    }
}

fn style(random: &mut Random) -> Vec<String> {
    let text = random.pick(&[
        "--print-node-name",
        "--print-policy-names",
        "--color always",
        "--color=never",
        "--color=Always",
        "--color=",
        "--color bogus",
        "--numeric",
        "--numeric=false",
        "--ip-translation=false",
        "--ip-translation",
        "--time-format YearMonthDay",
        "--time-format yearmonthdayhour",
        "--time-format YearMonthDayHourMinute",
        "--time-format RFC3339",
        "--time-format RFC3339Milli",
        "--time-format rfc3339micro",
        "--time-format RFC3339Nano",
        "--time-format RFC1123Z",
        "--time-format StampMilli",
        "--time-format bogus",
        "-s",
        "-D",
        "--silent-errors=0",
        "--use-default-field-masks=false",
        "--use-default-field-masks",
        "--field-mask time,verdict",
        "--field-mask source.pod_name --field-mask=IP.source",
        "--field-mask time.seconds,is_reply.value,l4.TCP.flags.SYN",
        "--field-mask nope",
        "--field-mask source.labels.x",
        "--field-mask=",
        "--print-node-name=T",
        "--print-node-name=maybe",
        "--debug=false",
        "--timeout 5",
        "--timeout=1m --request-timeout 3s",
        "--server localhost:1",
        "--tls=false",
    ]);
    words(text)
}

fn selector(random: &mut Random) -> Vec<String> {
    let number = random.pick(&[
        "0",
        "1",
        "2",
        "3",
        "10",
        "1000",
        "1000000",
        "1000001",
        "0x3",
        "1_0",
        "-1",
        "x",
        "",
        "18446744073709551615",
        "18446744073709551616",
        "007",
    ]);
    let time = random.pick(&[
        "2026-01-15T10:11:12.035Z",
        "2026-01-15T10:11:12.002000012Z",
        "2026-01-15",
        "2026-01-15T10Z",
        "2026-01-15T9:00Z",
        "2026-01-15T10:11+00:00",
        "2026-01-15T11:11:12.003+01:00",
        "2026-01-15T10:11:12,003Z",
        "Thu, 15 Jan 2026 10:11:12 +0000",
        "Thu,  15 jan 2026 10:11:12 +0100",
        "100000h",
        "1h",
        "-1h",
        "1.5h30m",
        "0",
        "+5m",
        ".5s",
        "1e3s",
        "5",
        "1us1\u{b5}s1\u{3bc}s",
        "9223372036854775807ns",
        "tomorrow",
        "2026-02-30",
        "0000-01-01",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59Z",
        "2026-01-15T24Z",
        "2026-01-15T10:11:12",
        " 2026-01-15",
        "",
    ]);
    match random.below(12) {
        0..3 => words(&format!("--first {number}")),
        3..6 => words(&format!("--last={number}")),
        6 => words("--all"),
        7 => vec!["--since".to_owned(), time.to_owned()],
        8 => vec![format!("--until={time}")],
        9 => vec![format!("--since={time}"), "--last".to_owned(), number.to_owned()],
        10 => words(random.pick(&[
            "-f",
            "--follow",
            "--follow=false",
            "--all=false",
            "--all --first 1",
            "--first 1 --last 1",
            "-f --first 1",
            "--all --last 2",
        ])),
        _ => vec!["--since=2026-01-15".to_owned(), format!("--until={time}")],
    }
}

fn filter(random: &mut Random) -> Vec<String> {
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
        13 => ("--traffic-direction", pick(random, &["ingress", "EGRESS", "Ingress", "both", ""])),
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
        ])
        .to_owned()
}

fn selector_of_labels(random: &mut Random) -> String {
    let one = |random: &mut Random| {
        random.pick(&[
            "app",
            "!app",
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

fn expression(random: &mut Random) -> String {
    random
        .pick(&[
            "/page/\\d+",
            "^/v1",
            "landing$",
            "",
            ".",
            "(?i)DEATHSTAR",
            "a|b",
            "[",
            "(",
            "*",
            "a{2}",
            "a{1001}",
            "\\Qa.b\\E",
            "\\pL",
            "\\p{Greek}",
            "(?P<n>x)",
            "(?<n>x)",
            "(?=x)",
            "\\1",
            "[[:alpha:]]+",
            "[^\\W]",
            "\\x41",
            "\\x{e9}",
            "\\C",
            "(?s).",
            "(?U)a+",
            "\\z",
            "\\Z",
            "\\b",
            "x**",
            "(?#c)",
            "[a-",
            "[b-a]",
            "\\8",
            "\\",
            "a&&b",
            "[a&&b]",
            "[a--b]",
            "[a~~b]",
            "[[a]]",
            "{",
            "}",
            "{,2}",
            "x{,2}",
            "x{2,1}",
            "(?x) a b",
            "(?m)^/",
            "\\/",
            "\\-",
            "\\<",
            "\\é",
            "\u{e9}",
            "%",
            "\\R",
            "\\h",
            "\\A/",
            "(?-i)x",
            "(?i-s:x)",
            "#frag",
            "\\u0041",
            "\\a\\f\\v",
            "[\\d-z]",
        ])
        .to_owned()
}

fn raw_filter(random: &mut Random) -> String {
    random
        .pick(&[
            r#"{"source_pod":["default/xwing"]} {"verdict":["AUDIT"]}"#,
            r#"{"source_pod":["default/x"]}"#,
            r#"{"verdict":["DROPPED",1]}"#,
            r#"{"sourcePort":["80"],"tcp_flags":[{"SYN":true}],"reply":[false]}"#,
            r#"{"event_type":[{"type":1,"sub_type":5}]}"#,
            r#"{"event_type":[{"type":4,"match_sub_type":true}]}"#,
            r#"{"http_status_code":["200"],"event_type":[{"type":129}]}"#,
            r#"{"http_path":["/"],"event_type":[{"type":1}]}"#,
            r#"{"dns_query":["cilium"]}"#,
            r#"{"interface":[{"index":1},{"name":"eth0"}]}"#,
            r#"{"reply":[true]}"#,
            r#"{"ip_version":["IPv6","IP_NOT_USED"]}"#,
            r#"{"experimental":{"cel_expression":["_flow.verdict == Verdict.DROPPED"]}}"#,
            r#"{"experimental":{}}"#,
            r#"{"uuid":["<it's>"]}"#,
            r#"{"source_workload":[{"kind":"Deployment"}]}"#,
            r#"{"node_labels":["app"],"node_name":["*"]}"#,
            r#"{"source_ip":["10.0.0.0/8"],"destination_port":["80","443"]}"#,
            "{}",
            "[]",
            "null",
            "",
            " ",
            "{",
            r#"{"unknown_field":1}"#,
            r#"{"verdict":["NONSENSE"]}"#,
            r#"{"verdict":"DROPPED"}"#,
            r#"{"ip_trace_id":["1",2]}"#,
            r#"{"uuid":["a"],"uuid":["b"]}"#,
            r#"{"uuid":["a"]},"#,
            r#"{"uuid":null}"#,
        ])
        .to_owned()
}

fn cel(random: &mut Random) -> String {
    random
        .pick(&[
            "_flow.verdict == Verdict.DROPPED",
            "_flow.verdict == Verdict.FORWARDED || _flow.verdict == Verdict.TRANSLATED",
            "_flow.verdict == flow.Verdict.DROPPED",
            "_flow.verdict == 2",
            "_flow.IP.source == '10.0.0.54' || _flow.IP.destination == \"8.8.8.8\"",
            "has(_flow.l4.TCP)",
            "has(_flow.l4.TCP) && _flow.l4.TCP.destination_port == uint(80)",
            "_flow.l4.TCP.destination_port in [80u, 443u]",
            "has(_flow.is_reply) && _flow.is_reply",
            "_flow.is_reply == null",
            "_flow.source.labels.exists(l, l.startsWith('k8s:'))",
            "_flow.source.labels.all(l, l != '')",
            "_flow.destination.labels.exists_one(l, l == 'reserved:world')",
            "size(_flow.source.labels) > 1",
            "_flow.source.labels.size() == 0",
            "_flow.source.labels[0] == 'k8s:app=deathstar'",
            "_flow.Summary.contains('SYN')",
            "_flow.Summary.matches('TCP.*')",
            "_flow.node_name.endsWith('worker') ? true : false",
            "_flow.time > timestamp('2026-01-15T10:11:12.002Z')",
            "_flow.time.getFullYear() == 2026",
            "_flow.l7.latency_ns / 1000u > 5u",
            "_flow.source.identity % 2u == 0u",
            "_flow.source == _flow.destination",
            "has(_flow.source) && !has(_flow.destination)",
            "has(_flow.Summary)",
            "_flow.nope == 1",
            "_flow.source.nope",
            "_flow",
            "1",
            "true",
            "false",
            "",
            "something-invalid",
            "_flow.verdict",
            "_flow.verdict == 'DROPPED'",
            "_flow.source.identity == 1",
            "_flow.source.identity > 1u",
            "'a' + 1 == 'a1'",
            "verdict == 1",
            "Verdict.NOPE == 1",
            "_flow.verdict in [Verdict.DROPPED, Verdict.ERROR]",
            "_flow.source_names.exists(n, n.matches('^www'))",
            "_flow.source.workloads.exists(w, w.kind == 'Deployment' && w.name != '')",
            "_flow.l7.http.code >= 400u",
            "_flow.l7.http.headers.filter(h, h.key == 'foo').size() > 0",
            "_flow.l7.http.headers.map(h, h.value).exists(v, v == 'bar')",
            "1 / 0 == 1",
            "_flow.event_type.type == 4 && _flow.event_type.sub_type == 0",
            "type(_flow.verdict) == int",
            "string(_flow.verdict) == '2'",
            "int(_flow.source.identity) == 1",
            "!(_flow.traffic_direction == TrafficDirection.INGRESS)",
            "(",
            "a b",
            "_flow.IP.ipVersion == IPVersion.IPv4",
            "_flow.IP.encrypted",
            "dyn(_flow.verdict) == 2.0",
            "_flow.uuid < 'v'",
            "b'abc' == bytes('abc')",
            "{'a': 1}['a'] == 1",
            "has({'a': 1}.b)",
            "duration('1s') < duration('2m')",
            "_flow.l4.UDP == UDP{source_port: 53u, destination_port: 53u}",
        ])
        .to_owned()
}

fn raw(random: &mut Random, case: &mut Case) {
    let mut words = words("observe --print-raw-filters");
    for _ in 0..random.below(5) {
        words.extend(filter(random));
    }
    case.arguments = words;
}

const KEYS: [&str; 19] = [
    "server",
    "timeout",
    "request-timeout",
    "tls",
    "tls-allow-insecure",
    "tls-ca-cert-files",
    "tls-server-name",
    "debug",
    "config",
    "basic-auth-username",
    "kube-namespace",
    "kubeconfig",
    "port-forward",
    "nope",
    "SERVER",
    "",
    "tls-client-cert-file",
    "custom",
    "kube-context",
];

fn setting(random: &mut Random) -> String {
    random
        .pick(&[
            "true",
            "false",
            "1",
            "yes",
            "5s",
            "1m30s",
            "5",
            "soon",
            "localhost:4245",
            "tls://relay:443",
            "a,b",
            "[a,b]",
            "\"a,b\",c",
            "",
            " x ",
            "unix:///run/x",
            "null",
            "~",
            "0x10",
            "1e3",
            "2026-01-15",
            "it's",
            "a: b",
            "#c",
            "\u{e9}",
            "-1s",
            "t",
            "[]",
            "on",
        ])
        .to_owned()
}

fn config(random: &mut Random, case: &mut Case) {
    let key = random.pick(&KEYS);
    let mut arguments = words("config");
    match random.below(12) {
        0..3 => arguments.push("view".to_owned()),
        3..7 => arguments.extend(["get".to_owned(), key.to_owned()]),
        7 => arguments.push("get".to_owned()),
        8..10 => arguments.extend(["set".to_owned(), key.to_owned(), setting(random)]),
        10 => arguments.extend([random.pick(&["set", "reset"]).to_owned(), key.to_owned()]),
        _ => arguments.extend(words(random.pick(&[
            "get a b",
            "set",
            "set a b c",
            "reset a b",
            "view x",
            "get server --server x",
        ]))),
    }
    case.arguments = arguments;
    if random.percent(50) {
        case.config = Some(config_file(random));
    }
    if random.percent(40) {
        variables(random, case);
    }
    if random.percent(20) {
        case.arguments.extend(words(random.pick(&[
            "--server x:1",
            "--timeout 90s",
            "--tls",
            "--tls-ca-cert-files a,b",
            "-D",
            "--port-forward-port 0x10",
            "--tls-ca-cert-files=",
            "--timeout=0",
        ])));
    }
}

fn config_file(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..random.below(5) {
        text += random.pick(&[
            "server: from-file:1\n",
            "timeout: 7s\n",
            "timeout: 7000000000\n",
            "tls: true\n",
            "tls: \"true\"\n",
            "tls: yes\n",
            "debug: 1\n",
            "tls-ca-cert-files:\n  - a.pem\n  - b.pem\n",
            "tls-ca-cert-files: a b\n",
            "custom: [1, 2]\n",
            "custom: 1.5\n",
            "SERVER: upper:2\n",
            "Server: mixed:3\n",
            "basic-auth-username: me\n",
            "allowlist:\n  - '{\"verdict\":[\"DROPPED\"]}'\n",
            "denylist: '{\"verdict\":[\"DROPPED\"]}'\n",
            "kube-namespace:\n",
            "request-timeout: nonsense\n",
            "# nothing\n",
            "tls-server-name: 'x'\n",
            "tls-client-key-file: k\n",
            "port-forward-port: 9\n",
        ]);
    }
    if random.percent(5) {
        text += random.pick(&["  : broken", "just a text", "- a\n- b\n", "{"]);
    }
    text
}

fn variables(random: &mut Random, case: &mut Case) {
    for _ in 0..=random.below(2) {
        let (name, some): (&'static str, &[&str]) = match random.below(15) {
            0 => ("HUBBLE_SERVER", &["env:1", "", "tls://env:2"]),
            1 => ("HUBBLE_TIMEOUT", &["9s", "9", "soon", ""]),
            2 => ("HUBBLE_TLS", &["true", "1", "nonsense", "false"]),
            3 => ("HUBBLE_TLS_CA_CERT_FILES", &["a b", "a,b", "nope.pem"]),
            4 => ("HUBBLE_DEBUG", &["true", "0"]),
            5 => ("HUBBLE_ALLOWLIST", &["{\"verdict\":[\"DROPPED\"]}", "{\"verdict\": [\"DROPPED\"]}", "{}", "x"]),
            6 => ("HUBBLE_DENYLIST", &["{\"verdict\":[\"DROPPED\"]} {\"uuid\":[\"a\"]}", "{}"]),
            7 => ("HUBBLE_COMPAT", &["legacy-json-output", "x,LEGACY-json-output", "other"]),
            8 => ("HUBBLE_BASIC_AUTH_USERNAME", &["me"]),
            9 => ("HUBBLE_TLS_CLIENT_KEY_FILE", &["k.pem"]),
            10 => ("HUBBLE_PORT_FORWARD", &["true", "false", "x"]),
            11 => ("HUBBLE_OUTPUT", &["json"]),
            12 => ("NO_COLOR", &["1", ""]),
            13 => ("HUBBLE_TLS_SERVER_NAME", &["yes", "n", "1e3"]),
            _ => ("HUBBLE_PORT_FORWARD_PORT", &["1", "x"]),
        };
        if !case.variables.iter().any(|(known, _)| *known == name) {
            case.variables.push((name, random.pick(some).to_owned()));
        }
    }
}

fn others(random: &mut Random, case: &mut Case) {
    let text = random.pick(&[
        "observe --last x",
        "observe --input-file no-such-file",
        "observe --input-file",
        "observe --input-file= --server localhost:1",
        "observe flows extra --input-file flows.jsonl",
        "--server x:1 observe --input-file flows.jsonl --first 1",
        "-D observe --input-file flows.jsonl --first 1",
        "observe --first 1 flows --input-file flows.jsonl",
        "observe --verdict DROPPED flows --input-file flows.jsonl",
        "observe -- --input-file flows.jsonl --server localhost:1",
        "observe agent-events --verdict DROPPED",
        "observe agent-events -o xml",
        "observe agent-events -f -o table",
        "observe agent-events --since tomorrow",
        "observe debug-events --until x",
        "observe debug-events --numeric",
        "observe agent-events --server localhost:1",
        "observe debug-events --server localhost:1 --first 3",
        "observe agents --server localhost:1",
        "obsrve",
        "stat",
        "o",
        "list nodes --bogus",
        "list nodes -o bad --server localhost:1",
        "list nodes --server localhost:1",
        "list node --server=localhost:1 -o wide",
        "list namespaces --server unix:///no/such.sock",
        "status --server localhost:1",
        "status -o bad --server localhost:1",
        "status -P=maybe",
        "status --port-forward-port 70000",
        "watch peers --server localhost:1",
        "w peer --server localhost:1",
        "reflect --server localhost:1",
        "status --tls-client-cert-file a",
        "status --tls-client-cert-file a --tls-client-key-file b",
        "status --tls --tls-client-cert-file a --tls-client-key-file b",
        "status --basic-auth-username a",
        "status --basic-auth-username a --basic-auth-password b --server localhost:1",
        "status --tls --tls-ca-cert-files no.pem",
        "--tls --tls-ca-cert-files no.pem version",
        "status --timeout soon",
        "status --timeout 5",
        "status --bogus",
        "status -Z",
        "status -DZ",
        "list --bogus",
        "config --bogus",
        "completion bash extra",
        "completion bash --bogus",
        "completion --bogus",
        "version --bogus",
        "--bogus",
        "-v",
        "--version",
        "---",
        "--=x",
        "observe --tls=maybe --input-file flows.jsonl",
        "observe --input-file flows.jsonl --port-forward",
        "observe -ojson --input-file flows.jsonl --first 2 -f=false",
        "observe -sf --first 1 --input-file flows.jsonl",
        "observe -sfo json --input-file flows.jsonl",
        "observe -fo=table --input-file flows.jsonl",
        "observe -n",
        "observe -o",
        "help nonsense",
        "help obsrve",
    ]);
    case.arguments = words(text);
}
