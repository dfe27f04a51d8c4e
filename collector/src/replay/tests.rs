//! Files through the source.

use std::io::Write;
use std::time::Instant;

use flow::FixedClock;
use flow::{LostEventSource, Verdict};
use proptest::prelude::*;

use super::*;
use crate::hostile;
use crate::pace::Pace;

const FLOW: &str = r#"{"flow":{"time":"2026-01-15T10:11:12.5Z","verdict":"FORWARDED","IP":{"source":"10.0.0.1","destination":"10.0.0.2","ipVersion":"IPv4"},"l4":{"TCP":{"source_port":40000,"destination_port":80,"flags":{"SYN":true}}},"node_name":"a","Type":"L3_L4"},"node_name":"a","time":"2026-01-15T10:11:12.5Z"}"#;
const BARE: &str = r#"{"time":"2026-01-15T10:11:13Z","verdict":"DROPPED","uuid":"b"}"#;
const LOST: &str = r#"{"lost_events":{"source":"HUBBLE_RING_BUFFER","num_events_lost":7},"node_name":"a","time":"2026-01-15T10:11:13Z"}"#;
const STATUS: &str = r#"{"node_status":{"state_change":"NODE_CONNECTED","node_names":["a"]},"node_name":"relay"}"#;
const NOW: Timestamp = Timestamp(2_000_000_000_000_000_000);

/// What a source hands over until it ends.
#[derive(Debug, Default)]
struct Got {
    flows: Vec<Flow>,
    lost: Vec<LostEvent>,
}

fn file(bytes: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(bytes).unwrap();
    file
}

fn drain(replay: &mut Replay, enough: impl Fn(&Got) -> bool) -> Result<Got, SourceError> {
    let mut got = Got::default();
    let deadline = Instant::now() + Duration::from_secs(30);
    while Instant::now() < deadline {
        let progress = replay.poll(Duration::from_millis(20), &mut |captured| match captured {
            Captured::Flow(flow) => got.flows.push(*flow),
            Captured::Lost(lost) => got.lost.push(lost),
            other => panic!("{other:?}"),
        })?;
        if progress == Progress::Finished || enough(&got) {
            return Ok(got);
        }
    }
    panic!("the file did not end; so far {got:?}");
}

fn play(bytes: &[u8], timing: Timing) -> (Result<Got, SourceError>, SourceStats) {
    let file = file(bytes);
    let mut replay = Replay::open(file.path(), timing, Arc::new(FixedClock::new(NOW))).unwrap();
    let got = drain(&mut replay, |_| false);
    (got, replay.stats())
}

#[test]
fn reads_every_kind_of_line() {
    let text = [FLOW, "", BARE, LOST, STATUS, "  "].join("\r\n");
    let (got, stats) = play(text.as_bytes(), Timing::default());
    let got = got.unwrap();
    assert_eq!(
        got.flows.iter().map(|f| f.time.to_string()).collect::<Vec<_>>(),
        ["2026-01-15T10:11:12.500Z", "2026-01-15T10:11:13Z"]
    );
    assert_eq!(got.flows[0].ip.as_ref().unwrap().destination.to_string(), "10.0.0.2");
    assert_eq!((got.flows[1].verdict, got.flows[1].id.to_string()), (Verdict::DROPPED, "b".to_owned()));
    assert_eq!((got.lost[0].source, got.lost[0].count), (LostEventSource::HUBBLE_RING_BUFFER, 7));
    assert_eq!((stats.seen, stats.lost_unreadable), (3, 0));
}

/// Lines that real agents wrote.
#[test]
fn reads_what_hubble_writes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/hubble-flows-real.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    let (got, stats) = play(text.as_bytes(), Timing::default());
    let got = got.unwrap();
    assert_eq!((stats.lost_unreadable, got.flows.len()), (0, text.lines().count()));
    assert!(got.flows.iter().all(|f| f.time.0 > 0 && f.verdict.0 != 0 && !f.node_name.is_empty()));
}

