//! Some members, started, crashed and asked by tests.

use std::collections::BTreeMap;
use std::future::Future;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ottla_api::controller::{QuorumStatus, Submitted};
use ottla_api::{CallError, RequestContext};
use ottla_metadata::command::{NewTopic, TopicOutcome};
use ottla_metadata::event::{BrokerRegistration, Endpoint};
use ottla_metadata::{Command, Reply, Settings};
use ottla_runtime::Seams;
use ottla_runtime::seams::{HostPort, RealNet, SimClock, SimDisk, SimRng, SimTasks};
use ottla_types::{BrokerEpoch, DirectoryId, IncarnationId, NodeId, Uuid};

use super::network::Network;
use crate::quorum::driver::{QuorumConfig, SnapshotPolicy, Voter};
use crate::quorum::member::{self, Member};
use crate::quorum::state_store::MemoryStore;

/// Virtual time that a test waits for something at most.
const PATIENCE: Duration = Duration::from_secs(60);
pub(super) const STORAGE_NODE: NodeId = NodeId(100);

pub(super) struct Cluster {
    pub(super) network: Network,
    pub(super) disks: BTreeMap<NodeId, SimDisk>,
    pub(super) members: BTreeMap<NodeId, Member>,
    directories: BTreeMap<NodeId, DirectoryId>,
    clock: Arc<SimClock>,
    tasks: Arc<SimTasks>,
    lives: u64,
    seed: u64,
    pub(super) snapshots: SnapshotPolicy,
}

/// Runs a test in virtual time, on one thread.
pub(super) fn simulate<T>(test: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test)
}

impl Cluster {
    /// Members 1 to `count`, all started.
    pub(super) fn start(count: i32, seed: u64) -> Self {
        let mut cluster = Self::prepare(count, seed);
        cluster.start_all();
        cluster
    }

    pub(super) fn prepare(count: i32, seed: u64) -> Self {
        let nodes = (1..=count).map(NodeId);
        let disk = |node: NodeId| (node, SimDisk::new(seed * 100 + node.0 as u64));
        let directory = |node: NodeId| (node, DirectoryId(Uuid::from_random(node.0 as u128 + 7)));
        Self {
            network: Network::default(),
            disks: nodes.clone().map(disk).collect(),
            members: BTreeMap::new(),
            directories: nodes.map(directory).collect(),
            clock: Arc::new(SimClock::new()),
            tasks: Arc::new(SimTasks::new()),
            lives: 0,
            seed,
            snapshots: SnapshotPolicy::default(),
        }
    }

    pub(super) fn start_all(&mut self) {
        let nodes: Vec<_> = self.disks.keys().copied().collect();
        nodes.into_iter().for_each(|node| self.start_member(node).unwrap());
    }

    pub(super) fn start_member(&mut self, node: NodeId) -> Result<(), String> {
        self.lives += 1;
        let seams = Seams {
            clock: self.clock.clone(),
            rng: Arc::new(SimRng::new(self.seed * 1_000 + self.lives)),
            disk: Arc::new(self.disks[&node].clone()),
            net: Arc::new(RealNet),
            tasks: self.tasks.clone(),
        };
        let port = self.network.port(node, self.lives, self.tasks.clone());
        let store = Arc::new(MemoryStore::new());
        let started = member::start(self.config(node), seams, Arc::new(port), store);
        let (member, task) = started.map_err(|stop| stop.to_string())?;
        tokio::task::spawn_local(task.join());
        self.network.attach(member.clone(), self.lives);
        self.members.insert(node, member);
        Ok(())
    }

    fn config(&self, node: NodeId) -> QuorumConfig {
        let voter = |node: &NodeId| Voter { node: *node, endpoint: HostPort::new("c", 9093) };
        QuorumConfig {
            node,
            directory: self.directories[&node],
            cluster_id: None,
            dir: PathBuf::from("/metadata"),
            voters: self.disks.keys().map(voter).collect(),
            // Nobody sends heartbeats here.
            domain: Settings { broker_session_timeout_ms: 1 << 40, ..Settings::default() },
            election_timeout: QuorumConfig::ELECTION_TIMEOUT,
            snapshots: self.snapshots,
        }
    }

    /// The power of a member goes: what was not synced is lost.
    pub(super) fn crash(&mut self, node: NodeId) {
        self.network.detach(node);
        self.disks[&node].crash();
        self.members.remove(&node);
    }

