//! The cluster's metadata as a state machine: commands are decided against an image, events change it.
//!
//! Invariant: `decide` never changes the image, `Image::replay` never fails, and every member that replayed the same events
//! has the same [`Image::hash`].
//! Deliberately does not know raft, disks, clocks or the network. Read [`event`] first.

pub mod addresses;
pub mod codec;
pub mod command;
pub mod decide;
mod dice;
pub mod dynamic_config;
pub mod election;
pub mod event;
pub mod image;
mod placement;
pub mod topic_config;

pub use command::{Command, Refusal, Reply};
pub use decide::{Context, Decision, Now, Settings, Soft, decide};
pub use event::Event;
pub use image::{Changes, Image};
