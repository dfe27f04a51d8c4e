//! Descriptors as Go's `encoding/json` writes them: names as in the .proto file, enumerations as numbers, and nothing
//! that is not set.

use prost_types::source_code_info::Location;
use prost_types::{
    DescriptorProto, EnumDescriptorProto, EnumOptions, EnumValueDescriptorProto, EnumValueOptions,
    FieldDescriptorProto, FieldOptions, FileDescriptorProto, FileOptions, MessageOptions, MethodDescriptorProto,
    MethodOptions, OneofDescriptorProto, ServiceDescriptorProto, ServiceOptions, SourceCodeInfo,
};

/// A file as one line.
pub(super) fn line(file: &FileDescriptorProto) -> String {
    let mut out = String::new();
    value(&mut out, file);
    out.push('\n');
    out
}

/// What is written as an object.
trait Fields {
    fn write(&self, object: &mut Object<'_>);
}

fn value(out: &mut String, fields: &dyn Fields) {
    out.push('{');
    fields.write(&mut Object { out, is_empty: true });
    out.push('}');
}

struct Object<'o> {
    out: &'o mut String,
    is_empty: bool,
}

impl Object<'_> {
    fn name(&mut self, name: &str) {
        if !std::mem::take(&mut self.is_empty) {
            self.out.push(',');
        }
        quoted(self.out, name);
        self.out.push(':');
    }

    fn text(&mut self, name: &str, text: Option<&String>) {
        if let Some(text) = text {
            self.name(name);
            quoted(self.out, text);
        }
    }

    fn number(&mut self, name: &str, number: Option<i32>) {
        if let Some(number) = number {
            self.name(name);
            self.out.push_str(&number.to_string());
        }
    }

    fn flag(&mut self, name: &str, flag: Option<bool>) {
        if let Some(flag) = flag {
            self.name(name);
            self.out.push_str(if flag { "true" } else { "false" });
        }
    }

    fn object(&mut self, name: &str, fields: Option<&impl Fields>) {
        if let Some(fields) = fields {
            self.name(name);
            value(self.out, fields);
        }
    }

    fn list<T>(&mut self, name: &str, items: &[T], write: impl Fn(&mut String, &T)) {
        if items.is_empty() {
            return;
        }
        self.name(name);
        for (at, item) in items.iter().enumerate() {
            self.out.push(if at == 0 { '[' } else { ',' });
            write(self.out, item);
        }
        self.out.push(']');
    }

    fn texts(&mut self, name: &str, texts: &[String]) {
        self.list(name, texts, |out, text| quoted(out, text));
    }

    fn numbers(&mut self, name: &str, numbers: &[i32]) {
        self.list(name, numbers, |out, number| out.push_str(&number.to_string()));
    }

    fn objects(&mut self, name: &str, objects: &[impl Fields]) {
        self.list(name, objects, |out, object| value(out, object));
    }

    /// Ranges of numbers by their ends.
    fn ranges(&mut self, name: &str, ranges: &[Range]) {
        self.objects(name, ranges);
    }
}

