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
    let path = home.join("hubble/config.yaml");
    for line in ["timeout: 1m30s", "tls: true", "server: localhost:4245", &format!("config: {}", path.display())] {
        assert!(view.lines().any(|l| l == line), "{line} is not in\n{view}");
    }
    assert_eq!(ok(home, &["reset", "timeout"]), "");
    assert_eq!(ok(home, &["get", "timeout"]), "5s\n");
    assert_eq!(ok(home, &["set", "tls"]), "");
    assert_eq!(ok(home, &["get", "tls"]), "false\n");
    assert_eq!(ok(home, &["reset"]), "");
    assert!(fs::read_to_string(path).unwrap().contains("timeout: 5s\ntls: false\n"));
}

#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    ok(home.path(), &["set", "basic-auth-password", "secret"]);
    let mode = fs::metadata(home.path().join("hubble/config.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn the_file_of_hubble_counts_unless_there_is_our_own() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::create_dir(home.join("hubble")).unwrap();
    let theirs = "server: hubble.example:443\ntls: true\nport-forward-port: \"4245\"\n";
    fs::write(home.join("hubble/config.yaml"), theirs).unwrap();
    assert_eq!(ok(home, &["get", "server"]), "hubble.example:443\n");
    ok(home, &["set", "timeout", "9s"]);
    let changed = "port-forward-port: \"4245\"\nserver: hubble.example:443\ntimeout: 9s\ntls: true\n";
    assert_eq!(fs::read_to_string(home.join("hubble/config.yaml")).unwrap(), changed);
    fs::create_dir(home.join("flowctl")).unwrap();
    fs::write(home.join("flowctl/config.yaml"), "server: ours:1\n").unwrap();
    assert_eq!(ok(home, &["get", "server"]), "ours:1\n");
    ok(home, &["set", "timeout", "8s"]);
    assert_eq!(fs::read_to_string(home.join("hubble/config.yaml")).unwrap(), changed);
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
fn a_wrong_timeout_is_as_none() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::create_dir(home.join("flowctl")).unwrap();
    fs::write(home.join("flowctl/config.yaml"), "timeout: {}\n").unwrap();
    ok(home, &["view"]);
    let status = || run(flowctl(&["status", "--server", "127.0.0.1:1"]).env("XDG_CONFIG_HOME", home));
    assert!(status().stderr.contains("cannot connect"), "{}", status().stderr);
    ok(home, &["set", "timeout", "5s"]);
    assert!(status().stderr.contains("cannot connect"), "{}", status().stderr);
}
