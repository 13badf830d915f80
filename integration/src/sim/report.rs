//! What one seed comes to, as one line of JSON that the runner of many seeds reads.

use serde::{Deserialize, Serialize};

use crate::sim::faults::Effects;

/// The outcome of one seed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The seed.
    pub seed: u64,
    /// Virtual time that passed, seconds.
    pub virtual_seconds: f64,
    /// What took effect.
    pub effects: Effects,
    /// How often a controller became the active one.
    pub elections: u64,
    /// Records that were acknowledged.
    pub acknowledged: usize,
    /// Records that readers read while things broke, each once.
    pub read: usize,
    /// Commits of groups that were acknowledged.
    pub commits: usize,
    /// Topics whose creation was answered.
    pub topics: usize,
    /// Hash of the trace.
    pub trace_hash: String,
    /// What must not happen and did.
    pub problems: Vec<String>,
}
