//! What can happen in the model.

use proptest::prelude::*;

use super::clients::{Action, CLIENTS, GROUPS, TOPICS};

/// One step.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// All that is in the log is committed.
    Replicate,
    /// The coordinator goes, with at most this many batches that were not committed.
    Crash { lost: usize },
    /// Time passes.
    Pass { ms: u64 },
    /// A client forgets who it was.
    Restart { client: usize },
    /// The check of retention.
    Expire,
    /// A topic is deleted.
    DeleteTopic { topic: usize },
    /// An administrator deletes a group.
    DeleteGroup { group: usize },
    /// A client does something.
    Client { client: usize, action: Action },
}

/// A run of steps.
pub(crate) fn steps() -> impl Strategy<Value = Vec<Step>> {
    prop::collection::vec(step(), 1..160)
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        8 => Just(Step::Replicate),
        1 => (0_usize..4).prop_map(|lost| Step::Crash { lost }),
        6 => prop_oneof![1_u64..200, 2_000_u64..5_000, 5_000_u64..40_000]
            .prop_map(|ms| Step::Pass { ms }),
        1 => (0..CLIENTS).prop_map(|client| Step::Restart { client }),
        1 => Just(Step::Expire),
        1 => (0..TOPICS).prop_map(|topic| Step::DeleteTopic { topic }),
        1 => (0..GROUPS).prop_map(|group| Step::DeleteGroup { group }),
        40 => (0..CLIENTS, action()).prop_map(|(client, action)| Step::Client { client, action }),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        // What a client of a group does when it comes to it.
        12 => Just(Action::GoOn),
        6 => (0_usize..4).prop_map(|offer| Action::Join { offer }),
        4 => Just(Action::Sync),
        3 => Just(Action::Heartbeat),
        6 => (0..TOPICS).prop_map(|topic| Action::Commit { topic }),
        3 => (0..TOPICS, any::<prop::sample::Index>())
            .prop_map(|(topic, which)| Action::CommitAsGhost { topic, which }),
        2 => (0..TOPICS).prop_map(|topic| Action::CommitOutside { topic }),
        2 => Just(Action::Leave),
        1 => Just(Action::RemoveInstance),
    ]
}
