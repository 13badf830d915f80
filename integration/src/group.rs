//! A client of consumer groups in the classic protocol: what a member says and understands, with and without a connection.
//!
//! Invariant: a member that is told nothing new keeps what it has; whatever it is told, [`member::Member::next`] says how it goes on.
//! Deliberately reads no records: groups and their offsets are what is looked at.

pub mod client;
pub mod member;
pub mod offsets;
pub mod protocol;
