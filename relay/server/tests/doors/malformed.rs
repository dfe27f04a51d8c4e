//! What collectors must not send.

use std::sync::Arc;

use arrow::array::{ArrayRef, Int64Array};
use arrow::record_batch::RecordBatch;
use arrow_flight::flight_service_client::FlightServiceClient;
use arrow_flight::{FlightData, FlightDescriptor};
use prost::Message as _;
use tonic::Code;

use crate::collector::{TestCollector, batch, encode};
use crate::relay::{TestRelay, channel, flows, get_flows, now, numbers};

/// Sends messages and checks that the stream ends with this code and words, counted under this cause, and that the
/// relay goes on to take good batches.
async fn check(messages: Vec<FlightData>, cause: &str, words: &str) {
    let relay = TestRelay::start_with(|config| {
        config.ingest.message_bytes_max = 64 * 1024;
        config.ingest.batch_rows_max = 100;
        config.ingest.peer_batch_rows = 100;
    })
    .await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 7).await;
    for message in messages {
        collector.send(message).await;
    }
    let error = collector.ack().await.unwrap_err();
    assert_eq!(error.code(), Code::InvalidArgument, "{error}");
    assert!(error.message().contains(words), "{error}");
    let series = format!("weir_relay_refused_batches_total{{cause=\"{cause}\"}}");
    assert_eq!(relay.metric(&series).await, 1);
    let mut good = TestCollector::connect(relay.grpc(), "node-1", 7).await;
    good.push(&flows(now(), 0..5)).await;
    let all = get_flows(&relay, Default::default()).await;
    assert_eq!(numbers(&all), [0, 1, 2, 3, 4]);
    relay.stop().await.unwrap();
}

fn good_messages(rows: u32) -> Vec<FlightData> {
    let header = proto::weir::BatchHeader {
        node: "node-1".to_owned(),
        boot_id: 9,
        sequence: 1,
        rows: u64::from(rows),
        ..Default::default()
    };
    encode(&batch(&flows(now(), 0..rows)), header.encode_to_vec(), false)
}

#[tokio::test(flavor = "multi_thread")]
async fn no_descriptor() {
    let mut messages = good_messages(3);
    messages[0].flight_descriptor = None;
    check(messages, "descriptor", "path [\"flows\"]").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_path() {
    let mut messages = good_messages(3);
    messages[0].flight_descriptor = Some(FlightDescriptor::new_path(vec!["metrics".to_owned()]));
    check(messages, "descriptor", "metrics").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_header() {
    let mut messages = good_messages(3);
    messages.last_mut().unwrap().app_metadata = Default::default();
    check(messages, "header", "BatchHeader").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_of_garbage() {
    let mut messages = good_messages(3);
    messages.last_mut().unwrap().app_metadata = vec![0xff; 40].into();
    check(messages, "header", "not a weir.v1.BatchHeader").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_header_that_counts_wrong() {
    let mut messages = good_messages(3);
    let header = proto::weir::BatchHeader { node: "n".to_owned(), sequence: 1, rows: 4, ..Default::default() };
    messages.last_mut().unwrap().app_metadata = header.encode_to_vec().into();
    check(messages, "header", "has 3 rows").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_table() {
    let column: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let other = RecordBatch::try_from_iter([("a", column)]).unwrap();
    check(encode(&other, Vec::new(), false), "schema", "not a batch of flows").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_rows() {
    check(good_messages(101), "rows", "101 rows where 100 are allowed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_long() {
    let mut messages = good_messages(3);
    messages[0].data_body = vec![0; 100_000].into();
    check(messages, "bytes", "65536").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_without_schema() {
    let mut messages = good_messages(3);
    let descriptor = messages.remove(0).flight_descriptor;
    messages[0].flight_descriptor = descriptor;
    check(messages, "decode", "not Arrow Flight data").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn truncated_rows() {
    let mut messages = good_messages(50);
    let last = messages.last_mut().unwrap();
    last.data_body = last.data_body.slice(..last.data_body.len() / 3);
    check_any(messages).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_everywhere() {
    // Every byte of a small batch in turn is damaged: the relay refuses or takes it, and lives on.
    let relay = TestRelay::start().await;
    let good = good_messages(2);
    for message in 0..good.len() {
        let length = good[message].data_header.len();
        for at in (0..length).step_by((length / 12).max(1)) {
            let mut messages = good.clone();
            let mut header = messages[message].data_header.to_vec();
            header[at] ^= 0xa5;
            messages[message].data_header = header.into();
            let mut collector = TestCollector::connect(relay.grpc(), "node-1", 7).await;
            for message in messages {
                collector.send(message).await;
            }
            drop(collector.ack().await);
        }
    }
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 8).await;
    collector.push(&flows(now(), 0..5)).await;
    relay.stop().await.unwrap();
}

/// As [`check`], where it depends on the layout of the bytes what is noticed first.
async fn check_any(messages: Vec<FlightData>) {
    let relay = TestRelay::start().await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 7).await;
    for message in messages {
        collector.send(message).await;
    }
    assert_eq!(collector.ack().await.unwrap_err().code(), Code::InvalidArgument);
    let mut good = TestCollector::connect(relay.grpc(), "node-1", 7).await;
    good.push(&flows(now(), 0..5)).await;
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn two_nodes_on_one_stream() {
    let relay = TestRelay::start().await;
    let mut collector = TestCollector::connect(relay.grpc(), "node-1", 7).await;
    collector.push(&flows(now(), 0..1)).await;
    let header = proto::weir::BatchHeader { node: "node-2".to_owned(), ..collector.header(1, Vec::new()) };
    let error = collector.push_with(header, &flows(now(), 1..2)).await.unwrap_err();
    assert!(error.message().contains("open a stream for each node"), "{error}");
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn other_calls_are_not_offered() {
    let relay = TestRelay::start().await;
    let mut client = FlightServiceClient::new(channel(format!("http://{}", relay.grpc())).await);
    let ticket = arrow_flight::Ticket { ticket: "SELECT 1".into() };
    assert_eq!(client.do_get(ticket).await.unwrap_err().code(), Code::Unimplemented);
    let descriptor = FlightDescriptor::new_cmd("SELECT 1");
    assert_eq!(client.get_flight_info(descriptor).await.unwrap_err().code(), Code::Unimplemented);
    relay.stop().await.unwrap();
}
