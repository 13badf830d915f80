//! The words that every room of Ottla shares: identities, numbers with a meaning, error codes, limits.
//!
//! Invariant: a bare integer never crosses a crate boundary when it has a meaning of its own.
//! Deliberately knows no encoding, no I/O and no behaviour beyond conversion and order.

mod error_code;
mod identity;
pub mod limits;
mod number;
mod time;
mod trace;
mod uuid;

pub use error_code::ErrorCode;
pub use identity::{
    ClusterId, DirectoryId, IncarnationId, ListenerName, Principal, TopicId, TopicPartition,
};
pub use number::{
    BrokerEpoch, LeaderEpoch, MetadataOffset, NodeId, Offset, PartitionEpoch, PartitionIndex,
    ProducerEpoch, ProducerId, Sequence, SessionNumber, Term,
};
pub use time::{Now, TimestampMs};
pub use trace::TraceParent;
pub use uuid::Uuid;
