//! The stock `hubble` and `flowctl` side by side: the same arguments, the same output and exit code.
//!
//! The stock client is looked for at `$HUBBLE_BIN`, then among the project's tools. Without it these tests pass and say
//! why, unless `REQUIRE_HUBBLE=1`.

use std::path::{Path, PathBuf};

use super::program::{EVERY_KIND, Outcome, REAL_FLOWS, flowctl, isolated, run, run_with_input};

fn hubble() -> Option<PathBuf> {
    let given = std::env::var_os("HUBBLE_BIN").map(PathBuf::from);
    let home = std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache/weir/tools/bin/hubble"));
    let found = given.or(home).filter(|path| path.is_file());
    if found.is_none() {
        let required = std::env::var_os("REQUIRE_HUBBLE").is_some_and(|v| v == "1");
        assert!(!required, "REQUIRE_HUBBLE=1, but there is no hubble at $HUBBLE_BIN or ~/.cache/weir/tools/bin");
        println!("skipped: no stock hubble at $HUBBLE_BIN or ~/.cache/weir/tools/bin (./dev setup builds it)");
    }
    found
}

/// Runs both and gathers the arguments on which they differ.
fn compare(runs: impl IntoIterator<Item = Vec<String>>) {
    let Some(hubble) = hubble() else { return };
    let runs: Vec<Vec<String>> = runs.into_iter().collect();
    // The programs wait for each other's processors, not for us: two at a time keep two processors busy.
    let (left, right) = runs.split_at(runs.len() / 2);
    let differences: Vec<String> = std::thread::scope(|scope| {
        let halves = [left, right].map(|half| {
            let hubble = &hubble;
            scope.spawn(move || half.iter().filter_map(|arguments| differ(hubble, arguments)).collect::<Vec<_>>())
        });
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    });
    assert!(differences.is_empty(), "{} of {} runs differ:\n{}", differences.len(), runs.len(), differences.join("\n"));
    println!("{} runs agree", runs.len());
}

fn differ(hubble: &Path, arguments: &[String]) -> Option<String> {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let theirs = run(&mut isolated(hubble, &arguments));
    let ours = run(&mut flowctl(&arguments));
    let same = (&theirs.stdout, theirs.code) == (&ours.stdout, ours.code);
    (!same).then(|| difference(&arguments, &theirs, &ours))
}

