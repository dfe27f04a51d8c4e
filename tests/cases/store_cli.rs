//! `weir store` as an operator uses it: on the store of a relay that runs, of one that does not, and with damage.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use demo::topology::wait_until;
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use weir_tests::pusher::{Order, Pusher};
use weir_tests::{Relay, SOON, binary};

/// The store of a test.
struct Store(PathBuf);

impl Store {
    fn run(&self, args: &[&str]) -> Result<Output> {
        let place = format!("relay.store={}", self.0.display());
        Ok(Command::new(binary("weir")?).arg("store").args(args).args(["--set", &place]).output()?)
    }

    /// What a command prints.
    fn text(&self, args: &[&str]) -> Result<String> {
        let out = self.run(args)?;
        ensure!(out.status.success(), "weir store {args:?}: {}", String::from_utf8_lossy(&out.stderr));
        ensure!(out.stderr.is_empty(), "no bar where there is no terminal: {}", String::from_utf8_lossy(&out.stderr));
        Ok(String::from_utf8(out.stdout)?)
    }

    fn json(&self, args: &[&str]) -> Result<Value> {
        Ok(serde_json::from_str(&self.text(&[args, &["--json"]].concat())?)?)
    }

    /// What a command says when it fails, and what it printed.
    fn refusal(&self, args: &[&str]) -> Result<(String, String)> {
        let out = self.run(args)?;
        ensure!(out.status.code() == Some(1), "weir store {args:?} ended with {}", out.status);
        Ok((String::from_utf8(out.stderr)?, String::from_utf8(out.stdout)?))
    }

    fn files(&self) -> Result<Vec<String>> {
        let listed = self.json(&["ls"])?;
        let files = listed["files"].as_array().context("a list")?;
        files.iter().map(|file| Ok(file["path"].as_str().context("a path")?.to_owned())).collect()
    }

    fn flip(&self, path: &str, at: impl Fn(usize) -> usize) -> Result<Vec<u8>> {
        let path = self.0.join(path);
        let whole = std::fs::read(&path)?;
        let mut flipped = whole.clone();
        flipped[at(whole.len())] ^= 1;
        std::fs::write(path, flipped)?;
        Ok(whole)
    }
}

/// Flows in a store that a relay keeps open.
fn fill(relay: &Relay, runtime: &Runtime, flows: u64) -> Result<u64> {
    let pusher = Arc::new(Pusher::new("node-1", 80));
    let (orders, receiver) = watch::channel(Order::Go);
    let running = runtime.spawn(pusher.clone().run(relay.grpc().to_owned(), receiver));
    wait_until("flows are taken", SOON, || (pusher.acknowledged() >= flows).then_some(()))
        .with_context(|| format!("{}\n{}", pusher.trouble(), relay.log()))?;
    orders.send(Order::Finish)?;
    runtime.block_on(async { tokio::time::timeout(SOON, running).await })??;
    wait_until("all is in files", SOON, || {
        (relay.metric("weir_relay_store_file_rows").ok()? == pusher.last()).then_some(())
    })?;
    Ok(pusher.last())
}

fn settings(store: &Path) -> Vec<String> {
    vec![
        format!("relay.store={}", store.display()),
        "relay.store.file_age_ms=100".to_owned(),
        "relay.store.file_flows=1000".to_owned(),
        "relay.index.flows_max=4000".to_owned(),
        "relay.store.keep_hours=1000000".to_owned(),
        "relay.store.compact=false".to_owned(),
        "log.filter=warn".to_owned(),
    ]
}

#[test]
fn a_store_is_looked_after() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let store = Store(folder.path().join("store"));
    let runtime = Runtime::new()?;
    let mut relay = Relay::start(folder.path(), &settings(&store.0))?;
    let flows = fill(&relay, &runtime, 8_000)?;

    // While the relay runs.
    let files = store.files()?;
    assert!(files.len() >= 4, "{files:?}");
    let listed = store.json(&["ls"])?;
    assert_eq!(listed["flows"].as_u64(), Some(flows));
    let table = store.text(&["ls"])?;
    assert!(table.starts_with("OLDEST") && files.iter().all(|file| table.contains(file)), "{table}");
    assert!(table.trim_end().lines().last().is_some_and(|l| l.contains(&format!("{} files", files.len()))), "{table}");
    let verified = store.json(&["verify"])?;
    assert_eq!(
        (verified["files"].as_u64(), verified["damaged"].as_array().map(Vec::len)),
        (Some(files.len() as u64), Some(0))
    );
    assert!(verified["log_files"].as_u64() > Some(0), "{verified}");
    let exported = folder.path().join("flows.parquet");
    let exported = exported.display().to_string();
    assert_eq!(store.json(&["export", &exported])?["flows"].as_u64(), Some(flows));
    for args in [&["compact"][..], &["import", &exported]] {
        let (said, _) = store.refusal(args)?;
        assert!(said.contains("another relay uses") && said.contains("stop it"), "{said}");
    }
    assert_eq!(relay.sql("SELECT count(*) FROM flows")?[0][0].as_u64(), Some(flows));
    relay.stop()?;

    compact_and_import(&store, folder.path(), &exported, flows)?;
    damage(&store)
}

