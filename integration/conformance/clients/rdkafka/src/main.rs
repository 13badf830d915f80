//! The rdkafka crate, in the words of `contract.py`: reads commands, answers each with one line.

mod administration;
mod contract;
mod member;
mod records;

use serde_json::json;

fn main() {
    contract::serve(&|command| match command.text("op") {
        "version" => {
            let (_, native) = rdkafka::util::get_rdkafka_version();
            Ok(json!({ "version": format!("rdkafka {RDKAFKA}, librdkafka {native}") }))
        }
        "produce" => records::produce(command),
        "consume" => records::consume(command),
        _ => administration::run(command),
    });
}

/// As Cargo.toml pins it; a crate does not say its version.
const RDKAFKA: &str = "0.39.0";
