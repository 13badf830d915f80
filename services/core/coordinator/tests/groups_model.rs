//! Random clients against the real `decide` and `replay`, with the promises of both checked after every step.
//!
//! The shell around them is a small one: a log of batches, a watermark that moves now and then, replies that are held until
//! it has passed what was the end of the log, and crashes that lose what is behind it.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use ottla_coordinator::{
    Changes, Command, Context, Decision, Decoded, Durable, Event, Generation, Group, GroupId,
    GroupState, MemberId, Note, Now, Reply, Settings, Soft, Text, Token, decide, records,
};
use ottla_types::{ErrorCode, TimestampMs};
use proptest::prelude::*;

#[path = "groups_model/clients.rs"]
mod clients;
#[path = "groups_model/invariants.rs"]
mod invariants;
#[path = "groups_model/steps.rs"]
mod steps;

use clients::{CLIENTS, Client};
use invariants::Promises;
use steps::Step;

/// Most members of a group in this model: fewer than there are clients.
const MAX_SIZE: i32 = 4;

struct Model {
    durable: Durable,
    soft: Soft,
    settings: Settings,
    now: Now,
    seed: u128,
    tokens: u64,
    /// The records of the log, one entry a batch.
    log: Vec<Vec<records::Record>>,
    /// How many batches are committed.
    committed: usize,
    /// Replies, each with the length that the log must be committed to.
    held: Vec<(usize, Token, Reply)>,
    clients: Vec<Client>,
    /// Who waits for which reply.
    waiting: BTreeMap<Token, usize>,
    promises: Promises,
}

impl Model {
    fn new() -> Self {
        Self {
            durable: Durable::default(),
            soft: Soft::default(),
            settings: Settings { group_max_size: MAX_SIZE, ..Settings::default() },
            now: Now { wall: TimestampMs(1_000_000), monotonic: Duration::from_secs(100) },
            seed: 0,
            tokens: 0,
            log: Vec::new(),
            committed: 0,
            held: Vec::new(),
            clients: (0..CLIENTS).map(Client::new).collect(),
            waiting: BTreeMap::new(),
            promises: Promises::default(),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Replicate => self.replicate(self.log.len()),
            Step::Crash { lost } => self.crash(lost),
            Step::Pass { ms } => self.pass(ms),
            Step::Restart { client } => self.clients[client].restart(Token(self.tokens)),
            Step::Expire => self.run_all(Command::Expire { after: None }),
            Step::DeleteTopic { topic } => {
                let topics = vec![(clients::topic(topic), ottla_types::TopicId::default())];
                self.run_all(Command::TopicsDeleted { topics, after: None });
            }
            Step::DeleteGroup { group } => {
                let token = self.token(None);
                let groups = vec![clients::group(group)];
                self.submit(Command::DeleteGroups { token, groups });
            }
            Step::Client { client, action } => {
                let token = self.token(Some(client));
                let offset = i64::try_from(self.tokens).unwrap();
                if let Some(command) = self.clients[client].command(action, token, offset) {
                    self.submit(command);
                } else {
                    self.waiting.remove(&token);
                }
            }
        }
        self.check();
    }

    fn token(&mut self, client: Option<usize>) -> Token {
        self.tokens += 1;
        self.waiting.extend(client.map(|client| (Token(self.tokens), client)));
        Token(self.tokens)
    }

    fn context(&self) -> (Settings, Now, u128) {
        (self.settings.clone(), self.now, self.seed)
    }

    fn submit(&mut self, command: Command) -> Decision {
        self.seed += 1;
        let (settings, now, seed) = self.context();
        let context = Context { settings: &settings, now, seed };
        let state = commit_target(&command).map(|group| self.state_of(group, &context));
        let decision = decide(&self.durable, &mut self.soft, command.clone(), &context);
        self.promises.check_decision(&command, &decision, state);
        if !decision.events.is_empty() {
            self.log.push(decision.events.iter().map(records::encode).collect());
        }
        for event in &decision.events {
            self.durable.replay(event, &mut Changes::default());
        }
        let end = self.log.len();
        let replies = decision.replies.iter().cloned();
        self.held.extend(replies.map(|(token, reply)| (end, token, reply)));
        self.release();
        decision
    }

