//! Failures of the admin API: a gRPC status for programs, a sentence for people, and `google.rpc.ErrorInfo` with Kafka's name.
//!
//! Invariant: every failed call carries an ErrorInfo of the domain `ottla`.

use std::collections::HashMap;

use ottla_api::CallError;
use ottla_metadata::Refusal;
use ottla_types::{ErrorCode, NodeId};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::quorum::state_store::StoreError;

/// The domain of our errors.
pub(super) const ERROR_DOMAIN: &str = "ottla";

/// Why a call failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum AdminError {
    /// The domain said no.
    #[error("{}", .0.message)]
    Refused(#[from] Refusal),
    /// The quorum could not be asked.
    #[error("{0}")]
    Call(CallError),
    /// The store could not be asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl AdminError {
    /// A request that makes no sense.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::Refused(Refusal::new(ErrorCode::InvalidRequest, message))
    }

    /// Nothing of this name.
    pub(super) fn no_topic(name: &str) -> Self {
        let message = format!(
            "there is no topic {name:?}; `ottla topic list` (ListTopics) shows those that are there"
        );
        Self::Refused(Refusal::new(ErrorCode::UnknownTopicOrPartition, message))
    }

    /// The same where the domain said so without the name.
    pub(super) fn of_topic(self, name: &str) -> Self {
        match self {
            Self::Refused(Refusal { code: ErrorCode::UnknownTopicOrPartition, .. }) => {
                Self::no_topic(name)
            }
            other => other,
        }
    }

    /// No such storage node.
    pub(super) fn no_node(node: NodeId) -> Self {
        let message = format!(
            "there is no storage node {node}; `ottla status` (ListStorageNodes) shows those that are there"
        );
        Self::Refused(Refusal::new(ErrorCode::BrokerIdNotRegistered, message))
    }

    /// What a coordinator, or the lack of one, refuses about a group.
    pub(super) fn of_group(group: &str, code: ErrorCode) -> Self {
        let message = match code {
            ErrorCode::GroupIdNotFound => format!(
                "there is no group {group:?}; `ottla group list` (ListGroups) shows those that are there"
            ),
            ErrorCode::NonEmptyGroup => format!(
                "group {group:?} has members; stop them, or wait until their sessions have ended, and try again"
            ),
            ErrorCode::InvalidGroupId => "a group has an id; give one".to_owned(),
            ErrorCode::CoordinatorLoadInProgress => format!(
                "the coordinator of group {group:?} still reads what the group committed; try again"
            ),
            ErrorCode::CoordinatorNotAvailable | ErrorCode::NotCoordinator => format!(
                "the storage node that coordinates group {group:?} does not serve it now; `ottla status` (GetCluster) shows \
                 whether it is active; try again once it is"
            ),
            other => format!(
                "the coordinator of group {group:?} refuses with {}; the log of its storage node says why",
                other.name()
            ),
        };
        Self::Refused(Refusal::new(code, message))
    }

    fn code(&self) -> ErrorCode {
        match self {
            Self::Refused(refusal) => refusal.code,
            Self::Call(error) => ErrorCode::from(error),
            Self::Store(_) => ErrorCode::KafkaStorageError,
        }
    }
}

impl From<AdminError> for Status {
    fn from(error: AdminError) -> Self {
        let code = error.code();
        let details = ErrorDetails::with_error_info(code.name(), ERROR_DOMAIN, HashMap::new());
        Self::with_error_details(grpc_code(code), error.to_string(), details)
    }
}

fn grpc_code(code: ErrorCode) -> Code {
    match code {
        ErrorCode::TopicAlreadyExists => Code::AlreadyExists,
        ErrorCode::UnknownTopicOrPartition
        | ErrorCode::UnknownTopicId
        | ErrorCode::BrokerIdNotRegistered
        | ErrorCode::GroupIdNotFound => Code::NotFound,
        ErrorCode::InvalidRequest
        | ErrorCode::InvalidGroupId
        | ErrorCode::InvalidTopicException
        | ErrorCode::InvalidPartitions
        | ErrorCode::InvalidReplicationFactor
        | ErrorCode::InvalidReplicaAssignment
        | ErrorCode::InvalidConfig => Code::InvalidArgument,
        ErrorCode::RequestTimedOut => Code::DeadlineExceeded,
        ErrorCode::NotController
        | ErrorCode::BrokerNotAvailable
        | ErrorCode::CoordinatorNotAvailable
        | ErrorCode::CoordinatorLoadInProgress
        | ErrorCode::NotCoordinator
        | ErrorCode::LeaderNotAvailable
        | ErrorCode::NotLeaderOrFollower => Code::Unavailable,
        ErrorCode::TopicAuthorizationFailed | ErrorCode::ClusterAuthorizationFailed => {
            Code::PermissionDenied
        }
        ErrorCode::ThrottlingQuotaExceeded => Code::ResourceExhausted,
        ErrorCode::PolicyViolation
        | ErrorCode::TopicDeletionDisabled
        | ErrorCode::NonEmptyGroup => Code::FailedPrecondition,
        _ => Code::Internal,
    }
}
