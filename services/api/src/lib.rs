//! What storage nodes and controllers offer to the rest of Ottla, as Rust traits over plain values, with their gRPC
//! client and server adapters.
//!
//! Invariant: nothing outside this crate sees protobuf of the internal services. A role in the same process is called
//! directly, one in another process through an adapter: callers cannot tell the difference.
//! Deliberately holds no decision of the domain.

mod backoff;
pub mod context;
pub mod controller;
mod frames;
#[cfg(test)]
mod loopback;
pub mod metadata_follower;
mod outbox;
pub mod raft;
pub mod storage;

pub use context::{CallError, RequestContext};
pub use controller::Controller;
pub use metadata_follower::MetadataFollower;
pub use storage::Storage;
