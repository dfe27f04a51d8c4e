//! The stock `hubble` and `flowctl` side by side: the same arguments and flows, the same output, meaning and exit code.
//!
//! The stock client is looked for at `$HUBBLE_BIN`, then among the project's tools. Without it these tests pass and say
//! why, unless `REQUIRE_HUBBLE=1`. `DIFFERENTIAL_CASES` and `DIFFERENTIAL_SEED` choose how many random cases there are,
//! and which.

mod arguments;
mod compare;
mod extensions;
mod flows;
mod listed;
mod random;
mod values;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};

use self::arguments::Case;
use self::compare::{Bench, report};
use self::listed::Listed;
use self::random::Random;
use super::program::{EVERY_KIND, REAL_FLOWS, folder};

/// Random cases of an ordinary run.
const CASES: usize = 400;
/// Cases that share a file of flows.
const CASES_PER_FILE: u64 = 8;
/// Differences that are shown in full.
const SHOWN: usize = 25;

/// The stock client, where there is one.
pub(crate) fn hubble() -> Option<PathBuf> {
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

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// Runs all cases on both programs and fails on differences that are not listed.
fn compare(cases: &[(Case, Vec<u8>)]) {
    let Some(hubble) = hubble() else { return };
    let listed = Listed::read();
    let next = AtomicUsize::new(0);
    let work = || {
        let bench = Bench::new(&hubble);
        let (mut unlisted, mut used) = (Vec::new(), BTreeMap::<String, usize>::new());
        while let Some((case, flows)) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (theirs, ours, parts) = bench.run(case, flows);
            if parts.is_empty() {
                continue;
            }
            match listed.allows(case, &parts) {
                Some(row) => *used.entry(row.name.clone()).or_default() += 1,
                None => unlisted.push(report(case, &theirs, &ours, &parts) + &kept(flows)),
            }
        }
        (unlisted, used)
    };
    // The programs take the processors, not we: two at a time keep two of them busy.
    let results: Vec<_> = std::thread::scope(|scope| {
        let threads = [(); 2].map(|()| scope.spawn(work));
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut used = BTreeMap::<String, usize>::new();
    let mut unlisted = Vec::new();
    for (differences, rows) in results {
        unlisted.extend(differences);
        rows.into_iter().for_each(|(name, count)| *used.entry(name).or_default() += count);
    }
    println!("{} cases, {} differ as listed: {used:?}", cases.len(), used.values().sum::<usize>());
    let shown = unlisted.iter().take(SHOWN).cloned().collect::<Vec<_>>().join("\n");
    assert!(unlisted.is_empty(), "{} of {} cases differ and are not listed:\n{shown}", unlisted.len(), cases.len());
}

/// Keeps the flows of a difference for whoever looks for its cause, and says where.
fn kept(flows: &[u8]) -> String {
    let kept = tempfile::Builder::new().prefix("differential-").suffix(".jsonl").tempfile().and_then(|mut file| {
        file.write_all(flows)?;
        Ok(file.keep()?.1)
    });
    kept.map_or_else(
        |error| format!("    flows:   not kept, {error}\n"),
        |path| format!("    flows:   {}\n", path.display()),
    )
}

#[test]
fn random_cases() {
    let seed = number("DIFFERENTIAL_SEED", 1) as u64;
    let cases: Vec<(Case, Vec<u8>)> = (0..number("DIFFERENTIAL_CASES", CASES) as u64)
        .map(|at| {
            let flows = flows::file(&mut Random::new(seed.wrapping_mul(1_000_003) + at / CASES_PER_FILE));
            let case = arguments::case(&mut Random::new(seed.wrapping_mul(7_919_999) + at * 31 + 17));
            (case, flows)
        })
        .collect();
    compare(&cases);
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// A case of `observe` over the file of flows, with more arguments.
fn observe(more: &str) -> Case {
    let arguments = [words("observe --input-file flows.jsonl"), words(more)].concat();
    Case { arguments, ..Case::default() }
}

fn file(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap()
}

#[test]
fn every_listed_difference_shows() {
    let Some(hubble) = hubble() else { return };
    let listed = Listed::read();
    let bench = Bench::new(&hubble);
    for row in &listed.rows {
        let case = case_of(&row.example);
        let (theirs, ours, parts) = bench.run(&case, &listed_flows());
        let shows = !parts.is_empty() && listed.allows(&case, &parts).is_some();
        assert!(shows, "{} does not show: {}", row.name, report(&case, &theirs, &ours, &parts));
    }
}

/// Flows on which the examples of the list show.
fn listed_flows() -> Vec<u8> {
    file("flows/compat.jsonl")
}

/// A command line as the list has it: settings first, words with quotes.
fn case_of(text: &str) -> Case {
    let mut case = Case::default();
    let mut word = String::new();
    let mut words = Vec::new();
    let (mut quoted, mut open) = (false, false);
    for c in text.chars() {
        match c {
            '\'' => (quoted, open) = (!quoted, true),
            ' ' if !quoted => {
                if open {
                    words.push(std::mem::take(&mut word));
                }
                open = false;
            }
            c => {
                word.push(c);
                open = true;
            }
        }
    }
    if open {
        words.push(word);
    }
    for word in words {
        match word.split_once('=') {
            Some((name, value)) if case.arguments.is_empty() && name == "CONFIG" => {
                case.config = Some(value.replace("\\n", "\n"));
            }
            Some((name, value))
                if case.arguments.is_empty() && name.chars().all(|c| c.is_ascii_uppercase() || c == '_') =>
            {
                case.variables.push((Box::leak(name.to_owned().into_boxed_str()), value.to_owned()));
            }
            _ => case.arguments.push(word),
        }
    }
    case
}

/// A path is that of a URL as Go reads it, so the URLs are made of what means something in one.
#[test]
fn paths_of_urls() {
    const PIECES: [&str; 36] = [
        "http",
        "https",
        "HTTP",
        "a+b",
        "1a",
        "://",
        ":",
        "/",
        "//",
        "?",
        "#",
        "@",
        "%41",
        "%zz",
        "%2f",
        "%25",
        "[",
        "]",
        "[::1]",
        "[fe80::1%25e]",
        "host",
        "a",
        "!",
        "$",
        "'",
        ";",
        "=",
        "\\\\",
        "|",
        "{",
        "<",
        "\u{e9}",
        " ",
        "8080",
        "..",
        "*",
    ];
    let random = &mut Random::new(number("DIFFERENTIAL_SEED", 1) as u64);
    let mut flows = String::new();
    for _ in 0..2_000 {
        let start = random.pick(&["", "http://", "https://", "//"]).to_owned();
        let url = (0..random.below(7)).fold(start, |url, _| url + random.pick(&PIECES));
        flows += &format!("{{\"flow\":{{\"l7\":{{\"http\":{{\"url\":\"{url}\"}}}}}}}}\n");
    }
    let cases = ["", "^/", "^$", "[^a-z/]"].map(|expression| {
        let mut case = observe("-o json --http-path");
        case.arguments.push(expression.to_owned());
        (case, flows.clone().into_bytes())
    });
    compare(&cases);
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
        "--time-format RFC3339Nano",
        "--time-format RFC1123Z",
        "-s",
        "-D",
    ];
    let mut cases = Vec::new();
    for flows in [file(REAL_FLOWS), file(EVERY_KIND), file("flows/damaged.jsonl"), file("flows/hostile.jsonl")] {
        for output in ["compact", "dict", "json", "table"] {
            cases.extend(styles.iter().map(|style| (observe(&format!("-o {output} {style}")), flows.clone())));
        }
    }
    compare(&cases);
}

#[test]
fn filters() {
    let conditions = include_str!("differential-filters.txt");
    let lines = conditions.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let flows = file(EVERY_KIND);
    let mut cases = Vec::new();
    for line in lines {
        cases.push((observe(line), flows.clone()));
        cases.push((observe(&format!("--not {line} -o json")), flows.clone()));
        let raw = Case { arguments: words(&format!("observe --print-raw-filters {line}")), ..Case::default() };
        cases.push((raw, Vec::new()));
    }
    compare(&cases);
}
