//! One seed, one process, one simulated cluster: the real roles under turmoil, on disks that lose what nobody synced.
//!
//! Invariant: a seed decides everything. Time, network, disks, faults, clients and their randomness come from it, so the same seed
//! writes the same trace in every process. Read [`world`] first: its loop is the life of a seed.
//! Deliberately not in normal builds: the feature `sim` brings it, with turmoil and the storage node's mutants.

pub mod check;
pub mod client;
pub mod commits;
pub mod entropy;
pub mod faults;
pub mod history;
pub mod host;
pub mod plan;
pub mod report;
pub mod runs;
pub mod trace;
pub mod value;
pub mod workload;
pub mod world;
