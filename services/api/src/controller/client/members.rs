//! The members of the quorum that a client knows, and in which order it asks them.
//!
//! Invariant: a member is never forgotten and the list is bounded; the one that last proved to be active is asked first.
//! Deliberately does not know what is asked.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use ottla_proto::controller::v1::controller_service_client::ControllerServiceClient;
use ottla_runtime::Seams;
use ottla_runtime::grpc::channel;
use ottla_runtime::seams::HostPort;
use ottla_types::NodeId;
use tonic::transport::Channel;

use crate::context::CallError;
use crate::controller::{MAX_CONTROL_MESSAGE_BYTES, QuorumStatus};

/// Most members that a client keeps; a quorum has at most five, old addresses among them.
pub const MAX_QUORUM_MEMBERS: usize = 16;

/// One entry of `controller.quorum.voters` or `controller.quorum.bootstrap.servers`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ControllerEndpoint {
    /// Its `node.id`, where the configuration says it.
    pub node: Option<NodeId>,
    /// Where it is.
    pub address: HostPort,
}

/// One member.
pub(super) struct Member {
    pub(super) address: HostPort,
    /// For people.
    pub(super) peer: String,
    node: OnceLock<NodeId>,
    channel: Channel,
}

impl Member {
    fn new(seams: &Seams, endpoint: ControllerEndpoint) -> Self {
        let node = OnceLock::new();
        let peer = match endpoint.node {
            Some(id) => format!("controller {id} at {}", endpoint.address),
            None => format!("the controller at {}", endpoint.address),
        };
        if let Some(id) = endpoint.node {
            node.get_or_init(|| id);
        }
        let channel = channel(&seams.net, &endpoint.address);
        Self { address: endpoint.address, peer, node, channel }
    }

    pub(super) fn client(&self) -> ControllerServiceClient<Channel> {
        ControllerServiceClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_CONTROL_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_CONTROL_MESSAGE_BYTES)
    }

    fn is(&self, node: NodeId) -> bool {
        self.node.get() == Some(&node)
    }
}

/// The error of a client that knows no member.
pub(super) fn nobody() -> CallError {
    CallError::Unreachable {
        peer: "the controller quorum".to_owned(),
        cause: "no member was asked; see controller.quorum.bootstrap.servers".to_owned(),
    }
}

pub(super) struct Members(Mutex<State>);

struct State {
    known: Vec<Arc<Member>>,
    /// Index of the member to ask first.
    first: usize,
}

impl Members {
    /// The members, to be asked from a random one on, so that a cluster's nodes spread over them.
    pub(super) fn new(seams: &Seams, endpoints: Vec<ControllerEndpoint>) -> Self {
        let known: Vec<_> = endpoints
            .into_iter()
            .take(MAX_QUORUM_MEMBERS)
            .map(|endpoint| Arc::new(Member::new(seams, endpoint)))
            .collect();
        let first = seams.rng.next_u64() as usize % known.len().max(1);
        Self(Mutex::new(State { known, first }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().expect("nothing panics while it holds this lock")
    }

    pub(super) fn all(&self) -> Vec<Arc<Member>> {
        self.state().known.clone()
    }

    /// All members, the preferred one first.
    pub(super) fn in_turn(&self) -> Vec<Arc<Member>> {
        let state = self.state();
        let mut members = state.known.clone();
        members.rotate_left(state.first);
        members
    }

    pub(super) fn prefer(&self, member: &Arc<Member>) {
        let mut state = self.state();
        if let Some(index) = state.index_of(member) {
            state.first = index;
        }
    }

    /// Asks the next one first, where this was the first.
    pub(super) fn pass_over(&self, member: &Arc<Member>) {
        let mut state = self.state();
        if state.index_of(member) == Some(state.first) {
            state.first = (state.first + 1) % state.known.len();
        }
    }

    pub(super) fn knows(&self, node: NodeId) -> bool {
        self.state().known.iter().any(|member| member.is(node))
    }

    /// Prefers the member of this node; whether that changed anything.
    pub(super) fn prefer_node(&self, node: NodeId) -> bool {
        let mut state = self.state();
        let Some(index) = state.known.iter().position(|member| member.is(node)) else {
            return false;
        };
        std::mem::replace(&mut state.first, index) != index
    }

    /// Takes over what a member says of itself and the others.
    pub(super) fn learn(&self, seams: &Seams, from: &Member, status: &QuorumStatus) {
        from.node.get_or_init(|| status.node);
        let mut state = self.state();
        for member in &status.members {
            let Ok(address) = member.endpoint.parse::<HostPort>() else { continue };
            if let Some(known) = state.known.iter().find(|known| known.address == address) {
                known.node.get_or_init(|| member.node);
            } else if !state.known.iter().any(|known| known.is(member.node))
                && state.known.len() < MAX_QUORUM_MEMBERS
            {
                let endpoint = ControllerEndpoint { node: Some(member.node), address };
                state.known.push(Arc::new(Member::new(seams, endpoint)));
            }
        }
    }
}

impl State {
    fn index_of(&self, member: &Arc<Member>) -> Option<usize> {
        self.known.iter().position(|known| Arc::ptr_eq(known, member))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ports(members: &[Arc<Member>]) -> Vec<u16> {
        members.iter().map(|member| member.address.port).collect()
    }

    #[tokio::test]
    async fn the_preferred_member_is_asked_first_and_the_others_follow_in_a_circle() {
        let seams = Seams::real();
        let endpoint = |port| ControllerEndpoint {
            node: Some(NodeId(i32::from(port))),
            address: HostPort::new("h", port),
        };
        let members = Members::new(&seams, vec![endpoint(1), endpoint(2), endpoint(3)]);
        assert!(members.prefer_node(NodeId(1)) || ports(&members.in_turn())[0] == 1);
        assert!(members.prefer_node(NodeId(3)));
        assert!(!members.prefer_node(NodeId(3)), "nothing changes");
        assert!(!members.prefer_node(NodeId(9)), "nobody knows it");
        assert_eq!(ports(&members.in_turn()), [3, 1, 2]);
        members.pass_over(&members.in_turn()[0]);
        assert_eq!(ports(&members.in_turn()), [1, 2, 3]);
    }
}
