//! A member of a group, in any version of the protocol.

use bytes::Bytes;
use ottla_kafka_wire::messages::heartbeat_request::HeartbeatRequest;
use ottla_kafka_wire::messages::join_group_request::{JoinGroupRequest, JoinGroupRequestProtocol};
use ottla_kafka_wire::messages::join_group_response::JoinGroupResponse;
use ottla_kafka_wire::messages::leave_group_request::{LeaveGroupRequest, MemberIdentity};
use ottla_kafka_wire::messages::sync_group_request::{
    SyncGroupRequest, SyncGroupRequestAssignment,
};
use ottla_kafka_wire::messages::sync_group_response::SyncGroupResponse;
use ottla_types::ErrorCode;

use crate::client::Client;
use crate::cluster::Cluster;

/// The newest version of JoinGroup.
pub(crate) const NEWEST: i16 = 9;

pub(crate) struct Member {
    pub(crate) client: Client,
    pub(crate) group: String,
    pub(crate) id: String,
    pub(crate) instance: Option<String>,
    pub(crate) generation: i32,
    pub(crate) rebalance_timeout_ms: i32,
    /// Of JoinGroup; the others are of its time.
    pub(crate) version: i16,
}

impl Member {
    pub(crate) async fn new(cluster: &Cluster, group: &str, version: i16) -> Self {
        Self {
            client: cluster.client().await,
            group: group.to_owned(),
            id: String::new(),
            instance: None,
            generation: -1,
            rebalance_timeout_ms: 60_000,
            version,
        }
    }

    /// A member whose group is stable and has only it.
    pub(crate) async fn alone(cluster: &Cluster, group: &str) -> Self {
        let mut member = Self::new(cluster, group, NEWEST).await;
        let joined = member.join().await;
        assert_eq!(joined.error_code, 0);
        let id = member.id.clone();
        assert_eq!(member.sync(&[(&id, "all")]).await.error_code, 0);
        member
    }

    pub(crate) fn join_request(&self) -> JoinGroupRequest {
        let metadata = Bytes::from(format!("wants {}", self.group));
        JoinGroupRequest {
            group_id: self.group.clone(),
            session_timeout_ms: 10_000,
            rebalance_timeout_ms: self.rebalance_timeout_ms,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: "consumer".into(),
            protocols: vec![JoinGroupRequestProtocol { name: "range".into(), metadata }],
            ..Default::default()
        }
    }

    pub(crate) async fn send_join(&mut self) -> i32 {
        let request = self.join_request();
        self.client.send(self.version, &request).await
    }

    pub(crate) async fn joined(&mut self, sent: i32) -> JoinGroupResponse {
        let joined = self.client.receive::<JoinGroupRequest>(self.version, sent).await;
        if joined.error_code == 0 {
            (self.id, self.generation) = (joined.member_id.clone(), joined.generation_id);
        }
        joined
    }

    /// Gets an id if that comes first, and joins.
    pub(crate) async fn join(&mut self) -> JoinGroupResponse {
        self.get_id().await;
        let sent = self.send_join().await;
        self.joined(sent).await
    }

    /// New dynamic members get an id first, from version 4 on.
    pub(crate) async fn get_id(&mut self) {
        if self.version >= 4 && self.id.is_empty() && self.instance.is_none() {
            let request = self.join_request();
            let refused = self.client.ask(self.version, &request).await;
            assert_eq!(refused.error_code, ErrorCode::MemberIdRequired.code());
            self.id = refused.member_id;
            assert!(self.id.starts_with("test-"), "{}", self.id);
        }
    }

    fn sync_request(&self, gives: &[(&str, &str)]) -> SyncGroupRequest {
        let assignments = gives.iter().map(|(member, gets)| SyncGroupRequestAssignment {
            member_id: (*member).to_owned(),
            assignment: Bytes::copy_from_slice(gets.as_bytes()),
        });
        SyncGroupRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
            protocol_type: Some("consumer".into()),
            protocol_name: Some("range".into()),
            assignments: assignments.collect(),
        }
    }

    pub(crate) async fn send_sync(&mut self, gives: &[(&str, &str)]) -> i32 {
        let request = self.sync_request(gives);
        self.client.send(self.version.min(5), &request).await
    }

    pub(crate) async fn synced(&mut self, sent: i32) -> SyncGroupResponse {
        self.client.receive::<SyncGroupRequest>(self.version.min(5), sent).await
    }

    pub(crate) async fn sync(&mut self, gives: &[(&str, &str)]) -> SyncGroupResponse {
        let sent = self.send_sync(gives).await;
        self.synced(sent).await
    }

    pub(crate) fn beat_request(&self) -> HeartbeatRequest {
        HeartbeatRequest {
            group_id: self.group.clone(),
            generation_id: self.generation,
            member_id: self.id.clone(),
            group_instance_id: self.instance.clone(),
        }
    }

    pub(crate) async fn beat(&mut self) -> ErrorCode {
        let request = self.beat_request();
        ErrorCode::from_code(self.client.ask(self.version.min(4), &request).await.error_code)
    }

    pub(crate) async fn leave(&mut self) -> ErrorCode {
        let version = self.version.min(5);
        let group_id = self.group.clone();
        let (member_id, group_instance_id) = (self.id.clone(), self.instance.clone());
        let request = match version {
            3.. => {
                let leaving = MemberIdentity { member_id, group_instance_id, ..Default::default() };
                LeaveGroupRequest { group_id, members: vec![leaving], ..Default::default() }
            }
            _ => LeaveGroupRequest { group_id, member_id, ..Default::default() },
        };
        let response = self.client.ask(version, &request).await;
        let of_member = response.members.first().map(|member| {
            assert_eq!(member.member_id, self.id);
            member.error_code
        });
        assert_eq!(of_member.is_some(), version >= 3);
        ErrorCode::from_code(of_member.unwrap_or(response.error_code))
    }
}
