//! What scrapes see of a controller: the quorum as this member knows it, and the cluster as it is committed here.
//!
//! Invariant: every member tells of the cluster, so those figures are to be looked at by maximum, not by sum, as with Kafka's
//! controllers. The driver is asked once a scrape; a driver that does not answer leaves what it said before.

use std::sync::{Arc, Mutex, PoisonError};

use futures::FutureExt;
use futures::future::BoxFuture;
use ottla_api::controller::{QuorumRole, QuorumStatus};
use ottla_metadata::Image;
use ottla_runtime::metrics::{Kind, Scrape, Source};
use ottla_types::NodeId;

use crate::quorum::member::Member;

/// The states of a member, with Kafka's words for them.
const STATES: [(QuorumRole, &str); 4] = [
    (QuorumRole::Leader, "leader"),
    (QuorumRole::Follower, "follower"),
    (QuorumRole::Candidate, "candidate"),
    (QuorumRole::Learner, "observer"),
];

/// The figures of a controller, for scrapes.
pub(crate) struct ControllerSource {
    member: Member,
    /// What the driver said last. Only scrapes take it.
    status: Mutex<Option<QuorumStatus>>,
}

impl ControllerSource {
    pub(crate) fn new(member: Member) -> Self {
        Self { member, status: Mutex::default() }
    }
}

impl Source for ControllerSource {
    fn refresh(&self) -> BoxFuture<'_, ()> {
        async {
            if let Ok(status) = self.member.status().await {
                *self.status.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
            }
        }
        .boxed()
    }

    fn write(&self, scrape: &mut Scrape) {
        if let Some(status) = &*self.status.lock().unwrap_or_else(PoisonError::into_inner) {
            write_quorum(status, scrape);
            write_members(status, scrape);
            write_kafkas_quorum(status, scrape);
        }
        let help = "Time that a write to the quorum's log took to be durable";
        let mut family = scrape.family(Kind::Histogram, "ottla_quorum_log_sync_seconds", help);
        family.histogram(&[], self.member.log_syncs());
        let image = Arc::clone(&self.member.published.committed.borrow().image);
        write_cluster(&image, scrape);
    }
}

fn id_of(node: Option<NodeId>) -> i32 {
    node.map_or(-1, |node| node.0)
}

fn write_quorum(status: &QuorumStatus, scrape: &mut Scrape) {
    let mut family =
        scrape.family(Kind::Gauge, "ottla_quorum_state", "1 for the state of this member");
    for (role, name) in STATES {
        family.add(&[("state", name)], i32::from(role == status.role));
    }
    scrape.gauge(
        "ottla_quorum_leader",
        "Node of the active controller, -1 if unknown",
        id_of(status.leader),
    );
    scrape.gauge("ottla_quorum_term", "Term of the quorum", status.term.0);
    let indexes = [
        ("last", "Index of the last entry in this member's log", status.last_index),
        ("committed", "Commit index of this member", status.committed_index),
        ("applied", "Applied index of this member", status.applied_index),
    ];
    for (name, help, index) in indexes {
        scrape.gauge(&format!("ottla_quorum_{name}_index"), help, index);
    }
    let help = "Elections that this member saw since it started";
    scrape.counter("ottla_quorum_elections", help, status.elections);
    let help = "Changes that wait to be committed; only the active controller has any";
    scrape.gauge("ottla_quorum_pending_proposals", help, status.proposals_outstanding);
    let help = "Seconds since the leader was heard of, or by the leader a majority";
    scrape.gauge("ottla_quorum_last_contact_seconds", help, status.last_contact_ms as f64 / 1e3);
    let help = "Metadata offset of this member";
    scrape.gauge("ottla_quorum_metadata_offset", help, status.metadata_offset.0);
}

/// Only the leader knows how far the others are.
fn write_members(status: &QuorumStatus, scrape: &mut Scrape) {
    let help = "Entries that a member is behind the leader's log, as the leader knows";
    let mut family = scrape.family(Kind::Gauge, "ottla_quorum_member_lag_entries", help);
    for member in status.members.iter().filter(|_| status.role == QuorumRole::Leader) {
        if let Some(matched) = member.match_index {
            let lag = status.last_index.saturating_sub(matched);
            family.add(&[("member", &member.node.to_string())], lag);
        }
    }
}

fn write_kafkas_quorum(status: &QuorumStatus, scrape: &mut Scrape) {
    let figures = [
        (
            "current_leader",
            "Node of the active controller, -1 if unknown",
            i64::from(id_of(status.leader)),
        ),
        ("current_epoch", "Term of the quorum", i64::try_from(status.term.0).unwrap_or(i64::MAX)),
        (
            "high_watermark",
            "Commit index of this member",
            i64::try_from(status.committed_index).unwrap_or(i64::MAX),
        ),
        (
            "log_end_offset",
            "Index of the last entry in this member's log",
            i64::try_from(status.last_index).unwrap_or(i64::MAX),
        ),
    ];
    for (name, help, value) in figures {
        scrape.gauge(&format!("kafka_server_raftmetrics_{name}"), help, value);
    }
    let name = "kafka_server_raftmetrics_current_state";
    let mut family = scrape.family(Kind::Gauge, name, "1 for the state of this member");
    for (_, name) in STATES.iter().filter(|(role, _)| *role == status.role) {
        family.add(&[("current_state", name)], 1);
    }
    let is_active = i32::from(status.role == QuorumRole::Leader);
    let name = "kafka_controller_kafkacontroller_activecontrollercount";
    scrape.gauge(name, "1 at the active controller", is_active);
}

fn write_cluster(image: &Image, scrape: &mut Scrape) {
    let partitions = || image.topics.values().flat_map(|topic| &topic.partitions);
    let fenced = image.brokers.values().filter(|broker| broker.fenced).count();
    let active = image.brokers.len() - fenced;
    let offline = partitions().filter(|partition| partition.leader.is_none()).count();
    let imbalanced = partitions().filter(|p| p.leader != p.replicas.first().copied()).count();
    let figures = [
        ("kafka_controller_kafkacontroller_activebrokercount", "Storage nodes that serve", active),
        (
            "kafka_controller_kafkacontroller_fencedbrokercount",
            "Storage nodes that are known and do not serve",
            fenced,
        ),
        ("kafka_controller_kafkacontroller_globaltopiccount", "Topics", image.topics.len()),
        (
            "kafka_controller_kafkacontroller_globalpartitioncount",
            "Partitions",
            partitions().count(),
        ),
        (
            "kafka_controller_kafkacontroller_offlinepartitionscount",
            "Partitions without a leader",
            offline,
        ),
        (
            "kafka_controller_kafkacontroller_preferredreplicaimbalancecount",
            "Partitions that their first replica does not lead",
            imbalanced,
        ),
        ("kafka_brokers", "Storage nodes that serve", active),
        ("ottla_gateways", "Gateways that are registered", image.gateways.len()),
    ];
    for (name, help, value) in figures {
        scrape.gauge(name, help, value);
    }
}
