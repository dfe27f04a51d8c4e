//! Rows for other programs: CSV, flat JSON lines, Arrow, Parquet; and all of them as inputs.

use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::observer::RunningObserver;
use super::program::{EVERY_KIND, REAL_FLOWS, WEIR_FLOWS, flowctl, flowctl_says, folder, run_with_input_raw};
use super::server::{flows, serving};

const FORMATS: [&str; 4] = ["csv", "ndjson", "arrow", "parquet"];

/// Standard output of `flowctl` with these arguments, which succeeds.
fn output(arguments: &[&str]) -> Vec<u8> {
    let output = flowctl(arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn of_file(file: &str, more: &[&str]) -> Vec<u8> {
    output(&[&["observe", "--input-file", file], more].concat())
}

/// The output for this on standard input.
fn piped(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = run_with_input_raw(&mut flowctl(&[&["observe", "--input-file", "-"], arguments].concat()), input);
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// The flows alone of an output in JSON: losses and news about nodes are no rows.
fn flows_alone(json: Vec<u8>) -> String {
    let text = String::from_utf8(json).unwrap();
    text.lines().filter(|line| line.starts_with("{\"flow\":")).map(|line| format!("{line}\n")).collect()
}

#[test]
fn flows_come_back_from_every_format() {
    for file in [REAL_FLOWS, WEIR_FLOWS, EVERY_KIND] {
        // What the table cannot hold, such as an address that is none, is lost on the way there; nothing is after that.
        let expected = flows_alone(piped(&["-o", "json"], &of_file(file, &["-o", "arrow"])));
        // JSON may say the same twice, such as the number of a reason beside its name; what people see is the same.
        if file != EVERY_KIND {
            let flows = |text: Vec<u8>| {
                let text = String::from_utf8(text).unwrap();
                text.lines().filter(|line| !line.contains("EVENTS LOST")).map(str::to_owned).collect::<Vec<_>>()
            };
            let arrow = of_file(file, &["-o", "arrow"]);
            for layout in ["wide", "compact"] {
                assert_eq!(flows(piped(&["-o", layout], &arrow)), flows(of_file(file, &["-o", layout])), "{file}");
            }
        }
        for format in FORMATS {
            let rows = of_file(file, &["-o", format]);
            assert_eq!(String::from_utf8(piped(&["-o", "json"], &rows)).unwrap(), expected, "{file} as {format}");
            assert_eq!(piped(&["-o", format], &rows), rows, "{file} as {format} again");
        }
    }
}

#[test]
fn rows_of_a_server_are_those_of_a_file() {
    let server = RunningObserver::start(serving(flows(WEIR_FLOWS)));
    for format in FORMATS {
        assert_eq!(
            output(&["observe", &server.flag(), "-o", format]),
            of_file(WEIR_FLOWS, &["-o", format]),
            "{format}"
        );
    }
}

#[test]
fn columns_of_text_formats_stay_as_they_are() {
    let csv = String::from_utf8(of_file(REAL_FLOWS, &["-o", "csv", "--last", "1"])).unwrap();
    let header = csv.lines().next().unwrap();
    let documented = include_str!("../../../docs/sql.md");
    for name in header.split(',') {
        assert!(documented.contains(&format!("| `{name}` |")), "{name} is not in docs/sql.md");
    }
    assert!(header.starts_with("time,uuid,id_text,node_name,"), "{header}");
    let none = String::from_utf8(of_file(REAL_FLOWS, &["-o", "csv", "--verdict", "AUDIT"])).unwrap();
    assert_eq!(none, format!("{header}\n"), "the header stands even where there are no flows");
    let line = String::from_utf8(of_file(REAL_FLOWS, &["-o", "ndjson", "--first", "1"])).unwrap();
    let row: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(row["time"], "2025-04-16T18:49:59.450463857Z");
    assert_eq!(row["uuid"], "60e8fedd-6d98-49d8-b7f6-cb84455757ab");
    assert_eq!((&row["src_workload"], &row["dst_port"]), (&"kapinger-good".into(), &60778.into()));
    assert_eq!(row["src_labels"], serde_json::json!(["k8s:app=kapinger", "k8s:server=good"]));
    assert_eq!((row.get("http_url"), row.get("time_ns")), (None, None));
}

#[test]
fn filters_and_selectors_work_on_every_format() {
    let json = of_file(WEIR_FLOWS, &["-o", "json"]);
    let total = flows_alone(json).lines().count();
    for format in FORMATS {
        let rows = of_file(WEIR_FLOWS, &["-o", format]);
        let count = |more: &[&str]| {
            let text = piped(&[&["-o", "json"], more].concat(), &rows);
            String::from_utf8(text).unwrap().lines().count()
        };
        assert_eq!((count(&[]), count(&["--first", "2"]), count(&["--last", "2"])), (total, 2, 2), "{format}");
        let (passed, rest) = (count(&["--verdict", "DROPPED"]), count(&["--not", "--verdict", "DROPPED"]));
        assert!(passed > 0 && rest > 0 && passed + rest == total, "{format}: {passed} and {rest} of {total}");
        let first = piped(&["-o", "compact", "--first", "1"], &rows);
        let all = piped(&["-o", "compact"], &rows);
        assert!(all.starts_with(&first) && first.len() < all.len(), "{format}");
    }
}

#[test]
fn what_has_no_columns_is_refused() {
    let says = |arguments: &[&str]| flowctl_says(arguments).stderr;
    let events = says(&["observe", "agent-events", "-o", "csv"]);
    assert_eq!(events, "csv output is for flows: events have no columns, try -o json\n");
    let masked = says(&["observe", "--input-file", REAL_FLOWS, "-o", "ndjson", "--field-mask", "time"]);
    assert_eq!(masked, "ndjson output format is not compatible with custom field mask: try -o json\n");
}

#[test]
fn binary_formats_are_nothing_for_a_terminal() {
    // `script` gives the program a terminal of its own.
    let program = env!("CARGO_BIN_EXE_flowctl");
    let run = |format: &str| {
        let command = format!("{program} observe --input-file {REAL_FLOWS} -o {format}");
        let mut script = Command::new("script");
        script.args(["-qec", &command, "/dev/null"]).current_dir(folder()).stdin(Stdio::null());
        script.output()
    };
    let Ok(refused) = run("parquet") else {
        println!("skipped: there is no `script`, which gives programs a terminal");
        return;
    };
    let text = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(text.contains("nothing for a terminal: write it to a file, > flows.parquet"), "{text:?}");
    assert!(!refused.status.success());
    assert!(run("csv").unwrap().status.success());
}

#[test]
fn damaged_rows_are_left_out_and_named() {
    let csv = "time,node_name,verdict,src_port\n\
               2026-01-15T10:11:12Z,n,FORWARDED,1\n\
               yesterday,n,FORWARDED,2\n\
               2026-01-15T10:11:13Z,n,DROPPED\n\
               2026-01-15T10:11:14Z,n,DROPPED,80000000000\n\
               \n\
               2026-01-15T10:11:15Z,\"n\"\"\n,x\",DROPPED,5\n";
    let output = run_with_input_raw(&mut flowctl(&["observe", "--input-file", "-", "-o", "ndjson"]), csv.as_bytes());
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(out.lines().count(), 2, "{out}");
    assert!(out.contains(r#""node_name":"n\"\n,x""#), "{out}");
    assert_eq!(
        err,
        "flowctl: line 3 is not a flow and is left out: column time: expected an RFC 3339 time of the years 1677 to 2262\n\
         flowctl: line 4 is not a flow and is left out: 3 fields where the header has 4\n\
         flowctl: line 5 is not a flow and is left out: column src_port: expected a 32-bit integer\n"
    );
    assert!(output.status.success());
    let ndjson = "{\"time\":\"2026-01-15T10:11:12Z\",\"node_name\":\"n\",\"verdict\":\"DROPPED\",\"src_pod\":\"p\",\"src_identity\":7}\n\
                  {\"time\":17}\n\
                  {\n\
                  {\"time\":\"2026-01-15T10:11:13Z\",\"node_name\":\"n\",\"src_labels\":[\"a=b\"],\"later\":{\"x\":1}}\n";
    let output = run_with_input_raw(&mut flowctl(&["observe", "--input-file", "-", "-o", "json"]), ndjson.as_bytes());
    let (out, err) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!((out.lines().count(), err.lines().count()), (2, 2), "{out}{err}");
    assert!(out.contains(r#""source":{"identity":7,"pod_name":"p"}"#), "{out}");
}

#[test]
fn what_is_cut_off_is_shown_as_far_as_it_goes() {
    for format in ["arrow", "parquet"] {
        let rows = of_file(WEIR_FLOWS, &["-o", format]);
        let cut = &rows[..rows.len() - 20];
        let output = run_with_input_raw(&mut flowctl(&["observe", "--input-file", "-", "-o", "json"]), cut);
        let err = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{format}");
        assert!(err.starts_with("cannot read -: "), "{format}: {err}");
        assert!(err.contains("cut off"), "{format}: {err}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever happens to bytes on the way: an error with a name, or flows, and never a crash.
    #[test]
    fn damaged_bytes_end_in_an_error_or_in_flows(
        format in prop::sample::select(vec!["csv", "ndjson", "arrow", "parquet", "json"]),
        file in prop::sample::select(vec![REAL_FLOWS, WEIR_FLOWS]),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = of_file(file, &["-o", format]);
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        for more in [&["-o", "compact"][..], &["-o", "json", "--last", "2"], &["-o", "csv", "--first", "1"]] {
            let arguments = [&["observe", "--input-file", "-"], more].concat();
            let output = run_with_input_raw(&mut flowctl(&arguments), &bytes);
            let err = String::from_utf8_lossy(&output.stderr);
            prop_assert!(matches!(output.status.code(), Some(0 | 1)), "{}: {err}", output.status);
            prop_assert!(!err.contains("panicked"), "{err}");
            prop_assert!(output.status.success() || err.contains("cannot read -"), "{err}");
        }
    }
}
