//! What CreateTopics, DeleteTopics and CreatePartitions have in common: the controller decides, and the client is answered when
//! this gateway has replayed the decision and the leaders serve new partitions, within the request's time-out.
//!
//! Invariant: one outcome for each topic of the command. A time-out tells REQUEST_TIMED_OUT, and the deed may be done all the
//! same, as in Kafka. Deliberately does not know which command it is.

use std::time::Duration;

use ottla_metadata::command::TopicOutcome;
use ottla_metadata::{Command, Refusal, Reply};
use ottla_types::{ErrorCode, TopicId};

use super::readiness;
use crate::errors;
use crate::request::Call;

/// Kafka answers a request without a time-out at once with a time-out of its own; here it gets this long.
const LEAST_TIME: Duration = Duration::from_secs(1);

/// What became of one topic.
pub(super) type Outcome = Result<TopicOutcome, Refusal>;

/// What an answer waits for, beyond the decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Until {
    /// Nothing: the command only checks.
    Decided,
    /// This gateway knows it.
    Replayed,
    /// The leaders serve all partitions of the topics.
    Served,
}

/// Has the controller decide; one outcome for each of the `count` topics of the command.
pub(super) async fn submit(
    call: &Call,
    (command, count): (Command, usize),
    until: Until,
    timeout: Duration,
) -> Vec<Outcome> {
    if count == 0 {
        return Vec::new();
    }
    let timeout = timeout.max(LEAST_TIME);
    let all = |refusal: Refusal| vec![Err(refusal); count];
    let deadline = call.gateway.seams.clock.monotonic() + timeout;
    let submitted = call.gateway.controller.submit(call.context(timeout), command).await;
    let submitted = match submitted {
        Ok(submitted) => submitted,
        Err(error) => return all(Refusal::new(errors::for_controller(&error), error.to_string())),
    };
    let mut outcomes = match submitted.reply {
        Reply::Topics(outcomes) => outcomes,
        Reply::Refused(refusal) => return all(refusal),
        _ => Vec::new(),
    };
    // A request that is too large as a whole may be refused with fewer outcomes.
    let last = outcomes.iter().rev().find_map(|outcome| outcome.as_ref().err().cloned());
    outcomes.resize_with(count, || Err(last.clone().unwrap_or_else(no_answer)));
    match settle(call, &outcomes, (submitted.offset, until), deadline).await {
        Ok(()) => outcomes,
        Err(late) => outcomes.into_iter().map(|outcome| outcome.and(Err(late.clone()))).collect(),
    }
}

/// Waits until what was decided can be used.
async fn settle(
    call: &Call,
    outcomes: &[Outcome],
    (offset, until): (ottla_types::MetadataOffset, Until),
    deadline: Duration,
) -> Result<(), Refusal> {
    let done: Vec<TopicId> = outcomes.iter().flatten().map(|outcome| outcome.id).collect();
    if until == Until::Decided || done.is_empty() {
        return Ok(());
    }
    let left = deadline.saturating_sub(call.gateway.seams.clock.monotonic());
    let is_settled = async {
        call.gateway.wait_until(left, |image| image.offset >= offset).await?;
        match until {
            Until::Served => readiness::wait(call, &done, deadline).await,
            _ => Ok(()),
        }
    };
    is_settled.await.map_err(|error| {
        let message = format!("decided, but not in effect within the request's time-out: {error}");
        Refusal::new(ErrorCode::RequestTimedOut, message)
    })
}

fn no_answer() -> Refusal {
    Refusal::new(ErrorCode::UnknownServerError, "the controller gave no answer for this topic")
}
