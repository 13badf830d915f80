//! This member, called directly: what storage nodes and gateways of the same process use, and what gRPC serves.
//!
//! Invariant: followers see only what is committed and applied here, in order and without a gap. Who follows a member that has
//! lost the quorum is told, so that it follows another.

mod watch;

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use ottla_api::controller::{HistoryPage, HistoryQuery, MetadataUpdate, QuorumStatus, Submitted};
use ottla_api::{CallError, Controller, RequestContext};
use ottla_metadata::Command;
use ottla_runtime::seams::Clock;
use ottla_types::MetadataOffset;
use tokio::sync::oneshot;

use crate::quorum::member::Member;
use ottla_runtime::Seams;

/// This member as a [`Controller`].
#[derive(Clone)]
pub struct LocalController {
    member: Member,
    seams: Seams,
}

impl LocalController {
    /// The member, called directly.
    pub fn new(member: Member, seams: Seams) -> Self {
        Self { member, seams }
    }

    /// Whether this member is the active controller, or about to become it.
    pub fn leads(&self) -> bool {
        self.member.published.leader.borrow().node == Some(self.member.node())
    }

    /// The member.
    pub fn member(&self) -> &Member {
        &self.member
    }

    fn clock(&self) -> Arc<dyn Clock> {
        self.seams.clock.clone()
    }
}

#[async_trait]
impl Controller for LocalController {
    async fn submit(
        &self,
        context: RequestContext,
        command: Command,
    ) -> Result<Submitted, CallError> {
        self.member.submit(context, command).await
    }

    async fn watch_metadata(
        &self,
        from: MetadataOffset,
    ) -> Result<BoxStream<'static, Result<MetadataUpdate, CallError>>, CallError> {
        Ok(watch::stream(self.member.clone(), self.clock(), from))
    }

    async fn quorum_status(&self) -> Result<QuorumStatus, CallError> {
        self.member.status().await
    }

    async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, CallError> {
        let store = self.member.store().clone();
        let (tell, told) = oneshot::channel();
        let read = move || {
            // Whoever gave up waiting needs no answer.
            _ = tell.send(store.history(&query));
        };
        self.seams.tasks.run_blocking(Box::new(read)).await;
        let page = told.await.map_err(|_| CallError::Stopping)?;
        page.map_err(|error| CallError::Unreachable {
            peer: "the metadata state store".into(),
            cause: error.to_string(),
        })
    }
}
