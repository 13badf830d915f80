//! Decisions, one by one: given events, when a command comes, then events and a reply.

use std::collections::BTreeMap;
use std::time::Duration;

use ottla_types::{
    BrokerEpoch, ClusterId, DirectoryId, ErrorCode, IncarnationId, ListenerName, MetadataOffset,
    NodeId, TimestampMs, Uuid,
};

use super::*;
use crate::command::{NewTopic, Refusal, TopicOutcome};
use crate::event::{BrokerRegistration, Endpoint, GatewayListener, GatewayRegistration};
use crate::image::Changes;

mod brokers;
mod configs;
mod gateways;
mod partitions;
mod topics;

/// An active controller with its clock in the test's hand.
struct World {
    image: Image,
    soft: Soft,
    settings: Settings,
    now: Now,
    seed: u64,
}

impl World {
    /// A formatted cluster without nodes.
    fn new() -> Self {
        let now = Now { wall: TimestampMs(1_000_000), monotonic: Duration::from_secs(100) };
        let mut image = Image::default();
        let formatted = Event::ClusterFormatted { cluster_id: ClusterId::new("cluster") };
        image.replay(&formatted, &mut Changes::default());
        let soft = Soft::new_leader(&image, now);
        Self { image, soft, settings: Settings::default(), now, seed: 7 }
    }

    /// A cluster with these nodes, all live.
    fn with_nodes(nodes: impl IntoIterator<Item = i32>) -> Self {
        let mut world = Self::new();
        nodes.into_iter().for_each(|node| world.start_node(node));
        world
    }

    fn start_node(&mut self, node: i32) {
        let epoch = self.register(registration(node, 1));
        assert_eq!(
            self.heartbeat(node, epoch),
            Reply::BrokerHeartbeat { fenced: false, may_shut_down: false }
        );
    }

    fn register(&mut self, registration: BrokerRegistration) -> BrokerEpoch {
        match self.submit(register_command(registration)).1 {
            Reply::BrokerRegistered { broker_epoch } => broker_epoch,
            other => panic!("not registered: {other:?}"),
        }
    }

    fn heartbeat(&mut self, node: i32, broker_epoch: BrokerEpoch) -> Reply {
        self.submit(Command::BrokerHeartbeat {
            node: NodeId(node),
            broker_epoch,
            caught_up_to: self.image.offset,
            want_fence: false,
            want_shutdown: false,
        })
        .1
    }

    fn epoch(&self, node: i32) -> BrokerEpoch {
        self.image.brokers.get(&NodeId(node)).unwrap().epoch
    }

    /// Decides, and replays at once as if it were committed.
    fn submit(&mut self, command: Command) -> (Vec<Event>, Reply) {
        let context = Context { settings: &self.settings, now: self.now, seed: self.seed };
        let decision = decide(&self.image, &mut self.soft, command, &context);
        self.seed += 1;
        let mut changes = Changes::default();
        for event in &decision.events {
            self.image.replay(event, &mut changes);
        }
        assert_eq!(changes.mismatch, None);
        (decision.events, decision.reply)
    }

    fn deadline(&self) -> Option<Duration> {
        self.soft.next_deadline(&self.settings)
    }

    fn pass_ms(&mut self, ms: u64) {
        self.now.monotonic += Duration::from_millis(ms);
        self.now.wall = self.now.wall.plus_ms(i64::try_from(ms).unwrap());
    }

    fn create(&mut self, topic: NewTopic) -> Result<TopicOutcome, Refusal> {
        self.topics(Command::CreateTopics { topics: vec![topic], validate_only: false }).1.remove(0)
    }

    fn topics(&mut self, command: Command) -> (Vec<Event>, Vec<Result<TopicOutcome, Refusal>>) {
        match self.submit(command) {
            (events, Reply::Topics(outcomes)) => (events, outcomes),
            (_, other) => panic!("no topics: {other:?}"),
        }
    }
}

