//! Members of groups: they join, commit ever larger offsets of what they are given, and begin anew where they do not know what became
//! of a commit.
//!
//! Invariant: whoever takes a partition over goes on behind what is committed, so that an offset that goes back is always a finding.
//! A commit in doubt could still arrive behind a later one of the same member; so that member leaves, and another comes.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use ottla_kafka_wire::messages::describe_groups_request::DescribeGroupsRequest;
use ottla_kafka_wire::messages::find_coordinator_request::FindCoordinatorRequest;
use ottla_kafka_wire::{Message, Request};
use ottla_runtime::seams::HostPort;
use ottla_types::ErrorCode;

use super::{ORDERS_PARTITIONS, Shared, Stage, pause};
use crate::group::client::{DESCRIBE_VERSION, FIND_VERSION};
use crate::group::member::{
    BEAT_VERSION, Group, JOIN_VERSION, LEAVE_VERSION, Member, Next, SYNC_VERSION, Turn,
};
use crate::group::offsets;
use crate::sim::client::{CallError, Client};

/// The groups that work, with the number of their members.
pub const GROUPS: [(&str, u64); 2] = [("billing", 3), ("search", 2)];
/// Kafka's least; a simulation has no time for more.
const SESSION_TIMEOUT_MS: i32 = 6_000;
/// How long members may take to join again: shorter than a client waits for its answer.
const REBALANCE_TIMEOUT_MS: i32 = 4_000;
/// The longest pause of a member that works.
const MOST_IDLE_MS: u64 = 300;
/// One in so many steps of a member that works is a heartbeat, the others are commits.
const BEATS: u64 = 4;
/// One in so many makes a member leave and come anew.
const LEAVES: u64 = 60;

/// What a group is made of.
pub fn group(name: &str) -> Group {
    Group {
        id: name.to_owned(),
        topic: "orders".to_owned(),
        partitions: ORDERS_PARTITIONS,
        session_timeout_ms: SESSION_TIMEOUT_MS,
        rebalance_timeout_ms: REBALANCE_TIMEOUT_MS,
    }
}

/// A member and what it knows.
pub struct Worker {
    name: String,
    member: Member,
    client: Client,
    coordinator: Option<HostPort>,
    /// The last offset that is committed of each partition that it was given, as far as it knows; `None`: to be asked.
    positions: Option<BTreeMap<i32, i64>>,
    shared: Rc<Shared>,
}

impl Worker {
    /// The `number`th member of a group.
    pub fn new(shared: &Rc<Shared>, name: &str, number: u64) -> Self {
        // Names of groups have different lengths.
        let seed = shared.seed ^ ((name.len() as u64) << 52) ^ (number << 44);
        Self {
            name: format!("{name}-{number}"),
            member: Member::new(group(name)),
            client: Client::new(shared.bootstrap.clone(), seed),
            coordinator: None,
            positions: None,
            shared: shared.clone(),
        }
    }

    /// Works until the cluster is healed and the group has come together.
    pub async fn run(mut self) {
        self.shared.until(Stage::Chaos).await;
        loop {
            if let Err(error) = self.step().await {
                if let CallError::Nonsense(what) = &error {
                    self.shared.trace.problem(format_args!("{}: {what}", self.name));
                }
                self.note(format_args!("{:?}: {error}", self.member.next));
                self.coordinator = None;
                pause().await;
            }
            if self.is_over().await {
                break;
            }
        }
        self.shared.done(&self.name);
    }

    fn note(&self, what: std::fmt::Arguments<'_>) {
        self.shared.trace.note(&self.name, what);
    }