/// A string, safe in HTML as Go makes it.
fn quoted(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            '<' | '>' | '&' | '\0'..='\x1f' | '\u{2028}' | '\u{2029}' => {
                out.push_str(&format!("\\u{:04x}", u32::from(c)));
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

struct Range(Option<i32>, Option<i32>);

impl Fields for Range {
    fn write(&self, object: &mut Object<'_>) {
        object.number("start", self.0);
        object.number("end", self.1);
    }
}

impl Fields for FileDescriptorProto {
    fn write(&self, object: &mut Object<'_>) {
        object.text("name", self.name.as_ref());
        object.text("package", self.package.as_ref());
        object.texts("dependency", &self.dependency);
        object.numbers("public_dependency", &self.public_dependency);
        object.numbers("weak_dependency", &self.weak_dependency);
        object.objects("message_type", &self.message_type);
        object.objects("enum_type", &self.enum_type);
        object.objects("service", &self.service);
        object.objects("extension", &self.extension);
        object.object("options", self.options.as_ref());
        object.object("source_code_info", self.source_code_info.as_ref());
        object.text("syntax", self.syntax.as_ref());
    }
}

impl Fields for DescriptorProto {
    fn write(&self, object: &mut Object<'_>) {
        object.text("name", self.name.as_ref());
        object.objects("field", &self.field);
        object.objects("extension", &self.extension);
        object.objects("nested_type", &self.nested_type);
        object.objects("enum_type", &self.enum_type);
        let ranges: Vec<Range> = self.extension_range.iter().map(|range| Range(range.start, range.end)).collect();
        object.ranges("extension_range", &ranges);
        object.objects("oneof_decl", &self.oneof_decl);
        object.object("options", self.options.as_ref());
        let ranges: Vec<Range> = self.reserved_range.iter().map(|range| Range(range.start, range.end)).collect();
        object.ranges("reserved_range", &ranges);
        object.texts("reserved_name", &self.reserved_name);
    }
}

impl Fields for FieldDescriptorProto {
    fn write(&self, object: &mut Object<'_>) {
        object.text("name", self.name.as_ref());
        object.number("number", self.number);
        object.number("label", self.label);
        object.number("type", self.r#type);
        object.text("type_name", self.type_name.as_ref());
        object.text("extendee", self.extendee.as_ref());
        object.text("default_value", self.default_value.as_ref());
        object.number("oneof_index", self.oneof_index);
        object.text("json_name", self.json_name.as_ref());
        object.object("options", self.options.as_ref());
        object.flag("proto3_optional", self.proto3_optional);
    }
}

impl Fields for EnumDescriptorProto {
    fn write(&self, object: &mut Object<'_>) {
        object.text("name", self.name.as_ref());
        object.objects("value", &self.value);
        object.object("options", self.options.as_ref());
        let ranges: Vec<Range> = self.reserved_range.iter().map(|range| Range(range.start, range.end)).collect();
        object.ranges("reserved_range", &ranges);
        object.texts("reserved_name", &self.reserved_name);
    }
}

impl Fields for EnumValueDescriptorProto {
    fn write(&self, object: &mut Object<'_>) {
        object.text("name", self.name.as_ref());
        object.number("number", self.number);
        object.object("options", self.options.as_ref());
    }
}

impl Fields for ServiceDescriptorProto {
    fn write(&self, object: &mut Object<'_>) {
        object.text("name", self.name.as_ref());
        object.objects("method", &self.method);
        object.object("options", self.options.as_ref());
    }
}

impl Fields for MethodDescriptorProto {
    fn write(&self, object: &mut Object<'_>) {
        object.text("name", self.name.as_ref());
        object.text("input_type", self.input_type.as_ref());
        object.text("output_type", self.output_type.as_ref());
        object.object("options", self.options.as_ref());
        object.flag("client_streaming", self.client_streaming);
        object.flag("server_streaming", self.server_streaming);
    }
}

impl Fields for FileOptions {
    #[expect(deprecated, reason = "what a file sets is printed")]
    fn write(&self, object: &mut Object<'_>) {
        object.text("java_package", self.java_package.as_ref());
        object.text("java_outer_classname", self.java_outer_classname.as_ref());
        object.flag("java_multiple_files", self.java_multiple_files);
        object.flag("java_generate_equals_and_hash", self.java_generate_equals_and_hash);
        object.flag("java_string_check_utf8", self.java_string_check_utf8);
        object.number("optimize_for", self.optimize_for);
        object.text("go_package", self.go_package.as_ref());
        object.flag("cc_generic_services", self.cc_generic_services);
        object.flag("java_generic_services", self.java_generic_services);
        object.flag("py_generic_services", self.py_generic_services);
        object.flag("deprecated", self.deprecated);
        object.flag("cc_enable_arenas", self.cc_enable_arenas);
        object.text("objc_class_prefix", self.objc_class_prefix.as_ref());
        object.text("csharp_namespace", self.csharp_namespace.as_ref());
        object.text("swift_prefix", self.swift_prefix.as_ref());
        object.text("php_class_prefix", self.php_class_prefix.as_ref());
        object.text("php_namespace", self.php_namespace.as_ref());
        object.text("php_metadata_namespace", self.php_metadata_namespace.as_ref());
        object.text("ruby_package", self.ruby_package.as_ref());
    }
}

impl Fields for MessageOptions {
    fn write(&self, object: &mut Object<'_>) {
        object.flag("message_set_wire_format", self.message_set_wire_format);
        object.flag("no_standard_descriptor_accessor", self.no_standard_descriptor_accessor);
        object.flag("deprecated", self.deprecated);
        object.flag("map_entry", self.map_entry);
    }
}

impl Fields for FieldOptions {
    fn write(&self, object: &mut Object<'_>) {
        object.number("ctype", self.ctype);
        object.flag("packed", self.packed);
        object.number("jstype", self.jstype);
        object.flag("lazy", self.lazy);
        object.flag("deprecated", self.deprecated);
        object.flag("weak", self.weak);
    }
}

impl Fields for EnumOptions {
    fn write(&self, object: &mut Object<'_>) {
        object.flag("allow_alias", self.allow_alias);
        object.flag("deprecated", self.deprecated);
    }
}

impl Fields for EnumValueOptions {
    fn write(&self, object: &mut Object<'_>) {
        object.flag("deprecated", self.deprecated);
    }
}

impl Fields for ServiceOptions {
    fn write(&self, object: &mut Object<'_>) {
        object.flag("deprecated", self.deprecated);
    }
}

impl Fields for MethodOptions {
    fn write(&self, object: &mut Object<'_>) {
        object.flag("deprecated", self.deprecated);
        object.number("idempotency_level", self.idempotency_level);
    }
}

impl Fields for OneofDescriptorProto {
    fn write(&self, object: &mut Object<'_>) {
        object.text("name", self.name.as_ref());
        if self.options.is_some() {
            object.name("options");
            object.out.push_str("{}");
        }
    }
}

impl Fields for SourceCodeInfo {
    fn write(&self, object: &mut Object<'_>) {
        object.objects("location", &self.location);
    }
}

impl Fields for Location {
    fn write(&self, object: &mut Object<'_>) {
        object.numbers("path", &self.path);
        object.numbers("span", &self.span);
        object.text("leading_comments", self.leading_comments.as_ref());
        object.text("trailing_comments", self.trailing_comments.as_ref());
        object.texts("leading_detached_comments", &self.leading_detached_comments);
    }
}
