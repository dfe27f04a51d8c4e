//! An object store that fails, is slow, does not answer, or lies about what it did.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use flow::{Endpoint, Flow, Timestamp, Workload};
use futures::stream::BoxStream;
use futures::{FutureExt as _, StreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path as Key;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore, PutMultipartOptions,
    PutOptions, PutPayload, PutResult, Result,
};
use table::FlowBatchBuilder;
use tokio::sync::Semaphore;

use crate::files::{Place, Remote};
use crate::{BatchOrigin, Config, Index, MapBy, Search, StoreConfig};

/// What the store does with a call.
#[derive(Clone, Debug)]
enum Mood {
    Good,
    /// Nothing is done.
    Fails,
    /// Writes are done, and said to have failed.
    LosesAnswers,
    /// Every call waits for a permit.
    Waits(Arc<Semaphore>),
}

/// An object store in memory with moods.
#[derive(Clone, Debug)]
struct Moody {
    inner: Arc<InMemory>,
    mood: Arc<Mutex<Mood>>,
}

impl Moody {
    fn new() -> Self {
        Self { inner: Arc::default(), mood: Arc::new(Mutex::new(Mood::Good)) }
    }

    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    /// Lets a call through; whether its answer is to be lost.
    async fn pass(&self) -> Result<bool> {
        let mood = self.mood.lock().unwrap().clone();
        match mood {
            Mood::Good => Ok(false),
            Mood::Fails => Err(failure()),
            Mood::LosesAnswers => Ok(true),
            Mood::Waits(permits) => {
                permits.acquire().await.unwrap().forget();
                Ok(false)
            }
        }
    }
}

fn failure() -> object_store::Error {
    object_store::Error::Generic { store: "moody", source: "503 slow down".into() }
}

impl fmt::Display for Moody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("moody")
    }
}

#[async_trait::async_trait]
impl ObjectStore for Moody {
    async fn put_opts(&self, key: &Key, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let lost = self.pass().await?;
        let put = self.inner.put_opts(key, payload, options).await;
        if lost { Err(failure()) } else { put }
    }

    async fn put_multipart_opts(&self, _: &Key, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        Err(failure())
    }

    async fn get_opts(&self, key: &Key, options: GetOptions) -> Result<GetResult> {
        self.pass().await?;
        self.inner.get_opts(key, options).await
    }

    async fn get_ranges(&self, key: &Key, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.pass().await?;
        self.inner.get_ranges(key, ranges).await
    }

    fn delete_stream(&self, keys: BoxStream<'static, Result<Key>>) -> BoxStream<'static, Result<Key>> {
        let (moody, inner) = (self.clone(), Arc::clone(&self.inner));
        let deleted = keys.then(move |key| {
            let (moody, inner) = (moody.clone(), Arc::clone(&inner));
            async move {
                // A store that loses answers to writes refuses this, so that what it wrote stays.
                if moody.pass().await? {
                    return Err(failure());
                }
                let key = key?;
                inner.delete_stream(futures::stream::once(async { Ok(key) }).boxed()).next().await.unwrap()
            }
        });
        deleted.boxed()
    }

    fn list(&self, prefix: Option<&Key>) -> BoxStream<'static, Result<ObjectMeta>> {
        let (moody, listed) = (self.clone(), self.inner.list(prefix));
        let passed = async move { moody.pass().await.map(|_| ()) };
        let first = passed.into_stream().filter_map(|passed| async { passed.err().map(Err) });
        first.chain(listed).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Key>) -> Result<ListResult> {
        self.pass().await?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Key, to: &Key, options: CopyOptions) -> Result<()> {
        self.pass().await?;
        self.inner.copy_opts(from, to, options).await
    }
}

fn at(second: u64) -> Timestamp {
    Timestamp::from_parts(1_768_471_872, 0).after(Duration::from_secs(second))
}

fn open(store: &Moody, folder: &Path) -> Index {
    let remote = Remote::over(Arc::new(store.clone()), Key::from("a/b"), Duration::from_secs(20)).unwrap();
    open_at(Place::Store(remote), folder)
}

fn open_at(place: Place, folder: &Path) -> Index {
    let config = Config { rows_max: 400, ..Config::default() };
    let settings = StoreConfig { file_rows: 100, ..StoreConfig::new(folder.to_owned()) };
    Index::open_at(config, settings, place).unwrap().0
}

