//! `ottla group list|describe|lag|reset|delete`.

mod lag;
mod reset;
mod when;

use ottla_proto::admin::v1 as proto;
use ottla_proto::admin::v1::group_service_client::GroupServiceClient;
use serde::Serialize;
use tonic::transport::Channel;

use crate::cli::admin::Admin;
use crate::cli::failure::Failure;
use crate::cli::output::{Format, Rows, counted};

/// Groups, and offsets, of one page.
const PAGE_SIZE: i32 = 1_000;

/// What can be done with consumer groups.
#[derive(Debug, clap::Subcommand)]
pub(super) enum GroupCommand {
    /// List groups.
    List {
        /// Only groups in this state.
        #[arg(long, value_enum)]
        state: Vec<State>,
    },
    /// Show a group's members and what each reads.
    Describe {
        /// Its id.
        name: String,
    },
    /// Show how far a group is behind.
    Lag {
        /// Its id.
        name: String,
    },
    /// Set a group's committed offsets; refused while it has members.
    Reset(reset::ResetArgs),
    /// Delete a group and its offsets; refused while it has members.
    Delete {
        /// Its id.
        name: String,
    },
}

/// A state that groups can be asked for by.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
pub(super) enum State {
    /// Without members.
    Empty,
    /// Its members are called to join again.
    PreparingRebalance,
    /// Its leader assigns.
    CompletingRebalance,
    /// Its members have their assignments.
    Stable,
}

#[derive(Serialize)]
struct Group {
    group: String,
    state: &'static str,
    r#type: &'static str,
    protocol_type: String,
    coordinator: i32,
}

#[derive(Serialize)]
#[serde(transparent)]
struct Groups(Vec<Group>);

#[derive(Serialize)]
struct Described {
    #[serde(flatten)]
    group: Group,
    protocol: String,
    members: Vec<Member>,
}

#[derive(Serialize)]
struct Member {
    member: String,
    instance: Option<String>,
    client: String,
    host: String,
    assignment: Vec<Assigned>,
}

#[derive(Serialize)]
struct Assigned {
    topic: String,
    partitions: Vec<i32>,
}

#[derive(Serialize)]
struct Deleted {
    group: String,
}

/// Runs one of the commands.
pub(super) async fn run(admin: &str, command: GroupCommand, format: Format) -> Result<(), Failure> {
    let admin = Admin::connect(admin).await?;
    let mut client = GroupServiceClient::new(admin.channel.clone());
    match command {
        GroupCommand::List { state } => {
            format.print(&Groups(list(&admin, &mut client, &state).await?))?;
        }
        GroupCommand::Describe { name } => describe(&admin, &mut client, name, format).await?,
        GroupCommand::Lag { name } => lag::run(&admin, &mut client, name, format).await?,
        GroupCommand::Reset(args) => reset::run(&admin, &mut client, args, format).await?,
        GroupCommand::Delete { name } => {
            let request = proto::DeleteGroupRequest { id: name.clone(), ..Default::default() };
            admin.answer(client.delete_group(request).await)?;
            format.print(&Deleted { group: name })?;
        }
    }
    Ok(())
}

