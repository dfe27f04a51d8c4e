//! `reflect`: the server's API as its reflection service tells it.

use std::io::Write;

use anyhow::{Context, Result};
use prost::Message as _;
use prost_types::{FileDescriptorProto, MethodDescriptorProto};
use tonic_reflection::pb::v1alpha::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1alpha::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1alpha::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1alpha::{ServerReflectionRequest, ServerReflectionResponse};

use crate::connect::Connection;
use crate::print::put;
use crate::settings::Settings;

/// Services that every server has and nobody asks about.
const PLUMBING: &str = "grpc.";

/// Prints each service with its methods, as `.proto` files write them.
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
        for service in services.service.iter().filter(|service| !service.name.starts_with(PLUMBING)) {
            let answer = ask(&connection, MessageRequest::FileContainingSymbol(service.name.clone())).await?;
            let Some(MessageResponse::FileDescriptorResponse(files)) = answer.message_response else { continue };
            for bytes in &files.file_descriptor_proto {
                let file =
                    FileDescriptorProto::decode(bytes.as_slice()).context("a descriptor cannot be understood")?;
                let mut text = Vec::new();
                write_service(&mut text, &file, &service.name);
                out.write_all(&text)?;
            }
        }
        Ok(())
    })
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

fn write_service(out: &mut Vec<u8>, file: &FileDescriptorProto, full_name: &str) {
    for service in &file.service {
        let name = format!("{}.{}", file.package(), service.name());
        if name != full_name {
            continue;
        }
        put(out, &format!("service {name} {{"));
        out.push(b'\n');
        for method in &service.method {
            put(out, &signature(method));
            out.push(b'\n');
        }
        out.extend_from_slice(b"}\n");
    }
}

fn signature(method: &MethodDescriptorProto) -> String {
    let side =
        |name: &str, streams: bool| format!("{}{}", if streams { "stream " } else { "" }, name.trim_start_matches('.'));
    format!(
        "  rpc {}({}) returns ({});",
        method.name(),
        side(method.input_type(), method.client_streaming()),
        side(method.output_type(), method.server_streaming())
    )
}
