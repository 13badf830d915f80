//! Newtypes for every number with a meaning.
//!
//! Invariant: numbers of different meaning never mix; arithmetic that can overflow saturates.

use serde::{Deserialize, Serialize};

macro_rules! number {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$inner> for $name {
            fn from(value: $inner) -> Self {
                Self(value)
            }
        }

        impl From<$name> for $inner {
            fn from(value: $name) -> Self {
                value.0
            }
        }
    )*};
}

number! {
    /// `node.id` of a process: a Kafka broker id or a controller's voter id. Never negative once configured.
    NodeId(i32);
    /// A partition's index within its topic, from 0.
    PartitionIndex(i32);
    /// A record's position in its partition, from 0. End offsets are exclusive.
    Offset(i64);
    /// A partition's leader epoch: grows with each election.
    LeaderEpoch(i32);
    /// A partition's epoch: grows with each change of its leader, ISR or replicas (compare-and-swap, R3).
    PartitionEpoch(i32);
    /// The metadata offset of a storage node's registration (R1).
    BrokerEpoch(i64);
    /// Position of a metadata event, counted in the image; the first event has offset 1, an empty image 0.
    MetadataOffset(u64);
    /// A raft term.
    Term(u64);
    /// An idempotent or transactional producer's id.
    ProducerId(i64);
    /// A producer's epoch; -1 means none.
    ProducerEpoch(i16);
    /// A record's sequence number within its producer and partition; wraps from 2³¹−1 to 0, -1 means none.
    Sequence(i32);
    /// Numbers the subscriptions of one replication stream; a frame of an older session is dropped.
    SessionNumber(u64);
}

impl NodeId {
    /// Kafka's `-1`: no node.
    pub const NONE: Self = Self(-1);
}

impl Offset {
    /// The first offset of an empty log.
    pub const ZERO: Self = Self(0);
    /// Kafka's `-1`: no offset known.
    pub const NONE: Self = Self(-1);

    /// The offset `count` records further on; saturates.
    pub const fn plus(self, count: i64) -> Self {
        Self(self.0.saturating_add(count))
    }
}

impl LeaderEpoch {
    /// Kafka's `-1`: no epoch known.
    pub const NONE: Self = Self(-1);

    /// The epoch after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl PartitionEpoch {
    /// The epoch after this one.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl MetadataOffset {
    /// The offset of the next event.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl ProducerId {
    /// Kafka's `-1`: the batch is not idempotent.
    pub const NONE: Self = Self(-1);
}

impl Sequence {
    /// The sequence `count` records further on, with Kafka's wrap from 2³¹−1 to 0.
    pub const fn plus(self, count: i32) -> Self {
        if self.0 > i32::MAX - count {
            Self(count - (i32::MAX - self.0) - 1)
        } else {
            Self(self.0 + count)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_wraps_to_zero_after_the_largest_value() {
        assert_eq!(Sequence(i32::MAX).plus(1), Sequence(0));
        assert_eq!(Sequence(i32::MAX - 1).plus(3), Sequence(1));
        assert_eq!(Sequence(7).plus(3), Sequence(10));
    }
}
