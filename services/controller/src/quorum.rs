//! The metadata quorum: raft, its log, its snapshots, and the state that the log adds up to.
//!
//! Invariant: nothing outside this module knows raft or sled.

pub mod driver;
pub mod member;
pub mod peers;
pub mod published;
mod raft_log;
pub mod snapshots;
pub mod state_store;
#[cfg(test)]
mod tests;
pub mod wal;
