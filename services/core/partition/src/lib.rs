//! One replica of one partition as a state machine: what may be appended, what counts, what may be read, who is in sync.
//!
//! Invariant: nothing here performs I/O or reads a clock. A shell tells a [`Replica`] what it wrote, what is durable, what its
//! peers hold and what the metadata say; the replica answers with decisions and [`Effect`]s. The rules R4–R9 and R13 of
//! replication are functions named after their numbers.
//! Deliberately does not know bytes, files, sockets, nor how a batch is encoded. Read [`effect`], then [`replica`].

pub mod append;
pub mod effect;
pub mod fetch;
pub mod follower;
pub mod high_watermark;
pub mod isr;
pub mod leader;
pub mod leader_epochs;
pub mod open_transactions;
pub mod producers;
pub mod replica;

pub use append::{AppendRefusal, Batch, BatchProducer, Decision, Placement, TimestampPolicy};
pub use effect::{Effect, Ticket};
pub use fetch::{FetchRefusal, Readable};
pub use leader_epochs::{EpochStart, LeaderEpochs};
pub use open_transactions::OpenTransactions;
pub use producers::{BatchMemory, Producer, Producers};
pub use replica::{
    Assignment, Durability, ProgressReport, RecoveredState, Replica, ReplicaConfig, ReplicaRole,
};
