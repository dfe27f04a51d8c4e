//! Processes that are not the collector: the programs leave the payload of our own process alone.
//!
//! A child is this very test binary, told by the environment what to do.

use std::io::{BufRead, BufReader, IoSlice, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child as Process, Command, Stdio};

use super::super::AttachMode;
use super::lab;

const WORK: &str = "WEIR_CAPTURE_TEST_CHILD";
const NETNS: &str = "WEIR_CAPTURE_TEST_NETNS";

/// What the server answers to each request.
pub(super) const ANSWER_HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\n\
    Date: Wed, 25 Nov 2026 23:20:50 GMT\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 5\r\n\
    Connection: keep-alive\r\nVary: Accept-Encoding\r\n\r\n";
pub(super) const ANSWER_BODY: &[u8] = b"hello";

/// Request of the client.
pub(super) fn request(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").into_bytes()
}

/// A child process; it ends with the value.
pub(super) struct Child {
    process: Process,
    output: BufReader<std::process::ChildStdout>,
}

impl Child {
    /// Starts a child in a namespace.
    pub(super) fn start(namespace: &str, work: &str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "capture::tests::helper::child", "--nocapture", "--test-threads=1"])
            .env(WORK, work)
            .env(NETNS, namespace)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let output = BufReader::new(process.stdout.take().unwrap());
        Self { process, output }
    }

    pub(super) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// What follows the word in the next line of output that begins with it.
    pub(super) fn says(&mut self, word: &str) -> String {
        let mut line = String::new();
        while self.output.read_line(&mut line).unwrap() > 0 {
            // The test harness writes into the same line before the test runs.
            if let Some((_, rest)) = line.split_once(word) {
                return rest.trim().to_owned();
            }
            line.clear();
        }
        panic!("the child ended without a word of {word:?}");
    }

    /// Waits for its end.
    pub(super) fn finish(&mut self) {
        assert!(self.process.wait().unwrap().success());
    }

    /// Whether it has ended, which must have been well.
    pub(super) fn has_finished(&mut self) -> bool {
        self.process.try_wait().unwrap().is_some_and(|status| {
            assert!(status.success(), "{status}");
            true
        })
    }

    /// Ends it at once, without a chance to tidy up.
    pub(super) fn kill(&mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.process.kill();
        let _ended = self.process.wait();
    }
}

#[test]
fn child() {
    let Ok(work) = std::env::var(WORK) else { return };
    lab::enter(&std::env::var(NETNS).unwrap());
    let words: Vec<&str> = work.split(' ').collect();
    match words[..] {
        ["serve", address, connections] => serve(address.parse().unwrap(), connections.parse().unwrap()),
        ["get", address, path] => get(address.parse().unwrap(), path),
        ["upload", address] => upload(address.parse().unwrap()),
        ["speak", address, text] => speak(address.parse().unwrap(), text.as_bytes()),
        ["capture", ref rest @ ..] => {
            let attach = if rest == ["clsact"] { AttachMode::Clsact } else { AttachMode::Auto };
            let kernel = super::load(|config| config.attach = attach);
            println!("capturing {}", kernel.links_observed());
            std::io::stdin().read_exact(&mut [0]).ok();
        }
        _ => panic!("unknown work {work}"),
    }
}

/// Answers requests: the head by one piece of a gathered write, the body by another.
fn serve(address: SocketAddr, connections: usize) {
    let listener = TcpListener::bind(address).unwrap();
    println!("serving {}", listener.local_addr().unwrap().port());
    for _ in 0..connections {
        let (mut stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream.try_clone().unwrap());
        let mut line = String::new();
        while reader.read_line(&mut line).unwrap() > 0 {
            if line == "\r\n" {
                let written = stream.write_vectored(&[IoSlice::new(ANSWER_HEAD), IoSlice::new(ANSWER_BODY)]);
                assert_eq!(written.unwrap(), ANSWER_HEAD.len() + ANSWER_BODY.len());
            }
            line.clear();
        }
    }
    println!("served");
}

fn get(address: SocketAddr, path: &str) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&request(path)).unwrap();
    let mut answer = vec![0; ANSWER_HEAD.len() + ANSWER_BODY.len()];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(answer, [ANSWER_HEAD, ANSWER_BODY].concat());
}

/// Bytes of a body, and of the writes it goes in.
pub(super) const BODY_BYTES: usize = 400_000;
pub(super) const BODY_WRITE_BYTES: usize = 8_000;

/// Sends a request with a long body, and another request behind it.
fn upload(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(&upload_head()).unwrap();
    for part in vec![b'w'; BODY_BYTES].chunks(BODY_WRITE_BYTES) {
        stream.write_all(part).unwrap();
    }
    stream.write_all(&request("/after")).unwrap();
}

/// Head of the request with the long body: longer than the smallest record.
pub(super) fn upload_head() -> Vec<u8> {
    let cookie = "c".repeat(700);
    format!("POST /upload HTTP/1.1\r\nHost: test\r\nCookie: {cookie}\r\nContent-Length: {BODY_BYTES}\r\n\r\n")
        .into_bytes()
}

/// Says something that is no HTTP, twenty times.
fn speak(address: SocketAddr, text: &[u8]) {
    let mut stream = TcpStream::connect(address).unwrap();
    for _ in 0..20 {
        stream.write_all(text).unwrap();
    }
}
