//! The topic in which group coordinators keep groups and offsets.
//!
//! Invariant: whoever causes it to be made, it is compacted, and keeps what producers compressed. Deliberately does not know who
//! creates it, nor when.

use ottla_metadata::command::NewTopic;

use crate::config::OffsetsTopic;

/// Its name.
pub(super) use ottla_coordinator::OFFSETS_TOPIC as NAME;

/// The topic as it is made.
pub(super) fn new(wanted: &OffsetsTopic) -> NewTopic {
    let configs = [
        ("cleanup.policy", "compact".to_owned()),
        ("compression.type", "producer".to_owned()),
        ("segment.bytes", wanted.segment_bytes.to_string()),
    ];
    NewTopic {
        name: NAME.to_owned(),
        partitions: Some(wanted.partitions),
        replication_factor: Some(wanted.replication_factor),
        assignments: Vec::new(),
        configs: configs.map(|(name, value)| (name.to_owned(), Some(value))).into(),
    }
}
