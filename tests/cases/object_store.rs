//! Flows in a store that speaks S3: written, read, found again after a crash, and looked after from outside.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use demo::topology::{Running, wait_until};
use serde_json::Value;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use weir_tests::pusher::{Order, Pusher};
use weir_tests::{Relay, SOON, binary, own_address, python};

const COUNT: &str = "SELECT count(*), count(DISTINCT socket_cookie) FROM flows";
const BUCKET: &str = "flows";

/// A server that speaks S3 and forgets everything when it ends.
struct S3 {
    _process: Running,
    url: String,
}

impl S3 {
    /// Starts moto's server, with an empty bucket; `None` where it is not installed.
    fn start(folder: &Path) -> Result<Option<Self>> {
        let Some(python) = python("object_store") else { return Ok(None) };
        let address = own_address()?;
        let log = std::fs::File::create(folder.join("s3.log"))?;
        let mut command = Command::new(python);
        command.args(["-m", "moto.server", "-H", &address.ip().to_string(), "-p", &address.port().to_string()]);
        let process = Running::start("an S3 server", command.stdout(log.try_clone()?).stderr(log))?;
        let url = format!("http://{address}");
        let bucket = format!("{url}/{BUCKET}");
        wait_until("the S3 server has a bucket", SOON, || ureq::put(&bucket).send_empty().ok())
            .with_context(|| std::fs::read_to_string(folder.join("s3.log")).unwrap_or_default())?;
        Ok(Some(Self { _process: process, url }))
    }

    fn environment(&self) -> Vec<String> {
        let endpoint = format!("AWS_ENDPOINT={}", self.url);
        let others = ["AWS_ACCESS_KEY_ID=a", "AWS_SECRET_ACCESS_KEY=b", "AWS_REGION=us-east-1", "AWS_ALLOW_HTTP=true"];
        others.into_iter().map(str::to_owned).chain([endpoint]).collect()
    }

    /// Objects whose keys begin so.
    fn objects(&self, prefix: &str) -> Result<usize> {
        let url = format!("{}/{BUCKET}?list-type=2&prefix={prefix}", self.url);
        Ok(ureq::get(&url).call()?.body_mut().read_to_string()?.matches("<Key>").count())
    }
}

/// Runs `weir store ACTION --json`.
fn store(action: &str, s3: &S3, place: &[String]) -> Result<Value> {
    let mut command = Command::new("env");
    command.args(s3.environment()).arg(binary("weir")?).args(["store", action, "--json"]);
    for setting in place {
        command.args(["--set", setting]);
    }
    let out = command.output()?;
    ensure!(out.status.success(), "weir store {action}: {}", String::from_utf8_lossy(&out.stderr));
    Ok(serde_json::from_slice(&out.stdout)?)
}

#[test]
fn flows_live_in_a_bucket() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let Some(s3) = S3::start(folder.path())? else { return Ok(()) };
    let place = [
        format!("relay.store.place=s3://{BUCKET}/a/prefix"),
        format!("relay.store.log_dir={}", folder.path().join("log").display()),
    ];
    let others = [
        "relay.store.file_age_ms=200".to_owned(),
        // Little fits into memory, so that queries read from the bucket.
        "relay.index.flows_max=4000".to_owned(),
        "relay.store.file_flows=1000".to_owned(),
        "relay.store.keep_hours=1000000".to_owned(),
        "log.filter=warn".to_owned(),
    ];
    let settings = [&place[..], &others[..]].concat();
    let mut relay = Relay::start_with_env(folder.path(), &settings, &s3.environment())?;
    let pusher = Arc::new(Pusher::new("node-1", 79));
    let runtime = Runtime::new()?;
    for _ in 0..3 {
        let (orders, receiver) = watch::channel(Order::Go);
        let running = runtime.spawn(pusher.clone().run(relay.grpc().to_owned(), receiver));
        let before = pusher.acknowledged();
        wait_until("flows are in the bucket", SOON, || {
            (pusher.acknowledged() > before + 6_000 && relay.metric("weir_relay_store_files").ok()? > 3).then_some(())
        })
        .with_context(|| format!("{}\n{}", pusher.trouble(), relay.log()))?;
        relay.kill()?;
        orders.send(Order::Stop)?;
        runtime.block_on(running)?;
        relay.restart()?;
        let rows = relay.sql(COUNT)?;
        let held = rows[0][0].as_u64().context("a number")?;
        assert!(held >= pusher.acknowledged() && pusher.is_end_of_batch(held), "{held}");
        assert_eq!(rows[0][0], rows[0][1]);
    }
    let (_orders, receiver) = watch::channel(Order::Finish);
    let running = runtime.spawn(pusher.clone().run(relay.grpc().to_owned(), receiver));
    runtime.block_on(async { tokio::time::timeout(SOON, running).await })??;
    wait_until("all is in files", SOON, || {
        (relay.metric("weir_relay_store_file_rows").ok()? == pusher.last()).then_some(())
    })?;
    let expected: Vec<Value> = vec![pusher.last().into(), pusher.last().into()];
    assert_eq!(relay.sql(COUNT)?, [expected]);
    assert_eq!(relay.metric("weir_relay_store_upkeep_failures_total")?, 0, "{}", relay.log());
    let (listed, verified) = (store("ls", &s3, &place)?, store("verify", &s3, &place)?);
    let files = listed["files"].as_array().context("a list")?.len();
    assert_eq!((verified["files"].as_u64(), listed["flows"].as_u64()), (Some(files as u64), Some(pusher.last())));
    // A file of flows and one of counts each, and nothing of an earlier life.
    assert_eq!(s3.objects("a/prefix/flows/")?, files);
    assert_eq!(s3.objects("a/prefix/rollups/")?, files);
    relay.stop()
}
