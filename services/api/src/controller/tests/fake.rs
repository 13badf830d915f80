//! A member of a quorum that notes what it decides and answers when it is told.

use std::sync::Mutex;

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use ottla_metadata::{Command, Reply};
use ottla_types::{MetadataOffset, NodeId, Term};
use tokio::sync::{mpsc, watch};

use crate::context::{CallError, RequestContext};
use crate::controller::*;

pub(super) struct Fake {
    node: NodeId,
    /// The active member, as this one believes.
    pub(super) active: watch::Sender<Option<NodeId>>,
    /// Commands that were begun here.
    pub(super) begun: watch::Sender<Vec<Command>>,
    /// The contexts of those commands.
    pub(super) contexts: Mutex<Vec<RequestContext>>,
    /// Whether commands are answered.
    pub(super) answers: watch::Sender<bool>,
    /// The members, for the status.
    pub(super) endpoints: Mutex<Vec<(NodeId, String)>>,
    /// Offsets from which was watched.
    pub(super) watched: watch::Sender<Vec<u64>>,
    /// What the open stream says next; `None` in it ends the stream.
    pub(super) updates: Mutex<Option<mpsc::UnboundedSender<Option<MetadataUpdate>>>>,
}

impl Fake {
    pub(super) fn new(node: NodeId) -> Self {
        Self {
            node,
            active: watch::Sender::default(),
            begun: watch::Sender::default(),
            contexts: Mutex::default(),
            answers: watch::Sender::new(true),
            endpoints: Mutex::default(),
            watched: watch::Sender::default(),
            updates: Mutex::default(),
        }
    }

    pub(super) fn say(&self, update: Option<MetadataUpdate>) {
        let updates = self.updates.lock().unwrap();
        updates.as_ref().expect("someone watches").send(update).expect("still watched");
    }
}

#[async_trait]
impl Controller for Fake {
    async fn submit(
        &self,
        context: RequestContext,
        command: Command,
    ) -> Result<Submitted, CallError> {
        let active = *self.active.borrow();
        if active != Some(self.node) && !matches!(command, Command::ControlStreamBroken { .. }) {
            return Err(CallError::NotActive { active });
        }
        self.contexts.lock().unwrap().push(context);
        self.begun.send_modify(|begun| begun.push(command));
        self.answers.subscribe().wait_for(|answers| *answers).await.unwrap();
        Ok(Submitted { reply: Reply::Done, offset: MetadataOffset(self.node.0 as u64) })
    }

    async fn watch_metadata(
        &self,
        from: MetadataOffset,
    ) -> Result<BoxStream<'static, Result<MetadataUpdate, CallError>>, CallError> {
        let (sender, updates) = mpsc::unbounded_channel();
        *self.updates.lock().unwrap() = Some(sender);
        self.watched.send_modify(|watched| watched.push(from.0));
        let updates = tokio_stream::wrappers::UnboundedReceiverStream::new(updates);
        Ok(updates
            .take_while(|update| std::future::ready(update.is_some()))
            .filter_map(|update| std::future::ready(update.map(Ok)))
            .boxed())
    }

    async fn quorum_status(&self) -> Result<QuorumStatus, CallError> {
        let member = |(node, endpoint): &(NodeId, String)| QuorumMember {
            node: *node,
            endpoint: endpoint.clone(),
            match_index: None,
            directory: None,
            silent_ms: None,
            behind_ms: None,
        };
        Ok(QuorumStatus {
            node: self.node,
            cluster_id: None,
            role: QuorumRole::Follower,
            term: Term(1),
            leader: *self.active.borrow(),
            last_contact_ms: 0,
            proposals_outstanding: 0,
            last_index: 0,
            committed_index: 0,
            applied_index: 0,
            metadata_offset: MetadataOffset(0),
            state_hash: 0,
            elections: 0,
            members: self.endpoints.lock().unwrap().iter().map(member).collect(),
            observers: Vec::new(),
        })
    }

    async fn history(&self, query: HistoryQuery) -> Result<HistoryPage, CallError> {
        let next = Some(MetadataOffset(query.limit as u64));
        Ok(HistoryPage { entries: Vec::new(), next })
    }
}
