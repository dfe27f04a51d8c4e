//! The program under test, cut off from the settings of whoever runs the test.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// Folder of the tests, in which all programs run, so that paths in arguments are short.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests")
}

/// Real flows, shared with the tests of other parts.
pub(crate) const REAL_FLOWS: &str = "../../tests/fixtures/hubble-flows-real.jsonl";
/// A flow of every kind that Hubble knows.
pub(crate) const EVERY_KIND: &str = "flows/every-kind.jsonl";
/// Flows with what Hubble has no field for.
pub(crate) const WEIR_FLOWS: &str = "flows/weir.jsonl";

/// The home of the programs, which has no files.
pub(crate) fn home() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join("flowctl-no-home")
}

/// A program with these arguments and an empty environment.
pub(crate) fn isolated(program: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_clear().env("HOME", home()).current_dir(folder()).stdin(Stdio::null());
    command
}

/// `flowctl` with these arguments.
pub(crate) fn flowctl(arguments: &[&str]) -> Command {
    isolated(Path::new(env!("CARGO_BIN_EXE_flowctl")), arguments)
}

/// What a program did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) code: Option<i32>,
}

impl From<Output> for Outcome {
    fn from(output: Output) -> Self {
        Self {
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
            code: output.status.code(),
        }
    }
}

/// Runs a program to its end.
pub(crate) fn run(command: &mut Command) -> Outcome {
    command.output().unwrap().into()
}

/// Runs a program to its end with this on standard input.
pub(crate) fn run_with_input_raw(command: &mut Command, input: &[u8]) -> Output {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // A program that has seen enough closes its input, so a failure to write says nothing.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// Runs a program to its end with this on standard input.
pub(crate) fn run_with_input(command: &mut Command, input: &[u8]) -> Outcome {
    run_with_input_raw(command, input).into()
}

/// Runs `flowctl` with these arguments.
pub(crate) fn flowctl_says(arguments: &[&str]) -> Outcome {
    run(&mut flowctl(arguments))
}
