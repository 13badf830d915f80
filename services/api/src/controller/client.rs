//! The controller quorum in other processes, as [`Controller`]: finds the active member and follows it when it changes.
//!
//! Invariant: one connection per member, apart from records and snapshots. What a lost answer means is told in
//! [`submission`].
//! Deliberately keeps no image and does not interpret replies.

mod members;
mod submission;
mod watching;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use ottla_metadata::Command;
use ottla_proto::controller::v1 as wire;
use ottla_runtime::Seams;
use ottla_types::{BrokerEpoch, MetadataOffset, NodeId};
use tokio::sync::watch;
use tonic::Status;

use crate::context::wire::status_to_failure;
use crate::context::{CallError, RequestContext};
use crate::controller::{
    Controller, HistoryPage, HistoryQuery, MetadataUpdate, QuorumStatus, Submitted,
};
use members::{Member, Members};
use submission::Submission;

pub use members::{ControllerEndpoint, MAX_QUORUM_MEMBERS};
pub use watching::WATCH_SILENCE_MOST;

/// Longest single attempt of anything that may be tried elsewhere.
const ATTEMPT_MOST: Duration = Duration::from_secs(3);

/// The controller quorum in other processes.
pub struct ControllerClient {
    seams: Seams,
    members: Arc<Members>,
    /// The storage node that watches, once it is registered.
    watcher: watch::Sender<Option<wire::Watcher>>,
}

impl ControllerClient {
    /// A quorum of which these members are known; the others are learned from them.
    pub fn new(seams: &Seams, endpoints: Vec<ControllerEndpoint>) -> Self {
        Self {
            seams: seams.clone(),
            members: Arc::new(Members::new(seams, endpoints)),
            watcher: watch::Sender::new(None),
        }
    }

    /// Says whose metadata stream this is: from the next [`Controller::watch_metadata`] on its end begins the storage node's
    /// grace period. A stream that is open now ends, so that its follower opens the next one.
    pub fn identify(&self, node: NodeId, broker_epoch: BrokerEpoch) {
        let watcher = wire::Watcher { node_id: node.0, broker_epoch: broker_epoch.0 };
        self.watcher.send_replace(Some(watcher));
    }

    /// What every known member says of the quorum, by address.
    pub async fn statuses(&self) -> Vec<(String, Result<QuorumStatus, CallError>)> {
        let asking = self.members.all().into_iter().map(|member| async move {
            let status = self.status_of(&member).await;
            (member.address.to_string(), status)
        });
        futures::future::join_all(asking).await
    }

    async fn status_of(&self, member: &Arc<Member>) -> Result<QuorumStatus, CallError> {
        let mut client = member.client();
        let asking = async move { client.quorum_status(wire::QuorumStatusRequest {}).await };
        let status: QuorumStatus = self.within_attempt(member, asking).await?.try_into()?;
        self.members.learn(&self.seams, member, &status);
        Ok(status)
    }

    /// One question to one member, with the time of an attempt.
    async fn within_attempt<T>(
        &self,
        member: &Member,
        asking: impl Future<Output = Result<tonic::Response<T>, Status>>,
    ) -> Result<T, CallError> {
        tokio::select! {
            biased;
            answer = asking => answer
                .map(tonic::Response::into_inner)
                .map_err(|status| status_to_failure(&member.peer, &status, ATTEMPT_MOST)),
            () = self.seams.clock.sleep(ATTEMPT_MOST) => Err(CallError::TimedOut(ATTEMPT_MOST)),
        }
    }

    /// Asks the members in turn until one answers.
    async fn ask_any<T, F: Future<Output = Result<T, CallError>>>(
        &self,
        ask: impl Fn(Arc<Member>) -> F,
    ) -> Result<T, CallError> {
        let mut last = members::nobody();
        for member in self.members.in_turn() {
            match ask(Arc::clone(&member)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => last = error,
            }
        }
        Err(last)
    }
}

#[async_trait]
impl Controller for ControllerClient {
    async fn submit(
        &self,
        context: RequestContext,
        command: Command,
    ) -> Result<Submitted, CallError> {
        Submission::new(self, context, &command).run().await
    }

    async fn watch_metadata(
        &self,
        from: MetadataOffset,
    ) -> Result<BoxStream<'static, Result<MetadataUpdate, CallError>>, CallError> {
        let mut identity = self.watcher.subscribe();
        let watcher = *identity.borrow_and_update();
        let request = wire::WatchMetadataRequest { from_offset: from.0, watcher };
        let identity = &identity;
        self.ask_any(|member| async move {
            let mut client = member.client();
            let opening = async move { client.watch_metadata(request).await };
            let updates = self.within_attempt(&member, opening).await?;
            let members = Arc::clone(&self.members);
            let member = (member, members);
            Ok(watching::updates(&self.seams, member, updates, identity.clone()))
        })
        .await
    }

    async fn quorum_status(&self) -> Result<QuorumStatus, CallError> {
        self.ask_any(|member| async move { self.status_of(&member).await }).await
    }

    async fn leader_status(&self) -> Result<QuorumStatus, CallError> {
        let status = self.quorum_status().await?;
        match status.leader {
            Some(leader) if leader != status.node && self.members.prefer_node(leader) => {
                self.quorum_status().await
            }
            _ => Ok(status),
        }
    }

    async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, CallError> {
        let request = wire::HistoryRequest::from(query);
        let request = &request;
        self.ask_any(|member| async move {
            let mut client = member.client();
            let asking = async move { client.history(request.clone()).await };
            self.within_attempt(&member, asking).await.map(HistoryPage::from)
        })
        .await
    }
}
