//! The storage node: partition logs, and all that serves them.
//!
//! Invariant: what was acknowledged is durable as the topic demands; between a client and a log stand only the decisions of
//! `ottla-partition`. Read [`service`] first, then `shard`: its loop is the life of a produce.
//! Deliberately does not know Kafka's wire protocol, nor raft.

mod by_topic;
mod cleaner;
mod cluster;
pub mod config;
mod coordinator;
pub mod directory;
mod figures;
mod local;
pub mod log;
mod metrics;
pub mod mutant;
mod produce_rules;
mod producer_state;
mod recompression;
pub mod service;
mod shard;

pub use config::{CleanerConfig, GroupConfig, StorageConfig, StorageSizes, StorageTiming};
pub use service::{StartError, StorageHandle, start};
