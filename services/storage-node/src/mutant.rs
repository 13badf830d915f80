//! Known bugs that a simulation puts back, to see that it finds them. Not in normal builds: the feature `mutants` brings them.
//!
//! Invariant: without the feature, every question here is answered "no" at compile time.

use crate::config::StorageConfig;

/// A bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// Journals are written but never synced, and what was written is called durable.
    NoSync,
    /// Produces with `acks=all` are answered before the high watermark passed them.
    AnswerBeforeWatermark,
    /// Coordinators of groups reply before what they decided is committed.
    ReplyBeforeAppend,
}

impl Mutant {
    /// The bug of a name: `no_sync`, `answer_before_watermark` or `reply_before_append`.
    pub fn from_name(name: &str) -> Option<Self> {
        match name {
            "no_sync" => Some(Self::NoSync),
            "answer_before_watermark" => Some(Self::AnswerBeforeWatermark),
            "reply_before_append" => Some(Self::ReplyBeforeAppend),
            _ => None,
        }
    }
}

/// The bug of this node, if any.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Mutation {
    #[cfg(feature = "mutants")]
    pub(crate) mutant: Option<Mutant>,
}

impl Mutation {
    /// The bug that a node was configured with.
    #[cfg(feature = "mutants")]
    pub(crate) fn of(config: &StorageConfig) -> Self {
        Self { mutant: config.mutant }
    }

    /// The bug that a node was configured with: none.
    #[cfg(not(feature = "mutants"))]
    pub(crate) fn of(_: &StorageConfig) -> Self {
        Self::default()
    }

    #[cfg(feature = "mutants")]
    pub(crate) fn is(self, mutant: Mutant) -> bool {
        self.mutant == Some(mutant)
    }

    #[cfg(not(feature = "mutants"))]
    pub(crate) const fn is(self, _: Mutant) -> bool {
        false
    }
}

/// A disk whose files forget to sync.
#[cfg(feature = "mutants")]
pub(crate) mod no_sync;
#[cfg(feature = "mutants")]
pub(crate) use no_sync::NoSyncDisk;
