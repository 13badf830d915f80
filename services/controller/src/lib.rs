//! The controller: the metadata quorum, and what it answers to storage nodes, gateways and operators.
//!
//! Invariant: what was answered is committed, and what is committed survives every crash of a minority.
//! Deliberately decides nothing itself: that is `ottla_metadata`'s.

pub mod config;
pub mod grpc;
mod identity;
pub mod local;
mod metrics;
pub mod quorum;
pub mod routed;
pub mod service;
pub mod transport;

pub use config::ControllerConfig;
pub use service::{ControllerHandle, StartError, start};