/// While no relay runs.
fn compact_and_import(store: &Store, folder: &Path, exported: &str, flows: u64) -> Result<()> {
    let before = store.files()?.len() as u64;
    let done = store.json(&["compact"])?;
    // The flows are of an hour in the future of nobody: all files of it become one.
    let now = store.files()?.len() as u64;
    assert_eq!((done["files_before"].as_u64(), done["files"].as_u64()), (Some(before), Some(now)));
    assert_eq!(store.json(&["ls"])?["flows"].as_u64(), Some(flows));

    let other = Store(folder.join("other"));
    let taken = other.json(&["import", exported])?;
    assert_eq!(taken["flows"].as_u64(), Some(flows));
    assert!(other.text(&["import", exported])?.contains("0 flows taken in"));
    assert_eq!(other.json(&["ls"])?["flows"].as_u64(), Some(flows));
    assert!(other.text(&["verify"])?.contains("0 damaged"));
    // A file that cannot be read is passed over and named.
    let path = other.files()?.pop().context("a file")?;
    let file = other.0.join(&path);
    std::fs::remove_file(&file)?;
    std::os::unix::fs::symlink(&file, &file)?;
    let done = other.json(&["compact"])?;
    assert!(done["not_compacted"][0].as_str().is_some_and(|problem| problem.contains(&path)), "{done}");
    assert!(other.text(&["compact"])?.contains(&format!("passed over: cannot read {path}")));
    // A part of it, by time: the flows are a tenth of a millisecond apart.
    let oldest = store.json(&["ls"])?["files"][0]["oldest"].as_str().context("a time")?.to_owned();
    let part = folder.join("part.parquet").display().to_string();
    assert_eq!(store.json(&["export", &part, "--until", &oldest])?["flows"].as_u64(), Some(1));
    let (said, _) = store.refusal(&["export", &part, "--since", "yesterday"])?;
    assert!(said.contains("--since is no time such as 2026-01-31T07:00:00Z"), "{said}");
    let (said, _) = Store(folder.join("nowhere")).refusal(&["ls"])?;
    assert!(said.contains("there is no store at") && said.contains("--set relay.store=PLACE"), "{said}");
    // What cannot be read is named, and the rest is taken in.
    let more = Store(folder.join("more"));
    let (said, printed) = more.refusal(&["import", "/dev/null", exported, "nowhere.parquet"])?;
    assert!(said.contains("2 of 3 files could not be read") && said.contains("cannot take in /dev/null: "), "{said}");
    assert!(
        said.contains("cannot take in nowhere.parquet: ") && printed.contains("flows taken in"),
        "{said} {printed}"
    );
    assert_eq!(more.json(&["ls"])?["flows"].as_u64(), Some(flows));
    Ok(())
}

/// The rest is exported, and what is missing named.
fn export_past_damage(store: &Store, path: &str) -> Result<()> {
    let to = store.0.join("exported.parquet").display().to_string();
    let all = store.json(&["ls"])?["flows"].as_u64().context("a number")?;
    let (said, printed) = store.refusal(&["export", &to, "--json"])?;
    assert!(said.contains(path) && said.contains("the rest was copied") && said.contains("copy it back"), "{said}");
    let done: Value = serde_json::from_str(&printed)?;
    let missing = done["unread"][0]["flows_at_most"].as_u64().context("a number")?;
    assert_eq!((done["unread"][0]["path"].as_str(), done["flows"].as_u64()), (Some(path), Some(all - missing)));
    assert!(missing > 0, "{done}");
    Ok(())
}

/// Which byte of a file of this length to damage.
type Flip = fn(usize) -> usize;

/// Damage in each kind of file is found, named with what to do, and left as it is.
fn damage(store: &Store) -> Result<()> {
    let file = store.files()?.pop().context("a file")?;
    let counts = file.replacen("flows/", "rollups/", 1);
    let log: Vec<_> = std::fs::read_dir(store.0.join("wal"))?.collect::<Result<_, _>>()?;
    let log = log.iter().max_by_key(|entry| entry.metadata().map_or(0, |m| m.len())).context("a log")?;
    let log = format!("wal/{}", log.file_name().to_string_lossy());
    // The log begins with a mark of 8 bytes and a frame of 20 and what is in it.
    let cases: [(&str, Flip, &str); 3] = [
        (&file, |bytes| bytes / 3, "copy it back"),
        (&counts, |bytes| bytes / 3, "counts the flows of its file again"),
        (&log, |_| 40, "passes over it"),
    ];
    for (path, at, remedy) in cases {
        let whole = store.flip(path, at)?;
        let (said, printed) = store.refusal(&["verify"])?;
        assert!(said.contains(path) && said.contains("remedy: ") && said.contains(remedy), "{path}: {said}");
        assert!(printed.contains("1 damaged"), "{printed}");
        let (_, printed) = store.refusal(&["verify", "--json"])?;
        let found: Value = serde_json::from_str(&printed)?;
        assert_eq!(found["damaged"][0]["path"].as_str(), Some(path), "{found}");
        assert!(store.0.join(path).exists());
        if path == file {
            export_past_damage(store, path)?;
        }
        std::fs::write(store.0.join(path), whole)?;
    }
    store.text(&["verify"]).map(|_| ())
}
