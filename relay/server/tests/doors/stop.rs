//! Starting and stopping.

use std::time::Duration;

use proto::observer::GetFlowsRequest;
use relay_server::{RunError, StartError};
use tokio_util::sync::CancellationToken;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::{ServerReflectionRequest, ServerReflectionResponse};
use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient as AlphaClient;

use crate::collector::TestCollector;
use crate::relay::{TestRelay, channel, config, flows, now, within};

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_streams_in_words_and_closes_the_ports() {
    // An address of its own, at which no other test comes to listen afterwards.
    let relay = TestRelay::start_with(|config| config.grpc.listen = ([127, 0, 34, 1], 0).into()).await;
    let grpc = relay.grpc();
    let mut collector = TestCollector::connect(grpc, "node-1", 1).await;
    collector.push(&flows(now(), 0..10)).await;
    let request = GetFlowsRequest { follow: true, ..Default::default() };
    let mut stream = relay.observer().await.get_flows(request).await.unwrap().into_inner();
    assert!(within(stream.message()).await.unwrap().is_some(), "the state of the nodes");
    relay.begin_stop();
    assert_eq!(collector.ack().await.unwrap_err().code(), Code::Unavailable);
    assert_eq!(within(stream.message()).await.unwrap_err().code(), Code::Unavailable);
    drop((collector, stream));
    relay.stop().await.unwrap();
    assert!(tokio::net::TcpStream::connect(grpc).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_that_takes_too_long_is_cut_off() {
    let relay = TestRelay::start_with(|config| config.shutdown_deadline_ms = 100).await;
    // A connection with a request whose head never ends keeps the HTTP port from closing.
    let mut connection = tokio::net::TcpStream::connect(relay.http()).await.unwrap();
    tokio::io::AsyncWriteExt::write_all(&mut connection, b"GET /api/v1/status HTTP/1.1\r\nHost: ").await.unwrap();
    crate::http::get(relay.http(), "/healthz").await;
    let begun = tokio::time::Instant::now();
    let ended = relay.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(5));
    match ended {
        // Such a connection may also be closed at once, because no request has been read yet.
        Ok(()) => {}
        Err(error) => assert!(matches!(error, RunError::Deadline { .. }), "{error}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_is_explained() {
    let relay = TestRelay::start().await;
    let taken = relay.http();
    let error = relay_server::start(config(|c| c.http.listen = taken), CancellationToken::new()).await.unwrap_err();
    let text = error.to_string();
    assert!(matches!(error, StartError::Listen(_)), "{text}");
    for words in ["HTTP", &taken.to_string(), &format!("pid {}", std::process::id()), "set relay.http.listen"] {
        assert!(text.contains(words), "{text}");
    }
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_setting_is_explained() {
    let error = relay_server::start(config(|c| c.live.batch_ms = 0), CancellationToken::new()).await.unwrap_err();
    assert_eq!(error.to_string(), "relay setting live.batch_ms: must be at least 1");
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_by_grpc_and_http() {
    let relay = TestRelay::start().await;
    let mut health = HealthClient::new(channel(format!("http://{}", relay.grpc())).await);
    for service in ["", proto::HEALTH_SERVICE] {
        let answer = health.check(HealthCheckRequest { service: service.to_owned() }).await.unwrap();
        assert_eq!(answer.into_inner().status, 1, "{service:?}");
    }
    assert_eq!(crate::http::get(relay.http(), "/healthz").await.text(), "ok\n");
    assert_eq!(crate::http::get(relay.http(), "/readyz").await.text(), "ready\n");
    relay.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_the_services_in_both_versions() {
    let relay = TestRelay::start().await;
    let address = format!("http://{}", relay.grpc());
    let expected = [
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
        "grpc.reflection.v1alpha.ServerReflection",
        "observer.Observer",
    ];

    let request = ServerReflectionRequest {
        message_request: Some(MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut client = ServerReflectionClient::new(channel(address.clone()).await);
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let answer: ServerReflectionResponse = within(answers.message()).await.unwrap().unwrap();
    let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else { panic!() };
    assert!(list.service.iter().map(|s| s.name.as_str()).eq(expected), "{list:?}");

    use tonic_reflection::pb::v1alpha as alpha;
    let request = alpha::ServerReflectionRequest {
        message_request: Some(alpha::server_reflection_request::MessageRequest::ListServices(String::new())),
        ..Default::default()
    };
    let mut client = AlphaClient::new(channel(address).await);
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await.unwrap().into_inner();
    let answer = within(answers.message()).await.unwrap().unwrap();
    let Some(alpha::server_reflection_response::MessageResponse::ListServicesResponse(list)) = answer.message_response
    else {
        panic!()
    };
    assert!(list.service.iter().map(|s| s.name.as_str()).eq(expected), "{list:?}");
    relay.stop().await.unwrap();
}
