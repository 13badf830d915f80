//! `ottla status`: the cluster at one look.

use ottla_proto::admin::v1 as proto;
use ottla_proto::admin::v1::cluster_service_client::ClusterServiceClient;
use serde::Serialize;

use crate::cli::admin::Admin;
use crate::cli::failure::Failure;
use crate::cli::output::{Format, Rows};

/// The cluster as its admin API tells it.
#[derive(Serialize)]
pub(super) struct Status {
    /// Its id.
    pub cluster_id: String,
    /// Offset of the newest metadata event.
    pub metadata_offset: u64,
    /// Topics.
    pub topics: i32,
    /// Partitions of all topics.
    pub partitions: i64,
    /// Partitions without a leader.
    pub offline_partitions: i64,
    /// The quorum, as the asked member sees it.
    pub quorum: Quorum,
    /// Controllers, storage nodes, gateways.
    pub nodes: Vec<Node>,
}

/// The health of the quorum.
#[derive(Serialize)]
pub(super) struct Quorum {
    /// The active controller.
    pub leader: Option<i32>,
    /// Its term.
    pub term: u64,
    /// Proposals without an answer; more than 100 is an alarm.
    pub proposals_outstanding: u64,
    /// Entries that are committed and not applied.
    pub apply_lag: u64,
    /// Hash of the metadata.
    pub state_hash: String,
    /// Elections that the asked member saw.
    pub elections: u64,
}

/// One node in one role.
#[derive(Serialize)]
pub(super) struct Node {
    /// `controller`, `storage` or `gateway`.
    pub role: &'static str,
    /// Its `node.id`.
    pub node: i32,
    /// What it is doing.
    pub state: String,
    /// Where it is.
    pub endpoint: String,
    /// What else there is to say.
    pub detail: String,
}

/// Asks one controller.
pub(super) async fn ask(admin: &Admin) -> Result<Status, Failure> {
    let mut client = ClusterServiceClient::new(admin.channel.clone());
    let cluster = admin.answer(client.get_cluster(proto::GetClusterRequest::default()).await)?;
    let quorum = cluster.quorum.unwrap_or_default();
    let mut nodes: Vec<Node> = quorum.members.iter().map(|m| controller(&quorum, m)).collect();
    nodes.extend(cluster.storage_nodes.iter().map(storage));
    nodes.extend(cluster.gateways.iter().map(gateway));
    Ok(Status {
        cluster_id: cluster.cluster_id,
        metadata_offset: cluster.metadata_offset,
        topics: cluster.topic_count,
        partitions: cluster.partition_count,
        offline_partitions: cluster.offline_partition_count,
        quorum: Quorum {
            leader: quorum.leader_node_id,
            term: quorum.term,
            proposals_outstanding: quorum.proposals_outstanding,
            apply_lag: quorum.committed_index.saturating_sub(quorum.applied_index),
            state_hash: quorum.state_hash,
            elections: quorum.elections,
        },
        nodes,
    })
}

/// Prints it.
pub(super) async fn run(admin: &str, format: Format) -> Result<(), Failure> {
    let status = ask(&Admin::connect(admin).await?).await?;
    if format == Format::Table {
        println!(
            "cluster {}, metadata offset {}: {} topics, {} partitions, {} without a leader\n\
             quorum: leader {}, term {}, {} proposals outstanding, {} entries to apply, {} elections, state {}\n",
            status.cluster_id,
            status.metadata_offset,
            status.topics,
            status.partitions,
            status.offline_partitions,
            status.quorum.leader.map_or_else(|| "none".to_owned(), |node| node.to_string()),
            status.quorum.term,
            status.quorum.proposals_outstanding,
            status.quorum.apply_lag,
            status.quorum.elections,
            status.quorum.state_hash,
        );
    }
    Ok(format.print(&status)?)
}

fn controller(quorum: &proto::Quorum, member: &proto::QuorumMember) -> Node {
    let leads = quorum.leader_node_id == Some(member.node_id);
    Node {
        role: "controller",
        node: member.node_id,
        state: if leads { "active" } else { "follower" }.to_owned(),
        endpoint: member.endpoint.clone(),
        detail: member.match_index.map_or_else(String::new, |index| {
            format!("{} entries behind", quorum.last_index.saturating_sub(index))
        }),
    }
}

fn storage(node: &proto::StorageNode) -> Node {
    let state = match node.state() {
        proto::StorageNodeState::Active => "active",
        proto::StorageNodeState::Fenced => "fenced",
        proto::StorageNodeState::Unspecified => "unknown",
    };
    Node {
        role: "storage",
        node: node.node_id,
        state: state.to_owned(),
        endpoint: node.endpoint.clone(),
        detail: format!("leads {} of {} partitions", node.leader_count, node.replica_count),
    }
}

fn gateway(gateway: &proto::Gateway) -> Node {
    let state = match gateway.state() {
        proto::GatewayState::Active => "active",
        proto::GatewayState::Draining => "draining",
        proto::GatewayState::Unspecified => "unknown",
    };
    let listeners: Vec<_> =
        gateway.listeners.iter().map(|l| format!("{}://{}", l.name, l.endpoint)).collect();
    Node {
        role: "gateway",
        node: gateway.node_id,
        state: state.to_owned(),
        endpoint: listeners.join(","),
        detail: String::new(),
    }
}

impl Rows for Status {
    fn heads(&self) -> Vec<&'static str> {
        vec!["ROLE", "NODE", "STATE", "ENDPOINT", "DETAIL"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |n: &Node| {
            let node = n.node.to_string();
            vec![n.role.to_owned(), node, n.state.clone(), n.endpoint.clone(), n.detail.clone()]
        };
        self.nodes.iter().map(row).collect()
    }
}
