//! The node as a whole, on a simulated disk, with a controller in memory.

mod compaction;
mod compression;
mod controller;
mod crash;
mod deletion;
mod groups;
mod metrics;
mod node;
mod produce;
mod quarantine;
mod read;
mod replicas;
mod startup;
mod tracing;
