//! What the end-to-end proofs share: real processes, a raw Kafka client, measurements.
//!
//! Invariant: every process started here is ended here, by its id; everything listens on loopback.
//! Deliberately not part of what users run.

pub mod admin;
pub mod bench;
pub mod changelog;
pub mod cluster;
pub mod group;
pub mod hostile;
pub mod node;
pub mod otlp;
pub mod ports;
pub mod process;
pub mod records;
#[cfg(feature = "sim")]
pub mod sim;
pub mod wire;
