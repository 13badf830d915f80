//! The gRPC messages and services of Ottla, as generated code and nothing else.
//!
//! Invariant: the `.proto` files beside this crate are the only source; they build with no system `protoc`.
//! Deliberately knows nothing of Ottla's own values: `ottla-api` turns the internal messages into them.

#![allow(
    missing_docs,
    unreachable_pub,
    rust_2018_idioms,
    clippy::all,
    clippy::too_many_lines,
    reason = "generated code"
)]

/// The admin API: public, reflected.
pub mod admin {
    /// `ottla.admin.v1`
    pub mod v1 {
        tonic::include_proto!("ottla.admin.v1");
    }
}

/// What every internal call carries.
pub mod call {
    /// `ottla.call.v1`
    pub mod v1 {
        tonic::include_proto!("ottla.call.v1");
    }
}

/// The controller quorum: internal.
pub mod controller {
    /// `ottla.controller.v1`
    pub mod v1 {
        tonic::include_proto!("ottla.controller.v1");
    }
}

/// Storage nodes: internal.
pub mod storage {
    /// `ottla.storage.v1`
    pub mod v1 {
        tonic::include_proto!("ottla.storage.v1");
    }
}

/// Encoded `FileDescriptorSet` of `ottla.admin.v1` and what it imports, for server reflection. The internal packages have none.
pub const ADMIN_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/admin.bin"));
