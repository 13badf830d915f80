//! Consumer groups and their offsets as a state machine: one per partition of `__consumer_offsets`.
//!
//! Invariant: [`decide()`] never changes [`Durable`], [`Durable::replay`] never fails, and whoever replays the same events has
//! the same groups and offsets. What only the leader of the partition knows (who waits for what, until when) is [`Soft`] and
//! dies with its leadership. Semantics are those of Apache Kafka 4.3's group coordinator for classic groups.
//! Deliberately does not know logs, clocks, connections, nor how a request is encoded. Read [`event`] first, then
//! [`command`] and [`mod@decide`].
//!
//! A shell works like this, in this order, with one thread per state machine:
//! 1. it decides a command;
//! 2. it appends the decision's events as one batch and replays them at once, before the next command;
//! 3. it sends the replies of the decision when the high watermark has reached what was the end of its log after step 2: so
//!    also a decision without events shows nothing that could still be lost;
//! 4. it decides [`Command::Tick`] when the last decision's deadline has come, and [`Decision::next`], if there is one, next.
//!
//! If an append fails or leadership goes, it drops both states, answers what it still holds with `NOT_COORDINATOR`, and
//! loads again: replay everything, then [`Soft::load`]. There is no undo.

mod assignment;
pub mod codec;
pub mod command;
pub mod decide;
pub mod durable;
pub mod event;
mod group_partition;
mod names;
pub mod records;
pub mod reply;
mod settings;
mod soft;
mod subscription;

pub use assignment::assigned_partitions;
pub use command::{Command, Token};
pub use decide::{Context, Decision, Note, Now, decide};
pub use durable::{Changes, Durable, Group, GroupType};
pub use event::Event;
pub use group_partition::{OFFSETS_TOPIC, java_string_hash, partition_of_group};
pub use names::{
    Generation, GroupId, InstanceId, MAX_TEXT_BYTES, MemberId, Text, TextTooLong, TopicName,
};
pub use records::{Decoded, Record, RecordError};
pub use reply::{GroupState, Reply};
pub use settings::Settings;
pub use soft::{MAX_GROUP_MEMBERS, MAX_PENDING_MEMBERS, Soft};
