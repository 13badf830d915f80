//! What a gateway asks a group coordinator, and what that answers.
//!
//! Invariant: an outcome is the coordinator's own reply, or the reason why there is no coordinator to reply; the two never mix.
//! Deliberately does not know what commands mean: that is `ottla-coordinator`'s.

use ottla_coordinator::{Command, Reply};
use ottla_types::{ErrorCode, PartitionIndex};

/// A command for one coordinator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinateRequest {
    /// The partition of `__consumer_offsets` that holds the group ([`ottla_coordinator::partition_of_group`]).
    pub partition: PartitionIndex,
    /// What is asked. Its token is the coordinator's business: whatever the caller gives is replaced. A command without a token
    /// is refused.
    pub command: Command,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CoordinateResponse {
    /// The coordinator's reply; or `NOT_COORDINATOR` (this node does not lead the partition, or lost what it was doing),
    /// `COORDINATOR_LOAD_IN_PROGRESS` (it leads, and still reads the partition), `COORDINATOR_NOT_AVAILABLE` (it has too much
    /// to do, or the partition cannot be read). With each of these the caller may ask again.
    pub outcome: Result<Reply, ErrorCode>,
}
