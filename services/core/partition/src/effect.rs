//! What a replica wants its shell to do.
//!
//! Invariant: an effect is produced only by facts that the shell has already made durable, so that the shell may carry it out
//! at once (law 3: durable, then visible).

use ottla_types::{ErrorCode, Offset};

/// Names a waiting produce; the shell chooses it, unique among those that wait at one replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ticket(pub u64);

/// One wish of a replica.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// The waiting produce is done: its batch counts as its `acks` demand.
    Acknowledge(Ticket),
    /// The waiting produce failed: what became of its batch is for the next leader to say.
    Refuse(Ticket, ErrorCode),
    /// The high watermark moved: wake the fetches that wait for records below it.
    WakeFetches {
        /// The high watermark from now on.
        high_watermark: Offset,
    },
}