    /// A member comes back with an empty disk.
    pub(super) fn wipe(&mut self, node: NodeId) {
        self.crash(node);
        self.disks.insert(node, SimDisk::new(self.seed + 999));
        self.directories.insert(node, DirectoryId(Uuid::from_random(node.0 as u128 + 70)));
    }

    pub(super) fn directory(&self, node: NodeId) -> DirectoryId {
        self.directories[&node]
    }

    /// A member that is not running gets another disk.
    pub(super) fn put_disk(&mut self, node: NodeId, disk: SimDisk, directory: DirectoryId) {
        disk.crash();
        self.disks.insert(node, disk);
        self.directories.insert(node, directory);
    }

    pub(super) fn now(&self) -> Duration {
        use ottla_runtime::seams::Clock;
        self.clock.monotonic()
    }

    pub(super) async fn wait_for<T>(
        &self,
        what: &str,
        mut look: impl FnMut(&Self) -> Option<T>,
    ) -> T {
        let give_up = self.now() + PATIENCE;
        loop {
            if let Some(found) = look(self) {
                return found;
            }
            assert!(self.now() < give_up, "waited in vain for {what}");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// The member that is ready to decide.
    pub(super) async fn leader(&self) -> NodeId {
        let find = |cluster: &Self| {
            let leads =
                |(_, member): &(&NodeId, &Member)| member.published.leader.borrow().is_ready_here;
            cluster.members.iter().find(leads).map(|(node, _)| *node)
        };
        self.wait_for("an active controller", find).await
    }

    pub(super) async fn ask(&self, node: NodeId, command: Command) -> Result<Submitted, CallError> {
        self.members[&node].submit(RequestContext::internal(PATIENCE), command).await
    }

    /// Asks the active controller, whoever it becomes.
    pub(super) async fn must(&self, command: Command) -> Submitted {
        for _ in 0..100 {
            let leader = self.leader().await;
            match self.ask(leader, command.clone()).await {
                Ok(submitted) => return submitted,
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        panic!("nobody takes {command:?}")
    }

    /// Registers a storage node and brings it to life.
    pub(super) async fn live_storage_node(&self) -> BrokerEpoch {
        let registered = self.must(register(STORAGE_NODE, 1)).await;
        let Reply::BrokerRegistered { broker_epoch } = registered.reply else {
            panic!("{registered:?}")
        };
        let heartbeat = Command::BrokerHeartbeat {
            node: STORAGE_NODE,
            broker_epoch,
            caught_up_to: registered.offset,
            want_fence: false,
            want_shutdown: false,
        };
        let reply = self.must(heartbeat).await.reply;
        assert_eq!(reply, Reply::BrokerHeartbeat { fenced: false, may_shut_down: false });
        broker_epoch
    }

    pub(super) async fn create_topic(&self, name: &str) -> TopicOutcome {
        let reply = self.must(create(name)).await.reply;
        let Reply::Topics(outcomes) = reply else { panic!("{reply:?}") };
        outcomes.into_iter().next().unwrap().unwrap()
    }

    pub(super) fn has_topic(&self, node: NodeId, name: &str) -> bool {
        let committed = self.members[&node].published.committed.borrow();
        committed.image.topic_by_name(name).is_some()
    }

    pub(super) async fn status(&self, node: NodeId) -> QuorumStatus {
        self.members[&node].status().await.unwrap()
    }

    /// Waits until all members have applied the same; returns its hash.
    pub(super) async fn agreed_hash(&self) -> u64 {
        let agree = |cluster: &Self| {
            let state = |member: &Member| {
                let committed = member.published.committed.borrow();
                (committed.image.offset, committed.image.hash())
            };
            let mut states = cluster.members.values().map(state);
            let first = states.next()?;
            states.all(|state| state == first).then_some(first.1)
        };
        self.wait_for("the same state everywhere", agree).await
    }
}

pub(super) fn register(node: NodeId, incarnation: u128) -> Command {
    let registration = BrokerRegistration {
        node,
        incarnation: IncarnationId(Uuid::from_random(incarnation)),
        rack: None,
        directories: vec![DirectoryId(Uuid::from_random(55))],
        storage_endpoint: Endpoint { host: "s".into(), port: 9094 },
    };
    Command::RegisterBroker { cluster_id: None, registration }
}

pub(super) fn create(name: &str) -> Command {
    let topic = NewTopic {
        name: name.into(),
        partitions: Some(3),
        replication_factor: Some(1),
        assignments: Vec::new(),
        configs: Vec::new(),
    };
    Command::CreateTopics { topics: vec![topic], validate_only: false }
}
