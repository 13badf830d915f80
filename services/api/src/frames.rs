//! A bidirectional gRPC stream that hands payloads through as they are: what `tonic`'s own codec copies once on each side.
//!
//! Invariant: on the wire this is gRPC like any other (a test speaks to it with a generated client). A payload of at least
//! [`UNCOPIED_BYTES`] is not copied between the caller and the socket, nor between the connection's read buffer and the callee.
//! Deliberately knows no service, no compression and no metadata.

mod call;
mod chunks;
mod pieces;
mod reader;
mod sending;
#[cfg(test)]
mod tests;

pub(crate) use call::{open, receive, respond};
pub(crate) use reader::FrameReader;

/// Payloads from this size on are sent in frames of their own instead of being copied next to others.
const UNCOPIED_BYTES: usize = 32 << 10;
/// Small messages that are ready together share a frame up to this size.
const COALESCED_BYTES: usize = 32 << 10;
/// Length of the header of a gRPC message: a flag and a length.
const HEADER_BYTES: usize = 5;
