//! A quorum of one that decides and replays in memory; it survives the storage nodes of a test.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::stream::{BoxStream, unfold};
use futures::{FutureExt, StreamExt};
use ottla_api::controller::{HistoryPage, HistoryQuery, MetadataUpdate, QuorumStatus, Submitted};
use ottla_api::{CallError, Controller, RequestContext};
use ottla_metadata::command::{ConfigAlteration, ConfigOp, NewTopic, TopicRef};
use ottla_metadata::event::ConfigResource;
use ottla_metadata::{Changes, Command, Context, Event, Image, Now, Reply, Settings, Soft, decide};
use ottla_runtime::Seams;
use ottla_types::{BrokerEpoch, ClusterId, MetadataOffset, NodeId, TopicId};
use tokio::sync::watch;

pub(crate) struct TestController {
    state: Mutex<State>,
    committed: watch::Sender<u64>,
    seams: Seams,
}

#[derive(Default)]
struct State {
    image: Image,
    soft: Soft,
    log: Vec<Event>,
}

impl TestController {
    pub(crate) fn new(seams: &Seams) -> Self {
        let controller = Self {
            state: Mutex::default(),
            committed: watch::Sender::new(0),
            seams: seams.clone(),
        };
        let formatted = Event::ClusterFormatted { cluster_id: ClusterId::new("test-cluster") };
        controller.commit(&mut controller.state.lock().unwrap(), vec![formatted]);
        controller
    }

    fn commit(&self, state: &mut State, events: Vec<Event>) {
        for event in &events {
            state.image.replay(event, &mut Changes::default());
        }
        state.log.extend(events);
        self.committed.send_replace(state.log.len() as u64);
    }

    pub(crate) fn decide(&self, command: Command) -> Reply {
        let mut state = self.state.lock().unwrap();
        let State { image, soft, .. } = &mut *state;
        let now = Now { wall: self.seams.clock.wall(), monotonic: self.seams.clock.monotonic() };
        let context =
            Context { settings: &Settings::default(), now, seed: self.seams.rng.next_u64() };
        let decision = decide(image, soft, command, &context);
        self.commit(&mut state, decision.events);
        decision.reply
    }

    pub(crate) fn offset(&self) -> MetadataOffset {
        self.state.lock().unwrap().image.offset
    }

    pub(crate) fn create_topic(
        &self,
        name: &str,
        partitions: i32,
        configs: &[(&str, &str)],
    ) -> TopicId {
        let set = |(name, value): &(&str, &str)| ((*name).to_owned(), Some((*value).to_owned()));
        let topic = NewTopic {
            name: name.to_owned(),
            partitions: Some(partitions),
            replication_factor: Some(1),
            assignments: vec![],
            configs: configs.iter().map(set).collect(),
        };
        let topics = vec![topic];
        match self.decide(Command::CreateTopics { topics, validate_only: false }) {
            Reply::Topics(outcomes) => outcomes.into_iter().next().unwrap().unwrap().id,
            other => panic!("{other:?}"),
        }
    }

    pub(crate) fn delete_topic(&self, id: TopicId) {
        self.decide(Command::DeleteTopics { topics: vec![TopicRef::Id(id)] });
    }

    pub(crate) fn alter_topic(&self, id: TopicId, name: &str, value: &str) {
        let changes = BTreeMap::from([(name.to_owned(), Some(value.to_owned()))]);
        let topic = TopicRef::Id(id);
        self.decide(Command::AlterTopicConfigs { topic, changes, validate_only: false });
    }

    /// Sets a config for all storage nodes, or resets it.
    pub(crate) fn alter_brokers(&self, name: &str, op: ConfigOp) {
        let changes = vec![(name.to_owned(), op)];
        let resource = ConfigResource::Broker(None);
        let resources = vec![ConfigAlteration { resource, replaces: false, changes }];
        let reply = self.decide(Command::AlterConfigs { resources, validate_only: false });
        assert_eq!(reply, Reply::Configs(vec![Ok(())]));
    }

    /// Forgets a topic without saying so, as a damaged snapshot would.
    pub(crate) fn lose_everything(&self) {
        let mut state = self.state.lock().unwrap();
        *state = State::default();
        let formatted = Event::ClusterFormatted { cluster_id: ClusterId::new("test-cluster") };
        self.commit(&mut state, vec![formatted]);
    }
}

/// The line of one life of a node to the controller, which survives it.
pub(crate) struct Line {
    controller: Arc<TestController>,
    is_cut: AtomicBool,
}

impl Line {
    pub(crate) fn new(controller: &Arc<TestController>) -> Arc<Self> {
        Arc::new(Self { controller: Arc::clone(controller), is_cut: AtomicBool::new(false) })
    }

    /// The node's process is gone: nothing comes from it any more, and its stream breaks.
    pub(crate) fn cut(&self, node: NodeId, broker_epoch: BrokerEpoch) {
        self.is_cut.store(true, Ordering::SeqCst);
        self.controller.decide(Command::ControlStreamBroken { node, broker_epoch });
    }
}

#[async_trait]
impl Controller for Line {
    async fn submit(&self, _: RequestContext, command: Command) -> Result<Submitted, CallError> {
        if self.is_cut.load(Ordering::SeqCst) {
            return Err(CallError::Stopping);
        }
        let reply = self.controller.decide(command);
        Ok(Submitted { reply, offset: self.controller.offset() })
    }

    async fn watch_metadata(
        &self,
        from: MetadataOffset,
    ) -> Result<BoxStream<'static, Result<MetadataUpdate, CallError>>, CallError> {
        let controller = Arc::clone(&self.controller);
        let committed = controller.committed.subscribe();
        let next = move |(from, mut committed): (MetadataOffset, watch::Receiver<u64>)| {
            let controller = controller.clone();
            async move {
                committed.wait_for(|len| *len > from.0).await.ok()?;
                let events = controller.state.lock().unwrap().log[from.0 as usize..].to_vec();
                let to = MetadataOffset(from.0 + events.len() as u64);
                Some((Ok(MetadataUpdate::Events { first: from.next(), events }), (to, committed)))
            }
            .boxed()
        };
        Ok(unfold((from, committed), next).boxed())
    }

    async fn quorum_status(&self) -> Result<QuorumStatus, CallError> {
        Err(CallError::Stopping)
    }

    async fn history(&self, _: HistoryQuery) -> Result<HistoryPage, CallError> {
        Err(CallError::Stopping)
    }
}
