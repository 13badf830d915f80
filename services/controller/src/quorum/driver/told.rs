//! What the active controller says of storage nodes in its log: one line for each that came, takes part, or was fenced.
//!
//! Invariant: a line is about what is committed and changed something. Only the active controller says it, so that a quorum says it
//! once; what was committed before it led is old news. Deliberately names no partition: the history does.

use ottla_metadata::Event;
use ottla_types::NodeId;

use super::Applied;
use crate::quorum::state_store::cause;

/// Says what a committed event means for a storage node, if it is about one.
pub(super) fn tell(applied: &Applied) {
    if applied.changes.brokers.is_empty() {
        return;
    }
    match applied.event.as_ref() {
        Event::BrokerFenced { .. } => tracing::warn!("{}", fencing(applied)),
        Event::BrokerUnfenced { node, .. } => {
            let back = count(applied, |before, after| before.is_none() && after.is_some());
            tracing::info!(
                "storage node {node} takes part: it caught up with its registration; \
                 partitions that have a leader again: {back}"
            );
        }
        Event::BrokerRegistered(registration) => {
            let endpoint = &registration.storage_endpoint;
            tracing::info!(
                "storage node {} registered at {}:{}, fenced until it has caught up",
                registration.node,
                endpoint.host,
                endpoint.port
            );
        }
        _ => {}
    }
}

fn fencing(applied: &Applied) -> String {
    let lost = count(applied, |before, after| before != after);
    let leaderless = count(applied, |before, after| before.is_some() && after.is_none());
    let more = match applied.changes.partitions_left_off {
        0 => String::new(),
        more => format!("; {more} more partitions changed and are not counted here"),
    };
    let why = cause(&applied.event);
    format!(
        "{why}; partitions that lost their leader: {lost}, of them without any now: {leaderless}{more}"
    )
}

/// How many partitions went from one leader to another in this way.
fn count(applied: &Applied, is_so: impl Fn(Option<NodeId>, Option<NodeId>) -> bool) -> usize {
    let changes = applied.changes.partitions.iter();
    changes.filter(|change| is_so(change.before.leader, change.after.leader)).count()
}
