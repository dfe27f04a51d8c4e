//! Both programs on the same input, and where they differ.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::arguments::{Case, FLOWS};
use super::listed::Listed;
use crate::cli::program::run_with_input_raw;

/// What a program did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
    /// The configuration file afterwards.
    pub(crate) config: Option<String>,
}

/// A folder of its own for each side, so that neither sees what the other wrote.
pub(crate) struct Bench {
    folder: tempfile::TempDir,
    hubble: PathBuf,
}

/// Parts in which two runs can differ.
pub(crate) const PARTS: [&str; 4] = ["stdout", "stderr", "exit", "config"];

impl Bench {
    pub(crate) fn new(hubble: &Path) -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder, hubble: hubble.to_owned() }
    }

    /// Runs both, and tells in which parts they differ.
    pub(crate) fn run(&self, case: &Case, flows: &[u8]) -> (Outcome, Outcome, Vec<&'static str>) {
        let theirs = self.side(&self.hubble, case, flows);
        let ours = self.side(Path::new(env!("CARGO_BIN_EXE_flowctl")), case, flows);
        let same = [
            theirs.stdout == ours.stdout,
            meaning(&theirs) == meaning(&ours),
            theirs.code == ours.code,
            theirs.config == ours.config,
        ];
        let differing = PARTS.into_iter().zip(same).filter(|(_, same)| !same).map(|(part, _)| part).collect();
        (theirs, ours, differing)
    }

    fn side(&self, program: &Path, case: &Case, flows: &[u8]) -> Outcome {
        // The same path on both sides, for it is printed.
        let home = self.folder.path().join("home");
        if home.exists() {
            fs::remove_dir_all(&home).unwrap();
        }
        let folder = home.join(".config/hubble");
        fs::create_dir_all(&folder).unwrap();
        let config = folder.join("config.yaml");
        if let Some(text) = &case.config {
            fs::write(&config, text).unwrap();
        }
        let work = self.folder.path().join("work");
        fs::create_dir_all(&work).unwrap();
        fs::write(work.join(FLOWS), flows).unwrap();
        let mut command = Command::new(program);
        command.args(&case.arguments).env_clear().env("HOME", &home).current_dir(&work).stdin(Stdio::null());
        command.envs(case.variables.iter().map(|(name, value)| (name, value)));
        let output = run_with_input_raw(&mut command, if case.pipe { flows } else { b"" });
        Outcome {
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code(),
            config: fs::read_to_string(&config).ok(),
        }
    }
}

/// What standard error says, without how it says it: the kind of the failure, which warnings there are, and news about
/// nodes word for word.
fn meaning(outcome: &Outcome) -> Vec<String> {
    let failed = outcome.code != Some(0);
    let mut kinds: Vec<String> = Vec::new();
    let mut lines = Vec::new();
    for line in outcome.stderr.lines() {
        let lower = line.to_lowercase();
        if lower.contains("level=debug") || lower.contains("level=error") {
            continue;
        }
        let kind = WARNINGS.iter().find(|(words, _)| words.iter().any(|word| lower.contains(word)));
        match kind {
            // Where it ends the program, it is the failure.
            Some((_, "")) if !failed => {}
            Some((_, "")) => lines.push(line.to_owned()),
            Some((_, kind)) => kinds.push((*kind).to_owned()),
            None => lines.push(line.to_owned()),
        }
    }
    if failed {
        // The failure is the last thing said; everything before it stands for itself.
        let text = lines.join("\n").to_lowercase();
        let failure = FAILURES.iter().find(|(words, _)| words.iter().any(|word| text.contains(word)));
        kinds.push(failure.map_or(text, |(_, kind)| (*kind).to_owned()));
    } else {
        kinds.extend(lines);
    }
    kinds.sort();
    kinds.dedup();
    kinds
}

/// Words of a warning, and its kind; an empty kind is one that only one of the two gives, and which is harmless.
const WARNINGS: &[(&[&str], &str)] = &[
    (&["failed to unmarshal json to flow", "is not a flow and is left out", "lines are not flows"], "damaged line"),
    (&["unknown field detected"], "unknown field"),
    // Go's library writes a message for people as it likes, with one space or two.
    (&["unknown node status event"], "news of an unknown kind"),
    (&["the configuration"], ""),
];

