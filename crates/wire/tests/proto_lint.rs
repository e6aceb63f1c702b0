//! The rules that `buf lint` would apply to `proto/`, and two of ours: every
//! field, message and enum says what it is, and every number and byte string
//! says its unit or length.

use std::path::{Path, PathBuf};

use protox::prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, FileDescriptor, Kind,
    MessageDescriptor, ServiceDescriptor,
};

const UNITS: [&str; 6] = ["bytes", "milliseconds", "seconds", "number", "count", "proofs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../proto")
}

/// Paths of all `.proto` files below `folder`, relative to `proto/`.
fn proto_files(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).expect("proto/ is there") {
        let path = entry.expect("a readable entry").path();
        if path.is_dir() {
            proto_files(&path, found);
        } else if path.extension().is_some_and(|e| e == "proto") {
            found.push(path.strip_prefix(root()).expect("below proto/").to_path_buf());
        }
    }
}

fn compile() -> DescriptorPool {
    let mut files = Vec::new();
    proto_files(&root(), &mut files);
    files.sort();
    let mut compiler = protox::Compiler::new([root()]).expect("proto/ is there");
    compiler.include_source_info(true).open_files(files).expect("the files compile");
    compiler.descriptor_pool()
}

#[test]
fn the_proto_files_keep_the_rules() {
    let pool = compile();
    let mut faults = Vec::new();
    for file in pool.files().filter(|file| !file.name().starts_with("google/")) {
        lint_file(&file, &mut faults);
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn the_rules_find_what_breaks_them() {
    let source = r#"
        syntax = "proto3";
        package wrong;
        message lower { uint32 Count = 1; }
        // A message.
        message Good {
          // No unit here.
          bytes data = 1;
        }
        // A service.
        service Other {
          rpc Call(Good) returns (Good);
        }
        // An enum.
        enum Colour {
          // Zero.
          RED = 0;
        }
    "#;
    let file = protox::file::File::from_source("odd/Name.proto", source).expect("valid protobuf");
    let mut compiler = protox::Compiler::with_file_resolver(OneFile(file));
    compiler.include_source_info(true).open_file("odd/Name.proto").expect("compiles");
    let mut faults = Vec::new();
    for file in compiler.descriptor_pool().files() {
        lint_file(&file, &mut faults);
    }
    for expected in [
        "odd/Name.proto: the folder is not the package `wrong`",
        "odd/Name.proto: the file name is not lower_snake_case",
        "odd/Name.proto: the package is not tortalk.v1",
        "wrong.lower: not UpperCamelCase",
        "wrong.lower: no comment",
        "wrong.lower.Count: not lower_snake_case",
        "wrong.lower.Count: no comment",
        "wrong.Good.data: the comment names no unit or length",
        "wrong.Colour: the zero value is not COLOUR_UNSPECIFIED",
        "wrong.RED: no prefix COLOUR_",
        "wrong.Other: not an UpperCamelCase name that ends with Service",
        "wrong.Other.Call: no comment",
        "wrong.Other.Call: Good is not CallRequest",
    ] {
        assert!(faults.iter().any(|fault| fault == expected), "{expected} is missing: {faults:#?}");
    }
}

struct OneFile(protox::file::File);

impl protox::file::FileResolver for OneFile {
    fn open_file(&self, name: &str) -> Result<protox::file::File, protox::Error> {
        if name == self.0.name() {
            Ok(self.0.clone())
        } else {
            Err(protox::Error::file_not_found(name))
        }
    }
}

fn lint_file(file: &FileDescriptor, faults: &mut Vec<String>) {
    let mut fault = |text: &str| faults.push(format!("{}: {text}", file.name()));
    let path = Path::new(file.name());
    if file.package_name() != "tortalk.v1" {
        fault("the package is not tortalk.v1");
    }
    if path.parent() != Some(&PathBuf::from(file.package_name().replace('.', "/"))) {
        fault(&format!("the folder is not the package `{}`", file.package_name()));
    }
    if !path.file_stem().and_then(|stem| stem.to_str()).is_some_and(is_lower_snake) {
        fault("the file name is not lower_snake_case");
    }
    if file.file_descriptor_proto().syntax() != "proto3" {
        fault("the syntax is not proto3");
    }
    for message in file.messages() {
        lint_message(file, &message, faults);
    }
    for item in file.enums() {
        lint_enum(file, &item, faults);
    }
    for service in file.services() {
        lint_service(file, &service, faults);
    }
}

/// A call has a request and a response of its own, named after it.
fn lint_service(file: &FileDescriptor, service: &ServiceDescriptor, faults: &mut Vec<String>) {
    let name = service.full_name();
    if !is_upper_camel(service.name()) || !service.name().ends_with("Service") {
        faults.push(format!("{name}: not an UpperCamelCase name that ends with Service"));
    }
    if comment(file, service.path()).is_empty() {
        faults.push(format!("{name}: no comment"));
    }
    for method in service.methods() {
        let name = method.full_name();
        if !is_upper_camel(method.name()) {
            faults.push(format!("{name}: not UpperCamelCase"));
        }
        if comment(file, method.path()).is_empty() {
            faults.push(format!("{name}: no comment"));
        }
        for (message, end) in [(method.input(), "Request"), (method.output(), "Response")] {
            if message.name() != format!("{}{end}", method.name()) {
                faults.push(format!("{name}: {} is not {}{end}", message.name(), method.name()));
            }
        }
    }
}

fn lint_message(file: &FileDescriptor, message: &MessageDescriptor, faults: &mut Vec<String>) {
    let name = message.full_name();
    if !is_upper_camel(message.name()) {
        faults.push(format!("{name}: not UpperCamelCase"));
    }
    if comment(file, message.path()).is_empty() {
        faults.push(format!("{name}: no comment"));
    }
    for field in message.fields() {
        lint_field(file, &field, faults);
    }
    for inner in message.child_messages() {
        lint_message(file, &inner, faults);
    }
    for inner in message.child_enums() {
        lint_enum(file, &inner, faults);
    }
}

fn lint_field(file: &FileDescriptor, field: &FieldDescriptor, faults: &mut Vec<String>) {
    let name = field.full_name();
    if !is_lower_snake(field.name()) {
        faults.push(format!("{name}: not lower_snake_case"));
    }
    let comment = comment(file, field.path());
    if comment.is_empty() {
        faults.push(format!("{name}: no comment"));
        return;
    }
    let measured = matches!(field.kind(), Kind::Bytes | Kind::Uint32 | Kind::Uint64)
        || field.cardinality() == Cardinality::Repeated;
    let words = || comment.split(|c: char| !c.is_alphanumeric()).map(str::to_lowercase);
    if measured && !words().any(|word| UNITS.contains(&&word[..])) {
        faults.push(format!("{name}: the comment names no unit or length"));
    }
    // The numbers that a drawn layout has are unsigned and of fixed meaning.
    if matches!(field.kind(), Kind::Float | Kind::Double | Kind::Sint32 | Kind::Sint64) {
        faults.push(format!("{name}: a kind of number that the protocol does not use"));
    }
}

fn lint_enum(file: &FileDescriptor, item: &EnumDescriptor, faults: &mut Vec<String>) {
    let name = item.full_name();
    if !is_upper_camel(item.name()) {
        faults.push(format!("{name}: not UpperCamelCase"));
    }
    if comment(file, item.path()).is_empty() {
        faults.push(format!("{name}: no comment"));
    }
    let prefix = upper_snake(item.name()) + "_";
    let zero = format!("{prefix}UNSPECIFIED");
    if item.get_value(0).is_none_or(|value| value.name() != zero) {
        faults.push(format!("{name}: the zero value is not {zero}"));
    }
    for value in item.values() {
        let name = value.full_name();
        if !value.name().starts_with(&prefix) {
            faults.push(format!("{name}: no prefix {prefix}"));
        }
        if value.name() != value.name().to_uppercase() {
            faults.push(format!("{name}: not UPPER_SNAKE_CASE"));
        }
        if comment(file, value.path()).is_empty() {
            faults.push(format!("{name}: no comment"));
        }
    }
}

/// The comment directly above the thing at `path`.
fn comment(file: &FileDescriptor, path: &[i32]) -> String {
    let info = file.file_descriptor_proto().source_code_info.as_ref().expect("asked for");
    let location = info.location.iter().find(|location| location.path == path);
    location.map(|l| l.leading_comments().trim().to_owned()).unwrap_or_default()
}

fn is_lower_snake(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_upper_camel(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
}

fn upper_snake(camel: &str) -> String {
    let mut out = String::new();
    for (i, c) in camel.char_indices() {
        if i > 0 && c.is_ascii_uppercase() {
            out.push('_');
        }
        out.push(c.to_ascii_uppercase());
    }
    out
}
