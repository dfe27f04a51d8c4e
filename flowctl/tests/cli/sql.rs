//! `sql` against an HTTP server.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::thread::JoinHandle;

use super::program::{Outcome, flowctl, flowctl_says, run_with_input};

const ANSWER: &str = r#"{"columns":[{"name":"verdict","type":"Utf8"},{"name":"n","type":"Int64"}],
 "rows":[["DROPPED",17],[null,12345]],"elapsed_ms":1.5,"truncated":false}"#;

/// Answers one request with this, and gives back its first line and body.
pub(crate) fn serve_once(status: &str, body: &str) -> (String, JoinHandle<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len());
    let served = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        let mut length = 0;
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).unwrap();
            if line == "\r\n" {
                break;
            }
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
            head += &line;
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        reader.get_mut().write_all(answer.as_bytes()).unwrap();
        (head.lines().next().unwrap().to_owned(), String::from_utf8(body).unwrap())
    });
    (url, served)
}

fn ask(status: &str, body: &str, more: &[&str]) -> (Outcome, String, String) {
    let (url, served) = serve_once(status, body);
    let outcome = flowctl_says(&[&["sql", "--http-server", &url], more].concat());
    let (line, body) = served.join().unwrap();
    (outcome, line, body)
}

#[test]
fn answers_in_every_layout() {
    let query = "SELECT verdict, count(*) AS n FROM flows GROUP BY 1;";
    let (outcome, line, body) = ask("200 OK", ANSWER, &[query]);
    assert_eq!(outcome.stdout, "verdict      n\n-------  -----\nDROPPED     17\n         12345\n");
    assert_eq!((outcome.stderr.as_str(), outcome.code), ("", Some(0)));
    assert_eq!(line, "POST /api/v1/sql HTTP/1.1");
    let sent: serde_json::Value = serde_json::from_str(&body).unwrap();
    assert_eq!(sent, serde_json::json!({"query": query.trim_end_matches(';'), "format": "json"}));

    let (outcome, _, body) = ask("200 OK", "verdict,n\nDROPPED,17\n", &[query, "-o", "csv"]);
    assert_eq!(outcome.stdout, "verdict,n\nDROPPED,17\n");
    assert!(body.contains("\"format\":\"csv\""), "{body}");

    let (outcome, ..) = ask("200 OK", ANSWER, &[query, "-o", "json"]);
    assert_eq!(outcome.stdout, format!("{ANSWER}\n"));
}

#[test]
fn a_cut_off_answer_says_so() {
    let (outcome, ..) = ask("200 OK", &ANSWER.replace("\"truncated\":false", "\"truncated\":true"), &["SELECT 1"]);
    assert_eq!(outcome.code, Some(0));
    assert!(outcome.stderr.contains("cut off after 2 rows"), "{}", outcome.stderr);
}

#[test]
fn damaged_files_of_the_store_are_told() {
    let damaged = r#""damaged":["a.parquet is damaged: checksum","b","c","d","e","f"]"#;
    let (outcome, ..) = ask(
        "200 OK",
        &ANSWER.replace(r#""truncated":false"#, &format!("\"truncated\":false,{damaged}")),
        &["SELECT 1"],
    );
    let missing = "flowctl: flows of the store are missing: ";
    let told: Vec<&str> = outcome.stderr.lines().collect();
    assert_eq!(told[0], format!("{missing}a.parquet is damaged: checksum"));
    assert_eq!((told.len(), told[4]), (5, "flowctl: flows of 2 more damaged files are missing"));
    assert_eq!(outcome.code, Some(0));
    let head = "200 OK\r\nweir-damaged-files: 3";
    let (outcome, ..) = ask(head, "n\n1\n", &["SELECT 1", "-o", "csv"]);
    assert_eq!(outcome.stderr, "flowctl: flows of 3 damaged files of the store are missing: -o json names them\n");

    let completeness =
        r#""completeness":{"oldest":"","lost":0,"losses":[],"missing_nodes":[],"damaged":["a.parquet is damaged"]}"#;
    for (command, body) in [
        ("map", format!(r#"{{"nodes":[],"edges":[],"since":"","until":"",{completeness}}}"#)),
        ("top", format!(r#"{{"nodes":[],"edges":[],"since":"","until":"",{completeness}}}"#)),
        ("drops", format!(r#"{{"total":0,"groups":[],"timeline":[],{completeness}}}"#)),
    ] {
        let (url, served) = serve_once("200 OK", &body);
        let outcome = flowctl_says(&[command, "--http-server", &url]);
        served.join().unwrap();
        assert_eq!((outcome.stderr, outcome.code), (format!("{missing}a.parquet is damaged\n"), Some(0)), "{command}");
    }
}

#[test]
fn queries_come_from_files_and_pipes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("q.sql");
    std::fs::write(&file, "SELECT\n 2;\n").unwrap();
    let (_, _, body) = ask("200 OK", ANSWER, &["-f", file.to_str().unwrap()]);
    assert!(body.contains(r#""query":"SELECT\n 2""#), "{body}");

    let (url, served) = serve_once("200 OK", ANSWER);
    let outcome = run_with_input(&mut flowctl(&["sql", "--http-server", &url]), b"SELECT 3\n");
    assert_eq!(outcome.code, Some(0), "{}", outcome.stderr);
    assert!(served.join().unwrap().1.contains("SELECT 3"));
}

#[test]
fn refusals_are_passed_on() {
    let problem = r#"{"error":"no column is called vrdict","remedy":"DESCRIBE flows lists the columns"}"#;
    let (outcome, ..) = ask("400 Bad Request", problem, &["SELECT vrdict FROM flows"]);
    assert_eq!(
        (outcome.stderr.as_str(), outcome.code),
        ("no column is called vrdict; DESCRIBE flows lists the columns\n", Some(1))
    );
    let (outcome, ..) = ask("404 Not Found", "<html>\u{1b}[2J", &["SELECT 1"]);
    assert_eq!(
        (outcome.stderr.as_str(), outcome.code),
        ("the server refused the query with 404 Not Found: <html>^[[2J\n", Some(1))
    );
    let (outcome, ..) = ask("200 OK", "not json", &["SELECT 1"]);
    assert!(outcome.stderr.contains("answer cannot be understood"), "{}", outcome.stderr);
}

#[test]
fn a_relay_that_is_not_there_is_named_with_the_remedy() {
    // No server takes this port by chance.
    let address = "127.0.0.1:1";
    let outcome = flowctl_says(&["sql", "SELECT 1", "--http-server", address]);
    assert_eq!(
        (outcome.stderr, outcome.code),
        (format!("cannot connect to {address}: connection refused; is weir running? try: weir up\n"), Some(1))
    );
}