/// Pushes ten flows, numbered on from ten times the batch before.
fn push(index: &Index, sequence: u64) -> std::result::Result<(), super::AppendError> {
    let mut builder = FlowBatchBuilder::new();
    let side = |name: &str| {
        let workloads = vec![Workload { name: name.to_owned(), kind: "Deployment".to_owned() }];
        Some(Arc::new(Endpoint { namespace: "shop".to_owned(), workloads, ..Endpoint::default() }))
    };
    for cookie in (sequence - 1) * 10..sequence * 10 {
        let (source, destination) = (side("web"), side("db"));
        let node_name = "n1".into();
        let flow = Flow { time: at(cookie), node_name, socket_cookie: cookie, source, destination, ..Flow::default() };
        builder.push(&flow).unwrap();
    }
    let origin = BatchOrigin { node: "n1".to_owned(), boot_id: 1, sequence, ..BatchOrigin::default() };
    index.append(&origin, &builder.finish()).map(|_| ())
}

fn held(index: &Index) -> Vec<u64> {
    index.snapshot().first(usize::MAX, Search::default()).iter().map(|flow| flow.socket_cookie).collect()
}

fn upkeep(index: &Index) -> io::Result<()> {
    while index.upkeep(at(1))?.more {}
    Ok(())
}

/// An index that has nothing in memory and the flows of twenty batches in two files.
fn open_with_files(store: &Moody, folder: &Path) -> Index {
    let index = open(store, folder);
    (1..=20).for_each(|n| push(&index, n).unwrap());
    index.seal_all(at(1)).unwrap();
    drop(index);
    open(store, folder)
}

/// Objects in the store.
fn objects(store: &Moody) -> usize {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(store.inner.list(None).count())
}

#[test]
fn a_store_that_fails_for_a_while_costs_nothing() {
    let (store, folder) = (Moody::new(), tempfile::tempdir().unwrap());
    let index = open(&store, folder.path());
    store.set(Mood::Fails);
    let mut taken = 0;
    let refusal = loop {
        match push(&index, taken + 1) {
            Ok(()) => taken += 1,
            Err(error) => break error,
        }
        assert!(taken < 10 || upkeep(&index).is_err());
    };
    // The memory is full of what could not be written; collectors keep the rest.
    assert!(refusal.is_transient() && taken >= 40, "{refusal} after {taken}");
    assert_eq!(held(&index), (0..taken * 10).collect::<Vec<_>>());
    assert!(index.store_stats().failures >= 30);
    drop(index);
    store.set(Mood::Good);
    let index = open(&store, folder.path());
    assert_eq!(held(&index), (0..taken * 10).collect::<Vec<_>>(), "from the log");
    index.seal_all(at(1)).unwrap();
    assert!(push(&index, taken + 1).is_ok());
    assert_eq!(held(&index), (0..(taken + 1) * 10).collect::<Vec<_>>());
    assert!(index.store_stats().files >= 4);
}

#[test]
fn a_slow_store_holds_up_neither_appending_nor_reading() {
    let (store, folder) = (Moody::new(), tempfile::tempdir().unwrap());
    let index = open(&store, folder.path());
    (1..=11).for_each(|n| push(&index, n).unwrap());
    let permits = Arc::new(Semaphore::new(0));
    store.set(Mood::Waits(permits.clone()));
    std::thread::scope(|scope| {
        let keeping = scope.spawn(|| upkeep(&index));
        // While its first file waits to be written, twice as many flows come and are read.
        for n in 12..=30 {
            push(&index, n).unwrap();
            assert_eq!(held(&index).len() as u64, n * 10);
            assert_eq!(index.store_stats().files, 0);
        }
        assert!(!keeping.is_finished());
        permits.add_permits(10_000);
        keeping.join().unwrap().unwrap();
    });
    index.seal_all(at(1)).unwrap();
    assert_eq!((index.store_stats().files, held(&index).len()), (3, 300));
    assert_eq!(index.store_stats().failures, 0);
}

#[test]
fn a_store_that_never_answers_is_given_up() {
    let (store, folder) = (Moody::new(), tempfile::tempdir().unwrap());
    let remote = Remote::over(Arc::new(store.clone()), Key::from("a"), Duration::from_millis(50)).unwrap();
    let index = open_at(Place::Store(remote), folder.path());
    (1..=11).for_each(|n| push(&index, n).unwrap());
    store.set(Mood::Waits(Arc::new(Semaphore::new(0))));
    let error = upkeep(&index).unwrap_err();
    assert!(error.kind() == io::ErrorKind::TimedOut && error.to_string().contains("did not answer in 50ms"), "{error}");
    store.set(Mood::Good);
    index.seal_all(at(1)).unwrap();
    // What was done is told while upkeep is at work again.
    let at_work = index.durable.as_ref().unwrap().keeping();
    assert_eq!(index.store_stats().rows_sealed, 110);
    drop(at_work);
    assert_eq!((index.store_stats().files, held(&index).len()), (2, 110));
}

