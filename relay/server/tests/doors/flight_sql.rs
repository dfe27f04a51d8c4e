//! SQL over Arrow Flight.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use arrow_flight::FlightInfo;
use arrow_flight::sql::client::FlightSqlServiceClient;
use arrow_flight::sql::{CommandGetDbSchemas, CommandGetTables, SqlInfo};
use futures::TryStreamExt as _;
use tls::{ClientTls, Dial, ServerTls};
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

use crate::collector::TestCollector;
use crate::relay::{TestRelay, channel, config, flows, now};

type Client = FlightSqlServiceClient<Channel>;

async fn relay_with_flows() -> (TestRelay, Client) {
    let relay = TestRelay::start_with(|config| config.flight_sql.prepared_max = 2).await;
    TestCollector::connect(relay.grpc(), "node-1", 1).await.push(&flows(now(), 0..100)).await;
    let client = FlightSqlServiceClient::new(channel(format!("http://{}", relay.flight_sql())).await);
    (relay, client)
}

async fn fetch(client: &mut Client, info: FlightInfo) -> Vec<RecordBatch> {
    let ticket = info.endpoint[0].ticket.clone().unwrap();
    client.do_get(ticket).await.unwrap().try_collect().await.unwrap()
}

fn texts(batches: &[RecordBatch], column: usize) -> Vec<String> {
    let texts = |batch: &RecordBatch| -> Vec<String> {
        batch.column(column).as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()).collect()
    };
    batches.iter().flat_map(texts).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_answered() {
    let (relay, mut client) = relay_with_flows().await;
    let sql = "SELECT src_pod, count(*) AS n FROM flows GROUP BY 1".to_owned();
    let info = client.execute(sql, None).await.unwrap();
    let schema = info.clone().try_decode_schema().unwrap();
    assert_eq!((schema.field(0).data_type(), schema.field(1).name().as_str()), (&DataType::Utf8, "n"));
    let batches = fetch(&mut client, info).await;
    assert_eq!(texts(&batches, 0), ["web"]);
    assert_eq!(batches[0].schema().as_ref(), &schema);
    assert_eq!(batches[0].column(1).as_primitive::<Int64Type>().value(0), 100);
    assert_eq!(relay.metric(r#"weir_relay_queries_total{kind="flight_sql",outcome="ok"}"#).await, 1);
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn statements_are_answered_over_tls_to_clients_with_certificates() {
    let file = |name| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tls/tests/certificates").join(name);
    let relay = TestRelay::start_with(|config| {
        let client_ca_files = vec![file("ca.pem")];
        config.flight_sql.tls =
            Some(ServerTls { cert_file: file("server.pem"), key_file: file("server-key.pem"), client_ca_files });
    })
    .await;
    let address = relay.flight_sql();
    let (ca_files, shown) = (vec![file("ca.pem")], |name| Some(file(name)));
    let stranger = ClientTls { ca_files, ..ClientTls::default() };
    let known = ClientTls { cert_file: shown("client.pem"), key_file: shown("client-key.pem"), ..stranger.clone() };
    let answer = async |settings: Option<&ClientTls>| {
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let dial = Dial { host: address.ip().to_string(), port: address.port(), server_name: None };
        let channel = match settings {
            Some(settings) => tls::connect(endpoint, dial, settings).await.ok()?,
            None => endpoint.connect().await.ok()?,
        };
        let mut client = FlightSqlServiceClient::new(channel);
        let info = client.execute("SELECT 7 AS n".to_owned(), None).await.ok()?;
        Some(fetch(&mut client, info).await[0].column(0).as_primitive::<Int64Type>().value(0))
    };
    assert_eq!(answer(Some(&known)).await, Some(7));
    assert_eq!(answer(Some(&stranger)).await, None, "no certificate");
    assert_eq!(answer(None).await, None, "no TLS");
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_that_cannot_be_read_are_named_with_their_setting() {
    let none = ServerTls { cert_file: "/nowhere/relay.pem".into(), ..ServerTls::default() };
    let error = relay_server::start(config(|c| c.flight_sql.tls = Some(none)), CancellationToken::new()).await;
    assert_eq!(error.unwrap_err().to_string(), "relay setting flight_sql.tls");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_answered_is_explained() {
    let (relay, mut client) = relay_with_flows().await;
    for (sql, expected) in [
        ("SELECT nothing FROM flows", "nothing"),
        ("DROP TABLE flows", "only be read"),
        ("SELECT 1; SELECT 2", "more than one statement"),
    ] {
        let text = client.execute(sql.to_owned(), None).await.unwrap_err().to_string();
        assert!(text.contains(expected), "{sql}: {text}");
    }
    let error = client.execute_update("DELETE FROM flows".to_owned(), None).await.unwrap_err();
    assert!(error.to_string().contains("only be read"), "{error}");
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn prepared_statements_take_values_and_the_oldest_is_forgotten() {
    let (relay, mut client) = relay_with_flows().await;
    let sql = "SELECT count(*) AS n FROM flows WHERE src_pod = ?";
    let mut prepared = client.prepare(sql.to_owned(), None).await.unwrap();
    assert_eq!(prepared.parameter_schema().unwrap().fields().len(), 1);
    for (pod, expected) in [("web", 100), ("none", 0)] {
        let values = Arc::new(StringArray::from(vec![pod])) as ArrayRef;
        prepared.set_parameters(RecordBatch::try_from_iter([("pod", values)]).unwrap()).unwrap();
        let info = prepared.execute().await.unwrap();
        let batches = fetch(&mut client, info).await;
        assert_eq!(batches[0].column(0).as_primitive::<Int64Type>().value(0), expected, "{pod}");
    }
    let _second = client.prepare("SELECT 2".to_owned(), None).await.unwrap();
    let _third = client.prepare("SELECT 3".to_owned(), None).await.unwrap();
    let error = prepared.execute().await.unwrap_err().to_string();
    assert!(error.contains("prepare it again"), "{error}");
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn there_is_a_catalogue() {
    let (relay, mut client) = relay_with_flows().await;
    let info = client.get_catalogs().await.unwrap();
    assert_eq!(texts(&fetch(&mut client, info).await, 0), ["weir"]);
    let info = client.get_db_schemas(CommandGetDbSchemas::default()).await.unwrap();
    assert_eq!(texts(&fetch(&mut client, info).await, 1), ["public"]);
    let info = client.get_table_types().await.unwrap();
    assert_eq!(texts(&fetch(&mut client, info).await, 0), ["TABLE", "VIEW"]);
    let command = CommandGetTables {
        table_name_filter_pattern: Some("edges%".to_owned()),
        include_schema: true,
        ..CommandGetTables::default()
    };
    let info = client.get_tables(command).await.unwrap();
    let tables = fetch(&mut client, info).await;
    assert_eq!(texts(&tables, 2), ["edges", "edges_1h", "edges_1m"]);
    assert_eq!(texts(&tables, 3), ["VIEW", "TABLE", "TABLE"]);
    let bytes = tables[0].column(4).as_binary::<i32>().value(2);
    let schema = arrow::datatypes::Schema::try_from(arrow_flight::IpcMessage(bytes.to_vec().into())).unwrap();
    let column = schema.field_with_name("client_workload").unwrap();
    assert_eq!(column.metadata()["ARROW:FLIGHT:SQL:TABLE_NAME"], "edges_1m");
    assert_eq!(column.metadata()["ARROW:FLIGHT:SQL:TYPE_NAME"], "VARCHAR");
    let info = client.get_sql_info(vec![SqlInfo::FlightSqlServerName, SqlInfo::FlightSqlServerReadOnly]).await.unwrap();
    assert_eq!(fetch(&mut client, info).await[0].num_rows(), 2);
    relay.stop().await.unwrap();
}