#[test]
fn damaged_lines_are_left_out_and_counted() {
    let long = format!("{{\"x\":\"{}\"}}", "y".repeat(LINE_BYTES_MAX));
    let lines: [&[u8]; 8] =
        [b"{", FLOW.as_bytes(), b"\xff\xfe", long.as_bytes(), b"{\"flow\":7}", b"[]", b"{}", BARE.as_bytes()];
    let (got, stats) = play(&lines.join(&b'\n'), Timing::default());
    assert_eq!(got.unwrap().flows.len(), 2);
    assert_eq!((stats.seen, stats.lost_unreadable), (8, 6));
}

#[test]
fn a_file_without_any_good_line_is_an_error_that_names_the_first() {
    let (got, stats) = play(b"time,source\n1,2\n", Timing::default());
    let error = got.unwrap_err();
    assert!(error.source_name.starts_with("replay file "), "{error}");
    let cause = error.cause.to_string();
    assert!(cause.contains("none of 2 lines") && cause.contains("line 1 cannot be read: not a line of"), "{cause}");
    assert_eq!(stats.lost_unreadable, 2);
    assert!(play(b"", Timing::default()).0.unwrap().flows.is_empty());
    let missing = Replay::open(Path::new("/nonexistent/flows.json"), Timing::default(), Arc::new(FixedClock::new(NOW)));
    assert_eq!(missing.unwrap_err().to_string(), "cannot open /nonexistent/flows.json");
}

#[test]
fn gzip_is_unpacked() {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all([FLOW, BARE].join("\n").as_bytes()).unwrap();
    let packed = packed.finish().unwrap();
    assert_eq!(play(&packed, Timing::default()).0.unwrap().flows.len(), 2);
    let (got, _) = play(&packed[..packed.len() - 9], Timing::default());
    assert!(got.is_err(), "a cut file is not taken for a whole one");
}

#[test]
fn the_pace_of_the_recording_is_kept() {
    let file = file([FLOW, BARE].join("\n").as_bytes());
    let clock = Arc::new(FixedClock::new(NOW));
    let timing = Timing { pace: Pace::Recorded, shift_to_now: true, repeat: false };
    let mut replay = Replay::open(file.path(), timing, clock.clone()).unwrap();
    let first = drain(&mut replay, |got| !got.flows.is_empty()).unwrap();
    assert_eq!(first.flows.iter().map(|f| f.time).collect::<Vec<_>>(), [NOW]);
    for _ in 0..3 {
        let progress = replay.poll(Duration::ZERO, &mut |captured| panic!("too early: {captured:?}")).unwrap();
        assert_eq!(progress, Progress::Idle);
    }
    clock.set(NOW.after(Duration::from_millis(500)));
    let second = drain(&mut replay, |_| false).unwrap();
    assert_eq!(second.flows.iter().map(|f| f.time).collect::<Vec<_>>(), [NOW.after(Duration::from_millis(500))]);
}

#[test]
fn a_demonstration_begins_again() {
    let file = file([FLOW, BARE].join("\n").as_bytes());
    let timing = Timing { repeat: true, shift_to_now: true, ..Timing::default() };
    let mut replay = Replay::open(file.path(), timing, Arc::new(FixedClock::new(NOW))).unwrap();
    let got = drain(&mut replay, |got| got.flows.len() >= 6).unwrap();
    assert_eq!(got.flows[1].id.to_string(), "b");
    assert_eq!(got.flows[3].id, FlowId::None, "two flows never have the same id");
    assert!(got.flows.iter().all(|f| f.time == NOW));
}

proptest! {
    #![proptest_config(hostile::config(1_000))]

    #[test]
    fn hostile_lines_are_flows_losses_or_damage(bytes in hostile::damaged(lines())) {
        match parse(&bytes, 7) {
            Line::Damaged(damage) => prop_assert!(damage.to_string().starts_with("line 7 ")),
            Line::Flow(flow) => prop_assert!(flow.summary.len() <= bytes.len()),
            Line::Lost(..) | Line::Ignored => {}
        }
    }
}

fn lines() -> Vec<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures/hubble-flows-real.jsonl");
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().chain([FLOW, BARE, LOST, STATUS]).map(|line| line.as_bytes().to_vec()).collect()
}
