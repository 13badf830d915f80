//! What a Kafka client should see when a call to another role failed.
//!
//! Invariant: a client that can go on by trying again gets a code that makes it try again, after a look at the metadata where
//! that helps. Produce never answers UNKNOWN_SERVER_ERROR: clients take that for the loss of the batch.
//! Deliberately does not know the domain's refusals: they are codes already.

use ottla_api::CallError;
use ottla_metadata::Refusal;
use ottla_types::ErrorCode;

/// For Produce. Clients look for a new leader and send again after NOT_LEADER_OR_FOLLOWER; sequence numbers keep a batch that
/// did arrive from being appended twice. After REQUEST_TIMED_OUT they know that it may have arrived.
pub(crate) const fn for_produce(error: &CallError) -> ErrorCode {
    match error {
        CallError::Unreachable { .. }
        | CallError::Overloaded(_)
        | CallError::NotActive { .. }
        | CallError::Stopping => ErrorCode::NotLeaderOrFollower,
        CallError::TimedOut(_) => ErrorCode::RequestTimedOut,
        CallError::Malformed(_) => ErrorCode::KafkaStorageError,
    }
}

/// For Fetch: Kafka's consumer throws on every code that it does not expect there, so there are two only.
pub(crate) const fn for_fetch(error: &CallError) -> ErrorCode {
    match error {
        CallError::Malformed(_) => ErrorCode::KafkaStorageError,
        _ => ErrorCode::NotLeaderOrFollower,
    }
}

/// For ListOffsets and other questions about single partitions, whose clients take every retriable code.
pub(crate) const fn for_partition(error: &CallError) -> ErrorCode {
    match error {
        CallError::TimedOut(_) => ErrorCode::RequestTimedOut,
        CallError::Malformed(_) => ErrorCode::KafkaStorageError,
        _ => ErrorCode::NotLeaderOrFollower,
    }
}

/// An outcome as the fields of an answer.
pub(crate) fn code_and_message(outcome: Result<(), Refusal>) -> (i16, Option<String>) {
    match outcome {
        Ok(()) => (ErrorCode::None.code(), None),
        Err(refusal) => (refusal.code.code(), Some(refusal.message)),
    }
}

/// For what the active controller decides.
pub(crate) const fn for_controller(error: &CallError) -> ErrorCode {
    match error {
        CallError::TimedOut(_) => ErrorCode::RequestTimedOut,
        CallError::Malformed(_) => ErrorCode::UnknownServerError,
        // Clients look for the controller and try again.
        _ => ErrorCode::NotController,
    }
}

/// For InitProducerId: clients ask again after a load in progress, and look for a coordinator after anything else.
pub(crate) const fn for_producer_id(error: &CallError) -> ErrorCode {
    match error {
        CallError::TimedOut(_) => ErrorCode::RequestTimedOut,
        CallError::Malformed(_) => ErrorCode::UnknownServerError,
        _ => ErrorCode::CoordinatorLoadInProgress,
    }
}

/// For what group coordinators are asked, with Kafka's own meaning: NOT_COORDINATOR makes clients look for another one, and
/// COORDINATOR_NOT_AVAILABLE look again.
pub(crate) const fn for_coordinator(error: &CallError) -> ErrorCode {
    match error {
        CallError::TimedOut(_) | CallError::Overloaded(_) => ErrorCode::CoordinatorNotAvailable,
        CallError::Malformed(_) => ErrorCode::UnknownServerError,
        _ => ErrorCode::NotCoordinator,
    }
}

/// For DescribeLogDirs.
pub(crate) const fn for_log_dirs(error: &CallError) -> ErrorCode {
    match error {
        CallError::TimedOut(_) => ErrorCode::RequestTimedOut,
        _ => ErrorCode::KafkaStorageError,
    }
}

/// For DescribeQuorum: clients ask again.
pub(crate) const fn for_quorum(error: &CallError) -> ErrorCode {
    match error {
        CallError::TimedOut(_) => ErrorCode::RequestTimedOut,
        CallError::Malformed(_) => ErrorCode::UnknownServerError,
        _ => ErrorCode::BrokerNotAvailable,
    }
}

/// For DescribeConfigs of a storage node.
pub(crate) const fn for_node_configs(error: &CallError) -> ErrorCode {
    match error {
        CallError::TimedOut(_) => ErrorCode::RequestTimedOut,
        CallError::Malformed(_) => ErrorCode::UnknownServerError,
        _ => ErrorCode::BrokerNotAvailable,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn every_failed_call_makes_clients_try_again() {
        let errors = [
            CallError::Unreachable { peer: "node 1".into(), cause: "refused".into() },
            CallError::TimedOut(Duration::from_secs(1)),
            CallError::Overloaded("node 1".into()),
            CallError::NotActive { active: None },
            CallError::Stopping,
            CallError::Malformed("x".into()),
        ];
        for error in &errors {
            assert!(for_produce(error).is_retriable(), "{error}");
            assert!(for_fetch(error).is_retriable(), "{error}");
            assert!(for_partition(error).is_retriable(), "{error}");
            assert!(for_log_dirs(error).is_retriable(), "{error}");
            assert_ne!(for_produce(error), ErrorCode::UnknownServerError);
            let is_garbage = matches!(error, CallError::Malformed(_));
            assert_ne!(for_coordinator(error).is_retriable(), is_garbage, "{error}");
        }
    }
}