fn registration(node: i32, life: u128) -> BrokerRegistration {
    BrokerRegistration {
        node: NodeId(node),
        incarnation: IncarnationId(Uuid::from_random(life)),
        rack: None,
        directories: vec![DirectoryId(Uuid::from_random(1_000 + node as u128))],
        storage_endpoint: Endpoint { host: "storage".to_owned(), port: 9094 },
    }
}

fn register_command(registration: BrokerRegistration) -> Command {
    Command::RegisterBroker { cluster_id: Some(ClusterId::new("cluster")), registration }
}

fn gateway(node: i32, life: u128) -> GatewayRegistration {
    GatewayRegistration {
        node: NodeId(node),
        incarnation: IncarnationId(Uuid::from_random(life)),
        rack: None,
        own_storage_node: None,
        listeners: vec![GatewayListener {
            name: ListenerName::new("PLAINTEXT"),
            endpoint: Endpoint { host: "gateway".to_owned(), port: 9092 },
            node_port_first: Some(9192),
        }],
    }
}

fn topic(name: &str) -> NewTopic {
    NewTopic {
        name: name.to_owned(),
        partitions: None,
        replication_factor: None,
        assignments: Vec::new(),
        configs: Vec::new(),
    }
}

fn refusal<T: std::fmt::Debug>(outcome: Result<T, Refusal>) -> (ErrorCode, String) {
    let refusal = outcome.unwrap_err();
    (refusal.code, refusal.message)
}

fn refused(reply: Reply) -> ErrorCode {
    match reply {
        Reply::Refused(refusal) => refusal.code,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_state_hash_precedes_the_first_decision_after_a_thousand_events_and_agrees() {
    let mut world = World::with_nodes([1]);
    let epoch = world.epoch(1);
    let allocate = Command::AllocateProducerIds { node: NodeId(1), broker_epoch: epoch };
    let mut hashes = 0;
    for _ in 0..2_500 {
        let (events, _) = world.submit(allocate.clone());
        let first = matches!(events[0], Event::StateHash { .. });
        hashes += usize::from(first);
        assert_eq!(events.len(), 1 + usize::from(first));
    }
    assert_eq!(hashes, 2);
}

#[test]
fn a_due_state_hash_alone_is_no_event() {
    let mut world = World::new();
    for _ in 0..STATE_HASH_EVERY {
        world.image.replay(&Event::StateHash { hash: 0 }, &mut Changes::default());
    }
    let (events, reply) = world.submit(Command::Tick);
    assert_eq!((events, reply), (vec![], Reply::Done));
    // The next decision with an event brings it, and a registration's epoch counts it.
    let epoch = world.register(registration(1, 1));
    assert_eq!(epoch, BrokerEpoch(i64::try_from(world.image.offset.0).unwrap()));
    assert_eq!(world.epoch(1), epoch);
}

#[test]
fn producer_ids_come_in_blocks_that_never_overlap() {
    let mut world = World::with_nodes([1, 2]);
    for (node, first) in [(1, 0), (2, 1_000), (1, 2_000)] {
        let broker_epoch = world.epoch(node);
        let (_, reply) =
            world.submit(Command::AllocateProducerIds { node: NodeId(node), broker_epoch });
        let first = ottla_types::ProducerId(first);
        assert_eq!(reply, Reply::ProducerIds { first, count: PRODUCER_IDS_PER_BLOCK });
    }
    let stale = Command::AllocateProducerIds { node: NodeId(1), broker_epoch: BrokerEpoch(77) };
    let (events, reply) = world.submit(stale);
    assert_eq!((events, refused(reply)), (vec![], ErrorCode::StaleBrokerEpoch));
}

#[test]
fn producer_ids_end_before_they_wrap() {
    let mut world = World::with_nodes([1]);
    world.image.next_producer_id = ottla_types::ProducerId(i64::MAX - 999);
    let broker_epoch = world.epoch(1);
    let (events, reply) =
        world.submit(Command::AllocateProducerIds { node: NodeId(1), broker_epoch });
    assert_eq!((events, refused(reply)), (vec![], ErrorCode::UnknownServerError));
}
