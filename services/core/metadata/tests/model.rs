//! Random commands against the real `decide` and `replay`, with the promises of both checked after every step.
//!
//! Three images follow the same log: the active controller's, which runs ahead; the committed one; and a follower that
//! knows events only as bytes, and now and then begins again from a snapshot.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_metadata::{
    Changes, Command, Context, Decision, Event, Image, Now, Reply, Settings, Soft, codec, decide,
};
use ottla_types::{
    BrokerEpoch, ClusterId, LeaderEpoch, NodeId, PartitionEpoch, TimestampMs, TopicId,
};
use proptest::prelude::*;

#[path = "model/steps.rs"]
mod steps;

use steps::Step;

struct Model {
    speculative: Image,
    committed: Image,
    follower: Image,
    soft: Soft,
    settings: Settings,
    now: Now,
    seed: u64,
    pending: Vec<Event>,
    epochs: BTreeMap<(TopicId, usize), (PartitionEpoch, LeaderEpoch)>,
    producer_ids: BTreeSet<i64>,
}

impl Model {
    fn new() -> Self {
        let now = Now { wall: TimestampMs(0), monotonic: Duration::from_secs(1) };
        let mut image = Image::default();
        let formatted = Event::ClusterFormatted { cluster_id: ClusterId::new("c") };
        image.replay(&formatted, &mut Changes::default());
        Self {
            soft: Soft::new_leader(&image, now),
            speculative: image.clone(),
            committed: image.clone(),
            follower: image,
            settings: Settings { max_replication_factor: 3, ..Settings::default() },
            now,
            seed: 0,
            pending: Vec::new(),
            epochs: BTreeMap::new(),
            producer_ids: BTreeSet::new(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Commit => self.commit(),
            Step::Depose => self.depose(),
            Step::Snapshot => {
                self.commit();
                self.follower = codec::decode_image(&codec::encode_image(&self.committed)).unwrap();
            }
            Step::Pass { ms } => {
                self.now.monotonic += Duration::from_millis(ms);
                self.now.wall = self.now.wall.plus_ms(i64::try_from(ms).unwrap());
                let decision = self.decide(Command::Tick);
                assert!(decision.deadline.is_none_or(|deadline| deadline > self.now.monotonic));
            }
            other => {
                let command = steps::command(&self.speculative, other);
                self.decide(command);
            }
        }
        check_image(&self.speculative);
    }

    fn commit(&mut self) {
        let bytes = codec::encode_events(&self.pending);
        for event in self.pending.drain(..) {
            self.committed.replay(&event, &mut Changes::default());
        }
        let mut changes = Changes::default();
        for event in codec::decode_events(&bytes).unwrap() {
            self.follower.replay(&event, &mut changes);
        }
        assert_eq!(changes.mismatch, None);
        assert_eq!(self.committed.hash(), self.speculative.hash());
        assert_eq!(self.committed, self.speculative);
        assert_eq!(self.follower, self.speculative);
        // The hash that grew with the events is the one that a reader of the snapshot computes afresh.
        let read = codec::decode_image(&codec::encode_image(&self.committed)).unwrap();
        assert_eq!(read, self.committed);
        assert_eq!(read.hash(), self.committed.hash());
    }

    fn depose(&mut self) {
        self.pending.clear();
        self.speculative = self.committed.clone();
        self.soft = Soft::new_leader(&self.speculative, self.now);
        self.epochs = epochs(&self.speculative);
    }

    /// Decides, checks what a decision promises, and replays it ahead of its commit.
    fn decide(&mut self, command: Command) -> Decision {
        let (before, committed) = (self.speculative.clone(), self.committed.clone());
        let context = Context { settings: &self.settings, now: self.now, seed: self.seed };
        self.seed += 1;
        let only_checks = matches!(
            command,
            Command::CreateTopics { validate_only: true, .. }
                | Command::CreatePartitions { validate_only: true, .. }
        );
        let decision = decide(&self.speculative, &mut self.soft, command, &context);
        assert_eq!(self.speculative, before, "decide changed the image");
        let refused = match &decision.reply {
            Reply::Refused(_) => true,
            Reply::Topics(outcomes) => outcomes.iter().all(Result::is_err),
            _ => false,
        };
        if refused || only_checks {
            assert_eq!(decision.events, []);
        }
        for event in &decision.events {
            self.replay(event);
        }
        let count = u64::try_from(decision.events.len()).unwrap();
        assert_eq!(self.speculative.offset.0, before.offset.0 + count);
        assert_eq!(self.committed, committed, "the committed image shares more than structure");
        self.check_reply(&decision);
        decision
    }

    fn replay(&mut self, event: &Event) {
        let mut changes = Changes::default();
        self.speculative.replay(event, &mut changes);
        assert_eq!(changes.mismatch, None);
        self.pending.push(event.clone());
        let now = epochs(&self.speculative);
        for (at, (partition, leader)) in &now {
            if let Some((old_partition, old_leader)) = self.epochs.get(at) {
                assert!(partition >= old_partition && leader >= old_leader, "an epoch shrank");
                let moved = changes.partitions.iter().any(|change| {
                    (change.topic, usize::try_from(change.partition.0).unwrap()) == *at
                });
                assert_eq!(
                    moved,
                    partition > old_partition,
                    "a change without a new epoch, or none"
                );
            }
        }
        self.epochs = now;
        if let Event::BrokerRegistered(registration) = event {
            let epoch = self.speculative.brokers.get(&registration.node).unwrap().epoch;
            assert_eq!(u64::try_from(epoch.0).unwrap(), self.speculative.offset.0, "R1");
        }
    }

    fn check_reply(&mut self, decision: &Decision) {
        match &decision.reply {
            Reply::BrokerRegistered { broker_epoch } => {
                assert!(self.speculative.brokers.values().any(|b| b.epoch == *broker_epoch));
            }
            Reply::Topics(outcomes) if !decision.events.is_empty() => {
                for outcome in outcomes.iter().flatten() {
                    let topic = self.speculative.topics.get(&outcome.id);
                    assert!(topic.is_none_or(|topic| {
                        topic.name == outcome.name
                            && topic.partitions.len()
                                == usize::try_from(outcome.partitions).unwrap()
                    }));
                }
            }
            Reply::ProducerIds { first, .. } => {
                // Blocks of a deposed controller that were not committed may come again: nobody got them.
                self.producer_ids
                    .retain(|id| *id < self.committed.next_producer_id.0 || *id < first.0);
                assert!(self.producer_ids.insert(first.0));
            }
            _ => {}
        }
    }
}

fn epochs(image: &Image) -> BTreeMap<(TopicId, usize), (PartitionEpoch, LeaderEpoch)> {
    let partitions = image.topics.values().flat_map(|topic| {
        topic.partitions.iter().enumerate().map(move |(at, partition)| ((topic.id, at), partition))
    });
    partitions.map(|(at, p)| (at, (p.partition_epoch, p.leader_epoch))).collect()
}

/// What is true of every image that commands lead to.
fn check_image(image: &Image) {
    assert_eq!(image.topics.len(), image.topic_ids.len(), "names and ids are not in bijection");
    let mut unified = BTreeSet::new();
    for topic in image.topics.values() {
        assert_eq!(image.topic_ids.get(&topic.name), Some(&topic.id));
        assert!(unified.insert(topic.name.replace('.', "_")), "two names collide");
        for partition in &topic.partitions {
            let live: Vec<NodeId> =
                partition.isr.iter().copied().filter(|node| image.is_live(*node)).collect();
            let isr: BTreeSet<_> = partition.isr.iter().collect();
            assert!(!isr.is_empty() && isr.len() == partition.isr.len());
            assert!(isr.iter().all(|node| partition.replicas.contains(node)));
            assert!(partition.leader.is_none_or(|leader| live.contains(&leader)), "R2, R11");
            assert_eq!(partition.leader.is_some(), !live.is_empty(), "a live member does not lead");
            assert!(live.len() == partition.isr.len() || partition.isr.len() == 1, "R2");
        }
    }
    let epochs: BTreeSet<BrokerEpoch> = image.brokers.values().map(|broker| broker.epoch).collect();
    assert_eq!(epochs.len(), image.brokers.len(), "R1");
    check_index(image);
}

fn check_index(image: &Image) {
    for node in (-1..8).map(NodeId) {
        let has = |topic: &ottla_metadata::image::Topic| {
            topic.partitions.iter().any(|partition| partition.replicas.contains(&node))
        };
        let indexed: BTreeSet<TopicId> = image.topics_on(node).map(|topic| topic.id).collect();
        let scanned = image.topics.values().filter(|topic| has(topic)).map(|topic| topic.id);
        assert_eq!(indexed, scanned.collect());
        let partitions = image.topics.values().flat_map(|topic| &topic.partitions);
        let preferred = partitions.filter(|partition| partition.replicas[0] == node).count();
        assert_eq!(image.preferred_leaders_on(node), u64::try_from(preferred).unwrap());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_run_of_commands_keeps_the_promises(steps in steps::steps()) {
        let mut model = Model::new();
        for step in steps {
            model.step(step);
        }
        model.commit();
    }
}
