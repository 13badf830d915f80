//! A storage node as a member of its cluster: registration, heartbeats, assignments, producer ids.
//!
//! Invariant: the node is unfenced only after it acted on everything up to its own registration, and it is registered anew when
//! the controller does not know its registration any more.

pub(crate) mod assignments;
pub(crate) mod membership;
pub(crate) mod producer_ids;
pub(crate) mod registration;

use std::time::Duration;

/// How long one call to the controller may take.
pub(crate) const CALL_TIMEOUT: Duration = Duration::from_secs(5);
