//! The quorum as this process reaches it: its own member where that is the active one, else whoever is.
//!
//! Invariant: a command is given to the own member first only while it leads; followers and questions are always the own
//! member's.

use std::sync::Arc;

use async_trait::async_trait;
use futures::stream::BoxStream;
use ottla_api::controller::{
    ControllerClient, HistoryPage, HistoryQuery, MetadataUpdate, QuorumStatus, Submitted,
};
use ottla_api::{CallError, Controller, RequestContext};
use ottla_metadata::Command;
use ottla_types::MetadataOffset;

use crate::local::LocalController;

/// The own member, and the way to the others.
#[derive(Clone)]
pub struct RoutedController {
    local: LocalController,
    /// `None` for a quorum of one.
    quorum: Option<Arc<ControllerClient>>,
}

impl RoutedController {
    /// Routes between the own member and the quorum.
    pub fn new(local: LocalController, quorum: Option<Arc<ControllerClient>>) -> Self {
        Self { local, quorum }
    }
}

#[async_trait]
impl Controller for RoutedController {
    async fn submit(
        &self,
        context: RequestContext,
        command: Command,
    ) -> Result<Submitted, CallError> {
        let Some(quorum) = &self.quorum else { return self.local.submit(context, command).await };
        if self.local.leads() {
            match self.local.submit(context.clone(), command.clone()).await {
                // Not begun: whoever leads now is asked instead.
                Err(CallError::NotActive { .. }) => {}
                outcome => return outcome,
            }
        }
        quorum.submit(context, command).await
    }

    async fn watch_metadata(
        &self,
        from: MetadataOffset,
    ) -> Result<BoxStream<'static, Result<MetadataUpdate, CallError>>, CallError> {
        self.local.watch_metadata(from).await
    }

    async fn quorum_status(&self) -> Result<QuorumStatus, CallError> {
        self.local.quorum_status().await
    }

    async fn leader_status(&self) -> Result<QuorumStatus, CallError> {
        match &self.quorum {
            Some(quorum) if !self.local.leads() => quorum.leader_status().await,
            _ => self.local.quorum_status().await,
        }
    }

    async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, CallError> {
        self.local.history(query).await
    }
}
