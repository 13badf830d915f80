//! The model's world: nodes, controller, clients, and what everybody has seen so far.

use std::collections::BTreeMap;

use ottla_partition::follower::{Truncation, r8_truncation};
use ottla_partition::{Effect, ProgressReport, ReplicaRole, Ticket};
use ottla_types::{LeaderEpoch, NodeId, Offset, TimestampMs};

use super::controller::{Controller, index};
use super::node::{Entry, Node, Value, batch_of, place_of};

const MAX_LAG_MS: i64 = 20;
/// Entries that one replication message carries.
const WINDOW: usize = 3;

#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    /// A producer sends its next value (again, until it is acknowledged) to a node.
    Produce(usize, usize),
    Sync(usize),
    /// The first node, if it leads, sends the second what follows its end.
    Replicate(usize, usize),
    /// The first node tells the second, as its leader, up to where its log counts.
    Progress(usize, usize),
    /// A node acts on the latest image; until then it lives in the past.
    LearnMetadata(usize),
    ProposeIsr(usize),
    Crash(usize),
    Restart(usize),
    /// The controller makes another member of the ISR leader, while the present one lives.
    MoveLeader(usize),
    PassTime(i64),
}

pub(crate) struct World {
    nodes: Vec<Node>,
    controller: Controller,
    now: TimestampMs,
    next_values: [i32; 2],
    tickets: BTreeMap<(usize, Ticket), (Value, Offset)>,
    next_ticket: u64,
    acknowledged: BTreeMap<Offset, Value>,
    seen: BTreeMap<Offset, Value>,
    leaders: BTreeMap<LeaderEpoch, NodeId>,
}

impl World {
    pub(crate) fn new() -> Self {
        let mut world = Self {
            nodes: (0..3).map(Node::new).collect(),
            controller: Controller::new(),
            now: TimestampMs(0),
            next_values: [0; 2],
            tickets: BTreeMap::new(),
            next_ticket: 0,
            acknowledged: BTreeMap::new(),
            seen: BTreeMap::new(),
            leaders: BTreeMap::new(),
        };
        (0..3).for_each(|node| world.learn(node));
        world
    }

    pub(crate) fn step(&mut self, action: Action) {
        match action {
            Action::Produce(node, producer) => self.produce(node, producer),
            Action::Sync(node) => {
                let mut effects = Vec::new();
                self.nodes[node].sync(&mut effects);
                self.obey(node, effects);
            }
            Action::Replicate(from, to) => self.replicate(from, to),
            Action::Progress(from, to) => self.progress(from, to),
            Action::LearnMetadata(node) => self.learn(node),
            Action::ProposeIsr(node) => self.propose(node),
            Action::Crash(node) if self.nodes[node].replica.is_some() => {
                self.nodes[node].crash();
                self.tickets.retain(|(at, _), _| *at != node);
                self.controller.fence(node);
            }
            Action::Restart(node) if self.nodes[node].replica.is_none() => {
                self.nodes[node].start();
                self.controller.unfence(node);
            }
            Action::MoveLeader(node) => {
                let id = NodeId(node as i32);
                let eligible = self.controller.assignment.isr.contains(&id);
                if eligible && !self.controller.fenced[node] {
                    self.controller.become_leader(Some(id));
                }
            }
            Action::PassTime(ms) => self.now = self.now.plus_ms(ms),
            Action::Crash(_) | Action::Restart(_) => {}
        }
    }

    fn produce(&mut self, node: usize, producer: usize) {
        let value = (producer, self.next_values[producer]);
        let Some(offset) = self.nodes[node].produce(value, self.now) else { return };
        let ticket = Ticket(self.next_ticket);
        self.next_ticket += 1;
        self.tickets.insert((node, ticket), (value, offset));
        let replica = self.nodes[node].replica.as_mut().expect("it answered");
        assert!(replica.await_acknowledgement(ticket, offset.plus(1), true));
        // A duplicate may be acknowledged already: the next fact settles it.
        let (durable, mut effects) = (replica.durable_end(), Vec::new());
        replica.durable(durable, &mut effects);
        self.obey(node, effects);
    }

    fn obey(&mut self, node: usize, effects: Vec<Effect>) {
        for effect in effects {
            match effect {
                Effect::Acknowledge(ticket) => {
                    let (value, offset) =
                        self.tickets.remove(&(node, ticket)).expect("answered once");
                    let before = self.acknowledged.insert(offset, value);
                    assert!(before.is_none_or(|b| b == value), "two values at {offset}");
                    if self.next_values[value.0] == value.1 {
                        self.next_values[value.0] += 1;
                    }
                }
                Effect::Refuse(ticket, _) => {
                    self.tickets.remove(&(node, ticket)).expect("answered once");
                }
                Effect::WakeFetches { high_watermark } => self.see(node, high_watermark),
            }
        }
    }

    /// Consumers read what this leader's watermark shows them.
    fn see(&mut self, node: usize, high_watermark: Offset) {
        for offset in 0..high_watermark.0 {
            let value = self.nodes[node].log[offset as usize].value;
            let before = self.seen.insert(Offset(offset), value);
            assert!(before.is_none_or(|b| b == value), "what was read at {offset} changed");
        }
    }

    fn epoch_led_by(&self, node: usize) -> Option<LeaderEpoch> {
        match self.nodes[node].replica.as_ref()?.role() {
            ReplicaRole::Leader(leader) => Some(leader.epoch),
            _ => None,
        }
    }

    fn epoch_followed_by(&self, node: usize, leader: usize) -> Option<LeaderEpoch> {
        match self.nodes[node].replica.as_ref()?.role() {
            ReplicaRole::Follower(f) if f.leader == Some(NodeId(leader as i32)) => Some(f.epoch),
            _ => None,
        }
    }