    /// The state that a describe would show, without a trace of having asked.
    fn state_of(&self, group: GroupId, context: &Context<'_>) -> GroupState {
        let describe = Command::Describe { token: Token(0), groups: vec![group] };
        let decision = decide(&self.durable, &mut self.soft.clone(), describe, context);
        match &decision.replies[..] {
            [(_, Reply::Describe(Ok(groups)))] => groups[0].state,
            other => panic!("{other:?}"),
        }
    }

    fn run_all(&mut self, command: Command) {
        let mut next = Some(command);
        while let Some(command) = next {
            next = self.submit(command).next;
        }
    }

    fn replicate(&mut self, to: usize) {
        self.committed = to;
        self.release();
    }

    /// Replies leave when the log is committed as far as they need.
    fn release(&mut self) {
        let committed = self.committed;
        let ready: Vec<_> = self.held.extract_if(.., |(end, ..)| *end <= committed).collect();
        for (_, token, reply) in ready {
            self.promises.check_released(token, &reply);
            if let Some(client) = self.waiting.remove(&token) {
                self.clients[client].hear(token, reply);
            }
        }
    }

    fn pass(&mut self, ms: u64) {
        let end = self.now.monotonic + Duration::from_millis(ms);
        while let Some(at) = self.soft.next_deadline().filter(|at| *at <= end) {
            self.set_time(at);
            let deadline = self.submit(Command::Tick).deadline;
            assert!(deadline.is_none_or(|deadline| deadline > at), "a tick left a timer behind");
        }
        self.set_time(end);
    }

    fn set_time(&mut self, to: Duration) {
        let passed = to.saturating_sub(self.now.monotonic);
        let ms = i64::try_from(passed.as_millis()).unwrap();
        self.now = Now { wall: self.now.wall.plus_ms(ms), monotonic: self.now.monotonic + passed };
    }

    /// The coordinator goes, with what was not committed, or some of it; another one loads.
    fn crash(&mut self, lost: usize) {
        let left = self.log.len().saturating_sub(lost).max(self.committed);
        self.log.truncate(left);
        self.committed = left;
        self.held.clear();
        self.waiting.clear();
        self.clients.iter_mut().for_each(Client::connection_lost);
        self.durable = self.replayed();
        let (settings, now, seed) = self.context();
        self.soft = Soft::load(&self.durable, &Context { settings: &settings, now, seed });
        self.promises.loaded(&self.durable);
    }

    /// The state that the bytes of the log lead to.
    fn replayed(&self) -> Durable {
        let mut durable = Durable::default();
        for record in self.log.iter().flatten() {
            match records::decode(Some(&record.key), record.value.as_deref()).unwrap() {
                Decoded::Event(event) => durable.replay(&event, &mut Changes::default()),
                other => panic!("{other:?}"),
            }
        }
        durable
    }

    fn check(&self) {
        assert_eq!(self.replayed(), self.durable, "the log leads elsewhere");
        assert_eq!(
            self.soft.waiting(),
            self.promises.unanswered(),
            "a request is lost, or doubled"
        );
        assert!(self.soft.waiting() <= 2 * CLIENTS, "more wait than there are members");
        self.promises.check_durable(&self.durable);
    }

    /// All clients fall silent: nobody waits for ever, and no member stays.
    fn silence(&mut self) {
        self.pass(20 * 60_000);
        self.replicate(self.log.len());
        assert_eq!(self.soft.waiting(), 0);
        assert_eq!(self.soft.next_deadline(), None);
        for (_, Group::Classic(stored)) in self.durable.groups_after(None) {
            assert_eq!(stored.members, []);
        }
        self.check();
    }
}

fn commit_target(command: &Command) -> Option<GroupId> {
    match command {
        Command::CommitOffsets(commit) => Some(commit.caller.group.clone()),
        _ => None,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn every_run_of_clients_and_crashes_keeps_the_promises(steps in steps::steps()) {
        let mut model = Model::new();
        for step in steps {
            model.step(step);
        }
        model.silence();
    }
}
