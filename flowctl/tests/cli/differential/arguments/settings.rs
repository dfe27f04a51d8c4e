//! The configuration: keys, values, files.

use super::{Case, variables, words};
use crate::cli::differential::random::Random;

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
            "<<",
            "1e400",
        ])
        .to_owned()
}

pub(super) fn config(random: &mut Random, case: &mut Case) {
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
            "--config=",
            "--config .yaml",
            "--config c.json",
        ])));
    }
}

pub(super) fn config_file(random: &mut Random) -> String {
    let mut text = String::new();
    for _ in 0..random.below(5) {
        let line = random.pick(&[
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
            "nested.key: 1\n",
            "nested.list: [[a, [b]], {c: 1}]\n",
            "kube-context: 1e21\n",
            "kubeconfig: -0.0\n",
            "kube-context: <<\n",
            "<<: {server: merged:4}\n",
            "true: x\n",
            "hollow: {a: {}, b: null}\n",
            "---\nserver: second:5\n",
            "tls-server-name: \"a\\nb\"\n",
        ]);
        // Which one counts of keys that differ in their letters' case hubble decides anew each time.
        let key = |line: &str| line.split(':').next().unwrap_or_default().to_owned();
        let is_twin = |other: &str| key(other) != key(line) && key(other).eq_ignore_ascii_case(&key(line));
        if !text.lines().any(is_twin) {
            text += line;
        }
    }
    if random.percent(5) {
        text += random.pick(&["  : broken", "just a text", "- a\n- b\n", "{"]);
    }
    text
}
