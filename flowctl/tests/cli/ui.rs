//! `ui` on a real terminal of its own, against a server.

use std::io::{Read as _, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::observer::{Answers, RunningObserver};
use super::program::{WEIR_FLOWS, flowctl, flowctl_says, home};
use super::server::{flows, serving};

/// How long anything may take.
const SOON: Duration = Duration::from_secs(30);

/// `flowctl` on a terminal that `script` makes.
pub(crate) struct Terminal {
    child: Child,
    seen: Arc<Mutex<String>>,
}

impl Terminal {
    pub(crate) fn start(arguments: &str) -> Self {
        let program = flowctl(&[]).get_program().to_string_lossy().into_owned();
        // The shell tells its id, which stays that of the program it becomes.
        let command = format!("stty cols 120 rows 30; echo pid=$$; exec {program} {arguments}");
        let mut child = Command::new("script")
            .args(["-qefc", &command, "/dev/null"])
            .env_clear()
            .env("HOME", home())
            .env("TERM", "xterm-256color")
            .env("PATH", "/usr/bin:/bin")
            .env("SHELL", "/bin/sh")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let seen = Arc::new(Mutex::new(String::new()));
        let (mut output, text) = (child.stdout.take().unwrap(), seen.clone());
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(read @ 1..) = output.read(&mut buffer) {
                text.lock().unwrap().push_str(&String::from_utf8_lossy(&buffer[..read]));
            }
        });
        Self { child, seen }
    }

    pub(crate) fn type_keys(&mut self, keys: &str) {
        self.child.stdin.as_mut().unwrap().write_all(keys.as_bytes()).unwrap();
    }

    /// Waits until the terminal was sent this text after the last time, and forgets all up to it.
    #[track_caller]
    pub(crate) fn expect(&self, wanted: &str) {
        let deadline = Instant::now() + SOON;
        loop {
            {
                let mut seen = self.seen.lock().unwrap();
                if let Some(at) = seen.find(wanted) {
                    seen.drain(..at + wanted.len());
                    return;
                }
                assert!(Instant::now() < deadline, "no {wanted:?} in {:?}", *seen);
            }
            std::thread::yield_now();
        }
    }

    pub(crate) fn pid(&self) -> String {
        self.expect("pid=");
        let deadline = Instant::now() + SOON;
        loop {
            if let Some((pid, _)) = self.seen.lock().unwrap().split_once(['\r', '\n']) {
                return pid.to_owned();
            }
            assert!(Instant::now() < deadline, "no end of the line");
        }
    }

    pub(crate) fn end(&mut self) -> Option<i32> {
        let deadline = Instant::now() + SOON;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::yield_now();
        }
        panic!("it does not end: {:?}", self.seen.lock().unwrap());
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to end.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What leaves the other screen, and shows the cursor.
const LEFT: &str = "\u{1b}[?1049l";

fn server() -> RunningObserver {
    RunningObserver::start(Answers { keep_open: true, heeds_requests: true, ..serving(flows(WEIR_FLOWS)) })
}

#[test]
fn flows_groups_details_filters_and_the_end() {
    let server = server();
    let mut terminal = Terminal::start(&format!("ui {}", server.flag()));
    terminal.expect("\u{1b}[?1049h");
    terminal.expect("shop/intruder");
    terminal.expect("5 events lost");
    terminal.type_keys("2");
    terminal.expect("tcp 8080");
    terminal.type_keys("3");
    terminal.expect("POLICY_DENIED");
    terminal.type_keys("1/verdict=droped\r");
    terminal.expect("invalid --verdict value");
    terminal.type_keys("\u{15}verdict=dropped and bytes > 70B\r");
    let deadline = Instant::now() + SOON;
    while !server.requests().iter().any(|request| request.whitelist.iter().any(|filter| filter.verdict == [2])) {
        assert!(Instant::now() < deadline, "the filter is not sent: {:?}", server.requests());
        std::thread::yield_now();
    }
    terminal.expect("filter");
    terminal.type_keys("\r");
    terminal.expect("source.pod_name");
    terminal.type_keys("?");
    terminal.expect("forget");
    terminal.type_keys("\u{3}");
    terminal.expect(LEFT);
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn a_signal_gives_the_terminal_back() {
    let server = server();
    let mut terminal = Terminal::start(&format!("ui {}", server.flag()));
    let pid = terminal.pid();
    terminal.expect("shop/intruder");
    assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
    terminal.expect(LEFT);
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn a_server_that_is_not_there_is_told_and_tried_again() {
    let mut terminal = Terminal::start("ui --server 127.0.0.1:1 verdict=dropped");
    terminal.expect("connection refused");
    terminal.type_keys("q");
    terminal.expect(LEFT);
    assert_eq!(terminal.end(), Some(0));
}

#[test]
fn without_a_terminal_it_says_what_else_there_is() {
    let outcome = flowctl_says(&["ui"]);
    assert_eq!(outcome.code, Some(1));
    assert_eq!(
        outcome.stderr,
        "flowctl ui needs a terminal; for scripts there are flowctl observe and flowctl top --once\n"
    );
    let mut refused = Terminal::start("ui 'verdict=lost'");
    refused.expect("invalid --verdict value: LOST");
    assert_eq!(refused.end(), Some(1));
}
