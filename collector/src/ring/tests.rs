use proptest::prelude::*;

use super::*;

/// Reads all there is: (values, lost).
fn drain(reader: &mut Reader<u64>) -> (Vec<u64>, u64) {
    let (mut values, mut lost) = (Vec::new(), 0);
    loop {
        match reader.read() {
            Read::Value(value) => values.push(value),
            Read::Lost(n) => lost += n,
            Read::Passed => unreachable!("everything is wanted"),
            Read::Empty => return (values, lost),
        }
    }
}

#[test]
fn an_overtaken_reader_learns_the_exact_loss() {
    let (mut writer, ring) = ring(4);
    let mut reader = ring.reader_at(0);
    for n in 0..10 {
        writer.push(n);
    }
    writer.publish();
    assert_eq!(drain(&mut reader), (vec![6, 7, 8, 9], 6));
    assert_eq!((ring.held(), ring.oldest(), ring.head()), (4, 6, 10));
    let mut lookup = ring.lookup();
    let found = [5, 6, 10].map(|number| lookup.find(number));
    assert_eq!(found, [Found::Overwritten(9), Found::Value(6), Found::Nothing]);
}

#[test]
fn pushed_values_show_once_published() {
    let (mut writer, ring) = ring(8);
    let mut reader = ring.reader_at_tip();
    writer.push(1);
    assert_eq!(reader.read(), Read::Empty);
    writer.publish();
    assert_eq!(reader.read(), Read::Value(1));
}

proptest! {
    #[test]
    fn written_is_got_plus_lost(capacity in 1usize..40, steps in prop::collection::vec((0usize..60, 0usize..60, 0usize..20, any::<bool>()), 1..60)) {
        let (mut writer, ring) = ring(capacity);
        let mut archivist = ring.archivist();
        let mut reader = ring.reader_at(0);
        let (mut written, mut got, mut lost, mut last) = (0u64, 0u64, 0u64, None);
        for (pushes, reads, packs, publish) in steps {
            for _ in 0..pushes {
                writer.push(written);
                written += 1;
            }
            if publish {
                writer.publish();
            }
            pack(&mut archivist, packs);
            for _ in 0..reads {
                match reader.read() {
                    Read::Value(value) => {
                        prop_assert!(last < Some(value));
                        prop_assert_eq!(value, got + lost);
                        last = Some(value);
                        got += 1;
                    }
                    Read::Lost(n) => lost += n,
                    Read::Passed => unreachable!("everything is wanted"),
                    Read::Empty => break,
                }
            }
        }
        writer.publish();
        let (rest, more) = drain(&mut reader);
        prop_assert_eq!(written, got + rest.len() as u64 + lost + more);
    }
}

#[test]
fn a_reader_in_another_thread_accounts_for_every_value() {
    const TOTAL: u64 = 200_000;
    let (mut writer, ring) = ring(64);
    let mut reader = ring.reader_at(0);
    let (mut archivist, stop) = (ring.archivist(), Arc::new(std::sync::atomic::AtomicBool::new(false)));
    let packing = std::thread::spawn({
        let stop = stop.clone();
        move || {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                pack(&mut archivist, 7);
            }
        }
    });
    let reading = std::thread::spawn(move || {
        let (mut got, mut lost, mut next) = (0u64, 0u64, 0u64);
        while got + lost < TOTAL {
            match reader.read() {
                Read::Value(value) => {
                    assert_eq!(value, next);
                    next += 1;
                    got += 1;
                }
                Read::Lost(n) => {
                    next += n;
                    lost += n;
                }
                Read::Passed => unreachable!("everything is wanted"),
                Read::Empty => std::thread::yield_now(),
            }
        }
        (got, lost)
    });
    for n in 0..TOTAL {
        writer.push(n);
        if n % 7 == 0 {
            writer.publish();
        }
    }
    writer.publish();
    let (got, lost) = reading.join().unwrap();
    stop.store(true, std::sync::atomic::Ordering::Relaxed);
    packing.join().unwrap();
    assert_eq!(got + lost, TOTAL);
}

/// Packed numbers, for the histories of these tests.
#[derive(Clone, Debug)]
struct Numbers(Vec<u64>);

impl Packed<u64> for Numbers {
    fn open(&self, _wanted: Option<&BatchFilter>) -> Box<dyn Unpack<u64>> {
        Box::new(self.clone())
    }
}

impl Unpack<u64> for Numbers {
    fn value(&self, at: usize) -> Option<u64> {
        Some(self.0[at])
    }

    fn time(&self, _at: usize) -> Option<Timestamp> {
        None
    }
}

/// Packs up to so many values.
fn pack(archivist: &mut Archivist<u64>, count: usize) {
    let mut values = Vec::new();
    let numbers = archivist.next(count, |_, value| values.push(value));
    assert_eq!(values, numbers.clone().collect::<Vec<_>>());
    if !numbers.is_empty() {
        archivist.put(numbers, Arc::new(Numbers(values)));
    }
}

#[tokio::test]
async fn waiting_ends_when_the_writer_is_gone_and_all_is_read() {
    let (mut writer, ring) = ring(8);
    let mut reader = ring.reader_at(0);
    writer.push(1);
    writer.publish();
    drop(writer);
    assert_eq!(reader.wait().await, Ok(()));
    assert_eq!(reader.read(), Read::Value(1));
    assert_eq!(reader.wait().await, Err(Ended));
}
