//! Generates the message structs, their codecs and the table of api keys from `schema/*.txt`.
//!
//! Invariant: the output depends on nothing but the tables, in the order of their file names. A table that breaks a
//! rule stops the build with its file and line. Deliberately knows no message by name.
#![allow(clippy::disallowed_methods, reason = "a build script reads and writes files")]

#[path = "build/emit_api_keys.rs"]
mod emit_api_keys;
#[path = "build/emit_decode.rs"]
mod emit_decode;
#[path = "build/emit_encode.rs"]
mod emit_encode;
#[path = "build/emit_messages.rs"]
mod emit_messages;
#[path = "build/parse.rs"]
mod parse;
#[path = "build/rust_form.rs"]
mod rust_form;
#[path = "build/schema.rs"]
mod schema;

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() {
    println!("cargo:rerun-if-changed=schema");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=build.rs");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR"));
    let messages = read_tables(Path::new("schema"));
    fs::write(out.join("messages.rs"), emit_messages::emit(&messages))
        .expect("OUT_DIR is writable");
    fs::write(out.join("api_keys.rs"), emit_api_keys::emit(&messages))
        .expect("OUT_DIR is writable");
}

fn read_tables(folder: &Path) -> Vec<schema::Message> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("the schema folder is there")
        .map(|entry| entry.expect("the schema folder is readable").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "txt"))
        .collect();
    paths.sort();
    paths.iter().map(|path| read_table(path)).collect()
}

fn read_table(path: &Path) -> schema::Message {
    let text = fs::read_to_string(path).expect("a table is readable");
    match parse::parse(&text) {
        Ok(message) => message,
        Err(error) => panic!("{}:{}: {}", path.display(), error.line, error.cause),
    }
}
