//! Deciding: what the coordinator answers to a command, and which events make it so.
//!
//! Invariant: the durable state is only read; a command that is refused leaves no event; a decision's events are one
//! unsplittable batch, no larger than the settings allow, and are replayed before the next decision.
//! Deliberately does not know whether events are ever committed: if not, both states are dropped.

use std::time::Duration;

pub use ottla_types::Now;

use crate::command::{Command, Token};
use crate::durable::Durable;
use crate::event::Event;
use crate::names::{Generation, GroupId, MemberId};
use crate::reply::Reply;
use crate::settings::Settings;
use crate::soft::{Live, Soft};

mod commit_offsets;
mod delete_groups;
mod delete_offsets;
mod describe;
mod desk;
mod expire;
mod fetch_offsets;
mod heartbeat;
mod join;
mod leave;
mod list;
mod rebalance;
mod removal;
mod static_join;
mod sync;
mod tick;
mod topics_deleted;

pub use join::{MAX_GROUPS, MAX_MEMBER_METADATA_BYTES, NEW_MEMBER_JOIN_TIMEOUT_MS};
pub use list::MAX_GROUPS_PER_PAGE;

use desk::Desk;

/// What a decision depends on besides states and command.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The coordinator's settings.
    pub settings: &'a Settings,
    /// The time.
    pub now: Now,
    /// The id of a new member follows from it: a fresh random number for every decision.
    pub seed: u128,
}

/// The outcome of a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    /// What becomes true: one batch of the log. Empty where nothing changes.
    pub events: Vec<Event>,
    /// What is answered, once all that is in the log now, these events included, is committed. Also to requests that waited.
    pub replies: Vec<(Token, Reply)>,
    /// When the next [`Command::Tick`] is due, in the monotonic time of [`Now`]; `None`: nothing can expire.
    pub deadline: Option<Duration>,
    /// The rest of a command that was too large for one batch: to be decided next.
    pub next: Option<Command>,
    /// What an operator may want to know.
    pub notes: Vec<Note>,
}

/// Something that a log line or a metric is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// The members of a group are called to join again.
    RebalanceBegan {
        /// The group.
        group: GroupId,
        /// The generation that ends.
        generation: Generation,
        /// Why, for people.
        reason: String,
    },
    /// A generation began.
    GenerationBegan {
        /// The group.
        group: GroupId,
        /// The generation.
        generation: Generation,
        /// How many members it has.
        members: usize,
    },
    /// A member is gone.
    MemberGone {
        /// The group.
        group: GroupId,
        /// The member.
        member: MemberId,
        /// Why, for people.
        reason: String,
    },
    /// Events were too large for one batch of the log; who wanted them was refused.
    TooLarge {
        /// The group.
        group: GroupId,
        /// Their size in bytes, at most.
        bytes: usize,
    },
}

/// Decides a command.
pub fn decide(
    durable: &Durable,
    soft: &mut Soft,
    command: Command,
    context: &Context<'_>,
) -> Decision {
    let mut desk = Desk::new(durable, context);
    match command {
        Command::Join(join) => join::decide(&mut desk, soft, join),
        Command::Sync(sync) => sync::decide(&mut desk, soft, sync),
        Command::Heartbeat(heartbeat) => heartbeat::decide(&mut desk, soft, &heartbeat),
        Command::Leave(leave) => leave::decide(&mut desk, soft, leave),
        Command::CommitOffsets(commit) => commit_offsets::decide(&mut desk, soft, commit),
        Command::FetchOffsets(fetch) => fetch_offsets::decide(&mut desk, fetch),
        Command::Describe { token, groups } => describe::decide(&mut desk, soft, token, groups),
        Command::List(list) => list::decide(&mut desk, soft, &list),
        Command::DeleteGroups { token, groups } => {
            delete_groups::decide(&mut desk, soft, token, groups);
        }
        Command::DeleteOffsets(delete) => delete_offsets::decide(&mut desk, soft, delete),
        Command::TopicsDeleted { topics, after } => {
            topics_deleted::decide(&mut desk, topics, after);
        }
        Command::Expire { after } => expire::decide(&mut desk, soft, after),
        Command::Tick => tick::decide(&mut desk, soft),
    }
    Decision { deadline: soft.next_deadline(), ..desk.into_decision() }
}

/// A group that was loaded and is larger than the settings allow now rebalances, so that its members can still commit.
pub(crate) fn shrink_loaded(durable: &Durable, live: &mut Live, context: &Context<'_>) {
    if live.roster.len() <= join::max_members(context.settings) {
        return;
    }
    let mut desk = Desk::new(durable, context);
    rebalance::prepare(&mut desk, live, "the loaded group is larger than group.max.size");
    debug_assert!(desk.into_decision().events.is_empty(), "members remain, so nothing is stored");
}

#[cfg(test)]
mod tests;
