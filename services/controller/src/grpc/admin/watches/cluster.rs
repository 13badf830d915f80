//! Nodes and the quorum, watched.
//!
//! Invariant: what was told is kept here as it was told, and a node is told again when it is not that any more.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_metadata::Image;
use ottla_proto::admin::v1 as wire;
use tokio::sync::watch;

use super::super::AdminServices;
use super::super::cluster::{gateway, storage_node};
use super::super::errors::AdminError;
use super::{Watch, changes};
use crate::quorum::published::{Committed, Leader};

/// Between two looks: each counts the partitions of every node.
const LOOK_PAUSE: Duration = Duration::from_millis(200);

/// One watcher of the cluster.
pub(in super::super) struct ClusterWatch {
    services: AdminServices,
    request_id: String,
    committed: watch::Receiver<Committed>,
    leader: watch::Receiver<Leader>,
    storage_nodes: BTreeMap<i32, wire::StorageNode>,
    gateways: BTreeMap<i32, wire::Gateway>,
    quorum: Option<wire::Quorum>,
}

impl ClusterWatch {
    pub(in super::super) fn new(services: &AdminServices, request_id: String) -> Self {
        Self {
            services: services.clone(),
            request_id,
            committed: services.member.published.committed.clone(),
            leader: services.member.published.leader.clone(),
            storage_nodes: BTreeMap::new(),
            gateways: BTreeMap::new(),
            quorum: None,
        }
    }

    /// Looks, and says what is new; `None`: nothing is.
    async fn look(&mut self) -> Result<Option<wire::WatchClusterResponse>, AdminError> {
        let image = self.committed.borrow_and_update().image.clone();
        self.leader.borrow_and_update();
        let quorum = self.services.quorum().await?;
        let (nodes, gateways) = shown(&image);
        let (storage_nodes, removed_storage_node_ids) = changes(&mut self.storage_nodes, nodes);
        let (gateways, removed_gateway_ids) = changes(&mut self.gateways, gateways);
        let is_same = self.quorum.as_ref().is_some_and(|told| told_of(told) == told_of(&quorum));
        let is_first = self.quorum.is_none();
        if !is_same {
            self.quorum = Some(quorum.clone());
        }
        let is_new = !(storage_nodes.is_empty()
            && removed_storage_node_ids.is_empty()
            && gateways.is_empty()
            && removed_gateway_ids.is_empty()
            && is_same);
        let response = wire::WatchClusterResponse {
            request_id: self.request_id.clone(),
            metadata_offset: image.offset.0,
            storage_nodes,
            removed_storage_node_ids,
            gateways,
            removed_gateway_ids,
            quorum: (!is_same).then_some(quorum),
        };
        Ok((is_new || is_first).then_some(response))
    }
}

impl Watch for ClusterWatch {
    type Message = wire::WatchClusterResponse;

    async fn next(&mut self) -> Result<Option<Self::Message>, AdminError> {
        loop {
            if self.quorum.is_some() {
                self.services.seams.clock.sleep(LOOK_PAUSE).await;
                let changed = tokio::select! {
                    biased;
                    changed = self.leader.changed() => changed,
                    changed = self.committed.changed() => changed,
                };
                if changed.is_err() {
                    return Ok(None);
                }
            }
            if let Some(response) = self.look().await? {
                return Ok(Some(response));
            }
        }
    }
}

type Shown = (BTreeMap<i32, wire::StorageNode>, BTreeMap<i32, wire::Gateway>);

fn shown(image: &Image) -> Shown {
    let nodes = image.brokers.values().map(|broker| storage_node(image, broker));
    let gateways = image.gateways.values().map(|one| gateway(one));
    (
        nodes.map(|node| (node.node_id, node)).collect(),
        gateways.map(|gateway| (gateway.node_id, gateway)).collect(),
    )
}

/// What of a quorum is worth a message: leader, term, the answering member's role, and who the members are.
type Told = (Option<i32>, u64, i32, Vec<(i32, String)>);

fn told_of(quorum: &wire::Quorum) -> Told {
    let members = quorum.members.iter().map(|m| (m.node_id, m.endpoint.clone())).collect();
    (quorum.leader_node_id, quorum.term, quorum.role, members)
}
