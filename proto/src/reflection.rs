//! Server reflection, v1 and v1alpha: which services a door has, and the files that describe them.
//!
//! As gRPC's own servers answer it: a file comes with those it imports, what is not known is an error in the stream and
//! not its end, and both versions list both.

mod catalogue;

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tonic::body::Body;
use tonic::codegen::tokio_stream::{Stream, StreamExt as _};
use tonic::codegen::{Service, http};
use tonic::server::NamedService;
use tonic::{Code, Request, Response, Status, Streaming};
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_reflection::pb::v1::server_reflection_server::{ServerReflection, ServerReflectionServer};
use tonic_reflection::pb::v1::{
    ErrorResponse, ExtensionNumberResponse, FileDescriptorResponse, ListServiceResponse, ServerReflectionRequest,
    ServerReflectionResponse, ServiceResponse,
};

use self::catalogue::{Catalogue, Sent};

/// Both versions of the reflection service.
const OWN_SERVICES: [&str; 2] = [V1, V1ALPHA];
const V1: &str = "grpc.reflection.v1.ServerReflection";
const V1ALPHA: &str = "grpc.reflection.v1alpha.ServerReflection";
/// The only method of the first version; that of the second takes and gives the same bytes.
const V1_PATH: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";

/// Answers requests of reflection.
#[derive(Clone, Debug)]
pub struct Reflection {
    services: Arc<[String]>,
    catalogue: Arc<Catalogue>,
}

/// The server of the first version.
pub type ReflectionDoor = ServerReflectionServer<Reflection>;

/// The server of the second version, which was first.
#[derive(Clone, Debug)]
pub struct AlphaDoor(ReflectionDoor);

