//! The binary as a library: it composes the three roles in a process, and holds the command line.
//!
//! Invariant: this is the only crate that knows all three roles; each gets the others as traits.
//! Deliberately decides nothing: a configuration goes in, running roles come out.

pub mod cli;
pub mod format;
pub mod roles;
pub mod settings;
