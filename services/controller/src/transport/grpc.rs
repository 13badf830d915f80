//! The members' network: one link per peer, and what comes from peers.
//!
//! Invariant: a snapshot is taken whole or not at all, one at a time, and never longer than announced.

use std::collections::BTreeMap;
use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use futures::StreamExt;
use ottla_api::raft::{IncomingSnapshot, PeerLink, RaftEnvelope, RaftReceiver};
use ottla_runtime::Seams;
use ottla_types::NodeId;
use tokio::sync::Semaphore;

use super::{PeerSender, SnapshotTransfer};
use crate::quorum::driver::Voter;
use crate::quorum::member::Member;
use crate::quorum::snapshots::MAX_IMAGE_BYTES;

/// Links to all other voters.
pub struct GrpcPeers {
    seams: Seams,
    links: BTreeMap<NodeId, Arc<PeerLink>>,
    member: Arc<OnceLock<Member>>,
}

impl GrpcPeers {
    /// Links to the voters other than `me`. Connects at the first message.
    pub fn new(seams: &Seams, me: NodeId, voters: &[Voter]) -> Self {
        let member = Arc::new(OnceLock::<Member>::new());
        let others = voters.iter().filter(|voter| voter.node != me);
        let link = |voter: &Voter| {
            let member = member.clone();
            let unreachable = move |node| {
                if let Some(member) = member.get() {
                    member.report_unreachable(node);
                }
            };
            let link = PeerLink::new(seams, voter.node, &voter.endpoint, Arc::new(unreachable));
            (voter.node, Arc::new(link))
        };
        let links = others.map(link).collect();
        Self { seams: seams.clone(), links, member }
    }

    /// Says whom to tell that a peer cannot be reached.
    pub fn attach(&self, member: Member) {
        // Attached once, by the wiring.
        _ = self.member.set(member);
    }
}

impl PeerSender for GrpcPeers {
    fn send(&self, to: NodeId, envelopes: Vec<RaftEnvelope>) -> bool {
        self.links.get(&to).is_some_and(|link| link.send(envelopes))
    }

    fn send_snapshot(&self, to: NodeId, transfer: SnapshotTransfer) {
        let Some(link) = self.links.get(&to).cloned() else { return };
        let send = async move {
            let SnapshotTransfer { envelope, file, bytes, taken } = transfer;
            let sent = link.install_snapshot(envelope, file, bytes).await;
            if let Err(error) = &sent {
                tracing::warn!(%to, "a metadata snapshot was not taken: {error}");
            }
            // The member may have stopped meanwhile.
            _ = taken.send(sent.is_ok());
        };
        self.seams.tasks.spawn("metadata-snapshot-send", Box::pin(send));
    }
}

/// This member, as its peers reach it.
pub struct MemberReceiver {
    member: Member,
    snapshots: Semaphore,
}

impl MemberReceiver {
    /// What comes goes to this member.
    pub fn new(member: Member) -> Self {
        Self { member, snapshots: Semaphore::new(1) }
    }
}

#[async_trait]
impl RaftReceiver for MemberReceiver {
    fn receive(&self, envelopes: Vec<RaftEnvelope>) {
        envelopes.into_iter().for_each(|envelope| self.member.receive(envelope));
    }

    async fn install_snapshot(&self, snapshot: IncomingSnapshot) -> Result<(), String> {
        let _one_at_a_time =
            self.snapshots.try_acquire().map_err(|_| "another snapshot is coming in".to_owned())?;
        let IncomingSnapshot { envelope, bytes, mut data } = snapshot;
        if bytes > MAX_IMAGE_BYTES {
            return Err("the snapshot is longer than this member takes".into());
        }
        // Memory grows with what really comes.
        let mut content = Vec::new();
        while let Some(piece) = data.next().await {
            content.extend_from_slice(&piece.map_err(|error| error.to_string())?);
        }
        self.member.receive_snapshot(envelope, content).await
    }
}
