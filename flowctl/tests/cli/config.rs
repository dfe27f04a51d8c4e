//! `config` and where settings come from.

use std::fs;
use std::path::Path;

use super::program::{Outcome, flowctl, run};

fn config(home: &Path, arguments: &[&str]) -> Outcome {
    run(flowctl(&[&["config"], arguments].concat()).env("XDG_CONFIG_HOME", home))
}

fn ok(home: &Path, arguments: &[&str]) -> String {
    let Outcome { stdout, stderr, code } = config(home, arguments);
    assert_eq!((stderr.as_str(), code), ("", Some(0)), "{arguments:?}");
    stdout
}

#[test]
fn settings_are_set_shown_and_reset() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    assert_eq!(ok(home, &["get", "timeout"]), "5s\n");
    assert_eq!(ok(home, &["set", "timeout", "1m30s"]), "");
    assert_eq!(ok(home, &["set", "tls-ca-cert-files", "a.pem,b.pem"]), "");
    assert_eq!(ok(home, &["set", "tls", "true"]), "");
    assert_eq!(ok(home, &["get", "timeout"]), "1m30s\n");
    assert_eq!(ok(home, &["get", "tls-ca-cert-files"]), "- a.pem\n- b.pem\n");
    let view = ok(home, &["view"]);
    assert_eq!(ok(home, &["get"]), view);
    let path = home.join("flowctl/config.yaml");
    for line in ["timeout: 1m30s", "tls: true", "server: localhost:4245", &format!("config: {}", path.display())] {
        assert!(view.lines().any(|l| l == line), "{line} is not in\n{view}");
    }
    assert_eq!(ok(home, &["reset", "timeout"]), "");
    assert_eq!(ok(home, &["get", "timeout"]), "5s\n");
    assert_eq!(ok(home, &["set", "tls"]), "");
    assert_eq!(ok(home, &["get", "tls"]), "false\n");
    assert_eq!(ok(home, &["reset"]), "");
    assert_eq!(fs::read_to_string(path).unwrap(), "");
}

#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    ok(home.path(), &["set", "basic-auth-password", "secret"]);
    let mode = fs::metadata(home.path().join("flowctl/config.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_file_of_hubble_counts_until_there_is_our_own() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::create_dir(home.join("hubble")).unwrap();
    let theirs = "server: hubble.example:443\ntls: true\nport-forward-port: \"4245\"\n";
    fs::write(home.join("hubble/config.yaml"), theirs).unwrap();
    assert_eq!(ok(home, &["get", "server"]), "hubble.example:443\n");
    ok(home, &["set", "timeout", "9s"]);
    assert_eq!(ok(home, &["get", "server"]), "hubble.example:443\n", "our file begins as what counted so far");
    assert_eq!(ok(home, &["get", "timeout"]), "9s\n");
    assert_eq!(fs::read_to_string(home.join("hubble/config.yaml")).unwrap(), theirs);
}

#[test]
fn filters_that_were_printed_can_be_configured() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("filters.yaml");
    let printed =
        run(&mut flowctl(&["observe", "--print-raw-filters", "--pod", "xwing", "--not", "--http-path", "it's"]));
    fs::write(&file, &printed.stdout).unwrap();
    let again = run(&mut flowctl(&["observe", "--print-raw-filters", "--config", file.to_str().unwrap()]));
    assert_eq!(again, printed);
}

#[test]
fn a_wrong_value_in_the_file_is_named_and_can_be_repaired() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::create_dir(home.join("flowctl")).unwrap();
    fs::write(home.join("flowctl/config.yaml"), "timeout: {}\n").unwrap();
    let outcome = config(home, &["view"]);
    assert_eq!(outcome.code, Some(1));
    assert!(
        outcome.stderr.contains("flowctl/config.yaml has a value of the wrong type for timeout"),
        "{}",
        outcome.stderr
    );
    ok(home, &["set", "timeout", "5s"]);
    ok(home, &["view"]);
}
