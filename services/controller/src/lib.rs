//! The controller: the metadata quorum, and what it answers to storage nodes, gateways and operators.
//!
//! Invariant: what was answered is committed, and what is committed survives every crash of a minority.
//! Deliberately decides nothing itself: that is `ottla_metadata`'s.

pub mod local;
pub mod quorum;
pub mod transport;
