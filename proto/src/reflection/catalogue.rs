//! Files of descriptors, and the symbols in them.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};

use prost::Message as _;
use prost_types::{DescriptorProto, EnumDescriptorProto, FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet};

/// Files that one client has got already, so that they do not come again as imports of others.
pub(super) type Sent = HashSet<String>;

/// Files by name and by what is in them.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    files: BTreeMap<String, File>,
    /// Full name of a symbol to the name of its file.
    symbols: HashMap<String, String>,
    messages: HashSet<String>,
    /// Extended message to numbers and files.
    extensions: HashMap<String, BTreeMap<i32, String>>,
}

#[derive(Debug)]
struct File {
    encoded: Vec<u8>,
    imports: Vec<String>,
}

impl Catalogue {
    /// Reads encoded `FileDescriptorSet`s.
    pub(super) fn new<'a>(sets: impl Iterator<Item = &'a &'a [u8]>) -> Self {
        let mut catalogue = Self::default();
        for set in sets {
            let set = FileDescriptorSet::decode(*set).expect("it is generated with the code, and tested");
            for mut file in set.file {
                file.name = Some(usual_name(&file));
                // Source positions and comments are many times as large as the rest, and no client wants them.
                file.source_code_info = None;
                catalogue.add(&file);
            }
        }
        catalogue
    }

    /// The file, then those it imports that were not sent before; `None` where there is no such file.
    pub(super) fn with_imports(&self, name: &str, sent: &mut Sent) -> Option<Vec<&[u8]>> {
        let mut found = vec![&*self.files.get(name)?.encoded];
        sent.insert(name.to_owned());
        let mut waiting: VecDeque<&String> = self.files[name].imports.iter().collect();
        while let Some(name) = waiting.pop_front() {
            let Some(file) = self.files.get(name) else { continue };
            if sent.insert(name.clone()) {
                found.push(&file.encoded);
                waiting.extend(&file.imports);
            }
        }
        Some(found)
    }

    /// Name of the file with a symbol.
    pub(super) fn file_of(&self, symbol: &str) -> Option<&str> {
        self.symbols.get(symbol).map(String::as_str)
    }

    /// Name of the file with an extension of a message.
    pub(super) fn file_of_extension(&self, message: &str, number: i32) -> Option<&str> {
        self.extensions.get(message)?.get(&number).map(String::as_str)
    }

    /// Numbers of the extensions of a message; `None` where there is no such message.
    pub(super) fn extensions_of(&self, message: &str) -> Option<Vec<i32>> {
        let numbers = self.extensions.get(message).map(|numbers| numbers.keys().copied().collect());
        self.messages.contains(message).then(|| numbers.unwrap_or_default())
    }

    fn add(&mut self, file: &FileDescriptorProto) {
        let name = file.name();
        let scope = file.package();
        for message in &file.message_type {
            self.add_message(name, scope, message);
        }
        for values in &file.enum_type {
            self.add_enum(name, scope, values);
        }
        for extension in &file.extension {
            self.add_extension(name, scope, extension);
        }
        for service in &file.service {
            let service_name = self.add_symbol(name, scope, service.name());
            for method in &service.method {
                self.add_symbol(name, &service_name, method.name());
            }
        }
        let imports: BTreeSet<&String> = file.dependency.iter().collect();
        debug_assert_eq!(imports.len(), file.dependency.len(), "a file imports another once");
        let file = File { encoded: file.encode_to_vec(), imports: file.dependency.clone() };
        self.files.insert(name.to_owned(), file);
    }

    fn add_message(&mut self, file: &str, scope: &str, message: &DescriptorProto) {
        let name = self.add_symbol(file, scope, message.name());
        for field in &message.field {
            self.add_symbol(file, &name, field.name());
        }
        for choice in &message.oneof_decl {
            self.add_symbol(file, &name, choice.name());
        }
        for inner in &message.nested_type {
            self.add_message(file, &name, inner);
        }
        for values in &message.enum_type {
            self.add_enum(file, &name, values);
        }
        for extension in &message.extension {
            self.add_extension(file, &name, extension);
        }
        self.messages.insert(name);
    }

    fn add_enum(&mut self, file: &str, scope: &str, values: &EnumDescriptorProto) {
        self.add_symbol(file, scope, values.name());
        for value in &values.value {
            self.add_symbol(file, scope, value.name());
        }
    }

    fn add_extension(&mut self, file: &str, scope: &str, extension: &FieldDescriptorProto) {
        self.add_symbol(file, scope, extension.name());
        let message = extension.extendee().trim_start_matches('.').to_owned();
        self.extensions.entry(message).or_default().insert(extension.number(), file.to_owned());
    }

    fn add_symbol(&mut self, file: &str, scope: &str, name: &str) -> String {
        let name = if scope.is_empty() { name.to_owned() } else { format!("{scope}.{name}") };
        self.symbols.insert(name.clone(), file.to_owned());
        name
    }
}

/// The name that a file has everywhere. Those of gRPC itself are compiled under others by the crates that bring them.
fn usual_name(file: &FileDescriptorProto) -> String {
    match file.package() {
        "grpc.health.v1" => "grpc/health/v1/health.proto",
        "grpc.reflection.v1" => "grpc/reflection/v1/reflection.proto",
        "grpc.reflection.v1alpha" => "grpc/reflection/v1alpha/reflection.proto",
        _ => file.name(),
    }
    .to_owned()
}