#[test]
fn what_a_store_took_though_it_said_otherwise_is_there_once() {
    for lose_the_catalogue in [false, true] {
        let (store, folder) = (Moody::new(), tempfile::tempdir().unwrap());
        let index = open(&store, folder.path());
        for n in 1..=20 {
            push(&index, n).unwrap();
            // Each file comes in two tries, the first of which leaves something behind.
            if n % 10 == 0 {
                store.set(Mood::LosesAnswers);
                assert!(index.upkeep(at(n)).is_err());
                store.set(Mood::Good);
                assert_eq!(index.upkeep(at(n + 1)).unwrap().rows_sealed, 100);
            }
        }
        let left = objects(&store);
        assert!(left > 4, "two files, their counts, and what was left behind: {left}");
        drop(index);
        if lose_the_catalogue {
            std::fs::remove_file(folder.path().join("catalog.jsonl")).unwrap();
        }
        let index = open(&store, folder.path());
        assert_eq!(held(&index), (0..200).collect::<Vec<_>>());
        assert_eq!(objects(&store), 4, "what was left behind is gone");
    }
}

#[test]
fn files_that_cannot_be_read_now_are_named_and_come_back() {
    let (store, folder) = (Moody::new(), tempfile::tempdir().unwrap());
    let index = open_with_files(&store, folder.path());
    store.set(Mood::Fails);
    let failed = held(&index);
    assert!(failed.iter().all(|cookie| *cookie == 0), "nothing is made up: {failed:?}");
    let named = index.completeness(None, None).damaged;
    assert!(named.len() == 2 && named[0].contains("cannot read"), "{named:?}");
    assert!(push(&index, 21).is_ok(), "ingest goes on");
    store.set(Mood::Good);
    upkeep(&index).unwrap();
    assert_eq!(held(&index), (0..210).collect::<Vec<_>>());
    assert!(index.completeness(None, None).damaged.is_empty());
    assert_eq!(index.store_stats().files_set_aside, 0);
}

#[test]
fn an_answer_tells_of_files_that_could_not_be_read_for_a_moment() {
    let (store, folder) = (Moody::new(), tempfile::tempdir().unwrap());
    let index = open_with_files(&store, folder.path());
    let (before, snapshot) = (index.read_mark(), index.snapshot());
    let mut walk = snapshot.scan(Search::default(), crate::Order::OldestFirst);
    assert_eq!(walk.next().unwrap().flow().socket_cookie, 0);
    store.set(Mood::Fails);
    assert!(walk.count() < 199, "the second file cannot be read");
    store.set(Mood::Good);
    // The trouble has passed before the answer is at its end.
    upkeep(&index).unwrap();
    assert!(index.damaged(None, None).is_empty());
    let named = index.completeness_since(before, None, None).damaged;
    assert!(named.len() == 1 && named[0].contains("cannot read"), "{named:?}");
    assert!(index.damaged_since(before, Some(at(10_000)), None).is_empty(), "of another time");
    // Answers that were begun after it lack nothing.
    let after = index.read_mark();
    assert_eq!(held(&index), (0..200).collect::<Vec<_>>());
    assert!(index.damaged_since(after, None, None).is_empty());
}

/// Two files without counts, in an index that has nothing in memory.
fn without_counts(store: &Moody, folder: &Path) -> Index {
    drop(open_with_files(store, folder));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let counts = store.inner.list(Some(&Key::from("a/b/rollups"))).map(|found| found.map(|meta| meta.location));
        store.inner.delete_stream(counts.boxed()).for_each(|deleted| async { drop(deleted.unwrap()) }).await;
    });
    assert_eq!(objects(store), 2);
    open(store, folder)
}

#[test]
fn counts_of_what_could_not_be_read_are_not_kept() {
    let (store, folder) = (Moody::new(), tempfile::tempdir().unwrap());
    let index = without_counts(&store, folder.path());
    let map = || index.service_map_of_rollups(&Search::default(), MapBy::Workload);
    store.set(Mood::Fails);
    assert_eq!((map().source.as_str(), map().edges.len()), ("flows", 0));
    assert_eq!(index.completeness(None, None).damaged.len(), 2);
    store.set(Mood::Good);
    let map = map();
    assert!(map.source.starts_with("edges_1"), "{}", map.source);
    assert_eq!(map.edges.iter().map(|edge| edge.flows).sum::<u64>(), 200);
    assert_eq!(map.edges, index.snapshot().service_map(&Search::default(), MapBy::Workload).edges);
}

#[test]
fn counts_are_made_again_once_the_store_answers() {
    let (store, folder) = (Moody::new(), tempfile::tempdir().unwrap());
    let index = without_counts(&store, folder.path());
    drop(index.service_map_of_rollups(&Search::default(), MapBy::Workload));
    store.set(Mood::Fails);
    (0..5).for_each(|_| upkeep(&index).unwrap());
    assert_eq!(index.store_stats().rollups_made, 0);
    store.set(Mood::Good);
    // Those that were tried lately have their turn after the others.
    (0..2).for_each(|_| upkeep(&index).unwrap());
    assert_eq!((index.store_stats().rollups_made, objects(&store)), (2, 4));
}