fn difference(arguments: &[&str], theirs: &Outcome, ours: &Outcome) -> String {
    let mut pairs = theirs.stdout.lines().zip(ours.stdout.lines());
    let (left, right) = pairs.find(|(left, right)| left != right).unwrap_or_default();
    format!(
        "{arguments:?}\n  hubble:  exit {:?}, {} lines, {left}\n           {}\n  flowctl: exit {:?}, {} lines, {right}\n           {}",
        theirs.code,
        theirs.stdout.lines().count(),
        theirs.stderr.lines().next().unwrap_or_default(),
        ours.code,
        ours.stdout.lines().count(),
        ours.stderr.lines().next().unwrap_or_default(),
    )
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// Arguments to look at a file, and more.
fn observe(file: &str, more: &str) -> Vec<String> {
    [words(&format!("observe --input-file {file}")), words(more)].concat()
}

#[test]
fn layouts_and_styles() {
    let styles = [
        "",
        "--print-node-name",
        "--print-policy-names",
        "--print-node-name --print-policy-names",
        "--color always",
        "--color never",
        "--numeric",
        "--ip-translation=false",
        "--time-format YearMonthDay",
        "--time-format YearMonthDayHour",
        "--time-format YearMonthDayHourMinute",
        "--time-format RFC3339",
        "--time-format RFC3339Milli",
        "--time-format RFC3339Micro",
        "--time-format RFC3339Nano",
        "--time-format RFC1123Z",
        "--time-format unheard-of",
        "-s",
        "-D",
    ];
    let mut runs = Vec::new();
    for file in [REAL_FLOWS, EVERY_KIND] {
        for output in ["compact", "dict", "json", "jsonpb", "JSON", "table", "tab"] {
            runs.extend(styles.iter().map(|style| observe(file, &format!("-o {output} {style}"))));
        }
    }
    compare(runs);
}

#[test]
fn filters() {
    let conditions = include_str!("differential-filters.txt");
    let lines = conditions.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let mut runs = Vec::new();
    for line in lines {
        runs.push(observe(EVERY_KIND, line));
        runs.push(observe(EVERY_KIND, &format!("--not {line} -o json")));
        runs.push(words(&format!("observe --print-raw-filters {line}")));
    }
    compare(runs);
}

#[test]
fn filters_with_spaces_and_odd_characters() {
    let raw = [
        vec!["--http-path", "a&b\"<>"],
        vec!["--label", "k8s:org in (empire, alliance)"],
        vec!["--label", "app=deathstar,class!=x"],
        vec!["--from-label", "!k8s:org"],
        vec!["--cel-expression", "_flow.verdict == Verdict.DROPPED"],
        vec!["--http-header", "X-Request-Id:r1"],
        vec!["--http-header", "no colon"],
        vec!["--fqdn", "*.google.com"],
        vec!["--fqdn", "a b"],
        vec!["--pod", ""],
        vec!["--workload", ""],
        vec!["--drop-reason-desc", ""],
        vec!["--allowlist", r#"{"source_pod":["default/xwing"]} {"verdict":["AUDIT"]}"#],
        vec!["--allowlist", r#"{"source_pod":["default/xwing"]}"#, "--denylist", r#"{"verdict":["DROPPED"]}"#],
        vec!["--denylist", "{}"],
        vec!["--allowlist", "{}"],
        vec!["--allowlist", ""],
        vec!["--allowlist", "{"],
        vec!["--allowlist", r#"{"unknown_field":1}"#],
        vec!["--allowlist", r#"{"verdict":["NONSENSE"]}"#],
        vec!["--allowlist", r#"{"source_port":["80"],"tcp_flags":[{"SYN":true}],"reply":[false]}"#],
        vec!["--allowlist", r#"{"http_status_code":["200"],"event_type":[{"type":129}]}"#],
        vec!["--allowlist", r#"{"http_status_code":["200"],"event_type":[{"type":1}]}"#],
    ];
    let mut runs = Vec::new();
    for more in raw {
        let more: Vec<String> = more.into_iter().map(str::to_owned).collect();
        let is_cel = more[0] == "--cel-expression";
        runs.push([words("observe --print-raw-filters"), more.clone()].concat());
        // Expressions are passed on to servers, but over files we have no engine for them yet.
        if !is_cel {
            runs.push([observe(EVERY_KIND, ""), more].concat());
        }
    }
    compare(runs);
}

#[test]
fn selectors() {
    let selectors = [
        "--first 1",
        "--first 3 --verdict DROPPED",
        "--first 1000",
        "--last 1",
        "--last 0",
        "--last 3 --verdict DROPPED -o dict",
        "--last 1000 -o json",
        "--last 1000000",
        "--last 1000001",
        "--all",
        "--all --first 1",
        "--all --last 1",
        "--first 1 --last 1",
        "--first 1 -f",
        "-f",
        "-f -o table",
        "--follow=false -o table",
        "--since 2026-01-15T10:11:12.035Z",
        "--since 2026-01-15T10:11:12.035Z --last 2",
        "--since 2026-01-15T10:11:12.035Z --first 1",
        "--until 2026-01-15T10:11:12.002000012Z",
        "--until 2026-01-15T10:11:12.002Z -f",
        "--since 2026-01-15 --until 2026-01-16",
        "--since 2026-01-15T10Z",
        "--since 2026-01-15T10:11+00:00 --until 2026-01-15T11:11:12.003+01:00",
        "--since 100000h",
        "--since 1h",
        "--until 1h",
        "--since tomorrow",
        "--until tomorrow",
        "--last x",
        "--last -1",
        "--field-mask time",
        "--field-mask time -o json",
        "--use-default-field-masks=false",
        "--all=false --first=2",
        "--trailing",
        "--not",
        "--not --not --pod a",
        "--not=true --verdict DROPPED",
        "--print-node-name=false",
        "--print-node-name=maybe",
        "-o",
        "-o xml",
        "-ojson",
        "-o=dict --first 1",
    ];
    let files = [EVERY_KIND, REAL_FLOWS];
    compare(files.iter().flat_map(|file| selectors.iter().map(|selector| observe(file, selector))));
}

#[test]
fn pipes() {
    let Some(hubble) = hubble() else { return };
    let input = std::fs::read(super::program::folder().join(EVERY_KIND)).unwrap();
    for more in ["", "--first 2", "--last 2", "--last 2 --verdict DROPPED", "-o table", "-o json --not --type trace"] {
        let arguments = observe("-", more);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let theirs = run_with_input(&mut isolated(&hubble, &arguments), &input);
        let ours = run_with_input(&mut flowctl(&arguments), &input);
        assert_eq!((ours.stdout, ours.code), (theirs.stdout, theirs.code), "{more}");
    }
}

#[test]
fn damaged_lines() {
    compare(["", "-o json", "--last 2", "--first 2"].map(|more| observe("flows/damaged.jsonl", more)));
}
