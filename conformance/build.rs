//! Compiles `proto/` without a `protoc` on the machine, and lists its fields for reports.

use std::fmt::Write as _;
use std::path::Path;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../proto");
    let mut compiler = protox::Compiler::new(["../proto"])?;
    compiler.include_imports(true);
    for file in ["link", "beacon", "relay"] {
        compiler.open_file(format!("tortalk/v1/{file}.proto"))?;
    }
    let files = compiler.file_descriptor_set();

    // Field names are all that reports need, so no descriptors are compiled in.
    let mut text =
        String::from("pub(super) const MESSAGES: &[(&str, &[(u64, &str, &str)])] = &[\n");
    for message in files.file.iter().flat_map(|file| &file.message_type) {
        write!(text, "({:?}, &[", message.name())?;
        for field in &message.field {
            let kind = field.type_name().rsplit('.').next().unwrap_or_default();
            write!(text, "({}, {:?}, {kind:?}), ", field.number(), field.name())?;
        }
        text.push_str("]),\n");
    }
    text.push_str("];\npub(super) const ENUMS: &[(&str, &[(i32, &str)])] = &[\n");
    for kind in files.file.iter().flat_map(|file| &file.enum_type) {
        write!(text, "({:?}, &[", kind.name())?;
        for value in &kind.value {
            write!(text, "({}, {:?}), ", value.number(), value.name())?;
        }
        text.push_str("]),\n");
    }
    text.push_str("];\n");
    // How many broken programs the suite is measured by; each begins a table.
    println!("cargo:rerun-if-changed=mutants.toml");
    let mutants = std::fs::read_to_string("mutants.toml").unwrap_or_default();
    let count = mutants.lines().filter(|line| line.trim() == "[[mutant]]").count();
    let out = std::env::var("OUT_DIR")?;
    std::fs::write(Path::new(&out).join("mutants.rs"), count.to_string())?;
    std::fs::write(Path::new(&out).join("fields.rs"), text)?;

    tonic_prost_build::configure()
        .build_transport(false)
        .codec_path("crate::peer::Codec")
        .compile_fds(files)?;
    Ok(())
}
