//! The client that makes and deletes topics, while the quorum is being broken.
//!
//! Invariant: no answered creation and no answered deletion is ever undone, and who was answered sees it at once.

use std::rc::Rc;
use std::time::Duration;

use ottla_kafka_wire::messages::create_topics_request::{
    CreatableTopic, CreatableTopicConfig, CreateTopicsRequest,
};
use ottla_kafka_wire::messages::delete_topics_request::DeleteTopicsRequest;
use ottla_runtime::seams::HostPort;
use ottla_types::ErrorCode;

use super::{BASE_TOPICS, Shared, Stage, finale, pause};
use crate::sim::client::{CallError, Client};
use crate::sim::history::TopicState;

const NAME: &str = "admin";
/// The CreateTopics version in use.
const CREATE_VERSION: i16 = 5;
/// The DeleteTopics version in use: the newest with names alone.
const DELETE_VERSION: i16 = 5;
/// How long the cluster may take for an administrative write.
const ADMIN_TIMEOUT_MS: i32 = 5_000;
/// The longest pause between two topics.
const MOST_IDLE_MS: u64 = 1_500;
/// One in so many steps deletes a topic instead of making one.
const DELETES: u64 = 4;

struct Admin {
    client: Client,
    shared: Rc<Shared>,
    made: u64,
}

/// Makes the first topics, then others until the cluster is healed, then asks the last questions.
pub async fn run(shared: Rc<Shared>) {
    let client = Client::new(shared.bootstrap.clone(), shared.seed ^ (1 << 50));
    let mut admin = Admin { client, shared, made: 0 };
    for (topic, partitions) in BASE_TOPICS {
        while !admin.create(topic, partitions).await {
            pause().await;
        }
    }
    admin.shared.stage.set(Stage::Chaos);
    while admin.shared.stage.get() == Stage::Chaos {
        let idle = Duration::from_millis(200 + admin.client.rng.below(MOST_IDLE_MS));
        tokio::time::sleep(idle).await;
        match admin.client.rng.below(DELETES) {
            0 => admin.delete_one().await,
            _ => admin.create_one().await,
        }
    }
    let Admin { client, shared, .. } = admin;
    while shared.busy.get() > 0 {
        pause().await;
    }
    finale::run(client, &shared).await;
}

impl Admin {
    async fn create_one(&mut self) {
        let name = format!("topic-{}", self.made);
        self.made += 1;
        let partitions = 1 + i32::try_from(self.client.rng.below(3)).expect("a small number");
        if self.create(&name, partitions).await {
            return;
        }
        // Again: a creation in doubt must end in one topic.
        pause().await;
        self.create(&name, partitions).await;
    }

    /// Whether the topic is there now, as far as the answer says.
    async fn create(&mut self, name: &str, partitions: i32) -> bool {
        let address = self.client.any_bootstrap();
        let before = self.state(name);
        if before.is_none() {
            self.set(name, TopicState::Asked);
        }
        let request = create_request(name, partitions);
        let answer = self.client.call(&address, CREATE_VERSION, &request).await;
        let code = match answer {
            Ok(answer) => answer.topics.first().map(|topic| topic.error_code),
            Err(error) => return self.failed("CreateTopics", name, &error),
        };
        let Some(code) = code.map(ErrorCode::from_code) else {
            self.shared.trace.problem(format_args!("an empty answer of CreateTopics {name}"));
            return false;
        };
        self.shared.trace.note(NAME, format_args!("create {name}: {}", code.name()));
        let exists = code == ErrorCode::TopicAlreadyExists;
        if code != ErrorCode::None && !exists {
            if !code.is_retriable() && code != ErrorCode::InvalidReplicationFactor {
                let what = format_args!("CreateTopics {name}: {}", code.name());
                self.shared.trace.problem(what);
            }
            return false;
        }
        if exists && before.is_none() {
            let what = format_args!("phantom-topic: {name} was there before it was asked for");
            self.shared.trace.problem(what);
        }
        self.set(name, TopicState::Created);
        self.shared.history.borrow_mut().partitions.insert(name.to_owned(), partitions);
        if !exists {
            self.look_for(&address, name).await;
        }
        true
    }

    /// Who creates a topic can use it at once.
    async fn look_for(&mut self, address: &HostPort, name: &str) {
        let names = [name.to_owned()];
        let answer = self.client.metadata(address, Some(&names)).await;
        let Ok(answer) = answer else { return };
        let code = answer.topics.first().map(|topic| ErrorCode::from_code(topic.error_code));
        if code.is_none_or(|code| code == ErrorCode::UnknownTopicOrPartition) {
            let what = format_args!("not-visible: {name} was created and {address} knows it not");
            self.shared.trace.problem(what);
        }
    }

    async fn delete_one(&mut self) {
        let name = {
            let history = self.shared.history.borrow();
            let is_base = |name: &str| BASE_TOPICS.iter().any(|(base, _)| *base == name);
            let there = history.topics.iter().filter(|(_, state)| **state == TopicState::Created);
            there.map(|(name, _)| name.clone()).find(|name| !is_base(name))
        };
        let Some(name) = name else { return };
        self.set(&name, TopicState::DeletionAsked);
        let request = DeleteTopicsRequest {
            topic_names: vec![name.clone()],
            timeout_ms: ADMIN_TIMEOUT_MS,
            ..Default::default()
        };
        let address = self.client.any_bootstrap();
        let answer = match self.client.call(&address, DELETE_VERSION, &request).await {
            Ok(answer) => answer,
            Err(error) => {
                self.failed("DeleteTopics", &name, &error);
                return;
            }
        };
        let code = answer.responses.first().map(|topic| ErrorCode::from_code(topic.error_code));
        let code = code.unwrap_or(ErrorCode::UnknownServerError);
        self.shared.trace.note(NAME, format_args!("delete {name}: {}", code.name()));
        match code {
            ErrorCode::None => self.set(&name, TopicState::Deleted),
            ErrorCode::UnknownTopicOrPartition => {
                self.shared.trace.problem(format_args!("lost-topic: {name} is unknown"));
            }
            code if code.is_retriable() => {}
            code => {
                let what = format_args!("DeleteTopics {name}: {}", code.name());
                self.shared.trace.problem(what);
            }
        }
    }

    fn failed(&self, what: &str, name: &str, error: &CallError) -> bool {
        if let CallError::Nonsense(nonsense) = error {
            self.shared.trace.problem(format_args!("{what} {name}: {nonsense}"));
        }
        self.shared.trace.note(NAME, format_args!("{what} {name}: {error}"));
        false
    }

    fn state(&self, name: &str) -> Option<TopicState> {
        self.shared.history.borrow().topics.get(name).copied()
    }

    fn set(&self, name: &str, state: TopicState) {
        self.shared.history.borrow_mut().topic(name, state);
    }
}

fn create_request(name: &str, partitions: i32) -> CreateTopicsRequest {
    CreateTopicsRequest {
        topics: vec![CreatableTopic {
            name: name.to_owned(),
            num_partitions: partitions,
            replication_factor: 1,
            configs: vec![CreatableTopicConfig {
                // The least that Kafka takes: segments roll within a simulation.
                name: "segment.bytes".to_owned(),
                value: Some((1 << 20).to_string()),
            }],
            ..Default::default()
        }],
        timeout_ms: ADMIN_TIMEOUT_MS,
        ..Default::default()
    }
}
