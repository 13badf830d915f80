//! A network in memory: messages arrive at once or never.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use ottla_runtime::seams::Tasks;
use ottla_types::NodeId;

use crate::quorum::member::Member;
use crate::transport::{PeerSender, SnapshotTransfer};
use ottla_api::raft::RaftEnvelope;

#[derive(Default)]
struct State {
    /// Who lives, each with the number of its life.
    members: BTreeMap<NodeId, (u64, Member)>,
    /// Members that are cut off.
    cut_off: BTreeSet<NodeId>,
    snapshots_sent: u64,
    /// So many snapshots are lost on their way.
    snapshots_to_lose: u64,
}

/// Clones are the same network.
#[derive(Clone, Default)]
pub(super) struct Network(Arc<Mutex<State>>);

/// One life of a member, as a sender.
pub(super) struct Port {
    network: Network,
    node: NodeId,
    life: u64,
    tasks: Arc<dyn Tasks>,
}

impl Network {
    pub(super) fn port(&self, node: NodeId, life: u64, tasks: Arc<dyn Tasks>) -> Port {
        Port { network: self.clone(), node, life, tasks }
    }

    pub(super) fn attach(&self, member: Member, life: u64) {
        self.0.lock().unwrap().members.insert(member.node(), (life, member));
    }

    pub(super) fn detach(&self, node: NodeId) {
        self.0.lock().unwrap().members.remove(&node);
    }

    pub(super) fn cut_off(&self, node: NodeId) {
        self.0.lock().unwrap().cut_off.insert(node);
    }

    pub(super) fn heal(&self) {
        self.0.lock().unwrap().cut_off.clear();
    }

    pub(super) fn lose_snapshots(&self, count: u64) {
        self.0.lock().unwrap().snapshots_to_lose = count;
    }

    pub(super) fn snapshots_sent(&self) -> u64 {
        self.0.lock().unwrap().snapshots_sent
    }

    fn route(&self, port: &Port, to: NodeId) -> Option<Member> {
        let state = self.0.lock().unwrap();
        let (life, _) = state.members.get(&port.node)?;
        let is_cut = state.cut_off.contains(&port.node) || state.cut_off.contains(&to);
        if *life != port.life || is_cut {
            return None;
        }
        state.members.get(&to).map(|(_, member)| member.clone())
    }
}

impl PeerSender for Port {
    fn send(&self, to: NodeId, envelopes: Vec<RaftEnvelope>) -> bool {
        let Some(member) = self.network.route(self, to) else { return false };
        envelopes.into_iter().for_each(|envelope| member.receive(envelope));
        true
    }

    fn send_snapshot(&self, to: NodeId, transfer: SnapshotTransfer) {
        let Some(member) = self.network.route(self, to) else { return };
        let mut state = self.network.0.lock().unwrap();
        state.snapshots_sent += 1;
        if state.snapshots_to_lose > 0 {
            state.snapshots_to_lose -= 1;
            return;
        }
        drop(state);
        let send = async move {
            let mut bytes = vec![0; usize::try_from(transfer.bytes).unwrap()];
            transfer.file.read_exact_at(&mut bytes, 0).unwrap();
            let outcome = member.receive_snapshot(transfer.envelope, bytes).await;
            _ = transfer.taken.send(outcome.is_ok());
        };
        self.tasks.spawn("snapshot", Box::pin(send));
    }
}
