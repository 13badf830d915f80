//! Registering with the quorum, until it is done or hopeless.
//!
//! Invariant: one incarnation per life of the process, so that a lost answer is not taken for another process (R1).

use std::sync::Arc;
use std::time::Duration;

use ottla_api::{CallError, Controller, RequestContext};
use ottla_metadata::event::BrokerRegistration;
use ottla_metadata::{Command, Refusal, Reply};
use ottla_runtime::Seams;
use ottla_types::{BrokerEpoch, ClusterId, ErrorCode};
use tracing::{info, warn};

use super::CALL_TIMEOUT;

/// Pause between two attempts, at first.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
/// Longest pause between two attempts.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);
/// Attempts fail silently for this long: a cluster that starts together takes a while.
const PATIENCE: Duration = Duration::from_secs(3);

/// Why a node could not register.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegisterError {
    /// Nobody answered in time.
    #[error("the controller quorum did not register this node within {} s: {cause}; check controller.quorum.voters (or controller.quorum.bootstrap.servers) and that a majority of the controllers runs", .within.as_secs())]
    QuorumUnreachable {
        /// How long it was tried.
        within: Duration,
        /// The last answer.
        cause: String,
    },
    /// The controller refuses for good.
    #[error("the controller refuses to register this node: {0}")]
    Refused(#[from] Refusal),
}

/// What a node registers as.
#[derive(Clone)]
pub(crate) struct Registrar {
    pub(crate) controller: Arc<dyn Controller>,
    pub(crate) seams: Seams,
    pub(crate) cluster_id: Option<ClusterId>,
    pub(crate) registration: BrokerRegistration,
}

impl Registrar {
    /// Registers; tries for `limit` at most (`None`: for ever).
    pub(crate) async fn register(
        &self,
        limit: Option<Duration>,
    ) -> Result<BrokerEpoch, RegisterError> {
        let (clock, mut pause) = (&self.seams.clock, FIRST_PAUSE);
        let started = clock.monotonic();
        let mut warned = false;
        loop {
            let cause = match self.attempt().await {
                Ok(Ok(epoch)) => return Ok(epoch),
                Ok(Err(refusal)) if !may_change_its_mind(&refusal) => return Err(refusal.into()),
                Ok(Err(refusal)) => refusal.message,
                Err(error) => error.to_string(),
            };
            let elapsed = clock.monotonic().saturating_sub(started);
            if limit.is_some_and(|limit| elapsed >= limit) {
                return Err(RegisterError::QuorumUnreachable { within: elapsed, cause });
            }
            if elapsed >= PATIENCE && !std::mem::replace(&mut warned, true) {
                warn!("not registered with the controller quorum yet: {cause}");
            }
            clock.sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempt(&self) -> Result<Result<BrokerEpoch, Refusal>, CallError> {
        let command = Command::RegisterBroker {
            cluster_id: self.cluster_id.clone(),
            registration: self.registration.clone(),
        };
        let context = RequestContext::internal(CALL_TIMEOUT);
        let submitted = self.controller.submit(context, command).await?;
        match submitted.reply {
            Reply::BrokerRegistered { broker_epoch } => {
                info!(node = %self.registration.node, epoch = %broker_epoch, "registered");
                Ok(Ok(broker_epoch))
            }
            Reply::Refused(refusal) => Ok(Err(refusal)),
            other => Err(CallError::Malformed(format!("{other:?} answers no registration"))),
        }
    }
}

/// Whether the same question may get another answer later.
fn may_change_its_mind(refusal: &Refusal) -> bool {
    refusal.code.is_retriable()
        || matches!(
            refusal.code,
            ErrorCode::DuplicateBrokerRegistration | ErrorCode::BrokerNotAvailable
        )
}