    async fn step(&mut self) -> Result<(), CallError> {
        match self.member.next {
            Next::Join => {
                self.positions = None;
                let request = self.member.join_request();
                let answer = self.ask(JOIN_VERSION, &request).await?;
                let turn = self.member.joined(answer);
                self.took(turn, "JoinGroup")
            }
            Next::Sync => {
                let request = self.member.sync_request();
                let answer = self.ask(SYNC_VERSION, &request).await?;
                let turn = self.member.synced(&answer);
                self.took(turn, "SyncGroup")
            }
            Next::Work if self.positions.is_none() => self.take_over().await,
            Next::Work => {
                let idle = Duration::from_millis(20 + self.client.rng.below(MOST_IDLE_MS));
                tokio::time::sleep(idle).await;
                match (self.client.rng.below(BEATS), self.client.rng.below(LEAVES)) {
                    (_, 0) if self.shared.stage.get() == Stage::Chaos => self.leave().await,
                    (0, _) => self.beat().await,
                    _ => self.commit().await,
                }
            }
        }
    }

    /// Asks the coordinator, once it is found.
    async fn ask<R: Request + Message>(
        &mut self,
        version: i16,
        request: &R,
    ) -> Result<R::Response, CallError> {
        let coordinator = match self.coordinator.clone() {
            Some(known) => known,
            None => find(&mut self.client, &self.member.group.id).await?,
        };
        self.coordinator = Some(coordinator.clone());
        self.client.call(&coordinator, version, request).await
    }

    fn took(&mut self, turn: Turn, what: &str) -> Result<(), CallError> {
        let (next, generation) = (self.member.next, self.member.generation);
        self.note(format_args!("{what}: {turn:?}, {next:?} in generation {generation}"));
        match turn {
            Turn::Fine => Ok(()),
            Turn::Elsewhere => Err(std::io::Error::other("the coordinator is not there").into()),
            Turn::Refused(code) => Err(CallError::Nonsense(format!("{what} refused: {code}"))),
        }
    }

    /// Asks where to go on with what it was given.
    async fn take_over(&mut self) -> Result<(), CallError> {
        let group = self.member.group.id.clone();
        let committed = committed(&mut self.client, &self.shared, &group).await?;
        let mine = |(partition, _): &(i32, i64)| self.member.assigned.contains(partition);
        let positions: BTreeMap<_, _> = committed.into_iter().filter(mine).collect();
        let generation = self.member.generation;
        self.note(format_args!("goes on in generation {generation} behind {positions:?}"));
        self.positions = Some(positions);
        Ok(())
    }

    async fn commit(&mut self) -> Result<(), CallError> {
        let Some(positions) = &mut self.positions else { return Ok(()) };
        positions.values_mut().for_each(|offset| *offset += 1);
        let offsets: Vec<_> = positions.iter().map(|(at, offset)| (*at, *offset)).collect();
        let group = self.member.group.id.clone();
        self.shared.history.borrow_mut().commits.send(&group, &offsets);
        let request = self.member.commit_request(&offsets);
        let answer = match self.ask(offsets::COMMIT_VERSION, &request).await {
            Ok(answer) => answer,
            Err(error) => {
                self.give_up().await;
                return Err(error);
            }
        };
        let code = offsets::committed(&answer);
        self.note(format_args!("commits {offsets:?}: {code}"));
        if code == ErrorCode::None {
            self.shared.history.borrow_mut().commits.acknowledge(&group, &offsets);
        } else {
            // What was refused may have been done for some partitions.
            self.positions = None;
        }
        let turn = self.member.committed(&answer);
        if turn == Turn::Elsewhere {
            self.give_up().await;
        }
        self.took(turn, "OffsetCommit")
    }

    async fn beat(&mut self) -> Result<(), CallError> {
        let request = self.member.beat_request();
        let answer = self.ask(BEAT_VERSION, &request).await?;
        let turn = self.member.beaten(&answer);
        self.took(turn, "Heartbeat")
    }

    /// Ends this member, so that a commit that is still on its way comes from nobody; goes on as another.
    async fn give_up(&mut self) {
        if let Err(error) = self.leave().await {
            self.note(format_args!("could not leave: {error}"));
        }
        self.coordinator = None;
        self.positions = None;
        self.member.begin_anew();
    }

