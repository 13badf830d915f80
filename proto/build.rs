//! Turns the protos into Rust, without a system `protoc`, and keeps the admin package's descriptors for reflection.

#![allow(clippy::disallowed_methods, reason = "a build script has no seams")]

use std::error::Error;
use std::path::PathBuf;

const ADMIN: [&str; 4] = [
    "ottla/admin/v1/cluster.proto",
    "ottla/admin/v1/group.proto",
    "ottla/admin/v1/history.proto",
    "ottla/admin/v1/topic.proto",
];
const INTERNAL: [&str; 5] = [
    "ottla/call/v1/call.proto",
    "ottla/controller/v1/controller.proto",
    "ottla/controller/v1/raft.proto",
    "ottla/storage/v1/replication.proto",
    "ottla/storage/v1/storage.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=ottla");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);

    let admin = compile(&ADMIN)?;
    std::fs::write(out.join("admin.bin"), prost::Message::encode_to_vec(&admin))?;
    let all: Vec<&str> = ADMIN.into_iter().chain(INTERNAL).collect();
    let all = compile(&all)?;
    std::fs::write(out.join("all.bin"), prost::Message::encode_to_vec(&all))?;
    // Record batches and messages stay slices of the buffer that they arrived in.
    tonic_prost_build::configure().bytes(".").compile_fds(all)?;
    Ok(())
}

fn compile(files: &[&str]) -> Result<prost_types::FileDescriptorSet, Box<dyn Error>> {
    Ok(protox::Compiler::new(["."])?
        .include_source_info(true)
        .include_imports(true)
        .open_files(files)?
        .file_descriptor_set())
}