    fn replicate(&mut self, from: usize, to: usize) {
        let (Some(epoch), Some(followed)) =
            (self.epoch_led_by(from), self.epoch_followed_by(to, from))
        else {
            return;
        };
        if epoch != followed {
            return;
        }
        self.truncate_to(from, to);
        let leader = self.nodes[from].replica.as_ref().expect("it leads");
        let high_watermark = leader.high_watermark();
        let start = self.nodes[to].log.len();
        let entries: Vec<Entry> =
            self.nodes[from].log.iter().skip(start).take(WINDOW).copied().collect();
        let now = self.now;
        let follower = &mut self.nodes[to];
        let replica = follower.replica.as_mut().expect("it follows");
        for (step, entry) in entries.into_iter().enumerate() {
            let place = place_of(start + step, entry.epoch);
            assert!(replica.replicate(epoch, &batch_of(entry.value), &place, now));
            follower.log.push(entry);
        }
        replica.leader_watermark(epoch, high_watermark);
    }

    /// R8: question and answer, until both agree on an epoch.
    fn truncate_to(&mut self, leader: usize, follower: usize) {
        loop {
            let replica = self.nodes[follower].replica.as_ref().expect("it follows");
            let Some(newest) = replica.epochs().latest() else {
                return self.nodes[follower].cut(Offset(0));
            };
            let theirs = self.nodes[leader].replica.as_ref().expect("it leads");
            let Some(answer) = theirs.epochs().end_offset_for(newest, theirs.end()) else {
                return self.nodes[follower].cut(Offset(0));
            };
            match r8_truncation(replica.epochs(), replica.end(), answer) {
                Truncation::CutAndAsk(end) => self.nodes[follower].cut(end),
                Truncation::Cut(end) => return self.nodes[follower].cut(end),
            }
        }
    }

    fn progress(&mut self, from: usize, to: usize) {
        let Some(epoch) = self.epoch_followed_by(from, to) else { return };
        // What a follower reports must be what it agrees with its leader about: it fetched in this epoch first.
        if self.epoch_led_by(to) != Some(epoch) {
            return;
        }
        self.truncate_to(to, from);
        let end = self.nodes[from].replica.as_ref().expect("it follows").counting_end();
        let from = self.controller.standing(from);
        let report = ProgressReport { from, epoch, counting_end: end };
        let mut effects = Vec::new();
        let leader = self.nodes[to].replica.as_mut().expect("it leads");
        _ = leader.follower_progress(report, self.now, &mut effects);
        self.obey(to, effects);
    }

    fn learn(&mut self, node: usize) {
        let assignment = self.controller.assignment.clone();
        if self.controller.fenced[node] {
            return;
        }
        if let Some(leader) = assignment.leader {
            let before = self.leaders.insert(assignment.leader_epoch, leader);
            assert!(before.is_none_or(|b| b == leader), "two leaders of one epoch");
        }
        let mut effects = Vec::new();
        if let Some(replica) = &mut self.nodes[node].replica {
            replica.r15_assign(assignment, self.now, &mut effects);
        }
        self.obey(node, effects);
    }

    fn propose(&mut self, node: usize) {
        let peers: Vec<_> = (0..3).map(|peer| self.controller.standing(peer)).collect();
        let (now, mut effects) = (self.now, Vec::new());
        let Some(replica) = &mut self.nodes[node].replica else { return };
        let Some(proposal) = replica.propose_isr(&peers, now, MAX_LAG_MS) else { return };
        if !self.controller.change_isr(&proposal) {
            replica.proposal_refused(&mut effects);
        }
        self.obey(node, effects);
    }

    pub(crate) fn check(&self) {
        for node in &self.nodes {
            let Some(replica) = &node.replica else { continue };
            assert!(replica.start() <= replica.high_watermark());
            assert!(replica.high_watermark() <= replica.end());
            assert_eq!(replica.end().0 as usize, node.log.len());
            for other in &self.nodes {
                let Some(theirs) = &other.replica else { continue };
                let agreed = replica.high_watermark().min(theirs.high_watermark()).0 as usize;
                assert_eq!(
                    node.log[..agreed],
                    other.log[..agreed],
                    "logs agree up to the watermark"
                );
            }
        }
        for member in &self.controller.assignment.isr {
            let node = &self.nodes[index(*member)];
            for (offset, value) in &self.acknowledged {
                let entry = node.log.get(offset.0 as usize);
                assert_eq!(
                    entry.map(|e| e.value),
                    Some(*value),
                    "acknowledged at {offset}, {member}"
                );
            }
        }
        let mut values: Vec<_> = self.seen.values().collect();
        values.sort_unstable();
        assert!(values.windows(2).all(|pair| pair[0] != pair[1]), "a value twice");
    }

    /// Everybody lives, hears everybody, and the client tries until it is acknowledged.
    pub(crate) fn heal(&mut self) {
        let before = self.acknowledged.len();
        for round in 0..40 {
            (0..3).for_each(|node| self.step(Action::Restart(node)));
            (0..3).for_each(|node| self.learn(node));
            let leader = self.controller.assignment.leader.map(index).expect("the ISR lives");
            self.step(Action::Produce(leader, round % 2));
            for follower in (0..3).filter(|node| *node != leader) {
                self.step(Action::Replicate(leader, follower));
                self.step(Action::Sync(follower));
                self.step(Action::Progress(follower, leader));
            }
            self.step(Action::Sync(leader));
            self.step(Action::ProposeIsr(leader));
        }
        assert!(self.acknowledged.len() > before + 10, "acknowledged after the heal");
        assert_eq!(self.controller.assignment.isr.len(), 3, "all in sync after the heal");
    }
}
