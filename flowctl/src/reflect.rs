//! `reflect`: the server's API as its reflection service tells it.

mod descriptor;

use std::collections::BTreeSet;
use std::io::Write;

use anyhow::{Context, Result};
use prost::Message as _;
use prost_types::FileDescriptorProto;
use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1alpha::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1alpha::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1alpha::{ServerReflectionRequest, ServerReflectionResponse};

use crate::connect::Connection;
use crate::settings::Settings;

/// Services that every server has and nobody asks about.
const PLUMBING: [&str; 2] = ["grpc.reflection.v1alpha.ServerReflection", "grpc.health.v1.Health"];

/// Prints the files of each service, each file once and as one line of JSON, with those it builds on after it.
///
/// # Errors
/// The server cannot be reached or has no reflection service.
pub(crate) fn run(settings: &Settings, out: &mut dyn Write) -> Result<()> {
    let server = settings.server()?;
    crate::runtime()?.block_on(async {
        let connection = Connection::open(&server).await?;
        let listed = ask(&connection, MessageRequest::ListServices(String::new())).await?;
        let Some(MessageResponse::ListServicesResponse(services)) = listed.message_response else {
            anyhow::bail!("{} does not list its services", connection.target);
        };
        let mut printed = BTreeSet::new();
        for service in services.service.into_iter().filter(|service| !PLUMBING.contains(&service.name.as_str())) {
            // The next step is the last.
            let mut open = vec![Step::Ask(MessageRequest::FileContainingSymbol(service.name))];
            while let Some(step) = open.pop() {
                match step {
                    Step::Ask(request) => {
                        let files = files(&connection, request).await?;
                        open.extend(files.into_iter().rev().map(Step::Print));
                    }
                    Step::Print(bytes) => {
                        let file = FileDescriptorProto::decode(bytes.as_slice())
                            .context("a descriptor cannot be understood")?;
                        if !printed.insert(file.name().to_owned()) {
                            continue;
                        }
                        out.write_all(descriptor::line(&file).as_bytes())?;
                        let next = file.dependency.into_iter().rev().filter(|name| !printed.contains(name));
                        open.extend(next.map(|name| Step::Ask(MessageRequest::FileByFilename(name))));
                    }
                }
            }
        }
        Ok(())
    })
}

/// What is left to do. Servers answer with one file or with those it builds on, too: each is followed by what it builds
/// on before the next of the same answer, so the order is the same for both.
enum Step {
    Ask(MessageRequest),
    /// A file as it came.
    Print(Vec<u8>),
}

async fn files(connection: &Connection, request: MessageRequest) -> Result<Vec<Vec<u8>>> {
    let answer = ask(connection, request).await?;
    let Some(MessageResponse::FileDescriptorResponse(files)) = answer.message_response else {
        anyhow::bail!("unexpected response: {:?}", answer.message_response);
    };
    Ok(files.file_descriptor_proto)
}

async fn ask(connection: &Connection, request: MessageRequest) -> Result<ServerReflectionResponse> {
    let mut client = ServerReflectionClient::new(connection.channel.clone());
    let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
    let call = async {
        let mut stream = client.server_reflection_info(futures::stream::iter([request])).await?.into_inner();
        let answer = stream.message().await?;
        answer.map(tonic::Response::new).ok_or_else(|| tonic::Status::unknown("the server sent no answer"))
    };
    connection.answer(call).await
}
