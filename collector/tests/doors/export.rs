//! Flow logs written while a collector runs.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::bed::{Bed, lines, lost, scrape, write};
use collector::config::ExportConfig;

fn read(path: &Path) -> Vec<String> {
    std::fs::read_to_string(path).unwrap_or_default().lines().map(str::to_owned).collect()
}

/// Waits for a file to have so many lines.
async fn await_lines(path: &Path, count: usize) -> Vec<String> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let lines = read(path);
        if lines.len() >= count {
            return lines;
        }
        assert!(Instant::now() < deadline, "{} has {lines:?}", path.display());
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn the_log_of_the_settings_is_hubbles() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("flows.log");
    let text = |list: &[&str]| list.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let bed = Bed::start(&format!("{}{}", lines(1..=4), lost(7)), 4, |config| {
        config.export = ExportConfig {
            file_path: Some(log.display().to_string()),
            allow_list: text(&[r#"{"source_pod":["shop/even"]}"#]),
            deny_list: text(&[r#"{"source_port":["4"]}"#]),
            field_mask: text(&["time", "source.pod_name", "node_name", "l4.TCP.source_port"]),
            ..ExportConfig::default()
        };
    })
    .await;
    bed.stop().await;
    let lines = read(&log);
    let flow = concat!(
        r#"{"flow":{"time":"2026-01-15T10:00:01Z","l4":{"TCP":{"source_port":2}},"source":{"pod_name":"even-2"},"#,
        r#""node_name":"node-1"},"node_name":"node-1","time":"2026-01-15T10:00:01Z"}"#
    );
    assert_eq!(lines[0], flow);
    let loss =
        r#"{"lost_events":{"source":"PERF_EVENT_RING_BUFFER","num_events_lost":"7"},"node_name":"node-1","time":""#;
    assert!(lines.len() == 2 && lines[1].starts_with(loss), "{lines:?}");
}

#[tokio::test]
async fn agent_events_are_told_by_their_type_and_what_is_no_flow_is_denied_by_no_rule_on_flows() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let log = |name: &str, rest: &str| format!("- {{name: {name}, filePath: {}{rest}}}\n", place(name).display());
    let logs = [
        log("agent", ", includeFilters: [{event_type: [{type: 130}]}]"),
        log("other", ", includeFilters: [{event_type: [{type: 130, match_sub_type: true, sub_type: 3}]}]"),
        log("pods", ", includeFilters: [{source_pod: [shop/]}]"),
        log("denied", ", excludeFilters: [{source_pod: [shop/]}]"),
    ];
    let file = place("flowlogs.yaml");
    write(&file, &format!("flowLogs:\n{}", logs.concat()));
    let bed = Bed::start(&lines(1..=2), 2, |config| config.export.flow_logs_file = Some(file.clone())).await;
    bed.stop().await;
    let kinds = |name: &str| {
        let lines = read(&place(name));
        let count = |start: &str| lines.iter().filter(|line| line.starts_with(start)).count();
        (count(r#"{"agent_event""#), count(r#"{"flow""#))
    };
    assert_eq!(kinds("agent"), (1, 0));
    assert_eq!(kinds("other"), (0, 0));
    assert_eq!(kinds("pods"), (0, 2));
    assert_eq!(kinds("denied"), (1, 0));
}

#[tokio::test]
async fn without_filters_all_is_written_and_replays_again() {
    let directory = tempfile::tempdir().unwrap();
    let log = directory.path().join("flows.log");
    let bed = Bed::start(&lines(1..=20), 20, |config| {
        config.export.file_path = Some(log.display().to_string());
    })
    .await;
    bed.stop().await;
    let exported = read(&log);
    let flows: Vec<_> = exported.iter().filter(|line| line.starts_with(r#"{"flow":"#)).cloned().collect();
    let agent = r#"{"agent_event":{"type":"AGENT_STARTED","agent_start":{"time":""#;
    assert_eq!(exported.iter().filter(|line| line.starts_with(agent)).count(), 1, "{exported:?}");
    assert_eq!(flows.join("\n") + "\n", lines(1..=20), "what was read is what is written");
}

#[tokio::test]
async fn logs_of_a_file_come_change_and_go_while_it_runs() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let logs = place("flowlogs.yaml");
    let log = |name: &str, rest: &str| format!("- {{name: {name}, filePath: {}{rest}}}\n", place(name).display());
    // A pipe, so that flows come when the test wants them.
    let pipe = place("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut writer = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let mut feed = |text: String| std::io::Write::write_all(&mut writer, text.as_bytes()).unwrap();

    let aggregate = ", fieldAggregate: [source.namespace, destination.pod_name], aggregationInterval: 1h";
    let filter = ", includeFilters: [{source_pod: [shop/odd]}]";
    // One log that cannot be, and others that can.
    let wrong = log("wrong", ", includeFilters: [{source_ip: [nowhere]}]");
    write(&logs, &format!("flowLogs:\n{wrong}{}{}", log("a", filter), log("sums", aggregate)));
    let bed = Bed::start("", 0, |config| {
        config.source.file = Some(pipe.clone());
        config.export.flow_logs_file = Some(logs.clone());
    })
    .await;
    feed(lines(1..=4));
    assert_eq!(await_lines(&place("a"), 2).await.len(), 2);

    // A broken file changes nothing; a good one is taken up.
    write(&logs, "flowLogs: [{name: a}]");
    feed(lines(5..=6));
    assert_eq!(await_lines(&place("a"), 3).await.len(), 3);
    let failed = "hubble_dynamic_exporter_reconfigurations_total{op=\"failure\"}";
    let deadline = Instant::now() + Duration::from_secs(30);
    while !scrape(bed.running.metrics.unwrap()).await.contains(failed) {
        assert!(Instant::now() < deadline, "the broken file is not counted");
        tokio::task::yield_now().await;
    }
    let end = ", end: '2020-01-01T00:00:00Z'";
    write(&logs, &format!("flowLogs:\n{}{}", log("b", ""), log("over", end)));
    // The sums are written when their log goes.
    let sums = await_lines(&place("sums"), 2).await;
    assert!(sums.iter().any(|line| line.starts_with(r#"{"agent_event""#)), "{sums:?}");
    let sum = concat!(
        r#"{"flow":{"time":"2026-01-15T10:00:00Z","source":{"namespace":"shop"},"destination":{"pod_name":"db"},"#,
        r#""aggregate":{"egress_flow_count":6}},"time":"2026-01-15T10:00:00Z"}"#
    );
    assert!(sums.iter().any(|line| line == sum), "{sums:?}");
    feed(lines(7..=7));
    assert_eq!(await_lines(&place("b"), 1).await.len(), 1);
    let metrics = scrape(bed.running.metrics.unwrap()).await;
    for line in [
        "hubble_dynamic_exporter_exporters_total{status=\"active\"} 1",
        "hubble_dynamic_exporter_exporters_total{status=\"inactive\"} 1",
        "hubble_dynamic_exporter_up{name=\"b\"} 1",
        "hubble_dynamic_exporter_up{name=\"over\"} 0",
        "hubble_dynamic_exporter_reconfigurations_total{op=\"add\"} 4",
        "hubble_dynamic_exporter_reconfigurations_total{op=\"remove\"} 2",
    ] {
        assert!(metrics.lines().any(|told| told == line), "{line} is not in {metrics}");
    }
    assert!(!metrics.contains("op=\"update\""), "{metrics}");
    let number = |name: &str| {
        let line = metrics.lines().find(|line| line.starts_with(&format!("{name} "))).unwrap();
        line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()
    };
    assert!(number("hubble_dynamic_exporter_config_hash") > 0.0);
    assert!(number("hubble_dynamic_exporter_config_last_applied") > 1.7e9);
    assert_eq!((read(&place("a")).len(), read(&place("over")).len()), (3, 0));
    bed.stop().await;
}

#[tokio::test]
async fn a_log_that_takes_over_the_file_of_another_writes_to_it() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    let (logs, pipe) = (place("flowlogs.yaml"), place("pipe"));
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let mut writer = std::fs::OpenOptions::new().read(true).write(true).open(&pipe).unwrap();
    let mut feed = |text: String| std::io::Write::write_all(&mut writer, text.as_bytes()).unwrap();
    let log = |name: &str, file: &str, rest: &str| {
        format!(
            "- {{name: {name}, filePath: {}, includeFilters: [{{source_pod: [shop/]}}]{rest}}}\n",
            place(file).display()
        )
    };
    let seen = log("seen", "seen", "");
    let aggregate = ", fileMaxSizeMb: 1, fieldAggregate: [source.pod_name], aggregationInterval: 1h";
    write(&logs, &format!("flowLogs:\n{seen}{}", log("sums", "flows.log", aggregate)));
    let bed = Bed::start("", 0, |config| {
        config.source.file = Some(pipe.clone());
        config.export.flow_logs_file = Some(logs.clone());
    })
    .await;
    // The sums, which are written when their log ends, are more than a file may hold.
    feed((0..300).map(|n| lines(1..=1).replace("odd-1", &format!("{n:0>4000}"))).collect());
    await_lines(&place("seen"), 300).await;
    write(&logs, &format!("flowLogs:\n{seen}{}", log("after", "flows.log", "")));
    let begun = "hubble_dynamic_exporter_up{name=\"after\"} 1";
    let deadline = Instant::now() + Duration::from_secs(30);
    while !scrape(bed.running.metrics.unwrap()).await.contains(begun) {
        assert!(Instant::now() < deadline, "the other log does not begin");
        tokio::task::yield_now().await;
    }
    feed(lines(2..=2));
    await_lines(&place("seen"), 301).await;
    bed.stop().await;
    let files: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    let sums = files.iter().filter(|file| file.to_string_lossy().contains("flows-")).flat_map(|file| read(file));
    let (sums, flows) = (sums.collect::<Vec<_>>(), read(&place("flows.log")));
    assert!(flows.last().is_some_and(|line| line.contains("even-2")), "it is where the log is looked for");
    assert!(!sums.is_empty() && sums.iter().all(|line| line.contains("aggregate")), "a file was set aside");
    assert_eq!(sums.len() + flows.len(), 301);
}
