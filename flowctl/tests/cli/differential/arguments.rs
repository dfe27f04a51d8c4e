//! Command lines of every command and flag, most of them sensible, some of them not.

mod expressions;
mod filters;
mod settings;

use self::filters::filter;
use self::settings::{config, config_file};
use super::random::Random;

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
        "--field-mask time.",
        "--field-mask source.",
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
        "-9223372036854775808ns",
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

fn raw(random: &mut Random, case: &mut Case) {
    let mut words = words("observe --print-raw-filters");
    for _ in 0..random.below(5) {
        words.extend(filter(random));
    }
    case.arguments = words;
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
    let lines: Vec<&str> = include_str!("../differential-others.txt").lines().collect();
    let text = random.pick(&lines);
    case.arguments = words(text);
}
