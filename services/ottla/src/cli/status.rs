//! `ottla status`: the cluster at one look.

use std::time::Duration;

use ottla_proto::admin::v1 as proto;
use ottla_proto::admin::v1::cluster_service_client::ClusterServiceClient;
use ottla_runtime::seams::HostPort;
use serde::Serialize;

use crate::cli::admin::Admin;
use crate::cli::failure::Failure;
use crate::cli::output::{Format, Rows, counted};

/// How long the active controller may take to answer where another one was asked.
const VIEW_PATIENCE: Duration = Duration::from_secs(1);
/// A member that the active controller has not heard for so long is silent: heartbeats go several times a second.
const SILENT_AFTER_MS: i64 = 3_000;

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
    /// Who told what is known of the members.
    pub members_told_by: i32,
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
    let view = widest_view(admin, &cluster).await;
    let quorum = cluster.quorum.unwrap_or_default();
    let mut nodes: Vec<Node> = view.members.iter().map(|m| controller(&view, m)).collect();
    nodes.extend(cluster.storage_nodes.iter().map(storage));
    nodes.extend(cluster.gateways.iter().map(gateway));
    Ok(Status {
        cluster_id: cluster.cluster_id,
        metadata_offset: cluster.metadata_offset,
        topics: cluster.topic_count,
        partitions: cluster.partition_count,
        offline_partitions: cluster.offline_partition_count,
        quorum: Quorum {
            members_told_by: view.node_id,
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

/// The quorum as the active controller sees it, where that is the one that was asked, or has its admin API on the same port of a
/// host of its own, as in most clusters; else as the one that was asked sees it.
async fn widest_view(admin: &Admin, cluster: &proto::GetClusterResponse) -> proto::Quorum {
    let own = cluster.quorum.clone().unwrap_or_default();
    let Some(address) = active_admin(&own, &admin.address) else { return own };
    let ask = async {
        let active = Admin::connect(&address).await?;
        let mut client = ClusterServiceClient::new(active.channel.clone());
        active.answer(client.get_cluster(proto::GetClusterRequest::default()).await)
    };
    match tokio::time::timeout(VIEW_PATIENCE, ask).await {
        Ok(Ok(other)) if other.cluster_id == cluster.cluster_id => {
            let leads = |quorum: &proto::Quorum| quorum.leader_node_id == Some(quorum.node_id);
            other.quorum.filter(leads).unwrap_or(own)
        }
        _ => own,
    }
}

/// Where the active controller's admin API probably is; `None` where the asked one is active itself, or knows of none.
fn active_admin(quorum: &proto::Quorum, asked: &str) -> Option<String> {
    let leader = quorum.leader_node_id.filter(|leader| *leader != quorum.node_id)?;
    let member = quorum.members.iter().find(|member| member.node_id == leader)?;
    let (member, asked) = (member.endpoint.parse::<HostPort>(), asked.parse::<HostPort>());
    Some(HostPort::new(member.ok()?.host, asked.ok()?.port).to_string())
}

/// Prints it.
pub(super) async fn run(admin: &str, format: Format) -> Result<(), Failure> {
    let status = ask(&Admin::connect(admin).await?).await?;
    if format == Format::Table {
        println!(
            "cluster {}, metadata offset {}: {}, {}, {} without a leader\n\
             quorum: leader {}, term {}, {} outstanding, {} to apply, {}, state {}\n",
            status.cluster_id,
            status.metadata_offset,
            counted(status.topics, "topic"),
            counted(status.partitions, "partition"),
            status.offline_partitions,
            status.quorum.leader.map_or_else(|| "none".to_owned(), |node| node.to_string()),
            status.quorum.term,
            counted(status.quorum.proposals_outstanding, "proposal"),
            counted(status.quorum.apply_lag, "entry"),
            counted(status.quorum.elections, "election"),
            status.quorum.state_hash,
        );
    }
    Ok(format.print(&status)?)
}

/// Only the active controller knows of all members how far they are and when they were heard.
fn controller(quorum: &proto::Quorum, member: &proto::QuorumMember) -> Node {
    let leads = quorum.leader_node_id == Some(member.node_id);
    let (is_asked, asked_leads) =
        (quorum.node_id == member.node_id, quorum.leader_node_id == Some(quorum.node_id));
    let is_heard = member.last_contact_ms.is_some_and(|silence| silence <= SILENT_AFTER_MS);
    let state = match (leads, is_asked || is_heard, asked_leads) {
        (true, _, _) => "active",
        (false, true, _) => "follower",
        (false, false, true) => "silent",
        (false, false, false) => "unknown",
    };
    let behind = member.match_index.map(|index| {
        format!("{} behind", counted(quorum.last_index.saturating_sub(index), "entry"))
    });
    let heard = match (member.last_contact_ms, quorum.leader_node_id) {
        _ if is_asked => None,
        (Some(silence), _) => Some(format!("heard {}", ago(silence))),
        (None, _) if asked_leads => Some("not heard".to_owned()),
        (None, Some(leader)) if leader == member.node_id => {
            Some(format!("heard {}", ago(quorum.last_contact_ms)))
        }
        (None, Some(leader)) => {
            Some(format!("node {leader}, the active one, knows: ask it with --admin"))
        }
        (None, None) => None,
    };
    Node {
        role: "controller",
        node: member.node_id,
        state: state.to_owned(),
        endpoint: member.endpoint.clone(),
        detail: behind.into_iter().chain(heard).collect::<Vec<_>>().join(", "),
    }
}

fn ago(silence_ms: i64) -> String {
    match silence_ms {
        ..10_000 => format!("{silence_ms} ms ago"),
        _ => format!("{} s ago", silence_ms / 1_000),
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
        detail: format!(
            "leads {} of {}",
            node.leader_count,
            counted(node.replica_count, "partition")
        ),
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

#[cfg(test)]
mod tests {
    use super::*;

    fn quorum(asked: i32) -> proto::Quorum {
        let member = |node_id, last_contact_ms| proto::QuorumMember {
            node_id,
            endpoint: format!("controller-{node_id}:9093"),
            match_index: Some(40),
            last_contact_ms,
        };
        proto::Quorum {
            node_id: asked,
            leader_node_id: Some(101),
            last_index: 42,
            last_contact_ms: 30,
            members: vec![member(101, None), member(102, Some(80)), member(103, Some(64_000))],
            ..Default::default()
        }
    }

    fn shown(quorum: &proto::Quorum, at: usize) -> (String, String) {
        let node = controller(quorum, &quorum.members[at]);
        (node.state, node.detail)
    }

    #[test]
    fn the_active_controller_tells_who_is_silent_and_how_far_each_is() {
        let mut quorum = quorum(101);
        let entries = |state: &str, detail: &str| (state.to_owned(), detail.to_owned());
        assert_eq!(shown(&quorum, 0), entries("active", "2 entries behind"));
        assert_eq!(shown(&quorum, 1), entries("follower", "2 entries behind, heard 80 ms ago"));
        assert_eq!(shown(&quorum, 2), entries("silent", "2 entries behind, heard 64 s ago"));
        quorum.members[2].last_contact_ms = None;
        assert_eq!(shown(&quorum, 2), entries("silent", "2 entries behind, not heard"));
    }

    #[test]
    fn a_follower_knows_the_active_controller_and_says_who_knows_the_others() {
        let mut quorum = quorum(102);
        for member in &mut quorum.members {
            (member.match_index, member.last_contact_ms) = (None, None);
        }
        assert_eq!(shown(&quorum, 0), ("active".to_owned(), "heard 30 ms ago".to_owned()));
        assert_eq!(shown(&quorum, 1).0, "follower");
        let (state, detail) = shown(&quorum, 2);
        assert_eq!(state, "unknown");
        assert!(detail.contains("node 101"), "{detail}");
    }

    #[test]
    fn the_active_controller_is_looked_for_on_its_host_and_the_port_that_was_asked() {
        let found = active_admin(&quorum(102), "controller-2:9095");
        assert_eq!(found.as_deref(), Some("controller-101:9095"));
        assert_eq!(active_admin(&quorum(101), "controller-1:9095"), None);
    }
}