    async fn leave(&mut self) -> Result<(), CallError> {
        let request = self.member.leave_request();
        let answer = self.ask(LEAVE_VERSION, &request).await?;
        self.note(format_args!("leaves: {}", ErrorCode::from_code(answer.error_code)));
        self.positions = None;
        self.member.begin_anew();
        Ok(())
    }

    /// Whether the cluster is healed and the group has come together again, or should have.
    async fn is_over(&mut self) -> bool {
        if self.shared.stage.get() != Stage::Healed {
            return false;
        }
        let group = self.member.group.id.clone();
        if self.shared.settled.borrow().contains(&group) {
            return true;
        }
        if self.member.next == Next::Work && self.has_come_together(&group).await {
            self.note(format_args!("{group} is stable in generation {}", self.member.generation));
            self.shared.settled.borrow_mut().insert(group);
            return true;
        }
        if self.shared.is_overdue() {
            let what = format_args!("liveness: {group} is not stable again, says {}", self.name);
            self.shared.trace.problem(what);
            return true;
        }
        false
    }

    /// Whether the coordinator says that each partition is given to exactly one of all members.
    async fn has_come_together(&mut self, group: &str) -> bool {
        let request =
            DescribeGroupsRequest { groups: vec![group.to_owned()], ..Default::default() };
        let Ok(answer) = self.ask(DESCRIBE_VERSION, &request).await else { return false };
        let Some(described) = answer.groups.first() else { return false };
        let expected = GROUPS.iter().find(|(name, _)| *name == group).map(|(_, count)| *count);
        let is_stable = described.group_state == "Stable";
        if !is_stable || Some(described.members.len() as u64) != expected {
            return false;
        }
        let given = described.members.iter().map(|member| &member.member_assignment);
        let given = given.map(crate::group::protocol::partitions).collect::<Result<Vec<_>, _>>();
        let mut given = given.unwrap_or_default().concat();
        given.sort_unstable();
        if !given.iter().copied().eq(0..ORDERS_PARTITIONS) {
            let what = format_args!("shared-badly: {group} is stable, given are {given:?}");
            self.shared.trace.problem(what);
        }
        true
    }
}

/// The coordinator of a group, as any gateway says.
async fn find(client: &mut Client, group: &str) -> Result<HostPort, CallError> {
    let address = client.any_bootstrap();
    let request =
        FindCoordinatorRequest { coordinator_keys: vec![group.to_owned()], ..Default::default() };
    let answer = client.call(&address, FIND_VERSION, &request).await?;
    let missing = || CallError::Nonsense("an empty answer of FindCoordinator".to_owned());
    let found = answer.coordinators.first().ok_or_else(missing)?;
    match ErrorCode::from_code(found.error_code) {
        ErrorCode::None => {
            let port = u16::try_from(found.port).unwrap_or_default();
            Ok(HostPort::new(found.host.clone(), port))
        }
        code if code.is_retriable() => Err(std::io::Error::other(code.name()).into()),
        code => Err(CallError::Nonsense(format!("FindCoordinator: {code}"))),
    }
}

/// What is committed of a group; what was acknowledged and is not there is a problem.
pub async fn committed(
    client: &mut Client,
    shared: &Shared,
    group: &str,
) -> Result<Vec<(i32, i64)>, CallError> {
    let coordinator = find(client, group).await?;
    let promised = shared.history.borrow().commits.promised(group);
    let request = offsets::fetch_request(group, "orders", ORDERS_PARTITIONS);
    let answer = client.call(&coordinator, offsets::FETCH_VERSION, &request).await?;
    match offsets::fetched(&answer) {
        Ok(committed) => {
            let findings = shared.history.borrow().commits.judge(group, &promised, &committed);
            findings.iter().for_each(|what| shared.trace.problem(format_args!("{what}")));
            shared.history.borrow_mut().commits.see(group, &committed);
            Ok(committed)
        }
        Err(code) if code.is_retriable() => Err(std::io::Error::other(code.name()).into()),
        Err(code) => Err(CallError::Nonsense(format!("OffsetFetch: {code}"))),
    }
}
