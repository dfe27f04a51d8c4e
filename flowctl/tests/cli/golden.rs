//! Output compared with files under `golden/`; `UPDATE_GOLDEN=1` rewrites them, the diff is then to be read.

use std::fs;

use super::program::{EVERY_KIND, Outcome, REAL_FLOWS, WEIR_FLOWS, flowctl_says, folder, home};

/// What one run printed, as it stands in the file.
fn transcript(arguments: &[&str]) -> String {
    let shown = arguments.iter().map(|a| if a.contains(' ') { format!("'{a}'") } else { (*a).to_owned() });
    let Outcome { stdout, stderr, code } = flowctl_says(arguments);
    let mut text = format!("$ flowctl {}\n{stdout}", shown.collect::<Vec<_>>().join(" "));
    if !stderr.is_empty() {
        text += &format!("--- stderr\n{stderr}");
    }
    if code != Some(0) {
        text += &format!("--- exit code {}\n", code.unwrap());
    }
    // Help tells where the configuration file is, which is elsewhere on each machine.
    text.replace(&*home().to_string_lossy(), "/home/someone")
}

pub(crate) fn check(name: &str, runs: &[&[&str]]) {
    let actual = runs.iter().map(|arguments| transcript(arguments)).collect::<Vec<_>>().join("\n");
    let path = folder().join("golden").join(format!("{name}.txt"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, actual).unwrap();
        return;
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    let differs = expected.lines().zip(actual.lines()).position(|(e, a)| e != a);
    let line = differs.unwrap_or_else(|| expected.lines().count().min(actual.lines().count()));
    assert!(
        expected == actual,
        "{} differs from line {} on:\nexpected: {}\nactual:   {}\nrewrite with UPDATE_GOLDEN=1 if that is wanted",
        path.display(),
        line + 1,
        expected.lines().nth(line).unwrap_or("(end)"),
        actual.lines().nth(line).unwrap_or("(end)"),
    );
}

/// The same runs over one file in every layout.
fn layouts(name: &str, file: &str) {
    for output in ["compact", "dict", "json", "table", "wide"] {
        check(&format!("{name}-{output}"), &[&["observe", "--input-file", file, "-o", output]]);
    }
}

#[test]
fn real_flows_in_every_layout() {
    layouts("real", REAL_FLOWS);
}

#[test]
fn every_kind_of_flow_in_every_layout() {
    layouts("every-kind", EVERY_KIND);
}

#[test]
fn flows_of_weir_in_every_layout() {
    layouts("weir", WEIR_FLOWS);
}

#[test]
fn every_kind_of_flow_with_every_choice_of_style() {
    let observe = |name: &str, more: &[&str]| {
        let arguments = [&["observe", "--input-file", EVERY_KIND], more].concat();
        check(&format!("style-{name}"), &[&arguments]);
    };
    observe("node-and-policy-names", &["--print-node-name", "--print-policy-names"]);
    observe("node-name-table", &["--print-node-name", "-o", "table"]);
    observe("numeric", &["--numeric"]);
    observe("color", &["--color", "always"]);
    observe("color-dict", &["--color", "always", "-o", "dict"]);
    observe("debug", &["-D", "--time-format", "RFC3339Nano"]);
    observe("silent", &["-s", "--time-format", "rfc1123z"]);
}

#[test]
fn text_from_the_network_cannot_steer_the_terminal() {
    let file = "flows/hostile.jsonl";
    for output in ["compact", "dict", "table", "wide"] {
        let arguments = [
            "observe",
            "--input-file",
            file,
            "-o",
            output,
            "--print-node-name",
            "--print-policy-names",
            "--color",
            "always",
        ];
        let Outcome { stdout, stderr, .. } = flowctl_says(&arguments);
        // Scripts get what Hubble gives them: escapes and carriage returns alone are made visible there.
        let steers = |c: char| if output == "wide" { c.is_control() } else { matches!(c, '\u{1b}' | '\r') };
        for text in [stdout, stderr] {
            let foreign = text.replace("\u{1b}[0m", "");
            let colors = ["\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m", "\u{1b}[35m", "\u{1b}[36m"];
            let foreign = colors.iter().fold(foreign, |text, color| text.replace(color, ""));
            assert_eq!(foreign.find(|c: char| steers(c) && c != '\n'), None, "{output}: {foreign:?}");
        }
        check(&format!("hostile-{output}"), &[&arguments[..7]]);
    }
}

#[test]
fn selectors_and_filters() {
    let observe = |more: &[&'static str]| [&["observe", "--input-file", EVERY_KIND], more].concat();
    let runs: Vec<Vec<&str>> = [
        observe(&["--first", "2"]),
        observe(&["--last", "2"]),
        observe(&["--since", "2026-01-15T10:11:12.036Z"]),
        observe(&["--until", "2026-01-15T10:11:12.002Z"]),
        observe(&["--verdict", "DROPPED", "--last", "3"]),
        observe(&["--type", "l7", "--http-status", "2+"]),
        observe(&["--protocol", "dns", "--dns-query", "nope"]),
        observe(&["--ip", "8.8.8.8"]),
        observe(&["--not", "--port", "80", "--not", "--type", "l7", "--from-pod", "tiefighter"]),
        observe(&["-n", "kube-system", "--pod", "coredns", "-t", "trace-sock"]),
        observe(&["--allowlist", r#"{"source_pod":["default/xwing"],"verdict":["AUDIT"]}"#]),
        observe(&["--denylist", r#"{"node_name":["*"]}"#]),
        observe(&["--tcp-flags", "syn,ack", "--print-node-name=true"]),
    ]
    .to_vec();
    check("selectors", &runs.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn raw_filters() {
    let print = |more: &[&'static str]| [&["observe", "--print-raw-filters"], more].concat();
    let runs: Vec<Vec<&str>> = [
        print(&[]),
        print(&["--pod", "xwing"]),
        print(&["-A", "--service", "bar"]),
        print(&["--type", "trace:to-endpoint", "--type", "drop"]),
        print(&["--tcp-flags", "syn,ack", "--tcp-flags", "fin"]),
        print(&["--not", "--namespace", "kube-system"]),
        print(&["--cel-expression", "_flow.verdict == Verdict.DROPPED"]),
        print(&["--http-path", "it's <a&b>"]),
        print(&["-4", "--encrypted", "--identity", "world", "--from-port", "80", "--not", "--http-method", "get"]),
    ]
    .to_vec();
    check("raw-filters", &runs.iter().map(Vec::as_slice).collect::<Vec<_>>());
}

#[test]
fn refusals() {
    let runs: &[&[&str]] = &[
        &["observe", "--first", "1", "--last", "1"],
        &["observe", "--first", "1", "--all"],
        &["observe", "--first", "1", "--follow"],
        &["observe", "--last", "1", "--all"],
        &["observe", "--not"],
        &["observe", "--not", "--not", "--pod", "a"],
        &["observe", "--pod", "a", "--from-pod", "b"],
        &["observe", "-n", "a", "--pod", "b/c"],
        &["observe", "--verdict", "dropped"],
        &["observe", "--identity", "nobody"],
        &["observe", "--type", "nothing"],
        &["observe", "-o", "xml"],
        &["observe", "-o", "table", "-f"],
        &["observe", "--field-mask", "time"],
        &["observe", "--since", "yesterday"],
        &["observe", "--allowlist", "{"],
        &["observe", "--allowlist", r#"{"sourcepod":["a"]}"#],
        &["observe", "--input-file", "flows/none.jsonl"],
        &["observe", "--input-file", "flows/weir.jsonl", "--last", "1000001"],
        &["observe", "--input-file", "flows/weir.jsonl", "--http-path", "("],
        &["observe", "--unknown"],
        &["observe", "left", "over"],
        &["unknown"],
        &["status", "-o", "xml"],
        &["config", "get", "unknown"],
        &["config", "set", "timeout", "soon"],
        &["--timeout", "soon", "status"],
        &["--server", "a:b:c/d", "status"],
        &["sql", ""],
    ];
    check("refusals", runs);
}

#[test]
fn damaged_files_are_read_as_far_as_they_go() {
    check(
        "damaged",
        &[
            &["observe", "--input-file", "flows/damaged.jsonl"],
            &["observe", "--input-file", "flows/damaged.jsonl", "--last", "1"],
        ],
    );
}

#[test]
fn help() {
    let runs: &[&[&str]] = &[
        &[],
        &["observe", "--help"],
        &["status", "--help"],
        &["list", "--help"],
        &["list", "nodes", "--help"],
        &["sql", "--help"],
        &["ui", "--help"],
        &["watch", "--help"],
        &["config", "--help"],
        &["version"],
    ];
    check("help", runs);
}

#[test]
fn every_shell_gets_its_completions() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let Outcome { stdout, stderr, code } = flowctl_says(&["completion", shell]);
        assert_eq!((stderr.as_str(), code), ("", Some(0)), "{shell}");
        assert!(stdout.contains("__complete"), "{shell} does not ask for candidates");
    }
    for (words, candidate) in [
        (&[""][..], "observe\t"),
        (&["observe", "--from-w"], "--from-workload\t"),
        (&["--http-s"], "--http-server\t"),
        (&["list", "name"], "namespaces\t"),
        (&["observe", "--verdict", "DRO"], "DROPPED"),
        (&["observe", "-t", "trace:to-e"], "trace:to-endpoint"),
        (&["observe", "--verdict=AUD"], "AUDIT"),
        (&["config", "get", "tls-s"], "tls-server-name\t"),
    ] {
        let Outcome { stdout, code, .. } = flowctl_says(&[&["__complete"], words].concat());
        assert_eq!(code, Some(0), "{words:?}");
        assert!(stdout.lines().any(|line| line.starts_with(candidate)), "{words:?} gives {stdout}");
    }
}
