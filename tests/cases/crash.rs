//! A relay that is killed loses nothing it acknowledged, shows nothing twice and no half batch.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use demo::topology::wait_until;
use tokio::runtime::Runtime;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weir_tests::pusher::{Order, Pusher};
use weir_tests::{Relay, SOON};

/// Kills without `WEIR_CRASH_KILLS`.
const KILLS: u64 = 8;
/// Longest life of a relay once it takes flows, in milliseconds; every kill comes at another moment of it.
const LIFE_MS_MAX: u64 = 900;

/// What the relay has of a node: flows, different flows, the highest number.
#[derive(Debug, Default, PartialEq, Eq)]
struct Held {
    flows: u64,
    different: u64,
    highest: u64,
}

fn held(relay: &Relay, node: &str) -> Result<Held> {
    let rows = relay.sql(&format!(
        "SELECT count(*), count(DISTINCT socket_cookie), coalesce(max(socket_cookie), 0) FROM flows WHERE node_name = '{node}'"
    ))?;
    let number = |column: usize| rows[0][column].as_u64().context("a count is a number");
    Ok(Held { flows: number(0)?, different: number(1)?, highest: number(2)? })
}

/// Everything acknowledged is there once, and nothing ends within a batch.
fn check(relay: &Relay, pushers: &[Arc<Pusher>]) -> Result<()> {
    for pusher in pushers {
        let acknowledged = pusher.acknowledged();
        let held = held(relay, pusher.node())?;
        ensure!(held.flows == held.different, "{}: a flow is there twice: {held:?}", pusher.node());
        ensure!(held.flows == held.highest, "{}: a flow is missing: {held:?}", pusher.node());
        ensure!(held.flows >= acknowledged, "{}: {acknowledged} were acknowledged: {held:?}", pusher.node());
        ensure!(pusher.is_end_of_batch(held.highest), "{}: half a batch: {held:?}", pusher.node());
    }
    Ok(())
}

fn push(
    runtime: &Runtime,
    relay: &Relay,
    pushers: &[Arc<Pusher>],
    order: Order,
) -> (watch::Sender<Order>, Vec<JoinHandle<()>>) {
    let (orders, receiver) = watch::channel(order);
    let run = |pusher: &Arc<Pusher>| runtime.spawn(pusher.clone().run(relay.grpc().to_owned(), receiver.clone()));
    (orders, pushers.iter().map(run).collect())
}

fn settings(folder: &std::path::Path) -> Vec<String> {
    vec![
        format!("relay.store={}", folder.join("store").display()),
        // Small limits, so that every life of the relay seals, cuts the log and evicts.
        "relay.store.log_file_bytes=200000".to_owned(),
        "relay.store.file_flows=10000".to_owned(),
        "relay.store.file_age_ms=400".to_owned(),
        "relay.index.flows_max=40000".to_owned(),
        // The flows are of a time of their own.
        "relay.store.keep_hours=1000000".to_owned(),
        "relay.sql.deadline_ms=120000".to_owned(),
        "log.filter=warn".to_owned(),
    ]
}

#[test]
fn a_killed_relay_loses_nothing_and_repeats_nothing() -> Result<()> {
    let kills = std::env::var("WEIR_CRASH_KILLS").ok().map_or(Ok(KILLS), |text| text.parse())?;
    let folder = tempfile::tempdir()?;
    let runtime = Runtime::new()?;
    let mut relay = Relay::start(folder.path(), &settings(folder.path()))?;
    let pushers: Vec<Arc<Pusher>> = (1..=3).map(|n| Arc::new(Pusher::new(&format!("node-{n}"), 1_000 + n))).collect();
    for kill in 0..kills {
        let before: Vec<u64> = pushers.iter().map(|pusher| pusher.acknowledged()).collect();
        let (orders, running) = push(&runtime, &relay, &pushers, Order::Go);
        wait_until("every collector has an acknowledgment", SOON, || {
            pushers.iter().zip(&before).all(|(pusher, before)| pusher.acknowledged() > *before).then_some(())
        })
        .with_context(|| format!("{}\n{}", pushers[0].trouble(), relay.log()))?;
        // Not a wait for something: the kill has to come at any moment.
        let moment = Duration::from_millis(kill.wrapping_mul(7_919) % LIFE_MS_MAX);
        runtime.block_on(async { tokio::time::sleep(moment).await });
        relay.kill()?;
        orders.send(Order::Stop)?;
        for task in running {
            runtime.block_on(task)?;
        }
        relay.restart()?;
        if let Err(error) = check(&relay, &pushers) {
            let kept = folder.keep();
            return Err(error.context(format!("after kill {kill}, see {}:\n{}", kept.display(), relay.log())));
        }
    }
    // What is left goes to the relay, and then everything is there.
    let (_orders, running) = push(&runtime, &relay, &pushers, Order::Finish);
    for task in running {
        runtime.block_on(async { tokio::time::timeout(SOON, task).await })??;
    }
    relay.stop()?;
    relay.restart()?;
    let mut flows = 0;
    for pusher in &pushers {
        let last = pusher.last();
        assert_eq!(held(&relay, pusher.node())?, Held { flows: last, different: last, highest: last });
        flows += last;
    }
    println!("{kills} kills, {flows} flows, each there once");
    relay.stop()
}