async fn list(
    admin: &Admin,
    client: &mut GroupServiceClient<Channel>,
    states: &[State],
) -> Result<Vec<Group>, Failure> {
    let states: Vec<i32> = states.iter().map(|state| wire_state(*state).into()).collect();
    let (mut groups, mut silent, mut page_token) = (Vec::new(), 0_u64, String::new());
    loop {
        let request = proto::ListGroupsRequest {
            page_size: PAGE_SIZE,
            page_token,
            states: states.clone(),
            ..Default::default()
        };
        let page = admin.answer(client.list_groups(request).await)?;
        groups.extend(page.groups.into_iter().map(Group::from));
        silent += page.unavailable_partitions.len() as u64;
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    if silent > 0 {
        eprintln!(
            "warning: the groups of {} of __consumer_offsets are missing, because their coordinators do not answer; `ottla \
             status` shows which storage node is not active",
            counted(silent, "partition")
        );
    }
    groups.sort_by(|a, b| a.group.cmp(&b.group));
    Ok(groups)
}

async fn describe(
    admin: &Admin,
    client: &mut GroupServiceClient<Channel>,
    name: String,
    format: Format,
) -> Result<(), Failure> {
    let request = proto::GetGroupRequest { id: name, ..Default::default() };
    let found = admin.answer(client.get_group(request).await)?;
    let described = Described {
        group: found.group.unwrap_or_default().into(),
        protocol: found.protocol,
        members: found.members.into_iter().map(Member::from).collect(),
    };
    if format == Format::Table {
        let Group { group, state, coordinator, .. } = &described.group;
        let members = counted(described.members.len() as u64, "member");
        println!("group {group}: {state}, {members}, coordinated by node {coordinator}\n");
        if described.members.is_empty() {
            return Ok(());
        }
    }
    Ok(format.print(&described)?)
}

fn wire_state(state: State) -> proto::GroupState {
    match state {
        State::Empty => proto::GroupState::Empty,
        State::PreparingRebalance => proto::GroupState::PreparingRebalance,
        State::CompletingRebalance => proto::GroupState::CompletingRebalance,
        State::Stable => proto::GroupState::Stable,
    }
}

fn state_name(state: proto::GroupState) -> &'static str {
    match state {
        proto::GroupState::Unspecified => "Unknown",
        proto::GroupState::Empty => "Empty",
        proto::GroupState::PreparingRebalance => "PreparingRebalance",
        proto::GroupState::CompletingRebalance => "CompletingRebalance",
        proto::GroupState::Stable => "Stable",
        proto::GroupState::Dead => "Dead",
    }
}

fn type_name(group_type: proto::GroupType) -> &'static str {
    match group_type {
        proto::GroupType::Unspecified => "unknown",
        proto::GroupType::Classic => "classic",
        proto::GroupType::Consumer => "consumer",
        proto::GroupType::Share => "share",
        proto::GroupType::Streams => "streams",
    }
}

impl From<proto::Group> for Group {
    fn from(group: proto::Group) -> Self {
        Self {
            state: state_name(group.state()),
            r#type: type_name(group.r#type()),
            group: group.id,
            protocol_type: group.protocol_type,
            coordinator: group.coordinator_node_id,
        }
    }
}

impl From<proto::GroupMember> for Member {
    fn from(member: proto::GroupMember) -> Self {
        let assigned = |topic: proto::TopicPartitions| Assigned {
            topic: topic.topic,
            partitions: topic.partitions,
        };
        Self {
            member: member.id,
            instance: Some(member.instance_id).filter(|id| !id.is_empty()),
            client: member.client_id,
            host: member.client_host.trim_start_matches('/').to_owned(),
            assignment: member.assignment.into_iter().map(assigned).collect(),
        }
    }
}

impl Rows for Groups {
    fn heads(&self) -> Vec<&'static str> {
        vec!["GROUP", "STATE", "TYPE", "PROTOCOL", "COORDINATOR"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |group: &Group| {
            vec![
                group.group.clone(),
                group.state.to_owned(),
                group.r#type.to_owned(),
                group.protocol_type.clone(),
                group.coordinator.to_string(),
            ]
        };
        self.0.iter().map(row).collect()
    }
}

impl Rows for Described {
    fn heads(&self) -> Vec<&'static str> {
        vec!["MEMBER", "INSTANCE", "CLIENT", "HOST", "ASSIGNMENT"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        let row = |member: &Member| {
            let assigned: Vec<_> = member.assignment.iter().map(assigned).collect();
            vec![
                member.member.clone(),
                member.instance.clone().unwrap_or_else(|| "-".to_owned()),
                member.client.clone(),
                member.host.clone(),
                assigned.join(" "),
            ]
        };
        self.members.iter().map(row).collect()
    }
}

fn assigned(assigned: &Assigned) -> String {
    let partitions: Vec<_> = assigned.partitions.iter().map(i32::to_string).collect();
    format!("{}:{}", assigned.topic, partitions.join(","))
}

impl Rows for Deleted {
    fn heads(&self) -> Vec<&'static str> {
        vec!["DELETED"]
    }

    fn rows(&self) -> Vec<Vec<String>> {
        vec![vec![self.group.clone()]]
    }
}
