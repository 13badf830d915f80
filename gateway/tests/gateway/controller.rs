//! A quorum of one, in memory: the real decisions and the real image, without a log.

use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use ottla_api::controller::{
    HistoryPage, HistoryQuery, MetadataUpdate, QuorumMember, QuorumObserver, QuorumRole,
    QuorumStatus, Submitted,
};
use ottla_api::{CallError, Controller, RequestContext};
use ottla_metadata::decide::{Context, Now, decide};
use ottla_metadata::{Changes, Command, Event, Image, Settings, Soft};
use ottla_runtime::seams::Clock;
use ottla_types::{DirectoryId, MetadataOffset, NodeId, Term, Uuid};
use tokio::sync::broadcast;

pub(crate) struct FakeController {
    state: Mutex<State>,
    clock: Arc<dyn Clock>,
    updates: broadcast::Sender<(MetadataOffset, Vec<Event>)>,
}

struct State {
    image: Image,
    soft: Soft,
    seed: u64,
}

impl FakeController {
    pub(crate) fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        let state = State { image: Image::default(), soft: Soft::default(), seed: 1 };
        let controller =
            Arc::new(Self { state: Mutex::new(state), clock, updates: broadcast::channel(1024).0 });
        let cluster_id = ottla_types::ClusterId::new("test-cluster");
        controller.replay(vec![Event::ClusterFormatted { cluster_id }]);
        controller
    }

    pub(crate) fn image(&self) -> Image {
        self.state.lock().unwrap().image.clone()
    }

    pub(crate) fn replay(&self, events: Vec<Event>) {
        let mut state = self.state.lock().unwrap();
        self.replay_in(&mut state, events);
    }

    fn replay_in(&self, state: &mut State, events: Vec<Event>) {
        let first = state.image.offset.next();
        let mut changes = Changes::default();
        events.iter().for_each(|event| state.image.replay(event, &mut changes));
        if !events.is_empty() {
            _ = self.updates.send((first, events));
        }
    }

    pub(crate) fn command(&self, command: Command) -> Submitted {
        let mut state = self.state.lock().unwrap();
        state.seed += 1;
        let now = Now { wall: self.clock.wall(), monotonic: self.clock.monotonic() };
        let settings = Settings::default();
        let context = Context { settings: &settings, now, seed: state.seed };
        let State { image, soft, .. } = &mut *state;
        let decision = decide(image, soft, command, &context);
        self.replay_in(&mut state, decision.events);
        Submitted { reply: decision.reply, offset: state.image.offset }
    }
}

#[async_trait]
impl Controller for FakeController {
    async fn submit(&self, _: RequestContext, command: Command) -> Result<Submitted, CallError> {
        Ok(self.command(command))
    }

    async fn watch_metadata(
        &self,
        _: MetadataOffset,
    ) -> Result<BoxStream<'static, Result<MetadataUpdate, CallError>>, CallError> {
        let state = self.state.lock().unwrap();
        let updates = self.updates.subscribe();
        let snapshot = Ok(MetadataUpdate::Snapshot(Arc::new(state.image.clone())));
        let later = futures::stream::unfold(updates, |mut updates| async {
            let (first, events) = updates.recv().await.ok()?;
            Some((Ok(MetadataUpdate::Events { first, events }), updates))
        });
        Ok(futures::stream::once(async { snapshot }).chain(later).boxed())
    }

    async fn quorum_status(&self) -> Result<QuorumStatus, CallError> {
        let state = self.state.lock().unwrap();
        let member = QuorumMember {
            node: NodeId(7),
            endpoint: "controller-7:9093".to_owned(),
            match_index: Some(40),
            directory: Some(DirectoryId(Uuid::from_random(7))),
            silent_ms: Some(0),
            behind_ms: Some(0),
        };
        let late = QuorumMember {
            node: NodeId(8),
            endpoint: "[::1]:9093".to_owned(),
            match_index: Some(30),
            directory: None,
            silent_ms: Some(5),
            behind_ms: None,
        };
        let observer = QuorumObserver {
            node: NodeId(1),
            metadata_offset: Some(MetadataOffset(state.image.offset.0 - 1)),
            silent_ms: Some(3),
            behind_ms: Some(4),
        };
        Ok(QuorumStatus {
            node: NodeId(7),
            cluster_id: state.image.cluster_id.clone(),
            role: QuorumRole::Leader,
            term: Term(3),
            leader: Some(NodeId(7)),
            last_contact_ms: 0,
            proposals_outstanding: 0,
            last_index: 40,
            committed_index: 39,
            applied_index: 39,
            metadata_offset: state.image.offset,
            state_hash: 0,
            elections: 1,
            members: vec![member, late],
            observers: vec![observer],
        })
    }

    async fn history(&self, _: HistoryQuery) -> Result<HistoryPage, CallError> {
        Err(CallError::Stopping)
    }
}
