//! What the cluster refuses to a Kafka client, with cause and cure.
//!
//! Invariant: an error that the cluster answered is never told as a cluster that does not answer, however often it was tried again.

use rskafka::BackoffError;
use rskafka::client::error::{Error, ProtocolError, RequestContext};

use super::Failure;

/// The refusal in an error; `None` where nobody answered.
pub(super) fn refusal(error: &Error) -> Option<Failure> {
    match last(error) {
        Error::ServerError { protocol_error, error_message, request, .. } => {
            let (cause, cure) = cause_and_cure(*protocol_error);
            let cause = error_message.as_deref().unwrap_or(cause);
            let message = format!("{}{cause}; {cure}", subject(request));
            Some(Failure::Refused { reason: format!("{protocol_error:?}"), message })
        }
        Error::InvalidResponse(cause) => Some(Failure::Refused {
            reason: "InvalidResponse".to_owned(),
            message: format!("{cause}; `ottla doctor` looks further"),
        }),
        _ => None,
    }
}

/// The error that the last of several tries ended with.
fn last(error: &Error) -> &Error {
    let mut error = error;
    while let Error::RetryFailed(BackoffError::DeadlineExceded { source, .. }) = error {
        let Some(inner) = source.downcast_ref::<Error>() else { break };
        error = inner;
    }
    error
}

fn subject(request: &RequestContext) -> String {
    match request {
        RequestContext::Topic(topic) => format!("{topic:?}: "),
        RequestContext::Partition(topic, partition) => format!("{topic}-{partition}: "),
        RequestContext::Fetch { topic_name, partition_id, offset, .. } => {
            format!("{topic_name}-{partition_id} at offset {offset}: ")
        }
        _ => String::new(),
    }
}

fn cause_and_cure(error: ProtocolError) -> (&'static str, &'static str) {
    match error {
        ProtocolError::UnknownTopicOrPartition => (
            "there is no such topic or partition",
            "`ottla topic list` shows those that are there, `ottla topic create NAME` makes one",
        ),
        ProtocolError::LeaderNotAvailable => (
            "the partition has no leader: its storage node is down, or not ready yet",
            "`ottla status` shows which storage node is not active",
        ),
        ProtocolError::NotLeaderOrFollower
        | ProtocolError::RequestTimedOut
        | ProtocolError::NetworkException
        | ProtocolError::BrokerNotAvailable
        | ProtocolError::ReplicaNotAvailable
        | ProtocolError::OffsetNotAvailable => (
            "the storage node that leads the partition does not answer",
            "`ottla status` shows whether it is active; try again once it is",
        ),
        ProtocolError::InvalidTopicException => (
            "a topic's name has 1 to 249 letters, digits, `.`, `_` and `-`, and is not `.` or `..`",
            "choose another name",
        ),
        ProtocolError::MessageTooLarge | ProtocolError::RecordListTooLarge => (
            "the batch is longer than the topic's max.message.bytes",
            "send shorter records, or set max.message.bytes of the topic higher",
        ),
        ProtocolError::NotEnoughReplicas | ProtocolError::NotEnoughReplicasAfterAppend => (
            "fewer replicas are in sync than the topic's min.insync.replicas asks for",
            "bring the storage nodes back that `ottla status` shows, or set min.insync.replicas lower",
        ),
        ProtocolError::InvalidReplicationFactor => (
            "the topic cannot have as many replicas as default.replication.factor says",
            "make it with `ottla topic create NAME --replication-factor 1`, or set default.replication.factor lower",
        ),
        ProtocolError::OffsetOutOfRange => (
            "its records are not there any more",
            "begin at the first that is there with --from-beginning",
        ),
        ProtocolError::InvalidTimestamp => (
            "the record's time is further from the cluster's than the topic's message.timestamp.before.max.ms or \
             message.timestamp.after.max.ms allows",
            "set this machine's clock",
        ),
        ProtocolError::KafkaStorageError | ProtocolError::LogDirNotFound => {
            ("the storage node's disk fails", "its log says why; `ottla status` shows where it is")
        }
        _ => ("the cluster refuses it", "its log says why; `ottla doctor` looks further"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn refused(protocol_error: ProtocolError) -> Error {
        Error::ServerError {
            protocol_error,
            error_message: None,
            request: RequestContext::Partition("orders".to_owned(), 3),
            response: None,
            is_virtual: false,
        }
    }

    #[test]
    fn what_the_cluster_answered_to_every_try_is_a_refusal_and_not_silence() {
        let source = Box::new(refused(ProtocolError::LeaderNotAvailable));
        let deadline = Duration::from_secs(10);
        let error = Error::RetryFailed(BackoffError::DeadlineExceded { deadline, source });
        let Failure::Refused { reason, message } = Failure::from_kafka("localhost:9092", &error)
        else {
            panic!("not a refusal")
        };
        assert_eq!(reason, "LeaderNotAvailable");
        assert!(message.starts_with("orders-3: ") && message.contains("ottla status"), "{message}");
    }

    #[test]
    fn a_cluster_that_does_not_answer_is_told_as_such() {
        let silent = Error::Timeout;
        assert!(matches!(Failure::from_bootstrap("h:1", &silent), Failure::Unreachable { .. }));
        assert!(matches!(Failure::from_kafka("h:1", &silent), Failure::PartlyUnreachable { .. }));
    }

    #[test]
    fn every_refusal_has_a_cause_and_a_cure_beside_its_name() {
        for error in [
            ProtocolError::InvalidTopicException,
            ProtocolError::MessageTooLarge,
            ProtocolError::NotEnoughReplicas,
            ProtocolError::PolicyViolation,
        ] {
            let Some(Failure::Refused { message, .. }) = refusal(&refused(error)) else {
                panic!("not a refusal")
            };
            assert!(
                message.contains("; ") && !message.contains(&format!("{error:?}")),
                "{message}"
            );
        }
    }
}
