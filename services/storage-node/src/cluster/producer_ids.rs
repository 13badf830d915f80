//! Producer ids: handed out one by one from blocks that the controller gives to this node.
//!
//! Invariant: no id is handed out twice: a block is owned by one registration, and what is left of it dies with the process.

use std::ops::Range;
use std::sync::Arc;

use ottla_api::{Controller, RequestContext};
use ottla_metadata::{Command, Reply};
use ottla_types::{ErrorCode, NodeId, ProducerId};
use tokio::sync::Mutex;
use tracing::warn;

use super::CALL_TIMEOUT;
use super::membership::Membership;

/// The node's supply of producer ids.
pub(crate) struct ProducerIds {
    controller: Arc<dyn Controller>,
    membership: Membership,
    node: NodeId,
    left: Mutex<Range<i64>>,
}

impl ProducerIds {
    pub(crate) fn new(
        controller: Arc<dyn Controller>,
        membership: Membership,
        node: NodeId,
    ) -> Self {
        Self { controller, membership, node, left: Mutex::new(0..0) }
    }

    /// An id that nobody has. Others wait while a block is asked for.
    ///
    /// # Errors
    /// COORDINATOR_NOT_AVAILABLE (clients try again) while the controller gives no block.
    pub(crate) async fn next(&self) -> Result<ProducerId, ErrorCode> {
        let mut left = self.left.lock().await;
        if left.is_empty() {
            *left = self.block().await.map_err(|cause| {
                warn!("no producer ids: {cause}");
                ErrorCode::CoordinatorNotAvailable
            })?;
        }
        left.next().map(ProducerId).ok_or(ErrorCode::CoordinatorNotAvailable)
    }

    async fn block(&self) -> Result<Range<i64>, String> {
        let broker_epoch = self.membership.standing().broker_epoch;
        let command = Command::AllocateProducerIds { node: self.node, broker_epoch };
        let context = RequestContext::internal(CALL_TIMEOUT);
        let submitted = self.controller.submit(context, command).await;
        match submitted.map_err(|error| error.to_string())?.reply {
            Reply::ProducerIds { first, count } if first.0 >= 0 => {
                Ok(first.0..first.0.saturating_add(i64::from(count)))
            }
            Reply::Refused(refusal) => Err(refusal.message),
            other => Err(format!("{other:?} answers no question for producer ids")),
        }
    }
}