/// Words of a failure, in the order in which they are looked for, and its kind.
const FAILURES: &[(&[&str], &str)] = &[
    (&["unknown flag", "unknown shorthand flag", "bad flag syntax"], "no such flag"),
    (&["flag needs an argument"], "no value"),
    (&["invalid argument"], "bad value"),
    (&["unknown command"], "no such command"),
    (&["trailing --not"], "trailing --not"),
    (&["cannot set both"], "contradiction"),
    (&["invalid output format", "unknown output format"], "no such layout"),
    (&["not compatible with follow"], "table with follow"),
    (&["not compatible with custom field mask"], "mask with text"),
    (&["failed to construct field mask"], "bad mask"),
    (&["failed to parse the since time", "failed to parse the until time", "timestamp to proto"], "bad time"),
    (&["invalid --allowlist flag", "invalid --denylist flag"], "bad raw filter"),
    (&["cannot use --input-file and"], "file and port forward"),
    (&["failed to port forward", "failed to create k8s"], "no cluster"),
    (&["config file undefined"], "no file of settings"),
    (&["code = deadlineexceeded"], "too late"),
    (
        &[
            "connection refused",
            "no such socket",
            "no answer within",
            "transport: error while dialing",
            "connection error",
        ],
        "no connection",
    ),
    (&["name resolver error", "failed to lookup address", "is not an address"], "no such server"),
    (&["no such file or directory"], "no such file"),
    (&["token too long"], "line too long"),
    (&["--last must be"], "too many"),
    (&["error compiling cel expression"], "bad expression"),
    (&["invalid flag(s)"], "contradicting settings"),
    (&["cannot load cert", "open a:", "cannot read a pem"], "bad certificate"),
    (&["invalid filter, name must not be empty"], "empty name"),
    (&["label filter"], "bad label"),
    (&["protocol filter"], "bad protocol"),
    (&["port filter"], "bad port"),
    (&["status code filter", "status code requires"], "bad status"),
    (&["requires the event type filter"], "needs l7"),
    (&["http path filter", "http url filter", "dns query filter"], "bad regular expression"),
    (&["pattern"], "bad pattern"),
    (&["invalid ip address", "invalid ip prefix"], "bad address"),
    (&["unknown key"], "no such key"),
    (&["not bound to a flag"], "key without flag"),
    (&["cannot assign value"], "bad setting"),
    (&["invalid arguments"], "wrong number of arguments"),
    (&["unhandeld type", "unhandled type"], "setting that cannot be set"),
    (&["transport level security"], "needs TLS"),
    (&["parsing config", "cannot understand the configuration", "not a list of"], "bad configuration"),
    (&["kube", "k8s"], "no cluster"),
];

/// A report of a difference for people.
pub(crate) fn report(case: &Case, theirs: &Outcome, ours: &Outcome, parts: &[&str]) -> String {
    let mut text = format!("{}\n  differs in {}\n", Listed::shell(case), parts.join(", "));
    if parts.contains(&"stdout") {
        let lines = |outcome: &Outcome| {
            outcome
                .stdout
                .split(|b| *b == b'\n')
                .map(|line| String::from_utf8_lossy(line).into_owned())
                .collect::<Vec<_>>()
        };
        let (left, right) = (lines(theirs), lines(ours));
        let at = left.iter().zip(&right).position(|(l, r)| l != r).unwrap_or(left.len().min(right.len()));
        let line = |lines: &[String]| lines.get(at).map_or("(end)".to_owned(), |line| format!("{line:?}"));
        text += &format!("    line {}\n    hubble:  {}\n    flowctl: {}\n", at + 1, line(&left), line(&right));
    }
    if parts.contains(&"config") {
        text += &format!("    file of hubble:  {:?}\n    file of flowctl: {:?}\n", theirs.config, ours.config);
    }
    let short = |text: &str| text.chars().take(300).collect::<String>();
    text += &format!(
        "    hubble:  exit {:?} {:?}\n    flowctl: exit {:?} {:?}\n",
        theirs.code,
        short(&theirs.stderr),
        ours.code,
        short(&ours.stderr)
    );
    text
}
