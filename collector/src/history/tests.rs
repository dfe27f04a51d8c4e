use flow::{Endpoint, Flow, FlowFilter, FlowId, LostEventSource, Verdict};

use super::*;
use crate::ring::{Found, Read, Reader, Ring, ring};

/// A flow that differs from its neighbours, and repeats what flows repeat.
fn flow(n: u64) -> Flow {
    let source = Endpoint { namespace: "shop".to_owned(), pod_name: format!("web-{}", n % 7), ..Endpoint::default() };
    Flow {
        time: Timestamp(i64::try_from(n).unwrap() * 1_001),
        id: FlowId::Text(format!("flow {n}").into()),
        verdict: if n.is_multiple_of(5) { Verdict::DROPPED } else { Verdict::FORWARDED },
        source: Some(Arc::new(source)),
        summary: format!("summary {}", n % 3),
        ..Flow::default()
    }
}

/// Events with a loss now and then, as many as `ring` was given.
fn event(n: u64) -> Event {
    if n % 97 == 13 {
        let lost = LostEvent { source: LostEventSource::PERF_EVENT_RING_BUFFER, count: n, ..LostEvent::default() };
        return Event::Lost(Arc::new((Timestamp(0), lost)));
    }
    Event::Flow(Arc::new(flow(n)))
}

fn number(event: &Event) -> u64 {
    match event {
        Event::Lost(lost) => lost.1.count,
        Event::Flow(seen) => {
            let n = u64::try_from(seen.time.0).unwrap() / 1_001;
            assert_eq!(**seen, flow(n), "flow {n} is as it was");
            n
        }
    }
}

/// A history of `capacity` in which `written` events were packed as far as they are to be.
async fn packed(capacity: usize, written: u64) -> Ring<Event> {
    let (mut writer, ring) = ring(capacity);
    let keeping = tokio::spawn(keep(ring.archivist()));
    for n in 0..written {
        writer.push(event(n));
        if n % 100 == 0 {
            writer.publish();
            tokio::task::yield_now().await;
        }
    }
    writer.publish();
    drop(writer);
    keeping.await.unwrap();
    ring
}

fn read_all(mut reader: Reader<Event>) -> Vec<u64> {
    let mut numbers = Vec::new();
    loop {
        match reader.read() {
            Read::Value(event) => numbers.push(number(&event)),
            Read::Lost(lost) => panic!("{lost} events are missing"),
            Read::Passed => {}
            Read::Empty => return numbers,
        }
    }
}

#[tokio::test]
async fn older_flows_are_rows_and_come_back_as_they_were() {
    let written = 20_000;
    let ring = packed(written, written as u64).await;
    let objects = ring.held() - ring.packed();
    assert!(objects < NEWEST + RUN as u64, "{objects} of {written} are objects still");
    assert_eq!(read_all(ring.reader_at(0)), (0..written as u64).collect::<Vec<_>>());
    let mut lookup = ring.lookup();
    for n in (0..written as u64).rev().step_by(61) {
        let Found::Value(found) = lookup.find(n) else { panic!("event {n} is not found") };
        assert_eq!(number(&found), n);
        let time = if n % 97 == 13 { None } else { Some(flow(n).time) };
        assert_eq!(lookup.time(n), time, "time of event {n}");
    }
}

#[tokio::test]
async fn what_is_overwritten_leaves_the_rows_too() {
    let ring = packed(5_000, 17_777).await;
    assert_eq!((ring.oldest(), ring.held()), (12_777, 5_000));
    assert!(ring.packed() > 5_000 - NEWEST - RUN as u64 && ring.packed() <= 5_000 - NEWEST);
    assert_eq!(read_all(ring.reader_at(ring.oldest())), (12_777..17_777).collect::<Vec<_>>());
    let mut late = ring.reader_at(12_000);
    assert!(matches!(late.read(), Read::Lost(777)));
}

#[tokio::test]
async fn a_small_history_has_objects_only() {
    let ring = packed(1_024, 9_999).await;
    assert_eq!((ring.held(), ring.packed()), (1_024, 0));
    assert_eq!(read_all(ring.reader_at(ring.oldest())).len(), 1_024);
}

#[tokio::test]
async fn rows_that_are_not_wanted_are_left_out_but_losses_never() {
    let ring = packed(10_000, 10_000).await;
    let dropped = FlowFilter { verdict: vec![Verdict::DROPPED], ..FlowFilter::default() };
    let filter = Some(Arc::new(BatchFilter::compile(&[dropped], &[]).unwrap()));
    let read = read_all(ring.reader_at(0).wanting(filter.clone()));
    let is_wanted = |n: &u64| n % 97 == 13 || n.is_multiple_of(5);
    let all_packed = ring.packed();
    let (in_rows, newest): (Vec<u64>, Vec<u64>) = read.iter().partition(|n| **n < all_packed);
    assert_eq!(in_rows, (0..all_packed).filter(is_wanted).collect::<Vec<_>>());
    assert_eq!(newest, (all_packed..10_000).collect::<Vec<_>>(), "objects are for the reader to filter");
    let mut lookup = ring.lookup().wanting(filter);
    assert!(matches!(lookup.find(1), Found::Unwanted));
    assert_eq!(lookup.time(1), Some(flow(1).time));
}