/// Reflection of a door with these services, and with reflection itself. `more` are encoded `FileDescriptorSet`s of
/// services that are not Hubble's or Weir's.
#[must_use]
pub fn doors(services: &[&str], more: &[&[u8]]) -> (ReflectionDoor, AlphaDoor) {
    let mut services: Vec<String> = services.iter().chain(&OWN_SERVICES).map(|name| (*name).to_owned()).collect();
    services.sort_unstable();
    let own = [
        crate::DESCRIPTORS,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let catalogue = Catalogue::new(own.iter().chain(more));
    let reflection = Reflection { services: services.into(), catalogue: Arc::new(catalogue) };
    (ReflectionDoor::new(reflection.clone()), AlphaDoor(ReflectionDoor::new(reflection)))
}

impl Reflection {
    fn answer(&self, request: ServerReflectionRequest, sent: &mut Sent) -> Result<ServerReflectionResponse, Status> {
        let response = match &request.message_request {
            None => return Err(Status::invalid_argument("invalid MessageRequest: <nil>")),
            Some(MessageRequest::ListServices(_)) => {
                let service = self.services.iter().map(|name| ServiceResponse { name: name.clone() }).collect();
                MessageResponse::ListServicesResponse(ListServiceResponse { service })
            }
            Some(MessageRequest::FileByFilename(name)) => self.files(Some(name), name, sent),
            Some(MessageRequest::FileContainingSymbol(name)) => self.files(self.catalogue.file_of(name), name, sent),
            Some(MessageRequest::FileContainingExtension(extension)) => {
                let file = self.catalogue.file_of_extension(&extension.containing_type, extension.extension_number);
                self.files(file, &extension.containing_type, sent)
            }
            Some(MessageRequest::AllExtensionNumbersOfType(name)) => match self.catalogue.extensions_of(name) {
                Some(extension_number) => MessageResponse::AllExtensionNumbersResponse(ExtensionNumberResponse {
                    base_type_name: name.clone(),
                    extension_number,
                }),
                None => not_found(name),
            },
        };
        Ok(ServerReflectionResponse {
            valid_host: request.host.clone(),
            original_request: Some(request),
            message_response: Some(response),
        })
    }

    fn files(&self, file: Option<&str>, asked: &str, sent: &mut Sent) -> MessageResponse {
        match file.and_then(|file| self.catalogue.with_imports(file, sent)) {
            Some(files) => {
                let file_descriptor_proto = files.into_iter().map(<[u8]>::to_vec).collect();
                MessageResponse::FileDescriptorResponse(FileDescriptorResponse { file_descriptor_proto })
            }
            None => not_found(asked),
        }
    }
}

fn not_found(name: &str) -> MessageResponse {
    let mut error_message = format!("{name:?} is not found");
    crate::status::shorten(&mut error_message);
    MessageResponse::ErrorResponse(ErrorResponse { error_code: Code::NotFound.into(), error_message })
}

#[tonic::async_trait]
impl ServerReflection for Reflection {
    type ServerReflectionInfoStream =
        Pin<Box<dyn Stream<Item = Result<ServerReflectionResponse, Status>> + Send + 'static>>;

    async fn server_reflection_info(
        &self,
        requests: Request<Streaming<ServerReflectionRequest>>,
    ) -> Result<Response<Self::ServerReflectionInfoStream>, Status> {
        let (reflection, mut sent) = (self.clone(), Sent::default());
        let answers = requests.into_inner().map(move |request| reflection.answer(request?, &mut sent));
        Ok(Response::new(Box::pin(answers)))
    }
}

impl NamedService for AlphaDoor {
    const NAME: &'static str = V1ALPHA;
}

impl Service<http::Request<Body>> for AlphaDoor {
    type Response = <ReflectionDoor as Service<http::Request<Body>>>::Response;
    type Error = <ReflectionDoor as Service<http::Request<Body>>>::Error;
    type Future = <ReflectionDoor as Service<http::Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Service::<http::Request<Body>>::poll_ready(&mut self.0, cx)
    }

    fn call(&mut self, mut request: http::Request<Body>) -> Self::Future {
        // Another method stays unknown.
        if request.uri().path().strip_prefix('/').and_then(|path| path.strip_prefix(V1ALPHA))
            == Some("/ServerReflectionInfo")
        {
            *request.uri_mut() = http::Uri::from_static(V1_PATH);
        }
        self.0.call(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use prost::Message as _;
    use prost_types::FileDescriptorProto;

    fn reflection() -> Reflection {
        let services = vec!["observer.Observer".to_owned()];
        let sets = [crate::DESCRIPTORS, tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET];
        Reflection { services: services.into(), catalogue: Arc::new(Catalogue::new(sets.iter())) }
    }

    fn told(reflection: &Reflection, sent: &mut Sent, request: MessageRequest) -> String {
        let request = ServerReflectionRequest { host: String::new(), message_request: Some(request) };
        match reflection.answer(request, sent).unwrap().message_response.unwrap() {
            MessageResponse::FileDescriptorResponse(files) => {
                let name = |file: &Vec<u8>| FileDescriptorProto::decode(&**file).unwrap().name().to_owned();
                let mut names: Vec<_> = files.file_descriptor_proto.iter().map(name).collect();
                names[1..].sort();
                names.join(" ")
            }
            MessageResponse::AllExtensionNumbersResponse(numbers) => format!("{numbers:?}"),
            MessageResponse::ListServicesResponse(list) => format!("{list:?}"),
            MessageResponse::ErrorResponse(error) => format!("{} {}", error.error_code, error.error_message),
        }
    }

    #[test]
    fn files_come_with_their_imports_once() {
        let (reflection, mut sent) = (reflection(), Sent::default());
        let mut file = |name: &str| told(&reflection, &mut sent, MessageRequest::FileByFilename(name.to_owned()));
        let imports = "google/protobuf/any.proto google/protobuf/timestamp.proto google/protobuf/wrappers.proto";
        assert_eq!(file("flow/flow.proto"), format!("flow/flow.proto {imports}"));
        let observer = "observer/observer.proto google/protobuf/field_mask.proto relay/relay.proto";
        assert_eq!(file("observer/observer.proto"), observer);
        assert_eq!(file("google/protobuf/any.proto"), "google/protobuf/any.proto", "what is asked for comes again");
        assert_eq!(file("no.proto"), r#"5 "no.proto" is not found"#);
    }

    #[test]
    fn symbols_are_found_by_their_full_names() {
        let reflection = reflection();
        for (name, file) in [
            ("observer.Observer", Some("observer/observer.proto")),
            ("observer.Observer.GetFlows", Some("observer/observer.proto")),
            ("flow.Flow.time", Some("flow/flow.proto")),
            ("flow.Layer4.protocol", Some("flow/flow.proto")),
            // Values of an enumeration are siblings of its name.
            ("flow.DROPPED", Some("flow/flow.proto")),
            ("flow.Verdict.DROPPED", None),
            ("flow.Tunnel.VXLAN", Some("flow/flow.proto")),
            ("grpc.reflection.v1.ServerReflection", Some("grpc/reflection/v1/reflection.proto")),
            (".flow.Flow", None),
            ("", None),
        ] {
            let symbol = MessageRequest::FileContainingSymbol(name.to_owned());
            let told = told(&reflection, &mut Sent::default(), symbol);
            match file {
                Some(file) => assert_eq!(told.split(' ').next(), Some(file), "{name}"),
                None => assert_eq!(told, format!("5 {name:?} is not found")),
            }
        }
        let extensions = |name: &str| MessageRequest::AllExtensionNumbersOfType(name.to_owned());
        let none = told(&reflection, &mut Sent::default(), extensions("flow.Flow"));
        assert_eq!(none, r#"ExtensionNumberResponse { base_type_name: "flow.Flow", extension_number: [] }"#);
        assert_eq!(told(&reflection, &mut Sent::default(), extensions("no")), r#"5 "no" is not found"#);
    }

    #[test]
    fn a_request_for_nothing_ends_the_stream() {
        let error = reflection().answer(ServerReflectionRequest::default(), &mut Sent::default()).unwrap_err();
        assert_eq!(error.code(), Code::InvalidArgument);
    }
}
