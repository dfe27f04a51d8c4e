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
fn variables_that_are_no_text_are_refused_where_they_are_settings() {
    use std::os::unix::ffi::OsStrExt as _;
    let says = |name: &str| run(flowctl(&["version"]).env(name, std::ffi::OsStr::from_bytes(b"\xff")));
    assert_eq!(says("FOO").code, Some(0));
    for name in ["HUBBLE_SERVER", "FLOWCTL_TLS"] {
        let outcome = says(name);
        assert_eq!(
            (outcome.stderr, outcome.code),
            (format!("the environment variable {name} is not UTF-8\n"), Some(1))
        );
    }
}

#[test]
fn only_the_owner_may_read_the_file() {
    use std::os::unix::fs::PermissionsExt as _;
    let home = tempfile::tempdir().unwrap();
    ok(home.path(), &["set", "basic-auth-password", "secret"]);
    let mode = fs::metadata(home.path().join("hubble/config.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let folder = fs::metadata(home.path().join("hubble")).unwrap().permissions().mode();
    assert_eq!(folder & 0o027, 0, "{folder:o}");
}

#[test]
fn several_may_write_at_the_same_time() {
    let home = tempfile::tempdir().unwrap();
    let writers: Vec<_> = (0..12)
        .map(|i| {
            let name = format!("n{i}");
            flowctl(&["config", "set", "tls-server-name", &name]).env("XDG_CONFIG_HOME", home.path()).spawn().unwrap()
        })
        .collect();
    for mut writer in writers {
        assert!(writer.wait().unwrap().success());
    }
    let left: Vec<_> = fs::read_dir(home.path().join("hubble")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["config.yaml"]);
    assert!(ok(home.path(), &["get", "tls-server-name"]).starts_with('n'));
}

#[test]
fn what_a_link_leads_to_is_written_and_the_link_stays() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("hubble");
    fs::create_dir(&folder).unwrap();
    let link = folder.join("config.yaml");
    std::os::unix::fs::symlink("../theirs.yaml", &link).unwrap();
    for (setting, value) in [("tls", "true"), ("timeout", "9s")] {
        // The first time it leads to no file.
        ok(home.path(), &["set", setting, value]);
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink(), "after {setting}");
    }
    assert_eq!(fs::read_to_string(home.path().join("theirs.yaml")).unwrap(), "timeout: 9s\ntls: true\n");
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
fn a_file_is_written_in_the_language_of_its_name() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let set = |file: &str, more: &[&str]| {
        let path = home.join(file);
        let outcome = config(home, &[&["set", "--config", path.to_str().unwrap()], more].concat());
        (fs::read_to_string(path).unwrap_or_default(), outcome)
    };
    assert_eq!(set(".yaml", &["tls", "true"]).0, "tls: true\n");
    assert_eq!(set("c.json", &["timeout", "5s"]).0, "{\n  \"timeout\": 5000000000\n}");
    let more = set("c.json", &["tls-ca-cert-files", "a,<b>"]).0;
    assert!(more.contains("\"a\",\n    \"\\u003cb\\u003e\"\n"), "{more}");
    let outcome = config(home, &["get", "timeout", "--config", home.join("c.json").to_str().unwrap()]);
    assert_eq!(outcome.stdout, "5s\n");
    let (text, outcome) = set("c.toml", &["tls", "true"]);
    assert_eq!((text.as_str(), outcome.code), ("", Some(1)), "{}", outcome.stderr);
}

#[test]
fn dots_in_names_open_levels() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::create_dir(home.join("hubble")).unwrap();
    let path = home.join("hubble/config.yaml");
    fs::write(&path, "a.b: 1\nA:\n  c: [[x, y]]\n<<: {server: merged:1}\n1: number\n").unwrap();
    ok(home, &["set", "tls", "true"]);
    let written =
        "\"1\": number\na:\n    b: 1\n    c:\n        - - x\n          - \"y\"\nserver: merged:1\ntls: true\n";
    assert_eq!(fs::read_to_string(path).unwrap(), written);
    assert!(config(home, &["get", "a.c"]).stderr.contains("key=a.c not bound to a flag"));
    assert!(config(home, &["get", "a"]).stderr.contains("unknown key: a"));
}

#[test]
fn a_name_of_too_many_levels_is_told() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    fs::create_dir(home.join("hubble")).unwrap();
    let path = home.join("hubble/config.yaml");
    let text = |levels: usize| format!("? {}\n: {{b.c: 1}}\n", vec!["a"; levels].join("."));
    fs::write(&path, text(126)).unwrap();
    ok(home, &["set", "tls", "true"]);
    let written = fs::read_to_string(&path).unwrap();
    assert!(written.contains(&format!("{}c: 1\n", " ".repeat(4 * 127))), "{written}");
    for levels in [129, 400_000] {
        fs::write(&path, text(levels)).unwrap();
        let outcome = config(home, &["set", "tls", "true"]);
        let told = "a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a.a. has more than 128 levels\n";
        assert_eq!(outcome.code, Some(1));
        assert!(outcome.stderr.starts_with("cannot understand the configuration"), "{}", outcome.stderr);
        assert!(outcome.stderr.ends_with(told), "{}", outcome.stderr);
    }
}

#[test]
fn an_empty_name_has_the_file_looked_for() {
    let home = tempfile::tempdir().unwrap();
    let home = home.path();
    let server = |arguments: &[&str]| {
        let mut command = flowctl(&[&["config", "get", "server"], arguments].concat());
        run(command.env("XDG_CONFIG_HOME", home).env("HOME", home).current_dir(home)).stdout
    };
    fs::create_dir(home.join(".hubble")).unwrap();
    fs::write(home.join(".hubble/config.yml"), "server: fallback:1\n").unwrap();
    assert_eq!((server(&[]).as_str(), server(&["--config="]).as_str()), ("localhost:4245\n", "fallback:1\n"));
    fs::write(home.join("config.json"), "{\"server\": \"local:2\"}").unwrap();
    assert_eq!(server(&["--config="]), "local:2\n");
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
